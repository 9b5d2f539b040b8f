"""Inputs and results as text: what comes back, what is refused, and what is said of it."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import fractions
import functools
import ipaddress
import json
import pathlib
import pickle
import sys
import threading
import types
import typing
import uuid
import zoneinfo
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import (
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Required,
    TypedDict,
    TypeVar,
)

import attrs
import pytest

from saga_fsm import Context, Pending, Rejected, Saga, Transient, each, pivot, step
from saga_fsm.codec import Codec, JsonCodec, RememberedError, Scribe, redacted, shown
from saga_fsm.errors import JournalError, UnstorableTypeError, UnstorableValueError
from saga_fsm.examples import order


T = TypeVar("T")
NOON = dt.datetime(2026, 3, 29, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))


class Colour(enum.Enum):
    """Its values are texts."""

    RED = "red"
    BLUE = "blue"


class Shape(enum.Enum):
    """Its values are no JSON."""

    LINE = (1, 2)


class Point(NamedTuple):
    """A tuple with names."""

    x: int
    y: int = 0


class Address(TypedDict, total=False):
    """A dict with known keys."""

    city: str
    code: int


@attrs.frozen
class Card:
    """One of two with the same field."""

    number: str


@attrs.frozen
class Cash:
    """The other."""

    number: str


@attrs.frozen
class Page(Generic[T]):
    """Generic, and with itself in it."""

    items: list[T]
    next: Page[T] | None = None


@attrs.frozen
class Gift(Card):
    """It has more than what it is."""

    message: str = ""


@dataclass
class Line:
    """A dataclass."""

    sku: str
    price: decimal.Decimal
    tags: set[str] = field(default_factory=set)
    at: dt.datetime | None = None


@attrs.define
class Odd:
    """Its names are those of parameters of what makes it."""

    cl: int
    converter: int
    _private: int = 3


@attrs.define
class Doubling:
    """It comes back as something else."""

    value: int = attrs.field(converter=lambda value: value * 2)


@attrs.define
class Summed:
    """One of its fields is made of another."""

    parts: list[int]
    total: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.total = sum(self.parts)


def said(x: Any) -> str:
    """A short name of a case, the same in each process; huge numbers have no text at all."""
    text = "huge" if isinstance(x, int) and x > 10**100 else repr(x)
    return text.partition(" at 0x")[0][:40]


@attrs.define
class Held:
    """It has what cannot be stored."""

    name: str
    locks: list[threading.Condition]


class Plain:
    """Nobody says what is in it."""


def scribe_of(returns: Any, **options: Any) -> Scribe:
    """Of a saga with one step of such a result."""

    def act(ctx: Any) -> Any: ...

    act.__annotations__["return"] = returns
    return Scribe(Saga("s", pivot(act)), **options)


def through(value: Any, type_: Any) -> Any:
    """What another process reads of what this one admitted and wrote."""
    scribe = scribe_of(type_)
    scribe.admit("done", "act", value)
    text = scribe.write("done(act)", value)
    assert text is None or json.loads(text) is not NotImplemented
    return scribe_of(type_).read("done(act)", text)


def alike(one: Any, other: Any) -> bool:
    """Equal, and of one class."""
    return type(one) is type(other) and bool(one == other)


STORABLE: list[tuple[Any, Any]] = [
    ("text \x00 \ud800 é 😀", str),
    (3, int),
    (10**300, int),
    (True, int),
    (1.5e300, float),
    (None, int | None),
    (NOON.replace(tzinfo=None), dt.datetime),
    (dt.date(2026, 1, 2), dt.date),
    (dt.time(1, 2, 3, 4), dt.time),
    (dt.timedelta(days=-3, microseconds=1), dt.timedelta),
    (uuid.UUID(int=7), uuid.UUID),
    (decimal.Decimal("1.10"), decimal.Decimal),
    (b"\x00\xff", bytes),
    (Colour.BLUE, Colour),
    (Shape.LINE, Shape),
    (Point(1, 2), Point),
    ({"city": "Bern"}, Address),
    ("b", Literal["a", "b"]),
    ([1, 2], list[int]),
    ((1, "a"), tuple[int, str]),
    ((), tuple[()]),
    ((1, 2, 3), tuple[int, ...]),
    ({1, 2}, set[int]),
    (frozenset({1}), frozenset[int]),
    (collections.deque([1]), collections.deque[int]),
    ({1: "a", -2: "b"}, dict[int, str]),
    ({dt.date(2026, 1, 2): 1.5}, dict[dt.date, float]),
    ({(1, 2): Card("x")}, dict[tuple[int, int], Card]),
    ({"5": 1, 5: 2}, dict[int | str, int]),
    (collections.Counter("abca"), collections.Counter[str]),
    (collections.defaultdict(list, a=[1]), collections.defaultdict[str, list[int]]),
    ({"a": [1, {"b": None}]}, Any),
    ({"a": [1, {"b": None}]}, dict),
    (Card("41"), Card | Cash),
    (Cash("41"), Card | Cash),
    (Gift("41", "hi"), Card | Gift),
    ({"number": "41"}, Card | dict[str, str]),
    ({"@type": "UUID", "@value": "x"}, uuid.UUID | dt.date | dict[str, str]),
    ({Summed([1]).total, 30, 4}, set[int]),
    (dt.date(2026, 1, 2), dt.datetime | dt.date | str),
    ("2026-01-02", dt.datetime | dt.date | str),
    (3, int | float),
    (3.0, int | float),
    (Page([Card("1")], Page([])), Page[Card]),
    (Page([(1, 2)]), Page[tuple[int, int]]),
    (Line("a", decimal.Decimal("1.50"), {"x"}), Line),
    (Odd(1, 2, 4), Odd),
    (Summed([1, 2]), Summed),
    (order.Payment("ada", 3), order.Payment),
]


@pytest.mark.parametrize(("value", "type_"), STORABLE, ids=said)
def test_what_an_annotation_names_comes_back(value: Any, type_: Any) -> None:
    """A value of the annotated type comes back equal and of the same class."""
    assert alike(through(value, type_), value)


def test_aware_times_come_back_as_the_same_instant_in_utc() -> None:
    """A zone is told as UTC: the instant is what counts; a naive time gets no zone."""
    again = through(NOON, dt.datetime)
    assert (again, again.tzinfo) == (NOON, dt.UTC)


def test_abstract_containers_take_what_they_promise() -> None:
    """Who annotates a Sequence or a Set may give a tuple or a set, and reads the same class."""
    cases: list[tuple[Any, Any]] = [
        ((1, 2), Sequence[int]),
        ([1, 2], Sequence[int]),
        ({1, 2}, AbstractSet[int]),
        (frozenset({1, 2}), AbstractSet[int]),
        ({1, 2}, Iterable[int]),
        ({"a": 1}, Mapping[str, int]),
        ({"@type": "tuple", "@value": "x"}, Sequence[int] | dict[str, str]),
    ]
    for value, type_ in cases:
        assert alike(through(value, type_), value)
    with pytest.raises(UnstorableValueError):
        through("ab", Sequence[str])


UNSTORABLE: list[tuple[Any, Any, str]] = [
    ((1, 2), Any, "tuple is no plain JSON"),
    ({"a": {"b": {1, 2}}}, Any, "field 'a.b'"),
    ({1: "a"}, Any, "dict[int, ...]"),
    (Card("x"), Any, "class Card is no plain JSON"),
    (Colour.RED, Any, "class Colour is no plain JSON"),
    (float("nan"), Any, "nan is no number"),
    ([1.0, float("inf")], list[float], "field '[1]'"),
    ("3", int, "class str is no int"),
    (3.7, int, "class float is no int"),
    (10**400, float, "more digits"),
    (10**5000, int, "digits"),
    (Gift("41", "hi"), Card, "annotate Gift"),
    (dt.datetime(2026, 1, 2), dt.date, "class datetime is no date"),  # noqa: DTZ001 - naive
    (dt.datetime.min.replace(tzinfo=NOON.tzinfo), dt.datetime, "cannot be told in UTC"),
    (Line("a", 3, set()), Line, "class int is no Decimal"),
    ({"city": "Bern", "zip": 3}, Address, "no field 'zip'"),
    (Doubling(2), Doubling, "something else"),
    ("\ud83d\ude00", str, "halves of characters"),
    (threading, Any, "class module"),
    (collections.defaultdict(lambda: 1), collections.defaultdict[str, int], "default_factory"),
    ("c", Literal["a", "b"], "Literal"),
    (5, Card | Cash, "class int is no"),
]


@pytest.mark.parametrize(("value", "type_", "told"), UNSTORABLE, ids=said)
def test_what_would_come_back_different_is_refused(value: Any, type_: Any, told: str) -> None:
    """A value that is not what comes back is refused before it counts, and it is said why."""
    with pytest.raises(UnstorableValueError) as caught:
        scribe_of(type_).admit("done", "act", value)
    text = str(caught.value)
    assert "result of step 'act'" in text
    assert told in text
    assert len(text.splitlines()) == 2
    assert (caught.value.saga, caught.value.step) == ("s", "act")


def test_a_value_in_itself_and_one_too_deep_are_refused() -> None:
    """What never ends, and what is too deep to be read, is refused and takes nothing along."""
    endless: list[Any] = []
    endless.append(endless)
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    chain: Any = None
    for _ in range(100_000):
        chain = Page([], chain)
    for value, type_ in ((endless, Any), (deep, Any), (chain, Page[int])):
        with pytest.raises(UnstorableValueError, match="deep"):
            scribe_of(type_).admit("done", "act", value)


def test_the_limit_is_told_with_the_size() -> None:
    """A datum that is longer than allowed is refused with both figures; one that fits is kept."""
    scribe = scribe_of(str, limit=10)
    scribe.admit("done", "act", "12345678")
    with pytest.raises(UnstorableValueError, match="11 characters, and 10 are allowed") as caught:
        scribe.admit("done", "act", "123456789")
    assert (caught.value.size, caught.value.limit) == (11, 10)


def test_a_subclass_of_a_single_value_is_that_value() -> None:
    """A text or a time of a subclass comes back as the annotated class, when it is equal."""

    class Slug(str):
        __slots__ = ()

    assert alike(through(Slug("a"), str), "a")
    with pytest.raises(UnstorableValueError, match="Slug"):
        through(Slug("a"), Any)


# ---------------------------------------------------------------------- what annotations say


def test_annotations_are_found_wherever_they_are() -> None:
    """Partials, objects, wrappers, async functions, PENDING and classes say their type."""

    def paid(ctx: Any, extra: int = 0) -> Card | Pending: ...

    async def awaited(ctx: Any) -> Card: ...

    @functools.wraps(paid)
    def wrapped(*args: Any) -> Any: ...

    class Caller:
        def __call__(self, ctx: Any) -> Card: ...

        def method(self, ctx: Any) -> Card: ...

    for action in (
        *(paid, awaited, wrapped, Caller(), Caller().method, functools.partial(paid, extra=1)),
        functools.partial(functools.partial(Caller()), extra=1),
    ):
        scribe = Scribe(Saga("s", pivot(action, name="act")))
        assert scribe.problems() == []
        scribe.admit("done", "act", Card("1"))
        text = scribe.write("done(act)", Card("1"))
        assert scribe.read("done(act)", text) == Card("1")


def test_one_unknown_name_takes_no_other_along() -> None:
    """A type that cannot be resolved is no annotation; those beside it still are."""

    def act(ctx: Context[Card, Elsewhere]) -> Card: ...  # noqa: F821

    def odd(ctx: Any) -> list[elsewhere.Card]: ...  # noqa: F821

    scribe = Scribe(Saga("s", step(act, compensate=print), pivot(odd)))
    assert scribe.problems() == []
    header = {"saga": "s", "fingerprint": "f", "input": Card("1")}
    assert scribe.read("start", scribe.write("start", header)) == header
    scribe.admit("done", "act", Card("1"))
    scribe.admit("done", "odd", [1])
    with pytest.raises(UnstorableValueError):
        scribe.admit("done", "odd", [Card("1")])


def cards(ctx: Context[Any]) -> Iterator[Card]:
    """Items, by annotation."""
    return iter([])


def take(ctx: Context[Any, Any, Card]) -> int:
    """A step that says of what type its item is."""
    return 1


def undo(ctx: Any, result: Any) -> None:
    """Nothing."""


def unsaid(ctx):
    """A function without annotations."""


def test_items_come_back_as_their_function_says_or_as_their_step_takes_them() -> None:
    """The items of an each are read as the items function returns them, else as steps take them."""
    for items in (cards, unsaid):
        body = each(items, step(take, compensate=undo), max_items=3)
        scribe = Scribe(Saga("s", body))
        (path,) = scribe._types.layout.decisions
        scribe.admit("items", path, [Card("1"), Card("2")])
        text = scribe.write(f"items({path},2)", [Card("1"), Card("2")])
        assert scribe.read(f"items({path},2)", text) == [Card("1"), Card("2")]
        # As its function answered: not yet a list.
        for answer in ((Card("1"),), {"a": Card("1")}.values(), iter([Card("1")]), 5):
            scribe.admit("expand", path, answer)
        with pytest.raises(UnstorableValueError, match="items of"):
            scribe.admit("expand", path, ("1",))


def test_a_nested_saga_is_given_what_its_function_says_or_what_it_takes() -> None:
    """A nested saga's own input is read as its function returns it, else as it says itself."""

    def given(ctx: Any) -> Card: ...

    inner = Saga("inner", pivot(take), input=Card)
    for function in (given, unsaid):
        scribe = Scribe(Saga("s", inner.given(function)))
        scribe.admit("chose", "inner/@given", Card("1"))
        text = scribe.write("chose(inner/@given,given)", Card("1"))
        assert scribe.read("chose(inner/@given,given)", text) == Card("1")


