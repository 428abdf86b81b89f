"""LightNAS and DCA-NAS as searchers of a run: one policy is learned towards a limit, then its likeliest are the trials.

Of all architectures that keep to the limit, by costs that are known exactly, the most likely one is the first trial:
what ``hwnas.relaxed.fit_constrained`` gives. Further trials are the next most likely, each another network while there
are any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from torch import Tensor

from hwnas.core import Proposal, Searcher, UsageError
from hwnas.objectives import COSTS, Bound
from hwnas.relaxed import ConstrainedSettings, CostTensor, constrained_chances, likeliest_first, log_chances
from hwnas.study.policies import Asked, Learning, OneShot
from hwnas.training.devices import torch_threads

SETTINGS = ConstrainedSettings()
_DIGITS = 3  # of the logarithm of a chance, as trials record it


def _require_one_limit(asked: Asked) -> None:
    if [bound.sign for bound in asked.bounds] != [1]:
        each = ", ".join(f"--max-{target}" for target in COSTS)
        raise UsageError(
            f"algorithm dca-nas learns to stay under one limit: expected one of {each}, received {_told(asked.bounds)}"
        )


def _require_a_band(asked: Asked) -> None:
    sides = [bound.sign for bound in asked.bounds]
    if sides != [-1, 1] or len({bound.cost for bound in asked.bounds}) != 1:
        raise UsageError(
            "algorithm lightnas learns to hit one cost: expected --hit-latency, or a band of --min-latency and "
            f"--max-latency whose middle is to be hit, received {_told(asked.bounds)}. To stay under a limit, "
            "take --algorithm dca-nas"
        )


def _told(bounds: Sequence[Bound]) -> str:
    return " and ".join(map(str, bounds)) or "no limit"


def _searcher(learning: Learning, *, equality: bool) -> Searcher:
    """Proposes what keeps to the limit, the likeliest first."""
    run, bounds = learning.run, learning.run.settings.bounds
    costs = learning.costs([bounds[0].cost])
    with torch_threads(1):
        rules = replace(SETTINGS, equality=equality)
        cost = learning.tensor(costs[bounds[0].cost])
        kept = learning.kept(lambda: _learned(learning, cost, rules))
        logs = log_chances(cost.space, learning.networks, [kept[choice.name] for choice in cost.space.choices])
    within = np.flatnonzero(np.all([bound.kept(costs) for bound in bounds], axis=0))
    networks = [learning.networks[place] for place in within.tolist()]
    order = within[likeliest_first(cost.space, networks, logs[within])]
    designs = [
        Proposal(
            architecture=learning.networks[place],
            why={"inner": run.settings.algorithm, "place": nth, "log_chance": round(float(logs[place]), _DIGITS)},
        )
        for nth, place in enumerate(order, start=1)
    ]
    # all are predicted to keep to the limit; where a device can measure, each is judged by its own measurement alone
    return learning.in_order(designs, feasible=run.limits.feasible)


def _learned(learning: Learning, cost: CostTensor, rules: ConstrainedSettings) -> Mapping[str, Tensor]:
    """Logarithms of the chances of each choice's options, by the choice's name."""
    settings = learning.run.settings
    limit = float(np.mean([bound.value for bound in settings.bounds]))
    learning.on_progress(0, rules.steps)
    chances, _ = constrained_chances(
        learning.error, cost, limit=limit, seed=settings.seed, settings=rules, on_progress=learning.on_progress
    )
    return {choice.name: part for choice, part in zip(cost.space.choices, chances, strict=True)}


LIGHTNAS = OneShot(require=_require_a_band, searcher=partial(_searcher, equality=True))
"""A cost that is hit: the middle of a band."""

DCA_NAS = OneShot(require=_require_one_limit, searcher=partial(_searcher, equality=False))
"""A limit that is not exceeded."""
