"""
One search in a process of its own: it has its own memory and CPU time, and may not end.

``python -m tests.benchmarks.apart NumPy PAR 4`` prints what one engine made of one saga, as JSON.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import attrs

from saga_fsm import Saga
from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._engines import ENGINES, Subject
from saga_fsm.checker._explicit import explore as levels
from saga_fsm.checker._search import Explored, search
from saga_fsm.compiler import compile_saga
from saga_fsm.definition.layout import lay_out
from saga_fsm.product import Network, network_of
from tests.benchmarks.conc import conc
from tests.benchmarks.families import network as of
from tests.benchmarks.families import par, seq


LIMIT: Final = 100_000_000
SAGAS: Final[dict[str, Callable[[int], Saga[Any, Any, Any]]]] = {"SEQ": seq, "PAR": par}
NETWORKS: Final[dict[str, Callable[[int], Network]]] = {
    "SEQ": lambda size: of(seq(size)),
    "PAR": lambda size: of(par(size)),
    "CONC": lambda size: conc(size, faults="all", watched=False),
}


def by_numba(network: Network) -> Explored:
    """By compiled loops."""
    from saga_fsm.checker import _compiled

    return _compiled.explore(network, Bounds(LIMIT))


EXPLICIT: Final[dict[str, Callable[[Network], Explored]]] = {
    "plain": lambda network: search(network, limit=LIMIT),
    "NumPy": lambda network: levels(network, Bounds(LIMIT)),
    "numba": by_numba,
}


@attrs.frozen
class Searched:
    """
    What was found, and in how many CPU seconds.

    Args:
        states: how many there are.
        transitions: how many moves.
        seconds: of CPU.
        looked_at: how many states the search has held.
        safe: whether it came to its end and found nothing.
    """

    states: int
    transitions: int
    seconds: float
    looked_at: int = 0
    safe: bool = True


def apart(engine: str, family: str, size: int, *, seconds: int, megabytes: int) -> Searched | None:
    """Search in another process; None where it needs more than that, or dies of it."""

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    command = (sys.executable, "-m", "tests.benchmarks.apart", engine, family, str(size))
    done = subprocess.run(  # noqa: S603 - ours
        command, check=False, capture_output=True, text=True, preexec_fn=bound
    )
    return Searched(**json.loads(done.stdout)) if done.returncode == 0 else None


def searched(engine: str, family: str, size: int) -> Searched:
    """Search here and now. What is compiled beforehand does not count."""
    if engine in EXPLICIT:
        EXPLICIT[engine](of(seq(1)))
        network = NETWORKS[family](size)
        begin = time.process_time()
        found = EXPLICIT[engine](network)
    else:
        saga = SAGAS[family](size)
        begin = time.process_time()
        layout = lay_out(saga)
        subject = Subject(layout, network_of(layout, compile_saga(saga)))
        found = ENGINES[engine](subject, Bounds(LIMIT), None)
    return Searched(
        found.states,
        found.transitions or 0,
        time.process_time() - begin,
        found.looked_at or found.states,
        found.complete and not found.breaches,
    )


if __name__ == "__main__":
    print(json.dumps(attrs.asdict(searched(sys.argv[1], sys.argv[2], int(sys.argv[3])))))