def test_types_that_cannot_be_stored_are_told_beforehand() -> None:
    """A lock in a result, wherever it is, is found in the annotation, with step and field."""

    def hold(ctx: Any) -> Held: ...

    def plain(ctx: Any) -> Plain | None: ...

    def ask(ctx: Any) -> Iterator[int]: ...

    blocks = [step(f, compensate=undo) for f in (hold, plain, ask)]
    scribe = Scribe(Saga("s", *blocks, each(cards, step(take, compensate=undo), max_items=3)))
    first, second, third = scribe.problems()
    assert "step 'hold' (Held): field 'locks[]': Condition is no" in first
    assert "step 'plain'" in second
    assert "step 'ask'" in third
    with pytest.raises(UnstorableTypeError, match="no journal can keep") as caught:
        scribe.check()
    assert list(caught.value.problems) == [first, second, third]
    assert all(problem in str(caught.value) for problem in caught.value.problems)
    Scribe(order.saga).check()


# ---------------------------------------------------------------------- entries


def test_entries_of_every_sort_come_back() -> None:
    """The header, operators' words and notes come back as they were; None is no text."""
    scribe = Scribe(order.saga)
    header = {"saga": "order", "fingerprint": "abc", "input": order.INPUT}
    assert scribe.read("start", scribe.write("start", header)) == header
    word = {"by": "ada", "note": "seen at the bank"}
    for event in ("retry(charge)", "resolve(charge,done)", "cancel", "#alert(deadline)"):
        assert scribe.read(event, scribe.write(event, word)) == word
    for event in ("start", "done(charge)", "#recovered"):
        assert scribe.write(event, None) is None
        assert scribe.read(event, None) is None


