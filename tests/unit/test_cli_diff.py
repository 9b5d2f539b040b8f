"""``saga-fsm diff`` and ``saga-fsm audit``: exit status, words and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from saga_fsm.cli import main


TEXT = """
from saga_fsm import GUARDED, Saga, pivot, step
def act(ctx): ...
def undo(ctx, result): ...
a, b, c = (step(act, name=name, compensate=undo) for name in "abc")
one = Saga("s", a, b, pivot(act, name="p"), contract=GUARDED)
more = Saga("s", a, c, b, pivot(act, name="p"), contract=GUARDED)
other = Saga("s", a, c, pivot(act, name="p"), contract=GUARDED)
"""


def said(arguments: list[str], folder: Path, capsys: Any) -> tuple[int, str]:
    """Exit status and standard output of a command; ``{f}`` is the file with the sagas."""
    file = folder / "sagas.py"
    file.write_text(TEXT)
    with pytest.raises(SystemExit) as ended:
        main([argument.replace("{f}", str(file)) for argument in arguments])
    return int(ended.value.code or 0), capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["diff", "{f}:one", "{f}:one"], 0, "compatible"),
        (["diff", "{f}:one", "{f}:more"], 1, "'c' is new"),
        (["diff", "{f}:one", "{f}:other"], 1, "renamed={'b': 'c'}"),
        (["diff", "{f}:one", "{f}:other", "--renamed", "b=c"], 0, "compatible"),
        (["diff", "{f}:one", "{f}:one", "--limit", "3"], 1, "incomplete"),
        (["diff", "{f}:one", "{f}:one", "--renamed", "b"], 2, ""),
        (["diff", "{f}:one", "{f}:one", "--renamed", "x=y"], 2, ""),
        (["audit", "{f}:one", "--path", "s: start done(a)"], 0, "all 2 entries follow"),
        (["audit", "{f}:one", "--path", "s: start done(b)"], 1, "allowed there: done(a)"),
        (["audit", "{f}:one", "--path", "nonsense"], 2, ""),
        (["audit", "{f}:one"], 2, ""),
    ],
)
def test_each_has_its_exit_status(
    arguments: list[str], status: int, words: str, tmp_path: Path, capsys: Any
) -> None:
    """0 yes, 1 no, 2 usage."""
    found, out = said(arguments, tmp_path, capsys)
    assert (found, words in out) == (status, True), out


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (["diff", "{f}:one", "{f}:more", "--json"], {"verdict", "refusals", "fingerprints"}),
        (["audit", "{f}:one", "--path", "s: done(a)", "--json"], {"position", "allowed", "reason"}),
    ],
)
def test_json_is_one_object_with_a_schema(
    arguments: list[str], keys: set[str], tmp_path: Path, capsys: Any
) -> None:
    """And with what a program would ask for."""
    _, out = said(arguments, tmp_path, capsys)
    plain = json.loads(out)
    assert (plain["schema"], plain["ok"]) == (1, False)
    assert keys <= plain.keys()
