"""Exports: what counts as the same training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from hwnas.exports.exporting import _stored_metadata
from hwnas.training import Recipe

OLD = {"epochs": 12, "batch": 64, "learning_rate": 0.008, "weight_decay": 0.02, "label_smoothing": 0.05, "threads": 1}


def test_weights_of_before_recipes_had_so_many_fields_are_known_again(tmp_path: Path) -> None:
    file = tmp_path / "knee.safetensors"
    save_file({"a": torch.zeros(1)}, file, metadata={"recipe": json.dumps(OLD, sort_keys=True), "seed": "3"})
    wanted = json.dumps(Recipe(epochs=12).to_json(), sort_keys=True)
    assert _stored_metadata(file) == {"recipe": wanted, "seed": "3"}


@pytest.mark.parametrize("recipe", ["{", "[]", '{"unknown": 1}', '{"epochs": 0}'])
def test_weights_of_a_recipe_that_cannot_be_read_are_nobodys(recipe: str, tmp_path: Path) -> None:
    file = tmp_path / "knee.safetensors"
    save_file({"a": torch.zeros(1)}, file, metadata={"recipe": recipe})
    assert _stored_metadata(file) == {"recipe": recipe}
