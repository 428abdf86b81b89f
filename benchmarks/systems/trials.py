"""What the scripts of this folder share: a searcher's trials, one batch after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hwnas.core import Architecture, Searcher, Trial


def trials_of(
    searcher: Searcher, evaluate: Callable[[Architecture], Mapping[str, float]], *, n: int, batch: int
) -> list[Trial]:
    """So many trials, or fewer where the searcher has nothing more to propose.

    Args:
        searcher: One that has not been asked yet.
        evaluate: Values of an architecture.
        n: How many.
        batch: Proposals asked for at a time.
    """
    trials: list[Trial] = []
    while len(trials) < n:
        searcher.tell(trials)
        proposals = searcher.ask(min(batch, n - len(trials)), pending=[])
        if not proposals:
            break
        for one in proposals:
            values = evaluate(one.architecture)
            trials.append(Trial(number=len(trials), architecture=one.architecture, values=values))
    return trials
