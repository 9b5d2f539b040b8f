"""Properties on drawn graphs, against definitions that are written differently here."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from saga_fsm import Saga
from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._properties import Asked
from saga_fsm.compiler import compile_saga
from saga_fsm.definition.layout import lay_out
from saga_fsm.product import Command, Field, Network, network_of
from saga_fsm.properties import (
    always,
    always_possible,
    at,
    eventually,
    leads_to,
    never,
    precedes,
    predicate,
    reachable,
)
from tests.reference import C


LAYOUT = lay_out(Saga("s", C("a")))
BASE = network_of(LAYOUT, compile_saga(LAYOUT.saga))
# The saga's own fields stand still; these two are what the drawn commands move.
CORE = [field for field in BASE.fields if not field.name.startswith("~")]
S, M = len(CORE), len(CORE) + 1
TOKENS = ("e0", "e1", "e2")
SHARE = 0.2


def network(size: int, moves: list[tuple[str, int, int | None, int, int | None]]) -> Network:
    """One field of the core and one of the memory; each move asks for both and sets both."""
    # Each word is known, even where nothing of it can happen.
    commands = [Command(token, token, ((S, frozenset()),), ()) for token in TOKENS]
    for token, source, asked, target, told in moves:
        guard = [(S, frozenset({source}))]
        update = [(S, target)]
        if asked is not None:
            guard.append((M, frozenset({asked})))
        if told is not None:
            update.append((M, told))
        commands.append(Command(token, token, tuple(guard), tuple(update)))
    return attrs.evolve(
        BASE,
        fields=(*CORE, Field("@s", tuple(f"s{x}" for x in range(size))), Field("~m", ("0", "1"))),
        commands=tuple(commands),
        internal=(),
        forbidden=(),
        rest=(),
    )


@attrs.frozen
class Drawn:
    """A graph, and two sets of its states."""

    network: Network
    p: frozenset[int]
    q: frozenset[int]


@st.composite
def drawn(draw: st.DrawFn, *, size: int = 6) -> Drawn:
    """Few states, some more moves: so that some things have to come and some do not."""
    # Even luck: what Hypothesis likes best are moves from the first state to itself.
    luck = random.Random(draw(st.integers(0, 2**32)))
    number = luck.randint(2, size)
    moves = [
        (
            luck.choice(TOKENS),
            luck.randrange(number),
            luck.choice([None, None, 0, 1]),
            luck.randrange(number),
            luck.choice([None, 0, 1]),
        )
        for _ in range(luck.randint(number, 2 * number + 1))
    ]
    if luck.random() < 0.25:
        # No rests: then what does not come is gone round by.
        steps = [luck.randint(1, number - 1) for _ in range(number)]
        moves += [("e2", x, None, (x + step) % number, None) for x, step in enumerate(steps)]
    p = frozenset(luck.sample(range(number), luck.choice([1, 1, 2])))
    q = frozenset([luck.randrange(number)])
    return Drawn(network(number, moves), p, q)


class Plain:
    """The same graph, by sets and dictionaries."""

    def __init__(self, net: Network) -> None:
        self.start = (0, 0)
        self.moves: dict[Any, list[tuple[str, Any]]] = {}
        todo = [self.start]
        while todo:
            state = todo.pop()
            if state not in self.moves:
                self.moves[state] = list(self._from(net, state))
                todo.extend(end for _, end in self.moves[state])

    @staticmethod
    def _from(net: Network, state: Any) -> Iterator[tuple[str, Any]]:
        for one in net.commands:
            asked, told = dict(one.guard), dict(one.update)
            if state[0] in asked[S] and state[1] in asked.get(M, {0, 1}):
                yield one.token, (told.get(S, state[0]), told.get(M, state[1]))

    def reach(self, state: Any, ends: Any, within: Any = lambda _: True) -> set[Any]:
        """What can be come to, itself included, through states within."""
        seen, todo = {state}, [state]
        while todo:
            at_ = todo.pop()
            if not within(at_):
                continue
            new = set(ends(at_)) - seen
            seen |= new
            todo.extend(new)
        return seen

    def everywhere(self, state: Any) -> list[Any]:
        """Where all moves lead."""
        return [end for _, end in self.moves[state]]

    def distance(self, goal: Any) -> int | None:
        """How many moves to the nearest state with this."""
        level, seen, far = {self.start}, {self.start}, 0
        while level:
            if any(map(goal, level)):
                return far
            level = {end for x in level for end in self.everywhere(x)} - seen
            seen |= level
            far += 1
        return None

    def others(self, state: Any, adversarial: tuple[str, ...]) -> list[Any]:
        """Where the fair moves lead that change something."""
        found = self.moves[state]
        return [end for token, end in found if token not in adversarial and end != state]

    def plans(self, adversarial: tuple[str, ...]) -> list[dict[Any, list[Any]]]:
        """Each plan of an adversary without memory: what may follow in each state."""
        choices = []
        for state, moves in self.moves.items():
            own = [[end] for token, end in moves if token in adversarial]
            unique = [x for n, x in enumerate(own) if x not in own[:n]]
            choices.append([(state, x) for x in [self.others(state, adversarial), *unique]])
        assume(math.prod(map(len, choices)) <= 512)
        return [dict(plan) for plan in itertools.product(*choices)]

    def fails_to_come(self, p: Any, q: Any, adversarial: tuple[str, ...]) -> bool:
        """Whether under some plan a run through p has no q with a chance that is not nothing."""
        for plan in self.plans(adversarial):
            reach = {x: self.reach(x, plan.__getitem__) for x in plan}
            for x in plan:
                if not p(x) or q(x):
                    continue
                through = self.reach(x, plan.__getitem__, within=lambda y: not q(y))
                for y in through:
                    final = all(y in reach[z] for z in reach[y])
                    if final and not any(q(z) for z in reach[y]):
                        return True
        return False

    def overtakes(self, p: Any, q: Any) -> bool:
        """Whether some run has q before p, by remembering p beside the state."""
        first = (self.start, p(self.start))
        seen, todo = {first}, [first]
        while todo:
            state, had = todo.pop()
            if q(state) and not had:
                return True
            for end in self.everywhere(state):
                after = (end, had or p(end))
                if after not in seen:
                    seen.add(after)
                    todo.append(after)
        return False


def among(values: frozenset[int]) -> Any:
    """An atom: the field has one of these values."""
    return at("@s", *(f"s{x}" for x in sorted(values)))


def with_bit(values: frozenset[int]) -> Any:
    """A function that looks at the memory in some states only."""
    names = {f"s{x}" for x in values}
    return predicate(lambda view: str(view["@s"]) in names and view._value(M) == 1)


def answer(net: Network, one: Any, limit: int = 10_000) -> Any:
    """The finding that answers, and the rest."""
    found = Asked(LAYOUT, net, [one]).answers(Bounds(limit)).findings
    return found[0]


def judged(tally: Counter[tuple[str, bool]], name: str, found: Any, *, fails: bool) -> None:
    """The answer is right, and counted."""
    assert (found.level == "error") is fails, (name, found)
    tally[name, fails] += 1


def shares(tally: Counter[tuple[str, bool]]) -> None:
    """Of each operator enough hold and enough fail, or the comparison says little."""
    for name in {name for name, _ in tally}:
        both = tally[name, True], tally[name, False]
        assert min(both) >= SHARE * sum(both), (name, both)


QUICK = settings(
    deadline=None,
    max_examples=250,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_safety_and_possibility_agree() -> None:
    """Each operator about states is what sets of reachable states say, with the exact distance."""
    tally: Counter[tuple[str, bool]] = Counter()

    @QUICK
    @given(drawn())
    def compare(one: Drawn) -> None:
        net, plain = one.network, Plain(one.network)

        def p(state: Any) -> bool:
            return state[0] in one.p and state[1] == 1

        def q(state: Any) -> bool:
            return state[0] in one.q

        mine, other = with_bit(one.p), among(one.q)
        far = plain.distance(p)
        found = answer(net, never(mine))
        judged(tally, "never", found, fails=far is not None)
        assert found.path is None or len(found.path) == far
        found = answer(net, reachable(mine))
        judged(tally, "reachable", found, fails=far is None)
        assert found.path is None or len(found.path) == far
        wrong = plain.distance(lambda x: p(x) and not q(x))
        found = answer(net, always(~mine | other))
        judged(tally, "always", found, fails=wrong is not None)
        assert found.path is None or len(found.path) == wrong
        fails = any(not any(map(q, plain.reach(x, plain.everywhere))) for x in plain.moves)
        judged(tally, "always_possible", answer(net, always_possible(other)), fails=fails)
        fails = plain.overtakes(lambda x: x[0] in one.p, q)
        judged(tally, "precedes", answer(net, precedes(among(one.p), other)), fails=fails)

    compare()
    shares(tally)


@pytest.mark.parametrize("adversarial", [(), ("e0",), ("e0", "e1")], ids=len)
def test_liveness_agrees(adversarial: tuple[str, ...]) -> None:
    """What has to come comes under every plan of the adversary; each lasso is a fair run."""
    tally: Counter[tuple[str, bool]] = Counter()
    rounds: list[int | None] = []

    @QUICK
    @given(drawn(size=5))
    def compare(one: Drawn) -> None:
        net, plain = one.network, Plain(one.network)

        def p(state: Any) -> bool:
            return state[0] in one.p

        def q(state: Any) -> bool:
            return state[0] in one.q

        found = answer(net, leads_to(among(one.p), among(one.q), adversarial=adversarial))
        fails = plain.fails_to_come(p, q, adversarial)
        judged(tally, "leads_to", found, fails=fails)
        if fails:
            assert any(endless_run(plain, found.path, p, q, adversarial))
            rounds.append(found.path.loop)
        found = answer(net, eventually(among(one.q), adversarial=adversarial))
        fails = plain.fails_to_come(lambda x: x == plain.start, q, adversarial)
        judged(tally, "eventually", found, fails=fails)
        if fails:
            first = [plain.start]
            assert any(endless_run(plain, found.path, first.__contains__, q, adversarial))

    compare()
    shares(tally)
    assert len(rounds) - rounds.count(None) >= 5


def endless_run(
    plain: Plain, path: Any, p: Any, q: Any, adversarial: tuple[str, ...]
) -> Iterator[bool]:
    """Whether a run of these tokens has p and no q from there on, and may go on so, fairly."""
    runs = [[plain.start]]
    for move in path.moves:
        runs = [
            [*run, end]
            for run in runs
            for token, end in plain.moves[run[-1]]
            if token == move.token
        ]
    for run in runs:
        waits = any(p(x) and not any(map(q, run[n:])) for n, x in enumerate(run))
        if path.loop is None:
            yield waits and not plain.others(run[-1], adversarial)
            continue
        loop = list(itertools.pairwise(run[path.loop :]))
        tokens = [move.token for move in path.moves[path.loop :]]
        let = {x for (x, _), token in zip(loop, tokens, strict=True) if token not in adversarial}
        fair = all((x, end) in loop for x in let for end in plain.others(x, adversarial))
        yield waits and run[-1] == run[path.loop] and fair


def test_what_is_cut_short_is_never_called_right() -> None:
    """With any limit, what fails does fail in the whole graph, and nothing holds by the limit."""
    tally: Counter[tuple[str, bool]] = Counter()

    @QUICK
    @given(drawn(), st.integers(1, 6), st.sampled_from([(), ("e0",)]))
    def compare(case: Drawn, limit: int, adversarial: tuple[str, ...]) -> None:
        net, p, q = case.network, among(case.p), among(case.q)
        for one in (
            always(p),
            never(p),
            reachable(p),
            precedes(p, q),
            always_possible(p),
            eventually(p, adversarial=adversarial),
            leads_to(p, q, adversarial=adversarial),
        ):
            cut, whole = answer(net, one, limit), answer(net, one)
            tally["undecided", cut.level == "warning"] += 1
            assert cut.level in {"warning", whole.level}
            if cut.level == "info" and one.operator != "reachable":
                assert len(Plain(net).moves) <= limit

    compare()
    shares(tally)
