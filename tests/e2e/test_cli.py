"""The command line itself: help, completions and man page are complete and agree, wrong use is explained, install."""

import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from harness import ROOT, binary, plain_environment

SENTENCE = re.compile(r"[A-Z`].*[.)]$", re.DOTALL)


def run(*args, **kwargs) -> subprocess.CompletedProcess:
    return subprocess.run(
        [binary(), *args], capture_output=True, text=True, timeout=60, env=plain_environment(), check=False, **kwargs
    )


def output(*args) -> str:
    done = run(*args)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


def commands() -> dict[str, str]:
    """Name and sentence of each command, as `otolith help` lists them."""
    found = dict(re.findall(r"^  ([a-z-]+) +([A-Z].*)$", output("help").split("First steps")[0], re.MULTILINE))
    assert {"serve", "query", "check-config", "version", "help", "completions", "man"} <= set(found)
    return found


def options(command: str) -> dict[str, str]:
    """Long name and text of each option, as `--help` lists them."""
    text = output(command, "--help").split("\nOptions:\n")[1]
    text = re.split(r"\n\n", text)[0]
    found = {}
    for name, rest in re.findall(r"^  (?:-\w, )?--([a-z-]+)[^\n]*\n((?:      [^\n]*\n?)+)", text, re.MULTILINE):
        found[name] = " ".join(rest.split())
    assert "help" in found
    return found


def script(tmp_path, shell: str) -> str:
    path = tmp_path / f"otolith.{shell}"
    path.write_text(output("completions", shell))
    return str(path)


# Help


def test_every_command_and_option_is_explained():
    for command, sentence in commands().items():
        assert SENTENCE.match(sentence), command
        text = output(command, "--help")
        assert text == output("help", command) == output(command, "-h")
        assert text.startswith(f"Usage: otolith {command} [options]")
        assert all(len(line) <= 100 for line in text.splitlines()), command
        for name, words in options(command).items():
            assert SENTENCE.match(words), f"{command} --{name}: {words}"


def test_serve_has_every_setting():
    names = [line.split(":")[0] for line in output("check-config", os.devnull).splitlines()]
    assert len(names) > 15
    assert {name.replace("_", "-") for name in names} | {"config", "help"} == set(options("serve"))


def test_help_has_the_range_of_a_setting():
    assert options("serve")["memory-limit"].endswith(" Default: 256MiB (48MiB to 1TiB).")
    assert options("serve")["durability"].endswith(" Default: fsync (<ms>: 1 to 3600000).")
    assert options("serve")["log-format"].endswith(" Default: text.")


def test_a_choice_with_a_number_says_which():
    choices = r"fsync\|interval:<ms>\|none"
    assert re.search(rf"^  --durability MODE  \({choices}\)$", output("serve", "--help"), re.MULTILINE)
    shown = subprocess.run(["mandoc", "-T", "ascii"], input=output("man"), capture_output=True, text=True, check=True)
    assert re.search(rf"One of\s+{choices}\.", re.sub(r".\x08", "", shown.stdout))
    assert "interval" not in re.search(r"--durability\).*", output("completions", "bash"))[0], "no word to be completed"


def test_the_list_of_commands_is_the_help():
    assert output("help") == output("--help") == output("-h")
    nothing = run()
    assert nothing.returncode == 2 and nothing.stderr == output("help")
    assert output("version") == output("--version")


# Wrong use


