"""Inner searchers: what proposes candidates in a region of the space, or in all of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.objectives import lowest
from hwnas.searchers.history import History
from hwnas.searchers.problem import SearchProblem

_SPREAD_POOL = 20  # random architectures drawn for each one kept
_BLOCK = 64  # candidates checked at a time
_TRIES = 4096  # candidates drawn before a region counts as barren
_WALK = 20_000  # neighbours followed before the feasible part counts as used up
_INFEASIBLE = 1e9  # added to a cost, so that anything feasible is lower
_ENUMERABLE = 50_000  # spaces up to this size are looked through to the end

Accept = Callable[[Sequence[Architecture]], NDArray[np.bool_]]


@dataclass(frozen=True, kw_only=True)
class Request:
    """Where an inner searcher may propose, and what it may know.

    Attributes:
        history: The problem and all finished trials, those outside of the region among them.
        accept: Which of some architectures lie in the region and satisfy all limits, shape ``(n,)``.
        taken: Ids not to propose again; whoever proposes adds to it.
        pending: Architectures under evaluation; their ids are in ``taken``.
        rng: Randomness.
        inside: Indices of the history's trials that lie in the region, shape ``(k,)``, where a region is made of what
            came of its trials, so that nobody can tell beforehand where a candidate will lie; then ``accept`` looks at
            limits alone. ``None`` where ``accept`` tells.
        notes: What whoever proposes has to say about it, in JSON-serialisable terms; it is recorded with the proposals,
            for example that a surrogate could not be fitted and what took its place.
    """

    history: History
    accept: Accept
    taken: set[str]
    pending: tuple[Architecture, ...] = ()
    rng: np.random.Generator
    inside: NDArray[np.intp] | None = None
    notes: dict[str, object] = field(default_factory=dict)

    def members(self) -> NDArray[np.intp]:
        """Indices of the history's trials that lie in the region and satisfy all limits, shape ``(k,)``."""
        trials = self.history.trials
        rows = np.arange(len(trials)) if self.inside is None else self.inside
        return rows[self.accept([trials[int(row)].architecture for row in rows])]


class InnerSearcher(Protocol):
    """Proposes inside a region; with the whole space as its region, it is a searcher of its own.

    What it proposes is a function of the request alone.
    """

    name: str

    def propose(self, n: int, request: Request) -> list[Architecture]:
        """Up to ``n`` new architectures that the request accepts; fewer where it finds no more."""


class RandomInner:
    """Uniform over the space."""

    name = "random"

    def propose(self, n: int, request: Request) -> list[Architecture]:
        """Random architectures."""
        return take(n, random_stream(request.history.problem, request.rng), request.accept, taken=request.taken)


class MutationInner:
    """One to three mutations of a non-dominated architecture, and now and then a random one.

    Args:
        random_share: Share of random candidates, against getting stuck.
    """

    name = "mutation"

    def __init__(self, *, random_share: float = 0.2) -> None:
        self._random_share = random_share

    def propose(self, n: int, request: Request) -> list[Architecture]:
        """Mutants of the front."""
        return take(n, self._mutants(request.history, request.rng), request.accept, taken=request.taken)

    def _mutants(self, history: History, rng: np.random.Generator) -> Iterator[Architecture]:
        space, parents = history.problem.space, history.front()
        while True:
            if not parents or rng.random() < self._random_share:
                yield space.sample(rng)
                continue
            child = parents[rng.integers(len(parents))]
            for _ in range(rng.integers(1, 4)):
                child = space.mutate(child, rng)
            yield child


def random_stream(problem: SearchProblem, rng: np.random.Generator) -> Iterator[Architecture]:
    """Random architectures without end, repeats among them."""
    while True:
        yield problem.space.sample(rng)


