"""
Several runs against interleavings played out by hand: the same anomalies.

The player knows linear sagas only, keeps the whole history, and reads each definition off it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saga_fsm import GUARDED, Saga, compile_saga, pivot, readonly, retriable, step
from saga_fsm.checker import interference
from saga_fsm.checker._instances import instances_of
from saga_fsm.checker._remedies import rebuilt, steps_of
from saga_fsm.checker._search import search
from saga_fsm.definition.layout import lay_out
from saga_fsm.product import Network, network_of, shared
from tests.reference import REFERENCES, Reference, act, undo


KINDS = {"c": step, "p": pivot, "r": retriable, "o": readonly}


@attrs.frozen
class Part:
    """A step of a linear saga, for the player."""

    kind: str
    reads: str = ""
    writes: str = ""
    locks: str = ""
    commutes: str = ""

    def touches(self, resource: str) -> bool:
        """Whether it reads or writes it."""
        return resource in self.reads or (resource in self.writes and self.kind != "o")

    def conflicts(self, other: Part, resource: str) -> bool:
        """Whether both write it, in an order that matters."""
        both = all(resource in x.writes and x.kind != "o" for x in (self, other))
        return both and not (resource in self.commutes and resource in other.commutes)

    def blind(self, resource: str) -> bool:
        """Whether it writes without a look."""
        return resource in self.writes and self.kind != "o" and resource not in self.reads


Parts = tuple[Part, ...]
Event = tuple[int, int, str]


def saga_of(name: str, parts: Parts) -> Saga[Any, Any]:
    """Make the saga that the player plays."""
    blocks = []
    for number, part in enumerate(parts):
        options: dict[str, Any] = {"compensate": undo} if part.kind == "c" else {}
        blocks.append(
            KINDS[part.kind](
                act,
                name=f"s{number}",
                reads=tuple(part.reads),
                writes=tuple(part.writes),
                locks=tuple(part.locks),
                commutes_with=tuple(part.commutes),
                **options,
            )
        )
    return Saga(name, *blocks, contract=GUARDED)


class Player:
    """Plays every interleaving of two linear sagas, and notes what goes wrong in its history."""

    def __init__(self, sagas: tuple[Parts, Parts]) -> None:
        self.sagas = sagas
        self.found: set[tuple[Any, ...]] = set()
        self.after({}, [], (0, 0), ("on", "on"))

    def landed(self, history: list[Event], i: int) -> list[int]:
        """The steps of a run whose effects stand, in order."""
        gone = {s for j, s, what in history if (j, what) == (i, "undo")}
        return [s for j, s, what in history if (j, what) == (i, "land") and s not in gone]

    def after(
        self,
        locks: dict[str, int],
        history: list[Event],
        at: tuple[int, int],
        modes: tuple[str, str],
    ) -> None:
        """Look at where it is, and take every step from here."""
        self.waits(locks, at, modes)
        for i in range(2):
            self.ended(locks, history, modes)
            for what, s in self.moves(i, at[i], modes[i], history):
                now = dict(locks)
                if what == "land" and not self.lock(now, i, s):
                    continue
                if what == "undo":
                    self.unlock(now, i, s, history)
                event = [(i, s, what)] if what in {"land", "undo"} else []
                if event:
                    self.look(history, event[0])
                place = at[i] + (what == "land")
                mode = {"land": "on", "undo": "back"}.get(what, what)
                self.after(
                    now,
                    history + event,
                    (place, at[1]) if i == 0 else (at[0], place),
                    (mode, modes[1]) if i == 0 else (modes[0], mode),
                )

    def moves(self, i: int, k: int, mode: str, history: list[Event]) -> Iterator[tuple[str, int]]:
        """What a run may do next: land a step, turn back, undo one, end."""
        parts = self.sagas[i]
        final = next((n for n, part in enumerate(parts) if part.kind in "pr"), len(parts))
        if mode == "on":
            if k < len(parts):
                yield "land", k
            else:
                yield "end", -1
            doubtful = k < len(parts) or parts[-1].kind == "c"
            first_is_retriable = k == final < len(parts) and parts[final].kind == "r"
            sure = first_is_retriable and (k == 0 or parts[k - 1].kind == "o")
            if k <= final and doubtful and not sure:
                yield "back", -1
        elif mode == "back":
            left = [s for s in self.landed(history, i) if parts[s].kind == "c"]
            if left:
                yield "undo", left[-1]

    def lock(self, locks: dict[str, int], i: int, s: int) -> bool:
        """Whether a step may land; then it takes its locks, or lets them go."""
        part = self.sagas[i][s]
        if any(locks.get(lock, i) != i for lock in part.locks):
            return False
        for lock in part.locks:
            if part.kind == "c":
                locks[lock] = i
            elif part.kind == "r":
                locks.pop(lock, None)
        return True

    def unlock(self, locks: dict[str, int], i: int, s: int, history: list[Event]) -> None:
        """Let go of what no other step that stands holds."""
        parts = self.sagas[i]
        for lock in parts[s].locks:
            others = [x for x in self.landed(history, i) if x != s and parts[x].kind == "c"]
            if not any(lock in parts[x].locks for x in others):
                locks.pop(lock, None)

    # ------------------------------------------------------------ what goes wrong

    def note(self, rule: str, resource: str, *steps: tuple[int, int]) -> None:
        """Write down that it has been seen."""
        self.found.add((rule, resource, *steps))

    def waits(self, locks: dict[str, int], at: tuple[int, int], modes: tuple[str, str]) -> None:
        """Look for two calls that wait for each other."""
        wanted = []
        for i in range(2):
            parts = self.sagas[i]
            called = modes[i] == "on" and at[i] < len(parts)
            names = parts[at[i]].locks if called else ""
            wanted.append([lock for lock in names if locks.get(lock) == 1 - i])
        for one in wanted[0]:
            for other in wanted[1]:
                both = ", ".join(sorted({one, other}))
                self.note("deadlock", both, (0, at[0]), (1, at[1]))

    def ended(self, locks: dict[str, int], history: list[Event], modes: tuple[str, str]) -> None:
        """Look at what a run that has completed leaves."""
        for i in range(2):
            if modes[i] != "end":
                continue
            for lock, holder in locks.items():
                if holder == i:
                    first = next(
                        s
                        for s, part in enumerate(self.sagas[i])
                        if lock in part.locks and part.kind == "c"
                    )
                    self.note("I11", lock, (i, first))
            self.dirty(i, history)

    def dirty(self, i: int, history: list[Event]) -> None:
        """Look for what it had read that was undone."""
        j = 1 - i
        for time, (who, s, _) in enumerate(history):
            for resource in self.sagas[i][s].reads if who == i else "":
                past = history[:time]
                for w in self.landed(past, j):
                    writer = self.sagas[j][w]
                    since = past[past.index((j, w, "land")) + 1 :]
                    hidden = any(
                        what == "land"
                        and x in self.landed(past, k)
                        and self.sagas[k][x].blind(resource)
                        and self.sagas[k][x].conflicts(writer, resource)
                        for k, x, what in since
                    )
                    wrote = resource in writer.writes and writer.kind != "o"
                    if wrote and not hidden and (j, w, "undo") in history[time:]:
                        self.note("dirty read", resource, (i, s), (j, w))

    def look(self, history: list[Event], event: Event) -> None:
        """Look at what a move does to what the other run wrote."""
        i, s, what = event
        j = 1 - i
        mine = self.sagas[i][s]
        for resource in "xy":
            looks = [
                time
                for time, (k, x, did) in enumerate(history)
                if k == i and did == "land" and self.sagas[i][x].touches(resource)
            ]
            if what == "undo":
                since = history[history.index((i, s, "land")) :]
            else:
                since = history[looks[-1] :] if looks else []
            for w, writer in enumerate(self.sagas[j]):
                stands = (j, w, "land") in since and (j, w, "undo") not in since
                conflict = mine.conflicts(writer, resource)
                if what == "undo" and stands and conflict:
                    self.note("undo lost update", resource, (i, s), (j, w))
                if what == "land" and mine.blind(resource) and stands and conflict:
                    self.note("lost update", resource, (i, s), (j, w))
                turns = sum((k, x) == (j, w) for k, x, _ in since)
                has_read = any(
                    k == i and did == "land" and resource in self.sagas[i][x].reads
                    for k, x, did in history
                )
                wrote = resource in writer.writes and writer.kind != "o"
                reads = what == "land" and resource in mine.reads and has_read
                if reads and wrote and turns % 2:
                    self.note("fuzzy read", resource, (i, s), (j, w))


def searched(sagas: tuple[Parts, Parts]) -> set[tuple[Any, ...]]:
    """What the checker finds, in the player's words."""
    made = shared(instances_of([saga_of("a", sagas[0]), saga_of("b", sagas[1])]))
    explored = search(made.network, limit=200_000)
    assert explored.complete
    found = set()
    for breach in explored.breaches:
        if (breach.rule, breach.step) in made.anomalies:
            one = made.anomalies[breach.rule, breach.step]
            steps = [("ab".index(x[0]), int(x.rpartition("s")[2])) for x in one.steps]
            rule = f"undo {one.rule}" if one.undo else one.rule
            found.add((rule, one.resource, *steps))
    return found


