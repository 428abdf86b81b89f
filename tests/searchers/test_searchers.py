"""What every searcher must hold to, whatever it is called; and how searchers are named."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import pytest

from hwnas.core import Architecture, Proposal, Searcher, Trial, UsageError
from hwnas.searchers import ALGORITHMS, INNERS, SearchProblem, make_searcher, require_inner
from hwnas.searchers.bayes import BayesSettings, QehviInner, QnehviInner
from hwnas.searchers.bayes.candidates import LookSettings
from hwnas.searchers.inner import InnerSearcher, MutationInner
from hwnas.searchers.mcts import AlphaX
from hwnas.searchers.tree import FAITHFUL_LAMOO, LaMOO
from hwnas.spaces import mobilenet_space
from hwnas.testing import InnerConformance, SearcherConformance
from tests.searchers.problems import made_up_problem

COMPOSED = [name for name, entry in ALGORITHMS.items() if entry.inner or name not in INNERS]


def available(names: Sequence[str]) -> list[str]:
    """Those whose module is here; what an optional package is needed for may be absent."""
    return [name for name in names if importlib.util.find_spec(INNERS[name].module)]  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """What searchers must hold to does not depend on how many draws an expectation is taken over, or candidates are
    looked at; the smaller spaces are looked at whole.
    """
    few = BayesSettings(samples=16, iterations=15, look=LookSettings(enumerable=1000, raw=128, climbers=4))
    monkeypatch.setitem(INNERS, "qehvi", lambda: QehviInner(few))  # type: ignore[call-overload]
    monkeypatch.setitem(INNERS, "qnehvi", lambda: QnehviInner(few))  # type: ignore[call-overload]


class TestComposed(SearcherConformance):
    @pytest.fixture(autouse=True, params=COMPOSED)
    def _named(self, request: pytest.FixtureRequest) -> None:
        self.name = request.param

    def make_searcher(self, problem: SearchProblem, seed: int) -> Searcher:
        return make_searcher(self.name, problem, seed=seed)


class TestAlone(TestComposed):
    @pytest.fixture(autouse=True, params=available(list(INNERS)))
    def _named(self, request: pytest.FixtureRequest) -> None:
        self.name = request.param


class TestInner(InnerConformance):
    @pytest.fixture(autouse=True, params=available(list(INNERS)))
    def _named(self, request: pytest.FixtureRequest) -> None:
        self.name = request.param

    def make_inner(self) -> InnerSearcher:
        return INNERS[self.name]()


@pytest.mark.parametrize(
    "variant",
    [
        lambda problem, seed: LaMOO(problem, MutationInner(), seed=seed, settings=FAITHFUL_LAMOO),
        lambda problem, seed: AlphaX(problem, seed=seed, meta_dnn=False),
    ],
)
def test_variants_hold_to_it_too(variant: Callable[[SearchProblem, int], Searcher]) -> None:
    class Suite(SearcherConformance):
        def make_searcher(self, problem: SearchProblem, seed: int) -> Searcher:
            return variant(problem, seed)

    Suite().test_a_new_searcher_goes_on_the_same_way()
    Suite().test_batches_are_legal_feasible_and_never_repeated()
    Suite().test_pending_architectures_are_not_proposed_again()


class Forgetful:
    """FAKE: proposes the same ones for ever."""

    seed: ClassVar[int] = 0

    def __init__(self, problem: SearchProblem) -> None:
        self._problem = problem

    def tell(self, trials: Sequence[Trial]) -> None:
        """Takes no notice."""

    def ask(self, n: int, *, pending: Sequence[Architecture]) -> list[Proposal]:
        rng = np.random.default_rng(self.seed)
        return [Proposal(architecture=self._problem.space.sample(rng)) for _ in range(n)]


class Counting(Forgetful):
    """FAKE: what it proposes depends on how often it was asked."""

    def ask(self, n: int, *, pending: Sequence[Architecture]) -> list[Proposal]:
        type(self).seed += 1
        return super().ask(n, pending=pending)


@pytest.mark.parametrize(
    ("fake", "test", "complaint"),
    [
        (Forgetful, "test_proposals_are_legal_feasible_and_never_repeated", "proposed twice"),
        (Forgetful, "test_pending_architectures_are_not_proposed_again", "pending architecture was proposed again"),
        (Forgetful, "test_the_seed_decides", "another seed must give other"),
        (Counting, "test_a_new_searcher_goes_on_the_same_way", "depend on the trials told and the seed alone"),
    ],
)
def test_the_suite_finds_what_is_wrong(fake: type[Forgetful], test: str, complaint: str) -> None:
    class Suite(SearcherConformance):
        def make_searcher(self, problem: SearchProblem, seed: int) -> Searcher:
            return fake(problem)

    with pytest.raises(AssertionError, match=complaint):
        getattr(Suite(), test)()


def test_the_suites_say_what_is_missing() -> None:
    with pytest.raises(NotImplementedError, match="make_searcher"):
        SearcherConformance().test_it_keeps_to_the_contract()
    with pytest.raises(NotImplementedError, match="make_inner"):
        InnerConformance().test_none_asked_none_given()


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_an_unknown_algorithm_is_refused_with_the_known_names(name: str) -> None:
    with pytest.raises(UsageError, match=f"expected one of .*{name}"):
        make_searcher(f"{name}o", made_up_problem(mobilenet_space("tiny")), seed=0)


@pytest.mark.parametrize("algorithm", ["alphax", "mcts", "random", "mutation"])
def test_an_inner_searcher_that_cannot_be_used_is_refused_with_the_reason(algorithm: str) -> None:
    with pytest.raises(UsageError, match=f"{algorithm} takes no inner searcher, received 'random': .*lamoo"):
        require_inner(algorithm, "random")


def test_inner_searchers_are_resolved_by_name() -> None:
    assert require_inner("lamoo", None) == "grey-ehvi"
    assert require_inner("lanas", None) == "random"
    assert require_inner("lamoo", "random") == "random"
    assert require_inner("alphax", None) is None
    with pytest.raises(UsageError, match=r"unknown inner searcher 'mutatoin'.*Did you mean 'mutation'"):
        require_inner("lamoo", "mutatoin")


def test_any_inner_searcher_draws_in_any_partition() -> None:
    problem = made_up_problem(mobilenet_space("tiny"))
    for algorithm in ("lamoo", "la-mcts", "lanas"):
        for inner in available(["random", "mutation"]):
            searcher = make_searcher(algorithm, problem, seed=0, inner=inner, initial=0)
            assert [proposal.why["inner"] for proposal in searcher.ask(2, pending=[])] == [inner, inner]
