"""What a power cut may leave of a folder: reads the record that fault_shim.c makes and builds the folders.

The model is that of POSIX, not of one file system. A write is safe once its file was synced; a name (created, renamed, removed) once
its folder was. Of everything since then any part may be there, in any order: nothing, all, all but one, some pages of a write, a
file's new length without its bytes. Only a rename is atomic.
"""

import dataclasses
import hashlib
import pathlib
import random
import struct

ENTRY = struct.Struct("<IIQIIQ")
MAGIC = 0x544C4146
OPEN, WRITE, TRUNCATE, SYNC, RENAME, REMOVE, FOLDER = range(1, 8)
NOTE = 100  # not the shim's: the test writes down what it was told
PAGE = 4096


def note(record: pathlib.Path, text: str):
    """Into the same record, in the order in which things happened: after what was synced before an answer."""
    with open(record, "ab", buffering=0) as file:
        file.write(ENTRY.pack(MAGIC, NOTE, 0, len(text), 0, 0) + text.encode())


@dataclasses.dataclass
class Step:
    operation: int
    path: str
    other: str
    offset: int
    data: bytes


def read_record(record: pathlib.Path):
    content, at = record.read_bytes(), 0
    while at + ENTRY.size <= len(content):
        magic, operation, offset, path_size, other_size, data_size = ENTRY.unpack_from(content, at)
        assert magic == MAGIC, f"the record is damaged at {at}"
        at += ENTRY.size
        path, at = content[at : at + path_size].decode(), at + path_size
        other, at = content[at : at + other_size].decode(), at + other_size
        yield Step(operation, path, other, offset, content[at : at + data_size])
        at += data_size


class File:
    def __init__(self):
        self.safe = b""


class Folder:
    def __init__(self):
        self.safe = {}  # names that survive
        self.now = {}


@dataclasses.dataclass
class Change:
    """One thing that is not safe yet. part: a write's pages are changes of their own."""

    kind: str  # write, length, name
    file: File | None = None
    offset: int = 0  # or length
    data: bytes = b""
    moves: tuple = ()  # (folder, name, node or None)
    part: int = 0


def apply(content: bytes, change: Change) -> bytes:
    if change.kind == "length":
        return content[: change.offset].ljust(change.offset, b"\0")
    content = content.ljust(change.offset, b"\0")
    return content[: change.offset] + change.data + content[change.offset + len(change.data) :]


