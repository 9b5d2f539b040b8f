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
# What takes fewer seconds is measured so often: a busy machine slows some of it.
QUICK: Final = 5.0
ROUNDS: Final = 3
LONGEST: Final = 120  # CPU seconds that an engine of ours has
SPIN: Final = "Spin"


@attrs.frozen
class Family:
    """
    Networks of one kind.

    Args:
        name: as ``NETWORKS`` has it.
        sizes: the smallest first: tried until Spin ends one no more, and then no further.
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
    ended = list(_ended(family, seconds))
    for size, form, found in reversed(ended):
        one = _beside(family, size, form, found)
        yield one
        if "plain" in one.engines:
            return


def _ended(family: Family, seconds: int) -> Iterator[tuple[int, str, Searched]]:
    """Each size that Spin ends in time, growing; with the form that it was faster with."""
    forms = family.forms
    quick = True
    for size in family.sizes:
        network = NETWORKS[family.name](size)
        spins: dict[str, Searched] = {}
        with tempfile.TemporaryDirectory() as place:
            for form in forms:
                pan = compiled(network, Path(place) / form, form)
                # What takes long is not repeated: the largest table has no long chains.
                tables = TABLES if quick else TABLES[-1:]
                times = [one for bits in tables if (one := spun(pan, seconds, bits)) is not None]
                if times:
                    spins[form] = min(times, key=lambda one: one.seconds)
        if not spins:
            return
        assert len({one.states for one in spins.values()}) == 1, (family.name, size, spins)
        form = min(spins, key=lambda form: spins[form].seconds)
        yield size, form, spins[form]
        # The slower form stays that, and there is no time to see by how much.
        forms = (form,)
        quick = spins[form].seconds < QUICK


def _beside(family: Family, size: int, form: str, by_spin: Searched) -> Beside:
    engines = {SPIN: by_spin}
    for engine in EXPLICIT:
        if engine == "plain" and by_spin.states > PLAIN:
            continue
        rounds = []
        for _ in range(ROUNDS):
            one = apart(engine, family.name, size, seconds=LONGEST, megabytes=MEGABYTES)
            if one is None:
                break
            rounds.append(one)
            if one.seconds > QUICK:
                break
        if rounds:
            engines[engine] = min(rounds, key=lambda one: one.seconds)
    counts = {one.states for one in engines.values()}
    assert len(counts) == 1, (family.name, size, counts)
    return Beside(f"{family.name}({size})", form, engines)
