"""No failure story goes missing: each has a test with its number, and a verdict of `check`."""

from __future__ import annotations

import re
from pathlib import Path

from tests.acceptance.stories import VERDICTS


# The stories of the first part.
STORIES = (  # noqa: SIM905 - one line of numbers reads better than a list
    "01 03 04 06 07 08 09 11 12 15 17 18 19 20 21 24 25 27 28 31 35 37 42 44 46 49 51 52 53"
).split()


def test_each_story_has_a_test_with_its_number() -> None:
    """The number of every story stands in the name of a test here."""
    texts = (file.read_text() for file in Path(__file__).parent.glob("test_cases_*.py"))
    told = {number for text in texts for number in re.findall(r"def test_F(\d\d)_", text)}
    assert told >= set(STORIES), sorted(set(STORIES) - told)


def test_each_story_has_a_verdict() -> None:
    """The checker is asked about the saga of every story."""
    checked = {verdict.number[1:3] for verdict in VERDICTS}
    assert checked >= set(STORIES), sorted(set(STORIES) - checked)
