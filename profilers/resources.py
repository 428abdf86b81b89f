"""The energy of one run of a network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from profilers.backends.contract import Backend, RunPlan
from profilers.devices.energy import MIN_WINDOW_S, EnergyMeter, EnergyReading, EnergyUnknown, measure_energy

_LEAD_S = 0.5  # for the first run and the warm-up, which are part of a block's time and of no window
_MOST_S = 10.0  # what the time is doubled to, where those took longer


def network_energy(backend: Backend, model: bytes, meter: EnergyMeter) -> EnergyReading | EnergyUnknown:
    """Energy of a run above idling, from a window of seconds full of runs, without loading and warming up.

    On an H200, windows with the loading in them told from 0.1 to 334 mJ for networks whose latencies were within a
    factor of six.

    Args:
        backend: What runs the model.
        model: Serialised ONNX model.
        meter: Of the backend's device.

    Raises:
        ModelError: The model cannot be loaded or run.
        DeviceError: The device was lost.
    """
    budget_s = MIN_WINDOW_S + _LEAD_S
    reading = measure_energy(partial(_runs, backend, model, budget_s=budget_s), meter)
    while isinstance(reading, EnergyUnknown) and reading.too_short and budget_s < _MOST_S:
        budget_s *= 2
        reading = measure_energy(partial(_runs, backend, model, budget_s=budget_s), meter)
    return reading


def _runs(backend: Backend, model: bytes, began: Callable[[], None], *, budget_s: float) -> int:
    plan = RunPlan(runs=10**6, least_runs=1, budget_ms=1e3 * budget_s, began=began)
    return len(backend.time(model, plan).run_ms)
