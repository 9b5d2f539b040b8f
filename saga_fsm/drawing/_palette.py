"""
Colours, light and dark.

Each pair was measured (WCAG): text on its fill at least 13 to 1, small text 6, borders 5, greyed
text 4.8. Sorts differ by shape, line and words too: never by colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs


@attrs.frozen
class Theme:
    """
    One set of colours.

    Args:
        page: behind everything.
        ink: of names.
        muted: of small text and of the way forward.
        faint: of frames, and of what is not part of the story.
        grey: of the text of what is not part of the story.
        panel: inside a frame.
        pairs: border and fill, by sort.
    """

    page: str
    ink: str
    muted: str
    faint: str
    grey: str
    panel: str
    pairs: dict[str, tuple[str, str]]

    def pair(self, sort: str) -> tuple[str, str]:
        """Border and fill of a node of this sort."""
        return self.pairs.get(_LIKE.get(sort, sort), (self.muted, self.page))

    @property
    def undo(self) -> str:
        """The colour of the way back."""
        return self.pairs["compensation"][0]

    @property
    def bad(self) -> str:
        """The colour of failures."""
        return self.pairs["stuck"][0]


_LIKE: Final = {"start": "completed", "compensated": "compensation"}

THEMES: Final[dict[str, Theme]] = {
    "light": Theme(
        page="#FFFFFF",
        ink="#0F172A",
        muted="#475569",
        faint="#CBD5E1",
        grey="#64748B",
        panel="#F8FAFC",
        pairs={
            "compensatable": ("#1D4ED8", "#EFF6FF"),
            "pivot": ("#6D28D9", "#F5F3FF"),
            "retriable": ("#0F766E", "#F0FDFA"),
            "readonly": ("#475569", "#FFFFFF"),
            "compensation": ("#9A3412", "#FFF7ED"),
            "completed": ("#166534", "#DCFCE7"),
            "stuck": ("#B91C1C", "#FEE2E2"),
        },
    ),
    "dark": Theme(
        page="#0B1220",
        ink="#F1F5F9",
        muted="#CBD5E1",
        faint="#334155",
        grey="#94A3B8",
        panel="#111A2E",
        pairs={
            "compensatable": ("#93C5FD", "#172554"),
            "pivot": ("#C4B5FD", "#2E1065"),
            "retriable": ("#5EEAD4", "#042F2E"),
            "readonly": ("#CBD5E1", "#0B1220"),
            "compensation": ("#FDBA74", "#431407"),
            "completed": ("#86EFAC", "#052E16"),
            "stuck": ("#FCA5A5", "#450A0A"),
        },
    ),
}

#: Fill and ink from seldom to often; text at least 5 to 1 (measured, as above).
HEAT: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "light": (
        ("#EFF6FF", "#0F172A"),
        ("#DBEAFE", "#0F172A"),
        ("#9ECAE1", "#0F172A"),
        ("#4292C6", "#0F172A"),
        ("#1F6AAE", "#FFFFFF"),
        ("#0B4A86", "#FFFFFF"),
    ),
    "dark": (
        ("#13233F", "#F1F5F9"),
        ("#17325C", "#F1F5F9"),
        ("#1B4B8A", "#F1F5F9"),
        ("#1D63B8", "#F1F5F9"),
        ("#60A5FA", "#0B1220"),
        ("#BFDBFE", "#0B1220"),
    ),
}


def heated(ramp: Sequence[tuple[str, str]], share: float) -> tuple[str, str]:
    """Fill and ink of what was taken in this share of the most: by its root, for few are many."""
    return ramp[min(len(ramp) - 1, int(share**0.5 * len(ramp)))]
