"""Accuracy learned from the trials so far: a guess that costs nothing, and says how unsure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray
from scipy.linalg import LinAlgError

from hwnas.core import Architecture, DataError, Trial, UsageError
from hwnas.networks import NetworkCosts, NetworkFamily
from hwnas.predictors.ranking import kendall
from hwnas.spaces import ArchitectureCodes
from hwnas.surrogates import Description, GaussianProcess, Learned, described, learn, posterior

Values = NDArray[np.float64]
Lessons = tuple[tuple[Architecture, float], ...]  # architectures, and the accuracies that training gave

FEWEST = 10  # trials; fewer teach nothing that could be told from luck
_FOLDS = 5
_LEAST = 1e-6  # deviation of an accuracy
_NODES = 16  # of the quadrature over what is normally distributed
_SIZES = ("params_m", "flops_m")  # known exactly, and much of what accuracy hangs on


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """How good predictions are, by cross-validation: each trial is predicted from the others' parts.

    Attributes:
        tau: Kendall's tau of predictions with accuracies; ``None`` where the predictions are all the same.
        tau_of_params: That of the parameters alone, which whatever costs more has to beat; ``None`` likewise.
        error: Root mean square of what predictions are off by.
        stretch: By how much deviations that the process states are too small for these errors; at least 1. What is
            predicted has them stretched.
        inside: Share of the accuracies within 1.96 such deviations; 0.95 for predictions that know themselves.
        trials: How many there were.
    """

    tau: float | None
    tau_of_params: float | None
    error: float
    stretch: float
    inside: float
    trials: int

    def told(self) -> str:
        """For people."""
        tau, params = ("none" if one is None else f"{one:.2f}" for one in (self.tau, self.tau_of_params))
        beaten = (self.tau or 0.0) > (self.tau_of_params or 0.0)
        doubt = (
            "" if beaten else ", so the number of parameters ranks as well: train the best, and believe nothing else"
        )
        return (
            f"Kendall's tau {tau} by cross-validation, error {self.error:.4f} (tau of the parameters alone: {params})"
            f"{doubt}"
        )


@dataclass(frozen=True, kw_only=True)
class PredictorEvaluator:
    """A Gaussian process on choices and exact sizes of networks, of which some were trained; see ``fit``.

    The surrogate is that of grey-box search. Beyond the accuracies it has seen it hardly goes: use it to choose what to
    train, and take the order of winners from training.

    Attributes:
        family: The networks.
        description: How they are seen.
        learned: Warp and hyperparameters.
        process: The posterior.
        judgement: How good it is.
    """

    family: NetworkFamily
    description: Description
    learned: Learned
    process: GaussianProcess
    judgement: Judgement

    @classmethod
    def fit(cls, trials: Sequence[Trial], *, family: NetworkFamily, seed: int = 0) -> PredictorEvaluator:
        """Learns from trials.

        Args:
            trials: Those that were evaluated to their end teach, the others do not; all by the same recipe.
            family: Their networks.
            seed: Of the parts of the cross-validation.

        Raises:
            UsageError: Fewer than 10 trials teach, all have the same accuracy, or an architecture is none of the space.
            DataError: The process cannot be fitted.
        """
        architectures, accuracies = require_teaching(trials)
        sizes = Sizes(family)
        description = Description(family.space, sizes)
        rows = _rows(description, family, architectures)
        try:
            judgement = _judged(description, rows, accuracies, sizes(architectures)[:, 0], seed=seed)
            learned, process = _fitted(description, rows, accuracies)
        except (LinAlgError, FloatingPointError) as error:
            raise DataError(f"nothing can be learned from these {len(architectures)} trials: {error}") from error
        return cls(family=family, description=description, learned=learned, process=process, judgement=judgement)

    def predict(self, architectures: Sequence[Architecture]) -> tuple[Values, Values]:
        """Mean and standard deviation of the accuracy that training would give, each of shape ``(n,)``.

        The deviation holds both what is not known of the network and the luck of a training, and is as large as the
        cross-validation found that it has to be.
        """
        if not architectures:
            return np.zeros(0), np.zeros(0)
        mean, deviation = _moments(self.learned, self.process, _rows(self.description, self.family, architectures))
        return mean, self.judgement.stretch * deviation

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        """``accuracy``, 0 to 1, and ``accuracy_deviation``, both as of ``predict``."""
        mean, deviation = self.predict([architecture])
        return {"accuracy": float(mean[0]), "accuracy_deviation": float(deviation[0])}


def require_teaching(trials: Sequence[Trial]) -> tuple[list[Architecture], Values]:
    """What trials teach: architectures, and the accuracies that they came to, shape ``(n,)``.

    Raises:
        UsageError: They are fewer than 10, or all accuracies are the same.
    """
    told = [(one.architecture, one.values["accuracy"]) for one in trials if one.complete]
    told = [(architecture, accuracy) for architecture, accuracy in told if np.isfinite(accuracy)]
    accuracies = np.array([accuracy for _, accuracy in told], dtype=np.float64)
    if len(told) < FEWEST:
        raise UsageError(
            f"expected at least {FEWEST} trials that were trained to their end, received {len(told)}: a prediction "
            "from fewer is luck. Train more"
        )
    if np.ptp(accuracies) == 0:
        raise UsageError(
            f"all {len(told)} trials have the accuracy {accuracies[0]:g}, so there is nothing to learn: train longer, "
            "or on data that tell networks apart"
        )
    return [architecture for architecture, _ in told], accuracies


@dataclass(frozen=True)
class Sizes:
    """Parameters and operations of networks, in millions, shape ``(n, 2)``.

    Attributes:
        family: The networks.
    """

    family: NetworkFamily

    def __call__(self, architectures: Sequence[Architecture]) -> Values:
        """Those of some architectures."""
        codes = ArchitectureCodes(self.family.space).encode(architectures)
        values = NetworkCosts(self.family).values(codes)
        return np.column_stack([values[name] for name in _SIZES])


def _rows(description: Description, family: NetworkFamily, architectures: Sequence[Architecture]) -> Values:
    fixed = description.fixed(described(family.space, architectures))
    return description.rows(fixed, description.exact(architectures))


def _fitted(description: Description, rows: Values, accuracies: Values) -> tuple[Learned, GaussianProcess]:
    """Learned of the errors, which are minimised: the warp is finest where they are smallest."""
    errors = 1 - accuracies
    learned = learn(description.kernel, rows, errors)
    return learned, posterior(description.kernel, learned, rows, errors)


def _moments(learned: Learned, process: GaussianProcess, rows: Values) -> tuple[Values, Values]:
    """Mean and deviation of accuracies, by Gauss-Hermite quadrature through the warp."""
    means, variances = process.predict(rows)
    nodes, weights = hermegauss(_NODES)
    weights = weights / weights.sum()
    spread = np.sqrt(variances + process.hyper.noise)
    errors = np.clip(learned.warp.backward(means[:, None] + spread[:, None] * nodes), 0.0, 1.0)  # (n, nodes)
    mean = errors @ weights
    variance = ((errors - mean[:, None]) ** 2) @ weights
    return np.asarray(1 - mean), np.sqrt(np.maximum(variance, 0.0))


def _judged(description: Description, rows: Values, accuracies: Values, params: Values, *, seed: int) -> Judgement:
    """Every trial predicted by what the others teach, hyperparameters and warp included."""
    order = np.random.default_rng(seed).permutation(len(rows))
    means, deviations = np.empty((2, len(rows)))
    for fold in range(_FOLDS):
        out = order[fold::_FOLDS]
        kept = np.setdiff1d(order, out)
        means[out], deviations[out] = _moments(*_fitted(description, rows[kept], accuracies[kept]), rows[out])
    off = means - accuracies
    stretch = max(1.0, float(np.sqrt(((off / np.maximum(deviations, _LEAST)) ** 2).mean())))
    return Judgement(
        tau=kendall(accuracies, means),
        tau_of_params=kendall(accuracies, params),
        error=float(np.sqrt((off**2).mean())),
        stretch=stretch,
        inside=float((np.abs(off) <= 1.96 * stretch * deviations).mean()),
        trials=len(rows),
    )
