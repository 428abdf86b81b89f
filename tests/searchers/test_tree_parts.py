"""The free choices of the partition tree, one by one, and the recipes made of them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from sklearn.svm import SVC

from hwnas.core import Architecture, Objective, Trial
from hwnas.pareto import hypervolume
from hwnas.searchers import SearchProblem, make_searcher
from hwnas.searchers.inner import RandomInner
from hwnas.searchers.scalarize import Merit
from hwnas.searchers.tree import (
    FAITHFUL_LAMOO,
    AboveMeanPrediction,
    BySize,
    Constant,
    DominanceMedian,
    FixedHeight,
    Hypervolume,
    HypervolumeContribution,
    KernelSvm,
    LaMCTS,
    LaMOO,
    LaNAS,
    LinearSvm,
    Max,
    Mean,
    MedianHalves,
    OneHot,
    Ordinal,
    PartitionTree,
    Quantile,
    RidgeThreshold,
    Samples,
    ShareOfScale,
    TreeSettings,
    TwoMeans,
    explain,
    ln_bonus,
    sqrt_bonus,
)
from hwnas.searchers.tree.searcher import grown_on
from hwnas.spaces import Choice, SearchSpace, mobilenet_space, nasbench201_space
from tests.searchers.problems import accuracy_of, evaluated, made_up_problem

SPACE = mobilenet_space("tiny")


def samples(n: int = 60, *, seed: int = 0) -> Samples:
    """Codes on a square, the merit larger to the right."""
    codes = np.random.default_rng(seed).random((n, 2))
    return Samples(codes, np.column_stack([-codes[:, 0], codes[:, 1]]), codes[:, 0])


def trials_of(problem: SearchProblem, n: int, *, seed: int = 0) -> list[Trial]:
    rng, unique = np.random.default_rng(seed), dict[str, Architecture]()
    while len(unique) < n:
        one = problem.space.sample(rng)
        unique[one.id] = one
    return evaluated(problem, list(unique.values()), accuracy_of(problem.space))


@pytest.mark.parametrize("boundary", [KernelSvm(), KernelSvm(kernel="poly"), LinearSvm(), RidgeThreshold()])
@pytest.mark.parametrize("labeler", [TwoMeans(), AboveMeanPrediction(), MedianHalves()])
def test_labels_by_merit_are_learned_by_every_boundary(labeler: TwoMeans, boundary: KernelSvm) -> None:
    data = samples()
    labels = labeler(data)
    assert data.merits[labels == 0].mean() > data.merits[labels == 1].mean()
    sides = boundary(data, labels).sides(data.codes)
    assert (sides == labels).mean() > 0.85
    assert boundary(data, labels).sides(np.zeros((0, 2))).shape == (0,)


@pytest.mark.parametrize("labeler", [TwoMeans(), AboveMeanPrediction(), MedianHalves()])
def test_equal_merits_are_not_told_apart(labeler: TwoMeans) -> None:
    data = replace(samples(), merits=np.full(60, 0.1))
    assert set(labeler(data).tolist()) == {0}


def test_the_official_median_split_tears_equals_apart() -> None:
    data = replace(samples(10), costs=np.ones((10, 2)))
    assert DominanceMedian()(data).tolist() == [0] * 6 + [1] * 4


def test_two_means_do_not_depend_on_the_scale_of_vectors_or_merits() -> None:
    data = samples()
    scaled = Samples(1e6 * data.codes, data.costs, 1e-9 * data.merits)
    assert (TwoMeans()(data) == TwoMeans()(scaled)).all()


@pytest.mark.parametrize("kernel", ["rbf", "poly"])
def test_a_kernel_boundary_predicts_what_its_machine_does(kernel: Literal["rbf", "poly"]) -> None:
    data = samples()
    labels = MedianHalves()(replace(data, merits=np.sin(7 * data.codes).sum(axis=1)))
    machine = SVC(kernel=kernel, C=10.0, degree=4, gamma="scale").fit(data.codes, labels)
    probes = np.random.default_rng(1).random((200, 2))
    assert (KernelSvm(kernel=kernel)(data, labels).sides(probes) == machine.predict(probes)).all()


def test_large_nodes_are_learned_from_an_even_selection() -> None:
    data = samples(400)
    labels = MedianHalves()(data)
    few = KernelSvm(largest=60)(data, labels)
    assert len(few.vectors) <= 60  # type: ignore[attr-defined]
    assert (few.sides(data.codes) == labels).mean() > 0.85


def test_values_are_what_they_are_called() -> None:
    data, members, reference = samples(), np.array([3, 8, 20]), np.array([0.0, 1.0])
    own, total = hypervolume(data.costs[members], reference), hypervolume(data.costs, reference)
    others = np.setdiff1d(np.arange(60), members)
    expected = {
        Hypervolume(): (own, total),
        HypervolumeContribution(): (1 - hypervolume(data.costs[others], reference) / total, 1.0),
        Mean(): (data.merits[members].mean(), np.ptp(data.merits)),
        Max(): (data.merits[members].max(), np.ptp(data.merits)),
        Quantile(0.5): (np.median(data.merits[members]), np.ptp(data.merits)),
    }
    for value, (worth, scale) in expected.items():
        valuation = value(data, reference)
        assert valuation.of(members) == pytest.approx(worth)
        assert valuation.scale == pytest.approx(scale)
    assert Mean()(data, reference).of(np.array([], dtype=int)) == data.merits.min()


def test_bonuses_and_constants() -> None:
    assert ln_bonus(50, 5) == pytest.approx(math.sqrt(2 * math.log(50) / 5))
    assert sqrt_bonus(49, 5) == pytest.approx(math.sqrt(2 * 7 / 5))
    assert ln_bonus(0, 0) == 0
    assert ShareOfScale(0.1).constant(8.0) == pytest.approx(0.8)
    assert Constant(6.0).constant(8.0) == 6.0


def test_ordinal_codes_are_positions_and_one_hot_codes_indicators() -> None:
    space = nasbench201_space()
    one = space.architecture(dict.fromkeys((choice.name for choice in space.choices), "nor_conv_1x1"))
    assert Ordinal(space).encode([one])[0].tolist() == pytest.approx([0.6] * 6)
    assert OneHot(space).encode([one]).sum() == 6
    for features in (Ordinal(SPACE), OneHot(SPACE), OneHot(space)):
        assert features.encode([]).shape == (0, len(features.columns))
    assert OneHot(space).columns[2] == "edge_0_1 = nor_conv_1x1"


def test_a_fixed_height_gives_a_complete_tree() -> None:
    data = samples(200)
    settings = TreeSettings(
        labeler=AboveMeanPrediction(), boundary=RidgeThreshold(), value=Mean(), growth=FixedHeight(4)
    )
    tree = PartitionTree(data.codes, data.costs, np.zeros(2), merits=data.merits, settings=settings)
    assert [len(leaf.region.path) for leaf, _ in tree.leaves()] == [3] * 8


def test_growth_by_size_stops_at_its_number_of_nodes() -> None:
    data = samples(300)
    settings = TreeSettings(growth=BySize(max_nodes=7))
    assert len(list(PartitionTree(data.codes, data.costs, np.zeros(2), settings=settings).nodes())) <= 7


def test_assignment_by_label_keeps_samples_on_the_side_of_their_label() -> None:
    noisy = samples(80)
    noisy = replace(noisy, costs=noisy.costs + np.random.default_rng(1).normal(0, 0.4, noisy.costs.shape))
    settings = TreeSettings(assignment="label", growth=BySize(max_depth=1, min_accuracy=0.0))
    tree = PartitionTree(noisy.codes, noisy.costs, np.ones(2), settings=settings)
    good, _ = tree.root.children
    assert not good.region.contains(noisy.codes[good.members]).all()
    assert sum(len(child.members) for child in tree.root.children) == 80


def test_the_path_follows_the_larger_bound_and_the_leaf_is_the_largest_of_all() -> None:
    data = samples(200)
    for selection in ("path", "leaf"):
        settings = TreeSettings(selection=selection, exploration=ShareOfScale(0.3))  # type: ignore[arg-type]
        tree = PartitionTree(data.codes, data.costs, np.array([0.0, 1.0]), settings=settings)
        leaf, bound = tree.best_leaf()
        if selection == "leaf":
            assert bound == max(value for _, value in tree.leaves())
        node = leaf
        while selection == "path" and node.parent is not None:
            assert tree.bound(node) == max(tree.bound(child) for child in node.parent.children)
            node = node.parent


def test_newer_samples_are_put_into_the_leaves_of_an_older_partition() -> None:
    problem = made_up_problem(SPACE)
    searcher = LaMOO(problem, RandomInner(), seed=0)
    trials = trials_of(problem, 330)
    searcher.tell(trials)
    tree = searcher.partition()
    assert grown_on(330) == 328
    assert [grown_on(n) for n in (0, 1, 199, 201, 1000, 10_007)] == [0, 1, 199, 200, 1000, 9984]
    assert sum(leaf.visits for leaf, _ in tree.leaves()) == tree.root.visits == 330
    for leaf, _ in tree.leaves():
        assert leaf.region.contains(searcher.codes[leaf.members]).all()


def test_merits_of_one_objective_are_its_values_and_of_several_grow_with_dominance() -> None:
    rng = np.random.default_rng(0)
    assert Merit.along(np.array([[2.0], [3.0]]), np.array([9.0]), rng).of(np.array([[2.0]])).tolist() == [-2.0]
    costs = rng.random((50, 3)) * [1e9, 1.0, 1e-6]
    reference = np.array([1.1e9, 1.1, 1.1e-6])
    merit = Merit.along(costs, reference, rng)
    values = merit.of(costs)
    assert values.max() <= 1
    assert (merit.of(0.9 * costs) > values).all()
    assert (merit.of(np.array([[2e9, 0.1, 1e-7]])) < 0).all()


def test_a_region_without_anything_new_is_relaxed_and_said_so() -> None:
    problem = made_up_problem(SPACE)
    trials = trials_of(problem, 60)
    searcher = LaMOO(problem, RandomInner(), seed=0)
    searcher.tell(trials)
    region = searcher.partition().best_leaf()[0].region
    outside = SearchProblem(
        space=SPACE,
        objectives=problem.objectives,
        reference=problem.reference,
        feasible=lambda batch: ~region.contains(searcher.features.encode(batch)),
        known=problem.known,
    )
    barred = LaMOO(outside, RandomInner(), seed=0)
    barred.tell(trials)
    proposals = barred.ask(3, pending=[])
    assert len(proposals) == 3
    assert all(proposal.why["relaxed"] >= 1 for proposal in proposals)


def test_a_tiny_region_is_walked_through_where_draws_do_not_find_it() -> None:
    space = SearchSpace("wide", tuple(Choice(name=f"c{i}", options=tuple(range(8))) for i in range(14)))
    problem = made_up_problem(space)

    class Nothing:
        name = "nothing"

        def propose(self, n: int, request: object) -> list[Architecture]:
            return []

    searcher = LaMOO(problem, Nothing(), seed=0)
    searcher.tell(trials_of(problem, 60))
    region = searcher.partition().best_leaf()[0].region
    proposals = searcher.ask(4, pending=[])
    assert [(proposal.why["inner"], proposal.why["relaxed"]) for proposal in proposals] == [("walk", 0)] * 4
    assert region.contains(searcher.features.encode([proposal.architecture for proposal in proposals])).all()


def test_every_proposal_says_why() -> None:
    problem = made_up_problem(SPACE)
    for name in ("lamoo", "la-mcts", "lanas"):
        searcher = make_searcher(name, problem, seed=0, inner="random")
        searcher.tell(trials_of(problem, 60))
        why = searcher.ask(1, pending=[])[0].why
        assert why["bound"] == pytest.approx(why["value"] + why["bonus"], rel=1e-4)
        assert [step["side"] for step in why["path"]] == list(why["region"])
        assert why["path"][-1]["visits"] == why["visits"]
        assert 0 <= why["share"] < 1


def test_lanas_selects_anew_for_every_proposal() -> None:
    problem = made_up_problem(SPACE)
    searcher = LaNAS(problem, RandomInner(), seed=0)
    searcher.tell(trials_of(problem, 60))
    batch = searcher.ask(20, pending=[])
    assert len({proposal.why["region"] for proposal in batch}) > 1
    whole = LaMOO(problem, RandomInner(), seed=0)
    whole.tell(trials_of(problem, 60))
    assert len({proposal.why["region"] for proposal in whole.ask(10, pending=[])}) == 1


@pytest.mark.parametrize("recipe", [LaMCTS, LaNAS])
def test_recipes_for_one_objective_take_one(recipe: type[LaMCTS]) -> None:
    problem = SearchProblem(
        space=SPACE,
        objectives=(Objective(name="accuracy", unit="", direction="maximize", known="trained"),),
        reference=np.zeros(1),
    )
    accuracy = accuracy_of(SPACE)
    searcher = recipe(problem, RandomInner(), seed=0)
    tried: list[Architecture] = []
    while len(tried) < 60:
        trials = [Trial(number=i, architecture=a, values={"accuracy": accuracy(a)}) for i, a in enumerate(tried)]
        searcher.tell(trials)
        tried += [proposal.architecture for proposal in searcher.ask(6, pending=[])]
    early, late = (np.mean([accuracy(a) for a in part]) for part in (tried[:12], tried[-12:]))
    assert late > early


def test_faithful_settings_differ_where_it_is_said() -> None:
    searcher = LaMOO(made_up_problem(SPACE), RandomInner(), seed=0, settings=FAITHFUL_LAMOO)
    searcher.tell(trials_of(made_up_problem(SPACE), 60))
    assert isinstance(searcher.features, Ordinal)
    assert len(searcher.partition().leaves()) > 1
    assert FAITHFUL_LAMOO.assignment == "label"


def test_a_partition_is_explained_by_what_its_boundaries_separate() -> None:
    problem = made_up_problem(SPACE)
    searcher = LaMOO(problem, RandomInner(), seed=0)
    searcher.tell(trials_of(problem, 60))
    nodes = explain(searcher)
    leaf, bound = searcher.partition().best_leaf()
    assert nodes[0].name == ""
    assert nodes[0].share == 1
    assert nodes[0].separates
    chosen = [node for node in nodes if node.leaf and node.selected]
    assert [(node.name, node.bound) for node in chosen] == [(leaf.region.sides, pytest.approx(bound))]
    for node in nodes:
        gaps = [abs(entry.promising - entry.other) for entry in node.separates]
        assert gaps == sorted(gaps, reverse=True)
        children = [child for child in nodes if child.parent == node.name]
        assert node.leaf == (not children)
        if children:
            assert sum(child.share for child in children) == pytest.approx(node.share)
            assert sum(child.visits for child in children) == node.visits
