"""What a searcher must do, as tests: subclass ``SearcherConformance`` in your own test suite and say how to make one.

``InnerConformance`` does the same for inner searchers. The problems they are run on, with made-up accuracies that cost
nothing, are there to be used in tests of one's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Objective, Proposal, Searcher, Trial
from hwnas.objectives import lowest
from hwnas.searchers import SearchProblem
from hwnas.searchers.history import History
from hwnas.searchers.inner import InnerSearcher, Request
from hwnas.spaces import Choice, Encoding, SearchSpace, mobilenet_space

ACCURACY = Objective(name="accuracy", unit="", direction="maximize", known="trained")
COST = Objective(name="cost", unit="ms", direction="minimize", known="tabulated")
SPACE = mobilenet_space("tiny")
CATEGORICAL = SearchSpace(
    "categorical", tuple(Choice(name=f"edge{i}", options=("none", "skip", "conv"), ordinal=False) for i in range(5))
)
_LIMIT = 7.5


def size_cost(space: SearchSpace) -> Callable[[Sequence[Architecture]], NDArray[np.float64]]:
    """A cost that grows with every ordinal choice."""
    encoding = Encoding(space)
    return lambda batch: encoding.encode(batch).sum(axis=1) if len(batch) else np.zeros(0)


def made_up_problem(space: SearchSpace, *, limit: float | None = None, known: bool = True) -> SearchProblem:
    """Accuracy against a cost.

    Args:
        space: Where.
        limit: Upper bound of the cost.
        known: Whether the cost is told before an evaluation.
    """
    cost = size_cost(space)
    return SearchProblem(
        space=space,
        objectives=(ACCURACY, COST),
        reference=np.array([0.0, 1.1 * Encoding(space).width]),
        feasible=lambda batch: cost(batch) <= (np.inf if limit is None else limit),
        known=(lambda batch: cost(batch)[:, None]) if known else None,
    )


def accuracy_of(space: SearchSpace, *, seed: int = 0) -> Callable[[Architecture], float]:
    """A smooth made-up accuracy: bigger is better with diminishing returns, and some choices matter more."""
    weights = np.random.default_rng(seed).gamma(1.0, size=Encoding(space).width)
    encoding = Encoding(space)

    def accuracy(architecture: Architecture) -> float:
        code = encoding.encode([architecture])[0]
        return float(1 - np.exp(-3 * (weights @ code) / weights.sum()))

    return accuracy


def evaluated(
    problem: SearchProblem, architectures: Sequence[Architecture], accuracy: Callable[[Architecture], float]
) -> list[Trial]:
    """Trials of a made-up problem, numbered from 0."""
    cost = size_cost(problem.space)(architectures)
    return [
        Trial(number=number, architecture=a, values={"accuracy": accuracy(a), "cost": float(c)})
        for number, (a, c) in enumerate(zip(architectures, cost, strict=True))
    ]


class SearcherConformance:
    """Tests that every searcher must pass.

    Attributes:
        steady: Evaluations that the tests of long runs make; a slow searcher may lower it.
    """

    steady = 24

    def make_searcher(self, problem: SearchProblem, seed: int) -> Searcher:
        """The searcher to be tested; give this one."""
        raise NotImplementedError(
            "say how to make the searcher: def make_searcher(self, problem, seed): return MySearcher(problem, seed)"
        )

    def test_it_keeps_to_the_contract(self) -> None:
        """It is a ``Searcher``; its proposals can be recorded as JSON, and it proposes without having been told."""
        searcher = self.make_searcher(made_up_problem(SPACE), 0)
        assert isinstance(searcher, Searcher), "it lacks `tell` or `ask`"
        proposals = searcher.ask(3, pending=[])
        assert len(proposals) == 3, f"asked for 3 at the start, received {len(proposals)}"
        for proposal in proposals:
            assert isinstance(proposal, Proposal), f"expected proposals, received {type(proposal).__name__}"
            json.dumps(dict(proposal.why), allow_nan=False)

    def test_proposals_are_legal_feasible_and_never_repeated(self) -> None:
        """Each is a point of the space, within the limit, and new."""
        trials = self._run(made_up_problem(SPACE, limit=_LIMIT), self.steady, batch=3)
        assert len(trials) == self.steady, f"{len(trials)} proposals of {self.steady}"
        _require_sound([trial.architecture for trial in trials], SPACE, limit=_LIMIT)

    def test_batches_are_legal_feasible_and_never_repeated(self) -> None:
        """The same in larger batches, on categorical choices, with the cost unknown."""
        problem, limit = made_up_problem(CATEGORICAL, limit=5.0, known=False), 5.0
        trials = self._run(problem, self.steady, batch=6)
        _require_sound([trial.architecture for trial in trials], CATEGORICAL, limit=limit)

    def test_the_seed_decides(self) -> None:
        """The same seed gives the same trace, another seed another."""
        problem = made_up_problem(SPACE)
        first, again, other = (_ids(self._run(problem, 14, seed=seed, batch=4)) for seed in (3, 3, 4))
        assert first == again, "the same seed must give the same proposals"
        assert first != other, "another seed must give other proposals"

    def test_a_new_searcher_goes_on_the_same_way(self) -> None:
        """After a crash, a new one that is told the same trials proposes the same."""
        problem = made_up_problem(SPACE)
        kept, resumed = self._run(problem, 28, batch=7), self._run(problem, 28, batch=7, fresh=True)
        assert _ids(kept) == _ids(resumed), "what is proposed must depend on the trials told and the seed alone"

    def test_the_order_of_telling_does_not_matter(self) -> None:
        """Results that arrive in another order are the same results."""
        problem = made_up_problem(SPACE)
        trials = self._some_trials(problem, self.steady)
        shuffled = [trials[i] for i in np.random.default_rng(0).permutation(len(trials))]
        answers = []
        for told in (trials, shuffled):
            searcher = self.make_searcher(problem, 0)
            searcher.tell(told)
            answers.append([proposal.architecture.id for proposal in searcher.ask(4, pending=[])])
        assert answers[0] == answers[1], "the order of `tell` must not matter: trials carry numbers"

    def test_pending_architectures_are_not_proposed_again(self) -> None:
        """Workers that ask while others work get something else, and the searcher keeps no score of its own asks."""
        problem = made_up_problem(SPACE)
        searcher = self.make_searcher(problem, 0)
        searcher.tell(self._some_trials(problem, self.steady))
        first = [proposal.architecture for proposal in searcher.ask(4, pending=[])]
        second = [proposal.architecture for proposal in searcher.ask(4, pending=first)]
        again = [proposal.architecture for proposal in searcher.ask(4, pending=[])]
        assert len({one.id for one in [*first, *second]}) == 8, "a pending architecture was proposed again"
        assert first == again, "an `ask` must leave no trace"

    def test_failed_and_meaningless_trials_do_not_stop_the_search(self) -> None:
        """Failed trials and values that are no finite number are not proposed again, and the search goes on."""
        problem = made_up_problem(SPACE)
        trials = self._some_trials(problem, 14)
        near = [SPACE.mutate(trial.architecture, np.random.default_rng(i)) for i, trial in enumerate(trials[:4])]
        bad = [
            Trial(number=14, architecture=near[0], failed="no"),
            Trial(number=15, architecture=near[1], values={"accuracy": float("nan"), "cost": 1.0}),
            Trial(number=16, architecture=near[2], values={"accuracy": float("inf"), "cost": 1.0}),
        ]
        searcher = self.make_searcher(problem, 0)
        searcher.tell([*trials, *bad])
        seen = {trial.architecture.id for trial in [*trials, *bad]}
        proposals = searcher.ask(4, pending=[])
        assert len(proposals) == 4, f"asked for 4, received {len(proposals)}"
        assert not seen & {proposal.architecture.id for proposal in proposals}, "proposed again"

    def test_only_failed_trials_still_lead_to_proposals(self) -> None:
        """Nothing but failures so far."""
        drawn = _different(SPACE, 12)
        searcher = self.make_searcher(made_up_problem(SPACE), 0)
        searcher.tell([Trial(number=i, architecture=one, failed="no") for i, one in enumerate(drawn)])
        assert len(searcher.ask(3, pending=[])) == 3

    def test_constant_objectives_do_not_break_the_search(self) -> None:
        """Values that are all equal teach nothing, and do no harm."""
        self._require_going_on([(0.5, 1.0)] * 30)

    def test_objectives_of_wildly_different_scale_do_not_break_the_search(self) -> None:
        """One objective in 1e12, another in 1e-9."""
        rng = np.random.default_rng(0)
        self._require_going_on([(1e12 * rng.random(), 1e-9 * rng.random()) for _ in range(30)])

    def test_a_small_space_is_searched_to_its_end(self) -> None:
        """A budget larger than the space: every feasible architecture is found, then nothing more is proposed."""
        choices = (Choice(name="a", options=(1, 2, 3, 4, 5)), Choice(name="b", options=(1, 2, 3, 4)))
        space = SearchSpace("small", choices)
        problem = made_up_problem(space, limit=1.5)
        feasible = sum(bool(problem.feasible([one])[0]) for one in space.enumerate())
        trials = self._run(problem, 100, batch=5)
        assert len(trials) == feasible, f"found {len(trials)} of {feasible} feasible architectures"

    def test_a_tight_limit_in_a_huge_space_still_gives_feasible_architectures(self) -> None:
        """Random draws hardly ever satisfy the limit."""
        space = mobilenet_space("small")
        cost = size_cost(space)
        limit = float(cost([lowest(space, cost)])[0]) + 1.0
        trials = self._run(made_up_problem(space, limit=limit), 12, batch=6)
        assert len(trials) == 12, f"{len(trials)} proposals of 12"
        _require_sound([trial.architecture for trial in trials], space, limit=limit)

    def test_a_space_of_one_architecture_gives_it_once(self) -> None:
        """And then nothing."""
        space = SearchSpace("one", (Choice(name="a", options=(1,)),))
        assert len(self._run(made_up_problem(space), 3)) == 1

    def _run(
        self, problem: SearchProblem, n: int, *, seed: int = 0, batch: int = 1, fresh: bool = False
    ) -> list[Trial]:
        """Up to ``n`` trials in batches; with ``fresh``, by a new searcher each time, as after a crash."""
        accuracy = accuracy_of(problem.space)
        searcher = self.make_searcher(problem, seed)
        tried: list[Architecture] = []
        while len(tried) < n:
            searcher = self.make_searcher(problem, seed) if fresh else searcher
            searcher.tell(evaluated(problem, tried, accuracy))
            proposals = searcher.ask(min(batch, n - len(tried)), pending=[])
            assert len(proposals) <= batch, f"asked for {batch}, received {len(proposals)}"
            if not proposals:
                break
            tried += [proposal.architecture for proposal in proposals]
        return evaluated(problem, tried, accuracy)

    @staticmethod
    def _some_trials(problem: SearchProblem, n: int) -> list[Trial]:
        return evaluated(problem, _different(problem.space, n), accuracy_of(problem.space))

    def _require_going_on(self, values: Sequence[tuple[float, float]]) -> None:
        searcher = self.make_searcher(made_up_problem(SPACE), 0)
        trials = [
            Trial(number=i, architecture=one, values={"accuracy": accuracy, "cost": cost})
            for i, (one, (accuracy, cost)) in enumerate(zip(_different(SPACE, len(values)), values, strict=True))
        ]
        searcher.tell(trials)
        assert len(searcher.ask(3, pending=[])) == 3, "the search came to a stop"


class InnerConformance:
    """Tests that every inner searcher must pass."""

    def make_inner(self) -> InnerSearcher:
        """The inner searcher to be tested; give this one."""
        raise NotImplementedError("say how to make the inner searcher: def make_inner(self): return MyInner()")

    def test_it_proposes_what_is_accepted_and_new(self) -> None:
        """Within the region, not taken, each once, and taken from then on."""
        request = self._request()
        before = set(request.taken)
        found = self.make_inner().propose(4, request)
        assert found, "nothing was found in a region of a good part of the space"
        assert len(found) <= 4, f"asked for 4, received {len(found)}"
        assert request.accept(found).all(), "proposed outside of the region"
        assert not before & {one.id for one in found}, "proposed what was taken"
        assert {one.id for one in found} <= request.taken, "what is proposed must be added to `taken`"
        assert len({one.id for one in found}) == len(found), "proposed twice"

    def test_what_it_proposes_is_a_function_of_the_request(self) -> None:
        """One instance asked twice and a new one say the same."""
        kept = self.make_inner()
        answers = [inner.propose(3, self._request()) for inner in (kept, kept, self.make_inner())]
        assert answers[0] == answers[1], "it keeps something between calls"
        assert answers[0] == answers[2], "a new one must say the same"

    def test_it_can_be_asked_before_anything_is_known(self) -> None:
        """Without a single trial."""
        assert self.make_inner().propose(2, self._request(trials=0)), "nothing was found"

    def test_a_region_without_anything_new_gives_nothing(self) -> None:
        """Where nothing is accepted, it ends and returns nothing."""
        request = self._request(nowhere=True)
        assert self.make_inner().propose(2, request) == []

    def test_none_asked_none_given(self) -> None:
        """``n`` of 0."""
        assert self.make_inner().propose(0, self._request()) == []

    @staticmethod
    def _request(*, trials: int = 16, nowhere: bool = False) -> Request:
        problem = made_up_problem(SPACE)
        history = History(problem)
        history.replace(SearcherConformance._some_trials(problem, trials))  # noqa: SLF001  (of this very module)
        cost = size_cost(SPACE)
        return Request(
            history=history,
            accept=lambda batch: cost(batch) <= (-1.0 if nowhere else _LIMIT),
            taken=set(history.seen),
            rng=np.random.default_rng(0),
        )


def _different(space: SearchSpace, n: int) -> list[Architecture]:
    """Random architectures, the same ones every time."""
    rng, found = np.random.default_rng(5), dict[str, Architecture]()
    while len(found) < n:
        drawn = space.sample(rng)
        found[drawn.id] = drawn
    return list(found.values())


def _ids(trials: Sequence[Trial]) -> list[str]:
    return [trial.architecture.id for trial in trials]


def _require_sound(architectures: Sequence[Architecture], space: SearchSpace, *, limit: float) -> None:
    assert len({one.id for one in architectures}) == len(architectures), "an architecture was proposed twice"
    for one in architectures:
        assert space.architecture(dict(one)) == one, f"not a point of the space: {one}"
    assert (size_cost(space)(architectures) <= limit).all(), "a limit was broken"
