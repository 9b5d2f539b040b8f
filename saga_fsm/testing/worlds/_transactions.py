"""
What a statement does to the transaction it is in, by its first words.

A world that is reset by rollback lives in one transaction; within it the transactions of the user's
code are savepoints. So what begins and ends one must be known when it comes as text.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final


__all__ = ["SAVEPOINT", "kind_of"]

#: The savepoint that stands for the user's transaction.
SAVEPOINT: Final = "saga_fsm_transaction"

_COMMENT = r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*"
_WORDS = re.compile(rf"{_COMMENT}(\w+){_COMMENT}(\w*){_COMMENT}(\w*)", re.DOTALL)
_WRITES = {"INSERT", "UPDATE", "DELETE", "REPLACE"}
_READS = {"SELECT", "EXPLAIN", "PRAGMA", "SHOW", "VALUES"}


@lru_cache(maxsize=4096)
def kind_of(statement: str) -> tuple[str, str]:  # noqa: PLR0911 - one for each sort
    """
    Say what a statement is to its transaction, and the name of a savepoint if it has one.

    >>> [kind_of(text)[0] for text in ("BEGIN IMMEDIATE", "/* so */ end", "ROLLBACK", "WITH x AS")]
    ['begin', 'commit', 'rollback', 'other']
    >>> kind_of("RELEASE SAVEPOINT here"), kind_of("ROLLBACK TO there")
    (('release', 'here'), ('back', 'there'))
    """
    found = _WORDS.match(statement)
    if found is None:
        return "other", ""
    first, second, third = (word.upper() for word in found.groups())
    if first in {"BEGIN", "START"}:
        return "begin", ""
    if first in {"COMMIT", "END"}:
        return "commit", ""
    if first in {"ROLLBACK", "ABORT"}:
        return ("back", _last(statement)) if "TO" in {second, third} else ("rollback", "")
    if first in {"SAVEPOINT", "RELEASE"}:
        return first.lower(), _last(statement)
    if first in _WRITES:
        return "write", ""
    return ("read" if first in _READS else "other"), ""


def _last(statement: str) -> str:
    return statement.rsplit(maxsplit=1)[-1].strip(';"').lower()
