"""Partitions of what came of trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.core import Architecture, Trial
from hwnas.searchers.evolution import WarmCmaEsInner
from hwnas.searchers.inner import Request, take
from hwnas.searchers.tree import (
    BySize,
    Encoder,
    Identity,
    Latent,
    Pca,
    PlaLaM,
    Quantile,
    RandomNetwork,
    Recorded,
    Samples,
    TwoMeans,
    WeightedRegression,
    explain,
)
from hwnas.searchers.tree.encoders import Encode
from hwnas.searchers.tree.samples import Codes
from hwnas.searchers.tree.searcher import grown_on
from hwnas.spaces import Encoding, mobilenet_space
from tests.searchers.problems import accuracy_of, evaluated, made_up_problem

SPACE = mobilenet_space("tiny")
PROBLEM = made_up_problem(SPACE)
ENCODERS: list[Encoder] = [Identity(), Pca(3), RandomNetwork(3, 16), WeightedRegression(3, 8, steps=20)]
encoders = pytest.mark.parametrize("encoder", ENCODERS, ids=lambda encoder: encoder.name)


def way(architecture: Architecture) -> dict[str, float]:
    """A made-up way: the sums of the code so far, told under names that end in numbers."""
    return {f"path.{i}": float(at) for i, at in enumerate(Encoding(SPACE).encode([architecture])[0].cumsum())}


def some_trials(n: int, *, told: bool = True) -> list[Trial]:
    rng = np.random.default_rng(5)
    drawn = {one.id: one for one in (SPACE.sample(rng) for _ in range(3 * n))}
    trials = evaluated(PROBLEM, list(drawn.values())[:n], accuracy_of(SPACE))
    return [replace(one, values={**one.values, **way(one.architecture)}) for one in trials] if told else trials


def changed(trial: Trial, values: Mapping[str, float]) -> Trial:
    return replace(trial, values={**trial.values, **values})


class Starts:
    """FAKE inner searcher: keeps what it was asked."""

    name = "starts"

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def propose(self, n: int, request: Request) -> list[Architecture]:
        self.requests.append(request)
        fresh = (SPACE.sample(request.rng) for _ in range(1000))
        return take(n, fresh, request.accept, taken=request.taken)


def asked(trials: Sequence[Trial], latent: Latent | None = None) -> tuple[PlaLaM, Starts, dict[str, object]]:
    inner = Starts()
    searcher = PlaLaM(PROBLEM, inner, seed=0, settings=replace(PlaLaM.recipe, latent=latent or Latent()))
    searcher.tell(trials)
    return searcher, inner, dict(searcher.ask(2, pending=[])[0].why)


def test_figures_stand_in_the_order_of_their_numbers_and_what_a_trial_lacks_is_nan() -> None:
    trials = [changed(one, {}) for one in some_trials(3, told=False)]
    trials = [changed(one, {f"path.{i}": i for i in (10, 9, 0)}) for one in trials[:2]] + trials[2:]
    assert Recorded()(trials)[:2].tolist() == [[0, 9, 10]] * 2
    assert np.isnan(Recorded()(trials)[2]).all()
    assert Recorded("way.")(trials).shape == (3, 0)


def test_of_ways_of_different_lengths_the_figures_count_that_half_of_them_have() -> None:
    trials = [changed(one, {"path.0": 1.0}) for one in some_trials(5, told=False)]
    trials = [*trials[:3], *(changed(one, {"path.1": 2.0}) for one in trials[3:])]
    assert Recorded()(trials).shape == (5, 1)
    assert Recorded()(trials[2:]).shape == (3, 2)


@encoders
def test_codes_are_finite_and_the_same_for_the_same_randomness(encoder: Encoder) -> None:
    rows, merits = np.random.default_rng(0).standard_normal((30, 6)), np.arange(30.0)
    first, again = (encoder(rows, merits, np.random.default_rng(1))(rows) for _ in range(2))
    assert first.shape == (30, 6 if encoder.name == "identity" else 3)
    assert np.isfinite(first).all()
    assert (first == again).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 8), st.integers(1, 6), st.integers(0, 99))
def test_principal_components_of_full_width_keep_all_distances(n: int, d: int, seed: int) -> None:
    rows = np.random.default_rng(seed).standard_normal((n, d))
    codes = Pca(8)(rows, rows[:, 0], np.random.default_rng(0))(rows)
    before, after = (((one[:, None] - one[None]) ** 2).sum(axis=2) for one in (rows, codes))
    assert np.allclose(before, after)


def test_a_learned_code_tells_the_merit_apart() -> None:
    rows = np.random.default_rng(0).standard_normal((120, 10))
    merits = rows[:, 3]
    codes = WeightedRegression(2, 16)(rows, merits, np.random.default_rng(0))(rows)
    fitted = (
        np.column_stack([codes, np.ones(120)])
        @ np.linalg.lstsq(np.column_stack([codes, np.ones(120)]), merits, rcond=None)[0]
    )
    assert np.corrcoef(fitted, merits)[0, 1] > 0.8


@encoders
def test_a_partition_of_ways_passes_no_candidate_over_and_begins_with_the_trials_of_its_region(
    encoder: Encoder,
) -> None:
    trials = some_trials(60)
    searcher, inner, why = asked(trials, Latent(encoder=encoder))
    leaf, _ = searcher.partition().best_leaf()
    request = inner.requests[0]
    assert why["information"] == "trial"
    assert why["encoder"] == encoder.name
    assert leaf.region.path
    assert request.inside is not None
    assert sorted(request.inside.tolist()) == sorted(leaf.members.tolist())
    assert request.members().tolist() == request.inside.tolist()
    assert request.accept([one.architecture for one in trials]).all()


def test_without_ways_architectures_are_their_own_information_and_regions_are_kept_to() -> None:
    trials = some_trials(60, told=False)
    searcher, inner, why = asked(trials)
    leaf, _ = searcher.partition().best_leaf()
    assert why["information"] == "architecture"
    assert inner.requests[0].inside is None
    inside = inner.requests[0].accept([one.architecture for one in trials])
    assert np.flatnonzero(inside).tolist() == sorted(leaf.members.tolist())


@pytest.mark.parametrize("told", [{"path.0": float("nan")}, {"path.1": float("inf")}, None])
def test_a_trial_without_its_way_is_taken_for_its_nearest_and_that_is_said(told: Mapping[str, float] | None) -> None:
    trials = some_trials(60)
    twin = SPACE.neighbors(trials[7].architecture)[0]
    values = {name: value for name, value in trials[7].values.items() if told is not None or "path" not in name}
    trials.append(Trial(number=60, architecture=twin, values={**values, **(told or {})}))
    searcher, _, why = asked(trials)
    vectors = Encoding(SPACE).encode([one.architecture for one in trials])
    nearest = int(((vectors[:60] - vectors[60]) ** 2).sum(axis=1).argmin())
    assert why["without_information"] == 1
    assert np.allclose(searcher.codes[60], searcher.codes[nearest])  # sums of products may be taken in another order
    assert np.isfinite(searcher.codes).all()


class Broken:
    """FAKE encoder that cannot be learned, or gives nonsense."""

    name = "broken"

    def __init__(self, wrong: str) -> None:
        self._wrong = wrong

    def __call__(self, information: Codes, merits: Codes, rng: np.random.Generator) -> Encode:
        if self._wrong == "raises":
            raise np.linalg.LinAlgError("SVD did not converge")
        if self._wrong == "nan":
            return lambda rows: np.full((len(rows), 2), np.nan)
        return lambda rows: np.zeros(3)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [("raises", "SVD did not converge"), ("nan", "expected finite codes"), ("shape", "expected 60 rows of codes")],
)
def test_an_encoder_that_fails_is_replaced_by_the_information_itself_and_that_is_said(wrong: str, said: str) -> None:
    searcher, _, why = asked(some_trials(60), Latent(encoder=Broken(wrong)))
    assert why["encoder"] == "identity"
    assert str(why["encoder_failed"]).startswith("broken: ")
    assert said in str(why["encoder_failed"])
    assert searcher.codes.shape == (60, Encoding(SPACE).width)


def test_a_search_of_ways_is_a_function_of_trials_pending_and_seed() -> None:
    trials = some_trials(60)
    answers = []
    for told in (trials, trials, list(reversed(trials))):
        searcher = PlaLaM(PROBLEM, WarmCmaEsInner(), seed=3)
        searcher.tell(told)
        first = [one.architecture for one in searcher.ask(4, pending=[])]
        second = [one.architecture for one in searcher.ask(4, pending=first)]
        answers.append([one.id for one in (*first, *second)])
    assert answers[0] == answers[1] == answers[2]
    assert len(set(answers[0])) == 8


def test_pending_trials_of_a_partition_of_ways_count_as_visits() -> None:
    searcher, _, _ = asked(some_trials(60))
    tree = searcher.partition(pending=[one.architecture for one in some_trials(70)[60:]])
    assert sum(leaf.visits for leaf, _ in tree.leaves()) == tree.root.visits == 70


def test_it_is_learned_anew_only_after_so_many_trials_and_new_ones_are_put_into_its_leaves() -> None:
    trials = some_trials(74)
    before, after = (asked(trials[:n])[0] for n in (50, 74))
    assert [grown_on(n, refit=25) for n in (24, 50, 74, 75, 1000, 10_007)] == [0, 50, 50, 75, 1000, 10_000]
    assert (before.codes == after.codes[:50]).all()
    assert [leaf.region.sides for leaf, _ in before.partition().leaves()] == [
        leaf.region.sides for leaf, _ in after.partition().leaves()
    ]
    assert after.partition().root.visits == 74


class Counting(Pca):
    """An encoder that counts how often it learns."""

    learned = 0

    def __call__(self, information: Codes, merits: Codes, rng: np.random.Generator) -> Encode:
        type(self).learned += 1
        return super().__call__(information, merits, rng)


@pytest.mark.parametrize("ways", [True, False])
def test_codes_are_learned_anew_only_with_the_partition_and_nothing_else_comes_of_that(
    ways: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Counting, "learned", 0)
    trials, latent = some_trials(80, told=ways), Latent(encoder=Counting(3))
    searcher = PlaLaM(PROBLEM, Starts(), seed=0, settings=replace(PlaLaM.recipe, latent=latent))
    counts = []
    for n in range(50, 81):
        searcher.tell(trials[:n])
        found = [one.architecture.id for one in searcher.ask(2, pending=[])]
        counts.append(Counting.learned)
        fresh, _, _ = asked(trials[:n], Latent(encoder=Pca(3)))
        assert (searcher.codes == fresh.codes).all()
        assert found == [one.architecture.id for one in fresh.ask(2, pending=[])]
    assert counts == [1] * 25 + [2] * 6


def test_a_partition_of_ways_can_be_explained_and_valued_by_a_quantile() -> None:
    inner = WarmCmaEsInner()
    growth = BySize(min_split=20, min_leaf=2)
    searcher = PlaLaM(
        PROBLEM, inner, seed=0, settings=replace(PlaLaM.recipe, value=Quantile(0.9), growth=growth, refit=1)
    )
    searcher.tell(some_trials(60))
    nodes = explain(searcher)
    assert len(nodes) > 1
    assert all(one.column.startswith("code ") for node in nodes for one in node.separates)


def test_what_begins_in_a_region_of_ways_lies_nearer_to_its_best_than_random_draws() -> None:
    trials = some_trials(60)
    searcher = PlaLaM(PROBLEM, WarmCmaEsInner(), seed=0)
    searcher.tell(trials)
    leaf, _ = searcher.partition().best_leaf()
    encoding = Encoding(SPACE)
    middle = encoding.encode([trials[int(i)].architecture for i in leaf.members]).mean(axis=0)
    near = encoding.encode([one.architecture for one in searcher.ask(20, pending=[])])
    rng = np.random.default_rng(0)
    anywhere = encoding.encode([SPACE.sample(rng) for _ in range(200)])
    assert ((near - middle) ** 2).sum(axis=1).mean() < ((anywhere - middle) ** 2).sum(axis=1).mean()


def test_a_few_merits_far_off_make_no_cluster_of_their_own_where_ranks_count() -> None:
    codes = np.concatenate([np.random.default_rng(0).normal(size=(20, 2)) + shift for shift in (-3, 3)])
    merits = np.concatenate([np.linspace(88, 89, 20), np.linspace(90, 91, 20)])
    merits[:3] = 9.7
    data = Samples(codes, -merits[:, None], merits)
    assert TwoMeans(ranks=True)(data).tolist() == [1] * 20 + [0] * 20
    assert TwoMeans()(data).sum() == 3
