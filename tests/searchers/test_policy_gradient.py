"""TND-NAS: what a policy learns from trials, and what is dropped meanwhile.

The laws: options of better networks become likelier; nothing is dropped that has not been tried, nor the last two; what
is learned is a function of the trials alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.core import Architecture, Objective, Trial
from hwnas.searchers import SearchProblem
from hwnas.searchers.history import History
from hwnas.searchers.policy_gradient import Policy, PolicySettings, learned_policy
from hwnas.spaces import Choice, SearchSpace, mobilenet_space

SPACE = SearchSpace(
    "made-up",
    (
        Choice(name="a", options=(0, 1, 2, 3)),
        Choice(name="b", options=(0, 1, 2)),
        Choice(name="c", options=(0, 1), parent="b", when=frozenset({2})),
    ),
)
GOAL = Objective(name="accuracy", unit="%", direction="maximize", known="trained")
PROBLEM = SearchProblem(space=SPACE, objectives=(GOAL,), reference=np.zeros(1))
QUICK = PolicySettings(group=4, window=40, stage=0)


def told(architectures: list[Architecture], problem: SearchProblem = PROBLEM) -> History:
    """Trials whose accuracy is the value of ``a``, and whatever else."""
    history = History(problem)
    history.replace(
        [
            Trial(number=number, architecture=one, values={goal.name: float(one["a"]) for goal in problem.objectives})
            for number, one in enumerate(architectures)
        ]
    )
    return history


def drawn(n: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [SPACE.sample(rng) for _ in range(n)]


def test_options_of_better_networks_become_likelier() -> None:
    chances = learned_policy(told(drawn(80)), QUICK).chances("a")
    assert (np.diff(chances) > 0).all()
    assert chances[-1] > 0.5


def test_a_choice_that_means_nothing_stays_open() -> None:
    chances = learned_policy(told(drawn(80)), QUICK).chances("b")
    assert chances.max() < 0.75


@settings(max_examples=20, deadline=None)
@given(n=st.integers(0, 60), seed=st.integers(0, 2**16), stage=st.integers(0, 20))
def test_chances_are_chances_and_samples_are_legal(n: int, seed: int, stage: int) -> None:
    rules = replace(QUICK, stage=stage, room=0)
    policy = learned_policy(told(drawn(n, seed)), rules)
    rng = np.random.default_rng(seed)
    for choice in SPACE.choices:
        chances = policy.chances(choice.name)
        assert chances.sum() == pytest.approx(1)
        assert (chances[~policy.left[choice.name]] == 0).all()
        assert policy.left[choice.name].sum() >= 2
    narrower = policy.shrunken()
    for one in (policy.sample(rng), narrower.sample(rng)):
        assert SPACE.architecture(dict(one)) == one
        assert narrower.architecture(dict(one)) == one


def test_what_is_learned_is_a_function_of_the_trials() -> None:
    trials = drawn(40)
    one, other = (learned_policy(told(trials), QUICK) for _ in range(2))
    assert all((one.logits[name] == other.logits[name]).all() for name in one.logits)
    unfinished_group = learned_policy(told(trials[:39]), QUICK)
    earlier = learned_policy(told(trials[:36]), QUICK)
    assert all((unfinished_group.logits[name] == earlier.logits[name]).all() for name in earlier.logits)


def test_the_worst_option_is_dropped_at_the_end_of_a_stage_and_no_untried_one() -> None:
    rules = replace(QUICK, stage=40, tried=3, room=0)
    policy = learned_policy(told(drawn(40)), rules)
    assert policy.left["a"].tolist() == [False, True, True, True]
    assert policy.left["c"].all()  # two are left of it from the beginning
    without = [one for one in drawn(400) if one["a"] != 0][:40]
    assert learned_policy(told(without), rules).left["a"][0]


def test_a_space_is_not_shrunk_below_what_the_search_will_look_at() -> None:
    rules = replace(QUICK, stage=40, tried=3)
    assert learned_policy(told(drawn(40)), replace(rules, room=10)).left["a"].all()
    assert not learned_policy(told(drawn(40)), replace(rules, room=0)).left["a"].all()


def test_several_objectives_are_scalarised_the_same_way_in_every_replay() -> None:
    goals = (GOAL, replace(GOAL, name="speed"))
    problem = SearchProblem(space=SPACE, objectives=goals, reference=np.zeros(2))
    one, other = (learned_policy(told(drawn(40), problem), QUICK) for _ in range(2))
    assert (one.logits["a"] == other.logits["a"]).all()
    assert one.chances("a").argmax() == 3


def test_a_uniform_policy_draws_every_option_of_a_real_space() -> None:
    space = mobilenet_space("tiny")
    policy, rng = Policy.uniform(space), np.random.default_rng(0)
    seen = [policy.sample(rng) for _ in range(200)]
    for choice in space.choices:
        assert {one[choice.name] for one in seen if choice.name in one} == set(choice.options)