NAMES = st.sampled_from(["", "x", "y", "xy", "x", "x"])


@st.composite
def linear(draw: st.DrawFn) -> Parts:
    """Draw a saga of at most four steps in a row that names two resources and two locks."""
    kinds = [draw(st.sampled_from("cco")) for _ in range(draw(st.integers(1, 2)))]
    kinds += draw(st.sampled_from([[], ["p"], ["r"], ["p", "r"], ["p", "o"]]))
    return tuple(
        Part(
            kind,
            reads=draw(NAMES) if draw(st.booleans()) else "",
            writes=draw(NAMES),
            locks=draw(NAMES) if draw(st.integers(0, 2)) == 0 else "",
            commutes=draw(NAMES) if draw(st.integers(0, 2)) == 0 else "",
        )
        for kind in kinds
    )


@settings(max_examples=50)
@given(linear(), linear())
def test_the_table_of_a_registry_has_what_a_search_finds(one: Parts, other: Parts) -> None:
    """What is not in the table, or is kept away by a lock there, no search finds."""
    table = interference([saga_of("a", one), saga_of("b", other)])
    for rule, resource, *steps in searched((one, other)):
        names = [("ab"[i], f"s{s}") for i, s in steps]
        if rule == "deadlock":
            assert any(set(resource.split(", ")) <= set(circle) for circle in table.circles)
        elif rule != "I11":
            (suffers, first), (harms, then) = names[::-1] if "lost" in rule else names
            found = [x for x in table.between(suffers, harms) if x.steps == (first, then)]
            risks = {(x.risk, x.resource) for x in found if not x.lock}
            assert (rule.removeprefix("undo "), resource) in risks