def take(
    n: int, candidates: Iterable[Architecture], accept: Accept, *, taken: set[str], tries: int = _TRIES
) -> list[Architecture]:
    """The first ``n`` new and acceptable candidates of a stream.

    Args:
        n: How many.
        candidates: Possibly endless.
        accept: Which of some architectures will do, shape ``(n,)``.
        taken: Ids not to propose again; what is returned is added.
        tries: Candidates to look at before giving up; 0 for all of a stream that ends.

    Returns:
        Fewer than ``n`` when the stream ends, or gives nothing acceptable for long.
    """
    found: list[Architecture] = []
    stream = iter(candidates)
    for looked in itertools.count(step=_BLOCK):
        if len(found) == n or (tries and looked >= tries):
            break
        block = list(itertools.islice(stream, _BLOCK))
        if not block:
            break
        fresh = [candidate for candidate in block if candidate.id not in taken]
        for candidate, good in zip(fresh, accept(fresh) if fresh else (), strict=True):
            if good and candidate.id not in taken and len(found) < n:
                taken.add(candidate.id)
                found.append(candidate)
    return found


def spread(n: int, problem: SearchProblem, *, seed: int) -> list[Architecture]:
    """Random feasible architectures spread evenly over the first known cost, beginning with the cheapest there is.

    The end of the front where a cost is lowest is known without any evaluation; starting there spares the search the
    way. Where no cost is known, plain random architectures.

    Args:
        n: How many.
        problem: What to solve.
        seed: Of the randomness.
    """
    rng = np.random.default_rng([seed, 0])
    candidates = random_stream(problem, rng)
    known = problem.known
    if known is None:
        return take(n, candidates, problem.feasible, taken=set())
    pool = take(_SPREAD_POOL * n, candidates, problem.feasible, taken=set())
    cheapest = _cheapest(problem)
    start = [cheapest] if bool(problem.feasible([cheapest])[0]) else []
    order = np.argsort(known(pool)[:, 0], kind="stable") if pool else np.zeros(0, dtype=np.intp)
    ranks = np.linspace(0, max(len(pool) - 1, 0), n).round().astype(int)[1:]
    spread_out = {cand.id: cand for cand in [*start, *(pool[int(order[rank])] for rank in ranks if len(pool))]}
    return list(spread_out.values())[:n]


def leftovers(n: int, history: History, rng: np.random.Generator, *, taken: set[str]) -> list[Architecture]:
    """What is left to propose when drawing finds nothing new: under a tight limit, or near the end of a small space.

    Small spaces are looked through to the end. In large ones, neighbours of feasible architectures are followed through
    the feasible part of the space, which finds what uniform draws would need ages for.

    Args:
        n: How many.
        history: For the problem and the architectures already known to be feasible.
        rng: Randomness.
        taken: Ids not to propose again; what is returned is added.
    """
    problem = history.problem
    if problem.space.size <= _ENUMERABLE:
        everything = problem.space.listed
        return take(
            n, (everything[i] for i in rng.permutation(len(everything))), problem.feasible, taken=taken, tries=0
        )
    starts = [trial.architecture for trial in history.trials]
    if problem.known is not None:
        starts.append(_cheapest(problem))
    return take(n, _walk(starts, problem, rng), problem.feasible, taken=taken, tries=_WALK)


def _walk(starts: Sequence[Architecture], problem: SearchProblem, rng: np.random.Generator) -> Iterator[Architecture]:
    """Feasible architectures reached from some over feasible neighbours, each once, in random order."""
    waiting = {start.id: start for start, good in zip(starts, problem.feasible(starts), strict=True) if good}
    visited = set(waiting)
    while waiting:
        here = waiting.pop(sorted(waiting)[rng.integers(len(waiting))])
        near = [neighbor for neighbor in problem.space.neighbors(here) if neighbor.id not in visited]
        for neighbor, good in zip(near, problem.feasible(near), strict=True):
            visited.add(neighbor.id)
            if good:
                waiting[neighbor.id] = neighbor
                yield neighbor


def _cheapest(problem: SearchProblem) -> Architecture:
    """The feasible architecture with the lowest first known cost, or any where none is feasible."""
    known = problem.known
    if known is None:
        raise ValueError("expected a problem with a known cost")

    def cost(batch: Sequence[Architecture]) -> NDArray[np.float64]:
        return known(batch)[:, 0] + np.where(problem.feasible(batch), 0.0, _INFEASIBLE)

    return lowest(problem.space, cost)
