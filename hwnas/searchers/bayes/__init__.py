"""Bayesian optimisation by BoTorch, which is known here and nowhere else, and imported when something is asked for.

Contents:
    acquisition: what a candidate is worth, and the choice of a batch.
    candidates: where in the space to look.
    improvement: qEHVI and qNEHVI as inner searchers.
    library: whether BoTorch is there, and keeping it quiet.
    surrogate: Gaussian processes of the costs.
    trust: the trust region of TuRBO, found again from the trials.
    turbo: TuRBO as an inner searcher.
"""

from hwnas.searchers.bayes.improvement import BayesSettings, QehviInner, QnehviInner
from hwnas.searchers.bayes.turbo import TurboInner

__all__ = ["BayesSettings", "QehviInner", "QnehviInner", "TurboInner"]
