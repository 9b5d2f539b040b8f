"""The language: values, printing, retries, contexts."""

from __future__ import annotations

import pickle
import weakref
from typing import Any, ClassVar, get_args

import attrs
import pytest

from saga_fsm.compiler import compile_saga
from saga_fsm.definition import (
    GUARDED,
    PENDING,
    SKIP,
    Block,
    Context,
    Contract,
    Kind,
    Retry,
    Saga,
    Step,
    Transient,
    alternatives,
    choice,
    each,
    parallel,
    pause,
    pivot,
    readonly,
    retriable,
    step,
)
from saga_fsm.definition.layout import lay_out
from saga_fsm.errors import DefinitionError, NoResultError, UnknownStepError


def refund(ctx: Any, result: object) -> None:
    """Undo."""


def look(ctx: Any) -> int:
    """Look."""
    return 1


@step(compensate=refund)
def charge(ctx: Any) -> int:
    """Act."""
    return 2


def test_a_step_stays_callable_and_can_be_renamed() -> None:
    """A decorated function is a value that is still the function."""
    assert charge(None) == 2
    deposit = attrs.evolve(charge, name="deposit")
    assert (deposit.name, deposit.compensate, deposit.kind) == (
        "deposit",
        refund,
        Kind.COMPENSATABLE,
    )
    assert charge.file == __file__


def test_a_saga_prints_one_line_a_step() -> None:
    """Printing shows name, action and compensation, and what is inside what."""
    saga = Saga(
        "order",
        charge,
        parallel(readonly(look), each(lambda ctx: [1], readonly(look, name="l"), max_items=2)),
        choice(look, yes=pause(1.0), otherwise=SKIP),
        pivot(look, name="ship"),
        retriable(look, name="mail"),
    )
    assert str(saga).splitlines() == [
        "saga 'order'",
        "  charge -> charge <- refund",
        "  parallel",
        "    look -> look (readonly)",
        "    each l, at most 2",
        "      l -> look (readonly)",
        "  choice look",
        "    yes: pause -> 1 s (readonly)",
        "    otherwise: SKIP",
        "  ship -> look (pivot)",
        "  mail -> look (retriable)",
    ]


def test_nested_sagas_print_what_is_in_them() -> None:
    """A nested saga says what undoes the whole; one with its own input looks the same."""
    inner = Saga("inner", charge, pause(lambda ctx: 1.0, name="nap"), compensate=refund)
    saga = Saga("outer", alternatives(inner.given(look), readonly(look)))
    assert str(saga).splitlines()[1:] == [
        "  alternatives",
        "    saga 'inner' <- refund",
        "      charge -> charge <- refund",
        "      nap -> lambda (readonly)",
        "    look -> look (readonly)",
    ]
    assert repr(saga) == "<Saga 'outer', 1 blocks>"


def test_words_and_promises_print_themselves() -> None:
    """What has a name in the language reads as that name, and comes back from a pickle itself."""
    assert (repr(SKIP), repr(PENDING)) == ("SKIP", "PENDING")
    assert [pickle.loads(pickle.dumps(x)) is x for x in (SKIP, PENDING)] == [True, True]  # noqa: S301
    assert (str(GUARDED), str(Contract())) == ("idempotent, sticky, fenced", "nothing promised")
    later = pickle.loads(pickle.dumps(Transient("busy", after=3.0)))  # noqa: S301
    assert (later.reason, later.after) == ("busy", 3.0)


@pytest.mark.parametrize(
    ("declared", "error", "meant"),
    [
        (KeyError, KeyError(), True),
        ((KeyError, OSError), TimeoutError(), True),
        ((KeyError, OSError), ValueError(), False),
        (lambda error: "no" in str(error), ValueError("no"), True),
        (lambda error: "no" in str(error), ValueError("yes"), False),
    ],
)
def test_what_rejects_means(declared: Any, error: Exception, meant: bool) -> None:  # noqa: FBT001
    """A type, a tuple of types and a predicate are the same thing said three ways."""
    rejects = lay_out(Saga("s", readonly(look, rejects=declared))).steps["look"].rejects
    assert rejects is not None
    assert rejects(error) is meant


def test_the_nearest_step_is_meant() -> None:
    """Of steps with one name that is meant which stands nearest to who asks, and this copy's."""
    line = Saga("line", readonly(look, name="a"), readonly(look, name="b"))
    layout = lay_out(Saga("s", readonly(look, name="a"), each(look, line, max_items=2)))
    assert layout.find("a") == "a"
    assert layout.find("a", "line[1]/b") == "a"  # a path is a path
    assert layout.find("b", "line[1]/a") == "line[1]/b"
    assert layout.find("b", "line[0]/b") == "line[0]/b"
    with pytest.raises(UnknownStepError, match="2 steps 'b'"):
        layout.find("b")


def test_types_have_arguments_with_defaults() -> None:
    """Annotations that are read at run time have what they leave out: object."""
    assert get_args(Context[int]) == (int, object, object)
    assert get_args(Block[int, str]) == (int, str, object)
    assert get_args(Step[int, str, float, bool]) == (int, str, float, bool)


def test_a_saga_is_a_value_by_identity() -> None:
    """Sagas can be renamed, weakly referenced and used as keys."""
    saga = Saga("a", charge)
    other = attrs.evolve(saga, name="b", deadline=3.0)
    assert (other.name, other.deadline, other.blocks) == ("b", 3.0, saga.blocks)
    assert weakref.ref(saga)() is saga
    assert len({saga, other}) == 2


