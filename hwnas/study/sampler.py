"""Any searcher of hwnas as a sampler of Optuna: for objectives of one's own, in Optuna's own loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from hwnas.core import Architecture, Objective, Trial, UsageError
from hwnas.searchers import SearchProblem, make_searcher, require_inner
from hwnas.searchers.initial import DEFAULT_INITIAL
from hwnas.spaces import Choice, SearchSpace

_PROPOSED = "hwnas:proposed"
_MARGIN = 0.1  # of an objective's extent: how far beyond the worst value the reference point lies
_RELEVANT = (TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED, TrialState.RUNNING)

Params = Mapping[str, Any]


class HwnasSampler(BaseSampler):
    """Lets a searcher of hwnas choose the parameters of an Optuna study, of one or several objectives.

    Parameters are taken as choices: categorical ones as they are, integers and stepped floats as ordered options, other
    floats as ``levels`` options, evenly spaced (on a logarithmic scale where the distribution has one). Parameters that
    are not in every trial are left to ``RandomSampler``, and so is the first trial where no space is given.

    What costs nothing to know need not be learned: with ``known``, objectives are computed instead of modelled, and
    what ``feasible`` excludes is never tried.

    Args:
        algorithm: One of ``hwnas.searchers.ALGORITHMS``.
        inner: One of ``hwnas.searchers.INNERS``, for an algorithm that draws with one.
        space: Distributions by the parameter's name; by default those that all finished trials have.
        seed: The same seed gives the same trials, where they run one after another.
        reference: The worst values of interest, one an objective in its own direction; by default a tenth of the extent
            beyond the worst seen.
        known: Exact values of objectives, by the objective's position: functions of the parameters. Parameters that are
            not in the space are not passed.
        feasible: Which parameters are allowed.
        levels: Options that a float without steps is divided into.
        initial: Trials before the searcher has learned anything.

    Raises:
        UsageError: No such algorithm or inner searcher, or the algorithm takes none.
    """

    def __init__(  # noqa: PLR0913  (keywords of a public constructor, each with its default)
        self,
        algorithm: str = "lamoo",
        *,
        inner: str | None = None,
        space: Mapping[str, BaseDistribution] | None = None,
        seed: int = 0,
        reference: Sequence[float] | None = None,
        known: Mapping[int, Callable[[Params], float]] | None = None,
        feasible: Callable[[Params], bool] | None = None,
        levels: int = 32,
        initial: int = DEFAULT_INITIAL,
    ) -> None:
        require_inner(algorithm, inner)
        self._algorithm, self._inner, self._seed, self._initial = algorithm, inner, seed, initial
        self._space, self._reference, self._levels = space, reference, levels
        self._known, self._feasible = dict(known or {}), feasible
        self._random = RandomSampler(seed=seed)
        self._common = optuna.search_space.IntersectionSearchSpace()

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters that the searcher chooses."""
        del trial
        return dict(self._space) if self._space is not None else self._common.calculate(study)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """What the searcher proposes; nothing where it has nothing new, and then the parameters are random.

        Raises:
            UsageError: There are not as many reference values as objectives, or ``known`` names an objective too many.
        """
        if not search_space:
            return {}
        grid = _Grid(search_space, self._levels)
        told, pending = self._trials(study, grid, skip=trial.number)
        problem = self._problem(study, grid, told)
        searcher = make_searcher(self._algorithm, problem, seed=self._seed, inner=self._inner, initial=self._initial)
        searcher.tell(told)
        proposals = searcher.ask(1, pending=pending)
        if not proposals:
            return {}
        chosen = proposals[0].architecture
        storage, key = study._storage, trial._trial_id  # noqa: SLF001  (how Optuna's own samplers leave notes)
        storage.set_trial_system_attr(key, _PROPOSED, {name: int(value) for name, value in chosen.items()})
        return grid.params(chosen)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A random value."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        """For parallel workers: the random parameters differ; the searcher tells workers apart by what is pending."""
        self._random.reseed_rng()

    def _trials(self, study: optuna.Study, grid: _Grid, *, skip: int) -> tuple[list[Trial], list[Architecture]]:
        """Finished trials in the searcher's terms, and what others are evaluating."""
        told, pending = [], []
        for entry in study.get_trials(deepcopy=False, states=_RELEVANT):
            if entry.number == skip:
                continue
            if entry.state == TrialState.RUNNING:
                proposed = entry.system_attrs.get(_PROPOSED)
                pending += [Architecture(proposed)] if proposed is not None and set(proposed) == set(grid.names) else []
            elif set(grid.names) <= set(entry.params):
                values = dict(zip(_names(study), entry.values or (), strict=False))
                failed = None if entry.state == TrialState.COMPLETE else entry.state.name.lower()
                told.append(
                    Trial(
                        number=entry.number,
                        architecture=grid.architecture(entry.params),
                        values={} if failed else values,
                        failed=failed,
                    )
                )
        return told, pending

    def _problem(self, study: optuna.Study, grid: _Grid, told: Sequence[Trial]) -> SearchProblem:
        directions = ["minimize" if entry.name == "MINIMIZE" else "maximize" for entry in study.directions]
        if self._reference is not None and len(self._reference) != len(directions):
            raise UsageError(f"expected {len(directions)} reference values, received {len(self._reference)}")
        if not set(self._known) <= set(range(len(directions))):
            raise UsageError(
                f"expected known objectives among 0 to {len(directions) - 1}, received {sorted(self._known)}"
            )
        objectives = tuple(
            Objective(
                name=name,
                unit="",
                direction="maximize" if direction == "maximize" else "minimize",
                known="tabulated" if position in self._known else "trained",
            )
            for position, (name, direction) in enumerate(zip(_names(study), directions, strict=True))
        )
        costs = np.array(
            [[goal.to_cost(trial.values[goal.name]) for goal in objectives] for trial in told if not trial.failed]
        ).reshape(-1, len(objectives))
        return SearchProblem(
            space=grid.space,
            objectives=objectives,
            reference=self._bound(objectives, costs[np.isfinite(costs).all(axis=1)]),
            feasible=lambda batch: np.array([self._allows(grid.params(one)) for one in batch], dtype=np.bool_),
            known=(lambda batch: self._exact(batch, grid, objectives)) if self._known else None,
        )

    def _allows(self, params: Params) -> bool:
        return self._feasible is None or bool(self._feasible(params))

    def _exact(
        self, batch: Sequence[Architecture], grid: _Grid, objectives: Sequence[Objective]
    ) -> NDArray[np.float64]:
        positions = sorted(self._known)
        rows = [
            [objectives[position].to_cost(float(self._known[position](params))) for position in positions]
            for params in map(grid.params, batch)
        ]
        return np.array(rows, dtype=np.float64).reshape(len(batch), len(positions))

    def _bound(self, objectives: Sequence[Objective], costs: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._reference is not None:
            return np.array([goal.to_cost(float(v)) for goal, v in zip(objectives, self._reference, strict=True)])
        if len(costs) == 0:
            return np.zeros(len(objectives))
        extent = np.ptp(costs, axis=0)
        return np.asarray(costs.max(axis=0) + _MARGIN * np.where(extent > 0, extent, 1.0))


def _names(study: optuna.Study) -> list[str]:
    return [f"objective_{position}" for position in range(len(study.directions))]


class _Grid:
    """Parameters of Optuna as choices: an option is the position of a value."""

    def __init__(self, distributions: Mapping[str, BaseDistribution], levels: int) -> None:
        self.names = tuple(sorted(distributions))
        self._values = {name: _options(distributions[name], levels) for name in self.names}
        self._distributions = distributions
        self.space = SearchSpace(
            "optuna",
            tuple(
                Choice(
                    name=name,
                    options=tuple(range(len(self._values[name]))),
                    ordinal=not isinstance(distributions[name], CategoricalDistribution),
                )
                for name in self.names
            ),
        )

    def params(self, architecture: Architecture) -> dict[str, Any]:
        """The parameters of an architecture."""
        return {name: self._values[name][int(position)] for name, position in architecture.items()}

    def architecture(self, params: Params) -> Architecture:
        """The architecture nearest to some parameters."""
        return Architecture({name: self._position(name, params[name]) for name in self.names})

    def _position(self, name: str, value: Any) -> int:
        distribution = self._distributions[name]
        if isinstance(distribution, CategoricalDistribution):
            return int(distribution.to_internal_repr(value))
        scale = math.log if getattr(distribution, "log", False) else float
        return int(np.argmin([abs(scale(option) - scale(value)) for option in self._values[name]]))


def _options(distribution: BaseDistribution, levels: int) -> list[Any]:
    """The values a parameter may take."""
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, IntDistribution):
        steps = range(distribution.low, distribution.high + 1, distribution.step)
        if len(steps) <= levels or not distribution.log:
            return list(steps)
        return sorted({round(value) for value in np.geomspace(distribution.low, distribution.high, levels)})
    if isinstance(distribution, FloatDistribution):
        low, high = distribution.low, distribution.high
        if distribution.step is not None:
            return [low + i * distribution.step for i in range(round((high - low) / distribution.step) + 1)]
        spaced = np.geomspace(low, high, levels) if distribution.log else np.linspace(low, high, levels)
        return [min(max(float(value), low), high) for value in spaced]
    raise UsageError(f"expected a categorical, integer or float parameter, received {type(distribution).__name__}")
