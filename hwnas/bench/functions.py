"""Problems that are formulas over boxes: no data needed, and nothing known before it is evaluated.

Formulas as in the papers; where implementations of the field agree on a constant or bound, theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwnas.bench.problem import BenchProblem
from hwnas.core import Architecture, Objective
from hwnas.searchers import SearchProblem
from hwnas.spaces import Interval, SearchSpace

Array = NDArray[np.float64]
Function = Callable[[Array], Array]

_DIMENSIONS = 20  # of the problems with one objective
_WIDE = (-5.0, 10.0)  # their bounds, those of LA-MCTS


@dataclass(frozen=True, kw_only=True)
class FunctionEvaluator:
    """A formula over the numbers of an architecture.

    Attributes:
        names: What its values are called.
        function: From points ``(n, d)``, columns as the choices of the space, to values ``(n, m)``.
    """

    names: tuple[str, ...]
    function: Function

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        """Values by name."""
        point = np.array([[float(value) for value in architecture.values()]])
        return {name: float(value) for name, value in zip(self.names, self.function(point)[0], strict=True)}


def branin_currin_values(points: Array) -> Array:
    """Branin (rescaled) and Currin, shape ``(n, 2)``, of points in the unit square.

    References:
        Belakaria, Deshwal and Doppa, 2019, Max-value entropy search for multi-objective Bayesian optimization;
        Branin, 1972; Currin et al., 1988.
    """
    x, y = points[:, 0], points[:, 1]
    a, b = 15 * x - 5, 15 * y
    branin = (b - 5.1 / (4 * np.pi**2) * a**2 + 5 / np.pi * a - 6) ** 2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(a) + 10
    damped = 1 - np.exp(-1 / (2 * np.maximum(y, 1e-300)))  # its limit at 0 is 1
    currin = damped * (2300 * x**3 + 1900 * x**2 + 2092 * x + 60) / (100 * x**3 + 500 * x**2 + 4 * x + 20)
    return np.stack([branin, currin], axis=1)


def vehicle_safety_values(points: Array) -> Array:
    """Mass, acceleration and intrusion of a car's front, shape ``(n, 3)``, of five thicknesses from 1 to 3.

    References:
        Liao et al., 2008, Multiobjective optimization for crash safety design of vehicles using stepwise regression
        model; Tanabe and Ishibuchi, 2020, An easy-to-use real-world multi-objective optimization problem suite
        (https://arxiv.org/abs/2009.12867).
    """
    a, b, c, d, e = points.T
    mass = 1640.2823 + 2.3573285 * a + 2.3220035 * b + 4.5688768 * c + 7.7213633 * d + 4.4559504 * e
    acceleration = (
        6.5856 + 1.15 * a - 1.0427 * b + 0.9738 * c + 0.8364 * d - 0.3695 * a * d + 0.0861 * a * e + 0.3628 * b * d
        - 0.1106 * a**2 - 0.3437 * c**2 + 0.1764 * d**2
    )  # fmt: skip
    intrusion = (
        -0.0551 + 0.0181 * a + 0.1024 * b + 0.0421 * c - 0.0073 * a * b + 0.024 * b * c - 0.0118 * b * d
        - 0.0204 * c * d - 0.008 * c * e - 0.0241 * b**2 + 0.0109 * d**2
    )  # fmt: skip
    return np.stack([mass, acceleration, intrusion], axis=1)


def ackley_values(points: Array) -> Array:
    """Ackley's function, 0 at the origin, shape ``(n, 1)``.

    References:
        Ackley, 1987, A connectionist machine for genetic hillclimbing.
    """
    distance = np.sqrt((points**2).mean(axis=1))
    waves = np.cos(2 * np.pi * points).mean(axis=1)
    return np.asarray(-20 * np.exp(-0.2 * distance) - np.exp(waves) + 20 + np.e)[:, None]


def rosenbrock_values(points: Array) -> Array:
    """Rosenbrock's valley, 0 where all coordinates are 1, shape ``(n, 1)``.

    References:
        Rosenbrock, 1960, An automatic method for finding the greatest or least value of a function.
    """
    here, after = points[:, :-1], points[:, 1:]
    return np.asarray((100 * (after - here**2) ** 2 + (1 - here) ** 2).sum(axis=1))[:, None]


def branin_currin() -> BenchProblem:
    """Two objectives over the unit square; reference point and best hypervolume as published with LaMOO."""
    return _over_box(
        "branin-currin",
        "Branin and Currin over the unit square",
        branin_currin_values,
        bounds=[(0.0, 1.0)] * 2,
        goals={"branin": 18.0, "currin": 6.0},
        best=59.36011874867746,
    )


def vehicle_safety() -> BenchProblem:
    """Three objectives of five thicknesses; reference point and best hypervolume as published with LaMOO."""
    return _over_box(
        "vehicle-safety",
        "mass, acceleration and intrusion of a car's front in a crash",
        vehicle_safety_values,
        bounds=[(1.0, 3.0)] * 5,
        goals={"mass": 1864.72022, "acceleration": 11.81993945, "intrusion": 0.2903999384},
        best=246.81607081187002,
    )


def ackley20() -> BenchProblem:
    """One objective in 20 dimensions, from -5 to 10 each; the reference is the value far away from the optimum."""
    return _over_box(
        "ackley20",
        "Ackley's function in 20 dimensions",
        ackley_values,
        bounds=[_WIDE] * _DIMENSIONS,
        goals={"value": 22.5},
        best=22.5,
    )


def rosenbrock() -> BenchProblem:
    """One objective in 20 dimensions, from -5 to 10 each; the reference is a value that few random points exceed."""
    return _over_box(
        "rosenbrock",
        "Rosenbrock's valley in 20 dimensions",
        rosenbrock_values,
        bounds=[_WIDE] * _DIMENSIONS,
        goals={"value": 5e6},
        best=5e6,
    )


def _over_box(
    name: str,
    title: str,
    function: Function,
    *,
    bounds: list[tuple[float, float]],
    goals: Mapping[str, float],
    best: float,
) -> BenchProblem:
    intervals = tuple(Interval(f"x{i}", low, high) for i, (low, high) in enumerate(bounds, start=1))
    objectives = tuple(Objective(name=goal, unit="", direction="minimize", known="trained") for goal in goals)
    return BenchProblem(
        name=name,
        title=title,
        search=SearchProblem(
            space=SearchSpace(name, intervals), objectives=objectives, reference=np.array(list(goals.values()))
        ),
        evaluator=FunctionEvaluator(names=tuple(goals), function=function),
        best=best,
        best_is="true" if len(goals) == 1 else "best known",
    )