@settings(max_examples=50)
@given(linear(), linear())
def test_the_search_finds_what_the_player_finds(one: Parts, other: Parts) -> None:
    """Whatever is read, written and locked: the anomalies that some interleaving has."""
    assert searched((one, other)) == Player((one, other)).found


# ---------------------------------------------------------------- the faults that are left out


def arrows(network: Network, named: set[str]) -> dict[Any, list[tuple[tuple[Any, ...], Any]]]:
    """
    Each state's moves: what lands, is undone, is answered or ends at it, and where it leads.

    Of the steps with these names, and of sagas undone as a whole.
    """
    ledgers = [f for f, field in enumerate(network.fields) if field.name.startswith("~")]
    effective = {network.fields[f].name for f in ledgers}
    found: dict[Any, list[tuple[tuple[Any, ...], Any]]] = {}
    todo = [network.initial]
    while todo:
        values = todo.pop()
        if values in found:
            continue
        found[values] = []
        for command in network.commands:
            now = network.after(command, values)
            if now is None:
                continue
            seen = [
                (network.fields[f].name, network.fields[f].values[now[f]])
                for f in ledgers
                if now[f] != values[f]
                and network.fields[f].name[1:] in named
                and network.fields[f].values[now[f]] in {"landed", "undone", "twice"}
            ]
            event = str(command.event)
            if event[5:-1] in named and f"~{event[5:-1]}" not in effective:
                seen.append(("answered", event))
            if values[0] != now[0] and network.fields[0].values[now[0]] == "done":
                seen.append(("", "completed"))
            found[values].append((tuple(seen), now))
            todo.append(now)
    return found


def orders_differ(one: Network, other: Network, named: set[str]) -> tuple[Any, ...] | None:
    """An order of what is seen after which one of two networks allows what the other does not."""
    both = (arrows(one, named), arrows(other, named))

    def closed(side: int, states: set[Any]) -> frozenset[Any]:
        found, todo = set(states), list(states)
        while todo:
            for seen, now in both[side][todo.pop()]:
                if not seen and now not in found:
                    found.add(now)
                    todo.append(now)
        return frozenset(found)

    def onward(side: int, states: frozenset[Any]) -> dict[tuple[Any, ...], frozenset[Any]]:
        reached: dict[tuple[Any, ...], set[Any]] = {}
        for state in states:
            for seen, now in both[side][state]:
                if seen:
                    reached.setdefault(seen, set()).add(now)
        return {seen: closed(side, found) for seen, found in reached.items()}

    start = (closed(0, {one.initial}), closed(1, {other.initial}))
    known, queue = {start}, [(start, ())]
    for pair, order in queue:
        left, right = onward(0, pair[0]), onward(1, pair[1])
        if left.keys() != right.keys():
            return (*order, left.keys() ^ right.keys())
        for seen in left:
            after = (left[seen], right[seen])
            if after not in known:
                known.add(after)
                queue.append((after, (*order, seen)))
    return None


SMALL = [one for one in REFERENCES if one.machine[0] < 400]


@pytest.mark.parametrize("share", [1, 2, 3])
@pytest.mark.parametrize("reference", SMALL, ids=lambda one: one.text)
def test_the_faults_left_out_add_no_order(reference: Reference, share: int) -> None:
    """
    Crashes, cancels, copies and repeats: what lands and is undone comes in the same orders.

    With every step naming a resource, with every second, and with every third.
    """
    numbered = {one.name for n, one in enumerate(steps_of(reference.make())) if n % share == 0}
    saga = rebuilt(
        reference.make(),
        lambda one: attrs.evolve(one, reads="x") if one.name in numbered else one,
    )
    layout = lay_out(saga)
    named = {path for path, placed in layout.steps.items() if placed.step.reads}
    named |= {path for path, scope in layout.scopes.items() if scope.compensate is not None}
    whole = network_of(layout, compile_saga(saga), kept=dict.fromkeys(layout.steps, GUARDED))
    # An operator's word may end a run without the answer of a read-only step: it sees less.
    commands = tuple(one for one in whole.commands if not one.token.startswith("resolve("))
    [small] = instances_of([saga])
    assert len(small.network.commands) < len(commands)
    assert orders_differ(attrs.evolve(whole, commands=commands), small.network, named) is None
