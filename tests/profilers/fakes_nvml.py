"""FAKE of pynvml: a binding that answers what a test gives it, and notes what it is told."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any


class NvmlError(Exception):
    """FAKE of pynvml.NVMLError, with its numbers."""

    def __init__(self, value: int) -> None:
        super().__init__({3: "Not Supported", 4: "Insufficient Permissions"}.get(value, f"error {value}"))
        self.value = value


class FakeNvml(ModuleType):
    """FAKE: a binding that knows the functions it was given and notes each call with its arguments after the handle.

    An answer is a value, an error to raise, or a mapping from the last argument to the value.
    """

    NVMLError = NvmlError

    def __init__(self, **answers: Any) -> None:
        super().__init__("pynvml")
        self.calls: list[tuple[Any, ...]] = []
        base = {"nvmlInit": None, "nvmlShutdown": None, "nvmlDeviceGetHandleByIndex": "handle"}
        for name, answer in (base | answers).items():
            setattr(self, name, self.function(name, answer))

    def function(self, name: str, answer: Any) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if name.startswith("nvmlDevice") and name != "nvmlDeviceGetHandleByIndex":
                assert arguments[0] == "handle"
                arguments = arguments[1:]
            self.calls.append((name, *arguments))
            if isinstance(answer, Exception):
                raise answer
            return answer[arguments[-1]] if isinstance(answer, dict) else answer

        return call

    def locking(self) -> list[tuple[Any, ...]]:
        return [call for call in self.calls if "Locked" in call[0]]

    def named(self, name: str) -> int:
        return sum(call[0] == name for call in self.calls)
