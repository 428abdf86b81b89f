"""Spaces of published benchmarks that have no networks of their own here: their tables tell what a network is worth."""

from __future__ import annotations

from hwnas.spaces.space import Choice, SearchSpace

MACRO_LAYERS = 8
MACRO_OPERATIONS = ("identity", "k3_e3", "k5_e6")  # the digits 0, 1, 2 of the benchmark's strings
ACCEL_BLOCKS = 7
ACCEL_DEEPER = 6  # the block that may have four layers


def macro_space() -> SearchSpace:
    """NAS-Bench-Macro (Su et al., 2021, https://arxiv.org/abs/2103.11922): eight layers, 6,561 networks.

    A layer is nothing, or an inverted residual with kernel 3 and expansion 3, or 5 and 6.
    """
    names = (f"layer_{layer}" for layer in range(1, MACRO_LAYERS + 1))
    return SearchSpace("macro", tuple(Choice(name=name, options=MACRO_OPERATIONS, ordinal=False) for name in names))


def accel_space() -> SearchSpace:
    """Accel-NASBench (Ahmad et al., 2024, https://arxiv.org/abs/2404.08005): seven MnasNet-like blocks, 1e11 networks.

    Of each block ``b1`` to ``b7``: expansion, kernel, layers, and whether it has squeeze-and-excitation.
    """
    choices = []
    for block in range(1, ACCEL_BLOCKS + 1):
        choices += [
            Choice(name=f"b{block}.expansion", options=(1, 4, 6)),
            Choice(name=f"b{block}.kernel", options=(3, 5)),
            Choice(name=f"b{block}.layers", options=(1, 2, 3, 4) if block == ACCEL_DEEPER else (1, 2, 3)),
            Choice(name=f"b{block}.se", options=(False, True), ordinal=False),
        ]
    return SearchSpace("accel", tuple(choices))
