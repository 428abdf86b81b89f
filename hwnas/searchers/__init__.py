"""Who proposes architectures."""

from hwnas.searchers.problem import SearchProblem
from hwnas.searchers.recipes import ALGORITHMS, make_searcher, require_algorithm

__all__ = ["ALGORITHMS", "SearchProblem", "make_searcher", "require_algorithm"]
