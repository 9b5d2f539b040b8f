"""Laws of what is stored: it comes back, here and in another process, or it is refused."""

from __future__ import annotations

import base64
import collections
import datetime as dt
import decimal
import enum
import fractions
import json
import pickle
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saga_fsm import Saga, pivot
from saga_fsm.codec import JsonCodec, Scribe, redacted
from saga_fsm.errors import UnstorableValueError
from saga_fsm.examples import order


ROOT = Path(__file__).parents[2]
T = TypeVar("T")


class Colour(enum.Enum):
    """Values of two sorts, so it is known by name."""

    RED = "red"
    BLUE = 3


class Rights(enum.Flag):
    """Members that add up."""

    READ = 1
    WRITE = 2


class Point(NamedTuple):
    """A tuple with names."""

    x: int
    at: dt.date | None


@attrs.frozen
class Box(Generic[T]):
    """Something in a box."""

    content: T
    label: str = ""


@dataclass(frozen=True)
class Line:
    """A dataclass."""

    sku: str
    price: decimal.Decimal
    by: uuid.UUID | str | None


@attrs.frozen
class Checked:
    """Its validator runs again when it is read."""

    value: int = attrs.field(validator=attrs.validators.ge(0))


finite = st.floats(allow_nan=False, allow_infinity=False)
aware = st.datetimes(
    min_value=dt.datetime(2, 1, 1),  # noqa: DTZ001 - the zone is drawn
    max_value=dt.datetime(9998, 1, 1),  # noqa: DTZ001 - as above
    timezones=st.timezones() | st.none(),
)
decimals = st.decimals(allow_nan=False)
LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(st.characters()),
    int: st.integers() | st.integers(10**30, 10**40),
    float: finite,
    bool: st.booleans(),
    bytes: st.binary(),
    dt.datetime: aware,
    dt.date: st.dates(),
    dt.time: st.times(),
    dt.timedelta: st.timedeltas(),
    decimal.Decimal: decimals,
    fractions.Fraction: st.fractions(),
    uuid.UUID: st.uuids(),
    Colour: st.sampled_from(Colour),
    Rights: st.sampled_from([Rights.READ, Rights.READ | Rights.WRITE, Rights(0)]),
    Point: st.builds(Point, st.integers(), st.dates() | st.none()),
    Line: st.builds(Line, st.text(), decimals, st.uuids() | st.text() | st.none()),
    Checked: st.builds(Checked, st.integers(min_value=0)),
    order.Payment: st.builds(order.Payment, st.text(), st.integers()),
}
KEYS = [one for one in LEAVES if one is not float]
Typed = tuple[Any, st.SearchStrategy[Any]]


