"""Searchers that learn a partition of the space.

``PartitionTree`` and the parts it is composed of (``TreeSettings``), the searcher that draws in its regions, and the
recipes LaMOO, LA-MCTS, LaNAS and PlaLaM.
"""

from hwnas.searchers.tree.boundaries import Boundary, KernelSvm, LinearSvm, RidgeThreshold, Separator
from hwnas.searchers.tree.encoders import Encoder, Identity, Pca, RandomNetwork, WeightedRegression
from hwnas.searchers.tree.explain import Difference, ExplainedNode, explain
from hwnas.searchers.tree.exploration import Constant, ShareOfScale, ln_bonus, sqrt_bonus
from hwnas.searchers.tree.features import Features, OneHot, Ordinal
from hwnas.searchers.tree.growth import BySize, FixedHeight
from hwnas.searchers.tree.information import Information, Recorded
from hwnas.searchers.tree.labels import (
    AboveMeanPrediction,
    DominanceHalves,
    DominanceMedian,
    MedianHalves,
    TwoMeans,
    dominance_halves,
)
from hwnas.searchers.tree.latent import Latent, View
from hwnas.searchers.tree.partition import Node, PartitionTree, grow
from hwnas.searchers.tree.recipes import FAITHFUL_LAMOO, LaMCTS, LaMOO, LaNAS, PlaLaM
from hwnas.searchers.tree.region import Decision, Region
from hwnas.searchers.tree.samples import Samples
from hwnas.searchers.tree.searcher import PartitionSearcher
from hwnas.searchers.tree.settings import TreeSettings
from hwnas.searchers.tree.values import Hypervolume, HypervolumeContribution, Max, Mean, Quantile

__all__ = [
    "FAITHFUL_LAMOO",
    "AboveMeanPrediction",
    "Boundary",
    "BySize",
    "Constant",
    "Decision",
    "Difference",
    "DominanceHalves",
    "DominanceMedian",
    "Encoder",
    "ExplainedNode",
    "Features",
    "FixedHeight",
    "Hypervolume",
    "HypervolumeContribution",
    "Identity",
    "Information",
    "KernelSvm",
    "LaMCTS",
    "LaMOO",
    "LaNAS",
    "Latent",
    "LinearSvm",
    "Max",
    "Mean",
    "MedianHalves",
    "Node",
    "OneHot",
    "Ordinal",
    "PartitionSearcher",
    "PartitionTree",
    "Pca",
    "PlaLaM",
    "Quantile",
    "RandomNetwork",
    "Recorded",
    "Region",
    "RidgeThreshold",
    "Samples",
    "Separator",
    "ShareOfScale",
    "TreeSettings",
    "TwoMeans",
    "View",
    "WeightedRegression",
    "dominance_halves",
    "explain",
    "grow",
    "ln_bonus",
    "sqrt_bonus",
]
