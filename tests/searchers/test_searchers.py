"""What every searcher must hold to, whatever it is called."""

from __future__ import annotations

import numpy as np
import pytest

from hwnas.core import Searcher, Trial, UsageError
from hwnas.objectives import lowest
from hwnas.searchers import ALGORITHMS, SearchProblem, make_searcher
from hwnas.spaces import Choice, SearchSpace, mobilenet_space
from tests.searchers.problems import accuracy_of, evaluated, made_up_problem, size_cost

SPACE = mobilenet_space("tiny")
LIMIT = 7.5

pytestmark = pytest.mark.parametrize("name", sorted(ALGORITHMS))


def run(name: str, problem: SearchProblem, n: int, *, seed: int = 0, fresh: bool = False) -> list[Trial]:
    """``n`` trials one after another; with ``fresh``, by a new searcher each time, as after a crash."""
    accuracy = accuracy_of(problem.space)
    searcher: Searcher = make_searcher(name, problem, seed=seed)
    trials: list[Trial] = []
    while len(trials) < n:
        if fresh:
            searcher = make_searcher(name, problem, seed=seed)
        searcher.tell(trials)
        proposals = searcher.ask(1, pending=[])
        if not proposals:
            break
        trials = evaluated(problem, [*(t.architecture for t in trials), proposals[0].architecture], accuracy)
    return trials


def test_proposals_are_legal_feasible_and_never_repeated(name: str) -> None:
    problem = made_up_problem(SPACE, limit=LIMIT)
    trials = run(name, problem, 30)
    assert len({t.architecture.id for t in trials}) == 30
    assert all(SPACE.architecture(dict(t.architecture)) == t.architecture for t in trials)
    assert (size_cost(SPACE)([t.architecture for t in trials]) <= LIMIT).all()


def test_the_same_seed_gives_the_same_trace_and_another_seed_another(name: str) -> None:
    problem = made_up_problem(SPACE)
    ids = [[t.architecture.id for t in run(name, problem, 20, seed=seed)] for seed in (3, 3, 4)]
    assert ids[0] == ids[1]
    assert ids[0] != ids[2]


def test_a_new_searcher_told_the_same_trials_goes_on_the_same_way(name: str) -> None:
    problem = made_up_problem(SPACE)
    kept, resumed = run(name, problem, 25), run(name, problem, 25, fresh=True)
    assert [t.architecture.id for t in kept] == [t.architecture.id for t in resumed]


def test_the_order_in_which_results_are_told_does_not_matter(name: str) -> None:
    problem = made_up_problem(SPACE)
    trials = run(name, problem, 20)
    shuffled = [trials[i] for i in np.random.default_rng(0).permutation(len(trials))]
    answers = []
    for told in (trials, shuffled):
        searcher = make_searcher(name, problem, seed=0)
        searcher.tell(told)
        answers.append([p.architecture.id for p in searcher.ask(4, pending=[])])
    assert answers[0] == answers[1]


def test_pending_architectures_are_not_proposed_again(name: str) -> None:
    problem = made_up_problem(SPACE)
    searcher = make_searcher(name, problem, seed=0)
    searcher.tell(run(name, problem, 15))
    first = [p.architecture for p in searcher.ask(5, pending=[])]
    second = [p.architecture for p in searcher.ask(5, pending=first)]
    assert len({a.id for a in [*first, *second]}) == 10


def test_failed_trials_are_not_proposed_again_and_do_not_stop_the_search(name: str) -> None:
    problem = made_up_problem(SPACE)
    trials = run(name, problem, 14)
    failed = [Trial(number=14 + i, architecture=SPACE.mutate(t.architecture, np.random.default_rng(i)), failed="no")
              for i, t in enumerate(trials[:3])]  # fmt: skip
    searcher = make_searcher(name, problem, seed=0)
    searcher.tell([*trials, *failed])
    seen = {t.architecture.id for t in [*trials, *failed]}
    proposals = searcher.ask(5, pending=[])
    assert len(proposals) == 5
    assert not seen & {p.architecture.id for p in proposals}


def test_only_failed_trials_still_lead_to_proposals(name: str) -> None:
    problem = made_up_problem(SPACE)
    rng = np.random.default_rng(0)
    failed = [Trial(number=i, architecture=SPACE.sample(rng), failed="no") for i in range(12)]
    searcher = make_searcher(name, problem, seed=0)
    searcher.tell(failed)
    assert len(searcher.ask(3, pending=[])) == 3


def test_a_small_space_is_searched_to_its_last_feasible_architecture_and_then_ends(name: str) -> None:
    space = SearchSpace("small", (Choice(name="a", options=(1, 2, 3, 4, 5)), Choice(name="b", options=(1, 2, 3, 4))))
    problem = made_up_problem(space, limit=1.5)
    feasible = sum(bool(problem.feasible([a])[0]) for a in space.enumerate())
    trials = run(name, problem, 100)
    assert len(trials) == feasible < space.size


def test_a_tight_limit_in_a_huge_space_still_gives_feasible_architectures(name: str) -> None:
    space = mobilenet_space("small")
    cost = size_cost(space)
    least = float(cost([lowest(space, cost)])[0])
    problem = made_up_problem(space, limit=least + 1.0)
    trials = run(name, problem, 12)
    assert len(trials) == 12
    assert (cost([t.architecture for t in trials]) <= least + 1.0).all()


def test_a_space_of_one_architecture_gives_it_once(name: str) -> None:
    space = SearchSpace("one", (Choice(name="a", options=(1,)),))
    assert len(run(name, made_up_problem(space), 3)) == 1


def test_constant_objectives_do_not_break_the_search(name: str) -> None:
    problem = made_up_problem(SPACE)
    searcher = make_searcher(name, problem, seed=0)
    rng = np.random.default_rng(0)
    trials = [Trial(number=i, architecture=SPACE.sample(rng), values={"accuracy": 0.5, "cost": 1.0}) for i in range(30)]
    searcher.tell(trials)
    assert len(searcher.ask(3, pending=[])) == 3


def test_an_unknown_algorithm_is_refused_with_the_known_names(name: str) -> None:
    with pytest.raises(UsageError, match=f"expected one of .*{name}"):
        make_searcher(f"{name}o", made_up_problem(SPACE), seed=0)