class Disk:
    """root: the folder that is there from the beginning; all else comes by the record."""

    def __init__(self, root: str):
        self.root, self.top = root.rstrip("/"), Folder()
        self.pending: list[Change] = []

    def place(self, path: str) -> tuple[Folder, str]:
        names = path[len(self.root) + 1 :].split("/")
        folder = self.top
        for name in names[:-1]:
            folder = folder.now[name]
        return folder, names[-1]

    def node(self, path: str):
        if path.rstrip("/") == self.root:
            return self.top
        folder, name = self.place(path)
        return folder.now.get(name)

    def change_names(self, *moves):
        for folder, name, node in moves:
            if node is None:
                del folder.now[name]
            else:
                folder.now[name] = node
        self.pending.append(Change("name", moves=moves))

    def take(self, step: Step):
        if step.operation == OPEN:
            file = self.node(step.path)
            if file is None:
                folder, name = self.place(step.path)
                self.change_names((folder, name, File()))
            elif step.offset:  # emptied
                self.pending.append(Change("length", file))
        elif step.operation == WRITE:
            file = self.node(step.path)
            if file:
                for at in range(0, len(step.data), PAGE):
                    data = step.data[at : at + PAGE]
                    self.pending.append(Change("write", file, step.offset + at, data, part=at // PAGE))
        elif step.operation == TRUNCATE:
            file = self.node(step.path)
            if file:
                self.pending.append(Change("length", file, step.offset))
        elif step.operation == SYNC:
            self.sync(self.node(step.path))
        elif step.operation == RENAME:
            node = self.node(step.path)
            old, new = self.place(step.path), self.place(step.other)
            self.change_names((*old, None), (*new, node))
        elif step.operation == REMOVE:
            self.change_names((*self.place(step.path), None))
        elif step.operation == FOLDER:
            self.change_names((*self.place(step.path), Folder()))

    def sync(self, node):
        if node is None:  # it has no name any more
            return
        left = []
        for change in self.pending:
            if change.kind != "name" and change.file is node:
                node.safe = apply(node.safe, change)
            elif change.kind == "name" and any(folder is node for folder, _, _ in change.moves):
                self.make_safe(change)
            else:
                left.append(change)
        self.pending = left

    @staticmethod
    def make_safe(change):
        for folder, name, node in change.moves:
            if node is None:
                folder.safe.pop(name, None)
            else:
                folder.safe[name] = node

    # What may be left

    def choices(self, rng: random.Random, random_count: int):
        """Which pending changes are there after the cut, as lists of (change, data or None)."""
        pending = self.pending
        yield "nothing", []
        yield "everything", pending
        if not pending:
            return
        yield "all but the last", pending[:-1]
        yield "names without content", [c for c in pending if c.kind == "name"]
        yield "content without names", [c for c in pending if c.kind != "name"]
        yield "lengths without bytes", [self.without_bytes(c) for c in pending]
        last = pending[-1]
        if last.kind == "write" and len(last.data) > 1:
            for size in {1, len(last.data) // 2, len(last.data) & ~511 or 1}:
                yield f"torn after {size}", [*pending[:-1], dataclasses.replace(last, data=last.data[:size])]
        for number in range(random_count):
            share = rng.random()
            yield f"some {number}", [c for c in pending if rng.random() < share]
            yield f"all but one {number}", [c for i, c in enumerate(pending) if i != rng.randrange(len(pending))]

    @staticmethod
    def without_bytes(change):
        """A file may have grown and hold nothing there. What it overwrites is old or new, never zero."""
        if change.kind != "write":
            return change
        inside = max(0, min(len(change.data), len(change.file.safe) - change.offset))
        return dataclasses.replace(change, data=change.data[:inside] + bytes(len(change.data) - inside))

    def after_cut(self, chosen) -> dict[str, bytes | None]:
        """Path below the root to content; None for a folder."""
        content, names = {}, {}
        for change in chosen:
            if change.kind == "name":
                for folder, name, node in change.moves:
                    names.setdefault(id(folder), dict(folder.safe))
                    if node is None:
                        names[id(folder)].pop(name, None)
                    else:
                        names[id(folder)][name] = node
            else:
                content[id(change.file)] = apply(content.get(id(change.file), change.file.safe), change)
        tree = {}

        def walk(folder, path):
            for name, node in names.get(id(folder), folder.safe).items():
                if isinstance(node, Folder):
                    tree[path + name] = None
                    walk(node, path + name + "/")
                else:
                    tree[path + name] = content.get(id(node), node.safe)

        walk(self.top, "")
        return tree


def digest(tree) -> str:
    sum_ = hashlib.blake2b(digest_size=16)
    for path in sorted(tree):
        sum_.update(path.encode() + b"\0" + (tree[path] if tree[path] is not None else b"\0folder") + b"\0")
    return sum_.hexdigest()


def build(tree, folder: pathlib.Path):
    for path in sorted(tree):
        place = folder / path
        if tree[path] is None:
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(tree[path])


@dataclasses.dataclass
class Cut:
    at: int  # the last step before it
    where: str
    notes: list[str]  # so far
    tree: dict | None  # path to content, None for a folder


def cuts(record: pathlib.Path, root: str, random_count: int, is_wanted=lambda number, how: True, seed=1, first=0):
    """What a cut may leave, after every step from the first on in every way; each different state once. is_wanted(number, how) says
    which are worth building, where not all are."""
    disk, notes, seen, rng, number = Disk(root), [], set(), random.Random(seed), 0
    for at, step in enumerate(read_record(record)):
        if step.operation == NOTE:
            notes.append(step.path)
            continue
        disk.take(step)
        if at < first:
            continue
        for how, chosen in disk.choices(rng, random_count):
            number += 1
            if not is_wanted(number, how):
                continue
            tree = disk.after_cut(chosen)
            known = (digest(tree), len(notes))
            if known not in seen:
                seen.add(known)
                yield Cut(at, f"step {at} ({step.operation} {step.path}): {how}", list(notes), tree)


def sample(record: pathlib.Path, root: str, count: int, seed=1, first=0):
    """So many cuts, half of them with nothing that was not synced."""
    hard, soft = [], []
    list(cuts(record, root, 2, lambda number, how: (hard if how == "nothing" else soft).append(number), first=first))
    rng = random.Random(seed)
    wanted = {*rng.sample(hard, min(count // 2, len(hard))), *rng.sample(soft, min(count // 2, len(soft)))}
    yield from cuts(record, root, 2, lambda number, how: number in wanted, first=first)
