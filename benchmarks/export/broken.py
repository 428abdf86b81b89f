"""Models broken on purpose in one known place each: is every one caught, and the right culprit named?

Each kind of damage in `damage.py` is done to exported `mobilenet` networks with random weights and settled batch
normalisations, and `hwnas verify` is asked.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import onnx
from damage import KINDS, Kind
from round_trip import exported, has_everything

from hwnas.exports import Verification, verify
from hwnas.exports.verification import made_up_samples


def named(found: Verification) -> str:
    """All that a verification says of where the damage is."""
    if found.culprit is not None:
        return " ".join([found.culprit.node, *found.culprit.reasons])
    return " ".join(found.problems)


def judged(whole: Path, kind: Kind, folder: Path) -> tuple[bool, bool, str]:
    """Whether the damage was caught, whether it was named, and what was said."""
    model = onnx.load(whole)
    where = kind.damage(model)
    file = folder / "broken.onnx"
    file.write_bytes(model.SerializeToString())
    samples = (
        None if model.graph.input[0].type.tensor_type.shape.dim[0].dim_param else made_up_samples(onnx.load(whole))
    )
    found = verify(file, against=whole, samples=samples)
    return not found.passed, where in named(found), "; ".join(found.problems)


def networks(count: int, seed: int, folder: Path) -> Iterator[Path]:
    done = 0
    while done < count:
        file = exported(seed, folder)
        seed += 1
        if has_everything(onnx.load(file)):
            done += 1
            yield file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    totals = {kind.name: [0, 0] for kind in KINDS}
    said: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
        for whole in networks(arguments.networks, arguments.seed, Path(folder)):
            for kind in KINDS:
                caught, right, words = judged(whole, kind, Path(folder))
                totals[kind.name][0] += caught
                totals[kind.name][1] += right
                if not (caught and right):
                    print(f"LOOK {whole.name}, {kind.name}: {words or 'nothing was found'}")
                said.setdefault(kind.name, words)
    for name, (found, named) in totals.items():
        print(f"{name:38s} caught {found}/{arguments.networks}   culprit named {named}/{arguments.networks}")
        print(f"    {said[name][:230]}")
    every, right_ones = (sum(total[i] for total in totals.values()) for i in (0, 1))
    print(f"{len(KINDS)} kinds: caught {every}, culprit named {right_ones}, of {len(KINDS) * arguments.networks}")


if __name__ == "__main__":
    main()
