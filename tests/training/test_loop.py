"""Training: what networks read, the same result for the same seed, and figures that can be computed by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hwnas.core import Architecture, HwnasError, UsageError
from hwnas.networks import NetworkFamily
from hwnas.training import (
    PRESETS,
    HeldImages,
    ImageData,
    Recipe,
    Split,
    TrainingDivergedError,
    accuracy,
    judging,
    load_data,
    logits,
    prepared,
    preset,
    train,
    train_to,
)
from tests.training.trainings import ALL_OF_IT, CPU, SIZE, few_digits, network, same, state, training_of

SHORT = Recipe(epochs=1, batch=32, device="cpu")


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load_data("digits")


@pytest.fixture(scope="module")
def few() -> ImageData:
    """A hundred of the digits."""
    return few_digits()


@pytest.fixture(scope="module")
def small(tiny_family: NetworkFamily) -> Architecture:
    """The smallest network for images of eight pixels."""
    return tiny_family.space.architecture({choice.name: choice.options[0] for choice in tiny_family.space.choices})


def colour_data(n: int = 12, *, size: tuple[int, int] = (10, 14), seed: int = 0) -> ImageData:
    """Random colour images whose channels differ in brightness."""
    rng = np.random.default_rng(seed)
    images = (rng.integers(0, 120, (n, *size, 3)) + np.array([0, 60, 130])).astype(np.uint8)
    split = Split(images, np.arange(n, dtype=np.int64) % 2)
    return ImageData(name="colour", class_names=("a", "b"), train=split, validation=split, test=split)


# --- what networks read


@pytest.mark.parametrize("size", [4, 10, 12, 32])
def test_images_become_a_batch_of_the_size_asked_for(size: int) -> None:
    data = colour_data()
    found = prepared(data.train.images, data, size=size)
    assert found.shape == (12, 3, size, size)
    assert found.dtype == torch.float32
    assert found.is_contiguous()
    assert torch.isfinite(found).all()


def test_training_images_have_mean_0_and_deviation_1_in_every_channel() -> None:
    data = colour_data(size=(10, 10))
    found = prepared(data.train.images, data, size=10)
    assert torch.allclose(found.mean((0, 2, 3)), torch.zeros(3), atol=1e-4)
    assert torch.allclose(found.std((0, 2, 3)), torch.ones(3), atol=1e-3)


def test_pixels_keep_their_place_and_are_normalised_by_the_training_images(digits: ImageData) -> None:
    images = digits.test.images[:5]
    (mean,), (std,) = digits.mean_std
    expected = (images.astype(np.float64) / 255 - mean) / std
    found = prepared(images, digits, size=SIZE).numpy()
    assert np.allclose(found, expected.transpose(0, 3, 1, 2), atol=1e-5)
    assert mean == pytest.approx(digits.train.images.mean() / 255, abs=1e-5)


def test_an_image_of_one_colour_stays_so_when_it_is_resized() -> None:
    data = colour_data()
    flat = np.broadcast_to(np.array([10, 100, 200], dtype=np.uint8), (1, 10, 14, 3))
    found = prepared(flat, data, size=5)
    assert torch.allclose(found, found[:, :, :1, :1].expand_as(found), atol=1e-5)


def test_the_images_themselves_are_left_alone(digits: ImageData) -> None:
    before = digits.train.images.copy()
    prepared(digits.train.images, digits, size=16)
    assert np.array_equal(digits.train.images, before)


# --- training


def test_a_network_learns_digits_in_two_passes(
    tiny_family: NetworkFamily, small: Architecture, digits: ImageData
) -> None:
    module = tiny_family.module(small, seed=0)
    before = accuracy(module, digits.validation, digits, size=SIZE)
    finished: list[int] = []
    train(module, digits, Recipe(epochs=2, batch=32), size=SIZE, seed=0, on_epoch=finished.append)
    assert before < 0.3
    assert accuracy(module, digits.validation, digits, size=SIZE) > 0.5
    assert accuracy(module, digits.test, digits, size=SIZE) > 0.5
    assert finished == [1, 2]
    assert not module.training


def test_the_same_seed_gives_the_same_network_and_another_seed_another(
    tiny_family: NetworkFamily, small: Architecture, few: ImageData
) -> None:
    found = []
    for seed in (3, 3, 4):
        module = tiny_family.module(small, seed=0)
        train(module, few, SHORT, size=SIZE, seed=seed)
        found.append(state(module))
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


def test_training_neither_reads_nor_changes_the_global_random_states(
    tiny_family: NetworkFamily, small: Architecture, few: ImageData
) -> None:
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002  (the global generator is the point)
        torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        module = tiny_family.module(small, seed=0)
        train(module, few, SHORT, size=SIZE, seed=0)
        accuracy(module, few.validation, few, size=SIZE)
        assert torch.equal(torch.get_rng_state(), torch_before)
        assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
        found.append(state(module))
    assert same(*found)


def test_training_sees_the_training_images_alone(
    tiny_family: NetworkFamily, small: Architecture, few: ImageData
) -> None:
    nothing = Split(np.zeros_like(few.test.images), np.zeros_like(few.test.labels))
    blind = ImageData(name="blind", class_names=few.class_names, train=few.train, validation=nothing, test=nothing)
    found = []
    for data in (few, blind):
        module = tiny_family.module(small, seed=0)
        train(module, data, SHORT, size=SIZE, seed=0)
        found.append(state(module))
    assert same(*found)


def test_every_image_counts_at_most_once_a_pass(few: ImageData) -> None:
    """The rest that fills no batch is left out: 100 images make three batches of 32."""

    class Recorder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(SIZE * SIZE, 10)
            self.seen: list[torch.Tensor] = []

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.seen.append(x.flatten(1).clone())
            logits_: torch.Tensor = self.linear(x.flatten(1))
            return logits_

    module = Recorder()
    train(module, few, Recipe(epochs=2, batch=32), size=SIZE, seed=0)
    assert [len(batch) for batch in module.seen] == [32] * 6
    passes = [torch.cat(module.seen[start : start + 3]) for start in (0, 3)]
    known = {tuple(image.tolist()) for image in prepared(few.train.images, few, size=SIZE).flatten(1)}
    for images in passes:
        seen = [tuple(image.tolist()) for image in images]
        assert set(seen) <= known
        assert len(set(seen)) == len(seen)
    assert not torch.equal(*passes)


@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_a_batch_larger_than_the_data_is_all_of_the_data(
    tiny_family: NetworkFamily, small: Architecture, few: ImageData, epochs: int
) -> None:
    before = state(tiny_family.module(small, seed=0))
    found = []
    for batch in (10**6, 100):
        module = tiny_family.module(small, seed=0)
        train(module, few, Recipe(epochs=epochs, batch=batch), size=SIZE, seed=0)
        found.append(state(module))
    assert same(*found)
    assert not same(found[0], before)


def test_the_default_recipe_is_adamw_with_torchs_one_cycle_written_out_here_bit_for_bit(few: ImageData) -> None:
    """What figures were recorded with: a change of the loop must not change them."""
    module, recipe = network(), Recipe(epochs=2, batch=32, device="cpu")
    images, labels = prepared(few.train.images, few, size=SIZE), torch.from_numpy(few.train.labels)
    generator = torch.Generator().manual_seed(7)
    optimizer = torch.optim.AdamW(module.parameters(), lr=8e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=2 * 3)
    loss_function = nn.CrossEntropyLoss(label_smoothing=0.05)
    module.train()
    for _ in range(2):
        order = torch.randperm(100, generator=generator)
        for step in range(3):
            picked = order[step * 32 : (step + 1) * 32]
            loss = loss_function(module(images[picked]), labels[picked])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    trained = network()
    train(trained, few, recipe, size=SIZE, seed=7)
    assert same(state(module), state(trained))


# --- epoch by epoch


def test_a_training_driven_epoch_by_epoch_is_train(few: ImageData) -> None:
    training = training_of(CPU, seed=3)
    losses = [training.epoch() for _ in range(3)]
    training.finish()
    module = network()
    train(module, few, CPU, size=SIZE, seed=3)
    assert same(state(training.module), state(module))
    assert not training.module.training
    assert losses[-1] < losses[0]


def test_there_is_no_epoch_after_the_last() -> None:
    training = training_of(SHORT)
    training.epoch()
    with pytest.raises(UsageError, match="the recipe has 1 epochs, and all are done: expected no further one"):
        training.epoch()
    assert training.epochs_done == 1


@pytest.mark.parametrize("recipe", [CPU, ALL_OF_IT], ids=["default", "everything"])
def test_a_finished_training_goes_on_only_from_a_state_of_before(recipe: Recipe) -> None:
    training = training_of(recipe)
    training.epoch()
    kept = training.state()
    training.finish()
    for after in (training.epoch, training.state, training.finish):
        with pytest.raises(UsageError, match="the training is finished: load a state of before, or begin anew"):
            after()
    training.load(kept)
    other = training_of(recipe)
    other.load(kept)
    assert training.epoch() == other.epoch()


def test_a_training_cut_off_within_an_epoch_is_neither_kept_nor_gone_on_with(few: ImageData) -> None:
    class Stopping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network()
            self.steps = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.steps += 1
            if self.steps == 5:
                raise KeyboardInterrupt
            found: torch.Tensor = self.inner(x)
            return found

    training = training_of(CPU, module=Stopping())
    training.epoch()
    kept = training.state()
    with pytest.raises(KeyboardInterrupt):
        training.epoch()
    for after in (training.epoch, training.state, training.finish):
        with pytest.raises(UsageError, match="cut off within an epoch: load a state of before, or begin anew"):
            after()
    training.load(kept)
    training.epoch()
    training.epoch()
    training.finish()
    whole = network()
    train(whole, few, CPU, size=SIZE, seed=0)
    assert same(state(training.module.inner), state(whole))  # type: ignore[arg-type]


def test_the_order_of_the_images_does_not_hang_on_what_is_done_to_them(few: ImageData) -> None:
    class Labels(nn.Module):
        """Tells images apart by their sum, which mirroring leaves alone."""

        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(SIZE * SIZE, 10)
            self.seen: list[torch.Tensor] = []

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.seen.append(x.sum((1, 2, 3)))
            found: torch.Tensor = self.linear(x.flatten(1))
            return found

    plain, mirrored = Labels(), Labels()
    train(plain, few, SHORT, size=SIZE, seed=0)
    train(mirrored, few, replace(SHORT, flip="always"), size=SIZE, seed=0)
    assert torch.allclose(torch.cat(plain.seen), torch.cat(mirrored.seen), atol=1e-3)


@pytest.mark.parametrize(("channels", "last"), [(1, False), (3, True)])
def test_images_of_several_channels_are_trained_with_the_channels_last_where_nothing_else_is_said(
    few: ImageData, channels: int, last: bool
) -> None:
    part = Split(few.train.images.repeat(channels, axis=3), few.train.labels)
    data = replace(few, train=part)
    orders: list[bool] = []

    class Watching(nn.Conv2d):
        """FAKE layer that notes how its weights lie in memory."""

        def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002  (as the base class has it)
            orders.append(self.weight.is_contiguous(memory_format=torch.channels_last))
            return super().forward(input)

    for order, expected in (("auto", last), (True, True), (False, False)):
        module = nn.Sequential(
            nn.Conv2d(channels, 4, 3), Watching(4, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)
        )
        orders.clear()
        train(module, data, replace(SHORT, channels_last=order), size=SIZE, seed=0)
        assert set(orders) == {expected}


@pytest.mark.parametrize(
    "changes",
    [{"precision": "bf16"}, {"precision": "fp16"}, {"channels_last": True}, {"recalibration_images": 50}],
    ids=str,
)
def test_how_it_is_computed_changes_the_result_a_little(few: ImageData, changes: dict[str, Any]) -> None:
    module, exact = network(), network()
    train(module, few, replace(SHORT, **changes), size=SIZE, seed=0)
    train(exact, few, SHORT, size=SIZE, seed=0)
    pairs = zip(module.parameters(), exact.parameters(), strict=True)
    difference = sum(float((one - other).detach().norm()) for one, other in pairs)
    assert difference < 0.2 * sum(float(parameter.detach().norm()) for parameter in exact.parameters())
    assert all(parameter.is_contiguous() and parameter.dtype == torch.float32 for parameter in module.parameters())


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_learns(digits: ImageData, name: str) -> None:
    module = network()
    train(module, digits, preset(name, epochs=3, batch=64, device="cpu"), size=SIZE, seed=0)
    assert accuracy(module, digits.validation, digits, size=SIZE) > 0.25  # guessing gives 0.1


def test_images_too_many_to_be_held_ready_give_the_same_network(
    few: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    colour, device = colour_data(), torch.device("cpu")
    picked = torch.tensor([5, 0, 7])
    ready = HeldImages(colour.train.images, colour, size=9, device=device).at(picked)
    held = network()
    train(held, few, SHORT, size=SIZE, seed=0)
    monkeypatch.setattr(judging, "_HELD_BYTES", 0)
    assert torch.equal(HeldImages(colour.train.images, colour, size=9, device=device).at(picked), ready)
    unheld = network()
    train(unheld, few, SHORT, size=SIZE, seed=0)
    assert same(state(held), state(unheld))


# --- divergence


def test_an_absurd_learning_rate_is_an_error_that_names_it(
    tiny_family: NetworkFamily, small: Architecture, few: ImageData
) -> None:
    module = tiny_family.module(small, seed=0)
    with pytest.raises(
        TrainingDivergedError, match=r"in epoch \d+: lower the learning rate \(1000000000000\.0\)"
    ) as caught:
        train(module, few, Recipe(epochs=4, batch=16, learning_rate=1e12), size=SIZE, seed=0)
    assert isinstance(caught.value, HwnasError)


def test_weights_that_are_no_numbers_are_an_error(
    tiny_family: NetworkFamily, small: Architecture, few: ImageData
) -> None:
    module = tiny_family.module(small, seed=0)
    with torch.no_grad():
        next(module.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingDivergedError, match="the loss became nan in epoch 1"):
        train(module, few, SHORT, size=SIZE, seed=0)


# --- accuracy


def test_accuracy_is_the_share_of_right_answers_counted_one_by_one(
    tiny_family: NetworkFamily, small: Architecture, digits: ImageData
) -> None:
    module = tiny_family.module(small, seed=0)
    train(module, digits, SHORT, size=SIZE, seed=0)
    part = Split(digits.test.images[:60], digits.test.labels[:60])
    (mean,), (std,) = digits.mean_std
    right = 0
    for image, label in zip(part.images, part.labels, strict=True):
        pixels = torch.from_numpy((image.astype(np.float32) / 255 - mean) / std).permute(2, 0, 1)[None].float()
        with torch.no_grad():
            right += int(module(pixels).argmax()) == label
    assert 0 < right < 60
    assert accuracy(module, part, digits, size=SIZE) == pytest.approx(right / 60)


def test_the_split_into_batches_does_not_change_the_outputs(
    tiny_family: NetworkFamily, small: Architecture, digits: ImageData
) -> None:
    module = tiny_family.module(small, seed=0).train()
    images = prepared(digits.test.images[:50], digits, size=SIZE)
    whole = logits(module, images)
    assert whole.shape == (50, 10)
    assert not module.training
    assert not whole.requires_grad
    for batch in (1, 7, 50):
        assert torch.allclose(logits(module, images, batch=batch), whole, atol=1e-5)


@pytest.mark.parametrize("recipe", [CPU, ALL_OF_IT], ids=["plain", "all"])
def test_a_training_in_parts_comes_to_the_weights_of_one_in_one_go(recipe: Recipe, tmp_path: Path) -> None:
    whole, parts = network(), [network() for _ in range(3)]
    common: dict[str, Any] = {"size": SIZE, "seed": 0}
    train(whole, few_digits(), recipe, **common)
    kept = tmp_path / "kept.safetensors"
    for epochs, module in zip((1, 2), parts, strict=False):
        training = train_to(module, few_digits(), recipe, **common, epochs=epochs, checkpoint=kept)
        assert training.epochs_done == epochs
        training.accuracy(few_digits().validation, recalibration_images=32)
    train(parts[2], few_digits(), recipe, **common, checkpoint=kept)
    assert same(state(parts[2]), state(whole))
    assert not kept.exists()


def test_a_checkpoint_beyond_what_is_asked_for_is_not_gone_on_with(tmp_path: Path) -> None:
    kept = tmp_path / "kept.safetensors"
    common: dict[str, Any] = {"size": SIZE, "seed": 0, "checkpoint": kept}
    train_to(network(), few_digits(), CPU, **common, epochs=2)
    anew = network()
    assert train_to(anew, few_digits(), CPU, **common, epochs=1).epochs_done == 1
    once = network()
    train_to(once, few_digits(), CPU, size=SIZE, seed=0, epochs=1)
    assert same(state(anew), state(once))


@pytest.mark.parametrize("epochs", [0, 4])
def test_parts_that_the_recipe_does_not_have_are_refused(epochs: int) -> None:
    with pytest.raises(UsageError, match=f"expected an epoch from 1 to 3, received {epochs}"):
        train_to(network(), few_digits(), CPU, size=SIZE, seed=0, epochs=epochs)


def test_a_judgement_with_statistics_taken_anew_is_that_of_a_recipe_that_takes_them_and_changes_nothing() -> None:
    plain, taking = training_of(CPU), training_of(replace(CPU, recalibration_images=40))
    for training in (plain, taking):
        training.epoch()
    before = state(plain.module)
    judged = plain.accuracy(few_digits().validation, recalibration_images=40)
    assert judged == taking.accuracy(few_digits().validation)
    assert judged == taking.accuracy(few_digits().validation, recalibration_images=7)  # the recipe's own count
    assert same(state(plain.module), before)
    assert plain.accuracy(few_digits().validation) != judged  # running statistics lag behind
