"""
The largest sagas that Spin ends within a minute, and our engines on the same networks.

``python -m tests.benchmarks.spin [seconds]`` prints one line for each size. Spin is compiled with
-O2 and without partial-order reduction, stores every state, and reads our own export, in both its
forms; its compilation is not counted. All times are CPU seconds of this run.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import attrs

from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._explicit import explore as levels
from saga_fsm.checker._search import Explored, search
from saga_fsm.interop.promela import to_promela
from saga_fsm.product import Network
from tests.benchmarks.conc import conc
from tests.benchmarks.families import network as of
from tests.benchmarks.families import par, seq


LIMIT: Final = 100_000_000
DEPTHS: Final = (100_000, 1_000_000, 10_000_000, 100_000_000)
MEMORY: Final = 12_000  # MB, for Spin
# By name: the network of a size. The sizes to try, smallest first, until Spin does not end in time.
FAMILIES: Final[dict[str, tuple[Callable[[int], Network], tuple[int, ...]]]] = {
    "SEQ": (lambda size: of(seq(size)), (5, 10, 15)),
    "PAR": (lambda size: of(par(size)), (3, 4, 5)),
    "CONC": (lambda size: conc(size, watched=False), (2, 3, 4)),
}


def plainly(network: Network) -> tuple[int, int]:
    """States and transitions by the plain engine."""
    return _counted(search(network, limit=LIMIT))


def by_numpy(network: Network) -> tuple[int, int]:
    """The same, whole levels at once."""
    return _counted(levels(network, Bounds(LIMIT)))


def by_numba(network: Network) -> tuple[int, int]:
    """The same by compiled loops; their compilation is not counted."""
    from saga_fsm.checker import _compiled

    return _counted(_compiled.explore(network, Bounds(LIMIT)))


def _counted(found: Explored) -> tuple[int, int]:
    assert found.complete
    assert found.transitions is not None
    return found.states, found.transitions


# What gives the numbers of states and transitions, and up to how many states it is worth waiting
# for: another engine is one more line.
ENGINES: Final[dict[str, tuple[Callable[[Network], tuple[int, int]], int]]] = {
    "plain": (plainly, 1_000_000),
    "NumPy": (by_numpy, 20_000_000),
    "numba": (by_numba, 20_000_000),
}


@attrs.frozen
class Searched:
    """What Spin has stored, and in how many CPU seconds."""

    states: int
    transitions: int
    seconds: float


def compiled(network: Network, folder: Path, *, processes: bool) -> Path:
    """Spin's verifier for a network."""
    folder.mkdir()
    (folder / "m.pml").write_text(to_promela(network, processes=processes))
    flags = ("-w", "-O2", "-DNOREDUCE", "-DSAFETY", f"-DMEMLIM={MEMORY}")
    for command in (("spin", "-a", "m.pml"), ("gcc", *flags, "-o", "pan", "pan.c")):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)  # noqa: S603 - ours
    return folder / "pan"


def spun(pan: Path, seconds: int, bits: int) -> Searched | None:
    """Every state, by Spin; None where it does not end in so many CPU seconds."""
    # A stack that is larger than what is needed costs seconds.
    for depth in DEPTHS:
        shallow, found = _spun(pan, seconds, f"-w{bits}", f"-m{depth}")
        if not shallow:
            return found
    return None


def _spun(pan: Path, seconds: int, *options: str) -> tuple[bool, Searched | None]:
    """Whether the stack was too small; and what was found."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = (str(pan), *options, "-c0")
    done = subprocess.run(  # noqa: S603 - ours
        command,
        cwd=pan.parent,
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds)),
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found = [re.search(rf"(\d+) {what}", done.stdout) for what in ("states, stored", "transitions")]
    if done.returncode or "not completed" in done.stdout or None in found:
        return "max search depth too small" in done.stdout, None
    states, transitions = (int(x[1]) for x in found if x is not None)
    return "max search depth too small" in done.stdout, Searched(states, transitions, spent)


def timed(engine: Callable[[Network], tuple[int, int]], network: Network) -> Searched:
    """One of our engines."""
    begin = time.process_time()
    states, transitions = engine(network)
    return Searched(states, transitions, time.process_time() - begin)


def rows(seconds: int) -> Iterator[str]:
    """A line for each family, size and engine; equal numbers of states are asserted."""
    with tempfile.TemporaryDirectory() as place:
        for family, (make, sizes) in FAMILIES.items():
            for size in sizes:  # the next one is not tried where Spin does not end
                name = f"{family}({size})"
                network = make(size)
                spins = dict(_both(network, Path(place) / name, seconds))
                if not spins:
                    yield f"{name:9} Spin does not end in {seconds} s"
                    break
                best = min(spins, key=lambda form: spins[form].seconds)
                for form, one in spins.items():
                    yield _row(name, f"Spin, {form}", one, spins[best])
                for engine, (call, most) in ENGINES.items():
                    if spins[best].states > most:
                        continue
                    mine = timed(call, network)
                    assert all(one.states == mine.states for one in spins.values())
                    yield _row(name, engine, mine, spins[best])


def _both(network: Network, folder: Path, seconds: int) -> Iterator[tuple[str, Searched]]:
    folder.mkdir()
    for form in ("flat", "processes"):
        pan = compiled(network, folder / form, processes=form == "processes")
        # A small table starts fast, a large one has no long chains: the best of them.
        tries = [spun(pan, seconds, bits) for bits in (18, 22, 24)]
        ended = [one for one in tries if one is not None]
        if ended:
            yield form, min(ended, key=lambda one: one.seconds)


def _row(name: str, engine: str, one: Searched, best: Searched) -> str:
    rate = one.states / one.seconds if one.seconds else 0.0
    return (
        f"{name:9} {engine:16} {one.states:>11,} states {one.transitions:>12,} transitions"
        f" {one.seconds:>8.2f} s {rate:>11,.0f} states/s"
        f" {best.seconds / one.seconds if one.seconds else 0.0:>7.2f} x Spin"
    )


def main(argv: list[str]) -> None:
    """Print the table."""
    by_numba(of(seq(1)))
    for line in rows(int(argv[0]) if argv else 60):
        print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
