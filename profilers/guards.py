"""What a backend returns and raises is looked at before it is believed: a third party's may do anything."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from latency_tables import Json
from latency_tables.values import encodable, is_amount, shown, sound
from profilers.backends.contract import (
    METHODS,
    Backend,
    InPlace,
    Inspection,
    IsolatedKernel,
    Isolating,
    ProfiledRuns,
    TimedRuns,
    symmetric_int8,
)
from profilers.errors import DeviceError, PluginError, ProfilerError
from profilers.kernels import KernelUse

_T = TypeVar("_T")
_Runs = TypeVar("_Runs", bound=TimedRuns)
_REPORT = "Report it to whoever wrote it; `profilers.testing` says what a backend must do."
_FULL = {errno.ENOSPC, errno.EDQUOT}
_MOST_THREADS = 10**9  # what a table can hold
_TEXTS = ("name", "version", "device", "device_name", "provider")


def guarded(backend: Backend, call: Callable[[], _T], *, called: str | None = None) -> _T:
    """A call of a backend; what a plug-in raises unforeseen is named as its fault.

    Args:
        backend: It.
        call: What it does.
        called: Its name, where it is known before the backend tells.

    Raises:
        PluginError: A third party's backend raised what the contract does not know.
    """
    try:
        return call()
    except (ProfilerError, KeyboardInterrupt):
        raise
    except (Exception, SystemExit) as error:
        # a full disk is nobody's fault
        full = isinstance(error, OSError) and error.errno in _FULL
        if full or type(backend).__module__.startswith("profilers."):
            raise
        name = called or _name_of(backend)
        raise PluginError(f"the backend {name!r} failed: {type(error).__name__}: {error}. {_REPORT}") from error


def checked_backend(backend: Backend, *, called: str | None = None) -> None:
    """Looks at everything a backend says of itself, before it is asked to do anything.

    Args:
        backend: It.
        called: Its name, where it is known before the backend tells.

    Raises:
        PluginError: It lacks what the contract asks for, raises when asked, or says what cannot be.
    """
    name = called or _name_of(backend)
    said: dict[str, Any] = {}
    for member in (*_TEXTS, "threads", "method", "fingerprint", "time"):
        try:
            said[member] = getattr(backend, member)
        except AttributeError as error:
            raise PluginError(
                f"the backend {name!r} lacks {member}, which profilers.backends.Backend asks for ({error}). {_REPORT}"
            ) from error
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"the backend {name!r} does not tell its {member}: {type(error).__name__}: {error}. {_REPORT}"
            ) from error
    expected = _misfit(said)
    if expected is not None:
        member, wanted = expected
        raise PluginError(
            f"the backend {name!r} must have {wanted} as {member}, but has {shown(said[member])}. {_REPORT}"
        )
    needed = {"in-place": InPlace, "isolated": Isolating}.get(said["method"], Backend)
    if not guarded(backend, lambda: isinstance(backend, needed), called=name):
        raise PluginError(
            f"the backend {name!r} says its method is {said['method']!r} and lacks what {needed.__name__} in "
            f"profilers.backends has. {_REPORT}"
        )
    guarded(backend, partial(symmetric_int8, backend), called=name)


def _misfit(said: Mapping[str, Any]) -> tuple[str, str] | None:
    """The first of the things a backend says of itself that cannot be, and what is expected there."""
    for member in _TEXTS:
        if not isinstance(said[member], str) or not said[member].strip() or not encodable(said[member]):
            return member, "text that is not empty"
    if type(said["threads"]) is not int or not 1 <= said["threads"] <= _MOST_THREADS:
        return "threads", f"a whole number from 1 to {_MOST_THREADS}"
    if said["method"] not in METHODS:
        return "method", f"one of {', '.join(METHODS)}"
    return next(((member, "a method") for member in ("fingerprint", "time") if not callable(said[member])), None)


def _name_of(backend: object) -> str:
    """The name of a backend for a message: that of its class where it does not tell."""
    try:
        name = getattr(backend, "name", None)
    except (Exception, SystemExit):  # told by ``checked_backend``
        name = None
    return name if isinstance(name, str) and name else type(backend).__name__


def checked_fingerprint(backend: Backend) -> dict[str, Json]:
    """The backend's fingerprint.

    Raises:
        PluginError: It fails to tell, or what it tells is no flat record that can be written as JSON.
    """
    found = guarded(backend, backend.fingerprint)
    if not isinstance(found, dict) or not found:
        raise _broken(backend, "a fingerprint that is a record and not empty", found)
    for name, value in found.items():
        flat = value is None or isinstance(value, bool | int | float | str)
        if not isinstance(name, str) or not flat or not sound([name, value], depth=1):
            raise _broken(backend, "a fingerprint of texts, finite numbers, true, false and None", {name: value})
    return found


def checked_times(backend: Backend, timed: _Runs) -> _Runs:
    """Times that can be: as arrays, finite, from the right provider.

    Raises:
        PluginError: They cannot be.
        DeviceError: Another provider ran.
    """
    if not isinstance(timed, TimedRuns):
        raise _broken(backend, "TimedRuns", timed)
    try:
        times = np.asarray(timed.run_ms, dtype=np.float64)
        preempted = np.asarray(timed.preempted, dtype=np.bool_)
    except (TypeError, ValueError) as error:
        raise _broken(backend, "times in an array", timed.run_ms) from error
    if times.ndim != 1 or not len(times) or times.shape != preempted.shape:
        raise PluginError(
            f"the backend {_name_of(backend)!r} returned times of shape {times.shape} and interruptions of shape "
            f"{preempted.shape}: expected two of shape (runs,) with at least one run. {_REPORT}"
        )
    _require_times(backend, times)
    if not times.any():
        raise PluginError(f"the backend {_name_of(backend)!r} returned runs that took no time at all. {_REPORT}")
    load_ms, first_ms = (_time_ms(backend, getattr(timed, name), name) for name in ("load_ms", "first_ms"))
    provider = guarded(backend, lambda: backend.provider)
    if timed.provider != provider:
        raise DeviceError(
            f"the backend {_name_of(backend)!r} is for {provider}, but its runs say {timed.provider}: figures of "
            "that would be mislabelled."
        )
    return replace(timed, run_ms=times, preempted=preempted, load_ms=load_ms, first_ms=first_ms)


def checked_profile(backend: Backend, runs: ProfiledRuns, parts: Mapping[str, str]) -> ProfiledRuns:
    """Likewise with the kernels inside.

    Raises:
        PluginError: They cannot be.
        DeviceError: Another provider ran.
    """
    if not isinstance(runs, ProfiledRuns):
        raise _broken(backend, "ProfiledRuns", runs)
    found = checked_times(backend, runs)
    inspection = checked_inspection(backend, runs.inspection, parts)
    try:
        kernel_ms = np.asarray(runs.kernel_ms, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise _broken(backend, "kernel times in an array", runs.kernel_ms) from error
    expected = (len(inspection.uses), len(found.run_ms))
    if kernel_ms.shape != expected:
        raise PluginError(
            f"the backend {_name_of(backend)!r} returned kernel times of shape {kernel_ms.shape}: expected "
            f"(kernels, runs), {expected}. {_REPORT}"
        )
    _require_times(backend, kernel_ms, "kernel_ms")
    return replace(found, inspection=inspection, kernel_ms=kernel_ms)


def checked_inspection(backend: Backend, inspection: Inspection, parts: Mapping[str, str]) -> Inspection:
    """Kernels that belong to the parts of the network they are said to be from.

    Raises:
        PluginError: They do not.
    """
    if not isinstance(inspection, Inspection):
        raise _broken(backend, "an Inspection", inspection)
    uses = guarded(backend, lambda: tuple(inspection.uses))
    _require_memory(backend, inspection.memory_mib)
    for use in uses:
        if not isinstance(use, KernelUse) or not _is_told(use):
            raise _broken(backend, "kernels that say their node, key, operator, provider and types in words", use)
        _require_memory(backend, use.memory_mib)
    strangers = sorted({str(use.part) for use in uses} - set(parts))
    if strangers:
        raise PluginError(
            f"the backend {_name_of(backend)!r} found kernels of part {strangers[0]!r}: expected one of "
            f"{', '.join(sorted(parts))}. {_REPORT}"
        )
    return replace(inspection, uses=uses)


def _is_told(use: KernelUse) -> bool:
    texts: Iterable[object] = (use.node, use.key, use.op_type, use.provider, *use.elements)
    return bool(use.key) and all(isinstance(text, str) and encodable(text) for text in texts)


def _require_memory(backend: Backend, memory_mib: Any) -> None:
    if memory_mib is not None and not is_amount(memory_mib):
        raise _broken(backend, "a finite memory_mib of at least 0, or None", memory_mib)


def checked_kernels(backend: Backend, alone: Mapping[str, IsolatedKernel]) -> Mapping[str, IsolatedKernel]:
    """Kernels that can be run alone.

    Raises:
        PluginError: They are described wrongly.
    """
    if not isinstance(alone, Mapping):
        raise _broken(backend, "kernels by their keys", alone)
    for key, kernel in alone.items():
        if not isinstance(kernel, IsolatedKernel) or type(kernel.copies) is not int or kernel.copies < 1:
            raise _broken(backend, f"an IsolatedKernel with at least one copy for {key}", kernel)
    return alone


def _time_ms(backend: Backend, value: Any, name: str) -> float | None:
    """A single time, ``None`` for unknown."""
    if value is None:
        return None
    _require_times(backend, np.asarray([value]), name)
    return float(value)


def _require_times(backend: Backend, times: Any, name: str = "run_ms") -> None:
    try:
        possible = bool(np.isfinite(times).all() and (times >= 0).all())
    except TypeError as error:
        raise _broken(backend, f"numbers as {name}", times) from error
    if not possible:
        raise PluginError(
            f"the backend {_name_of(backend)!r} returned times ({name}) that are negative or not finite. {_REPORT}"
        )
    if times.size and not is_amount(float(times.max())):
        raise PluginError(f"the backend {_name_of(backend)!r} returned times ({name}) of years. {_REPORT}")


def _broken(backend: Backend, expected: str, received: object) -> PluginError:
    return PluginError(
        f"the backend {_name_of(backend)!r} must return {expected}, but returned {shown(received)}. {_REPORT}"
    )
