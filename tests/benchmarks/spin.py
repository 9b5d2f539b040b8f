"""
Spin on our own export, beside our engines on the same networks: what ``checker.py`` prints.

Spin is compiled with -O2 and without partial-order reduction, and stores every state; its
compilation is not counted. All times are CPU seconds.
"""

from __future__ import annotations

import re
import resource
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from saga_fsm.interop.promela import to_promela
from saga_fsm.product import Network
from tests.benchmarks.apart import EXPLICIT, NETWORKS, Searched, apart


DEPTHS: Final = (100_000, 1_000_000, 10_000_000)
# A small table starts fast, a large one has no long chains: the best of them.
TABLES: Final = (18, 22, 26)
MEGABYTES: Final = 12_000
PLAIN: Final = 1_000_000  # states that the plain engine is asked for
SPIN: Final = "Spin"


@attrs.frozen
class Family:
    """
    Networks of one kind.

    Args:
        name: as ``NETWORKS`` has it.
        sizes: the largest first; the first that Spin ends in time is the one that counts.
        forms: of the export, "one" process or one for "each" participant: the faster counts.
    """

    name: str
    sizes: tuple[int, ...]
    forms: tuple[str, ...] = ("one", "each")


@attrs.frozen
class Beside:
    """
    All engines on one network.

    Args:
        name: of the network.
        form: of the export that Spin was faster with.
        engines: what each has found, by name; an engine is missing where it was not asked.
    """

    name: str
    form: str
    engines: dict[str, Searched]

    def rate(self, engine: str) -> float:
        """States a second; 0 where it was not asked."""
        one = self.engines.get(engine)
        return one.states / max(one.seconds, 1e-9) if one else 0.0

    def times(self, engine: str, other: str) -> float:
        """How many times as fast as the other one; 0 where one of them was not asked."""
        return self.rate(engine) / self.rate(other) if self.rate(other) else 0.0


def compiled(network: Network, folder: Path, form: str) -> Path:
    """Spin's verifier for a network."""
    folder.mkdir(parents=True)
    (folder / "m.pml").write_text(to_promela(network, processes=form == "each"))
    flags = ("-w", "-O2", "-DNOREDUCE", "-DSAFETY", f"-DMEMLIM={MEGABYTES}")
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
    # One error ends it: too small a stack is one, and a safe saga has no other.
    command = (str(pan), *options, "-c1", "-b")
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
    shallow = "search depth too small" in done.stdout
    if shallow or done.returncode or "not completed" in done.stdout or None in found:
        return shallow, None
    states, transitions = (int(x[1]) for x in found if x is not None)
    return False, Searched(states, transitions, spent, states)


def beside(family: Family, seconds: int) -> Iterator[Beside]:
    """The largest network that Spin ends in time; and the largest that the plain engine is for."""
    for size in family.sizes:
        one = _beside(family, size, seconds)
        if one is not None:
            yield one
            if "plain" in one.engines:
                return


def _beside(family: Family, size: int, seconds: int) -> Beside | None:
    network = NETWORKS[family.name](size)
    with tempfile.TemporaryDirectory() as place:
        spins: dict[str, Searched] = {}
        for form in family.forms:
            pan = compiled(network, Path(place) / form, form)
            ended = [one for bits in TABLES if (one := spun(pan, seconds, bits)) is not None]
            if ended:
                spins[form] = min(ended, key=lambda one: one.seconds)
    if not spins:
        return None
    form = min(spins, key=lambda form: spins[form].seconds)
    engines = {SPIN: spins[form]}
    for engine in EXPLICIT:
        if engine != "plain" or spins[form].states <= PLAIN:
            mine = apart(engine, family.name, size, seconds=20 * seconds, megabytes=MEGABYTES)
            if mine is not None:
                engines[engine] = mine
    counts = {one.states for one in (*spins.values(), *engines.values())}
    assert len(counts) == 1, (family.name, size, counts)
    return Beside(f"{family.name}({size})", form, engines)
