"""MODNAS: one training, and then an architecture for any preference on any device, measured or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hwnas.core import Architecture, UsageError
from hwnas.relaxed.costs import RelaxedCost
from hwnas.relaxed.estimators import Estimator, choices_of
from hwnas.relaxed.min_norm import min_norm_weights
from hwnas.relaxed.policy import HyperPolicy
from hwnas.relaxed.preferences import drawn_preferences, required_preference
from hwnas.relaxed.required import require_above_0, require_at_least_0, require_space, required_description
from hwnas.relaxed.tables import CostTensor, architecture_at, option_counts

Array = NDArray[np.float64]

_LEAST_NORM = 1e-12
_NOTHING = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class DeviceTask:
    """A device to learn from.

    Attributes:
        name: Of the device.
        costs: What its networks cost there, each to be small: latency, energy.
        description: What tells it from others, shape ``(e,)``; see ``described_device``.
    """

    name: str
    costs: tuple[RelaxedCost, ...]
    description: Array


@dataclass(frozen=True, kw_only=True)
class ModnasSettings:
    """How the policy is trained.

    Attributes:
        steps: Updates.
        devices_per_step: Devices, drawn anew, whose gradients each update unites.
        preferences_per_device: Preferences, drawn anew, behind each of these gradients.
        learning_rate: Of Adam.
        entropy: Bonus for undecided choices at the beginning, falling to 0 in a line. Without it, a product of
            independent choices collapses to a handful of architectures.
        smoothness: Of the Chebyshev scalarisation, which a weighted sum is not: it reaches what is not convex, too.
        estimator: What the objectives are asked about: ``"expectation"`` the probabilities, exact where all are tables;
            ``"reinmax"`` and ``"gumbel"`` drawn architectures, whatever the objectives are.
    """

    steps: int = 3000
    devices_per_step: int = 4
    preferences_per_device: int = 8
    learning_rate: float = 2e-3
    entropy: float = 0.05
    smoothness: float = 0.03
    estimator: Estimator = "expectation"

    def __post_init__(self) -> None:
        """Refuses numbers that nothing could be learned with.

        Raises:
            UsageError: One is not above 0, or the bonus is below.
        """
        require_above_0(
            steps=self.steps,
            devices_per_step=self.devices_per_step,
            preferences_per_device=self.preferences_per_device,
            learning_rate=self.learning_rate,
            smoothness=self.smoothness,
        )
        require_at_least_0(entropy=self.entropy)


class Modnas:
    """A policy over architectures, conditioned on preference and device (Sukthanker et al., 2025, MODNAS).

    Expectations from whole tables are exact: no supernet, no learned latencies, no noise; ``LearnedLatency`` and
    ``SupernetError`` take their place by draws. Preferences are drawn uniformly; of each device the gradient of the
    scalarised objectives is taken, and the step is their shortest convex combination, which is worse for none of them.

    Departures from the official code: a network that is smooth in the preference instead of a table over one share,
    with an entropy bonus that falls to 0, for any number of objectives; a smooth Chebyshev scalarisation; some devices
    a step instead of all; preferences on the simplex in training and in use.

    Args:
        error: What is to be small on every device, such as the error in percent.
        tasks: The devices to learn from.
        seed: Of all randomness.
        settings: How to train.
        worth_having: Error above which an architecture does not count when costs are scaled to lie between 0 and 1;
            for a table of errors alone.

    Raises:
        UsageError: No device, devices of different spaces, descriptions or numbers of costs, or without any, a
            description that is not finite, no architecture is worth having, or expectations are asked of what is no
            table.
    """

    def __init__(
        self,
        error: RelaxedCost,
        tasks: Sequence[DeviceTask],
        *,
        seed: int,
        settings: ModnasSettings | None = None,
        worth_having: float | None = None,
    ) -> None:
        shapes = {(len(task.costs), task.description.shape) for task in tasks}
        if len(shapes) != 1 or len(next(iter(shapes))[1]) != 1 or not next(iter(shapes))[0]:
            raise UsageError(
                "expected devices with equally many costs, one at least, and descriptions of one length, received "
                f"{len(tasks)} with {sorted(map(str, shapes))}"
            )
        self.space, self.settings, self._tasks = error.space, settings or ModnasSettings(), list(tasks)
        for task in tasks:
            required_description(task.description, length=len(task.description))
            for cost in task.costs:
                require_space(cost.space, error.space, what=f"a cost on {task.name}")
        if self.settings.estimator == "expectation" and not all(
            cost.multilinear for cost in (error, *(cost for task in tasks for cost in task.costs))
        ):
            raise UsageError(
                "expectations are exact of tables alone: expected the estimator reinmax or gumbel for learned "
                "latencies and shared weights, received expectation"
            )
        kept = _worth_having(error, worth_having)
        self._error = error.scaled(kept)
        self._costs = [[cost.scaled(kept) for cost in task.costs] for task in tasks]
        self._descriptions = torch.as_tensor(np.array([task.description for task in tasks]), dtype=torch.float32)
        self._seed = seed
        self.objectives = 1 + len(tasks[0].costs)
        self.policy = HyperPolicy(
            option_counts(self.space),
            objectives=self.objectives,
            description=self._descriptions.shape[1],
            generator=torch.Generator().manual_seed(seed),
        )

    def fit(self, on_progress: Callable[[int, int], None] | None = None) -> None:
        """Trains the policy, from its first weights on.

        Args:
            on_progress: Called with the steps made and to make.
        """
        rules, rng = self.settings, np.random.default_rng(self._seed)
        draws = torch.Generator().manual_seed(self._seed)
        parameters = list(self.policy.parameters())
        optimizer = torch.optim.Adam(parameters, lr=rules.learning_rate, betas=(0.5, 0.999))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, rules.steps)
        several = min(rules.devices_per_step, len(self._tasks))
        for step in range(rules.steps):
            bonus = rules.entropy * (1 - step / rules.steps)
            devices = rng.choice(len(self._tasks), several, replace=False)
            gradients = torch.stack(
                [self._gradient(int(device), parameters, rng, draws, bonus=bonus) for device in devices]
            )
            weights = min_norm_weights((gradients @ gradients.T).numpy().astype(np.float64))
            united = torch.as_tensor(weights, dtype=torch.float32) @ gradients
            parts = torch.split(united, [one.numel() for one in parameters])
            for parameter, part in zip(parameters, parts, strict=True):
                parameter.grad = part.view_as(parameter)
            optimizer.step()
            schedule.step()
            if on_progress is not None:
                on_progress(step + 1, rules.steps)

    def propose(self, description: Array, preferences: Array) -> list[Architecture]:
        """The most likely architecture for each preference.

        Args:
            description: Of the device, shape ``(e,)``.
            preferences: Shares of the error and then of the costs, shape ``(n, objectives)``, or ``(objectives,)`` for
                one.

        Returns:
            ``n`` of them; neighbouring preferences may share one.

        Raises:
            UsageError: A preference is none, or the description has another length or is not finite.
        """
        wanted = np.atleast_2d(required_preference(preferences, objectives=self.objectives))
        known = required_description(description, length=self.policy.description)
        device = torch.as_tensor(known, dtype=torch.float32).expand(len(wanted), -1)
        with torch.no_grad():
            chances = self.policy(torch.as_tensor(wanted, dtype=torch.float32), device)
        places = torch.stack([part.argmax(1) for part in chances], dim=1)
        return [architecture_at(self.space, row) for row in places.tolist()]

    def _gradient(
        self,
        device: int,
        parameters: Sequence[Tensor],
        rng: np.random.Generator,
        draws: torch.Generator,
        *,
        bonus: float,
    ) -> Tensor:
        """Of one device's scalarised expectations, of unit length, flat."""
        rules = self.settings
        drawn = drawn_preferences(rules.preferences_per_device, objectives=self.objectives, rng=rng)
        preferences = torch.as_tensor(drawn, dtype=torch.float32)
        chances = self.policy(preferences, self._descriptions[device].expand(len(preferences), -1))
        asked = choices_of(chances, estimator=rules.estimator, generator=draws)
        means = torch.stack([cost(asked) for cost in (self._error, *self._costs[device])], dim=1)  # (b, objectives)
        worst = rules.smoothness * torch.logsumexp(preferences * means / rules.smoothness, dim=1)
        loss = worst.mean() - bonus * _undecided(chances)
        gradient: Tensor = torch.cat([part.flatten() for part in torch.autograd.grad(loss, parameters)])
        length: Tensor = gradient.norm().clamp_min(_LEAST_NORM)
        return gradient / length


