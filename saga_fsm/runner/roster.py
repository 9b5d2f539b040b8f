"""The sagas that an orchestrator can carry out: by name, by value, and by the machine of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import attrs

from saga_fsm.codec import Codec, Scribe
from saga_fsm.compiler import compile_saga
from saga_fsm.definition import Saga
from saga_fsm.definition.layout import Layout, lay_out
from saga_fsm.errors import MachineChangedError, SagaError
from saga_fsm.machine import Machine, Status
from saga_fsm.ports import Entry, Run, Upgrade
from saga_fsm.runner import upgraded
from saga_fsm.runner.driver import Driver


LIMIT = 1_000_000  # characters of one value
ENDED = frozenset({Status.COMPLETED, Status.COMPENSATED})


@attrs.frozen(eq=False)
class Part:
    """One saga that can be carried out, and how its values are written."""

    saga: Saga[Any, Any, Any]
    machine: Machine
    layout: Layout
    scribe: Scribe

    @classmethod
    def of(cls, saga: Saga[Any, Any, Any], codec: Codec | None = None, limit: int = LIMIT) -> Part:
        """
        A saga with all that is needed to carry it out.

        Raises:
            UnstorableTypeError: a value that an annotation names can never be stored.
        """
        scribe = Scribe(saga, codec, limit=limit)
        scribe.check()
        return cls(saga, compile_saga(saga), lay_out(saga), scribe)

    @property
    def key(self) -> tuple[str, str]:
        """By what a stored run names it."""
        return self.machine.name, self.machine.fingerprint

    def header(self, input: Any) -> str:  # noqa: A002 - the interface's word
        """What the first entry of a run holds, as text."""
        name, fingerprint = self.key
        told = {"saga": name, "fingerprint": fingerprint, "input": input}
        return self.scribe.write("start", told) or ""

    def digest(self, input: Any) -> str:  # noqa: A002 - as above
        """What tells one input from another; the same for each version of the saga."""
        told = {"saga": self.machine.name, "fingerprint": "", "input": input}
        text = self.scribe.write("start", told) or ""
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def written(self, entries: Sequence[Entry]) -> list[Entry]:
        """The same entries, their data as text."""
        write = self.scribe.write
        return [Entry(one.event, one.at, write(one.event, one.data)) for one in entries]

    def recalled(self, driver: Driver, entries: Sequence[Entry]) -> list[Entry]:
        """The same entries in the words of this version, as its annotations name their types."""
        known = upgraded.read(entries)
        driver.facts.names.update(known.names)
        driver.facts.fingerprints |= known.fingerprints
        read = self.scribe.read
        return [Entry(one.event, one.at, read(one.event, one.data)) for one in known.entries]


class Roster:
    """
    Sagas by name, by value, and by name and fingerprint.

    Of several versions of one saga the first is the one that its name means; the others end what
    was started under them.

    Args:
        sagas: the newest version of each first.
        codec: how values are written; None is JSON.
        limit: characters that one value may take.
        upgrades: by which runs of versions that are not here go on under those that are.

    Raises:
        SagaError: no saga, or what is none.
        UnstorableTypeError: a value that an annotation names can never be stored.
    """

    def __init__(
        self,
        sagas: Sequence[Saga[Any, Any, Any]],
        *,
        codec: Codec | None = None,
        limit: int = LIMIT,
        upgrades: Sequence[Upgrade] = (),
    ) -> None:
        self._parts: dict[tuple[str, str], Part] = {}
        self._by_name: dict[str, Part] = {}
        if not sagas:
            raise SagaError(
                "an orchestrator without a saga\n  Give the sagas that it shall carry out."
            )
        for saga in sagas:
            if not isinstance(saga, Saga):
                raise SagaError(
                    f"{saga!r} is no saga\n  Give the sagas first, as in Orchestrator(order, ...)."
                )
            part = Part.of(saga, codec, limit)
            self._parts.setdefault(part.key, part)
            self._by_name.setdefault(saga.name, part)
        self._written = (codec, limit)
        self._former: dict[tuple[str, str], Part] = {}
        self._upgrades: dict[tuple[str, str], Upgrade] = {}
        for one in _proofs(upgrades):
            self._lead(one)

    def _lead(self, upgrade: Upgrade) -> None:
        """Have runs of an old version go on under a new one, which has to be here."""
        keys = [
            (saga.name, mark)
            for saga, mark in zip(upgrade.sagas, upgrade.fingerprints, strict=True)
        ]
        if keys[1] not in self._parts:
            name = upgrade.sagas[1].name
            remedy = (
                "That is the wrong way round: it is diff(old, new), and the new one is here."
                if keys[0] in self._parts
                else "Give the new version when the orchestrator is made, before the old one."
            )
            raise SagaError(
                f"an upgrade leads to machine {keys[1][1]} of saga '{name}', which this "
                f"orchestrator does not carry out\n  {remedy}"
            )
        # Where the old version is here too, its runs end under it.
        if keys[0] not in self._parts:
            self._upgrades[keys[0]] = upgrade

    def __contains__(self, key: tuple[str, str]) -> bool:
        """Whether the machine of a name and fingerprint is here itself."""
        return key in self._parts

    @property
    def machines(self) -> list[tuple[str, str]]:
        """Name and fingerprint of each whose runs can be carried out."""
        return [*self._parts, *self._upgrades]

    @property
    def names(self) -> list[str]:
        """Of the sagas, each once."""
        return list(self._by_name)

    def part(self, saga: Saga[Any, Any, Any] | str) -> Part:
        """
        The part of a saga, given itself or its name.

        Raises:
            SagaError: it is not one of these.
        """
        if isinstance(saga, str):
            found = self._by_name.get(saga)
        else:
            found = self._parts.get((saga.name, compile_saga(saga).fingerprint))
        if found is None:
            name = saga if isinstance(saga, str) else saga.name
            known = ", ".join(f"'{one}'" for one in self._by_name)
            raise SagaError(
                f"this orchestrator does not carry out saga '{name}'\n"
                f"  It has {known}. Give the saga when the orchestrator is made; of a changed "
                "saga, that version too."
            )
        return found

    def of(self, saga: str, fingerprint: str) -> Part | None:
        """The part under which a stored run goes on; None if it is not here."""
        upgrade = self._upgrades.get((saga, fingerprint))
        if upgrade is not None:
            return self.part(upgrade.sagas[1])
        return self._parts.get((saga, fingerprint))

    @property
    def upgrades(self) -> bool:
        """Whether there are versions whose runs go on under others."""
        return bool(self._upgrades)

    def former(self, run: Run) -> Part | None:
        """The version that a run has ended under, of which there is only an upgrade."""
        key = run.saga, run.fingerprint
        upgrade = self._upgrades.get(key)
        if upgrade is None:
            return None
        if key not in self._former:
            self._former[key] = Part.of(upgrade.sagas[0], *self._written)
        return self._former[key]

    def carried_over(self, run: Run, entries: Sequence[Entry], at: float) -> Entry | str | None:
        """
        With which note a run goes on under another version, or why it may not.

        Returns:
            None where it need not: its own version is here, or it is over.
        """
        upgrade = self._upgrades.get((run.saga, run.fingerprint))
        if upgrade is None or not entries or run.status in ENDED:
            return None
        return upgraded.carried_over(upgrade, self.part(upgrade.sagas[1]).machine, entries, at)

    def stranding(self, run: Run, entries: Sequence[Entry]) -> MachineChangedError | None:
        """Why a run cannot go on under any machine that is here; None where it can, or is over."""
        if self.of(run.saga, run.fingerprint) is None:
            return self.changed(run)
        carried = self.carried_over(run, entries, 0.0)
        return self.changed(run, carried) if isinstance(carried, str) else None

    def changed(self, run: Run, reason: str = "") -> MachineChangedError:
        """Say that a run was started under a machine that is not here."""
        known = [mark for name, mark in self._parts if name == run.saga]
        return MachineChangedError(
            run_id=run.run_id,
            saga=run.saga,
            stored=run.fingerprint,
            current=" or ".join(known) or "not among its sagas",
            reason=reason,
        )

    def path_of(self, step: Any) -> str:
        """
        The path of a step, given by value or name, in whichever saga has it.

        Raises:
            SagaError: none has.
        """
        for part in self._parts.values():
            try:
                return part.layout.find(step)
            except SagaError:
                continue
        return self._parts[next(iter(self._parts))].layout.find(step)


def _proofs(upgrades: Any) -> Sequence[Upgrade]:
    if isinstance(upgrades, str) or not isinstance(upgrades, Sequence):
        raise SagaError(
            f"upgrades is {type(upgrades).__name__}\n  Give a list: upgrades=[diff(old, new)]."
        )
    for one in upgrades:
        if not hasattr(one, "fingerprints") or not hasattr(one, "maps"):
            what = f"saga '{one.name}'" if isinstance(one, Saga) else repr(one)
            raise SagaError(
                f"upgrades has {what}, which proves nothing of two versions\n"
                "  Give what compares them: upgrades=[diff(old, new)]."
            )
    return upgrades