@pytest.mark.parametrize(
    "args, words",
    [
        (["srve"], "'srve' is not a command: did you mean serve?"),
        (["exprot-nothing-alike"], "is not a command; see otolith help"),
        (["help", "quary"], "did you mean query?"),
        (["query", "--formt", "csv", "SELECT 1"], "--formt is not an option of otolith query: did you mean --format?"),
        (["serve", "--memory-limt=1GiB"], "did you mean --memory-limit?"),
        (["serve", "--memory_limit", "1GiB"], "did you mean --memory-limit?"),
        (["query", "--unheard-of"], "see otolith query --help"),
        (["query", "-x"], "'-x' is not an option of otolith query"),
        (["query", "--format", "xml", "SELECT 1"], "--format: 'xml' is not one of table|json|ndjson|csv|arrow|parquet"),
        (["query", "SELECT 1", "--data"], "--data needs a value (DIR)"),
        (["query", "--data", "--format", "csv", "SELECT 1"], "--data needs a value (DIR)"),
        (["check-config", "--markdown=yes"], "--markdown takes no value"),
        (["check-config"], "name one file"),
        (["serve", "now"], "'now' is too much"),
        (["serve", "--config"], "--config needs a value (FILE)"),
        (["serve", "--listen"], "--listen needs a value"),
        (["completions", "tcsh"], "'tcsh' is not a shell that is known"),
        (["completions"], "name one shell"),
    ],
)
def test_wrong_use_is_explained_with_status_2(args, words):
    done = run(*args)
    assert done.returncode == 2 and done.stdout == ""
    assert words in done.stderr and done.stderr.startswith("otolith: ") and done.stderr.count("\n") == 1


def test_two_dashes_end_options():
    done = run("check-config", "--", "--markdown")
    assert done.returncode == 1 and "--markdown: cannot be read" in done.stderr


# Standard streams


def run_closed(closing: str, *args, **kwargs) -> subprocess.CompletedProcess:
    """As run, with streams closed as a shell does it: ">&-"."""
    return subprocess.run(
        ["sh", "-c", f'exec "$0" "$@" {closing}', binary(), *args],
        capture_output=True,
        text=True,
        timeout=60,
        env=plain_environment(),
        check=False,
        **kwargs,
    )


@pytest.fixture
def archive(server):
    """A data folder whose server has ended."""
    one = server()
    one.stop()
    return one.data


def test_an_answer_is_not_written_into_a_file_that_took_a_closed_streams_place(archive):
    before = {path: path.read_bytes() for path in archive.rglob("*") if path.is_file() and path.name != "lock"}
    for closing in (">&-", "<&- >&-"):
        done = run_closed(closing, "query", "--data", archive, "SELECT 42")
        assert done.returncode == 1 and "standard output cannot be written" in done.stderr
    assert run_closed("<&- >&- 2>&-", "query", "--data", archive, "SELECT 42").returncode == 1
    assert re.fullmatch(r"\d+ otolith query\n", (archive / "lock").read_text())
    assert before == {path: path.read_bytes() for path in before}
    assert run("query", "--data", archive, "--format", "csv", "SELECT count(*) FROM logs").stdout.endswith("\n0\n")


def test_a_closed_input_is_not_an_empty_one(tmp_path):
    done = run_closed("<&-", "convert", "--from", "otlp-json", "--to", "otlp", "-o", tmp_path / "out", "-")
    assert done.returncode == 1 and "standard input" in done.stderr and not (tmp_path / "out").exists()


@pytest.mark.parametrize("closing", [">/dev/full", ">&-"])
@pytest.mark.parametrize(
    "args",
    [
        ["version"],
        ["--version"],
        ["help"],
        ["help", "query"],
        ["query", "--help"],
        ["man"],
        ["completions", "bash"],
        ["check-config", os.devnull],
        ["check-config", "--markdown"],
        ["connect", "go", "--endpoint", "http://localhost:4317"],
    ],
)
def test_what_cannot_be_printed_is_a_failure(args, closing):
    done = run_closed(closing, *args)
    assert (done.returncode, done.stderr) == (1, "otolith: standard output cannot be written\n")


def test_an_answer_that_cannot_be_printed_is_a_failure(archive):
    for args in (["query", "SELECT 42"], ["verify"], ["verify", "--json"]):
        done = run_closed(">/dev/full", *args, "--data", archive)
        assert (done.returncode, done.stderr) == (1, "otolith: standard output cannot be written\n")


def test_a_reader_that_goes_away_ends_the_answer_without_a_word(archive):
    query = [binary(), "query", "--data", archive, "--format", "ndjson", "SELECT * FROM range(1000000)"]
    plainly = ["env", "--default-signal=PIPE"]  # which a library of the tests may have blocked
    process = subprocess.Popen(
        [*plainly, *query], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=plain_environment()
    )
    assert process.stdout.readline() == b'{"range":0}\n'
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait(60) == -signal.SIGPIPE


