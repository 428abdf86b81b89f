"""All that is believed of a problem's expensive costs, and what a candidate is worth under it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.pareto import Boxes, non_dominated_boxes
from hwnas.searchers.greybox.candidates import Listing
from hwnas.searchers.greybox.improvement import Belief, expected_improvement
from hwnas.searchers.history import History
from hwnas.searchers.problem import SearchProblem
from hwnas.surrogates.description import Description, described
from hwnas.surrogates.kernels import Kernel, Matrix
from hwnas.surrogates.process import LEAST_VARIANCE, GaussianProcess
from hwnas.surrogates.surrogate import (
    MOST_LEARNED,
    MOST_TUNED,
    Learned,
    informative,
    learn,
    posterior,
    tuning_size,
)

_REMEMBERED = 8  # hyperparameters of so many earlier steps
_BOLDNESS = 2.0  # by which deviations are stretched for exploratory choices


@dataclass(frozen=True)
class Candidates:
    """Architectures with what is known of them.

    Attributes:
        rows: For the surrogates, shape ``(n, d)``.
        exact: Exact costs, shape ``(n, k)``.
    """

    rows: Matrix
    exact: Matrix

    def at(self, places: NDArray[np.intp]) -> Candidates:
        """Some of them."""
        return Candidates(self.rows[places], self.exact[places])


class Model:
    """One surrogate for each expensive objective, and the region that is not dominated.

    Architectures under evaluation are believed to turn out as the surrogates expect.

    Args:
        problem: What to solve.
        description: Of its architectures.
        surrogates: One for each of ``problem.paid``.
        costs: Finished evaluations, shape ``(n, m)``.
    """

    def __init__(
        self,
        problem: SearchProblem,
        description: Description,
        surrogates: Sequence[tuple[Learned, GaussianProcess]],
        costs: NDArray[np.float64],
    ) -> None:
        self._problem, self._description = problem, description
        self._surrogates = surrogates
        self._costs = costs

    @cached_property
    def boxes(self) -> Boxes:
        """The region that is not dominated."""
        return self._boxes(self._costs)

    def describe(self, architectures: Sequence[Architecture]) -> Candidates:
        """Candidates of architectures."""
        return self._candidates(described(self._problem.space, architectures), self._description.exact(architectures))

    def describe_some(self, everything: Listing, places: NDArray[np.intp]) -> Candidates:
        """Candidates of some architectures of a listing: costs of all at once are had sooner than those of most."""
        exact = self._description.exact(self._problem.space.listed)
        return self._candidates(everything.described[places], exact[places])

    def _candidates(self, known: Matrix, exact: Matrix) -> Candidates:
        return Candidates(self._description.rows(self._description.fixed(known), exact), exact)

    def beliefs(self, candidates: Candidates) -> list[Belief]:
        """What each surrogate expects of each candidate."""
        return [Belief(learned.warp, *process.predict(candidates.rows)) for learned, process in self._surrogates]

    def score(self, candidates: Candidates) -> NDArray[np.float64]:
        """Expected hypervolume improvement of each candidate, shape ``(n,)``."""
        return self._value(self.boxes, candidates, self.beliefs(candidates))

    def believe(self, candidates: Candidates) -> Model:
        """The model once candidates have turned out as expected."""
        if len(candidates.rows) == 0:
            return self
        beliefs = self.beliefs(candidates)
        sure = [
            (learned, process.extended(candidates.rows, belief.means))
            for (learned, process), belief in zip(self._surrogates, beliefs, strict=True)
        ]
        costs = np.concatenate([self._costs, self._expected(candidates, beliefs)])
        return Model(self._problem, self._description, sure, costs)

    def choose(self, n: int, candidates: Candidates, *, bold: int = 0) -> list[int]:
        """Positions of the ``n`` best candidates as one batch, the best first.

        The last ``bold`` of them are chosen as if every standard deviation were twice what the surrogates say: where
        they are sure and wrong, nothing else would find out. Each choice is believed to turn out as expected before the
        next is made: its mean then changes nothing else, and variances shrink by what it explains (kriging believer;
        Ginsbourger, Le Riche and Carraro, 2010, section 3.2).
        """
        beliefs = self.beliefs(candidates)
        explained = [process.covariance(candidates.rows) for _, process in self._surrogates]
        costs, chosen = self._costs, list[int]()
        n = min(n, len(candidates.rows))
        for place in range(n):
            held = beliefs if place < n - bold else [belief.widened(_BOLDNESS) for belief in beliefs]
            worth = self._value(self._boxes(costs), candidates, held)
            worth[chosen] = -1.0
            best = int(np.argmax(worth))
            chosen.append(best)
            costs = np.concatenate([costs, self._expected(candidates, beliefs)[[best]]])
            for i, (_, process) in enumerate(self._surrogates):
                told = max(explained[i][best, best], 0.0) + process.hyper.noise + LEAST_VARIANCE
                along = explained[i][:, best] / np.sqrt(told)
                explained[i] = explained[i] - np.outer(along, along)
                variances = np.maximum(beliefs[i].variances - along**2, LEAST_VARIANCE)
                beliefs[i] = Belief(beliefs[i].warp, beliefs[i].means, variances)
        return chosen

    def _boxes(self, costs: NDArray[np.float64]) -> Boxes:
        along = self._problem.paid[0] if self._problem.paid else 0
        return non_dominated_boxes(costs, self._problem.reference, along=along)

    def _value(self, boxes: Boxes, candidates: Candidates, beliefs: Sequence[Belief]) -> NDArray[np.float64]:
        paid, cheap = self._problem.paid, self._problem.cheap
        return expected_improvement(boxes, candidates.exact, beliefs, cheap=cheap, paid=paid)

    def _expected(self, candidates: Candidates, beliefs: Sequence[Belief]) -> NDArray[np.float64]:
        """Costs of candidates, those that are not exact at their median; shape ``(n, m)``."""
        costs = np.empty((len(candidates.rows), len(self._problem.objectives)))
        costs[:, self._problem.cheap] = candidates.exact
        for belief, j in zip(beliefs, self._problem.paid, strict=True):
            costs[:, j] = belief.warp.backward(belief.means)
        return costs


class Modeller:
    """Makes models of a history. It remembers hyperparameters only to save time: they are a function of the history.

    Args:
        problem: What to solve.
    """

    def __init__(self, problem: SearchProblem) -> None:
        self.problem = problem
        self.description = Description(problem.space, problem.known if problem.cheap else None)
        self._kernel: Kernel = self.description.kernel
        self._remembered: dict[bytes, Learned] = {}

    def model(self, history: History) -> Model:
        """The model that the finished trials make.

        Raises:
            FloatingPointError: A surrogate could not be fitted.
        """
        kept = informative(history.costs, MOST_LEARNED)
        rows = self._rows(history, kept)
        surrogates = []
        for j in self.problem.paid:
            learned = self._learned(history, j)
            surrogates.append((learned, posterior(self._kernel, learned, rows, history.costs[kept, j])))
        return Model(self.problem, self.description, surrogates, history.costs)

    def _learned(self, history: History, objective: int) -> Learned:
        costs = history.costs[: tuning_size(len(history.costs))]
        kept = informative(costs, MOST_TUNED)
        rows = self._rows(history, kept)
        values = np.ascontiguousarray(costs[kept, objective])
        key = hashlib.blake2b(rows.tobytes() + values.tobytes()).digest()
        if key not in self._remembered:
            self._remembered = dict(list(self._remembered.items())[-_REMEMBERED:])
            self._remembered[key] = learn(self._kernel, rows, values)
        return self._remembered[key]

    def _rows(self, history: History, kept: NDArray[np.intp]) -> Matrix:
        found = described(self.problem.space, [history.trials[int(i)].architecture for i in kept])
        exact = history.costs[kept][:, list(self.problem.cheap)]
        return self.description.rows(self.description.fixed(found), exact)
