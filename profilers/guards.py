"""What a backend returns and raises is looked at before it is believed: a third party's may do anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from latency_tables import Json
from profilers.backends.contract import Backend, Inspection, IsolatedKernel, ProfiledRuns, TimedRuns
from profilers.errors import DeviceError, PluginError, ProfilerError

_T = TypeVar("_T")
_REPORT = "Report it to whoever wrote it; `profilers.testing` says what a backend must do."


def guarded(backend: Backend, call: Callable[[], _T]) -> _T:
    """A call of a backend; what a plug-in raises unforeseen is named as its fault.

    Raises:
        PluginError: A third party's backend raised what the contract does not know.
    """
    try:
        return call()
    except (ProfilerError, KeyboardInterrupt):
        raise
    except (Exception, SystemExit) as error:
        # a full disk is nobody's fault; a connection that breaks is the plug-in's
        elsewhere = isinstance(error, OSError) and not isinstance(error, ConnectionError | TimeoutError)
        if elsewhere or type(backend).__module__.startswith("profilers."):
            raise
        raise PluginError(f"the backend {backend.name!r} failed: {type(error).__name__}: {error}. {_REPORT}") from error


def checked_fingerprint(backend: Backend) -> dict[str, Json]:
    """The backend's fingerprint.

    Raises:
        PluginError: It cannot be written as JSON.
    """
    found = guarded(backend, backend.fingerprint)
    try:
        json.dumps(found, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise PluginError(f"the backend {backend.name!r} returned a fingerprint that is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise _broken(backend, "a fingerprint", found)
    return found


def checked_times(backend: Backend, timed: TimedRuns) -> TimedRuns:
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
            f"the backend {backend.name!r} returned times of shape {times.shape} and interruptions of shape "
            f"{preempted.shape}: expected two of shape (runs,) with at least one run. {_REPORT}"
        )
    _require_times(backend, times)
    for name in ("load_ms", "first_ms"):
        value = getattr(timed, name)
        if value is not None:
            _require_times(backend, np.asarray([value]), name)
    if timed.provider != backend.provider:
        raise DeviceError(
            f"the backend {backend.name!r} is for {backend.provider}, but its runs say {timed.provider}: figures of "
            "that would be mislabelled."
        )
    return replace(timed, run_ms=times, preempted=preempted)


def checked_profile(backend: Backend, runs: ProfiledRuns, parts: Mapping[str, str]) -> ProfiledRuns:
    """Likewise with the kernels inside.

    Raises:
        PluginError: They cannot be.
        DeviceError: Another provider ran.
    """
    if not isinstance(runs, ProfiledRuns):
        raise _broken(backend, "ProfiledRuns", runs)
    found = checked_times(backend, runs)
    checked_inspection(backend, runs.inspection, parts)
    try:
        kernel_ms = np.asarray(runs.kernel_ms, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise _broken(backend, "kernel times in an array", runs.kernel_ms) from error
    expected = (len(runs.inspection.uses), len(found.run_ms))
    if kernel_ms.shape != expected:
        raise PluginError(
            f"the backend {backend.name!r} returned kernel times of shape {kernel_ms.shape}: expected (kernels, runs), "
            f"{expected}. {_REPORT}"
        )
    _require_times(backend, kernel_ms, "kernel_ms")
    return replace(runs, run_ms=found.run_ms, preempted=found.preempted, kernel_ms=kernel_ms)


def checked_inspection(backend: Backend, inspection: Inspection, parts: Mapping[str, str]) -> Inspection:
    """Kernels that belong to the parts of the network they are said to be from.

    Raises:
        PluginError: They do not.
    """
    if not isinstance(inspection, Inspection):
        raise _broken(backend, "an Inspection", inspection)
    strangers = sorted({str(use.part) for use in inspection.uses} - set(parts))
    if strangers:
        raise PluginError(
            f"the backend {backend.name!r} found kernels of part {strangers[0]!r}: expected one of "
            f"{', '.join(sorted(parts))}. {_REPORT}"
        )
    return inspection


def checked_kernels(backend: Backend, alone: Mapping[str, IsolatedKernel]) -> Mapping[str, IsolatedKernel]:
    """Kernels that can be run alone.

    Raises:
        PluginError: They are described wrongly.
    """
    for key, kernel in alone.items():
        if not isinstance(kernel, IsolatedKernel) or type(kernel.copies) is not int or kernel.copies < 1:
            raise _broken(backend, f"an IsolatedKernel with at least one copy for {key}", kernel)
    return alone


def _require_times(backend: Backend, times: Any, name: str = "run_ms") -> None:
    try:
        sound = bool(np.isfinite(times).all() and (times >= 0).all())
    except TypeError as error:
        raise _broken(backend, f"numbers as {name}", times) from error
    if not sound:
        raise PluginError(
            f"the backend {backend.name!r} returned times ({name}) that are negative or not finite. {_REPORT}"
        )


def _broken(backend: Backend, expected: str, received: object) -> PluginError:
    shown = repr(received)
    shown = shown if len(shown) < 80 else f"{shown[:80]}…"
    return PluginError(f"the backend {backend.name!r} must return {expected}, but returned {shown}. {_REPORT}")