# A data folder of another user


@pytest.fixture
def read_only(tmp_path):
    """read_only(folder) makes it one that may only be read, as if it were another's, until the test ends."""
    folders = []

    def make(folder):
        folders.append(folder)
        subprocess.run(["chmod", "-R", "a-w", folder], check=True)

    yield make
    for folder in folders:
        subprocess.run(["chmod", "-R", "u+rwX", folder], check=True)


def run_as_other(*args) -> subprocess.CompletedProcess:
    """As run, without what lets root pass over the modes of files."""
    plain = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"] if os.geteuid() == 0 else []
    return subprocess.run(
        [*plain, binary(), *args], capture_output=True, text=True, timeout=60, env=plain_environment(), check=False
    )


def test_who_may_read_a_folder_may_ask_its_server(server, read_only):
    one = server()
    read_only(one.data)
    done = run_as_other("query", "--data", one.data, "--format", "csv", "SELECT 42 AS a")
    assert (done.returncode, done.stdout) == (0, "a\n42\n"), done.stderr
    assert f"http://{one.addresses[0]}" in run_as_other("connect", "python", "--data", one.data).stdout
    (one.data / "lock").chmod(0)
    for command in (["query", "SELECT 42"], ["connect", "python"]):
        done = run_as_other(*command, "--data", one.data)
        assert done.returncode == 1 and done.stdout == ""
        assert f"whether a server runs on {one.data} cannot be told" in done.stderr
        assert "lock: Permission denied" in done.stderr and ("--endpoint" in done.stderr) == (command[0] == "connect")


def test_looking_for_a_server_makes_no_file(tmp_path):
    assert run("connect", "collector", "--data", tmp_path).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_files_that_may_only_be_read_are_refused_with_advice(archive, read_only):
    read_only(archive)
    done = run_as_other("query", "--data", archive, "SELECT 42")
    assert done.returncode == 1 and done.stdout == ""
    assert f"no server runs on {archive}" in done.stderr and "be its owner, or take a copy" in done.stderr
    assert "lock: Permission denied" in done.stderr


