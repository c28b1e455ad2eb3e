"""Steers tests/faults/fault_shim.c: which call of a running server fails, or kills it."""

import mmap
import os
import pathlib
import struct

from harness import ROOT

MEMORY, OPEN, WRITE, SYNC, RENAME, TRUNCATE, REMOVE, FOLDER, READ, CLOSE, MAP = (1 << i for i in range(11))
CHANGES = OPEN | WRITE | SYNC | RENAME | TRUNCATE | REMOVE | FOLDER
ONCE, STICKY, SHORT, KILL, TORN = range(5)

LAYOUT = struct.Struct("<IIiIQQQQ")


def library(build_folder: pathlib.Path) -> pathlib.Path:
    """Not instrumented, so that any build's does; `make` alone builds none."""
    places = [folder / "tests/libfault_shim.so" for folder in (build_folder, ROOT / "build-asan")]
    found = next((place for place in places if place.exists()), None)
    assert found, f"{places[0]} is not built: make asan"
    return found


class Shim:
    """One server's faults. wrapper and env are what harness.Server takes."""

    def __init__(self, build_folder: pathlib.Path, folder: pathlib.Path, haste=10, record_below=None):
        path = folder / "fault-control"
        path.write_bytes(bytes(LAYOUT.size))
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), LAYOUT.size)
        options = os.environ.get("ASAN_OPTIONS", "")
        # Not in the environment of the programs before it in the command: they would be hit as well.
        self.wrapper = ["env", f"LD_PRELOAD={library(build_folder)}", f"FAULT_CONTROL={path}", f"FAULT_HASTE={haste}",
                        f"ASAN_OPTIONS={options}:verify_asan_link_order=0"]
        if record_below:
            self.record = folder / "fault-record"
            self.wrapper += [f"FAULT_RECORD={self.record}", f"FAULT_ROOT={record_below}"]

    def arm(self, kinds, first=0, length=1, way=ONCE, error=0, own=False):
        """Hits calls first … first + length - 1 of these kinds, from now on; first 0: only counts. own: of memory what the
        program asks for itself, not its libraries."""
        self.disarm()
        last = first + length - 1 if first else 0
        self.memory[:] = LAYOUT.pack(0, way, error, own, first, last, 0, 0)
        self.memory[:4] = struct.pack("<I", kinds)

    def disarm(self):
        self.memory[:4] = bytes(4)

    @property
    def calls(self) -> int:
        return LAYOUT.unpack(self.memory[:])[6]

    @property
    def hits(self) -> int:
        return LAYOUT.unpack(self.memory[:])[7]
