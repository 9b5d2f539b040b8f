"""The list of the mutants that may live: each stands for a line that is still there."""

from __future__ import annotations

from collections import Counter

from tests.quality.mutation.tally import ROOT, listed


def test_each_survivor_has_a_reason() -> None:
    """Nobody is on the list without a word why: that would be a hole with a name."""
    unsaid = [one for one, why in listed() if len(why.split()) < 3]
    assert not unsaid


def test_each_survivor_is_a_change_of_a_line_that_stands() -> None:
    """When the line that a mutant changes is gone, so is its place on the list."""
    gone = []
    for one, _ in listed():
        lines = Counter(line.strip() for line in (ROOT / one.file).read_text().splitlines())
        if any(not lines[line] for line in one.was.splitlines()):
            gone.append(one)
    assert not gone


def test_no_survivor_changes_nothing() -> None:
    """A mutant is a change: what it was and what it is differ."""
    assert not [one for one, _ in listed() if one.was == one.now]