def test_an_empty_name_of_a_file_of_settings_is_none(tmp_path):
    environment = plain_environment(OTOLITH_CONFIG="")
    args = [binary(), "serve", "--data", tmp_path / "data", "--listen", "nowhere"]
    done = subprocess.run(args, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert done.returncode == 2 and "nowhere: the port is missing" in done.stderr


@pytest.mark.parametrize("sql", ["-- hello\nSELECT 42 AS a", "--hello\nSELECT 42 AS a", "--\nSELECT 42 AS a"])
def test_sql_may_begin_with_a_comment(archive, sql):
    done = run("query", "--data", archive, "--format", "csv", sql)
    assert (done.returncode, done.stdout) == (0, "a\n42\n"), done.stderr


# Man page


def test_the_man_page_is_clean_and_complete():
    page = output("man")
    lint = subprocess.run(["mandoc", "-T", "lint"], input=page, capture_output=True, text=True, check=False)
    assert lint.stdout + lint.stderr == "" and lint.returncode == 0
    shown = subprocess.run(["mandoc", "-T", "ascii"], input=page, capture_output=True, text=True, check=True).stdout
    shown = re.sub(r".\x08", "", shown)
    sections = re.split(r"^   otolith ", shown, flags=re.MULTILINE)[1:]
    assert [section.split("\n")[0] for section in sections] == list(commands())
    for section in sections:
        command = section.split("\n")[0]
        assert set(re.findall(r"^ +(?:-\w, )?--([a-z-]+)", section, re.MULTILINE)) >= set(options(command)), command


# Completions


def bash(path, *words) -> list[str]:
    """What TAB offers behind these words."""
    code = (
        'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _otolith; '
        'for word in "${COMPREPLY[@]}"; do printf "%s\\n" "$word"; done'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", code, "bash", path, "otolith", *words], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_bash_completes(tmp_path):
    path = script(tmp_path, "bash")
    subprocess.run(["bash", "-n", path], check=True)
    assert (
        "complete -F _otolith otolith"
        in subprocess.run(
            ["bash", "--norc", "-c", f"source {path}; complete -p otolith"], capture_output=True, text=True, check=True
        ).stdout
    )
    assert bash(path, "") == [*commands(), "--help", "--version"]
    assert bash(path, "chec") == ["check-config"]
    for command in commands():
        offered = bash(path, command, "-")
        assert [name for name in offered if name.startswith("--")] == [f"--{name}" for name in options(command)]
    assert bash(path, "query", "--format", "") == ["table", "json", "ndjson", "csv", "arrow", "parquet"]
    assert bash(path, "query", "--format", "=", "nd") == ["ndjson"]
    assert bash(path, "serve", "--log-level", "") == ["debug", "info", "warn", "error"]
    assert bash(path, "completions", "z") == ["zsh"]
    assert bash(path, "help", "ser") == ["serve"]
    (tmp_path / "folder").mkdir()
    assert bash(path, "query", "--data", f"{tmp_path}/fol") == [f"{tmp_path}/folder"]
    assert bash(path, "query", "--data", path[:-1]) == [], "a file where a folder is wanted"
    assert bash(path, "check-config", path[:-1]) == [path]
    assert bash(path, "query", "SEL") == []


def test_fish_completes(tmp_path):
    path = script(tmp_path, "fish")
    environment = {**os.environ, "HOME": str(tmp_path)}

    def fish(line: str) -> list[str]:
        done = subprocess.run(
            ["fish", "--no-config", "-c", f"source {path}; complete -C '{line}'"],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        assert done.stderr == ""
        return [found.split("\t")[0] for found in done.stdout.splitlines()]

    subprocess.run(["fish", "--no-execute", path], check=True, env=environment)
    assert sorted(fish("otolith ")) == sorted(commands())
    for command in commands():
        offered = {name for name in fish(f"otolith {command} --") if name.startswith("--")}
        assert {name.rstrip("=") for name in offered} == {f"--{name}" for name in options(command)}
    assert sorted(fish("otolith query --format ")) == ["arrow", "csv", "json", "ndjson", "parquet", "table"]
    assert fish("otolith completions z") == ["zsh"]
    assert fish(f"otolith check-config {path[:-1]}") == [path]


def zsh(path: str, folder, line: str) -> str:
    """The command line after TAB, in a zsh that knows nothing but this script."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb", "PS1": "", "LANG": "C.UTF-8"}
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe("zsh", ["zsh", "-f", "-i"], environment)

    def read_until(mark: bytes) -> bytes:
        seen, deadline = b"", time.monotonic() + 30
        while mark not in seen:
            assert time.monotonic() < deadline, f"{mark} not in {seen}"
            if select.select([terminal], [], [], 1)[0]:
                seen += os.read(terminal, 65536)
        return seen

    try:
        # The line after TAB is printed by a key of its own, so that no drawing has to be read.
        os.write(
            terminal,
            b"unsetopt zle_bracketed_paste beep; PS1=; autoload -Uz compinit; compinit -u -D; "
            b"show() { print -r -- \"<<$BUFFER>>\" }; zle -N show; bindkey '^X^X' show; "
            + f"source {path}; print REA''DY\n".encode(),
        )
        read_until(b"READY")
        os.write(terminal, line.encode() + b"\t\x18\x18")
        seen = read_until(b">>")
        return re.search(rb"<<(.*)>>", seen).group(1).decode()
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)


@pytest.mark.parametrize(
    "line, completed",
    [
        ("otolith qu", "otolith query "),
        ("otolith query --form", "otolith query --format="),
        ("otolith query --format=nd", "otolith query --format=ndjson "),
        ("otolith query --format nd", "otolith query --format ndjson "),
        ("otolith serve --memory-l", "otolith serve --memory-limit="),
        ("otolith completions f", "otolith completions fish "),
        ("otolith help che", "otolith help check-config "),
    ],
)
def test_zsh_completes(tmp_path, line, completed):
    path = script(tmp_path, "zsh")
    subprocess.run(["zsh", "-n", path], check=True)
    assert zsh(path, tmp_path, line).rstrip() == completed.rstrip()


def test_zsh_knows_every_option():
    text = output("completions", "zsh")
    for command in commands():
        section = re.search(rf"^    {command}\)\n(.*?);;", text, re.MULTILINE | re.DOTALL).group(1)
        assert re.findall(r"'\*?--([a-z-]+)=?\[", section) == list(options(command))


# Documentation


def test_the_table_of_settings_is_the_programs():
    page = (ROOT / "docs/CONFIGURATION.md").read_text(encoding="utf-8")
    table = output("check-config", "--markdown")
    assert page.endswith("\n\n" + table)
    cells = {name: row.split(" | ") for row in table.splitlines() for name in re.findall(r"^\| `(\w+)`", row)}
    assert cells["memory_limit"][5] == "48MiB to 1TiB" and cells["dedup_window"][5] == "0 to 24h"
    assert cells["log_level"][5] == "`debug`, `info`, `warn`, `error`"
    assert cells["durability"][5] == "`fsync`, `interval:<ms>` (1 to 3600000), `none`"


def test_the_documentation_names_only_files_that_exist():
    """`tools/fuzz`, `src/api`: paths as they stand in the tree, in the pages and the folders' own."""
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("src/*/README.md")]
    named = {
        (page, word)
        for page in pages
        for word in re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))
        if re.fullmatch(r"(apps|bench|cmake|docs|fuzz|platform|src|tests|tools)/[\w./-]*\w/?", word)
    }
    assert len(named) > 50
    assert [f"{page.name}: {word}" for page, word in sorted(named) if not (ROOT / word).exists()] == []


