"""One training for one limit: a cost that is hit (LightNAS), or one that is never exceeded (DCA-NAS)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hwnas.core import Architecture, InfeasibleError, UsageError
from hwnas.relaxed.required import require_above_0, require_at_least_0, require_space
from hwnas.relaxed.tables import CostTensor, architecture_at, expected, positions
from hwnas.spaces import SearchSpace


@dataclass(frozen=True, kw_only=True)
class ConstrainedSettings:
    """How a policy is trained towards a limit.

    Attributes:
        equality: Whether the cost is to be hit from both sides (LightNAS), or only not to be exceeded (DCA-NAS).
        tolerance: How far the cost may be from one that is to be hit, relative.
        steps: Updates.
        learning_rate: Of the policy.
        dual_rate: Of the multiplier, which rises while the limit is broken.
        hottest: Temperature of the choices at the beginning, falling to ``coldest``: expectations of hot choices are
            those of mixtures, and of cold ones those of single architectures.
        coldest: Temperature in the end.
    """

    equality: bool = True
    tolerance: float = 0.02
    steps: int = 1000
    learning_rate: float = 0.05
    dual_rate: float = 0.05
    hottest: float = 2.0
    coldest: float = 0.2

    def __post_init__(self) -> None:
        """Refuses numbers that nothing could be learned with.

        Raises:
            UsageError: One is not above 0, or the tolerance is below.
        """
        require_above_0(
            steps=self.steps,
            learning_rate=self.learning_rate,
            dual_rate=self.dual_rate,
            hottest=self.hottest,
            coldest=self.coldest,
        )
        require_at_least_0(tolerance=self.tolerance)


@dataclass(frozen=True, kw_only=True, eq=False)
class ConstrainedPolicy:
    """What such a training leaves.

    Attributes:
        architecture: The most likely one whose cost, known exactly, keeps to the limit.
        chances: Logarithms of the chances of each choice's options.
        multiplier: What a cost at the limit is worth in errors, in the end.
        likely_cost: Cost of the most likely architecture, whether it keeps to the limit or not.
    """

    architecture: Architecture
    chances: tuple[Tensor, ...]
    multiplier: float
    likely_cost: float


def fit_constrained(
    error: CostTensor, cost: CostTensor, *, limit: float, seed: int, settings: ConstrainedSettings | None = None
) -> ConstrainedPolicy:
    """The architecture of least error at a cost.

    The policy is that of ``constrained_chances``. In the end the cost of every architecture is known, so of those that
    keep to the limit the most likely is taken: it holds, whatever the training came to.

    Args:
        error: To be small.
        cost: Of the same space, positive.
        limit: Of the cost, in its unit.
        seed: Of the first policy.
        settings: How to train.

    Raises:
        UsageError: The tables are of different spaces, or the limit is not a positive number.
        InfeasibleError: No architecture costs as much, or as little.
    """
    rules = settings or ConstrainedSettings()
    _require_limit(error, cost, limit)
    keeps = (cost.values / limit - 1).abs() <= rules.tolerance if rules.equality else cost.values <= limit
    if not bool(keeps.any()):
        raise _nothing(cost, limit, rules)
    chances, multiplier = constrained_chances(error, cost, limit=limit, seed=seed, settings=rules)
    joint = _joint(chances)
    likeliest = torch.where(keeps, joint, -torch.inf).argmax()
    places = np.unravel_index(int(likeliest), error.values.shape)
    return ConstrainedPolicy(
        architecture=architecture_at(error.space, [int(place) for place in places]),
        chances=chances,
        multiplier=multiplier,
        likely_cost=float(cost.values.flatten()[joint.argmax()]),
    )


def constrained_chances(
    error: CostTensor,
    cost: CostTensor,
    *,
    limit: float,
    seed: int,
    settings: ConstrainedSettings,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[tuple[Tensor, ...], float]:
    """Trains a policy towards a limit, which its likely architectures come near and need not keep.

    The loss is the expected error plus ``multiplier * (expected cost / limit - 1)``; the policy descends, the
    multiplier ascends (LightNAS: Luo et al., 2022, https://arxiv.org/abs/2208.14446). For a limit that must not be
    exceeded the multiplier is never negative (DCA-NAS: Dutta et al., 2023, https://arxiv.org/abs/2307.04443).

    Args:
        error: To be small.
        cost: Of the same space, positive.
        limit: Of the cost, in its unit.
        seed: Of the first policy.
        settings: How to train; its tolerance plays no part.
        on_progress: Called with the steps made and to make.

    Returns:
        Logarithms of the chances of each choice's options, and the multiplier in the end.

    Raises:
        UsageError: The tables are of different spaces, or the limit is not a positive number.
    """
    _require_limit(error, cost, limit)
    scaled = _scaled(error.values)
    generator = torch.Generator().manual_seed(seed)
    logits = [(0.01 * torch.randn(options, generator=generator)).requires_grad_() for options in error.values.shape]
    optimizer = torch.optim.Adam(logits, lr=settings.learning_rate)
    multiplier = 0.0
    for step in range(settings.steps):
        heat = settings.hottest * (settings.coldest / settings.hottest) ** (step / max(1, settings.steps - 1))
        likely = [(part / heat).softmax(0).unsqueeze(0) for part in logits]
        over = expected(cost.values, likely)[0] / limit - 1
        loss = expected(scaled, likely)[0] + multiplier * over
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        multiplier += settings.dual_rate * float(over.detach())
        if not settings.equality:
            multiplier = max(0.0, multiplier)
        if on_progress is not None:
            on_progress(step + 1, settings.steps)
    return tuple((part.detach() / settings.coldest).log_softmax(0) for part in logits), multiplier


def log_chances(
    space: SearchSpace, architectures: Sequence[Architecture], chances: Sequence[Tensor]
) -> NDArray[np.float64]:
    """How likely architectures are where choices are independent.

    Args:
        space: Of independent choices.
        architectures: Of it.
        chances: Logarithms of the chances of each choice's options, shape ``(o_i,)``.

    Returns:
        Logarithms, shape ``(n,)``.
    """
    places = np.array([positions(space, one) for one in architectures], dtype=np.intp).reshape(-1, len(chances))
    return np.asarray(_joint(chances).numpy()[tuple(places.T)], dtype=np.float64)


def likeliest_first(
    space: SearchSpace, architectures: Sequence[Architecture], logs: NDArray[np.float64]
) -> NDArray[np.intp]:
    """The order in which architectures are worth trying: the likeliest first, and no network twice before all others.

    Architectures that are the same network (``SearchSpace.canonical``) are nearly as likely as each other, so that they
    would stand in a row: several trials of one network.

    Args:
        space: Theirs.
        architectures: Each once.
        logs: Logarithms of their chances, shape ``(n,)``.

    Returns:
        Their places, shape ``(n,)``: the likeliest of each network, and behind these what is the same as one of them.
    """
    firsts: list[int] = []
    others: list[int] = []
    seen: set[Architecture] = set()
    for place in np.argsort(-logs, kind="stable").tolist():
        network = space.canonical(architectures[place])
        (others if network in seen else firsts).append(place)
        seen.add(network)
    return np.array([*firsts, *others], dtype=np.intp)


def _require_limit(error: CostTensor, cost: CostTensor, limit: float) -> None:
    require_space(cost.space, error.space, what="a cost")
    if not np.isfinite(limit) or limit <= 0:
        raise UsageError(f"expected a positive limit, received {limit:g}")


def _scaled(errors: Tensor) -> Tensor:
    """From 0 for the best, in logarithms: what is hopeless must not rule the means of hot choices."""
    best, middle = errors.min(), errors.median()
    return torch.log1p((errors - best) / (middle - best).clamp_min(1e-12))


def _joint(chances: Sequence[Tensor]) -> Tensor:
    """Logarithm of each architecture's chance, an axis a choice."""
    joint = torch.zeros(())
    for part in chances:
        joint = joint.unsqueeze(-1) + part
    return joint


def _nothing(cost: CostTensor, limit: float, rules: ConstrainedSettings) -> InfeasibleError:
    low, high = float(cost.values.min()), float(cost.values.max())
    nearest = float(cost.values.flatten()[(cost.values - limit).abs().argmin()])
    wanted = f"within {rules.tolerance:.0%} of {limit:g}" if rules.equality else f"at most {limit:g}"
    return InfeasibleError(
        f"no architecture of {cost.space.name} costs {wanted}: they cost {low:g} to {high:g}, and the nearest "
        f"{nearest:g}. Give a limit that one of them keeps to",
        nearest={"cost": nearest if rules.equality else low},
    )
