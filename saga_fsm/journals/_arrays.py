"""Appends as columns: so many as there are, Postgres gets them in one statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from saga_fsm.journals._sql import shown
from saga_fsm.ports import Append, Birth


# So many appends in one statement: its joins are nested loops.
_CHUNK = 100
_NOBODY = Birth("", "", "", "")


def rounds(appends: Sequence[Append]) -> Iterator[list[int]]:
    """Split appends so that none has two of one run, and none is too large; by their places."""
    left = list(range(len(appends)))
    while left:
        runs: set[str] = set()
        taken: list[int] = []
        rest: list[int] = []
        for n in left:
            run_id = appends[n].run_id
            if run_id in runs or len(taken) >= _CHUNK:
                rest.append(n)
            else:
                taken.append(n)
            # Those of one run keep their order.
            runs.add(run_id)
        yield taken
        left = rest


def columns(
    appends: Sequence[Append], marks: Sequence[int], places: Sequence[int], now: float | None
) -> dict[str, Any]:
    """Write appends as arrays: whatever is in them, it is one prepared statement."""
    some = [appends[n] for n in places]
    births = [one.birth or _NOBODY for one in some]
    entries = [(n, one, e) for n, one in enumerate(some, 1) for e in enumerate(one.entries, 1)]
    answers = [(n, *said) for n, one in enumerate(some, 1) for said in one.answers.items()]
    return {
        "now": now,
        "run_id": _texts(one.run_id for one in some),
        "expected": _numbers(one.expected for one in some),
        "fence": _numbers(one.fence for one in some),
        "after": _numbers(one.expected + len(one.entries) for one in some),
        "status": _texts(one.status.value for one in some),
        "unresolved": _texts(shown(one.unresolved) for one in some),
        "waiting": _texts(shown(one.waiting) for one in some),
        "owner": _texts(one.owner for one in some),
        "due": _numbers(one.due for one in some),
        "mark": _numbers(marks[n] for n in places),
        "born": _texts(str(one.birth is not None) for one in some),
        "saga": _texts(one.saga for one in births),
        "fingerprint": _texts(
            one.fingerprint if one.birth is None else one.birth.fingerprint for one in some
        ),
        "digest": _texts(one.digest for one in births),
        "of": _numbers(n for n, _, _ in entries),
        "position": _numbers(one.expected + nth for _, one, (nth, _) in entries),
        "event": _texts(entry.event for _, _, (_, entry) in entries),
        "at": _numbers(entry.at for _, _, (_, entry) in entries),
        "data": _texts(entry.data for _, _, (_, entry) in entries),
        "answers_of": _numbers(n for n, _, _ in answers),
        "word": _numbers(number for _, number, _ in answers),
        "answer": _texts(answer for _, _, answer in answers),
    }


def _numbers(values: Iterable[float | None]) -> str:
    return f"{{{','.join('NULL' if value is None else repr(value) for value in values)}}}"


def _texts(values: Iterable[str | None]) -> str:
    return f"{{{','.join('NULL' if value is None else _quoted(value) for value in values)}}}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
