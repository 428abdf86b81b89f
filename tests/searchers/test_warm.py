"""Designs first, then a searcher: together a searcher as any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Proposal, Searcher, Trial
from hwnas.searchers import DesignsFirst, SearchProblem, make_searcher
from hwnas.spaces import mobilenet_space
from hwnas.testing import SearcherConformance
from tests.searchers.problems import made_up_problem


def designs(problem: SearchProblem, n: int = 4) -> list[Proposal]:
    rng = np.random.default_rng(5)
    drawn = {one.id: one for one in (problem.space.sample(rng) for _ in range(n))}
    return [Proposal(architecture=one, why={"inner": "warm start"}) for one in drawn.values()]


class TestDesignsFirst(SearcherConformance):
    def make_searcher(self, problem: SearchProblem, seed: int) -> Searcher:
        return DesignsFirst(make_searcher("mutation", problem, seed=seed), designs(problem), problem=problem)


def test_feasible_designs_come_in_their_order_and_nothing_twice() -> None:
    problem = made_up_problem(mobilenet_space("tiny"))
    wanted = designs(problem)
    searcher = DesignsFirst(make_searcher("mutation", problem, seed=0), wanted, problem=problem)
    allowed = [one for one in wanted if problem.feasible([one.architecture])[0]]
    found = searcher.ask(6, pending=[])
    assert found[: len(allowed)] == allowed
    assert len({one.architecture.id for one in found}) == 6
    searcher.tell([Trial(number=0, architecture=allowed[0].architecture, failed="diverged")])
    rest = searcher.ask(2, pending=[allowed[1].architecture])
    assert not {one.architecture.id for one in rest} & {one.architecture.id for one in allowed[:2]}


def test_of_many_designs_no_more_are_looked_at_than_it_takes() -> None:
    problem = made_up_problem(mobilenet_space("tiny"))
    looked: list[int] = []

    def feasible(architectures: Sequence[Architecture]) -> NDArray[np.bool_]:
        looked.append(len(architectures))
        return np.ones(len(architectures), dtype=np.bool_)

    wanted = designs(problem, n=200)
    searcher = DesignsFirst(
        make_searcher("random", problem, seed=0), wanted, problem=replace(problem, feasible=feasible)
    )
    assert searcher.ask(3, pending=[]) == wanted[:3]
    assert sum(looked) < len(wanted)
    assert searcher.ask(len(wanted), pending=[]) == wanted
