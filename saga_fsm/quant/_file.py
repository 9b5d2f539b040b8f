"""Odds as JSON: read, and a file to fill in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

from saga_fsm.definition import Kind, Saga
from saga_fsm.definition.layout import Layout, PlacedChoice, lay_out
from saga_fsm.quant._legs import meant
from saga_fsm.quant._odds import Odds, Split, refused


_SPLIT = frozenset({"labels", "fails", "seconds"})


def read_odds(saga: Saga[Any, Any, Any], text: str) -> tuple[dict[str, Odds | Split], Odds | None]:
    """
    What a file of odds says: ``odds`` and ``default`` of a forecast.

    One object: ``default`` has the odds of every step that has none of its own, ``odds`` those of
    each step, chooser or ``each`` by name or path.

    Raises:
        DefinitionError: it is no JSON, or names what odds do not have.
        UnknownStepError: it names what the saga does not have.
    """
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise refused(f"the odds are not JSON: {error}", _REMEDY) from error
    if not isinstance(given, dict) or not set(given) <= {"default", "odds"}:
        raise refused("the odds are no object with 'default' and 'odds'", _REMEDY)
    layout = lay_out(saga)
    default = _odds("default", given["default"]) if "default" in given else None
    named = given.get("odds", {})
    if not isinstance(named, dict):
        raise refused("'odds' is no object", _REMEDY)
    return {name: _of(layout, name, one) for name, one in named.items()}, default


_REMEDY = 'Give {"default": {"rejected": 0.01}, "odds": {"charge": {"seconds": 0.2}}}.'


def _of(layout: Layout, name: str, given: Any) -> Odds | Split:
    if meant(layout, name)[0] not in layout.decisions:
        return _odds(name, given)
    labels = given
    options: dict[str, Any] = {}
    if isinstance(given, Mapping) and isinstance(given.get("labels"), Mapping):
        labels = given["labels"]
        options = {key: value for key, value in given.items() if key != "labels"}
        if odd := sorted(set(given) - _SPLIT):
            raise refused(f"the odds of '{name}' have no {odd[0]!r}", _known(_SPLIT), step=name)
    return Split(labels, **options)


def _odds(name: str, given: Any) -> Odds:
    known = [field.name for field in attrs.fields(Odds)]
    if not isinstance(given, dict):
        raise refused(f"the odds of '{name}' are no object", _known(known), step=name)
    if odd := sorted(set(given) - set(known)):
        raise refused(f"the odds of '{name}' have no {odd[0]!r}", _known(known), step=name)
    return Odds(**given)


def _known(names: Any) -> str:
    return f"They have: {', '.join(sorted(names))}."


def template(saga: Saga[Any, Any, Any], odds: Odds) -> str:
    """
    A file of odds to fill in: every step with what can happen to it, labels equally likely.

    Args:
        saga: whose steps are listed.
        odds: the numbers that stand there to begin with.
    """
    layout = lay_out(saga)
    listed: dict[str, Any] = {}
    for path, step in layout.steps.items():
        if step.step.pause_for is None:
            listed[path] = _fields(
                odds,
                query=step.step.query is not None,
                undo=step.kind is Kind.COMPENSATABLE,
            )
        elif not isinstance(step.step.pause_for, int | float):
            listed[path] = {"seconds": odds.seconds}
    for path, scope in layout.scopes.items():
        if scope.compensate is not None:
            listed[path] = {x: getattr(odds, x) for x in _UNDO}
    listed.update({path: {"labels": dict(one.labels)} for path, one in even(saga).items()})
    return json.dumps({"odds": listed}, indent=2)


_CALL = ("rejected", "transient", "unknown", "seconds")
_QUERY = ("landed_when_unknown", "query_fails", "query_seconds")
_UNDO = ("compensation_fails", "compensation_seconds")


def _fields(odds: Odds, *, query: bool, undo: bool) -> dict[str, Any]:
    names = (*_CALL, *(_QUERY if query else ()), *(_UNDO if undo else ()))
    return {name: getattr(odds, name) for name in names}


def even(saga: Saga[Any, Any, Any]) -> dict[str, Split]:
    """Each label and each number of items as likely as any other: where nothing is known."""
    found = {}
    for path, block in lay_out(saga).decisions.items():
        labels = (
            block.labels
            if isinstance(block, PlacedChoice)
            else tuple(str(n) for n in range(len(block.body) + 1))
        )
        if len(labels) > 1:
            found[path] = Split(dict.fromkeys(labels, 1 / len(labels)))
    return found
