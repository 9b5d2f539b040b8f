"""What no journal takes, whichever store it is, and why an append was not carried out."""

from __future__ import annotations

from typing import Any

from saga_fsm.errors import ConcurrentAppendError, JournalError, LeaseLostError, SagaError
from saga_fsm.ports import Append


# An index of Postgres holds 2,700 bytes, and a character may take four.
LONGEST = 500


def refused(append: Append, standing: tuple[Any, ...] | None) -> JournalError:
    """Say why an append was not carried out: position and fence of its run are others."""
    position, fence = (0, 0) if standing is None else standing[:2]
    if append.birth is None and standing is not None and fence != append.fence:
        return LeaseLostError(run_id=append.run_id, fence=append.fence, newer=fence)
    return ConcurrentAppendError(run_id=append.run_id, expected=append.expected, actual=position)


def holdable(*texts: str | None) -> None:
    """
    Refuse what not every store can hold as text.

    Raises:
        SagaError: there is a NUL or half a surrogate pair in one of them.
    """
    for text in texts:
        if text is None:
            continue
        if "\0" in text:
            at = text.index("\0")
            raise SagaError(
                f"{text[: min(at, 40)]!r}... has a NUL at {at:,}: a journal holds none\n"
                "  Write it as JSON does, \\u0000, or leave it out."
            )
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise SagaError(
                    f"{text[:40]!a} has half a surrogate pair at {error.start:,}: no Unicode\n"
                    "  It was decoded with errors='surrogateescape', or cut within a character."
                ) from None


def nameable(*ids: str) -> None:
    """
    Refuse what is no id: of a run, a saga, a machine, an owner.

    Raises:
        SagaError: it is too long, or cannot be held as text.
    """
    holdable(*ids)
    for one in ids:
        if len(one) > LONGEST:
            raise SagaError(
                f"an id of {len(one):,} characters, {one[:40]!r}..., is too long for a journal\n"
                f"  At most {LONGEST}: give a digest of what it is made of."
            )


def writable(append: Append) -> None:
    """
    Refuse an append that not every store can write.

    Raises:
        SagaError: see ``nameable`` and ``holdable``; or its birth is another's.
    """
    nameable(append.run_id, append.owner)
    if append.birth is not None:
        nameable(append.birth.saga, append.birth.fingerprint, append.birth.digest)
        if append.birth.run_id != append.run_id or append.expected:
            raise SagaError(
                f"the birth of run '{append.birth.run_id}' is brought as what comes after entry "
                f"{append.expected} of run '{append.run_id}'\n"
                "  A birth has the id of its run, and is expected at 0."
            )
    for entry in append.entries:
        holdable(entry.event, entry.data)
    holdable(*append.answers.values())


def owning(owner: str) -> None:
    """
    Refuse who is no owner.

    Raises:
        SagaError: it has no name, or one that cannot be stored.
    """
    nameable(owner)
    if not owner:
        raise SagaError(
            "an owner has no name\n"
            "  Give each orchestrator one that no other has: '' says that nobody has a run."
        )
