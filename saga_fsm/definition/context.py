"""What a step is given: the input, the services, the key, the results so far."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Never, NoReturn, TypeVar, overload

from saga_fsm.definition._variables import InputOut, ItemOut, ServicesOut, padded
from saga_fsm.errors import NoResultError


if TYPE_CHECKING:
    from saga_fsm.definition.steps import Step

__all__ = ["Context"]

R = TypeVar("R")
D = TypeVar("D")
_MISSING: Any = object()
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Context(Generic[InputOut, ServicesOut, ItemOut]):
    """
    What an action, a compensation, a chooser is given; never to be changed.

    For a unit test any fact can be given: ``Context(input=order, services=shop)``.

    Args:
        input: the saga's input.
        services: what the caller gave as ``services=``.
        results: results by path, for ``result_of``.
        run_id: the run.
        step: the path of the step.
        key: the idempotency key; default ``run_id/step``.
        action_key: the key of the action that a compensation undoes; default ``run_id/step``.
        attempt: the number of this attempt, from 1.
        item: the item of the innermost ``each`` around the step.
        index: the number of that item, from 0.
    """

    # One slot, one tuple: made millions of times by the failure tests, mostly to be thrown away.
    __slots__ = ("_facts",)
    _facts: tuple[Any, str, int, bool, Any, int | None]

    def __init__(  # noqa: PLR0913 - one keyword a fact
        self,
        *,
        input: InputOut = None,  # type: ignore[assignment] # noqa: A002 - the public name
        services: ServicesOut = None,  # type: ignore[assignment]
        results: Mapping[str, Any] | None = None,
        run_id: str = "run",
        step: str = "step",
        key: str | None = None,
        action_key: str | None = None,
        attempt: int = 1,
        item: ItemOut = None,  # type: ignore[assignment]
        index: int | None = None,
    ) -> None:
        known = _NOTHING if results is None else results
        run = _Alone(input, services, known, run_id, key, action_key)
        _set(self, (run, step, attempt, False, item, index))

    if not TYPE_CHECKING:

        def __class_getitem__(cls, given: Any) -> Any:
            return super().__class_getitem__(padded(cls, given))

    @staticmethod
    def _of(  # noqa: PLR0913, PLR0917 - positional, because it is called so often
        run: Any,
        step_path: str,
        attempt: int = 1,
        compensating: bool = False,  # noqa: FBT001, FBT002 - the inner loop of every run
        item: Any = None,
        index: int | None = None,
    ) -> Context[Any, Any, Any]:
        """Make a context of a run, cheaply: all else is worked out when asked for."""
        context = _new(Context)
        _set(context, (run, step_path, attempt, compensating, item, index))
        return context

    @property
    def input(self) -> InputOut:
        """The saga's input; in a nested saga its own, if it was given one."""
        return self._facts[0].input  # type: ignore[no-any-return]

    @property
    def services(self) -> ServicesOut:
        """What the caller gave as ``services=``: clients, connections, a test's world."""
        return self._facts[0].services  # type: ignore[no-any-return]

    @property
    def results(self) -> Mapping[str, Any]:
        """Results by path: ``charge``, ``trip/hotel``, ``reserve[2]``."""
        return self._facts[0].results  # type: ignore[no-any-return]

    @property
    def run_id(self) -> str:
        """The run."""
        return self._facts[0].run_id  # type: ignore[no-any-return]

    @property
    def step(self) -> str:
        """The path of this step."""
        return self._facts[1]

    @property
    def key(self) -> str:
        """The idempotency key: the same on every attempt, another for the compensation."""
        run, path, _, compensating, _, _ = self._facts
        if type(run) is _Alone and run.key is not None:
            return str(run.key)
        # A step that had begun under another name is known to its participant by that.
        path = run.names.get(path, path)
        return f"{run.run_id}/{path}/compensation" if compensating else f"{run.run_id}/{path}"

    @property
    def action_key(self) -> str:
        """The key of the action; in a compensation, of the action that it undoes."""
        run = self._facts[0]
        if type(run) is _Alone and run.action_key is not None:
            return str(run.action_key)
        path = self._facts[1]
        return f"{run.run_id}/{run.names.get(path, path)}"

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1."""
        return self._facts[2]

    @property
    def item(self) -> ItemOut:
        """The item of the innermost ``each`` around this step."""
        return self._facts[4]  # type: ignore[no-any-return]

    @property
    def index(self) -> int | None:
        """The number of that item, from 0; None outside an ``each``."""
        return self._facts[5]

    @overload
    def result_of(self, step: Step[Never, Never, Never, R]) -> R: ...
    @overload
    def result_of(self, step: Step[Never, Never, Never, R], default: D) -> R | D: ...
    @overload
    def result_of(self, step: str, default: Any = ...) -> Any: ...
    def result_of(self, step: Any, default: Any = _MISSING) -> Any:
        """
        The recorded result of a step; within a copy, of this copy's.

        Raises:
            NoResultError: the step was not taken, or is not done yet, and no default was given.
            UnknownStepError: the saga has no such step.
        """
        run, here, *_ = self._facts
        path = run.locate(step, here)
        found = run.results.get(path, default)
        if found is _MISSING:
            raise NoResultError(step=path, known=tuple(run.results))
        return found

    @overload
    def results_of(self, step: Step[Never, Never, Never, R]) -> list[R]: ...
    @overload
    def results_of(self, step: str) -> list[Any]: ...
    def results_of(self, step: Any) -> list[Any]:
        """All results of a step that ``each`` repeats: one a copy, in the order of the items."""
        name = step if isinstance(step, str) else step.name
        results = self.results
        plain = {path: _plain(path) for path in results}
        found = [path for path in results if plain[path] == name]
        found = found or [path for path in results if plain[path].rpartition("/")[2] == name]
        return [results[path] for path in sorted(found, key=_indexes)]

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Context cannot be changed: {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Context cannot be changed: {name}")

    def __repr__(self) -> str:
        return f"Context(key={self.key!r}, attempt={self.attempt})"


_new = object.__new__
_set = Context.__dict__["_facts"].__set__


class _Alone:
    """A run that is not there: what a context made by hand stands on."""

    __slots__ = ("action_key", "input", "key", "names", "results", "run_id", "services")

    def __init__(  # noqa: PLR0913, PLR0917 - the facts of a run
        self,
        given: Any,
        services: Any,
        results: Mapping[str, Any],
        run_id: str,
        key: str | None,
        action_key: str | None,
    ) -> None:
        self.input, self.services, self.results, self.run_id = given, services, results, run_id
        self.key, self.action_key = key, action_key
        self.names = _NOTHING

    def locate(self, step: Any, within: str) -> str:
        """Find by name what was given by path; the copy of who asks comes first."""
        name = str(step) if isinstance(step, str) else str(step.name)
        copy = f"{name}[{within.rpartition('[')[2]}" if within.endswith("]") else name
        parent = within.rpartition("/")[0]
        nearby = (f"{parent}/{copy}", f"{parent}/{name}") if parent else ()
        for path in (*nearby, copy, name):
            if path in self.results:
                return str(path)
        found: list[str] = [p for p in self.results if _plain(p).rpartition("/")[2] == name]
        return found[0] if found else name


def _plain(path: str) -> str:
    return "/".join(part.partition("[")[0] for part in path.split("/"))


def _indexes(path: str) -> list[int]:
    return [int(part.partition("]")[0]) for part in path.split("[")[1:]]