class SoldOut(Rejected):
    """A user's own rejection."""


class MuteError(Exception):
    """It cannot even say what it is."""

    def __str__(self) -> str:
        raise ValueError("nothing to say")


def test_failures_come_back_as_what_they_mean() -> None:
    """What was raised is read as what the library knows of it, and else as words and a name."""
    scribe = Scribe(order.saga)

    def again(error: BaseException) -> Any:
        text = scribe.write("unknown(charge)", error)
        return scribe.read("unknown(charge)", text)

    assert type(again(Rejected("no"))) is Rejected
    assert type(again(SoldOut("no"))) is Rejected
    assert again(Transient("busy", after=2)).after == 2.0
    assert again(Transient("busy")).after is None
    assert again(Transient("busy", after=float("inf"))).after is None
    assert type(again(TimeoutError("late"))) is TimeoutError
    assert type(again(__import__("asyncio").CancelledError())).__name__ == "CancelledError"
    other = again(KeyError("k"))
    assert (type(other), other.kind, str(other)) == (RememberedError, "KeyError", "'k'")
    assert again(MuteError()).kind.endswith("test_codec.MuteError")
    assert len(str(again(ValueError("x" * 1_000_000)))) < 20_000


def test_a_text_that_is_not_what_was_written_is_a_journal_error() -> None:
    """A cut text, or one of another class, is told with the entry and the saga."""
    scribe = Scribe(order.saga)
    for event, text in (
        ("done(charge)", '{"customer": "ada", "am'),
        ("done(charge)", '{"customer": "ada"}'),
        ("done(charge)", "[]"),
        ("start", '{"saga": "order", "input": {"customer": 3}}'),
        ("start", "3"),
    ):
        with pytest.raises(JournalError, match="cannot be read"):
            scribe.read(event, text)


