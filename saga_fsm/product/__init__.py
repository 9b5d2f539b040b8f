"""
The machine beside the world: what can happen to a saga, whatever goes wrong, as one table.

``network_of`` gives a network of guarded commands: the machine's rows joined with what its
participants, the network between, operators and users may do (machine.md 6), and what may never be
(semantics.md 1.11). Checker engines search it, exports write it down for other tools.
"""

from saga_fsm.product._network import (
    Command,
    Field,
    Forbidden,
    Guard,
    Literal,
    Network,
    Update,
    Values,
    conjunction,
    holds,
    pruned,
)
from saga_fsm.product._world import BROKEN, UP, network_of


__all__ = [
    "BROKEN",
    "UP",
    "Command",
    "Field",
    "Forbidden",
    "Guard",
    "Literal",
    "Network",
    "Update",
    "Values",
    "conjunction",
    "holds",
    "network_of",
    "pruned",
]
