"""The command line's contract: each exit status, and the shape of each JSON object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from saga_fsm.cli import main


SAGAS = """
from saga_fsm import GUARDED, Rejected, Saga, pivot, readonly, retriable, step
from saga_fsm.examples import order
from saga_fsm.properties import always_possible, at_rest, eventually, landed, never, status
from saga_fsm.properties import termination

def act(ctx): return {"seen": ctx.step}
def undo(ctx, result): ...
def refuse(ctx): raise Rejected("no")
def broken(ctx, result): raise ConnectionError("gone")

done = Saga("done", step(act, compensate=undo), pivot(act, name="p"), contract=GUARDED)
back = Saga("back", step(act, compensate=undo), pivot(refuse), contract=GUARDED)
stuck = Saga("stuck", step(act, compensate=broken, compensation_retry=None), pivot(refuse),
             contract=GUARDED)
bare = Saga("bare", step(act, compensate=undo), pivot(refuse))
seen = Saga("seen", readonly(act, reads="stock"))
sold = Saga("sold", step(act, compensate=undo, writes="stock"), contract=GUARDED)
no_saga = 3
whole = [always_possible(at_rest), termination(name="ends")]
wrong = never(landed("nobody"))
spoilt = eventually(status("completed"))

class Lossy(order.World):
    def pay_back(self, payment): self.till -= payment.amount