def test_a_result_is_encoded_once() -> None:
    """What was admitted is written with the text that was made then, and forgotten."""
    calls: list[Any] = []

    class Counting:
        def encode(self, value: Any, type_: Any) -> str:
            calls.append(value)
            return json.dumps(value)

        def decode(self, text: str, type_: Any) -> Any:
            return json.loads(text)

    codec: Codec = Counting()
    scribe = scribe_of(Any, codec=codec)
    value = {"a": 1}
    scribe.admit("done", "act", value)
    value["a"] = 2
    assert scribe.write("done(act)", value) == '{"a": 1}'
    assert len(calls) == 1
    assert scribe.write("done(act)", value) == '{"a": 2}'
    assert scribe._ready == {}


def test_one_value_of_two_steps_has_a_text_for_each() -> None:
    """What was admitted for one step is not written for another, whose annotation differs."""

    def first(ctx: Any) -> Mapping[str, int]: ...

    def second(ctx: Any) -> Mapping[str, float]: ...

    scribe = Scribe(Saga("s", step(first, compensate=undo), pivot(second)))
    value = {"a": 1}
    scribe.admit("done", "first", value)
    assert scribe.write("done(second)", value) == '{"a": 1.0}'


def test_what_is_admitted_and_never_written_is_forgotten() -> None:
    """Runs that die between the two leave nothing behind for long."""
    scribe = scribe_of(Any)
    for number in range(5_000):
        scribe.admit("done", "act", [number])
    assert len(scribe._ready) <= 256


