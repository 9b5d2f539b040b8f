"""Exports of a network are whole and well formed, whatever the saga's names are."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saga_fsm import GUARDED, SKIP, Saga, choice
from saga_fsm.cli import main
from saga_fsm.compiler import compile_saga
from saga_fsm.definition.layout import lay_out
from saga_fsm.interop.murphi import to_murphi
from saga_fsm.interop.promela import to_promela
from saga_fsm.interop.tla import to_tla
from saga_fsm.product import Network, network_of
from tests.reference import REFERENCES, C, P, Reference
from tests.witness.tools import needs, ours, rumur, spin


WRITERS: list[Callable[[Network], str]] = [to_promela, to_murphi, to_tla]
CLOSING = {")": "(", "]": "[", "}": "{"}


def net(saga: Saga[Any, Any]) -> Network:
    """The network of a saga."""
    return network_of(lay_out(saga), compile_saga(saga))


def odd() -> Saga[Any, Any]:
    """A saga whose names are keywords, differ in case alone, or are not ASCII."""
    return Saga(
        'int "%s" \\n *',
        C('größe "%d" \\'),
        C("active"),
        choice(lambda _ctx: "do", do=C("Active"), 日本=SKIP, otherwise=SKIP),
        P("saga"),
        contract=GUARDED,
    )


def without_remarks(text: str) -> str:
    """The text of any of the three languages, its comments and quoted texts taken out."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL) if text.startswith("/*") else text
    text = re.sub(r'"[^"\n]*"', "", text)
    return re.sub(r"(\\\*|-- ).*", "", text)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("make", [odd, *(x.make for x in REFERENCES)])
def test_brackets_close(write: Callable[[Network], str], make: Callable[[], Any]) -> None:
    """Each export is ASCII, and every bracket in it is closed by its own kind."""
    text = write(net(make()))
    assert text.isascii()
    open_: list[str] = []
    for char in without_remarks(text):
        if char in "([{":
            open_.append(char)
        elif char in CLOSING:
            assert open_.pop() == CLOSING[char]
    assert open_ == []


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda one: one.text)
def test_tla_defines_what_it_uses(reference: Reference) -> None:
    """
    Each operator is defined once, before it is used, and each guard asks for fields that exist.

    No parser of TLA+ can be installed here (none on PyPI or npm runs): this is its shape alone.
    """
    network = net(reference.make())
    lines = without_remarks(to_tla(network)).splitlines()
    known = {"EXTENDS", "Naturals", "VARIABLE", "RECURSIVE", "MODULE", "SagaNetwork", "EXCEPT"}
    known |= {"IF", "THEN", "ELSE", "LET", "IN", "UNCHANGED", "TRUE", "FALSE", "in", "state", "s"}
    fields: set[str] = set()
    for line in lines:
        if line.startswith("RECURSIVE"):
            continue
        defined = re.match(r"([A-Za-z]\w*)(\(s\))? ==", line)
        if defined:
            assert defined[1] not in known, line
            known.add(defined[1])
        fields |= set(re.findall(r"^  (\w+): 0\.\.", line))
        assert set(re.findall(r"[s!]\.(\w+)", line)) <= fields, line
        used = re.sub(r"[s!]\.\w+|^  \w+(:| \|->)|\d+\.\.\d+", "", line)
        assert set(re.findall(r"[A-Za-z]\w*", used)) <= known, line
    assert {"Init", "Next", "Spec", "TypeOK", "Settle", "Rest"} <= known
    assert sum(line.startswith("  \\/ ") for line in lines) == len(network.commands) + 1
    assert lines[0].startswith("-" * 4)
    assert lines[-1] == "=" * 60


def test_tla_says_that_no_tool_has_read_it() -> None:
    """Who opens the text learns at its head that it was not machine-checked by us."""
    head = to_tla(net(Saga("one", C("a")))).partition("EXTENDS")[0]
    assert "NOT MACHINE-CHECKED BY US" in head


@needs("spin", "rumur", "gcc")
def test_odd_names_are_no_matter(tmp_path: Path) -> None:
    """Spin and Rumur read a saga whose names would be theirs, and count as we do."""
    network = net(odd())
    states = ours(network).explored.states
    assert spin(to_promela(network), tmp_path).states == states
    assert rumur(to_murphi(network), tmp_path).states == states


@pytest.mark.parametrize(
    ("form", "begins"), [("promela", "/*"), ("murphi", "--"), ("tla", "-----")]
)
def test_the_command_line_writes_them(form: str, begins: str, tmp_path: Path) -> None:
    """``export --to`` writes the whole network to a file, every fault included."""
    file = tmp_path / "out"
    with pytest.raises(SystemExit) as ending:
        main(["export", "saga_fsm.examples.order:saga", "--to", form, "-o", str(file)])
    text = file.read_text()
    assert ending.value.code == 0
    assert text.startswith(begins)
    assert all(word in text for word in ("lands(charge)", "crash", "resolve(charge,not_landed)"))
