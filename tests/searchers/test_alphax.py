"""Tree search over construction actions."""

from __future__ import annotations

import numpy as np
import pytest

from hwnas.core import Architecture, Trial
from hwnas.searchers import SearchProblem
from hwnas.searchers.history import History
from hwnas.searchers.mcts import AlphaX, Construction
from hwnas.searchers.mcts.meta_dnn import MetaDNN
from hwnas.searchers.mcts.rollouts import Outlook
from hwnas.searchers.mcts.state_tree import StateTree
from hwnas.searchers.mcts.states import ROOT
from hwnas.searchers.scalarize import Merit
from hwnas.spaces import Choice, Encoding, SearchSpace, mobilenet_space
from tests.searchers.problems import accuracy_of, evaluated, made_up_problem

SPACE = mobilenet_space("tiny")
CONDITIONAL = SearchSpace(
    "conditional",
    (
        Choice(name="block", options=("conv", "skip"), ordinal=False),
        Choice(name="kernel", options=(3, 5), parent="block", when=frozenset({"conv"})),
        Choice(name="bias", options=(True, False), ordinal=False),
        Choice(name="groups", options=(1, 2), parent="block", when=frozenset({"conv"})),
    ),
)


def trials_of(problem: SearchProblem, n: int) -> list[Trial]:
    rng, unique = np.random.default_rng(0), dict[str, Architecture]()
    while len(unique) < n:
        one = problem.space.sample(rng)
        unique[one.id] = one
    return evaluated(problem, list(unique.values()), accuracy_of(problem.space))


@pytest.mark.parametrize("space", [CONDITIONAL, SPACE])
def test_every_architecture_is_reached_in_one_way(space: SearchSpace) -> None:
    actions = Construction(space)
    rng = np.random.default_rng(0)
    for one in (space.sample(rng) for _ in range(20)):
        state = actions.settled(ROOT)
        way = [state]
        while (choice := actions.open_choice(state)) is not None:
            state = actions.after(state, one[choice.name])
            way.append(state)
        assert list(actions.way_to(actions.finished(one))) == way
        assert actions.rollout(state, rng) == one
        assert len(way) == len(one) + 1


def test_choices_that_do_not_exist_are_passed_over() -> None:
    actions = Construction(CONDITIONAL)
    skipped = actions.after(actions.settled(ROOT), "skip")
    assert skipped == ("skip", None)
    assert actions.after(skipped, True) == ("skip", None, True, None)
    assert actions.open_choice(("skip", None, True, None)) is None


def test_rollouts_begin_with_their_state_and_reach_everything_below_it() -> None:
    actions, rng = Construction(CONDITIONAL), np.random.default_rng(0)
    found = {actions.rollout(("conv",), rng).id for _ in range(200)}
    assert found == {one.id for one in CONDITIONAL.enumerate() if one["block"] == "conv"}


def test_each_trial_adds_the_first_state_that_is_new_and_visits_those_above() -> None:
    actions = Construction(CONDITIONAL)
    ways = [list(actions.way_to(actions.finished(one))) for one in CONDITIONAL.enumerate()]
    tree = StateTree(actions.settled(ROOT))
    tree.add_trial(0, ways[0])
    assert set(tree.nodes) == {(), ("conv",)}
    tree.add_trial(1, ways[1])
    assert tree.nodes[("conv",)].members == [0, 1]
    assert ways[1][2] in tree.nodes
    tree.add_visit(ways[0])
    assert tree.nodes[()].visits == 3
    assert len(tree.nodes[()].members) == 2


def test_the_network_learns_a_cost_of_any_scale_within_what_was_seen() -> None:
    problem = made_up_problem(SPACE)
    trials = trials_of(problem, 120)
    codes = Encoding(SPACE).encode([trial.architecture for trial in trials])
    costs = 1e9 * problem.costs(trials)[:, :1]
    network = MetaDNN.fit(codes[:80], costs[:80], seed=0)
    predicted = network.predict(codes[80:])
    assert np.corrcoef(predicted[:, 0], costs[80:, 0])[0, 1] > 0.7
    assert network.error.shape == (1,)
    assert network.error[0] < 0.7
    assert costs[:80].min() <= predicted.min() <= predicted.max() <= costs[:80].max()


