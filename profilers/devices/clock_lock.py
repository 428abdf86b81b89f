"""Lock the clocks of a GPU, only where it is asked for, and give them back.

A clock that was locked is still only a wish: the driver may accept the lock and run slower, for power or for heat. What
counts, and what belongs into a table, is the observed clock, so that locking never replaces watching.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from types import FrameType

from latency_tables.schema import Json
from profilers.devices.nvml import NvmlDevice, open_nvml
from profilers.errors import CampaignError

# Numbers of NVML's C interface: fixed by its ABI, while older bindings lack some of the names.
_CLOCK_GRAPHICS = 0
_NOT_SUPPORTED, _NO_PERMISSION, _FUNCTION_NOT_FOUND = 3, 4, 13
_NO_CPU_LOCK = (
    "the clocks of a CPU are not locked from here; an administrator can fix the governor: "
    "sudo cpupower frequency-set --governor performance"
)
# A closed terminal ends the process as surely as the other two do.
_ENDING_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@dataclass(frozen=True, kw_only=True)
class ClockLock:
    """What came of the wish to lock the clocks.

    Attributes:
        requested_mhz: The clock that was asked for in MHz; ``None`` when there was none to ask for.
        locked: Whether the driver accepted it. It may run slower all the same: the observed clock is what counts.
        reason: Why it is not locked, with the cure; ``None`` when it is.
    """

    requested_mhz: int | None
    locked: bool
    reason: str | None

    def to_json(self) -> dict[str, Json]:
        """Field by field, for a record."""
        return asdict(self)


@contextlib.contextmanager
def locked_clocks(device: str, *, clock_mhz: int | None = None, index: int | None = None) -> Iterator[ClockLock]:
    """Locks the core clock of a GPU while the body runs, and gives it back however the body ends.

    Locking changes the GPU for all its users and needs administrator rights, so that it is never done unasked. Without
    the rights, or on a device that cannot, the body runs unlocked and the record says why.

    The clock is given back when the body ends or raises, on SIGINT, SIGTERM and SIGHUP, whose own handling follows, and
    when the interpreter ends. Off the main thread, where Python allows no signal handlers, signals are left out. After
    SIGKILL, which cannot be caught, ``sudo nvidia-smi --reset-gpu-clocks`` gives the clock back. A lock that somebody
    else had set is lost, since NVML does not tell of it.

    Args:
        device: ``"gpu"``; nothing is locked on any other one.
        clock_mhz: Clock in MHz; by default the highest supported one of at most 80 % of the maximum.
        index: Number of the GPU in NVML's order; ``None`` for the one that CUDA runs on.

    Yields:
        What was asked for, and whether it was granted.

    Raises:
        CampaignError: The clock is not positive.
    """
    if clock_mhz is not None and clock_mhz <= 0:
        raise CampaignError(
            f"expected a clock of 1 MHz or more, received {clock_mhz}; leave it out for a sustained one"
        )
    if device != "gpu":
        reason = _NO_CPU_LOCK if device == "cpu" else f"only a gpu's clocks can be locked, received {device!r}"
        yield ClockLock(requested_mhz=clock_mhz, locked=False, reason=reason)
        return
    gpu = open_nvml(index)
    if isinstance(gpu, str):
        yield ClockLock(requested_mhz=clock_mhz, locked=False, reason=gpu)
        return
    with contextlib.closing(gpu), _locked_gpu(gpu, clock_mhz or _sustained_mhz(gpu)) as lock:
        yield lock


@contextlib.contextmanager
def _locked_gpu(gpu: NvmlDevice, clock_mhz: int | None) -> Iterator[ClockLock]:
    if clock_mhz is None:
        reason = "NVML tells no highest clock of this GPU to derive one from: give the clock in MHz"
        yield ClockLock(requested_mhz=None, locked=False, reason=reason)
        return
    guard = _Guard(lock=partial(_lock, gpu, clock_mhz), unlock=partial(_unlock, gpu))
    try:
        refusal = guard.acquire()
        yield ClockLock(requested_mhz=clock_mhz, locked=refusal is None, reason=refusal)
    finally:
        guard.release()


def _sustained_mhz(gpu: NvmlDevice) -> int | None:
    """A clock low enough to be held for long under any load, where the boost clock ends at the power limit."""
    memory_clocks = gpu.ask("nvmlDeviceGetSupportedMemoryClocks")
    clocks = gpu.ask("nvmlDeviceGetSupportedGraphicsClocks", max(memory_clocks)) if memory_clocks else None
    highest = gpu.ask("nvmlDeviceGetMaxClockInfo", _CLOCK_GRAPHICS) or max(clocks or (), default=0)
    ceiling = int(highest) * 4 // 5
    return max((int(clock) for clock in clocks or () if clock <= ceiling), default=ceiling) or None


def _lock(gpu: NvmlDevice, clock_mhz: int) -> str | None:
    """Why the driver refuses, with the cure; ``None`` when it obeys."""
    error = gpu.order("nvmlDeviceSetGpuLockedClocks", clock_mhz, clock_mhz)
    if error is None:
        return None
    code = getattr(error, "value", None)
    if code == _NO_PERMISSION:
        cure = f"run as root, or let an administrator run sudo nvidia-smi --lock-gpu-clocks={clock_mhz},{clock_mhz}"
        return f"no permission to lock the clocks ({error}). Cure: {cure}"
    if code in {_NOT_SUPPORTED, _FUNCTION_NOT_FOUND} or isinstance(error, AttributeError):
        return f"locking the clocks is not supported by this GPU, its driver or pynvml ({error}); they are only watched"
    return f"the driver does not lock the clocks to {clock_mhz} MHz: {error}; nvidia-smi -q -d CLOCK shows the range"


def _unlock(gpu: NvmlDevice) -> None:
    error = gpu.order("nvmlDeviceResetGpuLockedClocks")
    if error is not None:  # raised here, it would hide what the body raised
        cure = "sudo nvidia-smi --reset-gpu-clocks"
        warnings.warn(f"the GPU's clocks could not be unlocked: {error}. Cure: {cure}", RuntimeWarning, stacklevel=2)


class _Guard:
    """Undoes a lock by whichever way the process leaves first."""

    def __init__(self, *, lock: Callable[[], str | None], unlock: Callable[[], None]) -> None:
        self._lock, self._unlock = lock, unlock
        self._pending = False
        self._process = os.getpid()
        self._previous: dict[int, Callable[[int, FrameType | None], object] | int] = {}

    def acquire(self) -> str | None:
        """Locks, with every way out prepared before; the refusal, or ``None``."""
        self._install()
        self._pending = True
        refusal = self._lock()
        # Once more: a handler that ran before the lock took hold, and returned, has undone nothing.
        self._pending = refusal is None
        if refusal is not None:
            self._uninstall()
        return refusal

    def restore(self) -> None:
        """Undoes the lock if that is still to be done."""
        # A forked child has inherited handlers, but not the lock.
        if self._pending and os.getpid() == self._process:
            self._unlock()
            # Only now: an interrupt between the two then undoes a second time, which is harmless, and never not at all.
            self._pending = False

    def release(self) -> None:
        """Undoes the lock and puts everything back."""
        try:
            self.restore()
        finally:
            self._uninstall()

    def _install(self) -> None:
        atexit.register(self.restore)
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _ENDING_SIGNALS:
            previous = signal.getsignal(number)
            # An ignored signal ends nothing; a handler that is not Python's (None) could not be called afterwards.
            if previous is not None and previous != signal.SIG_IGN:
                self._previous[number] = previous
                signal.signal(number, self._on_signal)

    def _uninstall(self) -> None:
        atexit.unregister(self.restore)
        if threading.current_thread() is not threading.main_thread():
            return  # left in place, the handlers only pass on
        for number, previous in self._previous.items():
            if signal.getsignal(number) == self._on_signal:
                signal.signal(number, previous)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.restore()
        previous = self._previous[number]
        if callable(previous):
            previous(number, frame)
        else:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
