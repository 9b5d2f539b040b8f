"""
The odds of a saga by path: what may come of each leg, after how long, and how patient it is.

A leg is the action of a step, its query or its compensation, the compensation of a nested saga as a
whole, or a chooser: what the driver numbers the attempts of (machine.md 5).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import attrs

from saga_fsm.definition import Kind, Retry
from saga_fsm.definition._refuse import said
from saga_fsm.definition.layout import Layout, PlacedChoice, PlacedStep
from saga_fsm.errors import UnknownStepError
from saga_fsm.quant._odds import FAILURES, Odds, Split, refused, shared, split


#: The success of a leg, by its kind; of a query either word is one.
WELL = {"call": ("done",), "query": ("answered",), "compensate": ("compensated",)}


class Chance(NamedTuple):
    """One thing that may come of an attempt, its odds, and the mean seconds until it does."""

    outcome: str
    odds: float
    seconds: float


@attrs.frozen
class Leg:
    """
    One leg and what may come of an attempt of it; the first is success, where there is one.

    Args:
        path: of the step, nested saga or chooser.
        kind: "call", "query", "compensate" or "decide".
        chances: what has odds, and success even without.
        pending: a pause, or an action that answers PENDING.
        landed: of an attempt without an answer, the odds that its effect landed.
    """

    path: str
    kind: str
    chances: tuple[Chance, ...]
    pending: bool = False
    landed: float = 0.0

    def never_fails(self) -> dict[str, float]:
        """The odds of each outcome if it never failed."""
        if self.kind == "decide":
            good = {x.outcome: x.odds for x in self.chances if x.outcome != "chooser_failed"}
            total = sum(good.values())
            return {x.outcome: good.get(x.outcome, 0.0) / (total or 1.0) for x in self.chances}
        return {x.outcome: float(x.outcome in WELL[self.kind]) for x in self.chances}

    @property
    def fails(self) -> bool:
        """Whether anything but success has odds."""
        return any(
            odds != x.odds
            for x, odds in zip(self.chances, self.never_fails().values(), strict=True)
        )


class Patience:
    """
    How long a leg waits before each attempt, on average; None when there is none left.

    From attempt ``last`` on all waits are the same: a leg that is retried for ever needs no higher
    number.
    """

    def __init__(self, retry: Retry) -> None:
        self.retry = retry
        self.forever = retry.attempts is None
        self.last = 2 if retry.attempts is None else retry.attempts
        while self.forever and self.wait(self.last) != self.wait(self.last + 1):
            self.last += 1

    def wait(self, attempt: int) -> float | None:
        """Seconds before this attempt: half of the jitter is its mean."""
        return self.retry.wait(attempt, 0.5)


def legs_of(
    layout: Layout, odds: Mapping[Any, Any], default: Odds | None
) -> dict[tuple[str, str], Leg]:
    """
    Every leg of a saga by (kind, path), under the odds given.

    Raises:
        DefinitionError: odds that cannot be, or that are missing.
        UnknownStepError: odds for what the saga does not have.
    """
    if default is not None and not isinstance(default, Odds):
        raise refused(f"default is {said(default)}", "Give default=Odds(...), for every step.")
    given = _by_path(layout, odds)
    legs: list[Leg] = []
    for path, placed in layout.steps.items():
        legs.extend(_of_step(placed, given.get(path), default))
    for path, scope in layout.scopes.items():
        own = given.get(path)
        if scope.compensate is not None:
            if own is not None:
                _only_undone(path, own)
            legs.append(_undo(path, _odds(path, own, default)))
        elif own is not None:
            raise refused(
                f"'{path}' has no compensation of its own",
                "Give odds to the steps in it.",
                step=path,
            )
    legs.extend(_of_choice(layout, path, given.get(path)) for path in layout.decisions)
    patience = patience_of(layout)
    for leg in legs:
        if leg.kind != "decide":
            _must_end(leg, patience[leg.kind, leg.path], layout.steps.get(leg.path))
    return {(leg.kind, leg.path): leg for leg in legs}


def patience_of(layout: Layout) -> dict[tuple[str, str], Patience]:
    """The patience of each leg that may be attempted again."""
    patience = {}
    for path, placed in layout.steps.items():
        patience["call", path] = patience["query", path] = Patience(placed.retry)
        patience["compensate", path] = Patience(placed.compensation_retry)
    for path, scope in layout.scopes.items():
        patience["compensate", path] = Patience(scope.compensation_retry)
    return patience


# ---------------------------------------------------------------------- which path is meant


def _by_path(layout: Layout, odds: Mapping[Any, Any]) -> dict[str, Any]:
    """By path; what names one block exactly is stronger than what names all its copies."""
    found: dict[str, tuple[bool, Any]] = {}
    for key, value in odds.items():
        paths = meant(layout, key)
        exact = paths == [key]
        for path in paths:
            if exact or path not in found:
                found[path] = exact, value
            elif not found[path][0]:
                raise refused(
                    f"'{path}' has odds twice", "Name each step once, by value or by name."
                )
    return {path: value for path, (_, value) in found.items()}


def meant(layout: Layout, key: Any) -> list[str]:
    """
    The paths that a step's value, its name or its path stands for: all copies of one block.

    Raises:
        UnknownStepError: there is none, or blocks of one name that are not the same.
    """
    try:
        return [layout.find(key)]
    except UnknownStepError as error:
        # The copies of one step are one step here.
        paths = list(error.found)
        blocks = {_block(layout, path) for path in paths}
        if len(blocks) == 1:
            return paths
        raise


def _block(layout: Layout, path: str) -> int:
    if path in layout.steps:
        return id(layout.steps[path].step)
    if path in layout.scopes:
        return id(layout.scopes[path].saga)
    placed = layout.decisions[path]
    return id(placed.chooser if isinstance(placed, PlacedChoice) else placed.items)


# ---------------------------------------------------------------------- steps


def _odds(path: str, own: Any, default: Odds | None) -> Odds:
    value = default if own is None else own
    if value is None:
        raise refused(
            f"'{path}' has no odds",
            f"Give odds={{'{path}': Odds(...)}}, or default=Odds(...) for all that have none.",
            step=path,
        )
    if not isinstance(value, Odds):
        raise refused(
            f"the odds of '{path}' are {said(value)}", "Give Odds(rejected=..., ...).", step=path
        )
    return value


def _of_step(placed: PlacedStep, own: Any, default: Odds | None) -> Iterator[Leg]:
    path = placed.path
    if placed.step.pause_for is not None:
        yield _of_pause(placed, own)
        return
    odds = _odds(path, own, default)
    undone = placed.kind is Kind.COMPENSATABLE
    if own is not None:
        _check_own(placed, odds)
    unknown_seconds = odds.unknown_seconds
    if unknown_seconds is None:
        unknown_seconds = odds.seconds if placed.timeout is None else placed.timeout
    if placed.timeout is not None and max(odds.seconds, unknown_seconds) > placed.timeout:
        raise refused(
            f"'{path}' takes longer than its timeout of {placed.timeout:g} s",
            "An attempt is unknown after its timeout: give fewer seconds, and odds 'unknown'.",
            step=path,
        )
    parts = shared({name: getattr(odds, name) for name in FAILURES}, "done")
    seconds = {"unknown": unknown_seconds}
    yield Leg(
        path,
        "call",
        (
            Chance("done", parts["done"], odds.seconds),
            *(Chance(x, parts[x], seconds.get(x, odds.seconds)) for x in FAILURES if parts[x]),
        ),
        pending=odds.pending,
        landed=odds.landed_when_unknown,
    )
    if placed.step.query is not None:
        yield _simple(path, "query", "answered", odds.query_fails, odds.query_seconds)
    if undone:
        yield _undo(path, odds)


def _check_own(placed: PlacedStep, odds: Odds) -> None:
    """What was said of this very step must be able to happen."""
    path = placed.path
    if placed.kind is not Kind.COMPENSATABLE:
        _without(path, odds, "compensation_", f"a {placed.kind} step is never undone")
    if placed.step.query is None:
        _without(path, odds, "query_", "it has no query")
    if odds.pending and placed.step.query is not None:
        raise refused(
            f"'{path}' is pending and has a query: that is not forecast",
            "Leave pending out: its wait then lasts when the scope turns back.",
            step=path,
        )


def _without(path: str, odds: Odds, prefix: str, why: str) -> None:
    for name in (f"{prefix}fails", f"{prefix}seconds"):
        if getattr(odds, name):
            raise refused(
                f"'{path}' has '{name}', and {why}", f"Leave {name} out for it.", step=path
            )


def _only_undone(path: str, odds: Odds) -> None:
    for name in (*FAILURES, "seconds", "query_fails", "query_seconds"):
        if getattr(odds, name, 0.0):
            raise refused(
                f"'{path}' has '{name}', and a saga is not called: it is undone as a whole",
                f"Leave {name} out, and give it to the steps in the saga.",
                step=path,
            )


def _of_pause(placed: PlacedStep, own: Any) -> Leg:
    path, wait = placed.path, placed.step.pause_for
    known = isinstance(wait, int | float)
    if own is None:
        if not known:
            raise refused(
                f"how long pause '{path}' lasts, a function says",
                f"Give its mean: odds={{'{path}': Odds(seconds=...)}}.",
                step=path,
            )
        chances = (Chance("done", 1.0, float(wait)),)  # type: ignore[arg-type]
        return Leg(path, "call", chances, pending=True)
    odds = _odds(path, own, None)
    for name in ("rejected", "transient", *(("unknown", "seconds") if known else ())):
        if getattr(odds, name):
            why = "the clock answers it" if known else "only its function can fail, as unknown"
            raise refused(
                f"pause '{path}' has '{name}', and {why}", f"Leave {name} out.", step=path
            )
    seconds = float(wait) if known else odds.seconds  # type: ignore[arg-type]
    parts = shared({"unknown": odds.unknown}, "done")
    failing = (Chance("unknown", odds.unknown, 0.0),) if odds.unknown else ()
    chances = (Chance("done", parts["done"], seconds), *failing)
    return Leg(path, "call", chances, pending=True)


def _undo(path: str, odds: Odds) -> Leg:
    fails, seconds = odds.compensation_fails, odds.compensation_seconds
    return _simple(path, "compensate", "compensated", fails, seconds)


def _simple(path: str, kind: str, well: str, fails: float, seconds: float) -> Leg:
    parts = shared({"unknown": fails}, well)
    failing = (Chance("unknown", parts["unknown"], seconds),) if fails else ()
    return Leg(path, kind, (Chance(well, parts[well], seconds), *failing))


# ---------------------------------------------------------------------- choosers


def _of_choice(layout: Layout, path: str, own: Any) -> Leg:
    placed = layout.decisions[path]
    labels = (
        placed.labels
        if isinstance(placed, PlacedChoice)
        else tuple(str(n) for n in range(len(placed.body) + 1))
    )
    if own is None and len(labels) == 1:
        own = {labels[0]: 1.0}
    example = f"odds={{'{path}': {{{', '.join(f'{x!r}: ...' for x in labels)}}}}}"
    if own is None:
        raise refused(f"'{path}' has no odds for its labels", f"Give {example}.", step=path)
    if not isinstance(own, Split | Mapping):
        raise refused(f"the odds of '{path}' are {said(own)}", f"Give {example}.", step=path)
    odds = own if isinstance(own, Split) else Split(own)
    if unknown := sorted({str(x) for x in odds.labels} - set(labels)):
        raise refused(
            f"'{path}' has no label {', '.join(map(repr, unknown))}",
            f"It has: {', '.join(map(repr, labels))}.",
            step=path,
        )
    chances = tuple(Chance(x, share, odds.seconds) for x, share in split(odds).items())
    return Leg(path, "decide", chances)


def _must_end(leg: Leg, patience: Patience, placed: PlacedStep | None) -> None:
    """A leg that is retried for ever must be able to end."""
    if not patience.forever:
        return
    again = {"transient", "unknown"}
    if leg.kind == "call" and placed is not None:
        # Whoever may not repeat what is unknown does not wait then: that is the end of it.
        repeats = placed.contract.idempotent or placed.kind is Kind.READONLY
        again = again if repeats else {"transient"}
    if not any(x.odds for x in leg.chances if x.outcome not in again):
        what = {"call": "action", "query": "query", "compensate": "compensation"}[leg.kind]
        raise refused(
            f"the {what} of '{leg.path}' is retried for ever, and every attempt of it fails",
            "Such a run never ends: leave some odds that an attempt succeeds.",
            step=leg.path,
        )