def test_what_is_known_exactly_is_not_predicted() -> None:
    problem = made_up_problem(SPACE)
    history = History(problem)
    history.replace(trials_of(problem, 40))
    known = problem.known
    assert known is not None
    merit = Merit(problem.reference, np.array([1e9, 1.0]))  # the cost alone decides
    outlook = Outlook.learned(history, merit, trials=40, seed=0)
    fresh = [SPACE.sample(np.random.default_rng(i)) for i in range(50, 60)]
    expected = np.minimum(problem.reference[1] - known(fresh)[:, 0], 1e-9)
    assert outlook.of(fresh) == pytest.approx(expected, abs=1e-8)


class Mirrored(SearchSpace):
    """FAKE: the order of the first two choices does not matter."""

    def canonical(self, architecture: Architecture) -> Architecture:
        first, second, *rest = (choice.name for choice in self.choices)
        low, high = sorted([architecture[first], architecture[second]], key=str)
        return Architecture({first: low, second: high, **{name: architecture[name] for name in rest}})


def test_the_same_network_built_in_another_way_has_the_costs_that_were_found() -> None:
    options = ("none", "skip", "conv")
    space = Mirrored("mirrored", tuple(Choice(name=f"e{i}", options=options, ordinal=False) for i in range(4)))
    problem = made_up_problem(space, known=False)
    history = History(problem)
    history.replace(trials_of(problem, 24))
    outlook = Outlook.learned(history, Merit(problem.reference, np.ones(2)), trials=24, seed=0)
    for trial in history.trials:
        turned = Architecture({**trial.architecture, "e0": trial.architecture["e1"], "e1": trial.architecture["e0"]})
        assert outlook.of([turned]) == outlook.of([trial.architecture])


def test_states_all_of_whose_rollouts_break_a_limit_are_worth_nothing() -> None:
    problem = made_up_problem(CONDITIONAL)
    barred = SearchProblem(
        space=CONDITIONAL,
        objectives=problem.objectives,
        reference=problem.reference,
        feasible=lambda batch: np.array([one["block"] == "skip" for one in batch], dtype=bool),
        known=problem.known,
    )
    history = History(barred)
    history.replace(trials_of(problem, 10) * 2)
    merit = Merit.along(history.costs, barred.reference, np.random.default_rng(0))
    outlook = Outlook.learned(history, merit, trials=20, seed=0)
    values = outlook.of_states([("conv",), ("skip", None)], Construction(CONDITIONAL))
    assert values[0] == -np.inf
    assert np.isfinite(values[1])
    assert {one.architecture["block"] for one in AlphaX(barred, seed=0, initial=0).ask(5, pending=[])} == {"skip"}


def test_every_decision_is_recorded() -> None:
    problem = made_up_problem(SPACE)
    searcher = AlphaX(problem, seed=0)
    searcher.tell(trials_of(problem, 40))
    proposal = searcher.ask(1, pending=[])[0]
    assert proposal.why["inner"] == "rollout"
    assert proposal.why["path"]
    for step in proposal.why["path"]:
        assert proposal.architecture[step["choice"]] == step["option"]
    assert 0 < proposal.why["share"] < 1
    assert np.isfinite(proposal.why["predicted"])


def test_pending_architectures_turn_the_search_elsewhere() -> None:
    problem = made_up_problem(SPACE)
    searcher = AlphaX(problem, seed=0)
    searcher.tell(trials_of(problem, 40))
    ways = [tuple((step["choice"], step["option"]) for step in p.why["path"]) for p in searcher.ask(8, pending=[])]
    assert len(set(ways)) > 1
