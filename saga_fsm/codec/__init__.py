"""
How inputs and results become text and come back as what the annotations name.

``Scribe`` is what a runner uses: one a saga. ``JsonCodec`` is how values are written unless the
user gives a ``Codec``. The forms under it are one a type; each does three things in one pass: it
checks that a value is what the annotation says, writes it, and reads it. Cattrs makes the classes.
It is not asked to read numbers, texts and unions: it takes "3" for 3 and 3.7 for 3, so that what
comes back would not always be what was there.
"""

from __future__ import annotations

from saga_fsm.codec._failures import RememberedError
from saga_fsm.codec._json import Codec, JsonCodec
from saga_fsm.codec._pen import told
from saga_fsm.codec._redact import redacted, shown
from saga_fsm.codec._scribe import Scribe
from saga_fsm.codec._types import type_of_input


__all__ = [
    "Codec",
    "JsonCodec",
    "RememberedError",
    "Scribe",
    "redacted",
    "shown",
    "told",
    "type_of_input",
]
