"""What an action, a compensation, a query and a chooser are given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, cast

import attrs
from typing_extensions import TypeVar


if TYPE_CHECKING:
    from saga_fsm.definition.steps import Step

Input = TypeVar("Input", covariant=True, default=object)
Services = TypeVar("Services", covariant=True, default=object)
Item = TypeVar("Item", covariant=True, default=object)
R = TypeVar("R")
D = TypeVar("D")
_MISSING: Any = object()


class Run(Protocol):
    """What a context reads of the run it belongs to."""

    @property
    def input(self) -> Any: ...
    @property
    def services(self) -> Any: ...
    @property
    def results(self) -> Mapping[str, Any]: ...
    @property
    def run_id(self) -> str: ...
    def locate(self, step: object, within: str) -> str: ...


@attrs.frozen
class _Alone:
    """The run of a context that a unit test made."""

    input: Any
    services: Any
    results: Mapping[str, Any]
    run_id: str

    def locate(self, step: object, within: str) -> str:  # noqa: ARG002 - there is no tree here
        return step if isinstance(step, str) else cast("str", getattr(step, "name", str(step)))


class Context(Generic[Input, Services, Item]):
    """
    What a step is given: the input, the services, its keys, earlier results.

    Frozen. For a unit test: ``Context(input=..., services=...)``.

    >>> ctx = Context(input=3, run_id="r1", step="charge", results={"create": "order-1"})
    >>> ctx.input, ctx.key, ctx.result_of("create")
    (3, 'r1/charge', 'order-1')
    """

    __slots__ = ("_compensating", "_index", "_item", "_run", "attempt", "step")

    step: str
    attempt: int

    def __init__(  # noqa: PLR0913 - keyword-only facts of one call
        self,
        *,
        input: Input = None,  # type: ignore[assignment] # noqa: A002 - the interface's word
        services: Services = None,  # type: ignore[assignment]
        results: Mapping[str, Any] | None = None,
        run_id: str = "run",
        step: str = "step",
        attempt: int = 1,
        compensating: bool = False,
        item: Item = None,  # type: ignore[assignment]
        index: int | None = None,
    ) -> None:
        run = _Alone(input, services, results or {}, run_id)
        _fill(self, run, step, attempt, compensating, item, index)

    @classmethod
    def _of(  # noqa: PLR0913, PLR0917 - the runner's fast way, positional on purpose
        cls,
        run: Run,
        step: str,
        attempt: int,
        compensating: bool,  # noqa: FBT001
        item: Any,
        index: int | None,
    ) -> Context[Any, Any, Any]:
        self = cls.__new__(cls)
        _fill(self, run, step, attempt, compensating, item, index)
        return self

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise attrs.exceptions.FrozenInstanceError

    @property
    def input(self) -> Input:
        """The saga's input; in a nested saga with ``given``, its own."""
        return cast("Input", self._run.input)

    @property
    def services(self) -> Services:
        """Whatever the caller gave as ``services=``."""
        return cast("Services", self._run.services)

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._run.run_id

    @property
    def action_key(self) -> str:
        """The idempotency key of the action; in a compensation, of the one it undoes."""
        return f"{self._run.run_id}/{self.step}"

    @property
    def key(self) -> str:
        """The idempotency key of this call, the same on every attempt."""
        return f"{self.action_key}/compensation" if self._compensating else self.action_key

    @property
    def item(self) -> Item:
        """In a copy of an ``each``: its item."""
        return cast("Item", self._item)

    @property
    def index(self) -> int | None:
        """In a copy of an ``each``: its index, from 0."""
        return self._index

    @property
    def results(self) -> Mapping[str, Any]:
        """The results so far by path: ``charge``, ``trip/hotel``."""
        return self._run.results

    def result_of(self, step: Step[Any, Any, Any, R] | str, default: D = _MISSING) -> R | D:
        """
        The result of a step that is done; within a copy, of this copy's.

        Raises:
            KeyError: it was not taken, or is not done, and no default was given.
        """
        path = self._run.locate(step, self.step)
        results = self._run.results
        if path in results:
            return cast("R", results[path])
        if default is _MISSING:
            message = f"step '{path}' has no result here: it was not taken or is not done"
            raise KeyError(message)
        return default

    def results_of(self, step: Step[Any, Any, Any, R] | str) -> list[R]:
        """After an ``each``: the results of all copies of a step, in order of their index."""
        name = step if isinstance(step, str) else step.name
        found = []
        for path, result in self._run.results.items():
            last = path.rpartition("/")[2]
            if last == name or last.startswith(f"{name}["):
                numbers = [int(x.partition("]")[0]) for x in path.split("[")[1:]]
                found.append((numbers, result))
        return [result for _, result in sorted(found, key=lambda pair: pair[0])]


_SETTERS = [Context.__dict__[name].__set__ for name in Context.__slots__]


def _fill(  # noqa: PLR0913, PLR0917 - one setter a slot, since the class is frozen
    ctx: Context[Any, Any, Any],
    run: Run,
    step: str,
    attempt: int,
    compensating: bool,  # noqa: FBT001
    item: Any,
    index: int | None,
) -> None:
    set_compensating, set_index, set_item, set_run, set_attempt, set_step = _SETTERS
    set_compensating(ctx, compensating)
    set_index(ctx, index)
    set_item(ctx, item)
    set_run(ctx, run)
    set_attempt(ctx, attempt)
    set_step(ctx, step)
