"""BoTorch is imported here once, without the warnings that come with it."""

from hwnas.searchers.bayes.library import require_botorch

require_botorch("qehvi")
