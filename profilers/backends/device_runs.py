"""Runs on a GPU, timed by events: launched by the host one by one, or replayed from a CUDA graph.

Launched, what the host needs for it is part of a figure wherever the device has to wait: what a caller sees who runs a
model as it is. A graph takes the launches away, and then the call alone, 50 to 90 microseconds from Python, would hide
a small network: its replays are enqueued while the device is held, and a figure is the device's time and no more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from numpy.typing import NDArray

from profilers.devices.cuda import CudaRuntime

_PLAIN_RUNS = 3  # before a capture, which must see no memory allocated and no algorithm searched for

Copy = tuple[int, NDArray[Any]]
"""An address on the device, and the values on the host that belong there."""


@dataclass(frozen=True, kw_only=True)
class DeviceRuns:
    """What makes a run of a model.

    Attributes:
        cuda: The CUDA runtime.
        stream: Where everything is enqueued.
        execute: Enqueues one run of the model.
        sources: Inputs.
        results: Outputs.
        include_io: Whether the copies of inputs and outputs are part of a run.
        hold: Whether the device is held while a replay is enqueued; not where its energy is asked for, since a device
            that waits draws little.
    """

    cuda: CudaRuntime
    stream: int
    execute: Callable[[], None]
    sources: Sequence[Copy]
    results: Sequence[Copy]
    include_io: bool
    hold: bool = True

    def launched(self, held: contextlib.ExitStack) -> Callable[[], float]:
        """One run, launched by the host; gives the time on the device in milliseconds.

        Args:
            held: Keeps what belongs to it.

        Raises:
            DeviceError: The GPU was lost.
        """
        self._upload()
        self.cuda.synchronize()  # of all streams: what the runtime put on its own when it loaded the model is over, too
        elapsed_ms = held.enter_context(self.cuda.timer(self.stream))
        held.callback(self.cuda.settle, self.stream)  # the last in is the first out
        return partial(elapsed_ms, self._with_copies(self.execute))

    def replayed(self, held: contextlib.ExitStack) -> Callable[[], float]:
        """One run, replayed from a CUDA graph, but for the very first; gives milliseconds as ``launched`` does.

        With copies the device is not held: those of pageable memory make the host wait for it.

        Args:
            held: Keeps what belongs to it.

        Raises:
            DeviceError: The GPU was lost.
            ModelError: By the first run: the model cannot be captured.
        """
        launched = self.launched(held)
        replay: Callable[[], float] | None = None

        def run() -> float:
            nonlocal replay
            if replay is not None:
                return replay()
            first_ms = launched()
            for _ in range(_PLAIN_RUNS):
                self.execute()
            self.cuda.synchronize(self.stream)
            launch = held.enter_context(self.cuda.captured(self.execute, self.stream))
            timer = self.cuda.held_timer if self.hold and not self.include_io else self.cuda.timer
            elapsed_ms = held.enter_context(timer(self.stream))
            held.callback(self.cuda.settle, self.stream)
            replay = partial(elapsed_ms, self._with_copies(launch))
            return first_ms

        return run

    def _upload(self) -> None:
        for address, values in self.sources:
            self.cuda.upload(address, values, self.stream)

    def _with_copies(self, launch: Callable[[], None]) -> Callable[[], None]:
        if not self.include_io:
            return launch

        def run() -> None:
            self._upload()
            launch()
            for address, values in self.results:
                self.cuda.download(address, values, self.stream)

        return run
