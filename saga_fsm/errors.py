"""
Every exception of the library, split by whose fault it is.

::

    SagaError
    ├─ DefinitionError (ValueError)     you: before anything ran
    │   ├─ EmptySagaError · DuplicateStepError · UnknownStepError · PivotOrderError
    │   └─ UnstorableTypeError          an annotation names what no journal can keep
    ├─ UnstorableValueError             an input or a result that would not come back
    ├─ NoResultError (LookupError)      a result of a step that was not taken
    ├─ NoTransitionError                an event the state does not accept
    ├─ PropertyViolationError           the checker found a path; carries .path
    ├─ StateSpaceLimitError             the flattened machine is over the limit asked for
    ├─ RunConflictError                 the run id exists with another saga or input
    ├─ UnknownRunError (LookupError)    no run has this id
    ├─ NobodyAnswersError               a run waits for answers that nobody can give here
    ├─ RunningLoopError                 `run` inside an event loop
    ├─ MissingExtraError                an optional dependency is not installed
    ├─ DrawingEngineError               nothing here can turn DOT into a picture
    ├─ MalformedReplyError              a participant or a caller broke its contract
    └─ JournalError                     the store
        ├─ ConcurrentAppendError · LeaseLostError · MachineChangedError
        └─ StoreUnavailableError · StoreBrokenError · DecisionPendingError

A saga that went back cleanly is an outcome, never an exception. Every fact in a message is also an
attribute.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs


__all__ = [
    "ConcurrentAppendError",
    "DecisionPendingError",
    "DefinitionError",
    "DrawingEngineError",
    "DuplicateStepError",
    "EmptySagaError",
    "JournalError",
    "LeaseLostError",
    "MachineChangedError",
    "MalformedReplyError",
    "MissingExtraError",
    "NoResultError",
    "NoTransitionError",
    "NobodyAnswersError",
    "PivotOrderError",
    "PropertyViolationError",
    "RunConflictError",
    "RunningLoopError",
    "SagaError",
    "StateSpaceLimitError",
    "StoreBrokenError",
    "StoreUnavailableError",
    "UnknownRunError",
    "UnknownStepError",
    "UnstorableTypeError",
    "UnstorableValueError",
]


# Events that only an operator says.
_OPERATORS = frozenset({"retry", "resolve"})
# A saga may have thousands of steps; so many names are read.
_SHOWN = 12


def _listed(names: Sequence[str]) -> str:
    """Names in quotes; of many the first, and how many more."""
    text = ", ".join(f"'{name}'" for name in names[:_SHOWN])
    return f"{text} and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else text


def _nearest(name: str, known: Sequence[str]) -> list[str]:
    """All names, those first that may have been meant."""
    from difflib import get_close_matches

    close = get_close_matches(name, known)
    return [*close, *(other for other in known if other not in close)]


class SagaError(Exception):
    """Anything that this library raises on purpose."""

    def __reduce__(self) -> Any:
        # Facts are keywords, and BaseException would hand them back by position.
        if not attrs.has(type(self)):
            return super().__reduce__()
        kind: Any = type(self)
        return _again, (kind, {fact.name: getattr(self, fact.name) for fact in attrs.fields(kind)})


def _again(kind: type[SagaError], facts: dict[str, Any]) -> SagaError:
    return kind(**facts)


@attrs.define(auto_exc=True, kw_only=True)
class DefinitionError(SagaError, ValueError):
    """
    A saga that cannot be built.

    Args:
        message: one sentence of fact.
        rule: the rule that is broken, for instance ``"W3"``; empty for a plain bad argument.
        saga: name of the saga.
        step: name of the step, where one is to blame.
        file: the file in which it was defined.
        line: the line in that file.
        remedy: what to do.

    """

    message: str = ""
    rule: str = ""
    saga: str = ""
    step: str = ""
    file: str = ""
    line: int = 0
    remedy: str = ""

    def __str__(self) -> str:
        text = f"{self.message} ({self.rule})" if self.rule else self.message
        if self.file:
            text += f"\n  at {self.file}:{self.line}"
        if self.remedy:
            text += f"\n  {self.remedy}"
        return text


class EmptySagaError(DefinitionError):
    """A saga or a block without anything in it."""


@attrs.define(auto_exc=True, kw_only=True)
class DuplicateStepError(DefinitionError):
    """
    Two blocks of one saga with one name (W1).

    Args:
        picture: the steps around the two, one a line.

    """

    picture: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        if not self.message:
            self.message = f"saga '{self.saga}' has two blocks at '{self.step}'"

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *(f"    {line}" for line in self.picture)])


class PivotOrderError(DefinitionError):
    """Not compensatable, then at most one pivot, then retriable, on every path (W2, W3, W4)."""


@attrs.define(auto_exc=True, kw_only=True)
class UnknownStepError(DefinitionError):
    """
    A step that the saga does not have, or has more than once.

    Args:
        found: the paths that are meant equally, when there are several.
        known: the paths that there are.

    """

    found: tuple[str, ...] = ()
    known: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.found:
            return (
                f"saga '{self.saga}' has {len(self.found)} steps '{self.step}'\n"
                f"  Give the path of one: {_listed(self.found)}."
            )
        return (
            f"saga '{self.saga}' has no step '{self.step}'\n"
            f"  It has: {_listed(_nearest(self.step, self.known))}.\n"
            "  A step is named by its value, its name or its path; a changed copy "
            "(attrs.evolve) is another value."
        )


@attrs.define(auto_exc=True, kw_only=True)
class UnstorableTypeError(DefinitionError):
    """
    Annotations of a saga that name types which cannot be stored.

    Args:
        problems: one for each: where, and what to do.

    """

    problems: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        if not self.message:
            self.message = f"saga '{self.saga}' has data that no journal can keep"

    def __str__(self) -> str:
        remedy = [self.remedy] if self.remedy else []
        return "\n  ".join([self.message, *self.problems, *remedy])


@attrs.define(auto_exc=True, kw_only=True)
class UnstorableValueError(SagaError):
    """
    An input or a result that cannot be written, or would come back as something else.

    Args:
        what: whose it is: "result of step 'charge'".
        message: one clause of fact.
        remedy: what to do.
        saga: name of the saga.
        step: the path; empty for the saga's input.
        type: the type that it should have, as it is written.
        field: where in the value; empty for all of it.
        size: characters of its text, where that is too long.
        limit: characters that are allowed.

    """

    what: str
    message: str
    remedy: str = ""
    saga: str = ""
    step: str = ""
    type: str = ""
    field: str = ""
    size: int = 0
    limit: int = 0

    def __str__(self) -> str:
        at = f", field '{self.field}'" if self.field else ""
        typed = f" ({self.type})" if self.type else ""
        text = f"the {self.what}{typed}{at} cannot be stored: {self.message}"
        return f"{text}\n  {self.remedy}" if self.remedy else text


@attrs.define(auto_exc=True, kw_only=True)
class NoResultError(SagaError, LookupError):
    """The result of a step that was not taken, or is not done yet."""

    step: str
    known: tuple[str, ...] = ()

    def __str__(self) -> str:
        return (
            f"step '{self.step}' has no result here\n"
            f"  Results so far: {_listed(_nearest(self.step, self.known)) or 'none'}.\n"
            "  Read only what comes before on every path, or give a second argument for when "
            "it was not taken."
        )


@attrs.define(auto_exc=True, kw_only=True)
class NoTransitionError(SagaError):
    """
    An event that this state does not accept.

    Args:
        saga: name of the saga.
        state: in which it is.
        event: what was said.
        accepted: what it accepts.
        run_id: the run; empty for a machine alone.
        after: of an operator's word: the steps that have to be decided about before this one.
    """

    saga: str
    state: str
    event: str
    accepted: tuple[str, ...] = ()
    run_id: str = ""
    after: tuple[str, ...] = ()

    def __str__(self) -> str:
        run = f"run {self.run_id} of saga" if self.run_id else "saga"
        return (
            f"{run} '{self.saga}' is in '{self.state}' and does not accept '{self.event}'\n"
            f"  It accepts: {_listed(self.accepted) or 'nothing more, it is over'}.\n"
            f"  {self._cause()}"
        )

    def _cause(self) -> str:
        word = self.event.partition("(")[0]
        if self.after:
            step = self.event.partition("(")[2].rstrip(")").partition(",")[0]
            return (
                f"'{step}' is only asked for after {_listed(self.after)}: decide about that first."
            )
        if word in _OPERATORS:
            return "An operator can decide about a step only while the run is stuck on it."
        if not self.accepted:
            return "A run that is over stays as it is: start another."
        if any(event.partition("(")[0] == word for event in self.accepted):
            return "The word is right and the step is not: a step is named by its path."
        return "Events come in the order of the machine: machine.rows has them all."


@attrs.define(auto_exc=True, kw_only=True)
class PropertyViolationError(SagaError):
    """The checker found a run that breaks a rule: the message tells it, ``path`` is it."""

    message: str
    path: Any = None

    def __str__(self) -> str:
        return self.message


@attrs.define(auto_exc=True, kw_only=True)
class StateSpaceLimitError(SagaError):
    """The flattened machine is larger than the limit asked for."""

    saga: str
    limit: int

    def __str__(self) -> str:
        return (
            f"the flattened machine of saga '{self.saga}' has more than {self.limit:,} states\n"
            "  Parallel branches multiply. Read machine.rows instead, or call "
            "machine.flatten(limit=...) with a larger limit."
        )


@attrs.define(auto_exc=True, kw_only=True)
class RunConflictError(SagaError):
    """A run id that exists already, with another saga or another input."""

    run_id: str
    message: str

    def __str__(self) -> str:
        return (
            f"run '{self.run_id}' {self.message}\n"
            "  One run id is one run: give the same saga and input, or another id."
        )


class RunningLoopError(SagaError, RuntimeError):
    """``run`` was called inside a running event loop."""

    def __init__(self) -> None:
        super().__init__("run() was called inside a running event loop\n  Use `await arun(...)`.")


@attrs.define(auto_exc=True, kw_only=True)
class MissingExtraError(SagaError):
    """An optional dependency that is not installed."""

    what: str
    extra: str

    def __str__(self) -> str:
        return f"{self.what} is not installed\n  pip install 'saga-fsm[{self.extra}]'"


@attrs.define(auto_exc=True, kw_only=True)
class DrawingEngineError(SagaError):
    """
    No program here turns DOT into a picture, or the one there is did not.

    Args:
        message: one sentence of fact.
        remedy: what to do.
        written: the file that holds the DOT text instead.

    """

    message: str = "no drawing engine was found (dot or graphviz-pure)"
    remedy: str = "pip install 'saga-fsm[draw]', or read the DOT text in .source, which needs none"
    written: str = ""

    def __str__(self) -> str:
        wrote = f"; wrote {self.written}" if self.written else ""
        return f"{self.message}{wrote}\n  {self.remedy}"


@attrs.define(auto_exc=True, kw_only=True)
class MalformedReplyError(SagaError):
    """A participant, or a message, broke its contract."""

    message: str
    step: str = ""

    def __str__(self) -> str:
        fact = f"step '{self.step}': {self.message}" if self.step else self.message
        return f"{fact}\n  Mend the participant: the saga is checked under its contract."


class JournalError(SagaError):
    """The store could not do what was asked."""


@attrs.define(auto_exc=True, kw_only=True)
class ConcurrentAppendError(JournalError):
    """The journal is not at the expected position: somebody else wrote."""

    run_id: str
    expected: int
    actual: int

    def __str__(self) -> str:
        if self.actual == self.expected:
            return (
                f"run '{self.run_id}' is there already, and has no entry yet\n"
                "  Another has stored it; whoever claims it, starts it."
            )
        return (
            f"run '{self.run_id}' is at entry {self.actual}, not {self.expected}\n"
            "  Another owner went on with it; drop this one's work and read the journal again."
        )


@attrs.define(auto_exc=True, kw_only=True)
class LeaseLostError(JournalError):
    """Another owner holds a newer fence."""

    run_id: str
    fence: int = 0
    newer: int = 0

    def __str__(self) -> str:
        return (
            f"run '{self.run_id}' has another owner (fence {self.newer}, ours is {self.fence})\n"
            "  It goes on there; drop this owner's work."
        )


@attrs.define(auto_exc=True, kw_only=True)
class MachineChangedError(JournalError):
    """
    A stored run was started under another machine.

    Args:
        run_id: the run.
        saga: name of its saga.
        stored: fingerprint of the machine under which it is stored.
        current: of those that are here.
        reason: why the upgrade that there is does not take it; empty when there is none.
    """

    run_id: str
    saga: str
    stored: str
    current: str
    reason: str = ""

    def __str__(self) -> str:
        fact = (
            f"run '{self.run_id}' of saga '{self.saga}' began under machine {self.stored}, "
            f"this one is {self.current}"
        )
        beside = "Orchestrator(new, old, ...), under which it ends"
        if self.reason:
            return (
                f"{fact}, and it may not go on there: {self.reason}\n"
                f"  Give the old version beside the new one: {beside}."
            )
        return (
            f"{fact}\n"
            "  Give upgrades=[diff(old, new)], by which it goes on where that is proven, or the "
            f"old version beside the new one: {beside}."
        )


@attrs.define(auto_exc=True, kw_only=True)
class StoreUnavailableError(JournalError):
    """
    The store cannot be written or reached for now: full, locked, gone.

    Args:
        store: where it is, without credentials.
        message: what it said.
        unknown: whether what was asked may have been done; else nothing was changed.
    """

    store: str
    message: str
    unknown: bool = False

    def __str__(self) -> str:
        outcome = (
            "Whether it was written is not known: read the run, or bring the same again."
            if self.unknown
            else "Nothing was changed. Mend it and try again; orchestrators go on by themselves."
        )
        return f"the journal {self.store} cannot be used now: {self.message}\n  {outcome}"


@attrs.define(auto_exc=True, kw_only=True)
class StoreBrokenError(JournalError):
    """What is stored is no journal of this version."""

    store: str
    message: str
    remedy: str = "Restore it from a backup, or give the file of a journal."

    def __str__(self) -> str:
        return f"the journal {self.store} cannot be read: {self.message}\n  {self.remedy}"


@attrs.define(auto_exc=True, kw_only=True)
class NobodyAnswersError(SagaError):
    """A run has nothing left to do but to wait for answers, and nobody can give one here."""

    run_id: str
    waiting: tuple[str, ...]

    def __str__(self) -> str:
        steps = ", ".join(f"'{step}'" for step in self.waiting)
        return (
            f"run '{self.run_id}' waits for {steps}, and nobody can answer here\n"
            "  Give answers={step: function of ctx}, or the step a timeout."
        )


@attrs.define(auto_exc=True, kw_only=True)
class UnknownRunError(SagaError, LookupError):
    """No run has this id."""

    run_id: str
    store: str = ""

    def __str__(self) -> str:
        where = f" in {self.store}" if self.store else " in this journal"
        return (
            f"there is no run '{self.run_id}'{where}\n"
            "  Check the id and the journal: `saga-fsm runs list --journal URL` shows them."
        )


@attrs.define(auto_exc=True, kw_only=True)
class DecisionPendingError(JournalError):
    """A word to a run is stored, and nobody has acted on it yet."""

    run_id: str
    word: str

    def __str__(self) -> str:
        return (
            f"'{self.word}' is stored for run '{self.run_id}', and nobody has acted on it yet\n"
            "  It is heard as soon as an orchestrator that knows the saga has the run, which may "
            "still refuse it: `saga-fsm runs show`, or show(), says what became of it."
        )
