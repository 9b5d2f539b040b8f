"""All bugs in the library: compiler, driver and journals."""

from __future__ import annotations

from tests.quality.planted.compiler_bugs import COMPILER
from tests.quality.planted.driver_bugs import DRIVER
from tests.quality.planted.journal_bugs import JOURNAL
from tests.quality.planted.second_compiler import SECOND_COMPILER
from tests.quality.planted.second_driver import SECOND_DRIVER
from tests.quality.planted.second_journal import SECOND_JOURNAL


LIBRARY = (*COMPILER, *DRIVER, *JOURNAL, *SECOND_COMPILER, *SECOND_DRIVER, *SECOND_JOURNAL)