# ---------------------------------------------------------------------- codecs of the user's own


class Shifted:
    """Encrypts, after a fashion: what it writes is no JSON."""

    def encode(self, value: Any, type_: Any) -> str:
        """Every character by the next."""
        return "".join(chr(ord(c) + 1) for c in JsonCodec().encode(value, type_))

    def decode(self, text: str, type_: Any) -> Any:
        """And back."""
        return JsonCodec().decode("".join(chr(ord(c) - 1) for c in text), type_)


def test_a_codec_of_the_users_own_writes_everything_that_is_theirs() -> None:
    """Input and results go through the codec, what the library needs to find runs does not."""
    scribe = Scribe(order.saga, Shifted())
    header = {"saga": "order", "fingerprint": "abc", "input": order.INPUT}
    text = scribe.write("start", header)
    assert text is not None
    assert "teapot" not in text
    assert json.loads(text)["saga"] == "order"
    assert scribe.read("start", text) == header
    payment = order.Payment("ada", 3)
    scribe.admit("done", "charge", payment)
    text = scribe.write("done(charge)", payment)
    assert "ada" not in str(text)
    assert scribe.read("done(charge)", text) == payment
    assert scribe.problems() == []


def test_a_codec_that_loses_something_is_found_out() -> None:
    """What a codec brings back as something else, or cannot write, is refused before it counts."""

    class Careless:
        def encode(self, value: Any, type_: Any) -> str:
            return json.dumps(value)

        def decode(self, text: str, type_: Any) -> Any:
            return json.loads(text)

    scribe = scribe_of(Any, codec=Careless())
    scribe.admit("done", "act", [1])
    for value in ((1,), {1: 2}, [(1,)], Card("1")):
        with pytest.raises(UnstorableValueError):
            scribe.admit("done", "act", value)


