"""
Smaller instances of a large saga, the smallest first: runs in which little goes otherwise.

The *plain run* takes the first good answer that the table has: each step is done, each undo
succeeds. An instance of size k is all runs in which at most k moves are others: a fault, another
order, another choice, one more item. It has few states, however many the whole has: faults may be
anywhere, not everywhere at once. Its runs are runs of the whole, so what it breaks, the whole
breaks; that it breaks nothing says nothing.

A run that is found is the shortest of its instance; moves that turn out not to matter are left out.
It is a shortest one of the whole where no fewer moves could reach what it needs, each field taken
by itself (a bound that is never too high), or where the whole was looked at so far. Elsewhere it
says that it may be longer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import attrs

from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._cores import Cores, Node, state_of
from saga_fsm.checker._least import Least
from saga_fsm.checker._search import Explored, reached_by, taken_up
from saga_fsm.checker._traces import Breach, trace
from saga_fsm.product import Command, Network, Values, holds


# The largest instance, and how many of their states are looked at, all instances together.
_SIZES = 3
_BUDGET = 10_000

# The good answers, and what goes on by itself where there is none.
_GOOD = frozenset({"start", "done", "landed", "compensated", "chose", "items"})
_ON = frozenset({"retry", "absent", "~recovered"})

SAID = "smaller instances: runs in which at most {} moves are others than those of the plain run"
LONGER = "a run may be longer than the shortest"


def explore_smaller(network: Network, bounds: Bounds, *, clear: int = 0) -> Explored:
    """
    Look for what is forbidden in one instance after another, until something is found.

    Never complete: either something was found, or nothing is known.

    Args:
        network: machine and environment.
        bounds: how far.
        clear: up to so many moves from the start nothing is forbidden, as is known already.
    """
    # In the order in which they are plain; the runs are told of the network as it is.
    cores = Cores(attrs.evolve(network, commands=tuple(sorted(network.commands, key=_rank))))
    instance = _Instance(cores, 0, bounds, 0)
    while instance.run() and not instance.found and instance.size < _SIZES:
        instance = _Instance(cores, instance.size + 1, bounds, instance.seen)
    breaches = tuple(_shown(network, instance, clear))
    longer = () if all(one.shortest for one in breaches) else (LONGER,)
    return Explored(
        states=instance.seen,
        transitions=None,
        depth=None,
        complete=False,
        interrupted=instance.interrupted,
        breaches=breaches,
        taken=frozenset(cores.taken - {-1}),
        reached=reached_by(cores),
        short_of="found" if breaches else instance.short_of or "states",
        engine="scout, smallest instances first",
        reductions=(SAID.format(instance.size), *longer),
    )


class _Move(NamedTuple):
    """One that is enabled: what it leads to, by which command, and what it costs."""

    after: Node
    command: int
    cost: int


class _Instance:
    """Its runs, nearest first: a node comes once more where fewer other moves lead there."""

    def __init__(self, cores: Cores, size: int, bounds: Bounds, before: int) -> None:
        self.cores, self.size = cores, size
        self.room = min(_BUDGET, bounds.limit) - before
        self.memory = math.inf if bounds.memory is None else bounds.memory
        self.before = before
        self.interrupted = False
        self.short_of = ""
        self.nodes: list[Node] = [cores.initial]
        # By entry: the one it was reached from, the command that led there, the cost so far.
        self.parents, self.commands, self.costs = [0], [-1], [0]
        self.found: dict[tuple[str, str], int] = {}
        self._least: dict[Node, int] = {cores.initial: 0}

    def run(self) -> bool:
        """Search until something is found, with all that is as near; whether there is more room."""
        start = 0
        try:
            while start < len(self.nodes) and not self.found and self._go_on():
                level = range(start, len(self.nodes))
                start = len(self.nodes)
                for number in level:
                    self._expand(number)
        except KeyboardInterrupt:
            self.interrupted = True
        return not self.interrupted and self._go_on()

    @property
    def seen(self) -> int:
        """States of this instance and those before it."""
        return self.before + len(self.nodes)

    def _go_on(self) -> bool:
        if len(self.nodes) > self.room:
            self.short_of = "states"
        elif taken_up(self.seen, 0, self.cores) > self.memory:
            self.short_of = "memory"
        return not self.short_of

    def _expand(self, number: int) -> None:
        node, cost = self.nodes[number], self.costs[number]
        if cost > self._least[node]:
            return
        for rule, step, _ in self.cores.broken(node):
            self.found.setdefault((rule, step), number)
        for after, command, more in self._moves(node):
            if cost + more > self.size:
                # So do all that come after it.
                break
            if cost + more < self._least.get(after, self.size + 1):
                self._least[after] = cost + more
                self.nodes.append(after)
                self.parents.append(number)
                self.commands.append(command)
                self.costs.append(cost + more)

    def _moves(self, node: Node) -> Iterator[_Move]:
        """The plain one first; it costs nothing."""
        cores, cost = self.cores, 0
        core = node >> cores.width
        for option in cores.options(core):
            for f, allowed in option.asks:
                if cores.of(node, f) not in allowed:
                    break
            else:
                after = node + ((cores.target(core, option.command) - core) << cores.width)
                for f, x in option.update:
                    after += (x - cores.of(node, f)) << cores.shift[f]
                if after != node:
                    yield _Move(after, option.command, cost)
                    cost = 1

    def run_to(self, number: int) -> list[Command]:
        """The commands of the run to an entry."""
        run = []
        while number:
            run.append(self.cores.network.commands[self.commands[number]])
            number = self.parents[number]
        return run[::-1]


def _rank(command: Command) -> int:
    kind = command.token.partition("(")[0]
    return 0 if kind in _GOOD else 1 if kind in _ON else 2


def _shown(network: Network, instance: _Instance, clear: int) -> Iterator[Breach]:
    """Each rule and step with its run, without the moves that do not matter, nearest first."""
    if not instance.found:
        return
    least = Least(network)
    runs = {}
    for key, number in instance.found.items():
        run = instance.run_to(number)
        bound = max(clear + 1, least.moves_to(*key))
        runs[key] = bound, run if len(run) <= bound else _without_idle(network, key, run)
    for (rule, step), (bound, run) in sorted(runs.items(), key=lambda one: len(one[1][1])):
        states = list(_states(network, run))
        message = next(text for *key, text in _broken(network, states[-1]) if key == [rule, step])
        yield Breach(rule, step, message, trace(network, states), shortest=len(run) <= bound)


# ------------------------------------------------------------------ shorter runs


def _without_idle(network: Network, key: tuple[str, str], run: list[Command]) -> list[Command]:
    """The run without the moves of others, and then without single moves, that do not matter."""
    for target in dict.fromkeys(one.token.partition("(")[2] for one in run):
        rest = [one for one in run if one.token.partition("(")[2] != target]
        if rest and _breaks(network, key, rest):
            run = rest
    number = len(run)
    while number:
        number -= 1
        rest = run[:number] + run[number + 1 :]
        if _breaks(network, key, rest):
            run, number = rest, min(number, len(rest))
    return run


def _breaks(network: Network, key: tuple[str, str], run: Sequence[Command]) -> bool:
    """Whether a run can be, and ends where that is forbidden."""
    states = list(_states(network, run))
    if len(states) <= len(run):
        return False
    return any((rule, step) == key for rule, step, _ in _broken(network, states[-1]))


def _states(network: Network, run: Sequence[Command]) -> Iterator[Values]:
    """The states that these commands lead through, as far as each is enabled."""
    now: Values | None = network.initial
    for command in run:
        if now is None:
            return
        yield now
        now = network.after(command, now)
    if now is not None:
        yield now


def _broken(network: Network, values: Values) -> Iterator[tuple[str, str, str]]:
    for one in network.forbidden:
        if holds(one.asks, values) and holds(one.shared, values):
            yield one.said(state_of(network, values).status.value)
