"""Any text, made safe to draw, cut to fit, and measured."""

from __future__ import annotations

import re
import unicodedata
from html import escape
from typing import Final


LONGEST: Final = 28
# Helvetica-Bold in Adobe's font metrics, thousandths of an em, from U+0020 to U+007E. Engines
# measure with what they have; widths of our own keep the text inside its box in all of them.
_WIDTHS: Final = (
    "278 333 474 556 556 889 722 238 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 "
    "556 556 556 333 333 584 584 584 611 975 722 722 722 722 667 611 778 722 278 556 722 611 833 "
    "722 778 667 778 722 667 611 722 667 944 667 667 611 333 278 333 584 556 333 556 611 556 611 "
    "556 333 611 611 278 278 556 278 889 611 611 611 611 389 556 333 611 556 778 556 556 500 389 "
    "280 389 584"
)
_EM: Final = 1000
_OTHER: Final = 667
_TABLE: Final = {chr(32 + i): int(width) for i, width in enumerate(_WIDTHS.split())}
_NO_XML: Final = re.compile(
    "[^\t\n\r -\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010ffff]|[\x7f-\x9f]"
)


def clean(text: str) -> str:
    """The text on one line, without what no XML may hold."""
    line = re.sub(r"[\r\n\t\v\f\x85\u2028\u2029]+", " ", text)
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", line)


def markup(text: str) -> str:
    """The text inside an HTML-like label, or inside an SVG."""
    line = clean(text)
    # Blanks alone would be no text for Graphviz, which then gives no box.
    return escape(line) if line.strip() else line.replace(" ", "&#160;") or "&#160;"


def plain(text: str) -> str:
    """The text as an attribute: Graphviz reads entities in it, and then backslashes, twice."""
    return clean(text).replace("&", "&amp;").replace("\\", "\\" * 4)


def shortened(text: str, longest: int = LONGEST) -> str:
    """A long name without its middle: both ends tell names apart."""
    if len(text) <= longest:
        return text
    head = (longest - 1) // 2
    return f"{text[:head]}\N{HORIZONTAL ELLIPSIS}{text[-(longest - 1 - head) :]}"


def inches(text: str, points: float = 12.0) -> float:
    """The width of a bold line; a wide East Asian character is one em."""
    wide = ("W", "F")
    units = sum(
        _TABLE.get(x, _EM if unicodedata.east_asian_width(x) in wide else _OTHER) for x in text
    )
    return units * points / (72.0 * _EM)


def slug(text: str) -> str:
    """A name as part of an id: other names give other ids."""
    return "".join(x if x.isascii() and x.isalnum() else f"_{ord(x):x}_" for x in text)
