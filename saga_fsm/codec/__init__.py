"""Stub until the real one comes."""

from __future__ import annotations
import json
from typing import Any, Protocol
from saga_fsm.definition import Rejected, Transient


class Codec(Protocol):
    def encode(self, value: Any, type_: Any) -> str: ...
    def decode(self, text: str, type_: Any) -> Any: ...


class Scribe:
    def __init__(
        self, saga: Any, codec: Codec | None = None, *, limit: int = 1_000_000
    ) -> None: ...
    def check(self) -> None: ...
    def write(self, event: str, data: Any) -> str | None:
        if data is None:
            return None
        if isinstance(data, BaseException):
            return json.dumps({"error": type(data).__name__, "message": str(data)})
        return json.dumps(data)

    def read(self, event: str, text: str | None) -> Any:
        if text is None:
            return None
        v = json.loads(text)
        if isinstance(v, dict) and "error" in v:
            return Rejected(v["message"])
        return v

    def admit(self, kind: str, path: str, value: Any) -> None:
        json.dumps(value)