def larger(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    """Types made of a drawn one, with their values."""

    def of(one: Typed, other: Typed, key: Any) -> st.SearchStrategy[Typed]:
        (kind, values), (second, others), few = one, other, {"max_size": 4}
        return st.sampled_from(
            [
                (list[kind], st.lists(values, **few)),
                (tuple[kind, ...], st.lists(values, **few).map(tuple)),
                (tuple[kind, second], st.tuples(values, others)),
                (kind | None, values | st.none()),
                (dict[key, kind], st.dictionaries(LEAVES[key], values, **few)),
                (dict[tuple[key, int], kind], pairs(key, values)),
                (collections.deque[kind], st.lists(values, **few).map(collections.deque)),
                (Box[kind], st.builds(Box, values, st.text())),
                (set[key], st.sets(LEAVES[key], **few)),
                (frozenset[key], st.frozensets(LEAVES[key], **few)),
                (kind | second, values | others),
            ]
        )

    def pairs(key: Any, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.dictionaries(st.tuples(LEAVES[key], st.integers()), values, max_size=3)

    return st.tuples(inner, inner, st.sampled_from(KEYS)).flatmap(lambda three: of(*three))


types = st.recursive(st.sampled_from(list(LEAVES.items())), larger, max_leaves=4)


@st.composite
def typed(draw: st.DrawFn) -> tuple[Any, Any]:
    """A type and a value of it."""
    type_, values = draw(types)
    return type_, draw(values)


def scribe_of(type_: Any) -> Scribe:
    """Of a saga with one step of such a result."""

    def act(ctx: Any) -> Any:
        return None

    act.__annotations__["return"] = type_
    return Scribe(Saga("s", pivot(act)))


def alike(one: Any, other: Any) -> bool:  # noqa: PLR0911 - one a sort of value
    """Equal and of one class all the way down, by another way than the library's."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return len(one) == len(other) and all(
            any(alike(key, k) and alike(value, v) for k, v in other.items())
            for key, value in one.items()
        )
    if isinstance(one, set | frozenset):
        return len(one) == len(other) and all(any(alike(x, y) for y in other) for x in one)
    if isinstance(one, tuple | list | collections.deque):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dt.datetime) and one.utcoffset() is not None:
        return other.tzinfo is dt.UTC and one.astimezone(dt.UTC) == other
    if attrs.has(type(one)):
        return all(alike(getattr(one, f), getattr(other, f)) for f in type(one).__slots__[:-1])
    return bool(one == other) and repr(one) == repr(other)


def stored(scribe: Scribe, value: Any) -> str:
    """What is written of a value that was admitted."""
    scribe.admit("done", "act", value)
    text = scribe.write("done(act)", value)
    assert text is not None
    return text


@given(typed())
def test_what_was_admitted_comes_back(case: tuple[Any, Any]) -> None:
    """A value of its annotated type is admitted, is JSON in ASCII, and comes back the same."""
    type_, value = case
    scribe = scribe_of(type_)
    assert scribe.problems() == []
    if value is None:
        return
    text = stored(scribe, value)
    assert text.isascii()
    json.loads(text, parse_constant=pytest.fail)
    assert alike(value, scribe_of(type_).read("done(act)", text))


@given(typed(), types)
def test_a_value_under_another_annotation_is_the_same_or_refused(
    case: tuple[Any, Any], other: Typed
) -> None:
    """Nothing changes in silence: what is admitted under whatever annotation comes back equal."""
    _, value = case
    for type_ in (other[0], Any):
        scribe = scribe_of(type_)
        try:
            text = stored(scribe, value) if value is not None else None
        except UnstorableValueError as error:
            refusals = [error.message, error.remedy]
        else:
            refusals = []
            assert scribe.read("done(act)", text) == value
        assert all(refusals)


@given(typed())
def test_the_same_value_has_the_same_text_for_every_reader(case: tuple[Any, Any]) -> None:
    """What was read and is written again is the same text: sets too have one."""
    type_, value = case
    codec = JsonCodec()
    text = codec.encode(value, type_)
    again = codec.encode(codec.decode(text, type_), type_)
    assert text == again


PRIVATE = "hunter2"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(types, JSON)
def test_whatever_is_read_fits_its_annotation(typed_as: Typed, tree: Any) -> None:
    """Any JSON at all is read as a value of the type, or refused; never as something else."""
    type_, codec = typed_as[0], JsonCodec()
    try:
        value = codec.decode(json.dumps(tree), type_)
    except ValueError:
        return
    assert codec.decode(codec.encode(value, type_), type_) == value


@given(JSON)
def test_plain_json_needs_no_annotation(value: Any) -> None:
    """What JSON itself can hold comes back without an annotation."""
    scribe = scribe_of(Any)
    if value is not None:
        assert alike(value, scribe.read("done(act)", stored(scribe, value)))


@given(JSON, st.text(min_size=1))
def test_no_named_field_is_shown(value: Any, name: str) -> None:
    """Wherever a hidden name is a key, its value is gone; all else stays."""
    tree = {"a": [value, {name: {"deep": PRIVATE}}], name: [PRIVATE]}
    text = redacted(json.dumps(tree), {name})
    assert PRIVATE not in text
    if isinstance(value, int | float | None):
        assert json.loads(text)["a"][0] == value or name == "a"


# ---------------------------------------------------------------------- another process


CHILD = """
import base64, pickle, sys
from saga_fsm.codec import JsonCodec
for line in sys.stdin:
    text, type_ = pickle.loads(base64.b64decode(line))
    print(base64.b64encode(pickle.dumps(JsonCodec().decode(text, type_))).decode(), flush=True)
"""


class Reader:
    """Another process, with another seed of hashes, that reads what this one wrote."""

    def __init__(self) -> None:
        self.child = subprocess.Popen(  # noqa: S603 - our own
            [sys.executable, "-c", CHILD],
            text=True,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def read(self, text: str, type_: Any) -> Any:
        """What the other process makes of it."""
        child = self.child
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(base64.b64encode(pickle.dumps((text, type_))).decode() + "\n")
        child.stdin.flush()
        return pickle.loads(base64.b64decode(child.stdout.readline()))  # noqa: S301 - our own


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    """One process for all the examples."""
    other = Reader()
    with other.child:
        yield other
        assert other.child.stdin is not None
        other.child.stdin.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(typed())
def test_another_process_reads_the_same(reader: Reader, case: tuple[Any, Any]) -> None:
    """What one process wrote, another reads as the same value of the same class."""
    type_, value = case
    if value is not None:
        assert alike(value, reader.read(stored(scribe_of(type_), value), type_))
