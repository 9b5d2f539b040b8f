"""What type checkers accept and refuse: mypy and pyright, strictly, line by line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest


HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MARK = "# expect: error"


def _environment() -> dict[str, str]:
    # The package of this tree is checked, wherever another one is installed; and nobody wants to
    # know which lines of a type checker were run.
    plain = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    return {**plain, "MYPYPATH": str(ROOT), "PYTHONPATH": str(ROOT)}


def _ask(*command: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own files
        [sys.executable, "-m", *command],
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
        cwd=ROOT,
    )
    assert done.stdout, done.stderr
    return done.stdout


def _mypy(path: Path) -> dict[int, str]:
    # A private cache: the checker's own runs in the working directory are not to be disturbed.
    said = _ask("mypy", "--strict", "--cache-dir", os.devnull, str(path))
    assert "Found" in said or "Success" in said, said
    found = re.findall(rf"{path.name}:(\d+): error: (.*)", said)
    return {int(line): text for line, text in found}


def _pyright(path: Path) -> dict[int, str]:
    if find_spec("pyright") is None:
        pytest.skip("pyright is absent: pip install -e '.[lint]'")
    config = HERE / "pyrightconfig.json"
    said = _ask(
        *("pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(config)), str(path)
    )
    report = json.loads(said)
    assert report["summary"]["filesAnalyzed"] == 1, said
    found = [x for x in report["generalDiagnostics"] if x["severity"] == "error"]
    return {x["range"]["start"]["line"] + 1: x["message"] for x in found}


CHECKERS = pytest.mark.parametrize("complaints", [_mypy, _pyright], ids=["mypy", "pyright"])


@CHECKERS
def test_right_definitions_are_accepted(complaints: Callable[[Path], dict[int, str]]) -> None:
    """A typed saga needs no cast and no ignore, and results keep their types."""
    assert complaints(HERE / "right.py") == {}


@CHECKERS
def test_wrong_definitions_are_refused(complaints: Callable[[Path], dict[int, str]]) -> None:
    """Each wrong compensation, option, query, input, item or label is an error at its own line."""
    lines = (HERE / "wrong.py").read_text().splitlines()
    expected = {number for number, line in enumerate(lines, 1) if MARK in line}
    found = complaints(HERE / "wrong.py")
    missed = {n: lines[n - 1] for n in sorted(expected - set(found))}
    surplus = {n: found[n] for n in sorted(set(found) - expected)}
    assert (missed, surplus) == ({}, {})
