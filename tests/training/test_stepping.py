"""A step: what it does to weights, and that memory and precision change nothing else."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hwnas.core import MachineError
from hwnas.training import Recipe, TrainingDivergedError, train
from hwnas.training.schedules import learning_rate, momentum
from hwnas.training.stepping import Stepper
from tests.training.trainings import CPU, SIZE, few_digits, network, same, state, training_of

CPU_DEVICE = torch.device("cpu")
SGD = Recipe(optimizer="sgd", schedule="cosine", warmup=0.0, momentum=0.9, learning_rate=0.1, weight_decay=0.0)


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def linear(scale: float = 1.0) -> nn.Linear:
    module = nn.Linear(4, 3)
    with torch.no_grad():
        module.weight.copy_(scale * drawn(0, 3, 4))
        module.bias.copy_(drawn(1, 3))
    return module


def stepper(module: nn.Module, recipe: Recipe, *, steps: int = 10) -> Stepper:
    return Stepper(module, recipe, steps=steps, device=CPU_DEVICE)


class Hungry(nn.Module):
    """A module that runs out of memory with more than ``most`` images; its buffer is touched before that."""

    def __init__(self, inner: nn.Module, most: int) -> None:
        super().__init__()
        self.inner = inner
        self.most = most
        self.seen: list[int] = []
        self.register_buffer("touched", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(x))
        self.touched += 1  # type: ignore[operator]
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        found: torch.Tensor = self.inner(x)
        return found


# --- memory


@pytest.mark.parametrize(("most", "parts"), [(12, 1), (11, 2), (6, 2), (4, 4), (3, 4)])
def test_a_batch_in_parts_makes_the_step_of_the_whole_batch(most: int, parts: int) -> None:
    images, labels = drawn(2, 12, 4), torch.arange(12) % 3
    found = []
    for limit in (12, most):
        module = Hungry(linear(), limit)
        taken = stepper(module, SGD)
        losses = [
            taken.step(
                lambda x, y, net=module: nn.functional.cross_entropy(net(x), y),
                images,
                labels,
                number=number,  # type: ignore[misc]
            )
            for number in range(3)
        ]
        found.append((losses, module.inner.weight.clone()))  # type: ignore[operator, union-attr]
    assert taken.parts == parts
    assert module.seen[-parts:] == [12 // parts] * parts
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-6)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-6)


def test_parts_of_unequal_size_count_by_their_images() -> None:
    images, labels = drawn(2, 11, 4), torch.arange(11) % 3
    whole, parted = linear(), Hungry(linear(), 4)
    for module in (whole, parted):
        stepper(module, SGD).step(
            lambda x, y, net=module: nn.functional.cross_entropy(net(x), y),
            images,
            labels,
            number=0,  # type: ignore[misc]
        )
    assert parted.seen == [11, 6, 3, 3, 3, 2]
    assert torch.allclose(whole.weight, parted.inner.weight, atol=1e-6)  # type: ignore[arg-type]


def test_what_a_failed_attempt_did_to_statistics_is_taken_back() -> None:
    module = Hungry(linear(), 3)
    taken = stepper(module, SGD)
    taken._takes_back = True  # as on a GPU
    taken.step(lambda x, y: nn.functional.cross_entropy(module(x), y), drawn(2, 6, 4), torch.arange(6) % 3, number=0)
    assert module.seen == [6, 3, 3]
    assert float(module.touched) == 2  # type: ignore[arg-type]


def test_too_little_memory_for_two_images_is_an_error_with_the_cure() -> None:
    with pytest.raises(MachineError, match=r"out of memory with 2 images at once: take a smaller batch \(now 32\)"):
        train(Hungry(network(), 1), few_digits(), CPU, size=SIZE, seed=0)


def test_a_whole_training_goes_on_in_parts_and_learns() -> None:
    module = Hungry(network(), 10)
    train(module, few_digits(), CPU, size=SIZE, seed=0)
    assert module.seen == [32, 16, *[8] * (4 * 9)]


def test_a_training_that_goes_on_stays_with_the_parts_it_had() -> None:
    first = training_of(CPU, module=Hungry(network(), 10))
    first.epoch()
    second = training_of(CPU, module=Hungry(network(), 10))
    second.load(first.state())
    for training in (first, second):
        training.epoch()
        training.finish()
    assert second.module.seen == [8] * (4 * 3)
    assert same(state(first.module), state(second.module))


# --- gradients and decay


@given(scale=st.floats(0.1, 1e4), most=st.floats(1e-3, 10))
def test_clipping_bounds_the_norm_of_the_gradient(scale: float, most: float) -> None:
    module = linear()
    taken = stepper(module, Recipe(clip_norm=most))
    taken.step(lambda x, y: scale * nn.functional.cross_entropy(module(x), y), drawn(2, 6, 4), torch.arange(6) % 3,
               number=0)  # fmt: skip
    norm = torch.cat([parameter.grad.flatten() for parameter in module.parameters()]).norm()  # type: ignore[union-attr]
    assert float(norm) <= most * (1 + 1e-4)


def test_a_small_gradient_is_not_clipped() -> None:
    found = []
    for most in (0.0, 1e6):
        module = linear()
        stepper(module, Recipe(clip_norm=most)).step(
            lambda x, y, net=module: nn.functional.cross_entropy(net(x), y), drawn(2, 6, 4), torch.arange(6) % 3,
            number=0,
        )  # type: ignore[misc]  # fmt: skip
        found.append(module.weight.clone())
    assert torch.allclose(*found, atol=1e-7)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("decay", ["all", "weights"])
def test_biases_and_normalisation_decay_only_where_everything_does(optimizer: str, decay: str) -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(1.0)
    recipe = Recipe(
        optimizer=optimizer,
        decay=decay,
        weight_decay=0.5,
        schedule="cosine",
        warmup=0.0,
        learning_rate=0.1,  # type: ignore[arg-type]
    )
    stepper(module, recipe).step(
        lambda x, y: 0.0 * module(x).sum(), drawn(0, 2, 1, 4, 4), torch.zeros(2, dtype=torch.long), number=0
    )
    shrunk = {name: bool((value < 1).all()) for name, value in module.named_parameters()}
    assert shrunk == {
        "0.weight": True, "0.bias": decay == "all", "1.weight": decay == "all", "1.bias": decay == "all",
        "3.weight": True, "3.bias": decay == "all",
    }  # fmt: skip


@pytest.mark.parametrize("recipe", [Recipe(), SGD])
def test_every_step_is_made_with_its_own_learning_rate_and_momentum(recipe: Recipe) -> None:
    module = linear()
    taken = stepper(module, recipe)
    for number in range(10):
        taken.step(
            lambda x, y: nn.functional.cross_entropy(module(x), y), drawn(number, 6, 4), torch.arange(6) % 3,
            number=number,
        )  # fmt: skip
        group = taken.optimizer.param_groups[0]
        inertia = group["momentum"] if recipe.optimizer == "sgd" else group["betas"][0]
        assert group["lr"] == learning_rate(recipe, number, steps=10)
        assert inertia == momentum(recipe, number, steps=10)


def test_sgd_makes_nesterovs_step_worked_out_by_hand() -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, 1.0)
    taken = stepper(module, SGD)
    weight, velocity = 1.0, 0.0
    for number in range(3):
        taken.step(lambda x, y: (module(x) ** 2).sum(), torch.ones(1, 1), torch.zeros(1), number=number)
        gradient = 2 * weight
        velocity = 0.9 * velocity + gradient
        weight -= learning_rate(SGD, number, steps=10) * (gradient + 0.9 * velocity)
    assert module.weight.item() == pytest.approx(weight, rel=1e-5)


# --- numbers that are none


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_training_before_it_reaches_the_weights(bad: float) -> None:
    module = linear()
    before = state(module)
    taken = stepper(module, Recipe(epochs=5))
    with pytest.raises(TrainingDivergedError, match=f"the loss became {bad} in epoch 3: lower the learning rate"):
        taken.step(lambda x, y: bad * module(x).sum(), drawn(0, 2, 4), torch.zeros(2), number=5)
    assert same(before, state(module))


def test_in_fp16_a_step_whose_gradient_overflows_is_left_out_and_the_scale_goes_down() -> None:
    module = linear()
    before = state(module)
    taken = stepper(module, Recipe(precision="fp16", clip_norm=1.0))
    taken.step(lambda x, y: 1e36 * module(x).sum(), drawn(0, 2, 4), torch.zeros(2), number=0)
    assert same(before, state(module))
    assert taken.scaler.get_scale() == 2**15
    taken.step(lambda x, y: module(x).sum(), drawn(0, 2, 4), torch.zeros(2), number=1)
    assert not same(before, state(module))
