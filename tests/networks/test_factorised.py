"""Factorised maps: contraction, counts and refusals."""

from __future__ import annotations

import math
import string

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from hwnas.core import UsageError
from hwnas.networks.factorised import BlockTermMap, DenseMap, LinearMap, LowRankMap, TensorTrainMap, balanced
from hwnas.networks.factorised_module import BlockTermLinear, TensorTrainLinear, linear_module

MODES = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 4)), min_size=2, max_size=4)
UCF11 = {"in_features": 57_600, "in_modes": (8, 20, 20, 18)}  # frames of 160 x 120 pixels in colour
GATES_256 = {"out_features": 1024, "out_modes": (16, 4, 4, 4)}  # of an LSTM with a state of 256


def sized(pairs: list[tuple[int, int]]) -> dict[str, object]:
    read, written = (tuple(sizes) for sizes in zip(*pairs, strict=True))
    return {
        "in_features": math.prod(read),
        "out_features": math.prod(written),
        "in_modes": read,
        "out_modes": written,
    }


def drawn(mapped: LinearMap) -> torch.nn.Module:
    module = linear_module(mapped)
    module.draw(torch.Generator().manual_seed(0))
    torch.nn.init.normal_(module.bias, generator=torch.Generator().manual_seed(1))
    return module.double()


def block_term_matrix(module: BlockTermLinear) -> np.ndarray:
    """The dense matrix, by its definition: the sum of Tucker terms."""
    mapped, d = module.mapped, len(module.mapped.in_modes)
    read, written, ranks = string.ascii_lowercase[:d], string.ascii_lowercase[d : 2 * d], string.ascii_uppercase[:d]
    total = np.zeros((mapped.in_features, mapped.out_features))
    for n in range(mapped.blocks):
        factors = []
        for k, (j, i) in enumerate(zip(mapped.in_modes, mapped.out_modes, strict=True)):
            held = module.factors[k].detach().numpy()
            if k == 0:
                factors.append(held.reshape(j, mapped.blocks, i, mapped.rank)[:, n])
            elif k < d - 1:
                factors.append(held[n].reshape(j, i, mapped.rank))
            else:
                factors.append(held[n].reshape(mapped.rank, j, i).transpose(1, 2, 0))
        core = module.core[n].detach().numpy().reshape((mapped.rank,) * d)
        terms = ",".join(f"{read[k]}{written[k]}{ranks[k]}" for k in range(d))
        whole = np.einsum(f"{ranks},{terms}->{read}{written}", core, *factors, optimize=True)
        total += whole.reshape(total.shape)
    return total


def tensor_train_matrix(module: TensorTrainLinear) -> np.ndarray:
    mapped = module.mapped
    whole = np.ones((1, 1, 1))  # read so far, written so far, rank
    for k, core in enumerate(module.cores):
        j, i, before, after = mapped.in_modes[k], mapped.out_modes[k], mapped.ranks[k], mapped.ranks[k + 1]
        four = core.detach().numpy().reshape(j, before, i, after)
        read, written, _ = whole.shape
        whole = np.einsum("xyr,jris->xjyis", whole, four).reshape(read * j, written * i, after)
    return whole[:, :, 0]


def required(module: torch.nn.Module, matrix: np.ndarray) -> None:
    x = np.random.default_rng(0).standard_normal((3, matrix.shape[0]))
    with torch.no_grad():
        found = module(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, x @ matrix + module.bias.detach().numpy(), rtol=1e-9, atol=1e-9)


@settings(max_examples=40)
@given(MODES, st.integers(1, 3), st.integers(1, 3))
def test_a_block_term_map_by_modes_is_its_dense_matrix(pairs: list[tuple[int, int]], rank: int, blocks: int) -> None:
    module = drawn(BlockTermMap(**sized(pairs), rank=rank, blocks=blocks))
    required(module, block_term_matrix(module))


@settings(max_examples=40)
@given(MODES, st.integers(1, 4))
def test_a_tensor_train_by_modes_is_its_dense_matrix(pairs: list[tuple[int, int]], rank: int) -> None:
    module = drawn(TensorTrainMap(**sized(pairs), rank=rank))
    required(module, tensor_train_matrix(module))


