"""The problems by the name they have on the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from hwnas.bench.functions import ackley20, branin_currin, rosenbrock, vehicle_safety
from hwnas.bench.models import accel, ofa
from hwnas.bench.problem import BenchProblem
from hwnas.bench.tables import (
    NASBENCH201_DEVICES,
    SEVERAL,
    macro,
    nasbench201,
    nasbench201_accuracy,
    nasbench201_device,
)
from hwnas.core import unknown
from hwnas.evaluators import ACCEL_DEVICES

_DEFAULT_ACCEL = "zcu102"

PROBLEMS: Mapping[str, Callable[[], BenchProblem]] = {
    "nasbench201": nasbench201,
    "nasbench201-accuracy": nasbench201_accuracy,
    **{f"nasbench201:{device}": partial(nasbench201_device, device) for device in NASBENCH201_DEVICES},
    "ofa": ofa,
    "macro": macro,
    "accel": partial(accel, _DEFAULT_ACCEL),
    **{f"accel:{device}": partial(accel, device) for device in ACCEL_DEVICES},
    "branin-currin": branin_currin,
    "vehicle-safety": vehicle_safety,
    "ackley20": ackley20,
    "rosenbrock": rosenbrock,
}


def open_problem(name: str, *, black_box: bool = False) -> BenchProblem:
    """A benchmark problem, its data read.

    Args:
        name: One of ``PROBLEMS``, or several devices with a plus: ``nasbench201:pixel3+eyeriss``.
        black_box: Whether to hide the costs that are known exactly from the searchers.

    Raises:
        UsageError: No such problem.
        MachineError: ``HWNAS_DATA`` is not set, or its folder lacks a file of the problem.
        MissingExtraError: pyarrow is not installed.
        DataError: A file cannot be read, or is not what it should be.
    """
    table, _, devices = name.partition(":")
    if table == "nasbench201" and SEVERAL in devices:
        problem = nasbench201_device(*devices.split(SEVERAL))
    elif name in PROBLEMS:
        problem = PROBLEMS[name]()
    else:
        raise unknown("benchmark problem", name, PROBLEMS)
    return problem.as_black_box() if black_box else problem
