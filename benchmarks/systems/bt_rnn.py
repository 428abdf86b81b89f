"""BT-RNN: block-term maps of frames beside dense, low-rank and tensor-train ones: size, operations, time and accuracy.

First the setting of the paper (Ye et al., 2018, https://arxiv.org/abs/1712.05134): an LSTM with a state of 256 over
six frames of 57,600 numbers (160 x 120 pixels in colour). Then LSTMs with a state of 64 over the made-up clips, trained
with several seeds. Latencies are those of whole networks in ONNX Runtime on one thread of this CPU, all of a table
timed side by side in shuffled rounds: dense and low-rank maps with the runtime's own LSTM operator, which takes no
other, the others with their steps written one after another.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hwnas.core import Value
from hwnas.networks import Block, network_family
from hwnas.networks.factorised import BlockTermMap, DenseMap, LinearMap, LowRankMap, TensorTrainMap
from hwnas.networks.graph import network_graph
from hwnas.networks.layers import Classifier
from hwnas.networks.sequences import FusedSteps, Project, Steps
from hwnas.training import Recipe, accuracy, load_data, train
from profilers import OnnxWorkload, open_device, time_networks

UCF11_CLASSES, UCF11_FRAMES, UCF11_STATE = 11, 6, 256
READ, WRITTEN = (8, 20, 20, 18), (16, 4, 4, 4)  # the modes of the paper, all gates in the first
STATE, SIZE = 64, 32
FORMS: tuple[Mapping[str, Value], ...] = (
    {"map": "dense"},
    *({"map": "low-rank", "rank": rank} for rank in (2, 4, 8)),
    *({"map": "tensor-train", "rank": rank} for rank in (2, 4, 8)),
    *({"map": "block-term", "rank": rank, "blocks": 2} for rank in (2, 4)),
)


def paper_maps() -> dict[str, LinearMap]:
    """Maps from a frame to the gates, by name."""
    read, written = math.prod(READ), math.prod(WRITTEN)
    train = TensorTrainMap(in_features=read, out_features=written, in_modes=READ, out_modes=WRITTEN, rank=4)
    terms = [
        BlockTermMap(in_features=read, out_features=written, in_modes=READ, out_modes=WRITTEN, rank=rank, blocks=2)
        for rank in (1, 2, 4)
    ]
    return {
        "dense": DenseMap(in_features=read, out_features=written),
        "low-rank 4": LowRankMap(in_features=read, out_features=written, rank=4),
        "tensor-train 4": train,
        **{f"block-term {term.rank} {term.blocks}": term for term in terms},
    }


def paper_blocks(mapped: LinearMap) -> tuple[Block, ...]:
    """The network of a map: frames are squares, for nothing depends on their sides."""
    side = math.isqrt(mapped.in_features)
    layer = Classifier(in_features=UCF11_STATE, classes=UCF11_CLASSES, pooled=False)
    head = Block(key="readout", layers=(layer,), size=1)
    if isinstance(mapped, DenseMap | LowRankMap):
        fused = FusedSteps(cell="lstm", frames=UCF11_FRAMES, mapped=mapped)
        return Block(key="fused", layers=(fused,), size=side), head
    project = Project(frames=UCF11_FRAMES, mapped=mapped)
    steps = Steps(cell="lstm", frames=UCF11_FRAMES, hidden=UCF11_STATE)
    blocks = (Block(key="project", layers=(project,), size=side), Block(key="steps", layers=(steps,), size=1))
    return (*blocks, head)


def timed_ms(models: Mapping[str, bytes]) -> dict[str, str]:
    """Latency of each model in milliseconds, with a mark where rounds did not agree."""
    workloads = [OnnxWorkload(name=name, model=model, parts={}) for name, model in models.items()]
    with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
        timed = time_networks(workloads, backend=open_device("cpu"), out=Path(folder, "timed"))
    timings = {name: timed[name].row.timing for name in models}
    return {name: f"{one.latency_ms:.4g}{' (noisy)' if one.noise == 'noisy' else ''}" for name, one in timings.items()}


def line(name: str, blocks: Sequence[Block], ms: str, rest: str = "") -> str:
    mapped = next(layer.mapped for block in blocks for layer in block.layers if isinstance(layer, FusedSteps | Project))
    dense = mapped.in_features * mapped.out_features
    macs = sum(block.macs for block in blocks)
    return f"| {name} | {mapped.params:,} | {dense // mapped.params:,} | {macs / 1e6:.2f} | {ms} |{rest}"


def show_paper() -> None:
    blocks = {name: paper_blocks(mapped) for name, mapped in paper_maps().items()}
    models = {name: network_graph(one, in_channels=UCF11_FRAMES)[0] for name, one in blocks.items()}
    ms = timed_ms(models)
    print("| map of a frame (rank, blocks) | parameters | dense over these | MACs [M] of the network | ms |")
    print("| --- | --- | --- | --- | --- |")
    for name, one in blocks.items():
        print(line(name, one, ms[name]))
    print(flush=True)


def show_clips(*, seeds: int, epochs: int) -> None:
    data = load_data("clips")
    family = network_family("recurrent", channels=data.channels, classes=data.classes)
    common: dict[str, Value] = {"resolution": SIZE, "cell": "lstm", "hidden": STATE}
    chosen = {" ".join(map(str, form.values())): family.space.architecture({**common, **form}) for form in FORMS}
    models = {name: family.workload(one).model for name, one in chosen.items()}
    ms = timed_ms(models)
    print("| map (rank, blocks) | parameters | dense over these | MACs [M] of the network | ms | test accuracy |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, one in chosen.items():
        found = []
        for seed in range(seeds):
            module = family.module(one, seed=seed)
            train(module, data, Recipe(epochs=epochs), size=SIZE, seed=seed)
            found.append(accuracy(module, data.test, data, size=SIZE))
        told = f" {np.mean(found):.1%} ({min(found):.1%} to {max(found):.1%}) |"
        print(line(name, family.blocks(one), ms[name], told), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args()
    show_paper()
    show_clips(seeds=arguments.seeds, epochs=arguments.epochs)


if __name__ == "__main__":
    main()
