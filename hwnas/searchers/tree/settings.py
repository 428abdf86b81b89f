"""The free choices of a partition tree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from hwnas.searchers.tree.boundaries import KernelSvm, Separator
from hwnas.searchers.tree.exploration import Bonus, Exploration, ShareOfScale, ln_bonus
from hwnas.searchers.tree.features import Features, OneHot
from hwnas.searchers.tree.growth import BySize, Growth
from hwnas.searchers.tree.labels import DominanceHalves, Labeler
from hwnas.searchers.tree.latent import Latent
from hwnas.searchers.tree.values import Hypervolume, NodeValue
from hwnas.spaces import SearchSpace


@dataclass(frozen=True, kw_only=True)
class TreeSettings:
    """The free choices of the tree; LaNAS, LA-MCTS, LaMOO and PlaLaM are settings of it.

    Attributes:
        features: Vectors of a space's architectures: ``OneHot`` or ``Ordinal``.
        latent: What is separated in place of those: codes of what came of the trials. Where a candidate will lie is
            then known only after its trial, so the region says what a search in it begins with, not where it may go.
        labeler: Which samples of a node are promising: ``DominanceHalves``, ``DominanceMedian``, ``TwoMeans``,
            ``AboveMeanPrediction`` or ``MedianHalves``.
        boundary: What separates them: ``KernelSvm``, ``LinearSvm`` or ``RidgeThreshold``.
        value: What a node is worth: ``Hypervolume``, ``HypervolumeContribution``, ``Mean``, ``Max`` or ``Quantile``.
        bonus: For few visits: ``ln_bonus`` or ``sqrt_bonus``.
        exploration: How ``Cp`` is chosen: ``ShareOfScale`` (automatic) or ``Constant``.
        selection: The leaf with the largest bound of all (LaMOO, Algorithm 2), or the one at the end of the path that
            follows the larger bound at every node (Algorithm 1).
        assignment: Whether a node's samples go to the side that the boundary predicts for them, or to that of their
            label. By label, the figures of a leaf tell of samples that may lie outside of its region.
        growth: Which nodes are split: ``BySize`` or ``FixedHeight``.
        largest: Samples of a node that its labels and boundary are learned from at the most, evenly over their order;
            all of them where they are assigned by label.
        draws: Proposals drawn from a region before one is selected anew, with them as visits; 0 for the whole batch.
        refit: Trials after which the partition is learned anew, and the codes of ``latent`` with it, at the least; what
            came since is put into its leaves.
    """

    features: Callable[[SearchSpace], Features] = OneHot
    latent: Latent | None = None
    labeler: Labeler = field(default_factory=DominanceHalves)
    boundary: Separator = field(default_factory=KernelSvm)
    value: NodeValue = field(default_factory=Hypervolume)
    bonus: Bonus = ln_bonus
    exploration: Exploration = field(default_factory=ShareOfScale)
    selection: Literal["leaf", "path"] = "leaf"
    assignment: Literal["prediction", "label"] = "prediction"
    growth: Growth = field(default_factory=BySize)
    largest: int = 2000
    draws: int = 0
    refit: int = 1
