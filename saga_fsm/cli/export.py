"""``saga-fsm export TARGET --to FORMAT``: the machine for other tools."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from saga_fsm.cli.target import load


if TYPE_CHECKING:
    from saga_fsm.definition import Saga
    from saga_fsm.machine import Effect, Machine, Row
    from saga_fsm.product import Network

_SCHEMA = 1


_HELP = """
Write a saga's machine for another tool. TARGET is module:name or file.py:name.

transitions: JSON that transitions.Machine(**json.load(file)) takes; the flattened machine.
mermaid: the flow, for a forge that shows Mermaid. json: the table, row by row.

These three write what `check` searches, the machine beside every fault, for a model checker of
another house to repeat; each state of theirs is one of ours, and their heads say more:

\b
promela, for Spin: apt install spin gcc
  saga-fsm export TARGET --to promela -o m.pml
  spin -a m.pml && gcc -O2 -DNOREDUCE -DSAFETY -o pan pan.c && ./pan -m1000000
  spin -t m.pml    # the run to what was broken
murphi, for Rumur: apt install rumur gcc
  saga-fsm export TARGET --to murphi -o m.m
  rumur --deadlock-detection stuck -o m.c m.m && gcc -O2 -march=native -o m m.c -lpthread
  ./m
tla, for TLC: the text is not machine-checked by us
"""


@click.command(help=_HELP)
@click.argument("target")
@click.option(
    "--to",
    "form",
    type=click.Choice(["transitions", "mermaid", "json", "promela", "murphi", "tla"]),
    required=True,
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="FILE")
def export(*, target: str, form: str, output: Path | None) -> int:
    """Write a saga's machine for another tool."""
    text = _WRITERS[form](load(target))
    if output is None:
        click.echo(text.rstrip("\n"))
    else:
        output.write_text(f"{text.rstrip()}\n")
        click.echo(str(output))
    return 0


def _transitions(saga: Saga[Any, Any, Any]) -> str:
    from saga_fsm.compiler import compile_saga
    from saga_fsm.interop.transitions import options

    return json.dumps(options(compile_saga(saga)), indent=1)


def _mermaid(saga: Saga[Any, Any, Any]) -> str:
    from saga_fsm.drawing import to_mermaid

    return to_mermaid(saga)


def _table(saga: Saga[Any, Any, Any]) -> str:
    from saga_fsm.compiler import compile_saga

    machine = compile_saga(saga)
    table = {
        "schema": _SCHEMA,
        "saga": machine.name,
        "version": saga.version,
        "fingerprint": machine.fingerprint,
        "events": [str(event) for event in machine.events],
        "automata": [
            {
                "path": automaton.path,
                "sort": automaton.sort,
                "scope": automaton.scope,
                "states": [automaton.local(code) for code in automaton.locals],
            }
            for automaton in machine.automata
        ],
        "rows": [_row(machine, row) for row in machine.rows],
    }
    return json.dumps(table, indent=1)


def _network(saga: Saga[Any, Any, Any]) -> Network:
    from saga_fsm.compiler import compile_saga
    from saga_fsm.definition.layout import lay_out
    from saga_fsm.product import network_of

    return network_of(lay_out(saga), compile_saga(saga))


def _promela(saga: Saga[Any, Any, Any]) -> str:
    from saga_fsm.interop.promela import to_promela

    return to_promela(_network(saga))


def _murphi(saga: Saga[Any, Any, Any]) -> str:
    from saga_fsm.interop.murphi import to_murphi

    return to_murphi(_network(saga))


def _tla(saga: Saga[Any, Any, Any]) -> str:
    from saga_fsm.interop.tla import to_tla

    return to_tla(_network(saga))


def _row(machine: Machine, row: Row) -> dict[str, Any]:
    """One guarded command: an input row has an event, an internal one has none."""
    automata = machine.automata
    return {
        "event": None if row.event is None else str(row.event),
        "name": row.name,
        "guard": {
            automata[v].path: [
                automata[v].local(code) for code in automata[v].locals if code in allowed
            ]
            for v, allowed in row.guard
        },
        "update": {automata[v].path: automata[v].local(code) for v, code in row.update},
        "effects": [_effect(effect) for effect in row.effects],
    }


def _effect(effect: Effect) -> dict[str, str]:
    from saga_fsm.machine import Finished

    about = effect.status.value if isinstance(effect, Finished) else effect.target
    return {"effect": type(effect).__name__, "target": about}


_WRITERS: Final[dict[str, Callable[[Saga[Any, Any, Any]], str]]] = {
    "transitions": _transitions,
    "mermaid": _mermaid,
    "json": _table,
    "promela": _promela,
    "murphi": _murphi,
    "tla": _tla,
}
