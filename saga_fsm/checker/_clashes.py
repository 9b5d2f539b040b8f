"""What several runs do to each other, and what was tried against it: as values, text and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import attrs

from saga_fsm.checker._report import Finding
from saga_fsm.checker._text import run_of, wrapped
from saga_fsm.path import Path


@attrs.frozen
class Trial:
    """
    One countermeasure, tried on one anomaly.

    Args:
        name: of the countermeasure.
        says: what it changes.
        removes: whether the anomaly is gone; None where that is not known.
        reason: why it is not known.
        path: the shortest run that still shows the anomaly.
        brings: what goes wrong with it that did not before.
    """

    name: str
    says: str
    removes: bool | None
    reason: str = ""
    path: Path | None = None
    brings: tuple[str, ...] = ()


@attrs.frozen
class Clash:
    """
    What goes wrong between runs, by the shortest run that shows it.

    Args:
        rule: "lost update", "dirty read", "fuzzy read", "deadlock" or "I11".
        level: "error" or "warning".
        resource: on which; of a deadlock, the locks.
        steps: run and path of the steps concerned; who does or suffers it first.
        message: one sentence.
        path: the run, to its last move.
        trials: the countermeasures that were tried.
    """

    rule: str
    level: str
    resource: str
    steps: tuple[str, ...]
    message: str
    path: Path
    trials: tuple[Trial, ...] = ()

    @property
    def removed_by(self) -> tuple[str, ...]:
        """The countermeasures that remove it and bring nothing else."""
        return tuple(x.name for x in self.trials if x.removes and not x.brings)

    @property
    def finding(self) -> Finding:
        """As a report lists it."""
        tried = ", ".join(self.removed_by) or "nothing that was tried"
        text = f"{self.message}. Removed by: {tried}" if self.trials else self.message
        return Finding(self.rule, self.level, self.steps[0], text, self.path)


@attrs.frozen
class Together:
    """
    What was found when several runs were searched together.

    Args:
        runs: their names, the saga's name or, of several of one, ``order#1``.
        verdict: "safe", "unsafe" or "incomplete".
        clashes: what goes wrong between them, errors first.
        notes: what else is to be said.
        shared: the resources and locks that more than one run names.
        states: of all runs together.
        transitions: moves between them.
        depth: levels of the search.
        engine: who searched.
        faults: what could go wrong in a run.
        left_out: what was not searched, because it changes nothing here.
        bounds: what was searched up to a bound only.
        limit: the bound on states.
        complete: whether the search came to its end.
        interrupted: the user ended it.
    """

    runs: tuple[str, ...]
    verdict: str
    clashes: tuple[Clash, ...]
    notes: tuple[Finding, ...]
    shared: tuple[str, ...]
    states: int
    transitions: int | None
    depth: int | None
    engine: str
    faults: tuple[str, ...]
    left_out: tuple[str, ...]
    bounds: tuple[str, ...]
    limit: int
    complete: bool
    interrupted: bool

    @property
    def ok(self) -> bool:
        """Whether the runs do each other no harm; False also when the search was cut short."""
        return self.verdict == "safe"

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The clashes, each with what removes it, and the notes."""
        return (*(clash.finding for clash in self.clashes), *self.notes)

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    def plain(self) -> dict[str, Any]:
        """As JSON has it: paths encoded."""
        made = attrs.asdict(self, recurse=False)
        made["clashes"] = [_plain(clash) for clash in self.clashes]
        made["notes"] = [note.plain() for note in self.notes]
        return {"ok": self.ok, **made}

    def to_json(self) -> str:
        """The same as one JSON object."""
        return json.dumps(self.plain())


def _plain(clash: Clash) -> dict[str, Any]:
    made = attrs.asdict(clash, recurse=False)
    made["path"] = clash.path.encode()
    made["removed_by"] = clash.removed_by
    made["trials"] = [
        {**attrs.asdict(x, recurse=False), "path": None if x.path is None else x.path.encode()}
        for x in clash.trials
    ]
    return made


def _lines(together: Together) -> Iterator[str]:
    yield f"{', '.join(together.runs)}: {together.verdict}"
    yield (
        f"  {together.states:,} states, {together.transitions:,} moves, {together.depth} levels, "
        f"engine {together.engine}"
    )
    yield from wrapped("  shared: ", ", ".join(together.shared) or "nothing")
    yield from wrapped("  faults: ", ", ".join(together.faults))
    text = ", ".join(together.left_out)
    yield from wrapped("  left out: ", f"{text}: each saga's own check has them")
    yield from wrapped("  bounds: ", "; ".join(together.bounds))
    if together.interrupted:
        yield "  interrupted: only what was explored until then is said here"
    elif not together.complete:
        yield f"  cut short: there are more than {together.limit:,} states; a larger limit= goes on"
    told: set[str] = set()
    for clash in together.clashes:
        yield from wrapped(f"  {clash.level} {clash.rule}: ", clash.message)
        # One run of a kind in full: the others are alike.
        full = clash.rule not in told
        told.add(clash.rule)
        run = run_of(clash.path) if full else [f"     replay: {clash.path.encode()}"]
        yield from (f"  {line}" for line in run)
        yield from _tried(clash)
    for note in together.notes:
        yield from wrapped(f"  {note.level} {note.rule}: ", note.message)
    says = {(x.name, x.says) for clash in together.clashes for x in clash.trials if x.removes}
    if says:
        yield "  what removes it, with the least change that was tried:"
    for name, text in sorted(says):
        yield from wrapped(f"    {name}: ", text)


def _tried(clash: Clash) -> Iterator[str]:
    """Which countermeasures help, which help and harm, which do not, and which are not known to."""
    if not clash.trials:
        return
    yield from wrapped("     removed by: ", ", ".join(clash.removed_by) or "nothing that was tried")
    for trial in clash.trials:
        if trial.removes and trial.brings:
            brings = ", ".join(trial.brings)
            yield from wrapped(f"     {trial.name}: ", f"removes it, and brings {brings}")
        elif trial.removes is None:
            yield from wrapped(f"     {trial.name}: ", trial.reason)
    others = ", ".join(x.name for x in clash.trials if x.removes is False)
    if others:
        yield from wrapped("     not by: ", f"{others} (the run that is left: in trials)")
