"""Exports: what counts as the same training, and one architecture in several roles."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from hwnas.commands.winners import export_winners
from hwnas.core import Architecture, Trial, VerificationError
from hwnas.exports import Exported, read_card
from hwnas.exports.exporting import file_sha256
from hwnas.exports.weights import stored_metadata
from hwnas.training import Recipe

OLD = {"epochs": 12, "batch": 64, "learning_rate": 0.008, "weight_decay": 0.02, "label_smoothing": 0.05, "threads": 1}


def test_weights_of_before_recipes_had_so_many_fields_are_known_again(tmp_path: Path) -> None:
    file = tmp_path / "knee.safetensors"
    save_file({"a": torch.zeros(1)}, file, metadata={"recipe": json.dumps(OLD, sort_keys=True), "seed": "3"})
    wanted = json.dumps(Recipe(epochs=12, channels_last=False).to_json(), sort_keys=True)  # as it was then
    assert stored_metadata(file) == {"recipe": wanted, "seed": "3"}


@pytest.mark.parametrize("recipe", ["{", "[]", '{"unknown": 1}', '{"epochs": 0}'])
def test_weights_of_a_recipe_that_cannot_be_read_are_nobodys(recipe: str, tmp_path: Path) -> None:
    file = tmp_path / "knee.safetensors"
    save_file({"a": torch.zeros(1)}, file, metadata={"recipe": recipe})
    assert stored_metadata(file) == {"recipe": recipe}


class Winners(SimpleNamespace):
    """FAKE of a run whose knee is its fastest trial as well."""

    def picks(self) -> dict[str, Trial]:
        return {name: self.pick(name) for name in ("knee", "fastest", "best")}

    def pick(self, name: str) -> Trial:
        return Trial(number=5 if name == "best" else 3, architecture=Architecture({"a": 1}), values={"accuracy": 0.5})


@pytest.fixture
def winners(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Winners:
    """A run of which every export is counted in ``made``, and fails its checks while ``passed`` is false."""
    run = Winners(folder=tmp_path, made=[], passed=True)
    (tmp_path / "models").mkdir()

    def export(_: object, pick: str, **__: object) -> Exported:
        run.made.append(pick)
        files = {f"{pick}.{kind}": tmp_path / "models" / f"{pick}.{kind}" for kind in ("onnx", "safetensors")}
        for name, file in files.items():
            file.write_text(f"what is in {name}")
        hashes = {name: file_sha256(file) for name, file in files.items()}
        card: dict[str, Any] = {"pick": pick, "trial": run.pick(pick).number, "passed": run.passed, "files": hashes}
        (tmp_path / "models" / f"{pick}.json").write_text(json.dumps(card))
        if not run.passed:
            raise VerificationError("it differs")
        return Exported(pick=pick, trial=run.pick(pick), model=files[f"{pick}.onnx"], card=card)

    monkeypatch.setattr("hwnas.commands.winners.export_one", export)
    return run


def test_an_architecture_of_two_roles_is_exported_once_and_each_has_its_files_and_card(winners: Winners) -> None:
    assert export_winners(winners, None) == []  # type: ignore[arg-type]
    assert winners.made == ["knee", "best"]
    for kind in ("onnx", "safetensors"):
        one, other = (winners.folder / "models" / f"{name}.{kind}" for name in ("knee", "fastest"))
        assert one.read_bytes() == other.read_bytes()
    knee, fastest = (read_card(winners, name) for name in ("knee", "fastest"))  # type: ignore[arg-type]
    assert knee is not None
    hashes = {f"fastest.{kind}": knee["files"][f"knee.{kind}"] for kind in ("onnx", "safetensors")}
    assert fastest == {**knee, "pick": "fastest", "files": hashes}
    assert export_winners(winners, None) == []  # type: ignore[arg-type]
    assert winners.made == ["knee", "best"]


def test_an_export_that_failed_its_checks_is_no_other_roles_export(winners: Winners) -> None:
    winners.passed = False
    assert [str(error) for error in export_winners(winners, None)] == ["it differs"] * 3  # type: ignore[arg-type]
    assert winners.made == ["knee", "fastest", "best"]
