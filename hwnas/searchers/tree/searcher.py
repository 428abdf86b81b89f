"""Search by partition: learn regions, select one, and let an inner searcher propose in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Proposal, Trial
from hwnas.searchers.history import History
from hwnas.searchers.initial import DEFAULT_INITIAL, InitialDesign
from hwnas.searchers.inner import InnerSearcher, Request, leftovers
from hwnas.searchers.problem import SearchProblem
from hwnas.searchers.scalarize import Merit
from hwnas.searchers.tree.latent import Lesson, View
from hwnas.searchers.tree.partition import Branch, Node, PartitionTree, grow
from hwnas.searchers.tree.region import InRegion, Region
from hwnas.searchers.tree.samples import Codes, Samples
from hwnas.searchers.tree.settings import TreeSettings
from hwnas.searchers.tree.walk import walk_in_region

_PROBES = 500  # random architectures that tell a region's share of the space
_OFTEN = 200  # trials up to which the partition is learned anew for each


class PartitionSearcher:
    """Learns a partition from the trials, selects a region, and draws in it.

    The partition is a pure function of the trials and the seed, so nothing but the trials has to be kept. Up to 200
    trials it is learned anew for each; later whenever they have grown by one or two in a hundred, and what came since
    is put into the leaves. Where a region gives nothing new, a random walk inside it is tried, then its last decision
    is dropped, up to the whole space; both is said in the proposal's ``why``.

    Args:
        problem: What to solve.
        inner: Draws candidates; those outside the region are passed over.
        seed: Of the randomness.
        initial: Architectures before the first partition, spread over the known cost.
        settings: The free choices of the tree; by default the recipe's own.
    """

    recipe: ClassVar[TreeSettings] = TreeSettings()

    def __init__(
        self,
        problem: SearchProblem,
        inner: InnerSearcher,
        *,
        seed: int,
        initial: int = DEFAULT_INITIAL,
        settings: TreeSettings | None = None,
    ) -> None:
        self._problem = problem
        self._inner = inner
        self._seed = seed
        self._settings = settings or self.recipe
        self._initial = InitialDesign(problem, size=initial, seed=seed)
        self._history = History(problem)
        self.features = self._settings.features(problem.space)
        self._rows: dict[str, Codes] = {}  # by architecture: a function of it alone
        self._seen: View | None = None
        self._lesson: Lesson | None = None  # of the latest view, that nothing is learned twice
        self._grown: tuple[tuple[object, ...], Branch] | None = None

    @property
    def view(self) -> View:
        """The trials told as the partition sees them."""
        if self._seen is None:
            self._seen = self._viewed()
        return self._seen

    @property
    def codes(self) -> Codes:
        """Codes of the trials, shape ``(n, d)``."""
        return self.view.codes

    @property
    def probes(self) -> Codes:
        """Codes of random architectures, shape ``(500, d)``; the same for the same seed and trials."""
        return self.view.code(self._probed)

    def encode(self, architectures: Sequence[Architecture]) -> Codes:
        """Codes of architectures, shape ``(n, d)``."""
        return self.view.code(self.features.encode(architectures))

    def tell(self, trials: Sequence[Trial]) -> None:
        """Replaces what is known."""
        self._history.replace(trials)
        self._seen = None

    def ask(self, n: int, *, pending: Sequence[Architecture]) -> list[Proposal]:
        """Proposes up to ``n`` new architectures."""
        rng = self._history.rng(self._seed, pending)
        taken = self._history.taken(pending)
        start = self._initial.propose(n, taken)
        return start or self._from_partition(n, pending, rng, taken)

    def partition(self, pending: Sequence[Architecture] = ()) -> PartitionTree:
        """The partition that the trials told make."""
        codes, costs, grown = self.view.codes, self._costs, self._learned_from
        scores = self._scores
        return PartitionTree(
            codes,
            costs,
            self._problem.reference,
            merits=scores,
            pending=self.encode(pending),
            settings=self._settings,
            branch=self._branch(codes[:grown], costs[:grown], scores[:grown]),
        )

    def share(self, region: Region) -> float:
        """The share of the space that a region takes, estimated from random architectures."""
        return float(region.contains(self.probes).mean())

    @cached_property
    def _probed(self) -> Codes:
        rng = np.random.default_rng([self._seed, 1])
        return self.features.encode([self._problem.space.sample(rng) for _ in range(_PROBES)])

    @property
    def _vectors(self) -> Codes:
        """Vectors of the trials' architectures, shape ``(n, d)``."""
        known = [trial.architecture for trial in self._history.trials]
        fresh = [architecture for architecture in known if architecture.id not in self._rows]
        self._rows |= {one.id: row for one, row in zip(fresh, self.features.encode(fresh), strict=True)}
        rows = [self._rows[architecture.id] for architecture in known]
        return np.array(rows, dtype=np.float64).reshape(len(known), len(self.features.columns))

    @property
    def _costs(self) -> NDArray[np.float64]:
        return self._history.costs.reshape(-1, len(self._problem.objectives))

    @property
    def _learned_from(self) -> int:
        """How many of the trials the partition is learned from."""
        return grown_on(len(self._history.trials), refit=self._settings.refit)

    @property
    def _scores(self) -> NDArray[np.float64]:
        """How good each trial is as one number, shape ``(n,)``."""
        direction = np.random.default_rng([self._seed, 2, self._learned_from])  # the same until it is learned anew
        return Merit.along(self._costs, self._problem.reference, direction).of(self._costs)

    def _viewed(self) -> View:
        latent, grown = self._settings.latent, self._learned_from
        if latent is None or not grown:
            return View(codes=self._vectors, columns=self.features.columns, code=lambda vectors: vectors)
        rng = np.random.default_rng([self._seed, 3, grown])
        view = latent.view(
            self._history.trials, self._vectors, merits=self._scores, grown=grown, rng=rng, before=self._lesson
        )
        self._lesson = view.lesson
        return view

    def _branch(self, codes: Codes, costs: NDArray[np.float64], scores: NDArray[np.float64]) -> Branch:
        key = (codes.tobytes(), costs.tobytes(), scores.tobytes())
        if self._grown is None or self._grown[0] != key:
            self._grown = (key, grow(Samples(codes, costs, scores), self._settings))
        return self._grown[1]

    def _from_partition(
        self, n: int, pending: Sequence[Architecture], rng: np.random.Generator, taken: set[str]
    ) -> list[Proposal]:
        tree = self.partition(pending)
        proposals: list[Proposal] = []
        while len(proposals) < n:
            wanted = min(n - len(proposals), self._settings.draws or n)
            waiting = (*pending, *(proposal.architecture for proposal in proposals))
            found = self._in_region(wanted, tree, Request(
                history=self._history, accept=self._problem.feasible, taken=taken, pending=waiting, rng=rng
            ))  # fmt: skip
            if not found:
                break
            proposals += found
            tree.visit(self.encode([proposal.architecture for proposal in found]))
        return proposals

    def _in_region(self, n: int, tree: PartitionTree, request: Request) -> list[Proposal]:
        """Proposals from the region that is selected, or from larger ones around it."""
        view = self.view
        leaf, bound = tree.best_leaf()
        why = {"inner": self._inner.name, **self._why(tree, leaf, bound), **view.notes}
        proposals: list[Proposal] = []
        region, relaxed = leaf.region, 0
        while len(proposals) < n:
            inside = Request(
                history=request.history,
                accept=InRegion(region, self._problem, self.encode) if view.exact else self._problem.feasible,
                taken=request.taken,
                pending=(*request.pending, *(proposal.architecture for proposal in proposals)),
                rng=request.rng,
                inside=None if view.exact else np.flatnonzero(region.contains(view.codes)),
            )
            found = self._inner.propose(n - len(proposals), inside)
            proposals += _proposals(found, {**why, "relaxed": relaxed, **inside.notes})
            if not region.path:
                break
            walked = walk_in_region(n - len(proposals), inside)
            proposals += _proposals(walked, {**why, "inner": "walk", "relaxed": relaxed})
            region, relaxed = region.relax(), relaxed + 1
        missing = n - len(proposals)
        left = leftovers(missing, self._history, request.rng, taken=request.taken) if missing else []
        return proposals + _proposals(left, {**why, "inner": "leftovers", "relaxed": len(leaf.region.path)})

    def _why(self, tree: PartitionTree, leaf: Node, bound: float) -> Mapping[str, Any]:
        """How the region was selected: its figures, and those of every node on the way to it."""
        way: list[Node] = []
        node: Node | None = leaf
        while node is not None and node.parent is not None:
            way.insert(0, node)
            node = node.parent
        return {
            "region": leaf.region.sides,
            "bound": _rounded(bound),
            "value": _rounded(leaf.value),
            "bonus": _rounded(tree.bonus(leaf)),
            "visits": leaf.visits,
            "share": _rounded(self.share(leaf.region)),
            "path": [
                {
                    "side": "-" if step.region.path[-1].side else "+",
                    "value": _rounded(step.value),
                    "bonus": _rounded(tree.bonus(step)),
                    "visits": step.visits,
                }
                for step in way
            ],
        }


def grown_on(n: int, *, refit: int = 1) -> int:
    """How many of ``n`` trials the partition is learned from: all of few, of many a round number that is nearly all.

    Args:
        n: Trials.
        refit: A multiple of that, in any case.
    """
    step = 1 if n < _OFTEN else 2 ** int(np.log2(n / 64))
    return n - n % (step if refit == 1 else max(refit, step // refit * refit))


def _proposals(architectures: Sequence[Architecture], why: Mapping[str, Any]) -> list[Proposal]:
    return [Proposal(architecture=architecture, why=dict(why)) for architecture in architectures]


def _rounded(value: float) -> float:
    """Six significant digits: enough to compare, short enough to read."""
    return float(f"{value:.6g}")
