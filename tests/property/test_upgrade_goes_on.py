"""A run that ``diff`` lets go on ends as a run of the new saga does, whatever happens to it."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from saga_fsm import GUARDED, Saga, choice, compile_saga, diff, parallel
from saga_fsm.checker._cores import state_of
from saga_fsm.definition.layout import lay_out
from saga_fsm.product import Network, Values, holds, network_of
from tests.reference import BOUNDED, C, O, P, R, chooser


def blocks_of(names: str, kinds: str, *, beside: bool) -> list[Any]:
    """Compensatable steps with options by letter, then a pivot and a retriable."""
    made: list[Any] = []
    for name, kind in zip(names, kinds, strict=True):
        if kind == "r":
            made.append(C(name, retry=BOUNDED))
        elif kind == "o":
            made.append(O(name))
        elif kind == "c":
            made.append(choice(chooser, name=f"c{name}", yes=C(name), otherwise=O(f"o{name}")))
        else:
            made.append(C(name))
    if beside and len(made) > 1:
        made[-2:] = [parallel(*made[-2:])]
    return [*made, P("p")]


VERSIONS = st.builds(
    lambda names, kinds, beside, tail: (names, kinds[: len(names)], beside, tail),
    st.lists(st.sampled_from("abz"), min_size=1, max_size=3, unique=True).map("".join),
    st.text("kroc", min_size=3, max_size=3),
    st.booleans(),
    st.booleans(),
)


def saga_of(version: tuple[str, str, bool, bool]) -> Saga[Any, Any]:
    """One version."""
    names, kinds, beside, tail = version
    blocks = blocks_of(names, kinds, beside=beside)
    return Saga("s", *blocks, *([R("t")] if tail else []), contract=GUARDED)


def walked(network: Network, values: Values, luck: random.Random, moves: int) -> list[Values]:
    """A random run of the product."""
    run = [values]
    for _ in range(moves):
        after = [x for one in network.commands if (x := network.after(one, run[-1])) is not None]
        if not after:
            break
        run.append(luck.choice(after))
    return run


def carried(old: Network, new: Network, values: Values, codes: Any) -> Values:
    """The new product's state: the machine's part as ``diff`` says, the rest by name."""
    local = dict(zip((x.name for x in old.fields), values, strict=True))
    named = {x.name: x.values[local[x.name]] for x in old.fields}
    found = []
    for f, field in enumerate(new.fields):
        if field.codes:
            found.append(field.codes.index(codes[f]))
        else:
            found.append(field.values.index(named[field.name]) if field.name in named else 0)
    return tuple(found)


@settings(max_examples=40)
@given(VERSIONS, VERSIONS, st.randoms(use_true_random=False))
def test_who_may_go_on_goes_on_right(old: Any, new: Any, luck: random.Random) -> None:
    """From every state that may, no run of the new saga comes to what is forbidden."""
    before, after = saga_of(old), saga_of(new)
    found = diff(before, after, limit=20_000)
    if found.verdict == "incomplete":
        return
    networks = [network_of(lay_out(one), compile_saga(one)) for one in (before, after)]
    for values in walked(networks[0], networks[0].initial, luck, 25):
        state = found.maps(state_of(networks[0], values))
        event("may go on" if state else "may not, or is over")
        if state is None:
            continue
        start = carried(*networks, values, state.codes)
        for there in walked(networks[1], start, luck, 12):
            wrong = [one for one in networks[1].forbidden if holds(one.guard, there)]
            assert not wrong, (found.old, wrong[0].sayings)
