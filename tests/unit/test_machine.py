"""The machine by itself: what it decides, how it prints, and what it remembers."""

from __future__ import annotations

import pytest

from saga_fsm.machine import Status


def test_a_status_is_equal_to_its_text() -> None:
    """A status compares with its own text, and with no text that is none."""
    assert Status.STUCK == "stuck"
    assert Status.STUCK != "completed"
    assert Status.STUCK == Status.STUCK
    assert Status.STUCK != Status.COMPLETED
    with pytest.raises(ValueError, match=r"^no status is called 'done'\n  There are compensated, "):
        assert Status.STUCK == "done"
