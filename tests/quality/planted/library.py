"""All bugs in the library: compiler, driver and journals."""

from __future__ import annotations

from tests.quality.planted import Planted


LIBRARY: tuple[Planted, ...] = ()
