"""A search over recurrent networks, from clips to checked models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import hwnas
from hwnas.core import UsageError
from hwnas.exports import read_card
from hwnas.networks import network_family
from hwnas.training import Recipe
from tests.builders import made_up_table


@pytest.fixture
def clips(tmp_path: Path) -> str:
    """Forty clips of three frames."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    images = rng.integers(0, 128, (40, 3, 8, 8, 1)) + 100 * labels[:, None, None, None, None]
    np.savez(tmp_path / "own.npz", images=images, labels=labels)
    return str(tmp_path / "own.npz")


@pytest.mark.usefixtures("quick_exporter")
def test_recurrent_networks_are_searched_exported_and_verified_like_all_others(tmp_path: Path, clips: str) -> None:
    table = made_up_table(network_family("recurrent:tiny", channels=3, classes=2))
    run = hwnas.search(
        table=table, out=tmp_path / "run", space="recurrent:tiny", data=clips, trials=2, recipe=Recipe(epochs=1)
    )
    exported = hwnas.export(run)
    card = read_card(run, "knee")
    assert card is not None
    assert card["parity"]["passed"]
    session = onnxruntime.InferenceSession(exported.model)
    assert session.run(None, {"image": np.zeros((1, 3, 8, 8), dtype=np.float32)})[0].shape == (1, 2)


def test_data_without_frames_and_shared_weights_are_refused_before_any_training(tmp_path: Path, clips: str) -> None:
    table = made_up_table(network_family("recurrent:tiny", channels=3, classes=2))
    with pytest.raises(UsageError, match=r"reads clips, a channel for each frame: .* Take data of clips"):
        hwnas.search(table=table, out=tmp_path / "digits", space="recurrent:tiny", data="digits", trials=2)
    with pytest.raises(UsageError, match=r"weights cannot be shared by recurrent networks: .*--evaluator trained"):
        hwnas.search(
            table=table, out=tmp_path / "shared", space="recurrent:tiny", data=clips, evaluator="supernet", trials=2
        )
