"""What type checkers accept and refuse."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path


HERE = Path(__file__).parent


def _complaints(name: str) -> tuple[set[int], str]:
    # A private cache: the checker's own runs in the working directory are not to be disturbed.
    done = subprocess.run(  # noqa: S603 - our own files
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", "/dev/null", str(HERE / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(rf"{name}:(\d+): error", done.stdout)
    return {int(line) for line in found}, done.stdout + done.stderr


def test_right_definitions_are_accepted() -> None:
    """A typed saga needs no cast and no ignore, and results keep their types."""
    lines, output = _complaints("right.py")
    assert not lines, output
    assert "Success" in output or "right.py" not in output, output


def test_wrong_definitions_are_refused() -> None:
    """A wrong compensation, option, input, item or assignment is an error at its own line."""
    expected = {
        number
        for number, line in enumerate((HERE / "wrong.py").read_text().splitlines(), 1)
        if "# expect: error" in line
    }
    lines, output = _complaints("wrong.py")
    assert lines == expected, output
