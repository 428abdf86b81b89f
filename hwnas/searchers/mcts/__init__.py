"""Monte Carlo tree search over the actions that construct an architecture."""

from hwnas.searchers.mcts.alphax import AlphaX
from hwnas.searchers.mcts.states import Construction

__all__ = ["AlphaX", "Construction"]
