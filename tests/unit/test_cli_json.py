"""``--json`` of every command: one object with a schema number on standard output, and no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from saga_fsm.cli import main, saga_fsm


SAGAS = """
from saga_fsm import GUARDED, PENDING, Pending, Rejected, Retry, Saga, pivot, step

def act(ctx): return ctx.step
def undo(ctx, result): ...
def ask(ctx) -> str | Pending: return PENDING
def refuse(ctx): raise Rejected("no")
def broken(ctx, result): raise ConnectionError("gone")

done = Saga("done", step(act, compensate=undo, writes="stock"), pivot(act, name="p"),
            contract=GUARDED)
asked = Saga("asked", step(ask, compensate=undo), contract=GUARDED)
stuck = Saga("stuck", step(act, compensate=broken, compensation_retry=Retry(attempts=1)),
             pivot(refuse), contract=GUARDED)
"""
ORDER = "saga_fsm.examples.order"
TEAPOTS = '{"customer": "ada", "item": "teapot", "quantity": 2, "total": 4200}'
SHOP = ("--world", f"{ORDER}:World", "--input", TEAPOTS, "--max-faults", "0", "--max-runs", "9")
SAMPLES = {
    "run": [
        ("{f}:done",),
        ("{f}:stuck",),
        ("{f}:asked",),
        ("{f}:done", "--journal", "{j}", "--id", "r"),
        ("{f}:asked", "--journal", "{j}", "--id", "w"),
        ("{f}:stuck", "--journal", "{j}", "--id", "s"),
    ],
    "runs list": [("--journal", "{j}"), ("--journal", "{j}", "--waiting", "nobody")],
    "runs show": [("r", "--journal", "{j}"), ("nobody", "--journal", "{j}")],
    "runs recover": [("{f}:done", "{f}:asked", "{f}:stuck", "--journal", "{j}")],
    "audit": [("{f}:done", "--journal", "{j}"), ("{f}:done", "--path", "done: done(p)")],
    "check": [("{f}:done",), ("{f}:done", "--instances", "2"), ("{f}:nothing",)],
    "diff": [("{f}:done", "{f}:done"), ("{f}:done", "{f}:stuck")],
    "faults": [(f"{ORDER}:saga", *SHOP), (f"{ORDER}:saga", *SHOP, "--replay", "ship@0=reject")],
    "forecast": [(f"{ORDER}:saga",)],
    "interference": [("{f}:done",)],
}
# What says nothing on standard output: a wrong use.
SILENT = {"{f}:nothing", "nobody"}


def commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command with its words."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        else:
            yield before + name, command


def test_every_command_with_json_is_tried() -> None:
    """A new one cannot be forgotten here."""
    having = {
        name
        for name, command in commands(saga_fsm)
        if any("--json" in option.opts for option in command.params)
    }
    assert having == set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_json_is_one_object_and_nothing_else(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A program may read standard output as it is; what people are told is on the other."""
    source, url = tmp_path / "sagas.py", f"sqlite:///{tmp_path / 's.db'}"
    source.write_text(SAGAS)

    def called(*words: str) -> str:
        given = [one.replace("{f}", str(source)).replace("{j}", url) for one in words]
        with pytest.raises(SystemExit):
            main(given)
        return capsys.readouterr().out

    for kept in ("done", "stuck", "asked"):
        called("run", f"{{f}}:{kept}", "--journal", "{j}", "--id", {"done": "r"}.get(kept, kept))
    for sample in SAMPLES[name]:
        out = called(*name.split(), *sample, "--json")
        if sample[0] in SILENT:
            assert out == ""
        else:
            assert json.loads(out)["schema"] == 1
            assert out.count("\n") == 1