@pytest.mark.parametrize(
    ("retry", "waits", "bound"),
    [
        (Retry(), [None], "none"),
        (Retry(attempts=3, wait_initial=0.5), [0.5, 1.0, None], "bounded"),
        (Retry.forever(wait_initial=1.0, wait_max=3.0), [1.0, 2.0, 3.0, 3.0], "forever"),
    ],
)
def test_waits(retry: Retry, waits: list[float | None], bound: str) -> None:
    """Waits double up to the longest one, and end with the attempts."""
    assert [retry.wait(n) for n in range(2, 2 + len(waits))] == waits
    assert retry.bound == bound
    assert Retry.forever(wait_initial=1.0).wait(10**6, 0.5) == 60.0


def test_jitter_is_scaled_by_luck() -> None:
    """Jitter only adds, and only as far as luck says."""
    assert Retry(attempts=2, wait_initial=1.0, jitter=2.0).wait(2, 0.25) == 1.5


@pytest.mark.parametrize(
    "wrong", [{"attempts": 0}, {"wait_initial": -1.0}, {"jitter": float("nan")}]
)
def test_wrong_retries_are_refused(wrong: dict[str, Any]) -> None:
    """No attempts, and no durations that are none."""
    with pytest.raises(DefinitionError):
        Retry(**wrong)


def _paths(*blocks: Any) -> list[str]:
    machine = compile_saga(Saga("s", *blocks))
    return [automaton.path for automaton in machine.automata]


def test_a_block_gives_way_to_a_step_of_its_name() -> None:
    """A choice is called as its chooser is, which may be a step's name too: it gets a number."""
    choose = choice(look, yes=readonly(look, name="a"), otherwise=SKIP)
    assert {"look", "look_2"} <= {*_paths(choose, readonly(look))}
    assert {"look", "look_2"} <= {*_paths(readonly(look), choose)}
    inside = each(look, Saga("n", readonly(look), choose), max_items=1)
    assert {"n[0]/look", "n[0]/look_2"} <= {*_paths(inside, readonly(look))}


def test_options_and_copies_do_not_meet() -> None:
    """Both have an index behind their name: alternatives get a number, ``each`` does not."""
    tried = alternatives(readonly(look, name="x"), readonly(look, name="y"), name="look")
    repeated = each(look, readonly(look), max_items=2)
    assert {"look", "look[0]", "look[1]"} <= {*_paths(repeated)}
    assert {"look[0]", "look_2[0]"} <= {*_paths(repeated, tried)}


class _Run:
    input, services, run_id = "in", "world", "r1"
    names: ClassVar[dict[str, str]] = {}
    results: ClassVar[dict[str, int]] = {"a": 1, "b[10]": 12, "b[2]": 4, "n/c": 5}

    def locate(self, step: Any, within: str) -> str:
        return step if isinstance(step, str) else str(step.name)


def test_keys_name_run_step_and_direction() -> None:
    """The key has no attempt in it; a compensation has its own and knows its action's."""
    action, undo = (
        Context._of(_Run(), "charge", 3),
        Context._of(_Run(), "charge", 1, compensating=True),
    )
    assert (action.key, action.action_key, action.attempt) == ("r1/charge", "r1/charge", 3)
    assert (undo.key, undo.action_key) == ("r1/charge/compensation", "r1/charge")
    assert (undo.input, undo.services, undo.run_id) == ("in", "world", "r1")


def test_results() -> None:
    """A result is found by step; of copies all, in the order of the items; or it says so."""
    ctx = Context._of(_Run(), "x")
    assert ctx.result_of("a") == 1
    assert ctx.result_of("z", 7) == 7
    assert ctx.results_of("b") == [4, 12]
    assert ctx.results_of("c") == [5]
    with pytest.raises(NoResultError, match="step 'z'"):
        ctx.result_of("z")


def test_a_context_by_hand() -> None:
    """A unit test gives what it needs; nothing can be changed afterwards."""
    ctx = Context(input=3, results={"charge": 9}, key="k", item="i", index=0)
    assert (ctx.input, ctx.key, ctx.item, ctx.index) == (3, "k", "i", 0)
    assert ctx.result_of(charge) == 9
    assert (ctx.action_key, Context(action_key="a").action_key) == ("run/step", "a")
    assert repr(ctx) == "Context(key='k', attempt=1)"
    with pytest.raises(AttributeError, match="cannot be changed"):
        ctx.attempt = 2  # type: ignore[misc]
    with pytest.raises(AttributeError, match="cannot be changed"):
        del ctx._facts


def test_a_step_is_found_by_its_function_too() -> None:
    """Where one step has it: where two have, the error names both."""

    def pay(ctx: Any) -> None:
        """Act."""

    def back(ctx: Any, result: Any) -> None:
        """Undo."""

    layout = lay_out(
        Saga("s", step(pay, compensate=back), Saga("n", step(back_free, compensate=back)))
    )
    assert layout.find(pay) == "pay"
    assert layout.find(back_free) == "n/back_free"
    twice = lay_out(Saga("s", step(pay, compensate=back), step(pay, compensate=back, name="again")))
    with pytest.raises(UnknownStepError, match=r"'pay'.*'again'"):
        twice.find(pay)


def back_free(ctx: Any) -> None:
    """Act."""
