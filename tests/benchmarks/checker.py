"""
Prints all figures of the checker, one a row: ``python -m tests.benchmarks.checker [section ...]``.

The sections are those of ``SECTIONS``. Each row has its goal, whether it is reached, the CPU
seconds that it took (children included), and the load of the machine. ``--tiny`` runs all of it on
sagas so small that the figures mean nothing.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, Final

import attrs

from saga_fsm.checker._engines import ENGINES
from tests.benchmarks import bugs, compose
from tests.benchmarks.apart import apart
from tests.benchmarks.spin import MEGABYTES, SPIN, Beside, Family, beside
from tests.quality.test_planted_bugs import BY_RULE, PLANTED


# What is asked of a search: a proof, within so many CPU seconds where that is a goal.
Proof = tuple[str, int, float | None]


@attrs.frozen
class Scale:
    """
    How much is measured.

    Args:
        families: what Spin and the explicit engines search.
        seconds: of CPU that Spin has.
        branches: of the parallel sagas that are reduced.
        reduced: CPU seconds that one of them has.
        proofs: what is proved symbolically.
        symbolic: CPU seconds that one of them has.
        composed: numbers of branches, the fewer first.
        bugs: their names.
        quant: how many of the subjects that Storm is asked about.
    """

    families: tuple[Family, ...]
    seconds: int
    branches: tuple[int, ...]
    reduced: int
    proofs: tuple[Proof, ...]
    symbolic: int
    composed: tuple[int, int]
    bugs: tuple[str, ...]
    quant: int | None = None


# Grown until Spin does not end one in a minute of a core of its own: of SEQ it takes eight times as
# long for twice the steps, 2.0 s for 40.
# Of SEQ only the form with one process: the other was the slower one at each size where both were
# measured, and repeats the settling for each step.
FULL: Final = Scale(
    families=(
        Family("SEQ", (40, 80, 110, 140), ("one",)),
        Family("PAR", (3, 4, 5)),
        Family("CONC", (1, 2, 3)),
    ),
    seconds=60,
    branches=(4, 5, 6),
    reduced=200,
    proofs=(("PAR", 20, 2.0), ("SEQ", 40, 10.0), ("PAR", 200, None), ("SEQ", 60, None)),
    symbolic=600,
    composed=(100, 1_000),
    bugs=(*PLANTED, *BY_RULE),
)
TINY: Final = Scale(
    families=(Family("CONC", (1,)),),
    seconds=60,
    branches=(2,),
    reduced=60,
    proofs=(("SEQ", 2, 10.0),),
    symbolic=60,
    composed=(2, 4),
    bugs=("undo order not guarded",),
    quant=0,
)


@attrs.frozen
class Row:
    """
    A figure.

    Args:
        what: is measured.
        value: of it; None where there is none, and ``told`` says why.
        told: it as a person reads it.
        goal: at most, or with ``least`` at least; None where there is none.
        least: see there.
    """

    what: str
    value: float | None
    told: str
    goal: float | None = None
    least: bool = False

    @property
    def verdict(self) -> str:
        """Whether the goal is reached, or by how much it is missed."""
        if self.goal is None:
            return ""
        if self.value is None:
            return "missed"
        if self.value >= self.goal if self.least else self.value <= self.goal:
            return "reached"
        few, many = sorted((self.value, self.goal))
        return f"missed {many / few:.2f} times" if few else "missed"


def spin(scale: Scale) -> Iterator[Row]:
    """States a second of Spin and of the explicit engines, equal counts asserted."""
    if shutil.which("spin") is None or shutil.which("gcc") is None:
        yield Row("Spin and the explicit engines", None, "Spin is absent: apt install spin gcc")
        return
    for family in scale.families:
        found = False
        for one in beside(family, scale.seconds):
            yield from _rates(one)
            if not found:
                yield _times(one, "NumPy", SPIN, 3.0)
                yield _times(one, "numba", SPIN, 7.0)
            if "plain" in one.engines:
                yield _times(one, "NumPy", "plain", 10.0)
            found = True
        if not found:
            yield Row(family.name, None, f"Spin ends none in {scale.seconds} s")


def _rates(one: Beside) -> Iterator[Row]:
    for engine, found in one.engines.items():
        name = f"{engine}, {one.form}" if engine == SPIN else engine
        told = f"{found.states:,} states, {found.seconds:.2f} s, {one.rate(engine):,.0f} a second"
        yield Row(f"{one.name} by {name}", one.rate(engine), told)


def _times(one: Beside, engine: str, other: str, goal: float) -> Row:
    times = one.times(engine, other)
    told = f"{times:.2f} times" if times else "not there"
    return Row(f"{one.name}, {engine} to {other}", times or None, told, goal, least=True)


def reduction(scale: Scale) -> Iterator[Row]:
    """How many times fewer states a reduced search looks at."""
    for size in scale.branches:
        whole = apart("symmetric", "PAR", size, seconds=scale.reduced, megabytes=MEGABYTES)
        for engine in ("symmetric", "reduced"):
            what = f"PAR({size}) {engine}, times fewer states"
            # The goal is that of all reductions together, on the largest.
            goal = 100.0 if engine == "reduced" and size >= 6 else None
            if engine not in ENGINES:
                yield Row(what, None, "the engine is not there", goal, least=True)
                continue
            one = (
                whole
                if engine == "symmetric"
                else apart(engine, "PAR", size, seconds=scale.reduced, megabytes=MEGABYTES)
            )
            if one is None or whole is None:
                yield Row(what, None, f"did not end in {scale.reduced} s", goal, least=True)
                continue
            fewer = whole.states / one.looked_at
            told = f"{fewer:,.1f} of {whole.states:,}: {one.looked_at:,}, {one.seconds:.1f} s"
            yield Row(what, fewer, told if one.safe else f"{told}, NOT SAFE", goal, least=True)


def symbolic(scale: Scale) -> Iterator[Row]:
    """Proofs by sets of states."""
    if find_spec("dd") is None:
        absent = "decision diagrams are absent: pip install 'saga-fsm[symbolic]'"
        yield Row("proofs by sets of states", None, absent)
        return
    for family, size, within in scale.proofs:
        what = f"{family}({size}) proved symbolically, s"
        # One that is to end at all has no other goal.
        goal = scale.symbolic if within is None else within
        one = apart("symbolic", family, size, seconds=scale.symbolic, megabytes=MEGABYTES)
        if one is None:
            yield Row(what, None, f"did not end in {scale.symbolic} s, {MEGABYTES:,} MB", goal)
            continue
        told = f"{one.seconds:.2f} s, {float(one.states):.3g} states"
        yield Row(what, one.seconds if one.safe else None, told, goal)


def composition(scale: Scale) -> Iterator[Row]:
    """Branches that are put together."""
    few, many = scale.composed
    short, long = compose.seconds(few), compose.seconds(many)
    yield Row(f"{many:,} branches composed, s", long, f"{long:.3f} s", compose.GOAL)
    ratio = long / short
    told = f"{ratio:.1f} times"
    yield Row(f"{many:,} branches to {few:,}, times as long", ratio, told, compose.RATIO)


def planted(scale: Scale) -> Iterator[Row]:
    """Bugs in sagas of twelve steps, each by a shortest run."""
    found = [bugs.search_for(bug) for bug in scale.bugs]
    late = [one for one in found if one.seconds > bugs.GOAL]
    told = f"{len(found) - len(late)} of {len(found)} within {bugs.GOAL} s"
    yield Row("planted bugs found late", len(late), told, 0)
    slowest = max(found, key=lambda one: one.seconds)
    told = f"{slowest.seconds:.3f} s: {slowest.bug}"
    yield Row("the slowest of them, s", slowest.seconds, told, bugs.GOAL)
    longer = [one.bug for one in found if one.moves != one.least]
    told = f"{len(found) - len(longer)} of {len(found)} verified"
    yield Row("runs that are not shortest", len(longer), told, 0)


def huge(scale: Scale) -> Iterator[Row]:
    """A step that promises too little, in sagas too large to be searched soon."""
    sizes = (60, 20) if scale is FULL else (3, 3)
    makes = ("SEQ", bugs.sequence), ("PAR", bugs.branches)
    for size, (name, make) in zip(sizes, makes, strict=True):
        one = bugs.in_the_whole(make(size))
        told = f"{one.seconds:.3f} s, {one.states:,} states, {one.moves} moves"
        yield Row(f"{name}({size}) with a broken promise, s", one.seconds, told)


def forecasts(scale: Scale) -> Iterator[Row]:
    """What a forecast differs from Storm by."""
    if find_spec("stormpy") is None:
        yield Row("forecasts beside Storm", None, "Storm is absent: pip install stormpy")
        return
    from tests.benchmarks import quant

    for name, saga in quant.SUBJECTS[: scale.quant] or [("one step", quant.sequence(1))]:
        one = quant.beside_storm(saga)
        told = f"{one.off_chance:.0e}, {one.states:,} states"
        yield Row(f"{name}: probability, off by", one.off_chance, told, 1e-9)
        yield Row(f"{name}: expectation, off by", one.off_mean, f"{one.off_mean:.0e}", 1e-7)


SECTIONS: Final[dict[str, Callable[[Scale], Iterator[Row]]]] = {
    "spin": spin,
    "reduction": reduction,
    "symbolic": symbolic,
    "compose": composition,
    "bugs": planted,
    "huge": huge,
    "quant": forecasts,
}


def table(scale: Scale, *sections: str) -> Iterator[str]:
    """The lines, as they are measured."""
    head = f"{'what':<44}{'goal':>12}  {'':<20}{'CPU':>9}{'load':>7}  figure"
    yield head
    for section in sections or SECTIONS:
        yield f"-- {section}"
        before = _spent()
        for row in SECTIONS[section](scale):
            goal = "" if row.goal is None else f"{'>=' if row.least else '<='} {row.goal:g}"
            spent, before = _spent() - before, _spent()
            yield (
                f"{row.what:<44}{goal:>12}  {row.verdict:<20}{spent:>7.1f} s"
                f"{os.getloadavg()[0]:>7.1f}  {row.told}"
            )


def _spent() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main(argv: list[Any]) -> int:
    """Print the table; 1 where a goal is missed."""
    scale = TINY if "--tiny" in argv else FULL
    sections = [one for one in argv if one != "--tiny"]
    unknown = [one for one in sections if one not in SECTIONS]
    if unknown:
        print(f"no section {', '.join(unknown)}: there are {', '.join(SECTIONS)}", file=sys.stderr)
        return 2
    missed = False
    for line in table(scale, *sections):
        print(line, flush=True)
        missed |= "  missed" in line
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
