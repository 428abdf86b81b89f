"""Folders to deploy from: a model with all that is needed to use it, and several of them as a hub.

Contents:
    bundle: one model in a folder.
    folders: a folder that is there whole or not at all.
    hub: the best network of each latency tier, with an index.
    model_card: the README of a bundle, every figure with the place it is from.
    snippets: runners in Python and C++, and what Triton and TensorRT are told.
"""

from hwnas.exports.bundles.bundle import write_bundle
from hwnas.exports.bundles.folders import require_free
from hwnas.exports.bundles.hub import Tier, tiers_of, write_hub

__all__ = ["Tier", "require_free", "tiers_of", "write_bundle", "write_hub"]
