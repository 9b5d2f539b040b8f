"""The scribe of one saga: it knows of what type each datum is, writes it down and reads it back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from saga_fsm.codec._failures import from_tree, to_tree
from saga_fsm.codec._form import ANY, Misfit, named
from saga_fsm.codec._json import Codec, JsonCodec, text_of, tree_of
from saga_fsm.codec._pen import Pen, refusal, why
from saga_fsm.codec._types import Datum, Types
from saga_fsm.definition.saga import Saga
from saga_fsm.errors import JournalError, UnstorableTypeError


__all__ = ["Scribe"]

# Which sort of datum an event, or the call that it ends, brings.
_SORTS = {
    "start": "input",
    "done": "result",
    "landed": "result",
    "late_done": "result",
    "call": "result",
    "query": "result",
    "items": "items",
    "expand": "items",
    "chose": "given",
    "decide": "given",
}
_FAILURES = frozenset({"rejected", "absent", "transient", "unknown", "exhausted", "chooser_failed"})
_REMEMBERED = 256


class Scribe:
    """
    Writes what a run of one saga must remember, and reads it in this or any other process.

    Safe to share between threads and runs.

    Args:
        saga: the definition, whose annotations say what is of which type.
        codec: writes the values; default ``JsonCodec()``.
        limit: characters that one datum may have.

    >>> from saga_fsm import pivot
    >>> def charge(ctx) -> tuple[int, str]: ...
    >>> scribe = Scribe(Saga("order", pivot(charge)))
    >>> scribe.write("done(charge)", (42, "EUR"))
    '[42, "EUR"]'
    >>> scribe.read("done(charge)", '[42, "EUR"]')
    (42, 'EUR')
    """

    def __init__(
        self, saga: Saga[Any, Any, Any], codec: Codec | None = None, *, limit: int = 1_000_000
    ) -> None:
        self.saga = saga
        self.codec: Codec = JsonCodec() if codec is None else codec
        self.limit = limit
        self._types = Types(saga)
        self._pens: dict[tuple[str, str], Pen] = {}
        # By the text of the event, without those that have no datum of a type.
        self._events: dict[str, Pen] = {}
        # By identity: what was admitted and not yet written, with its text.
        self._ready: dict[int, tuple[Any, Pen, str]] = {}

    # ------------------------------------------------------------------ before anything runs

    def problems(self) -> list[str]:
        """What the annotations name and no journal can keep; each with what to do."""
        ask = getattr(self.codec, "problems", None)
        if ask is None:
            return []
        found: list[str] = []
        for datum in self._types.all():
            # All copies of a step have one annotation.
            if datum.type is not Any and not _later_copy(datum.step):
                found.extend(
                    f"{datum.what} ({named(datum.type)}): {one}" for one in ask(datum.type)
                )
        return found

    def check(self) -> None:
        """
        Refuse a saga whose data cannot be stored.

        Raises:
            UnstorableTypeError: with all the problems.
        """
        problems = self.problems()
        if problems:
            remedy = (
                "Give what identifies it (an id, a name) and keep the thing in services=, make it "
                "an attrs class or a dataclass, or give a codec of your own."
            )
            raise UnstorableTypeError(saga=self.saga.name, problems=tuple(problems), remedy=remedy)

    # ------------------------------------------------------------------ while it runs

    def admit(self, kind: str, path: str, value: Any) -> None:
        """
        Make sure that a result can be kept, before it counts.

        Args:
            kind: of the event that it would make, or of the call that it answers: ``done``.
            path: the step's.
            value: what came.

        Raises:
            UnstorableValueError: it cannot be written, or would come back as something else.
        """
        pen = self._pens.get((kind, path)) or self._pen(kind, path)
        if pen is None:
            return
        if value is None:
            pen.nothing()
            return
        if pen.plain(value):
            return
        if kind == "expand" and value.__class__ is not list:
            # What an each is given to go through becomes a list; to go through it twice may not do.
            if isinstance(value, Iterable) and not isinstance(value, Iterator):
                pen.write(list(value), look=True)
            return
        text = pen.write(value, look=True)
        if len(self._ready) >= _REMEMBERED:
            self._forget()
        self._ready[id(value)] = (value, pen, text)

    def write(self, event: str, data: Any) -> str | None:
        """
        Text of the data of an entry.

        Raises:
            UnstorableValueError: it cannot be written.
        """
        if data is None:
            return None
        pen = self._events.get(event) or self._pen_of(event)
        if pen is None:
            return self._header(data) if event == "start" else self._other(event, data)
        return self._admitted(pen, data) or pen.write(data, look=False)

    def read(self, event: str, text: str | None) -> Any:
        """
        What ``write`` was given for this event.

        Raises:
            JournalError: the text is not what this saga writes there.
        """
        if text is None:
            return None
        pen = self._events.get(event) or self._pen_of(event)
        try:
            if pen is not None:
                return pen.read(text)
            if event == "start":
                return self._read_header(text)
            tree = tree_of(text)
        except Exception as error:
            raise self._illegible(event, error) from error
        return from_tree(tree) if event.partition("(")[0] in _FAILURES else tree

    def heard(self, event: str, text: str | None) -> Any:
        """
        What somebody has said from outside, as the data of this event.

        Raises:
            UnstorableValueError: it is not of the type that the annotation names.
        """
        pen = self._events.get(event) or self._pen_of(event)
        return self.read(event, text) if pen is None or text is None else pen.heard(text)

    # ------------------------------------------------------------------ of what type

    def _pen_of(self, event: str) -> Pen | None:
        kind, _, inside = event.partition("(")
        path = inside.partition(",")[0].removesuffix(")")
        pen = None if kind == "start" else self._pens.get((kind, path)) or self._pen(kind, path)
        if pen is not None:
            self._events[event] = pen
        return pen

    def _pen(self, kind: str, path: str) -> Pen | None:
        sort = _SORTS.get(kind)
        if sort is None or (sort == "given" and not path.endswith("/@given")):
            return None
        pen = self._pens.get((sort, path))
        if pen is None:
            datum = self._types.input() if sort == "input" else getattr(self._types, sort)(path)
            pen = self._pens[sort, path] = Pen(self.saga.name, self.codec, datum, self.limit)
        self._pens[kind, path] = pen
        return pen

    def _admitted(self, pen: Pen, value: Any) -> str | None:
        ready = self._ready.pop(id(value), None) if self._ready else None
        return ready[2] if ready is not None and ready[1] is pen else None

    def _forget(self) -> None:
        for key in list(self._ready)[: _REMEMBERED // 2]:
            self._ready.pop(key, None)

    # ------------------------------------------------------------------ what is no value

    def _header(self, header: Mapping[str, Any]) -> str:
        pen = self._pens.get(("start", "")) or self._pen("start", "")
        assert pen is not None  # noqa: S101 - the input is a datum of every saga
        rest = {key: value for key, value in header.items() if key != "input"}
        given = header.get("input")
        if given is None:
            pen.nothing()
        text = "null" if given is None else self._admitted(pen, given)
        text = text or pen.write(given, look=True)
        if given is None or type(self.codec) is JsonCodec:
            told = text_of(rest)[:-1]
            return f'{told}, "input": {text}}}' if rest else f'{{"input": {text}}}'
        return text_of({**rest, "input_text": text})

    def _read_header(self, text: str) -> dict[str, Any]:
        pen = self._pens.get(("start", "")) or self._pen("start", "")
        assert pen is not None  # noqa: S101 - the input is a datum of every saga
        header: dict[str, Any] = tree_of(text)
        if "input_text" in header:
            header["input"] = pen.read(header.pop("input_text"))
        elif header.get("input") is not None:
            header["input"] = pen.read(text_of(header["input"]))
        return header

    def _other(self, event: str, data: Any) -> str:
        if isinstance(data, BaseException):
            return text_of(to_tree(data))
        try:
            return text_of(ANY.out(data))
        except (Misfit, ValueError, RecursionError) as error:
            datum = Datum("", f"data of '{event}'", Any)
            raise refusal(self.saga.name, datum, error) from error

    def _illegible(self, event: str, error: BaseException) -> JournalError:
        at = f" at '{error.field}'" if isinstance(error, Misfit) and error.field else ""
        return JournalError(
            f"the data of '{event}' of saga '{self.saga.name}' cannot be read{at}: {why(error)}\n"
            "  Use the codec that wrote it; a class may get new fields only with defaults while "
            "runs of before are open."
        )


def _later_copy(path: str) -> bool:
    return any(not part.startswith("0]") for part in path.split("[")[1:])