@settings(max_examples=40)
@given(
    MODES, st.integers(1, 3), st.integers(1, 3), st.sampled_from(["block-term", "tensor-train", "low-rank", "dense"])
)
def test_parameters_and_operations_are_those_of_the_module(
    pairs: list[tuple[int, int]], rank: int, blocks: int, kind: str
) -> None:
    modes = sized(pairs)
    ends = {"in_features": modes["in_features"], "out_features": modes["out_features"]}
    mapped: LinearMap
    if kind == "block-term":
        mapped = BlockTermMap(**modes, rank=rank, blocks=blocks)
    elif kind == "tensor-train":
        mapped = TensorTrainMap(**modes, rank=rank)
    elif kind == "low-rank":
        mapped = LowRankMap(**ends, rank=min(rank, *ends.values()))
    else:
        mapped = DenseMap(**ends)
    module = drawn(mapped)
    assert sum(p.numel() for p in module.parameters()) == mapped.params + mapped.out_features
    vectors = 2
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.zeros(vectors, mapped.in_features, dtype=torch.float64))
    once = mapped.blocks * mapped.core * math.prod((mapped.in_modes[-1], mapped.out_modes[-1])) if isinstance(
        mapped, BlockTermMap) else 0  # fmt: skip  # the core goes into the last factor whatever is read
    assert counter.get_total_flops() // 2 == vectors * mapped.macs + once
    assert mapped.peak >= max(mapped.in_features, mapped.out_features)


def test_the_paper_s_setting_has_the_paper_s_parameters() -> None:
    block_term = BlockTermMap(**UCF11, **GATES_256, rank=4, blocks=2)
    assert block_term.params == 3392
    assert 57_600 * 1024 // block_term.params == 17_388
    assert TensorTrainMap(**UCF11, **GATES_256, rank=4).params == 3360


@pytest.mark.parametrize("modes", [1, 2, 3, 4])
@given(st.integers(1, 5000))
def test_balanced_modes_multiply_to_the_size_and_none_are_closer(modes: int, size: int) -> None:
    found = balanced(size, modes)
    assert math.prod(found) == size
    assert list(found) == sorted(found)
    assert modes != 2 or found[0] == max(f for f in range(1, math.isqrt(size) + 1) if size % f == 0)


def test_a_fresh_map_keeps_the_variance_of_what_it_reads() -> None:
    ends = {"in_features": 1024, "out_features": 256, "in_modes": (8, 8, 16), "out_modes": (16, 4, 4)}
    x = torch.randn(200, 1024, generator=torch.Generator().manual_seed(0))
    for mapped in (
        DenseMap(in_features=1024, out_features=256),
        LowRankMap(in_features=1024, out_features=256, rank=64),
        TensorTrainMap(**ends, rank=8),
        BlockTermMap(**ends, rank=6, blocks=4),
    ):
        module = linear_module(mapped)
        module.draw(torch.Generator().manual_seed(0))
        with torch.no_grad():
            assert 0.6 < float(module(x).std()) < 1.5


@pytest.mark.parametrize("kind", [TensorTrainMap, BlockTermMap])
def test_modes_that_do_not_fit_are_refused_with_some_that_do(kind: type) -> None:
    with pytest.raises(UsageError, match="input modes of at least 1 whose product is 57600, received 8x20x20x17, whose "
                                         "product is 54400: 15x15x16x16 would fit"):  # fmt: skip
        kind(**(UCF11 | {"in_modes": (8, 20, 20, 17)}), **GATES_256, rank=4)
    with pytest.raises(UsageError, match=r"output modes .* is 1024, received 4x4x4x4"):
        kind(**UCF11, **(GATES_256 | {"out_modes": (4, 4, 4, 4)}), rank=4)
    with pytest.raises(UsageError, match="received -1x-16"):
        kind(in_features=16, in_modes=(-1, -16), out_features=4, out_modes=(2, 2), rank=1)
    with pytest.raises(UsageError, match="as many input modes as output modes, two or more"):
        kind(in_features=16, in_modes=(4, 4), out_features=8, out_modes=(2, 2, 2), rank=1)
    with pytest.raises(UsageError, match="two or more, received 16 and 4"):
        kind(in_features=16, in_modes=(16,), out_features=4, out_modes=(4,), rank=1)


def test_ranks_and_sizes_below_one_are_refused() -> None:
    modes = {"in_features": 16, "in_modes": (4, 4), "out_features": 4, "out_modes": (2, 2)}
    for kind in (TensorTrainMap, BlockTermMap):
        with pytest.raises(UsageError, match="expected a rank of at least 1, received 0: give 1 or more"):
            kind(**modes, rank=0)
    with pytest.raises(UsageError, match="number of blocks of at least 1, received -2"):
        BlockTermMap(**modes, rank=1, blocks=-2)
    with pytest.raises(UsageError, match="low-rank map: expected a rank of at least 1"):
        LowRankMap(in_features=16, out_features=4, rank=0)
    with pytest.raises(UsageError, match="rank of at most 4, the smaller of its 16 inputs and 4 outputs, received 5"):
        LowRankMap(in_features=16, out_features=4, rank=5)
    with pytest.raises(UsageError, match="dense map: expected a number of inputs of at least 1, received 0"):
        DenseMap(in_features=0, out_features=4)
