"""
The machine beside the world: what can happen to a saga, whatever goes wrong, as one table.

``network_of`` gives a network of guarded commands: the machine's rows joined with what its
participants, the network between, operators and users may do (machine.md 6), and what may never be
(semantics.md 1.11). Checker engines search it, exports write it down for other tools. ``joined``
lays several runs side by side, ``shared`` adds the resources on which they meet.
"""

from saga_fsm.product._anomalies import Anomaly
from saga_fsm.product._network import (
    Command,
    Field,
    Forbidden,
    Guard,
    Literal,
    Network,
    Part,
    Update,
    Values,
    conjunction,
    holds,
    pruned,
)
from saga_fsm.product._several import LOCK, hidden, joined
from saga_fsm.product._shared import Shared, shared
from saga_fsm.product._uses import Instance
from saga_fsm.product._world import BROKEN, UP, network_of


__all__ = [
    "BROKEN",
    "LOCK",
    "UP",
    "Anomaly",
    "Command",
    "Field",
    "Forbidden",
    "Guard",
    "Instance",
    "Literal",
    "Network",
    "Part",
    "Shared",
    "Update",
    "Values",
    "conjunction",
    "hidden",
    "holds",
    "joined",
    "network_of",
    "pruned",
    "shared",
]
