"""What the documents show of a shell is what a shell shows."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest


DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LENIENT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def shells() -> list[str]:
    """Documents with something typed into a shell."""
    return sorted(path.name for path in DOCS.glob("*.md") if "```console" in path.read_text())


def typed(block: str) -> list[tuple[str, str]]:
    """Commands, and what is shown after each."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def shown(output: str) -> str:
    """What is printed, if it is nothing too."""
    return output if output.strip() else "\n"


@pytest.mark.heavy
@pytest.mark.parametrize("name", shells())
def test_what_is_typed_shows_what_is_written(name: str, tmp_path: Path) -> None:
    """Files and commands in their order, in one empty folder."""
    needs = re.match(r"<!-- needs: (\w+) -->", (DOCS / name).read_text())
    if needs is not None and find_spec(needs[1]) is None:
        pytest.skip(f"needs {needs[1]}: pip install -e '.[servers]'")
    # The commands as a user has them: those of the Python that runs this.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    checker, commands = doctest.OutputChecker(), 0
    for kind, block in _BLOCK.findall((DOCS / name).read_text()):
        if kind == "python" and (named := re.match(r"# (\S+\.py)\n", block)):
            (tmp_path / named[1]).write_text(block)
        for command, wanted in typed(block) if kind == "console" else ():
            done = subprocess.run(  # noqa: S603 - ours
                ["bash", "-c", command],  # noqa: S607 - whichever it is
                cwd=tmp_path,
                env={**os.environ, "PATH": path},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=60,
            )
            told = f"$ {command}\n{done.stdout}"
            assert checker.check_output(shown(wanted), shown(done.stdout), _LENIENT), told
            commands += 1
    assert commands