def test_a_converter_of_the_users_own_does_all_of_it() -> None:
    """Hooks of the user's cattrs converter are what counts, and what they lose is refused."""
    from cattrs.preconf.json import make_converter

    class Money:
        def __init__(self, cents: int) -> None:
            self.cents = cents

    converter = make_converter()
    assert scribe_of(Money, codec=JsonCodec(converter)).problems()
    converter.register_unstructure_hook(Money, lambda money: money.cents)
    converter.register_structure_hook(Money, lambda cents, _: Money(cents))
    scribe = scribe_of(Money, codec=JsonCodec(converter))
    assert scribe.problems() == []
    scribe.admit("done", "act", Money(3))
    assert scribe.read("done(act)", scribe.write("done(act)", Money(3))).cents == 3
    with pytest.raises(UnstorableValueError):
        scribe_of(Any, codec=JsonCodec(converter)).admit("done", "act", Card("1"))


# ---------------------------------------------------------------------- for people


def test_named_fields_are_hidden_wherever_they_are() -> None:
    """Redaction reaches into lists and objects, in any case; opaque text is hidden whole."""
    text = '{"card": {"number": 1}, "lines": [{"IBAN": "DE"}], "total": 3}'
    assert json.loads(redacted(text, {"Card", "iban"})) == {
        "card": "***",
        "lines": [{"IBAN": "***"}],
        "total": 3,
    }
    assert redacted(Card("41"), {"number"}) == {"number": "***"}
    assert redacted("gAAAA", {"card"}) == "***"
    assert redacted("gAAAA", set()) == "gAAAA"


def test_anything_can_be_shown() -> None:
    """What is shown is JSON, whatever it was."""
    value = {"a": Line("x", decimal.Decimal(1)), 3: {1}, "c": [object], "d": Page([Card("1")])}
    tree = json.loads(json.dumps(shown(value)))
    assert tree["a"] == {"sku": "x", "price": "1", "tags": [], "at": None}
    assert tree["d"]["items"] == [{"number": "1"}]


# ---------------------------------------------------------------------- many at once


