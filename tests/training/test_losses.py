"""The loss: cross-entropy, and the distance to a teacher."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hwnas.core import UsageError
from hwnas.training import ImageData, Recipe, Split, Training, train
from hwnas.training.losses import Loss
from hwnas.training.tasks import CLASSIFICATION, distance
from tests.training.trainings import SIZE, few_digits, network, same, state

CPU_DEVICE = torch.device("cpu")


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(seed=st.integers(0, 1000), temperature=st.floats(0.5, 20))
def test_the_distance_to_a_teacher_is_0_for_its_own_outputs_and_above_for_others(seed: int, temperature: float) -> None:
    one, other = drawn(seed, 4, 5), drawn(seed + 1, 4, 5)
    assert float(distance(one, one, temperature=temperature)) == pytest.approx(0, abs=1e-4)
    assert float(distance(one, other, temperature=temperature)) > 0
    shifted = one + 3.0  # only differences of logits count
    assert float(distance(shifted, one, temperature=temperature)) == pytest.approx(0, abs=1e-3)


def test_the_distance_is_the_divergence_worked_out_by_hand() -> None:
    student, teacher = torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 0.0]])
    p, q = torch.softmax(teacher / 2, 1)[0], torch.softmax(student / 2, 1)[0]
    expected = 4 * sum(float(a * (a / b).log()) for a, b in zip(p, q, strict=True))
    assert float(distance(student, teacher, temperature=2.0)) == pytest.approx(expected, rel=1e-5)


def test_a_high_temperature_keeps_the_size_of_the_gradient() -> None:
    wanted, sizes = drawn(1, 6, 5), []
    for temperature in (10.0, 20.0):
        outputs = drawn(0, 6, 5).requires_grad_()
        distance(outputs, wanted, temperature=temperature).backward()  # type: ignore[no-untyped-call]
        assert outputs.grad is not None
        sizes.append(float(outputs.grad.norm()))
    assert sizes[1] == pytest.approx(sizes[0], rel=0.1)


def test_the_loss_is_the_shares_of_labels_and_teacher() -> None:
    module, teacher = network(0).eval(), network(1)
    images, labels = drawn(0, 6, 1, SIZE, SIZE), torch.arange(6)
    with torch.no_grad():
        outputs, wanted = module(images), teacher.eval()(images)
    plain = nn.functional.cross_entropy(outputs, labels, label_smoothing=0.1)
    for share in (0.0, 0.3, 1.0):
        recipe = Recipe(distillation=share, temperature=3.0 if share else 1.0, label_smoothing=0.1)
        loss = Loss(module, recipe, task=CLASSIFICATION, teacher=teacher if share else None, device=CPU_DEVICE)
        expected = (1 - share) * plain + share * distance(outputs, wanted, temperature=3.0)
        assert loss(images, labels).item() == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_in_half_precision_the_loss_is_a_number_in_fp32_close_to_the_exact_one(precision: str) -> None:
    module, images, labels = network().eval(), drawn(0, 6, 1, SIZE, SIZE), torch.arange(6)
    exact = Loss(module, Recipe(), task=CLASSIFICATION, teacher=None, device=CPU_DEVICE)(images, labels)
    recipe = Recipe(precision=precision)  # type: ignore[arg-type]
    found = Loss(module, recipe, task=CLASSIFICATION, teacher=None, device=CPU_DEVICE)(images, labels)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(exact.item(), rel=0.02)
    assert found.item() != exact.item()


def test_a_teacher_is_left_as_it_was_and_judges_in_evaluation_mode() -> None:
    data, teacher = few_digits(), network(1).train()
    before = state(teacher)
    recipe = Recipe(epochs=1, batch=32, distillation=0.5, temperature=2.0, device="cpu")
    training = Training(network(), data, recipe, size=SIZE, seed=0, teacher=teacher)
    with torch.no_grad():
        next(teacher.parameters()).zero_()  # what becomes of it later does not matter
    training.epoch()
    found = state(training.module)
    with torch.no_grad():
        teacher.load_state_dict(before)
    assert teacher.training
    assert all(parameter.grad is None for parameter in teacher.parameters())
    again = network()
    frozen = network(1).eval()
    train(again, data, recipe, size=SIZE, seed=0, teacher=frozen.forward)  # a callable that is no module
    assert same(found, state(again))


def test_a_student_that_listens_to_its_teacher_alone_does_not_hear_the_labels() -> None:
    data, found = few_digits(), []
    shuffled = Split(data.train.images, (data.train.labels + 1) % 10)
    wrong = ImageData(
        name="wrong", class_names=data.class_names, train=shuffled, validation=data.validation, test=data.test
    )
    for images in (data, wrong):
        module = network()
        recipe = Recipe(epochs=1, batch=32, distillation=1.0, device="cpu")
        train(module, images, recipe, size=SIZE, seed=0, teacher=network(5))
        found.append(state(module))
    assert same(*found)


def test_a_recipe_that_distils_wants_a_teacher_and_no_other_does() -> None:
    with pytest.raises(UsageError, match=r"distillation 0.5\): expected a teacher, received none"):
        train(network(), few_digits(), Recipe(distillation=0.5), size=SIZE, seed=0)
    with pytest.raises(UsageError, match="expected a recipe with distillation above 0 for the teacher"):
        train(network(), few_digits(), Recipe(), size=SIZE, seed=0, teacher=network())
