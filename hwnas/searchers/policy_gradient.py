"""TND-NAS: a distribution over architectures that follows the policy gradient, in a space that shrinks meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from hwnas.core import Architecture, Value
from hwnas.searchers.history import History
from hwnas.searchers.inner import Request, take
from hwnas.searchers.scalarize import Merit
from hwnas.spaces import Choice, SearchSpace

Array = NDArray[np.float64]

_FEWEST = 2  # options of a choice that are never dropped: a choice with one left could not be learned any more


@dataclass(frozen=True, kw_only=True)
class PolicySettings:
    """How the policy follows the trials.

    Attributes:
        group: Trials of one update.
        window: Latest trials that those are ranked among: ranks among all would praise whatever the policy, by then
            better than in the beginning, happens to draw.
        rate: Length of an update.
        explore: Share of architectures drawn uniformly, from the space as it is by then.
        stage: Trials after which every choice loses its least likely option; 0 for never.
        tried: Trials of an option before it can be dropped.
        room: Architectures that have to be left for each trial so far: a space that is seen through teaches no more.
    """

    group: int = 5
    window: int = 100
    rate: float = 0.6
    explore: float = 0.1
    stage: int = 100
    tried: int = 3
    room: int = 10


class PolicyGradientInner:
    """Draws architectures from independent distributions over the options of each choice.

    TND-NAS (Lyu and Wen, 2021, https://arxiv.org/abs/2111.03892).

    No controller network: the logits themselves are learned, with the gradient of the expected reward estimated from
    trials (REINFORCE), and in stages the options that have become least likely are dropped. In place of weights shared
    between networks stands whatever evaluates the trials. It is replayed from them, so it goes on as it would have.

    Departures: rewards are ranks among the latest trials, less their mean, since raw accuracies make steps of any
    length; limits are exact, so a reward that trades accuracy for a target is needed for neither limit nor target; with
    several objectives the reward is the scalarisation of ``Merit``, along a direction drawn anew for each update; an
    option is dropped only after some trials of it.

    Args:
        settings: How to learn.
    """

    name = "tnd-nas"

    def __init__(self, *, settings: PolicySettings | None = None) -> None:
        self._settings = settings or PolicySettings()

    def propose(self, n: int, request: Request) -> list[Architecture]:
        """Architectures drawn from the policy."""
        policy = learned_policy(request.history, self._settings)
        request.notes["options_left"] = sum(int(left.sum()) for left in policy.left.values())
        return take(n, self._drawn(policy, request.rng), request.accept, taken=request.taken)

    def _drawn(self, policy: Policy, rng: np.random.Generator) -> Iterator[Architecture]:
        space = policy.shrunken()
        while True:
            yield space.sample(rng) if rng.random() < self._settings.explore else policy.sample(rng)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Independent distributions over the options of each choice.

    Attributes:
        space: The whole space.
        logits: By choice, of its options; continuous choices have none and stay uniform.
        left: By choice, which of its options have not been dropped.
    """

    space: SearchSpace
    logits: dict[str, Array]
    left: dict[str, NDArray[np.bool_]]

    @classmethod
    def uniform(cls, space: SearchSpace) -> Policy:
        """All options as likely, none dropped."""
        sizes = {choice.name: len(choice.options) for choice in space.choices if isinstance(choice, Choice)}
        logits = {name: np.zeros(size) for name, size in sizes.items()}
        return cls(space=space, logits=logits, left={name: np.ones(size, bool) for name, size in sizes.items()})

    def chances(self, name: str) -> Array:
        """Of the options of a choice, 0 for those that were dropped."""
        logits, left = self.logits[name], self.left[name]
        weights = np.where(left, np.exp(logits - logits[left].max()), 0.0)
        return np.asarray(weights / weights.sum())

    def sample(self, rng: np.random.Generator) -> Architecture:
        """An architecture, choice by choice."""
        values: dict[str, Value] = {}
        for choice in self.space.choices:
            if not self.space.is_active(choice, values):
                continue
            if isinstance(choice, Choice):
                values[choice.name] = choice.options[rng.choice(len(choice.options), p=self.chances(choice.name))]
            else:
                values[choice.name] = choice.drawn(rng)
        return Architecture(values)

    def shrunken(self) -> SearchSpace:
        """The space without what was dropped."""
        finite = [choice for choice in self.space.choices if isinstance(choice, Choice)]
        return self.space.restrict(
            {
                choice.name: [choice.options[place] for place in np.flatnonzero(self.left[choice.name])]
                for choice in finite
            }
        )


def learned_policy(history: History, settings: PolicySettings) -> Policy:
    """The policy that the trials lead to, group by group and stage by stage.

    Args:
        history: The trials.
        settings: How to learn.
    """
    policy, trials = Policy.uniform(history.problem.space), history.trials
    for end in range(settings.group, len(trials) + 1, settings.group):
        group = [trial.architecture for trial in trials[end - settings.group : end]]
        # A direction of its own for each group, the same one in every replay.
        merit = Merit.along(history.costs[:end], history.problem.reference, np.random.default_rng(end))
        ranks = rankdata(merit.of(history.costs[max(0, end - settings.window) : end]))
        _follow(policy, group, (2 * ranks[-settings.group :] - 1) / len(ranks) - 1, rate=settings.rate)
        if settings.stage and end // settings.stage > (end - settings.group) // settings.stage:
            narrower = _shrunk(policy, [trial.architecture for trial in trials[:end]], tried=settings.tried)
            if narrower.shrunken().size >= settings.room * end:
                policy = narrower
    return policy


def _follow(policy: Policy, group: Sequence[Architecture], gains: Array, *, rate: float) -> None:
    """One step along the gradient of the expected gain (Williams, 1992, REINFORCE)."""
    for choice in policy.space.choices:
        if not isinstance(choice, Choice):
            continue
        chances, step = policy.chances(choice.name), np.zeros(len(choice.options))
        for one, gain in zip(group, gains, strict=True):
            if choice.name in one:
                step -= gain * chances
                step[choice.positions[one[choice.name]]] += gain
        policy.logits[choice.name] += rate * step / len(group)


def _shrunk(policy: Policy, seen: Sequence[Architecture], *, tried: int) -> Policy:
    """Without the least likely option of each choice that has been tried, while more than a few are left."""
    narrower = {name: left.copy() for name, left in policy.left.items()}
    for choice in policy.space.choices:
        if not isinstance(choice, Choice) or policy.left[choice.name].sum() <= _FEWEST:
            continue
        counts = Counter(one[choice.name] for one in seen if choice.name in one)
        known = np.array([counts[option] >= tried for option in choice.options]) & policy.left[choice.name]
        if known.any():
            least = int(np.argmin(np.where(known, policy.chances(choice.name), np.inf)))
            narrower[choice.name][least] = False
    return replace(policy, left=narrower)
