"""Who proposes architectures."""

from hwnas.searchers.problem import SearchProblem
from hwnas.searchers.recipes import ALGORITHMS, INNERS, make_searcher, require_algorithm, require_inner

__all__ = ["ALGORITHMS", "INNERS", "SearchProblem", "make_searcher", "require_algorithm", "require_inner"]
