"""Folders to deploy from: a model with all that is needed to use it, and several of them as a hub.

Contents:
    bundle: one model in a folder.
    cpp_runner: the runner in C++.
    engines: a TensorRT engine in a bundle, and what is said of it.
    folders: a folder that is there whole or not at all.
    hub: the best network of each latency tier, with an index.
    model_card: the README of a bundle, every figure with the place it is from.
    snippets: the runner in Python, and what Triton and TensorRT are told.
"""

from hwnas.exports.bundles.bundle import write_bundle
from hwnas.exports.bundles.engines import EngineMaker, engine_words, read_engine
from hwnas.exports.bundles.folders import require_free
from hwnas.exports.bundles.hub import Tier, tiers_of, write_hub

__all__ = [
    "EngineMaker",
    "Tier",
    "engine_words",
    "read_engine",
    "require_free",
    "tiers_of",
    "write_bundle",
    "write_hub",
]
