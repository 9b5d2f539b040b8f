"""Mermaid text: the same picture for forges, whatever the names."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from saga_fsm import Path, Saga, compile_saga, parallel
from saga_fsm.drawing import to_mermaid
from saga_fsm.examples import order
from tests.reference import C, P, R


SAGA = Saga("s", C("f"), parallel(Saga("x", C("a"), C("b")), C("c")), P("go"), R("tell"))
NAMES = st.text(min_size=1, max_size=40).filter(lambda x: not set("/[](),@~") & set(x))
# All that a line may be; words are in quotes and hold neither a quote nor a bracket.
WORDS = r'"[\w ,:()/#;]*(?:<br/>[\w ,:()/#;]*)*"'
LINE = re.compile(
    r"flowchart (?:LR|TB)|  %% [\w ,:()/#;]*|  classDef [a-z]+ stroke:#\w+,fill:#\w+,color:#\w+|"
    rf" +n\d+[({{\[]+{WORDS}[)}}\]]+:::[a-z]+|"
    rf" +subgraph f\d+\[{WORDS}\]| +end|"
    rf"  [nf]\d+ (?:-->|-\.->|-\.-|==>|<-\.->)(?:\|{WORDS}\|)? [nf]\d+"
)


def test_the_flow_is_all_there() -> None:
    """Steps, undos, frames and ends are nodes; ways there, back and of failure are arrows."""
    text = to_mermaid(SAGA)
    for name in ("f", "a", "b", "c", "tell"):
        assert f'("{name}' in text
    assert '[["#9830; go' in text
    assert 'subgraph f0["saga x"]' in text
    assert 'subgraph f1["undone at the same time"]' in text
    assert re.search(r'n\d+ -\.->\|"fails"\| f1', text)
    assert all(LINE.fullmatch(line) for line in text.splitlines())


def test_the_machine_and_a_path_too() -> None:
    """A machine is written as it is drawn, and the moves of a path are thick and numbered."""
    machine = compile_saga(order.saga)
    assert "waits for an operator" in to_mermaid(machine)
    path = Path.of_events(machine, ["start", "done(create_order)"])
    text = to_mermaid(order.saga, path=path)
    assert re.search(r'==>\|"2 done\(create_order\)"\|', text)
    assert all(LINE.fullmatch(line) for line in text.splitlines())


@given(NAMES)
@settings(max_examples=60, deadline=None)
def test_any_name_is_written_safely(name: str) -> None:
    """No name ends a string, opens a bracket, begins a comment or makes a list."""
    saga = Saga(name, C(name), Saga("x" + name, C("y")), P("p" + name))
    for text in (to_mermaid(saga), to_mermaid(Saga(name, P(name)), view="machine")):
        bad = [line for line in text.splitlines() if not LINE.fullmatch(line)]
        assert bad == []
