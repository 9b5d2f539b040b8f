"""The heat map of what a failure search has taken."""

from __future__ import annotations

import re

import attrs
import pytest

from saga_fsm import draw
from saga_fsm.drawing import to_mermaid
from saga_fsm.drawing._palette import HEAT, THEMES, heated
from saga_fsm.examples import order, trip
from saga_fsm.testing import explore_faults


INPUT = order.Order("ada", "teapot", 2, 4200)


@pytest.fixture(scope="module")
def found():
    """A search that was cut short: some rows are never taken, some cannot be."""
    return explore_faults(order.saga, world=order.World, input=INPUT, max_runs=60, max_faults=0)


def lines_of(source):
    """By the number of its row: fill, count and tooltip of each line in the picture."""
    cell = re.compile(
        r'<td align="right" bgcolor="(#\w+)" href="#a_row-(\d+)" id="row-\d+" tooltip="([^"]*)">'
        r"(.*?)</td>"
    )
    return {
        int(number): (fill, re.sub("<.*?>", "", label), tip)
        for fill, number, tip, label in cell.findall(source)
    }


def test_each_row_stands_in_the_picture_once_with_its_runs(found):
    """None is left out, and none is counted as another."""
    lines = lines_of(draw(found).source)
    assert set(lines) == set(range(len(found.machine.rows)))
    for number, row in enumerate(found.machine.rows):
        _, label, tip = lines[number]
        if number in found.taken:
            assert label == f"{found.taken[number]:,}"
            assert tip.startswith(f"in {found.taken[number]:,} runs: ")
        elif str(row) in found.outside:
            assert label == "cannot be"
            assert found.outside[str(row)][:30] in tip
        else:
            assert label == "never"
            assert tip.startswith("never taken: ")


def test_what_was_taken_more_often_is_hotter(found):
    """The most taken row has the deepest colour, one that was hardly taken the faintest."""
    lines = lines_of(draw(found).source)
    ramp = [fill for fill, _ in HEAT["light"]]
    by_count = sorted(found.taken, key=lambda number: found.taken[number])
    heat = [ramp.index(lines[number][0]) for number in by_count]
    assert heat == sorted(heat)
    assert (heat[0], heat[-1]) == (0, len(ramp) - 1)


def test_copies_of_a_block_are_one_line_that_tells_of_those_never_taken():
    """A row of a copy that no run took is not hidden by its brothers."""
    found = explore_faults(trip.saga, world=trip.World, max_runs=40, max_faults=0)
    source = draw(found).source
    assert "never" in source
    assert len(lines_of(source)) <= len(found.machine.rows)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_heat_can_be_read(theme):
    """Numbers stand on their colour with a contrast of at least 4.5 to 1, in both themes."""

    def luminance(color):
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (
            x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    pairs = [*HEAT[theme], THEMES[theme].pair("stuck")]
    for one, other in pairs:
        darker, lighter = sorted(map(luminance, (one, other)))
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (one, other)
    assert heated(HEAT[theme], 0.0) == HEAT[theme][0]
    assert heated(HEAT[theme], 1.0) == HEAT[theme][-1]


def test_it_is_a_drawing_as_the_others(found, tmp_path):
    """DOT text, SVG and PNG, light and dark; the head says what was counted."""
    drawing = draw(found, theme="dark")
    assert THEMES["dark"].page in drawing.source
    svg = drawing.pipe("svg", encoding="utf-8")
    assert "<title>order \N{MIDDLE DOT} transition coverage</title>" in svg
    assert f"{found.runs} runs" in svg
    assert "the tour was cut short" in svg
    assert drawing.pipe("png").startswith(b"\x89PNG")
    assert drawing.render(outfile=tmp_path / "map.svg") == str(tmp_path / "map.svg")
    assert draw(found).source == draw(attrs.evolve(found)).source


def test_what_has_no_meaning_for_it_is_told(found):
    """A view, a path or a flowchart of an exploration is an error with a remedy."""
    with pytest.raises(ValueError, match="has one view"):
        draw(found, view="flow")
    with pytest.raises(TypeError, match=r"draw\(exploration\)"):
        to_mermaid(found)
