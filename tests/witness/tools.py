"""Spin and Rumur, started on an exported network in a folder of their own; what they say, read."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from saga_fsm.checker._search import Explored, graph_of, search
from saga_fsm.compiler import compile_saga
from saga_fsm.definition import Saga
from saga_fsm.definition.layout import lay_out
from saga_fsm.product import Network, holds, network_of
from tests.quality.test_planted_bugs import PLANTED, planted
from tests.reference import REFERENCES


LIMIT = 50_000
# Steps, retries, queries, reads, and every kind of block, in and beside each other.
KINDS = [
    one
    for one in REFERENCES
    if one.text
    in {
        "C+(a)",
        "C(a) ; P(p), queried",
        "C+(a) ; C(b), not sticky",
        "O+(o) ; C(a) ; O(q) ; P(p)",
        "C(a) || C(b)",
        "C(a) ; (P(p) || R(r) || O(o))",
        "C(a) ; x?C(b):SKIP ; P(p)",
        "C(z) ; (C(a) else C(b)) ; P(p)",
        "C(z) ; each<=2 C(a[i]) ; P(p), concurrent",
        "C(z) ; each<=2 C(a[i]) ; P(p)",
        "C(z) ; {C(a) ; C(b)} ; C(e)",
        "{C(a) ; P(p) ; R(r)}! || C(c)",
    }
]
# In an order, in a drain, in an end. After each of them settling is still confluent: else there is
# more than one settled reading of the table, and each tool would take its own.
BUGS = ["undo order not guarded", "undo before the drain", "an undo error swallowed"]
_LIVELOCK = "from here the run can never come to rest"
_TITLE = re.compile(r"(I\d+)(?: (.*?))?: ")


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip where a program is missing, and say what to install."""
    missing = [one for one in programs if shutil.which(one) is None]
    reason = f"{', '.join(missing)} missing: apt install spin rumur gcc"
    return pytest.mark.skipif(bool(missing), reason=reason)


@attrs.frozen
class Said:
    """
    What a tool said.

    Args:
        states: how many it has stored.
        transitions: how many it has taken, as it counts them.
        errors: how many it has reported.
        lines: everything it has printed.
    """

    states: int
    transitions: int
    errors: int
    lines: tuple[str, ...]

    @property
    def broken(self) -> set[tuple[str, str]]:
        """Each rule and step that it names."""
        return {(x[1], x[2] or "") for x in _titles(self.lines)}


def _titles(lines: tuple[str, ...]) -> Iterator[re.Match[str]]:
    for line in lines:
        found = _TITLE.match(line.strip().removeprefix('invariant "'))
        if found is not None:
            yield found


@attrs.frozen
class Ours:
    """What the plain engine sees: all of it, with the states at rest, and those that are broken."""

    explored: Explored
    rests: int
    broken_states: int

    @property
    def broken(self) -> set[tuple[str, str]]:
        """Each rule and step that some state breaks."""
        return {(x.rule, x.step) for x in self.explored.breaches if x.message != _LIVELOCK}

    @property
    def nearest(self) -> tuple[int, set[tuple[str, str]]]:
        """How long a shortest run to a broken state is, and what such a run may break."""
        lengths = {
            (x.rule, x.step): len(x.path.moves)
            for x in self.explored.breaches
            if x.message != _LIVELOCK
        }
        least = min(lengths.values())
        return least, {one for one, length in lengths.items() if length == least}


def ours(network: Network) -> Ours:
    """Search a network with the plain engine."""
    found = search(network, limit=LIMIT)
    graph = graph_of(network, limit=LIMIT)
    assert found.complete
    states = [graph.values(number) for number in range(len(graph.nodes))]
    return Ours(
        found,
        sum(holds(network.rest, one) for one in states),
        sum(any(holds(x.guard, one) for x in network.forbidden) for one in states),
    )


def net(saga: Saga[Any, Any]) -> Network:
    """The network of a saga."""
    return network_of(lay_out(saga), compile_saga(saga))


def tampered(name: str) -> Network:
    """The network of a table with a bug in it."""
    return network_of(*planted(*PLANTED[name]))


def _started(folder: Path, *command: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    assert found is not None, text[-2_000:]
    return int(found[1])


def spin(text: str, folder: Path, *defines: str) -> Said:
    """Every state, whatever is broken there; rules that are broken are printed as they are met."""
    (folder / "m.pml").write_text(text)
    said = _started(folder, "spin", "-a", "m.pml")
    flags = ("-w", "-O0", "-DNOREDUCE", "-DSAFETY", *defines)
    said += _started(folder, "gcc", *flags, "-o", "pan", "pan.c")
    assert (folder / "pan").exists(), said[-2_000:]
    # One error ends a breadth-first search, else none does.
    errors = "-c1" if "-DBFS" in defines else "-c0"
    said = _started(folder, "./pan", "-m100000", "-w18", errors)
    return Said(
        _number(r"(\d+) states, stored", said),
        _number(r"(\d+) transitions", said),
        _number(r"errors: (\d+)", said),
        tuple(said.splitlines()),
    )


def spin_path(folder: Path) -> list[str]:
    """The run that Spin has found, as its commands; last, what is broken at its end."""
    said = _started(folder, "spin", "-t", "m.pml")
    # It warns where files of the same instant seem to be in the wrong order.
    lines = [line for line in said.splitlines() if not line.startswith("spin: warning")]
    end = next(number for number, line in enumerate(lines) if line.startswith("spin: "))
    return [line.strip() for line in lines[:end]]


def rumur(text: str, folder: Path) -> Said:
    """Until the first error, by a shortest run."""
    (folder / "m.m").write_text(text)
    flags = ("--deadlock-detection", "stuck", "--threads", "1", "--counterexample-trace", "diff")
    said = _started(folder, "rumur", *flags, "-o", "m.c", "m.m")
    said += _started(folder, "gcc", "-w", "-O0", "-march=native", "-o", "m", "m.c", "-lpthread")
    assert (folder / "m").exists(), said[-2_000:]
    said = _started(folder, "./m")
    none = "No error found" in said
    return Said(
        _number(r"(\d+) states", said),
        _number(r"(\d+) rules fired", said),
        0 if none else _number(r"(\d+) error\(s\) found", said),
        tuple(said.splitlines()),
    )
