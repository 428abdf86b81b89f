"""Who proposes architectures."""

from hwnas.searchers.problem import SearchProblem
from hwnas.searchers.recipes import ALGORITHMS, INNERS, make_searcher, require_algorithm, require_inner
from hwnas.searchers.warm import DesignsFirst

__all__ = [
    "ALGORITHMS",
    "INNERS",
    "DesignsFirst",
    "SearchProblem",
    "make_searcher",
    "require_algorithm",
    "require_inner",
]
