"""Searching with costs that are known exactly, and a surrogate for those that are not."""

from hwnas.searchers.greybox.inner import GreyBoxInner

__all__ = ["GreyBoxInner"]
