"""The searchers that learn a policy once and then propose: which there are, and what they are for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hwnas.core import Searcher, UsageError, unknown
from hwnas.objectives import bounds_of, device_of_cost, objectives
from hwnas.relaxed import option_counts
from hwnas.searchers import ALGORITHMS, require_inner
from hwnas.spaces import SearchSpace
from hwnas.study.limit_policies import DCA_NAS, LIGHTNAS
from hwnas.study.modnas import MODNAS
from hwnas.study.policies import Asked, Learning, OneShot

ONE_SHOTS: Mapping[str, OneShot] = {"modnas": MODNAS, "lightnas": LIGHTNAS, "dca-nas": DCA_NAS}
"""By the name of the algorithm."""


def require_searcher(algorithm: str, inner: str | None) -> str | None:
    """The inner searcher that a run's algorithm will draw with, as of ``hwnas.searchers.require_inner``.

    Raises:
        UsageError: No such algorithm, no such inner searcher, or the algorithm takes none.
    """
    if algorithm not in ONE_SHOTS:
        if algorithm not in ALGORITHMS:
            raise unknown("algorithm", algorithm, (*ALGORITHMS, *ONE_SHOTS))
        return require_inner(algorithm, inner)
    if inner is not None:
        raise UsageError(f"algorithm {algorithm} takes no inner searcher, received {inner!r}: leave --inner out")
    return None


def describes_devices(algorithm: str) -> bool:
    """Whether an algorithm learns from descriptions of devices, by which it knows others that it has never seen."""
    found = ONE_SHOTS.get(algorithm)
    return found is not None and found.several


def require_one_shot(
    algorithm: str,
    *,
    space: SearchSpace,
    evaluator: str,
    targets: Sequence[str],
    limits: Mapping[str, float],
    several: bool,
) -> None:
    """Refuses what a policy cannot be learned from, before anything is measured or trained.

    Args:
        algorithm: Of the search; any but those of ``ONE_SHOTS`` passes.
        space: To search.
        evaluator: What finds accuracies.
        targets: Costs to trade against accuracy.
        limits: Bounds by name, in the cost's unit.
        several: Whether there are devices beside that of the table.

    Raises:
        UsageError: The algorithm, the space, the evaluator, the targets or the limits are not for this.
    """
    found = ONE_SHOTS.get(algorithm)
    if found is None:
        return
    if several and not found.several:
        raise UsageError(
            f"algorithm {algorithm} learns for one device, that of --table: leave --devices out, or take another "
            "algorithm, for example lamoo"
        )
    elsewhere = [name for name in map(device_of_cost, [goal.name for goal in objectives(targets)]) if name]
    elsewhere += [bound.device for bound in bounds_of(limits) if bound.device]
    if elsewhere:
        raise UsageError(
            f"algorithm {algorithm} neither trades nor limits the latency on a device by its name, received "
            f"{elsewhere[0]}: leave that target or limit out, or take another algorithm, for example lamoo"
        )
    option_counts(space)
    if evaluator != "tabular":
        raise UsageError(
            f"algorithm {algorithm} learns from the accuracies of all architectures: expected --evaluator tabular, "
            f"received {evaluator}"
        )
    found.require(Asked(targets=targets, bounds=bounds_of(limits), several=several))


def one_shot_searcher(algorithm: str, learning: Learning) -> Searcher:
    """What proposes in a run; its policy is learned now, or read from the run's folder where it was learned before.

    Args:
        algorithm: One of ``ONE_SHOTS``.
        learning: What it learns from.

    Raises:
        CheckpointError: The file of the policy is damaged.
        OSError: It cannot be written.
    """
    return ONE_SHOTS[algorithm].searcher(learning)