def test_threads_that_ask_for_a_type_at_once_all_get_it_whole() -> None:
    """A form that is half made, as one with itself inside is for a while, is nobody's to see."""
    many = 8
    for _ in range(20):
        codec = JsonCodec()
        gate = threading.Barrier(many)
        made: list[str] = []

        def ask(codec: JsonCodec = codec, gate: Any = gate, made: Any = made) -> None:
            gate.wait()
            made.append(codec.encode(Page([Card("1")], Page([])), Page[Card]))

        threads = [threading.Thread(target=ask) for _ in range(many)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == many


def test_an_admitted_input_is_not_kept_behind() -> None:
    """The header takes the text that was made when the input was admitted."""
    scribe = Scribe(order.saga)
    scribe.admit("start", "", order.INPUT)
    text = scribe.write("start", {"saga": "order", "fingerprint": "f", "input": order.INPUT})
    assert scribe._ready == {}
    assert scribe.read("start", text)["input"] == order.INPUT


# ---------------------------------------------------------------------- what is read


TEXTS = [
    *("null", "true", "3", "-7.5", '"x"', '"2026-01-02"', '"1/0"', "[]", "[1]", "[[1, 2]]", "{}"),
    *('{"a": 1}', '{"1": 2}', '{"number": 3}', '{"x": "y"}', '{"@type": "Cash", "@value": 3}'),
    *('{"@type": "Nobody", "@value": {}}', '[["a", "b", "c"]]', "NaN", "[", "1e999"),
]


@pytest.mark.parametrize(
    "type_", {str(t): t for _, t in STORABLE}.values(), ids=lambda type_: str(type_)[:40]
)
def test_what_is_read_is_of_its_type_or_a_journal_error(type_: Any) -> None:
    """Whatever text is found, it is a value that could have been written, or told to be wrong."""
    scribe = scribe_of(type_)
    for text in TEXTS:
        try:
            value = scribe.read("done(act)", text)
        except JournalError:
            continue
        if text != "1e999":
            scribe.admit("done", "act", value)


def test_a_union_that_is_typed_by_hand_needs_no_name_where_one_fits() -> None:
    """Who types an input need not know of names, unless several types fit; then it is told."""
    codec = JsonCodec(forbid_extra_keys=True)
    assert codec.decode('{"customer": "ada", "amount": 3}', Card | order.Payment) == order.Payment(
        "ada", 3
    )
    for text in ('{"number": "1"}', '{"nobody": 1}'):
        with pytest.raises(ValueError, match="is no") as caught:
            codec.decode(text, Card | Cash)
        assert '{"@type": "Card", "@value": ...}' in caught.value.remedy
    with pytest.raises(ValueError, match="is no type of"):
        codec.decode('{"@type": "Nobody", "@value": {}}', Card | Cash)


def test_what_a_typed_dict_must_have_is_asked_for() -> None:
    """Required is heard where annotations are texts, and of two equal sets the text is one."""
    with pytest.raises(ValueError, match="needs 'total'"):
        JsonCodec().decode('{"cards": []}', Full)
    many = [Card(str(number)) for number in range(50)]
    texts = {JsonCodec().encode(set(cards), set[Card]) for cards in (many, many[::-1])}
    assert len(texts) == 1
    assert [one["number"] for one in json.loads(texts.pop())] == sorted(map(str, range(50)))


def test_fields_that_a_class_no_longer_has_are_passed_over() -> None:
    """A run of before is read by a class that has lost a field, and one that has got a default."""
    scribe = scribe_of(Gift)
    assert scribe.read("done(act)", '{"number": "1", "colour": "red"}') == Gift("1")
    with pytest.raises(ValueError, match="no field 'colour'"):
        JsonCodec(forbid_extra_keys=True).decode('{"number": "1", "colour": "red"}', Gift)


Money = NewType("Money", decimal.Decimal)


@attrs.frozen
class Cards(Page[Card]):
    """It says what its parent is generic of."""

    total: Annotated[Money, "in euros"] | None = None
    unset: Final[int] = 3


class Basket(TypedDict):
    """Not all of it is needed."""

    cards: Required[list[Card]]
    note: NotRequired[str]


class Full(Basket, total=False):
    """It has a parent, and says what it must have."""

    total: Required[decimal.Decimal]
    by: str


@attrs.frozen
class Node:
    """It names itself in quotes, in a list and in a union."""

    parts: list["Node"]  # noqa: UP037 - quoted as it is where annotations are no texts
    other: typing.Optional["Node"] = None  # noqa: UP037, UP045 - as above


Node.__annotations__.update(parts=list["Node"], other=typing.Optional["Node"])


MORE: list[tuple[Any, Any]] = [
    (Node([Node([])], Node([])), Node),
    (Cards([Card("1")], None, Money(decimal.Decimal("1.5"))), Cards),
    ({"cards": [Card("1")]}, Basket),
    ({"cards": [], "note": "x"}, Basket),
    ({"cards": [Card("1")], "total": decimal.Decimal(3)}, Full),
    (dt.time(1, 2, tzinfo=dt.UTC), dt.time),
    (dt.datetime(2026, 10, 25, 2, 30, fold=1), dt.datetime),  # noqa: DTZ001 - naive
    (zoneinfo.ZoneInfo("Europe/Zurich"), zoneinfo.ZoneInfo),
    (pathlib.PurePosixPath("/a/b"), pathlib.PurePosixPath),
    (ipaddress.ip_address("::1"), ipaddress.IPv6Address),
    (bytearray(b"x"), bytearray),
    (fractions.Fraction(1, 3), fractions.Fraction),
    (collections.OrderedDict(b=1, a=2), collections.OrderedDict[str, int]),
    ({True: 1.5}, dict[bool, float]),
    (collections.namedtuple("Bare", "a b")(1, [2]), None),  # noqa: PYI024 - without types
    ([(1, "a")], list[tuple[int, str]]),
    (1, Literal[1, "a"]),
]


@pytest.mark.parametrize(("value", "type_"), MORE, ids=said)
def test_rarer_types_come_back_too(value: Any, type_: Any) -> None:
    """What the standard library and typing have more of is stored as well."""
    type_ = type(value) if type_ is None else type_
    codec = JsonCodec()
    assert alike(codec.decode(codec.encode(value, type_), type_), value)
    assert codec.problems(type_) == []


def test_a_time_in_a_zone_without_its_day_is_refused() -> None:
    """Of a time in a zone nobody knows the offset: it is refused, with what to give instead."""
    value = dt.time(1, 2, tzinfo=zoneinfo.ZoneInfo("Europe/Zurich"))
    with pytest.raises(UnstorableValueError, match="Give a datetime"):
        scribe_of(dt.time).admit("done", "act", value)


def test_refusals_travel_with_their_facts() -> None:
    """A refusal is the same on another machine, facts and text."""
    with pytest.raises(UnstorableValueError) as value:
        scribe_of(Line).admit("done", "act", Line("a", 3, set()))
    with pytest.raises(UnstorableTypeError) as types:
        scribe_of(Held).check()
    for error in (value.value, types.value):
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
        assert (type(again), str(again)) == (type(error), str(error))
    assert (value.value.step, value.value.type, value.value.field) == ("act", "Line", "price")
    assert types.value.saga == "s"


def test_a_typed_dict_reads_its_parents_annotations_where_they_were_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A parent in another module uses names that its child's module need not have."""
    other = types.ModuleType("other_shop")
    monkeypatch.setitem(sys.modules, "other_shop", other)
    source = "from decimal import Decimal as Exact\nfrom typing import TypedDict\n"
    source += "class Priced(TypedDict):\n    price: 'Exact'\n"
    exec(source, vars(other))  # noqa: S102 - our own text
    parent: Any = vars(other)["Priced"]

    class Child(parent):
        name: str

    value = {"price": decimal.Decimal("1.5"), "name": "a"}
    codec = JsonCodec()
    assert codec.decode(codec.encode(value, Child), Child) == value
