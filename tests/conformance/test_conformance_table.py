"""docs/CONFORMANCE.md and the tests beside this file say the same."""

import pathlib
import re

HERE = pathlib.Path(__file__).parent
TEXT = (HERE.parents[1] / "docs/CONFORMANCE.md").read_text()
ROW = re.compile(r"^\| ([A-Z]\d\d) \| [^|]+ \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)
ROWS = dict(ROW.findall(TEXT))
CODE = "".join(path.read_text() for path in sorted(HERE.glob("test_*.py")))
TESTS = {name: row.upper() for name, row in re.findall(r"^def (test_([a-z]\d\d)_\w+)\(", CODE, re.MULTILINE)}


def test_all_ninety_rules_are_listed():
    assert [row for row in ROWS if row.startswith("C")] == [f"C{number:02}" for number in range(1, 91)]


def test_every_rule_has_a_test_or_a_reason():
    for row, cell in ROWS.items():
        listed = re.findall(r"`(test_\w+)`", cell)
        if cell.startswith("out of scope: "):
            assert len(cell) > 20 and not listed, row
        else:
            assert listed and all(TESTS.get(name) == row for name in listed), (row, cell)


def test_every_test_of_a_rule_is_listed():
    for name, row in TESTS.items():
        assert f"`{name}`" in ROWS.get(row, ""), name


def test_other_tests_that_are_named_exist():
    for name in re.findall(r"`(test_\w+)`", TEXT):
        assert f"def {name}(" in CODE, name
