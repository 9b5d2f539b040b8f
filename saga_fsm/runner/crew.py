"""The threads of a synchronous run: hired when calls overlap, may time out, or are async."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from saga_fsm.runner.commands import Invoke, Leg
from saga_fsm.runner.loop import PrivateLoop, is_async, is_awaitable


class Crew:
    """Makes calls elsewhere than on the run's own thread, and keeps what they answer."""

    def __init__(self) -> None:
        # The bell only wakes: what is told lies in the deque, where no interrupt can lose it.
        self.bell: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self.told: deque[tuple[Leg, Any, BaseException | None]] = deque()
        self.loop = PrivateLoop()

    def listen(self, seconds: float | None) -> bool:
        """Wait for the bell at most so long."""
        return self.bell.get(timeout=seconds)

    def take(self, invoke: Invoke) -> None:
        """Make a call: an async one on the loop, any other on a thread of its own."""
        tell = self._tell(invoke.leg)
        if is_async(invoke.function):
            self.loop.begin(partial(invoke.function, *invoke.arguments), tell)
            return

        def work() -> None:
            try:
                value = invoke.function(*invoke.arguments)
            except BaseException as error:  # noqa: BLE001 - the driver says what it means
                tell(None, error)
                return
            if is_awaitable(value):
                self.loop.begin(partial(_same, value), tell)
            else:
                tell(value, None)

        # A daemon: a call that never returns keeps neither the run nor the interpreter.
        context = contextvars.copy_context()
        name = f"saga {invoke.leg[1]}"
        threading.Thread(target=context.run, args=(work,), name=name, daemon=True).start()

    def await_(self, leg: Leg, value: Any) -> None:
        """A call has begun on the run's own thread, and gave something to be awaited."""
        self.loop.begin(partial(_same, value), self._tell(leg))

    def close(self) -> None:
        """Send the crew home; what nobody waits for any more is cancelled."""
        self.loop.close()

    def _tell(self, leg: Leg) -> Callable[[Any, BaseException | None], None]:
        def tell(value: Any, error: BaseException | None) -> None:
            self.told.append((leg, value, error))
            self.bell.put(True)  # noqa: FBT003 - a bell says one thing

        return tell


def _same(value: Any) -> Any:
    return value
