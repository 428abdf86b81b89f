"""Energy from samples of power, for devices that count none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from profilers.errors import DeviceError

_SAMPLE_S = 0.05


class PowerSampler:
    """Integrates samples of power (trapezoids), taken by a thread and at every reading."""

    def __init__(
        self,
        method: str,
        power_w: Callable[[], float | None],
        *,
        release: Callable[[], None] = lambda: None,
        interval_s: float = _SAMPLE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts sampling; ``close`` stops it.

        Args:
            method: Where the power is read.
            power_w: Power now in watts; ``None`` when it cannot be read.
            release: Called once when sampling has stopped.
            interval_s: Time between samples in seconds.
            clock: Monotonic time in seconds.
        """
        self.method = method
        self._power_w, self._release, self._interval_s, self._clock = power_w, release, interval_s, clock
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._last: tuple[float, float] | None = None
        self._energy_mj = 0.0
        self._thread = threading.Thread(target=self._sample_until_stopped, name="hwnas-power", daemon=True)
        self._thread.start()

    def read_mj(self) -> float:
        """Energy in millijoules since sampling started.

        Raises:
            DeviceError: The power cannot be read any more.
        """
        # A sample at the very edge, so that a window does not end somewhere between two of the thread's.
        if not self._sample():
            raise DeviceError(f"{self.method} no longer answers: expected a power in watts, received none")
        with self._lock:
            return self._energy_mj

    def close(self) -> None:
        """Stops sampling and lets go of the device; a second time does nothing."""
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join()
            self._release()

    def _sample_until_stopped(self) -> None:
        while not self._stop.wait(self._interval_s):
            self._sample()

    def _sample(self) -> bool:
        with self._lock:
            power_w = self._power_w()
            if power_w is None:
                return False
            now_s = self._clock()
            if self._last is not None:
                before_s, before_w = self._last
                self._energy_mj += (before_w + power_w) / 2 * (now_s - before_s) * 1000
            self._last = now_s, power_w
            return True