def described_device(reference_costs: Array) -> Array:
    """What tells a device from others: how it orders and spaces a few reference networks.

    Args:
        reference_costs: Latencies of the same networks as everywhere, shape ``(e,)``; positive, not all alike.

    Returns:
        Their logarithms with mean 0 and deviation 1, shape ``(e,)``. What is below a twentieth of the middle one counts
        as that much: a network of constants, which some runtimes fold away.

    Raises:
        UsageError: Fewer than two, one that is not a positive number, or all are equal.
    """
    given = np.asarray(reference_costs, dtype=np.float64)
    if given.ndim != 1 or len(given) < 2 or not np.isfinite(given).all() or (given <= 0).any():
        raise UsageError(
            "expected the positive costs of two reference networks or more, in the order they were learned in, "
            f"received {np.array2string(given, precision=4, threshold=12)}"
        )
    logs = np.log(np.maximum(given, _NOTHING * np.median(given)))
    if np.ptp(logs) == 0:
        raise UsageError("expected reference networks that cost different amounts, received all the same")
    return np.asarray((logs - logs.mean()) / logs.std())


def _worth_having(error: RelaxedCost, most: float | None) -> Tensor | None:
    """Which architectures have no larger error, an axis a choice; ``None`` where all count."""
    if most is None:
        return None
    if not isinstance(error, CostTensor):
        raise UsageError("worth_having is for a table of errors: leave it out")
    kept = error.values <= most
    if not bool(kept.any()):
        raise UsageError(f"no architecture has an error of {most:g} or less: give a larger worth_having")
    return kept


def _undecided(chances: Sequence[Tensor]) -> Tensor:
    """Mean entropy of the choices, 1 where all options are as likely."""
    parts = [-(logs.exp() * logs).sum(1) / np.log(max(2, logs.shape[1])) for logs in chances]
    return torch.stack(parts).mean()
