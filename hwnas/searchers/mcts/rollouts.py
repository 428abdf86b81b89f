"""What a state leads to: random completions, judged by the Meta-DNN and by everything that is known exactly."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.searchers.history import History
from hwnas.searchers.mcts.meta_dnn import FEWEST, MetaDNN
from hwnas.searchers.mcts.states import Construction, State
from hwnas.searchers.scalarize import Merit
from hwnas.spaces import Encoding

ROLLOUTS = 10  # of AlphaX's code


@dataclass
class Outlook:
    """Predicted merits of architectures and of states.

    Only what has to be paid for is predicted: costs that are known exactly are used as they are, limits exclude what
    breaks them, and an architecture that was evaluated has the costs that were found.

    Attributes:
        history: Trials, with the problem.
        merit: The figure of merit.
        network: Predicts the costs that evaluations find; ``None`` where there are too few to learn from.
        found: Costs that evaluations of a network found, by its canonical id, shape ``(k,)`` each: transpositions,
            architectures that are the same network, share them.
        seed: Of the rollouts.
    """

    history: History
    merit: Merit
    network: MetaDNN | None
    found: Mapping[str, NDArray[np.float64]]
    seed: int
    _of_states: dict[State, float] = field(default_factory=dict)

    @classmethod
    def learned(cls, history: History, merit: Merit, *, trials: int, seed: int) -> Outlook:
        """Learns from the first trials.

        Args:
            history: All that is known.
            merit: The figure of merit.
            trials: How many are learned from.
            seed: Of the randomness.
        """
        problem = history.problem
        network = None
        if trials >= FEWEST:
            codes = Encoding(problem.space).encode([trial.architecture for trial in history.trials[:trials]])
            network = MetaDNN.fit(codes, history.costs[:trials][:, list(problem.paid)], seed=seed)
        found: dict[str, list[NDArray[np.float64]]] = {}
        for trial, costs in zip(history.trials[:trials], history.costs[:trials], strict=True):
            name = problem.space.canonical(trial.architecture).id
            found.setdefault(name, []).append(costs[list(problem.paid)])
        return cls(history, merit, network, {name: np.mean(rows, axis=0) for name, rows in found.items()}, seed)

    @property
    def trust(self) -> float:
        """Weight of a prediction against one evaluation, in [0, 1): by the inverse of their variances.

        An evaluation below a state scatters around the state's value with the variance of merits; a prediction adds its
        own error to that.
        """
        return 0.0 if self.network is None else float(1.0 / (1.0 + self.network.error.mean()))

    def of(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Predicted merits, shape ``(n,)``; only with a network."""
        problem = self.history.problem
        if self.network is None:
            raise ValueError("expected a network to predict with; there is none before 20 trials")
        costs = np.zeros((len(architectures), len(problem.objectives)))
        paid = self.network.predict(Encoding(problem.space).encode(architectures))  # (n, k)
        for row, architecture in zip(paid, architectures, strict=True):
            row[:] = self.found.get(problem.space.canonical(architecture).id, row)
        costs[:, list(problem.paid)] = paid
        if problem.known is not None and problem.cheap:
            costs[:, list(problem.cheap)] = problem.known(architectures)
        return self.merit.of(costs)

    def of_states(self, states: Sequence[State], construction: Construction) -> NDArray[np.float64]:
        """Mean predicted merit of feasible rollouts from each state, shape ``(s,)``; minus infinity where none is.

        The rollouts of a state are the same every time, so that it is judged once.
        """
        fresh = [state for state in states if state not in self._of_states]
        if not fresh:
            return np.array([self._of_states[state] for state in states])
        drawn = [self._drawn(state, construction) for state in fresh]
        flat = [architecture for some in drawn for architecture in some]
        values = np.full(len(flat), -np.inf)
        feasible = self.history.problem.feasible(flat)
        if feasible.any():
            values[feasible] = self.of([one for one, good in zip(flat, feasible, strict=True) if good])
        for state, some in zip(fresh, values.reshape(len(fresh), -1), strict=True):
            good = some[np.isfinite(some)]
            self._of_states[state] = float(good.mean()) if len(good) else -np.inf
        return np.array([self._of_states[state] for state in states])

    def _drawn(self, state: State, construction: Construction) -> list[Architecture]:
        digest = hashlib.sha256(json.dumps(state).encode()).digest()
        rng = np.random.default_rng([self.seed, 3, int.from_bytes(digest[:8], "big")])
        return [construction.rollout(state, rng) for _ in range(ROLLOUTS)]
