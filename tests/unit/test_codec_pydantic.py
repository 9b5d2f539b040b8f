"""Models of pydantic as inputs and results; the library never imports it by itself."""

from __future__ import annotations

import datetime as dt
import decimal
import subprocess
import sys

import pytest

from saga_fsm import Context, Saga, pivot
from saga_fsm.codec import JsonCodec, Scribe
from saga_fsm.errors import JournalError, UnstorableValueError


pydantic = pytest.importorskip("pydantic", reason="pip install pydantic, to keep its models")


class Line(pydantic.BaseModel):
    """A part of a model."""

    sku: str
    price: decimal.Decimal


class Order(pydantic.BaseModel):
    """A model with models in it, a strict one, with another name outside."""

    model_config = pydantic.ConfigDict(strict=True, populate_by_name=True)

    customer: str = pydantic.Field(alias="Customer")
    lines: list[Line]
    at: dt.datetime
    token: bytes = b""


class Rounded(pydantic.BaseModel):
    """It changes what it reads."""

    value: int

    @pydantic.field_serializer("value")
    def _rounded(self, value: int) -> int:
        return value // 10 * 10


class Secret(pydantic.BaseModel):
    """It does not tell what it has."""

    token: pydantic.SecretStr


class Hidden(pydantic.BaseModel):
    """It leaves out what it needs."""

    sku: str = pydantic.Field(exclude=True)


class Gift(Line):
    """It has more than a line."""

    message: str = ""


ORDER = Order(
    Customer="ada",
    lines=[Line(sku="a", price=decimal.Decimal("1.50"))],
    at=dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
    token=b"x",
)


def act(ctx: Context[Order]) -> Line | None:
    """Takes a model and answers with one."""
    return ctx.input.lines[0]


def test_models_come_back_as_models() -> None:
    """An input and a result that are models come back equal, strict and with aliases too."""
    scribe = Scribe(Saga("s", pivot(act)))
    scribe.check()
    header = {"saga": "s", "fingerprint": "f", "input": ORDER}
    assert scribe.read("start", scribe.write("start", header)) == header
    line = ORDER.lines[0]
    scribe.admit("done", "act", line)
    assert scribe.read("done(act)", scribe.write("done(act)", line)) == line
    codec = JsonCodec()
    assert codec.decode(codec.encode({"a": [line]}, dict[str, list[Line]]), dict[str, list[Line]])


def test_models_that_would_come_back_different_are_refused() -> None:
    """A model that writes less than it holds, and a subclass with more, are refused."""
    for value, told in (
        (Rounded(value=13), "something else"),
        (Secret(token=pydantic.SecretStr("x")), "something else"),
        (Hidden(sku="x"), "does not read"),
    ):

        def made(ctx: object) -> object:
            return None

        made.__annotations__["return"] = type(value)
        with pytest.raises(UnstorableValueError, match=told):
            Scribe(Saga("s", pivot(made))).admit("done", "made", value)
    with pytest.raises(UnstorableValueError, match="annotate Gift"):
        Scribe(Saga("s", pivot(act))).admit(
            "done", "act", Gift(sku="a", price=decimal.Decimal(1), message="hi")
        )


def test_a_text_that_is_no_such_model_is_a_journal_error() -> None:
    """What pydantic finds wrong with a stored text is told as any other."""
    with pytest.raises(JournalError, match="cannot be read"):
        Scribe(Saga("s", pivot(act))).read("done(act)", '{"sku": 1}')


def test_pydantic_is_never_imported_by_us() -> None:
    """Storing what is no model loads no pydantic."""
    code = (
        "import sys; from saga_fsm.codec import Scribe; from saga_fsm.examples import order; "
        "scribe = Scribe(order.saga); scribe.check(); "
        "scribe.admit('done', 'charge', order.Payment('a', 1)); print('pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own
    assert done.stdout.strip() == "False"
