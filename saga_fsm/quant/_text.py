"""A forecast in words: outcomes, steps by what they cost, and what an operator will be owed."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import attrs

from saga_fsm.machine import Status


if TYPE_CHECKING:
    from saga_fsm.quant._forecast import Contribution, Figure, Forecast

_WIDTH = 100
# A saga may have thousands of steps; so many are read, and JSON has all.
_SHOWN = 20
_DIGITS = 4
# Bounds so close are one number in what is printed.
_CLOSE = 1e-9
_LEFT_OUT = (
    "cancels, deadlines, crashes, answers that come late, and operators: a run that is stuck stays "
    "so"
)
_IF_NEVER = (
    "what would change if no call of that step ever failed; "
    "seconds are those of all calls and waits"
)


def lines_of(forecast: Forecast) -> Iterator[str]:
    """The whole forecast, line by line."""
    yield _headline(forecast)
    yield f"  {forecast.states:,} states, {forecast.edges:,} moves between them"
    if not forecast.sequential:
        text = (
            f"up to {forecast.widest} calls and waits are open at once, and which ends next is not "
            "known: where two numbers stand, no order of events gives less or more"
        )
        yield from _wrapped("  order: ", text)
    yield from _wrapped("  left out: ", _LEFT_OUT)
    yield ""
    yield from _table(list(_outcomes(forecast)))
    if forecast.owed:
        yield ""
        yield from _table(list(_owed(forecast)))
    yield ""
    yield from _table(list(_steps(forecast)))
    yield from _wrapped("  if never: ", _IF_NEVER)


def _headline(forecast: Forecast) -> str:
    done = forecast.probability[Status.COMPLETED]
    stuck = forecast.probability[Status.STUCK]
    return (
        f"{forecast.saga}: completes with probability {chance(done)}, stuck {chance(stuck)}, "
        f"in {seconds(forecast.elapsed)} on average"
    )


def _outcomes(forecast: Forecast) -> Iterator[Sequence[str]]:
    yield "outcome", "probability", "runs"
    for status, figure in forecast.probability.items():
        yield status.value, chance(figure), _one_in(figure)
    if not forecast.sequential:
        yield "", "", ""
        yield "work, all calls and waits", seconds(forecast.work), ""
    yield "from start to rest", seconds(forecast.elapsed), ""


def _owed(forecast: Forecast) -> Iterator[Sequence[str]]:
    yield "an operator owes", "probability", "runs"
    owed = sorted(forecast.owed.items(), key=lambda one: -one[1].middle)
    for (path, what), figure in owed[:_SHOWN]:
        yield f"{what} {path}", chance(figure), _one_in(figure)
    if len(owed) > _SHOWN:
        yield f"and {len(owed) - _SHOWN:,} more", "", ""


def _steps(forecast: Forecast) -> Iterator[Sequence[str]]:
    yield "step", "attempts", "queries", "undone", "if never: completed", "stuck", "seconds"
    changes = {one.step: one for one in forecast.contributions}
    calls = (forecast.attempts, forecast.queries, forecast.compensations)
    # A step that cannot fail changes nothing: it comes last.
    steps = list(dict.fromkeys((*changes, *(path for each in calls for path in each))))
    for path in steps[:_SHOWN]:
        counts = ((number(each[path]) if path in each else "") for each in calls)
        yield path, *counts, *_changes(changes.get(path))
    if len(steps) > _SHOWN:
        yield f"and {len(steps) - _SHOWN:,} more", "", "", "", "", "", ""


def _changes(one: Contribution | None) -> tuple[str, str, str]:
    if one is None:
        return "", "", ""
    return change(one.completed), change(one.stuck), change(one.work)


# ---------------------------------------------------------------------- numbers in words


def chance(figure: Figure) -> str:
    """A probability; near 1 by what is missing."""
    known = max(figure.least.width, figure.most.width)

    def said(value: float) -> str:
        text = f"{value:.{_DIGITS}g}"
        # What the bounds cannot tell from nothing is not missing.
        return f"1 - {1 - value:.2g}" if text == "1" and 1 - value > known else text

    return _between(figure, said)


def number(figure: Figure) -> str:
    """A mean."""
    return _between(figure, lambda value: f"{value:.{_DIGITS}g}")


def seconds(figure: Figure) -> str:
    """A duration."""
    return f"{number(figure)} s"


def change(figure: Figure) -> str:
    """A difference, with its sign; none where the bounds say no more than that."""
    if figure.lower <= 0 <= figure.upper and figure.upper - figure.lower < _CLOSE:
        return "0"
    ways = sorted((figure.least, figure.most), key=lambda one: one.middle)
    return _between(attrs.evolve(figure, least=ways[0], most=ways[1]), lambda x: f"{x:+.3g}")


def _between(figure: Figure, said: Callable[[float], str]) -> str:
    """One number where both say the same in so many digits; else the two, outermost bounds."""
    least, most = figure.least, figure.most
    if least.width <= _CLOSE and most.width <= _CLOSE:
        texts = [said(least.middle), said(most.middle)]
    else:
        texts = [said(min(least.lower, most.lower)), said(max(least.upper, most.upper))]
    return texts[0] if texts[0] == texts[1] else " to ".join(texts)


def _one_in(figure: Figure) -> str:
    if not 0 < figure.middle < 0.5 or not figure.decided:
        return ""
    return f"1 in {float(f'{1 / figure.middle:.3g}'):,.0f}"


def _wrapped(head: str, text: str) -> Iterator[str]:
    lines = textwrap.wrap(text, _WIDTH - len(head), break_long_words=False)
    yield head + lines[0]
    yield from (" " * len(head) + line for line in lines[1:])


def _table(rows: list[Sequence[str]]) -> Iterator[str]:
    """Columns as wide as what stands in them, the first to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    used = [i for i, _ in enumerate(widths) if any(row[i] for row in rows[1:])]
    for row in rows:
        cells = (row[i].ljust(widths[i]) if i == 0 else row[i].rjust(widths[i]) for i in used)
        yield f"  {'  '.join(cells)}".rstrip()
