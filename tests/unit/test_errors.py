"""Errors: readable, with every fact as an attribute, and able to travel."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from saga_fsm import errors


FACTS: list[tuple[type[errors.SagaError], dict[str, Any]]] = [
    (errors.DefinitionError, {"message": "m", "rule": "W1", "step": "a", "file": "f", "line": 3}),
    (errors.DuplicateStepError, {"message": "m", "rule": "W1", "remedy": "r"}),
    (errors.UnknownStepError, {"saga": "s", "step": "a", "known": ("b",)}),
    (errors.NoTransitionError, {"saga": "s", "state": "x", "event": "e", "accepted": ("f",)}),
    (errors.NoResultError, {"step": "a", "known": ()}),
    (errors.PropertyViolationError, {"message": "m"}),
    (errors.StateSpaceLimitError, {"saga": "s", "limit": 1000}),
    (errors.RunConflictError, {"run_id": "r", "message": "m"}),
    (errors.MissingExtraError, {"what": "graphviz", "extra": "draw"}),
    (errors.ConcurrentAppendError, {"run_id": "r", "expected": 1, "actual": 2}),
    (errors.LeaseLostError, {"run_id": "r", "fence": 1, "newer": 2}),
    (errors.MachineChangedError, {"run_id": "r", "saga": "s", "stored": "a", "current": "b"}),
]


@pytest.mark.parametrize(("kind", "facts"), FACTS, ids=lambda x: getattr(x, "__name__", ""))
def test_facts_are_attributes_and_survive_pickling(
    kind: type[errors.SagaError], facts: dict[str, Any]
) -> None:
    """Every fact is an attribute, and comes back with the same text on another machine."""
    error = kind(**facts)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert {name: getattr(again, name) for name in facts} == facts
    assert str(again) == str(error) != ""


def test_errors_without_facts_travel_too() -> None:
    """What has only a text comes back with it."""
    for error in (errors.SagaError("gone\n  Look elsewhere."), errors.JournalError("closed")):
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
        assert (type(again), str(again)) == (type(error), str(error))


def test_a_duplicate_without_a_text_has_one() -> None:
    """Whoever finds two blocks at one path need not find the words for it."""
    assert str(errors.DuplicateStepError(saga="s", step="a")) == "saga 's' has two blocks at 'a'"


def test_every_error_is_documented_and_ours() -> None:
    """All names stand in the tree of the module's docstring, and have one root."""
    for name in errors.__all__:
        assert name in (errors.__doc__ or "")
        assert issubclass(getattr(errors, name), errors.SagaError)
