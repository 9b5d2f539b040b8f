"""
What every store of runs has to do: one suite of tests, for our stores and for others.

::

    import pytest
    pytest.register_assert_rewrite("saga_fsm.testing")
    from saga_fsm.testing.journals import JournalConformance

    class TestMyJournal(JournalConformance):
        @pytest.fixture
        def opened(self, tmp_path):
            return lambda now: MyJournal(tmp_path / "runs", now=now)

``opened`` opens the same, at first empty, store as often as it is called; ``now`` is the clock by
which the store's leases and listings go. A store that cannot be given a clock ignores it and says
``settable = False``; one that forgets says ``lasting = False``. What needs the one or the other is
left out then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from saga_fsm.ports import Store
from saga_fsm.testing._stores import Dial, Opened
from saga_fsm.testing._stores_asking import Listing, Speaking
from saga_fsm.testing._stores_owning import Claiming, Timing
from saga_fsm.testing._stores_writing import Appending, Lasting


__all__ = ["Dial", "JournalConformance", "Opened"]


class JournalConformance(Appending, Lasting, Claiming, Timing, Speaking, Listing):
    """
    All that the port ``Store`` promises; see the head of this module for how to subclass it.

    Args:
        lasting: whether what is stored is there when it is opened again, or twice.
        settable: whether the store's clock is the one that ``opened`` gives it.
    """

    lasting: ClassVar[bool] = True
    settable: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        # Left out, not skipped: a store is not less tested for what it does not promise.
        for promised, part in ((cls.lasting, Lasting), (cls.settable, Timing)):
            for name in () if promised else vars(part):
                if name.startswith("test_"):
                    setattr(cls, name, None)

    @pytest.fixture
    def opened(self) -> Opened:
        """Open the store; a subclass says how."""
        raise NotImplementedError

    @pytest.fixture
    def dial(self) -> Dial:
        """The store's clock."""
        return Dial()

    @pytest.fixture
    def store(self, opened: Opened, dial: Dial) -> Iterator[Store]:
        """An empty store; closed at the end."""
        store = opened(dial)
        yield store
        store.close()
