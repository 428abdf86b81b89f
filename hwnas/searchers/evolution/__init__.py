"""Inner searchers without a surrogate: populations, neighbourhoods and evolution strategies.

Contents:
    aging: regularised evolution.
    density: how densely points lie.
    genetic: NSGA-II.
    lemonade: LEMONADE.
    local: local search from the front.
    ranking: who of some architectures is better, with several objectives.
    strategy: CMA-ES, and one that begins at the best of a region.
    told: what these searchers learn from.
"""

from hwnas.searchers.evolution.aging import RegularizedEvolutionInner
from hwnas.searchers.evolution.genetic import Nsga2Inner
from hwnas.searchers.evolution.lemonade import LemonadeInner
from hwnas.searchers.evolution.local import LocalSearchInner
from hwnas.searchers.evolution.strategy import CmaEsInner, WarmCmaEsInner

__all__ = [
    "CmaEsInner",
    "LemonadeInner",
    "LocalSearchInner",
    "Nsga2Inner",
    "RegularizedEvolutionInner",
    "WarmCmaEsInner",
]
