"""AlphaX: Monte Carlo tree search over construction actions, with a Meta-DNN that judges rollouts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Proposal, Trial
from hwnas.searchers.history import History
from hwnas.searchers.initial import DEFAULT_INITIAL, InitialDesign
from hwnas.searchers.inner import leftovers
from hwnas.searchers.mcts.rollouts import ROLLOUTS, Outlook
from hwnas.searchers.mcts.state_tree import StateTree, Step
from hwnas.searchers.mcts.states import ROOT, Construction, State
from hwnas.searchers.problem import SearchProblem
from hwnas.searchers.scalarize import Merit

_DESCENTS = 48  # without a result, before the rest of the space is looked through
_TINY = 1e-12
_TRAINED_ANEW = 10  # trials between two trainings of the network, while there are few


class AlphaX:
    """Tree search over the construction of architectures, with learned rollouts.

    AlphaX (Wang et al., Neural architecture exploration using deep neural networks and Monte Carlo tree search, AAAI
    2020).

    A state is a partly decided architecture, an action decides its next choice. From the root, the action with the
    largest ``v + 2 Cp sqrt(2 ln N / n)`` is followed to a state that is new; ten random rollouts complete it, and that
    which the Meta-DNN predicts to be best is proposed. A state is worth the mean merit of the trials that went
    through it and of ten predicted rollouts. All of it is replayed from the trials told.

    Several objectives: the Meta-DNN predicts what has to be paid for, known costs are exact, rollouts that break a
    limit are dropped, and the merit is the hypervolume scalarisation along a direction drawn anew whenever the network
    is trained (see ``Merit``).

    Departures from the official code: no action undoes another; true and predicted values are weighed by their
    variances instead of equally; rollouts compete by prediction instead of being uniform, which mostly builds what is
    most frequent; ``Cp`` is a tenth of the extent of the merits instead of 2; no architecture is proposed twice.

    Args:
        problem: What to solve.
        seed: Of the randomness.
        initial: Architectures before the tree is followed, spread over the known cost.
        exploration: ``Cp`` as a share of the extent of the merits.
        meta_dnn: Whether rollouts are predicted; without, this is plain UCT.
    """

    def __init__(
        self,
        problem: SearchProblem,
        *,
        seed: int,
        initial: int = DEFAULT_INITIAL,
        exploration: float = 0.1,
        meta_dnn: bool = True,
    ) -> None:
        self._problem = problem
        self._seed = seed
        self._initial = InitialDesign(problem, size=initial, seed=seed)
        self._exploration = exploration
        self._meta_dnn = meta_dnn
        self._history = History(problem)
        self._construction = Construction(problem.space)
        self._finished: dict[str, State] = {}  # by architecture: a function of it alone
        self._learned: tuple[tuple[object, ...], Outlook] | None = None

    def tell(self, trials: Sequence[Trial]) -> None:
        """Replaces what is known."""
        self._history.replace(trials)

    def ask(self, n: int, *, pending: Sequence[Architecture]) -> list[Proposal]:
        """Proposes up to ``n`` new architectures."""
        rng = self._history.rng(self._seed, pending)
        taken = self._history.taken(pending)
        start = self._initial.propose(n, taken)
        if start:
            return start
        tree, outlook = self._tree(pending), self._outlook()
        values = outlook.merit.of(self._history.costs)
        proposals: list[Proposal] = []
        for _ in range(n + _DESCENTS):
            if len(proposals) == n or tree.root in tree.barren:
                break
            proposals += self._descend(tree, outlook, values, taken=taken, rng=rng)
        missing = n - len(proposals)
        left = leftovers(missing, self._history, rng, taken=taken) if missing else []
        return proposals + [Proposal(architecture=one, why={"inner": "leftovers"}) for one in left]

    def _descend(
        self,
        tree: StateTree,
        outlook: Outlook,
        values: NDArray[np.float64],
        *,
        taken: set[str],
        rng: np.random.Generator,
    ) -> list[Proposal]:
        """One proposal from one way down, or none."""
        way, state = list[Step](), tree.root
        while state in tree.nodes and self._construction.open_choice(state) is not None:
            way.append(self._step(tree, outlook, values, state=state, rng=rng))
            state = way[-1].chosen
        drawn = {one.id: one for one in (self._construction.rollout(state, rng) for _ in range(ROLLOUTS))}
        fresh = [one for one in drawn.values() if one.id not in taken]
        fresh = [one for one, good in zip(fresh, self._problem.feasible(fresh), strict=True) if good] if fresh else []
        states = [tree.root, *(step.chosen for step in way)]
        if not fresh:
            tree.add_visit(states)
            tree.close(way, state)
            return []
        merits = outlook.of(fresh) if outlook.network is not None else None
        best = fresh[0 if merits is None else int(np.argmax(merits))]
        taken.add(best.id)
        tree.add_visit(self._way(best))
        return [Proposal(architecture=best, why=_why(way, len(fresh), None if merits is None else float(merits.max())))]

    def _step(
        self,
        tree: StateTree,
        outlook: Outlook,
        values: NDArray[np.float64],
        *,
        state: State,
        rng: np.random.Generator,
    ) -> Step:
        """The action with the largest bound."""
        choice = self._construction.open_choice(state)
        if choice is None:
            raise ValueError(f"expected a state with an open choice, received {state}")
        children = tuple(self._construction.after(state, option) for option in choice.options)
        worths = self._worths(tree, outlook, values, children=children, parent=state)
        visits = np.array([tree.nodes[child].visits if child in tree.nodes else 0 for child in children])
        constant = self._exploration * (float(np.ptp(values)) if len(values) else 0.0)
        seen = visits + (outlook.network is not None)  # predicted rollouts count as one visit
        bonuses = 2 * constant * np.sqrt(2 * math.log(max(int(seen.sum()), 1)) / np.maximum(seen, 1))
        bounds = worths + bonuses
        bounds[[child in tree.barren for child in children]] = -np.inf
        order = rng.permutation(len(children))  # equal bounds: any of them
        chosen = int(order[np.argmax(bounds[order])])
        return Step(
            parent=state,
            children=children,
            chosen=children[chosen],
            choice=choice,
            value=float(worths[chosen]),
            bonus=float(bonuses[chosen]),
            visits=int(visits[chosen]),
        )

    def _worths(
        self,
        tree: StateTree,
        outlook: Outlook,
        values: NDArray[np.float64],
        *,
        children: Sequence[State],
        parent: State,
    ) -> NDArray[np.float64]:
        """Mean merit of trials and predicted rollouts below each child; infinite where there is neither."""
        nodes = [tree.nodes.get(child) for child in children]
        counts = np.array([len(node.members) if node else 0 for node in nodes], dtype=np.float64)
        sums = np.array([values[node.members].sum() if node else 0.0 for node in nodes])
        if outlook.network is None:
            mean = float(values[tree.nodes[parent].members].mean()) if tree.nodes[parent].members else 0.0
            waiting = np.array([mean if node and node.waiting else np.inf for node in nodes])
            return np.where(counts > 0, sums / np.maximum(counts, 1), waiting)
        predicted = outlook.of_states(children, self._construction)
        possible = np.isfinite(predicted)
        trust = np.where(possible, outlook.trust, 0.0)
        weighed = (sums + trust * np.where(possible, predicted, 0.0)) / np.maximum(counts + trust, _TINY)
        return np.where(counts + trust > 0, weighed, -np.inf)

    def _tree(self, pending: Sequence[Architecture]) -> StateTree:
        tree = StateTree(self._construction.settled(ROOT))
        for index, trial in enumerate(self._history.trials):
            tree.add_trial(index, self._way(trial.architecture))
        for architecture in pending:
            tree.add_visit(self._way(architecture))
        return tree

    def _way(self, architecture: Architecture) -> Iterator[State]:
        if architecture.id not in self._finished:
            self._finished[architecture.id] = self._construction.finished(architecture)
        return self._construction.way_to(self._finished[architecture.id])

    def _outlook(self) -> Outlook:
        """The network and the merit, as of the last training."""
        n = len(self._history.trials)
        step = max(_TRAINED_ANEW, 2 ** int(math.log2(max(n, 1) / 16)) if n >= 16 else 1)
        trials = n - n % step
        costs = self._history.costs[:trials]
        key = (costs.tobytes(), tuple(trial.architecture.id for trial in self._history.trials[:trials]))
        if self._learned is None or self._learned[0] != key:
            direction = np.random.default_rng([self._seed, 2, trials])
            merit = Merit.along(costs, self._problem.reference, direction)
            used = trials if self._meta_dnn else 0
            self._learned = (key, Outlook.learned(self._history, merit, trials=used, seed=self._seed))
        return self._learned[1]


def _why(way: Sequence[Step], rollouts: int, predicted: float | None) -> dict[str, Any]:
    """How the proposal was come to: every decision with its figures, and what the rollouts promised."""
    share = math.prod(1 / len(step.children) for step in way)
    why: dict[str, Any] = {
        "inner": "rollout",
        "share": _rounded(share),
        "path": [
            {
                "choice": step.choice.name,
                "option": step.chosen[len(step.parent)],
                "value": _rounded(step.value),
                "bonus": _rounded(step.bonus),
                "visits": step.visits,
            }
            for step in way
        ],
        "rollouts": rollouts,
    }
    return why if predicted is None else {**why, "predicted": _rounded(predicted)}


def _rounded(value: float) -> float | None:
    """Six significant digits; ``None`` for what was never visited."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
