"""LaMOO, LA-MCTS, LaNAS and PlaLaM: four settings of one partition tree."""

from __future__ import annotations

from typing import ClassVar

from hwnas.searchers.tree.boundaries import KernelSvm, RidgeThreshold
from hwnas.searchers.tree.exploration import ShareOfScale, ln_bonus, sqrt_bonus
from hwnas.searchers.tree.features import Ordinal
from hwnas.searchers.tree.growth import BySize, FixedHeight
from hwnas.searchers.tree.labels import AboveMeanPrediction, DominanceHalves, DominanceMedian, TwoMeans
from hwnas.searchers.tree.latent import Latent
from hwnas.searchers.tree.searcher import PartitionSearcher
from hwnas.searchers.tree.settings import TreeSettings
from hwnas.searchers.tree.values import Hypervolume, Max, Mean

FAITHFUL_LAMOO = TreeSettings(
    features=Ordinal,
    labeler=DominanceMedian(),
    boundary=KernelSvm(kernel="poly", degree=4, penalty=1.0),
    value=Hypervolume(),
    exploration=ShareOfScale(0.1),
    selection="leaf",
    assignment="label",
    growth=BySize(min_split=16, min_leaf=1, min_accuracy=0.0, max_depth=50, max_nodes=50),
)
"""LaMOO as its official code sets it: ordinal codes, a polynomial of degree 4, a median split that tears equals apart,
samples in the leaf of their label, 16 samples to split, 50 nodes. ``Cp`` follows the published rule (a tenth of the
hypervolume found), which the constants of that code contradict (6 for NAS-Bench-201, where the
largest hypervolume is 8)."""


class LaMOO(PartitionSearcher):
    """LaMOO (Zhao et al., Multi-objective optimization by learning space partitions, ICLR 2022).

    Samples are labelled by how many of their node dominate them, a support vector machine separates the better from the
    worse, a node is worth the hypervolume of its samples, and the leaf with the largest bound is drawn from.

    Departures from the official code, which ``FAITHFUL_LAMOO`` undoes: codes are one-hot where order means nothing,
    with a radial kernel; samples go to the side predicted for them, so that a leaf's figures describe its region;
    samples dominated by equally many get the same label; boundaries that separate badly are rejected; a second decision
    takes eight times as many samples as the first, a third eight times as many again, because boundaries between few
    samples keep an inner searcher with a model of its own from what it knows better. Two more are the house's: nothing
    is proposed twice, and what a known cost forbids is not proposed at all.
    """

    recipe: ClassVar[TreeSettings] = TreeSettings(
        labeler=DominanceHalves(),
        boundary=KernelSvm(kernel="rbf", penalty=10.0),
        value=Hypervolume(),
        growth=BySize(deeper=8.0),
    )


class LaMCTS(PartitionSearcher):
    """Clusters, separated by support vector machines, along the path of the larger bound.

    LA-MCTS (Wang et al., Learning search space partition for black-box optimization using Monte Carlo tree search,
    NeurIPS 2020).

    Two clusters of [vector, merit] are separated by a support vector machine, a node is worth the mean merit of its
    samples, and the path of the larger bound is followed, with the square root of the parent's visits in the bonus, as
    in the official code.

    The method is for one objective. With several, the merit is the hypervolume scalarisation along a direction drawn
    anew whenever the partition is learned (see ``Merit``), so that the search visits all of the front in turn.

    Departures from the official code: vectors and merit are standardised before clustering, with the merit weighing as
    much as the vector, where unscaled ones let the size of the box decide; samples go to the side predicted for them;
    ``Cp`` is a tenth of the extent of the merits instead of a constant for each function; discrete spaces are searched
    through their neighbours.
    """

    recipe: ClassVar[TreeSettings] = TreeSettings(
        labeler=TwoMeans(),
        boundary=KernelSvm(kernel="rbf", penalty=1.0),
        value=Mean(),
        bonus=sqrt_bonus,
        selection="path",
        growth=BySize(min_split=10, min_leaf=2, min_accuracy=0.6, max_depth=8),
    )


class LaNAS(PartitionSearcher):
    """Linear regressions in a tree of fixed height.

    LaNAS (Wang et al., Sample-efficient neural architecture search by learning actions for Monte Carlo tree search,
    TPAMI 2021).

    A complete tree of five levels; at each node a linear regression of the merit, cut at the mean of its predictions; a
    node is worth the mean merit of its samples, the path of the larger bound is followed anew for every proposal, and
    the inner searcher draws in the leaf at its end, uniformly with ``random``.

    The method is for one objective. With several, the merit is the hypervolume scalarisation along a direction drawn
    anew whenever the partition is learned (see ``Merit``), so that the search visits all of the front in turn.

    Departures from the official code: ridge regression in closed form instead of 20,000 steps of gradient descent;
    every constraint of the path holds for what is drawn, where the code for large spaces stops at any single one;
    samples go to the side predicted for them; a merit of 0 counts like any other; no leaf stays infinitely attractive.
    A region too small for uniform draws is walked through by mutations that stay in it, instead of hit-and-run with
    rounding.
    """

    recipe: ClassVar[TreeSettings] = TreeSettings(
        labeler=AboveMeanPrediction(),
        boundary=RidgeThreshold(),
        value=Mean(),
        bonus=ln_bonus,
        exploration=ShareOfScale(0.1),
        selection="path",
        growth=FixedHeight(5),
        draws=1,
    )


class PlaLaM(PartitionSearcher):
    """A partition of what came of the trials, each region worth as much as the best in it.

    PlaLaM, later named LaP3 (Yang et al., Learning space partitions for path planning, NeurIPS 2021).

    A solution is the whole of a trajectory, and evaluations tell the way it took (figures named ``path.0``, ``path.1``
    and so on). Two clusters of [code of the way, merit] are separated, a node is worth the largest merit of its
    samples, the path of the larger bound is followed, and CMA-ES begins anew at the best samples of the leaf. Where a
    candidate will lie is not known beforehand, so none is passed over for its region. The partition is learned anew
    after every 25 trials.

    On spaces whose trials tell no way, the information on an architecture is its own vector; then candidates are
    checked as in every other partition here. Inner searchers that learn nothing from the trials of their region, as
    ``random`` does, feel nothing of a partition of ways.

    For values that are noisy, ``Quantile(0.9)`` is to take the place of ``Max``, which believes the luckiest.

    Departures from the official code: the merit weighs as much in the clusters as the code, by its rank; samples go to
    the side predicted for them; ``Cp`` is a tenth of the extent of the merits instead of a constant; principal
    components take the place of a random convolutional network, since ways are short vectors here and no images; a
    region's first step has no lower bound of 1.
    """

    recipe: ClassVar[TreeSettings] = TreeSettings(
        latent=Latent(),
        labeler=TwoMeans(ranks=True),
        boundary=KernelSvm(kernel="rbf", penalty=10.0),
        value=Max(),
        bonus=sqrt_bonus,
        exploration=ShareOfScale(0.1),
        selection="path",
        growth=BySize(min_split=20, min_leaf=5, min_accuracy=0.6, max_depth=8),
        draws=25,
        refit=25,
    )