def test_the_migration_guide_names_only_what_exists():
    """In the columns that say what is here: tables' columns, settings, commands."""
    guide = (ROOT / "docs/MIGRATING.md").read_text(encoding="utf-8")
    formats = (ROOT / "docs/FORMATS.md").read_text(encoding="utf-8")
    columns = {
        part for name in re.findall(r"^\| `([\w.]+)` \|", formats, re.MULTILINE) for part in [name, name.split(".")[-1]]
    }
    tables = set(re.findall(r"^## (\w+)$", formats, re.MULTILINE))
    settings = {line.split(":")[0] for line in output("check-config", os.devnull).splitlines()}
    duckdb = {"time_bucket", "map_keys", "regexp_matches", "quantile_cont"}
    collector = {"otlp_grpc"}
    others = {"Unset", "Ok", "Error", "ExportLogsServiceResponse", "TimeUnixNano"}
    rows = re.findall(r"^\|.*\|(.*)\|$", guide, re.MULTILINE)
    words = [word for row in rows for word in re.findall(r"`([^`]+)`", row)]
    assert len(words) > 150
    for word in words:
        if re.fullmatch(r"[A-Z][a-z]+[A-Za-z]*", word):
            assert word in columns | others, word
        elif re.fullmatch(r"[a-z]+(_[a-z]+)+", word):
            assert word in settings | tables | duckdb | collector, word
        elif command := re.match(r"otolith ([a-z-]+)", word):
            assert command.group(1) in commands(), word


# Installing


def test_install_puts_texts_where_they_are_looked_for(build_folder, tmp_path):
    subprocess.run(["cmake", "--install", build_folder, "--prefix", tmp_path], check=True, capture_output=True)
    installed = subprocess.run([tmp_path / "bin/otolith", "version"], capture_output=True, text=True, check=True)
    assert installed.stdout == output("version")
    for path, args in (
        ("share/man/man1/otolith.1", ["man"]),
        ("share/bash-completion/completions/otolith", ["completions", "bash"]),
        ("share/zsh/site-functions/_otolith", ["completions", "zsh"]),
        ("share/fish/vendor_completions.d/otolith.fish", ["completions", "fish"]),
    ):
        assert (tmp_path / path).read_text() == output(*args), path
