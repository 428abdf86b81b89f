"""Checkpoints: a training that goes on is the training that was never stopped, bit for bit on the CPU."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from hwnas.core import HwnasError, RunMismatchError, UsageError
from hwnas.training import (
    CheckpointError,
    Recipe,
    Training,
    accuracy,
    loop,
    read_checkpoint,
    train,
    write_checkpoint,
)
from tests.training.trainings import ALL_OF_IT, CPU, SIZE, few_digits, network, same, state, training_of

RECIPES = {
    "default": CPU,
    "everything": ALL_OF_IT,
    "averaged": replace(CPU, ema_decay=0.99),
    "mixed": replace(CPU, mixup=0.2),
    "sgd": replace(CPU, optimizer="sgd", learning_rate=0.05),
    "half": replace(CPU, precision="fp16"),
}
every_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


def trained(recipe: Recipe) -> dict[str, torch.Tensor]:
    module = network()
    train(module, few_digits(), recipe, size=SIZE, seed=0)
    return state(module)


@every_recipe
@pytest.mark.parametrize("stop", [1, 2])
def test_a_training_that_goes_on_from_a_file_ends_like_one_that_was_never_stopped(
    recipe: Recipe, stop: int, tmp_path: Path
) -> None:
    first = training_of(recipe)
    for _ in range(stop):
        first.epoch()
    write_checkpoint(first.state(), tmp_path / "t.safetensors")
    second = training_of(recipe, module=network(seed=99))  # begun otherwise: all of it is in the file
    second.load(read_checkpoint(tmp_path / "t.safetensors"))
    assert second.epochs_done == stop
    losses = []
    for training in (first, second):
        losses.append([training.epoch() for _ in range(stop, recipe.epochs)])
        training.finish()
    assert losses[0] == losses[1]
    assert same(state(first.module), state(second.module))
    assert same(state(first.module), trained(recipe))


@every_recipe
def test_judging_and_keeping_a_training_does_not_change_its_course(recipe: Recipe) -> None:
    data, training = few_digits(), training_of(recipe)
    while training.epochs_done < recipe.epochs:
        training.epoch()
        before = training.state()
        first = training.accuracy(data.validation)
        after = training.state()
        assert after.values == before.values
        assert same(dict(after.tensors), dict(before.tensors))
        assert training.accuracy(data.validation) == first
    training.finish()
    assert same(state(training.module), trained(recipe))


@every_recipe
def test_what_is_judged_on_the_way_is_what_would_be_handed_over(recipe: Recipe) -> None:
    data, training = few_digits(), training_of(recipe)
    training.epoch()
    found = training.accuracy(data.validation)
    training.finish()
    assert accuracy(training.module, data.validation, data, size=SIZE) == found
    assert training.accuracy(data.validation) == found


def test_a_state_is_not_changed_by_what_follows_and_can_be_gone_back_to() -> None:
    training = training_of(ALL_OF_IT)
    training.epoch()
    kept = training.state()
    copies = {name: value.clone() for name, value in kept.tensors.items()}
    losses = [training.epoch(), training.epoch()]
    assert same(copies, dict(kept.tensors))
    for _ in range(2):
        training.load(kept)
        assert [training.epoch(), training.epoch()] == losses
        assert same(copies, dict(kept.tensors))


def test_a_file_holds_plain_tensors_and_json(tmp_path: Path) -> None:
    training = training_of(ALL_OF_IT)
    training.epoch()
    path = write_checkpoint(training.state(), tmp_path / "t.safetensors")
    with safe_open(path, framework="pt") as stored:
        header = json.loads(stored.metadata()["hwnas.training"])
    assert header["epochs_done"] == 1
    assert header["settings"]["recipe"] == ALL_OF_IT.to_json()
    parts = {name.split("/")[0] for name in load_file(path)}
    assert parts == {"module", "average", "optimizer", "generator"}


# --- train


@every_recipe
def test_a_training_that_was_cut_off_goes_on_from_its_checkpoint_and_leaves_none(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_CHECKPOINT_EVERY_S", 0.0)
    path, finished = tmp_path / "sub" / "t.safetensors", []

    def stop(epochs: int) -> None:
        finished.append(epochs)
        if epochs == 2 and finished.count(2) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(network(), few_digits(), recipe, size=SIZE, seed=0, checkpoint=path, on_epoch=stop)
    assert path.exists()
    module = network()
    train(module, few_digits(), recipe, size=SIZE, seed=0, checkpoint=path, on_epoch=stop)
    assert finished == [1, 2, 3]
    assert same(state(module), trained(recipe))
    assert not path.exists()


def test_a_short_training_writes_nothing(tmp_path: Path) -> None:
    train(
        network(), few_digits(), CPU, size=SIZE, seed=0, checkpoint=tmp_path / "t.safetensors",
        on_epoch=lambda _: [entry.unlink() for entry in tmp_path.iterdir()] and pytest.fail("written"),
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


# --- what cannot be gone on with


@pytest.mark.parametrize("how", ["empty", "halved", "text", "no header", "no json", "of another version", "missing"])
def test_a_file_that_is_no_whole_checkpoint_is_an_error_that_names_it(how: str, tmp_path: Path) -> None:
    training = training_of(CPU)
    training.epoch()
    path = write_checkpoint(training.state(), tmp_path / "t.safetensors")
    whole = path.read_bytes()
    if how == "empty":
        path.write_bytes(b"")
    elif how == "halved":
        path.write_bytes(whole[: len(whole) // 2])
    elif how == "text":
        path.write_text("no tensors here")
    elif how == "missing":
        path.unlink()
    else:
        header = {
            "no header": None,
            "no json": {"hwnas.training": "{"},
            "of another version": {"hwnas.training": '{"version": 9}'},
        }
        save_file({"a": torch.zeros(1)}, path, metadata=header[how])
    message = "expected a checkpoint of version 1, received 9" if how == "of another version" else "cannot read"
    with pytest.raises(CheckpointError, match=message) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "remove it to begin anew" in str(caught.value)
    assert isinstance(caught.value, HwnasError)


def test_a_checkpoint_of_other_settings_is_refused_and_they_are_named() -> None:
    training = training_of(CPU)
    training.epoch()
    kept = training.state()
    others = {
        "recipe": training_of(replace(CPU, batch=16)),
        "seed": training_of(CPU, seed=1),
        "size": Training(network(), few_digits(), CPU, size=16, seed=0),
        "data_sha256": Training(network(), few_digits(90), CPU, size=SIZE, seed=0),
    }
    for name, other in others.items():
        with pytest.raises(RunMismatchError, match=f"of a training with other settings .*{name}: recorded") as caught:
            other.load(kept)
        assert list(caught.value.differences) == [name]
        other.epoch()  # it is as it was


def test_a_checkpoint_of_another_network_or_with_a_part_missing_is_refused() -> None:
    training = training_of(CPU)
    training.epoch()
    kept = training.state()
    other = training_of(CPU, module=torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(SIZE * SIZE, 10)))
    with pytest.raises(CheckpointError, match="of another network or incomplete"):
        other.load(kept)
    tensors = {name: value for name, value in kept.tensors.items() if name != "generator/order"}
    with pytest.raises(CheckpointError, match=r"incomplete .'generator/order'"):
        training.load(replace(kept, tensors=tensors))
    with pytest.raises(UsageError, match="took over half of a state: load a state of before"):
        training.epoch()  # half of it was taken over
    training.load(kept)
    training.epoch()
