"""Bundles and hubs: they run where there is only the runtime, and every figure of theirs is in a file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import onnxruntime
import pytest

import hwnas
from hwnas.core import Architecture, InfeasibleError, UsageError
from hwnas.exports import Exported, ExportSettings
from hwnas.exports.bundles import require_free, tiers_of, write_bundle, write_hub
from hwnas.exports.bundles.snippets import RUNNER, triton_config, trtexec_line
from hwnas.exports.exporting import file_sha256
from hwnas.objectives import Bound
from hwnas.study import Run
from hwnas.study.measuring import Doubts
from hwnas.training import load_data, prepared

FILES = {
    "model.onnx", "preprocessing.json", "run.py", "run.cpp", "config.pbtxt", "README.md", "card.json",
    "provenance.json", "architecture.json", "network.py", "network.safetensors",
}  # fmt: skip


@pytest.fixture(scope="session")
def bundle(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = hwnas.open_run(exported.model.parents[1])
    return write_bundle(run, exported, tmp_path_factory.mktemp("bundles") / "knee")


def test_a_bundle_holds_what_it_takes(bundle: Path, exported: Exported) -> None:
    assert {file.name for file in bundle.iterdir()} == FILES
    assert (bundle / "model.onnx").read_bytes() == exported.model.read_bytes()
    assert json.loads((bundle / "preprocessing.json").read_text())["labels"] == [str(i) for i in range(10)]
    assert "knee" not in (bundle / "network.py").read_text()
    assert not [file for file in bundle.parent.iterdir() if file.name.startswith(".")]


def test_the_card_of_a_bundle_has_the_hashes_of_its_files(bundle: Path) -> None:
    card = json.loads((bundle / "card.json").read_text())
    assert set(card["files"]) == {"model.onnx", "network.safetensors", "network.py", "architecture.json"}
    assert all(file_sha256(bundle / file) == held for file, held in card["files"].items())


def test_the_runner_is_short_and_puts_an_image_into_the_class_that_the_model_does(
    bundle: Path, exported: Exported, tmp_path: Path
) -> None:
    assert len(RUNNER.splitlines()) <= 32
    data = load_data("digits")
    image = data.test.images[3]
    np.save(tmp_path / "image.npy", image)
    done = subprocess.run(
        [sys.executable, str(bundle / "run.py"), str(tmp_path / "image.npy")],
        capture_output=True,
        text=True,
        check=True,
    )
    read = prepared(image[None], data, size=exported.card["preprocessing"]["resize"][0]).numpy()
    logits = onnxruntime.InferenceSession(exported.model).run(None, {"image": read})[0][0]
    label, chance = done.stdout.split()
    assert label == data.class_names[int(logits.argmax())]
    assert float(chance) == pytest.approx(float(np.exp(logits.max()) / np.exp(logits).sum()), abs=2e-3)


@pytest.mark.parametrize("size", [5, 8, 24])
def test_the_runner_prepares_images_as_the_training_does(size: int) -> None:
    names: dict[str, Any] = {"__name__": "runner"}
    exec(compile(RUNNER, "run.py", "exec"), names)  # noqa: S102  (the very file that users are given)
    data = load_data("digits")
    mean, std = data.mean_std
    rules = {"resize": [size, size], "scale": 1 / 255, "mean": mean, "std": std}
    found = names["prepare"](data.test.images[0], rules)
    assert np.allclose(found, prepared(data.test.images[:1], data, size=size).numpy(), atol=1e-5)


def test_every_figure_of_the_model_card_stands_where_it_says(bundle: Path) -> None:
    page, card = (bundle / "README.md").read_text(), json.loads((bundle / "card.json").read_text())
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| `card.json#([^`]+)` \|$", page, flags=re.MULTILINE)
    assert len(rows) >= 8
    for _, told, pointer in rows:
        found: Any = card
        for name in pointer.strip("/").split("/"):
            found = found[name]
        value = float(told.rstrip("%")) / (100 if told.endswith("%") else 1)
        assert value == pytest.approx(found, rel=5e-3, abs=1e-4)
    head = page.split("---\n")[1]
    assert "pipeline_tag: image-classification" in head
    assert f"value: {card['accuracy']['test']!r}" in head
    assert "no device was given to measure on" in page


def card(**changes: Any) -> dict[str, Any]:
    return {"id": "a1", "precision": "fp32", "batch": 1, "preprocessing": {"resize": [24, 24]}, **changes}


def test_servers_are_told_the_shapes_and_types_of_the_model() -> None:
    fixed = triton_config(card(), name="knee", channels=3, classes=7)
    assert "max_batch_size: 0" in fixed
    assert "dims: [ 1, 3, 24, 24 ]" in fixed
    opened = triton_config(card(batch="dynamic", precision="fp16"), name="knee", channels=3, classes=7)
    assert "max_batch_size: 8" in opened
    assert "dims: [ 3, 24, 24 ]" in opened
    assert "TYPE_FP16" in opened
    assert opened.count("{") == opened.count("}")
    line = trtexec_line(card(batch="dynamic", precision="int8"), channels=3)
    assert "--stronglyTyped --minShapes=image:1x3x24x24 --optShapes=image:1x3x24x24 --maxShapes=image:8x3x24x24" in line


def test_a_folder_that_is_there_is_replaced_only_when_asked_and_only_if_it_is_a_bundle(
    bundle: Path, exported: Exported, tmp_path: Path
) -> None:
    run = hwnas.open_run(exported.model.parents[1])
    with pytest.raises(UsageError, match=r"expected a new folder, but .*knee exists.*--out, or give --force"):
        write_bundle(run, exported, bundle)
    write_bundle(run, exported, bundle, force=True)
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="is no bundle and no hub: --force does not replace it"):
        require_free(tmp_path, force=True)
    (tmp_path / "empty").mkdir()
    require_free(tmp_path / "empty", force=False)


def test_a_bundle_that_cannot_be_finished_leaves_nothing(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr("hwnas.exports.bundles.bundle.model_card", full)
    with pytest.raises(OSError, match="no space left"):
        write_bundle(hwnas.open_run(exported.model.parents[1]), exported, tmp_path / "knee")
    assert list(tmp_path.iterdir()) == []


def test_a_tier_gets_the_most_accurate_network_that_keeps_it(run: Run) -> None:
    front = run.front()
    fastest, slowest = front[0], front[-1]
    names = [f"{1.0001 * trial.values['latency_ms']}ms" for trial in (slowest, fastest)]
    tiers = tiers_of(run, names)
    assert [tier.trial.number for tier in tiers] == [
        fastest.number,
        max(front, key=lambda trial: trial.values["accuracy"]).number,
    ]
    with pytest.raises(InfeasibleError, match=r"no network of .* keeps the tier 1ns: the fastest takes"):
        tiers_of(run, ["1ns"])
    with pytest.raises(UsageError, match="cannot read 'soon'"):
        tiers_of(run, ["soon"])


def test_a_network_that_misses_a_tier_when_it_is_measured_is_passed_over(run: Run) -> None:
    best, *others = sorted(run.front(), key=lambda trial: -trial.values["accuracy"])
    limit_ms = 1.0001 * best.values["latency_ms"]

    class Slow:
        """Finds every network that it is asked about too slow."""

        asked: ClassVar[list[str]] = []

        def settle(self, architecture: Architecture, bounds: Sequence[Bound]) -> None:
            assert [bound.value for bound in bounds] == [limit_ms]
            if architecture.id == best.architecture.id:
                run.measured.latencies[architecture.id] = (1.1 * limit_ms, 0.0)
            self.asked.append(architecture.id)

    assert tiers_of(run, [f"{limit_ms!r}ms"])[0].trial.number == best.number
    (tier,) = tiers_of(run, [f"{limit_ms!r}ms"], doubts=cast("Doubts", Slow()))
    assert tier.trial.number == others[0].number
    assert Slow.asked == [best.architecture.id, others[0].architecture.id]


def test_a_hub_says_of_each_tier_which_network_it_is_and_where(run: Run, tmp_path: Path) -> None:
    tiers = tiers_of(run, ["1s", "2s"])
    network = tiers[0].trial.architecture.id
    done = hwnas.export(run, network, settings=ExportSettings())
    index = write_hub(run, tiers, {network: done}, tmp_path / "hub")
    assert index == json.loads((tmp_path / "hub" / "index.json").read_text())
    assert [entry["tier"] for entry in index["tiers"]] == ["1s", "2s"]
    for entry in index["tiers"]:
        assert (tmp_path / "hub" / entry["model"]).is_file()
        assert entry["accuracy"]["test"] == done.card["accuracy"]["test"]
        assert entry["keeps_limit"] is None
    page = (tmp_path / "hub" / "README.md").read_text()
    assert f"| 2s | [{network}]({network}/README.md) | fp32 | {done.card['accuracy']['test']:.2%} |" in page
    assert index["failed"] == []
