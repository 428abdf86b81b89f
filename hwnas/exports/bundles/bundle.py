"""One model in a folder, with all that is needed to use it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from hwnas.exports.bundles.cpp_runner import cpp_runner
from hwnas.exports.bundles.engines import EngineMaker, write_engine
from hwnas.exports.bundles.folders import whole_folder
from hwnas.exports.bundles.model_card import model_card
from hwnas.exports.bundles.snippets import RUNNER, triton_config, trtexec_line
from hwnas.exports.exporting import Exported, file_sha256
from hwnas.study import Run


def write_bundle(
    run: Run, exported: Exported, folder: Path, *, force: bool = False, engines: EngineMaker | None = None
) -> Path:
    """Writes what one export needs to be deployed.

    ``model.onnx``, ``preprocessing.json`` (with the labels), ``run.py``, ``run.cpp``, ``config.pbtxt``, ``README.md``
    (a model card), ``card.json``, ``provenance.json``, ``architecture.json``, ``network.py`` and
    ``network.safetensors``; with ``engines`` also ``model.plan`` and ``timing.cache``, which run on this device alone.
    It is there whole or not at all, but for an engine that cannot be made: ``provenance.json`` and ``README.md`` then
    say why.

    Args:
        run: The run.
        exported: What ``hwnas.export`` gave.
        folder: Where.
        force: Whether a bundle that is there is replaced.
        engines: Makes the TensorRT engine; without it there is none.

    Returns:
        The folder.

    Raises:
        UsageError: The folder exists.
        OSError: It cannot be written.
    """
    with whole_folder(folder, force=force) as made:
        _fill(run, exported, made, name=folder.name, engines=engines)
    return folder


def _fill(run: Run, exported: Exported, made: Path, *, name: str, engines: EngineMaker | None) -> None:
    card, models = exported.card, run.folder / "models"
    architecture = json.loads((models / "architectures" / f"{exported.pick}.json").read_text(encoding="utf-8"))
    channels, classes = int(architecture["channels"]), int(architecture["classes"])
    labels = _labels(exported.model)
    shutil.copy(exported.model, made / "model.onnx")
    shutil.copy(models / f"{exported.pick}.safetensors", made / "network.safetensors")
    source = (models / f"{exported.pick}.py").read_text(encoding="utf-8")
    engine = None if engines is None else write_engine(engines, made, precision=card["precision"])
    about = {**provenance(run), "engine": engine}
    trtexec = trtexec_line(card, channels=channels, engine=engine)
    texts = {
        "network.py": source.replace(f"{exported.pick}.py", "network.py").replace(
            f"{exported.pick}.safetensors", "network.safetensors"
        ),
        "architecture.json": _json(architecture),
        "preprocessing.json": _json({**card["preprocessing"], "labels": labels}),
        "provenance.json": _json(about),
        "run.py": RUNNER,
        "run.cpp": cpp_runner(card, channels=channels, labels=labels),
        "config.pbtxt": triton_config(card, name=name, channels=channels, classes=classes),
        "README.md": model_card(card, about, classes=labels, trtexec=trtexec),
    }
    for file, text in texts.items():
        (made / file).write_text(text, encoding="utf-8")
    files = {
        file: file_sha256(made / file)
        for file in ("model.onnx", "network.safetensors", "network.py", "architecture.json")
    }
    (made / "card.json").write_text(_json({**card, "files": files}), encoding="utf-8")


def provenance(run: Run) -> dict[str, Any]:
    """Where a network is from: what was searched, with which versions, for which device."""
    manifest = run.table.manifest
    return {
        "space": run.settings.space,
        "data": run.settings.data,
        "data_sha256": run.settings.data_sha256,
        "table_sha256": run.settings.table_sha256,
        "seed": run.settings.seed,
        "device": manifest.device,
        "device_name": manifest.device_name,
        "runtime": f"{manifest.runtime} {manifest.runtime_version}",
        "begun": dict(run.begun),
    }


def _labels(model: Path) -> list[str]:
    held = {entry.key: entry.value for entry in onnx.load(model).metadata_props}
    return [str(label) for label in json.loads(held["hwnas.labels"])]


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2) + "\n"
