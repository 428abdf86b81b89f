"""Recurrent networks: cells, the space, and what is profiled of them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hwnas.core import Architecture, UsageError
from hwnas.networks import NetworkCosts, NetworkFamily, network_family
from hwnas.networks.factorised import BlockTermMap, DenseMap, LinearMap, LowRankMap, TensorTrainMap
from hwnas.networks.sequence_module import recurrent_module
from hwnas.networks.sequences import GATES, FusedSteps, Project, Steps
from hwnas.spaces import ArchitectureCodes, recurrent_space
from profilers import OnnxRuntimeBackend, RunPlan
from tests.networks.weights import runtime

FRAMES, SIZE, HIDDEN = 4, 16, 6
FORMS = ("dense", "low-rank", "tensor-train", "block-term")


@pytest.fixture(scope="module")
def family() -> NetworkFamily:
    return network_family("recurrent:tiny", channels=FRAMES, classes=5)


def architecture(family: NetworkFamily, cell: str, form: str) -> Architecture:
    every = {"resolution": 8, "cell": cell, "hidden": 8, "map": form, "rank": 2, "blocks": 2}
    return family.space.architecture({k: v for k, v in every.items() if k in kept(form)})


def kept(form: str) -> set[str]:
    own = {"dense": set(), "block-term": {"rank", "blocks"}}
    return {"resolution", "cell", "hidden", "map", *own.get(form, {"rank"})}


# --- cells


@settings(max_examples=20)
@given(st.integers(1, 5), st.integers(1, 3), st.integers(0, 2**31))
def test_a_dense_cell_is_torch_s_own(frames: int, batch: int, seed: int) -> None:
    for cell, gates in GATES.items():
        mapped = DenseMap(in_features=SIZE, out_features=gates * HIDDEN)
        module = recurrent_module(mapped, cell=cell, frames=frames, seed=seed)
        projection, steps = module
        nn.init.normal_(projection.linear.bias, generator=torch.Generator().manual_seed(seed))
        order = {"rnn": [0], "gru": [0, 1, 2], "lstm": [0, 1, 3, 2]}[cell]  # torch has the new values third, ours last
        known = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[cell](SIZE, HIDDEN, batch_first=True)
        with torch.no_grad():
            for name, values in (
                ("weight_ih_l0", projection.linear.weight.T),
                ("weight_hh_l0", steps.weight.T),
                ("bias_ih_l0", projection.linear.bias),
            ):
                parts = values.split(HIDDEN)
                getattr(known, name).copy_(torch.cat([parts[i] for i in order]))
            known.bias_hh_l0.zero_()
            x = torch.randn(batch, frames, SIZE, generator=torch.Generator().manual_seed(seed))
            torch.testing.assert_close(module(x), known(x)[0][:, -1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", GATES)
def test_a_cell_reads_frames_in_any_form(cell: str) -> None:
    modes = {"in_features": SIZE, "in_modes": (4, 4), "out_features": GATES[cell] * 4, "out_modes": (GATES[cell], 4)}
    maps: list[LinearMap] = [
        DenseMap(in_features=SIZE, out_features=GATES[cell] * 4),
        LowRankMap(in_features=SIZE, out_features=GATES[cell] * 4, rank=2),
        TensorTrainMap(**modes, rank=2),
        BlockTermMap(**modes, rank=2, blocks=2),
    ]
    clips = torch.randn(3, FRAMES, 4, 4, generator=torch.Generator().manual_seed(0))
    for mapped in maps:
        module = recurrent_module(mapped, cell=cell, frames=FRAMES, seed=0)
        with torch.no_grad():
            state = module(clips)
            torch.testing.assert_close(state, module(clips.flatten(2)))  # frames as vectors
        assert state.shape == (3, 4)
        assert state.std() > 0


def test_what_no_cell_can_be_made_of_is_refused() -> None:
    mapped = DenseMap(in_features=4, out_features=10)
    with pytest.raises(UsageError, match="cell lstm: expected a map to a multiple of its 4 gates, received 10 outputs"):
        recurrent_module(mapped, cell="lstm", frames=2, seed=0)
    with pytest.raises(UsageError, match=r"unknown recurrent cell 'lstn': .* Did you mean 'lstm'"):
        recurrent_module(mapped, cell="lstn", frames=2, seed=0)
    with pytest.raises(UsageError, match="unknown recurrent cell 'mlp'"):
        Steps(cell="mlp", frames=2, hidden=4)
    with pytest.raises(UsageError, match="a state of at least 1 number, received 0"):
        Steps(cell="rnn", frames=2, hidden=0)
    with pytest.raises(UsageError, match="unknown cell with an operator 'rnn'"):
        FusedSteps(cell="rnn", frames=2, mapped=mapped)
    with pytest.raises(UsageError, match="cell gru: expected a map to a multiple of its 3 gates"):
        FusedSteps(cell="gru", frames=2, mapped=mapped)
    with pytest.raises(UsageError, match="clips of at least 1 frame, received 0"):
        Project(frames=0, mapped=mapped)


# --- networks


def test_images_that_are_no_clips_are_refused() -> None:
    with pytest.raises(UsageError, match="reads clips, a channel for each frame: expected at least 2, received images"):
        network_family("recurrent", channels=1)


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown recurrent preset 'large'"):
        recurrent_space("large")


@pytest.mark.filterwarnings(r"ignore:.isinstance\(treespec, LeafSpec\). is deprecated:FutureWarning")  # inside torch
@pytest.mark.parametrize(
    ("cell", "form"),
    [("lstm", "block-term"), ("gru", "tensor-train"), ("rnn", "low-rank"), ("lstm", "low-rank"), ("gru", "dense")],
)
def test_what_is_profiled_is_what_torch_exports(family: NetworkFamily, cell: str, form: str) -> None:
    one = architecture(family, cell, form)
    module = family.module(one, seed=0).eval()
    for name, parameter in module.named_parameters():
        if "bias" in name:  # zeros would be left out
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(0))
    program = torch.onnx.export(module, (torch.zeros(1, FRAMES, 8, 8),), dynamo=True, opset_version=18, verbose=False)
    assert program is not None
    backend, plan, workload = OnnxRuntimeBackend(), RunPlan(warmup_runs=1, runs=1), family.workload(one)
    profiled = Counter(use.key for use in backend.profile(workload.model, workload.parts, plan).uses)
    exported = program.model_proto.SerializeToString()
    promised = Counter(use.key for use in backend.profile(exported, {"": "all"}, plan).uses)
    assert profiled == promised


@pytest.mark.parametrize("cell", GATES)
@pytest.mark.parametrize("form", FORMS)
def test_the_graph_computes_what_the_module_computes(family: NetworkFamily, cell: str, form: str) -> None:
    one = architecture(family, cell, form)
    module = family.module(one, seed=0).eval()
    for name, parameter in module.named_parameters():
        if "bias" in name:
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(0))
    model = onnx.load_from_string(family.workload(one).model)
    given_to(model, module)
    clips = torch.randn(1, FRAMES, 8, 8, generator=torch.Generator().manual_seed(0))
    session = runtime(model.SerializeToString())
    found = session.run(None, {"image": clips.numpy()})[0]
    with torch.no_grad():
        np.testing.assert_allclose(found, module(clips).numpy(), rtol=1e-3, atol=1e-5)


def given_to(model: onnx.ModelProto, module: nn.Sequential) -> None:
    """Gives a graph the weights of a module."""
    first, *steps, head = (block.layers[0] for block in module)
    values = {f"p0{len(module) - 1}/l0.{name}": getattr(head.linear, name) for name in ("weight", "bias")}
    values |= of_linear(first.linear, steps[0]) if steps else of_fused(first)
    left = {weight.name: weight for weight in model.graph.initializer if weight.data_type == onnx.TensorProto.FLOAT}
    for name, value in values.items():
        weight = left.pop(name)
        assert tuple(weight.dims) == tuple(value.shape)
        weight.CopyFrom(onnx.numpy_helper.from_array(value.detach().numpy(), name))
    assert set(left) <= {"p00/l0.zero"}


def of_fused(fused: nn.Module) -> dict[str, torch.Tensor]:
    """ONNX has the gates in another order than torch."""
    cell = fused.cell
    order = [0, 3, 1, 2] if isinstance(cell, nn.LSTM) else [1, 0, 2]

    def ordered(values: torch.Tensor) -> torch.Tensor:
        parts = values.split(cell.hidden_size)
        return torch.cat([parts[i] for i in order])

    bias = torch.cat([ordered(cell.bias_ih_l0), ordered(cell.bias_hh_l0)])
    values = {"p00/l0.read": ordered(cell.weight_ih_l0)[None], "p00/l0.held": ordered(cell.weight_hh_l0)[None]}
    narrow = {} if fused.narrow is None else {"p00/l0.narrow": fused.narrow}
    return values | narrow | {"p00/l0.bias": bias[None]}


def of_linear(linear: nn.Module, steps: nn.Module) -> dict[str, torch.Tensor]:
    values = {"p00/l0.bias": linear.bias, "p01/l0.weight": steps.weight}
    if hasattr(linear, "core"):
        values |= {f"p00/l0.factor{k}": factor for k, factor in enumerate(linear.factors[:-1])}
        values["p00/l0.cores"] = torch.bmm(linear.core, linear.factors[-1]).reshape(linear.mapped.last)
    elif hasattr(linear, "cores"):
        values |= {f"p00/l0.core{k}": core for k, core in enumerate(linear.cores)}
    elif hasattr(linear, "narrow"):
        values |= {"p00/l0.narrow": linear.narrow, "p00/l0.weight": linear.wide}
    else:
        values["p00/l0.weight"] = linear.weight
    return values


def test_weights_in_memory_are_those_of_the_graph(family: NetworkFamily) -> None:
    costs = NetworkCosts(family)
    for cell in GATES:
        for form in FORMS:
            one = architecture(family, cell, form)
            graph = onnx.load_from_string(family.workload(one).model).graph
            floats = [w for w in graph.initializer if w.data_type == onnx.TensorProto.FLOAT and "zero" not in w.name]
            held = sum(np.prod(w.dims) * 4 for w in floats)
            found = costs.values(ArchitectureCodes(family.space).encode([one]))
            assert found["weights_mib"][0] * 2**20 == held
            assert found["activations_mib"][0] > 0