"""
TEAPOTS = '{"customer": "ada", "item": "teapot", "quantity": 2, "total": 4200}'
ORDER = "saga_fsm.examples.order:saga"
SHOP = ("--world", "saga_fsm.examples.order:World", "--input", TEAPOTS, "--max-faults", "0")
STATUS = [
    pytest.param(("demo",), 0, marks=pytest.mark.heavy),
    (("--help",), 0),
    (("--version",), 0),
    (("check", "{f}:done"), 0),
    (("check", "{f}:bare"), 1),
    (("check", "{f}:done", "--limit", "3"), 1),
    (("check", "{f}:done", "--property", "{f}:whole"), 0),
    (("check", "{f}:done", "--property", "{f}:whole", "--property", "{f}:wrong"), 2),
    (("check", "{f}:done", "--property", "{f}:spoilt"), 1),
    (("check", "{f}:done", "--property", "{f}:no_saga"), 2),
    (("check", "{f}:done", "--property", "{f}:nothing"), 2),
    (("check", "{f}:no_saga"), 2),
    (("check", "{f}:nothing"), 2),
    (("check", "{f}"), 2),
    (("check", "no.such.module:saga"), 2),
    (("check", "{f}:done", "--engine", "quantum"), 2),
    (("check", "{f}:done", "--draw", "x.pdf"), 2),
    (("draw", "{f}:done", "-o", "{d}/x.svg"), 0),
    (("draw", "{f}:done", "-o", "{d}/x.png", "--view", "machine", "--theme", "dark"), 0),
    (("draw", "{f}:done", "-o", "{d}/x.dot"), 0),
    (("draw", "{f}:done", "-o", "{d}/x.mmd"), 0),
    (("draw", "{f}:done", "-o", "{d}/x.pdf"), 2),
    (("draw", "{f}:done", "-o", "{d}/x.svg", "--path", "no path"), 2),
    (("run", "{f}:done"), 0),
    (("run", "{f}:back"), 1),
    (("run", "{f}:stuck"), 4),
    (("run", "{f}:done", "--input", "{{"), 2),
    (("faults", ORDER, *SHOP, "--max-runs", "50"), 0),
    (("faults", ORDER, *SHOP[2:], "--world", "{f}:Lossy", "--max-runs", "200"), 1),
    (("faults", ORDER, *SHOP, "--replay", "ship@0=reject"), 0),
    (("faults", ORDER, *SHOP, "--replay", "ship@9=reject"), 1),
    (("faults", ORDER, *SHOP, "--replay", "ship"), 2),
    (("export", "{f}:done", "--to", "transitions"), 0),
    (("export", "{f}:done", "--to", "mermaid"), 0),
    (("export", "{f}:done", "--to", "json"), 0),
    (("export", "{f}:done", "--to", "cobol"), 2),
    (("check", "{f}:sold", "--instances", "2", "--draw", "{d}/x.svg"), 1),
    (("check", "{f}:sold", "--instances", "2", "--write-test", "{d}/x.py"), 1),
    (("interference", "{f}:seen", "{f}:done"), 0),
    (("interference", "{f}:seen", "{f}:sold"), 1),
    (("interference", "{f}:no_saga"), 2),
    (("interference",), 2),
    (("dance",), 2),
]


def said(arguments: tuple[str, ...], folder: Path, capsys: Any) -> tuple[int, str]:
    """Exit status and standard output of one command."""
    file = folder / "sagas.py"
    file.write_text(SAGAS)
    given = [one.replace("{f}", str(file)).replace("{d}", str(folder)) for one in arguments]
    with pytest.raises(SystemExit) as ending:
        main([one.replace("{{", "{") for one in given])
    return int(ending.value.code or 0), capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status"), STATUS, ids=lambda one: " ".join(one) if isinstance(one, tuple) else ""
)
def test_each_exit_status(arguments, status, tmp_path, capsys):
    """0 is success, 1 a finding, 2 a wrong use, 4 stuck."""
    assert said(arguments, tmp_path, capsys)[0] == status


def test_no_engine_is_status_3_and_the_dot_text_is_there(tmp_path, capsys, monkeypatch):
    """The machine lacks something; what could be written was."""
    monkeypatch.setenv("SAGA_FSM_DOT", str(tmp_path / "none"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("saga_fsm.drawing._render.engine", lambda: None, raising=False)
    status, _ = said(("draw", "{f}:done", "-o", "{d}/x.svg"), tmp_path, capsys)
    assert (status, (tmp_path / "x.dot").exists()) == (3, True)


def test_an_interrupted_check_is_130_and_says_what_it_saw(tmp_path, capsys, monkeypatch):
    """Ctrl-C in a search is no traceback: the report is incomplete."""
    monkeypatch.setattr(
        "saga_fsm.cli.progress.Progress.__call__",
        lambda *_: (_ for _ in ()).throw(KeyboardInterrupt),
    )
    status, out = said(("check", "saga_fsm.examples.trip:saga"), tmp_path, capsys)
    assert status in {0, 130}
    status, out = said(("check", "saga_fsm.examples.fulfilment:saga"), tmp_path, capsys)
    assert status == 130
    assert "fulfilment: incomplete" in out


def shape(**fields: Any) -> dict[str, Any]:
    """An object with these fields, all of them and no other."""
    return {
        "type": "object",
        "properties": {"schema": {"const": 1}, **fields},
        "required": ["schema", *fields],
        "additionalProperties": False,
    }


TEXT, FLAG, COUNT = {"type": "string"}, {"type": "boolean"}, {"type": "integer"}
TEXTS = {"type": "array", "items": TEXT}
BY_NAME = {"type": "object"}
MAYBE_TEXT = {"type": ["string", "null"]}
SHAPES = {
    ("run", "{f}:back", "--json"): shape(
        run_id=TEXT,
        status={"enum": ["completed", "compensated", "stuck"]},
        events=TEXTS,
        results=BY_NAME,
        unresolved=BY_NAME,
        cause={"type": ["object", "null"], "required": ["step", "kind", "message"]},
    ),
    ("check", "{f}:bare", "--json"): shape(
        ok=FLAG,
        saga=TEXT,
        fingerprint=TEXT,
        verdict={"enum": ["safe", "unsafe", "incomplete"]},
        complete=FLAG,
        findings={
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "rule": TEXT,
                    "level": {"enum": ["error", "warning", "info"]},
                    "step": TEXT,
                    "message": TEXT,
                    "path": MAYBE_TEXT,
                    "notes": {"type": "array", "items": {"type": "string"}},
                    "shortest": FLAG,
                },
                "required": ["rule", "level", "step", "message", "path", "notes", "shortest"],
                "additionalProperties": False,
            },
        },
        states=COUNT,
        transitions={"type": ["integer", "null"]},
        depth={"type": ["integer", "null"]},
        engine=TEXT,
        reductions=TEXTS,
        fairness=TEXT,
        faults=TEXTS,
        without=TEXTS,
        bounds=TEXTS,
        limit=COUNT,
        memory={"type": ["integer", "null"]},
        short_of={"enum": ["", "states", "memory", "found"]},
        interrupted=FLAG,
        together={"type": ["object", "null"]},
        required=BY_NAME,
        undecided={"type": ["array", "null"]},
        missing=BY_NAME,
        never_taken={"type": ["array", "null"]},
    ),
    ("faults", ORDER, *SHOP, "--max-runs", "50", "--json"): shape(
        saga=TEXT,
        ok=FLAG,
        vacuous=FLAG,
        runs=COUNT,
        complete=FLAG,
        interrupted=FLAG,
        untested=BY_NAME,
        coverage={"type": "number", "minimum": 0, "maximum": 1},
        missed=TEXTS,
        outside=BY_NAME,
        fired=BY_NAME,
        failures={"type": "array"},
    ),
    ("faults", ORDER, *SHOP, "--replay", "ship@0=reject", "--json"): shape(
        plan=TEXT,
        consistent=FLAG,
        reason=TEXT,
        status=TEXT,
        unresolved=BY_NAME,
        unfired=TEXTS,
        path=TEXT,
    ),
    ("interference", "{f}:seen", "{f}:sold", "{f}:done", "--json"): shape(
        ok={"const": False},
        sagas=TEXTS,
        silent={"const": ["done"]},
        windows={
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {"saga": TEXT, "resource": TEXT, "steps": TEXTS},
                "required": ["saga", "resource", "steps"],
                "additionalProperties": False,
            },
        },
        meetings={
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "resource": TEXT,
                    "risk": {"enum": ["lost update", "dirty read", "fuzzy read"]},
                    "suffers": TEXT,
                    "harms": TEXT,
                    "steps": TEXTS,
                    "lock": TEXT,
                },
                "required": ["resource", "risk", "suffers", "harms", "steps", "lock"],
                "additionalProperties": False,
            },
        },
        circles={"type": "array", "items": TEXTS},
    ),
    ("export", "{f}:done", "--to", "json"): shape(
        saga=TEXT,
        version=TEXT,
        fingerprint=TEXT,
        events=TEXTS,
        automata={"type": "array", "minItems": 1},
        rows={"type": "array", "minItems": 1},
    ),
}


@pytest.mark.parametrize("arguments", SHAPES, ids=" ".join)
def test_each_json_object_keeps_its_shape(arguments, tmp_path, capsys):
    """A field less, or more, or of another type, is a new schema number."""
    _, out = said(arguments, tmp_path, capsys)
    jsonschema.validate(json.loads(out), SHAPES[arguments])


def test_what_is_exported_for_transitions_is_taken_by_transitions(tmp_path, capsys):
    """The package itself reads the file, and the machine moves."""
    import transitions

    _, out = said(("export", "{f}:done", "--to", "transitions"), tmp_path, capsys)
    machine = transitions.Machine(**json.loads(out))
    machine.trigger("start")
    assert machine.state == "running(act.started)"
