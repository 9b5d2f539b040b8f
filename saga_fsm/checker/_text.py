"""A report in words: equal findings together, and of each run only what changed."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from saga_fsm.path import Path, PathMove


if TYPE_CHECKING:
    from saga_fsm.checker._report import Finding, Report

_WIDTH = 100
_CUT = {
    "": ("not everything was looked at", "a larger limit="),
    "states": ("there are more than {0.limit:,} states", "a larger limit="),
    "found": ("the search ended where something was found", "engine='explicit'"),
    "memory": ("the search takes more than {0.memory:,} bytes", "a larger memory="),
}
_LONGER = "a shorter run may be: the search for the shortest was cut short"
# How the message of a missing promise begins.
PROMISE = "the participant of "
# How the rule of a property begins.
PROPERTY = "P:"


def lines_of(report: Report) -> Iterator[str]:
    """The whole report, line by line."""
    yield f"{report.saga}: {report.verdict}"
    figures = [f"{report.states:,} states"]
    if report.transitions is not None:
        figures.append(f"{report.transitions:,} moves")
    if report.depth is not None:
        figures.append(f"{report.depth} levels")
    yield f"  {', '.join(figures)}, engine {report.engine}"
    for one in report.reductions:
        yield from wrapped("  ", one)
    yield from wrapped("  faults: ", ", ".join(report.faults))
    yield from wrapped("  bounds: ", "; ".join(report.bounds))
    yield from wrapped("  fairness: ", report.fairness)
    if report.together is not None:
        runs = report.together
        shared = ", ".join(runs.shared) or "nothing"
        text = f"{', '.join(runs.runs)}: {runs.verdict}, {runs.states:,} states; shared: {shared}"
        if runs.clashes:
            text += "; each countermeasure with its run: print(report.together)"
        yield from wrapped("  together: ", text)
    if report.without:
        yield f"  left out: {', '.join(report.without)}: never called safe"
    if report.interrupted:
        yield "  interrupted: only what was explored until then is said here"
    elif not report.complete:
        what, goes_on = _CUT[report.short_of]
        yield f"  cut short: {what.format(report)}; {goes_on} goes on"
    yield from ("  " + line for line in _findings(report.findings))


def _findings(findings: Sequence[Finding]) -> Iterator[str]:
    """Each once; a run is told in full for a missing promise, or else for the first of a rule."""
    promised = {id(x) for x in findings if x.path is not None and x.message.startswith(PROMISE)}
    told: set[str] = set()
    # What to do about it comes first; what follows from it, by its rule and its run, after it.
    shown: set[tuple[str, Path]] = set()
    for group in grouped(sorted(findings, key=lambda x: id(x) not in promised)):
        first = group[0]
        if first.path is None:
            yield from _said(group)
            yield from noted(first)
            continue
        if (first.rule, first.path) in shown:
            continue
        shown.add((first.rule, first.path))
        yield from _said(group)
        full = id(first) in promised if promised else first.rule not in told
        told.add(first.rule)
        # What a user has asked is answered in full.
        full = full or first.rule.startswith(PROPERTY)
        yield from run_of(first.path) if full else [f"     replay: {first.path.encode()}"]
        yield from noted(first)


def noted(finding: Finding) -> Iterator[str]:
    """What is to be seen on its run."""
    if not finding.shortest:
        yield f"     {_LONGER}"
    for note in finding.notes:
        yield from wrapped("     ", note)


def grouped(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings that say the same of several steps together, in the order of the first."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for number, finding in enumerate(findings):
        same = _same(finding) if finding.path is None and finding.step else str(number)
        groups.setdefault((finding.level, finding.rule, same), []).append(finding)
    return list(groups.values())


def _same(finding: Finding) -> str:
    return finding.message.replace(f"'{finding.step}'", "each")


def plain(path: str) -> str:
    """The path without the numbers of copies: ``line[2]/reserve`` is ``line/reserve``."""
    return "/".join(part.partition("[")[0] for part in path.split("/"))


def _said(findings: list[Finding]) -> Iterator[str]:
    first = findings[0]
    if first.rule.startswith(PROPERTY):
        # Its name may be as long as its predicates are.
        yield from wrapped(f"{first.level} ", f"{first.rule}: {first.message}")
    elif len(findings) == 1:
        yield from wrapped(f"{first.level} {first.rule}: ", first.message)
    else:
        steps = ", ".join(dict.fromkeys(plain(finding.step) for finding in findings))
        yield from wrapped(f"{first.level} {first.rule} ", f"{steps}: {_same(first)}")


def run_of(path: Path) -> Iterator[str]:
    """A run: what happened, what it changed, and the text that replays it."""
    width = max((len(_happened(move)) for move in path.moves), default=0)
    for number, move in enumerate(path.moves, 1):
        if number - 1 == path.loop:
            yield "     again and again, for ever:"
        # No-break spaces keep one change on one line.
        changes = [f"{what}: {was} > {now}".replace(" ", "\xa0") for what, was, now in move.changes]
        lines = wrapped(f"{number:>3}  {_happened(move):<{width}}  ", ", ".join(changes))
        yield from (line.replace("\xa0", " ") for line in lines)
    yield f"     replay: {path.encode()}"


def _happened(move: PathMove) -> str:
    return move.says or move.token


def wrapped(head: str, text: str) -> list[str]:
    """Text after a head, its further lines under the first."""
    room = max(_WIDTH - len(head) - 2, _WIDTH // 3)
    lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
    indent = " " * len(head)
    return [(head + lines[0]).rstrip(), *(indent + line for line in lines[1:])]
