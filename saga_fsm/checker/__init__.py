"""
Whether a saga is safe, whatever goes wrong.

``check`` searches the product of the compiled machine and its participants, with every fault at
every step: requests and answers that are lost, late or doubled, rejections, failing compensations,
crashes and takeovers anywhere, cancels, operators. What is declared in a contract is assumed.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from saga_fsm.checker._flow import flow
from saga_fsm.checker._invariants import Invariants
from saga_fsm.checker._moves import unexplained
from saga_fsm.checker._product import Product
from saga_fsm.checker._promises import promises
from saga_fsm.checker._report import Finding, Report
from saga_fsm.checker._search import search
from saga_fsm.checker._weakest import lacks, missing, weakest
from saga_fsm.compiler import compile_saga
from saga_fsm.definition import Saga
from saga_fsm.definition.layout import lay_out


__all__ = ["Finding", "Report", "check"]

_FAULTS = (
    "reject",
    "transient",
    "lost_request",
    "lost_reply",
    "late",
    "duplicate",
    "failing compensation",
    "cancel",
    "crash",
    "second_owner",
)
# A takeover is a crash whose calls may still land (semantics.md 1.10): one switch for both.
_REMOVABLE = frozenset({"crash", "second_owner"})
_LEVELS = ("error", "warning", "info")


def check(
    saga: Saga[Any, Any, Any], *, without: Iterable[str] = (), limit: int = 200_000
) -> Report:
    """
    Check a saga under every fault at every step.

    The cost is the number of reachable states of machine x participants: parallel branches
    multiply. A search that the limit cuts short is "incomplete", never "safe".

    Args:
        saga: what to check.
        without: faults to leave out, of "crash" and "second_owner"; the verdict is then at best
            "incomplete".
        limit: the largest number of states.

    Raises:
        ValueError: an unknown fault in ``without``.
    """
    left_out = tuple(sorted(set(without)))
    if unknown := set(left_out) - _REMOVABLE:
        message = f"cannot leave out {sorted(unknown)}: known are {sorted(_REMOVABLE)}"
        raise ValueError(message)
    layout, machine = lay_out(saga), compile_saga(saga)
    product = Product(layout, machine, crashes=not set(left_out) >= _REMOVABLE)
    explored = search(product, Invariants(layout, product), limit=limit)
    findings = [Finding(x.rule, "error", x.step, x.message, x.path) for x in explored.breaches]
    findings.extend(Finding(rule, "error", step, text) for rule, step, text in unexplained(machine))
    findings.extend(promises(layout))
    findings.extend(flow(layout))
    # Asked for only where something is wrong; a safe saga's are searched when somebody asks.
    required = weakest(saga) if explored.breaches else None
    findings.extend([] if required is None else lacks(saga, required))
    if explored.complete:
        never = [str(event) for event in machine.events if event not in explored.taken]
        never = [event for event in never if not event.startswith("deadline")]
        if never:
            message = f"never taken: {', '.join(never)}"
            findings.append(Finding("never taken", "info", "", message))
    findings.sort(key=lambda finding: _LEVELS.index(finding.level))
    unsafe = any(finding.level == "error" for finding in findings)
    complete = explored.complete and not left_out
    return Report(
        saga=saga.name,
        fingerprint=machine.fingerprint,
        verdict="unsafe" if unsafe else "safe" if complete else "incomplete",
        findings=tuple(findings),
        states=explored.states,
        transitions=explored.transitions,
        depth=explored.depth,
        engine="plain breadth-first search",
        faults=tuple(fault for fault in _FAULTS if fault not in left_out),
        without=left_out,
        limit=limit,
        weakest=partial(weakest, saga) if required is None else required.copy,
        missing=partial(missing, saga),
    )
