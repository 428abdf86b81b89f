"""Devices: a GPU only where torch really computes on it, and settings of the process put back."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hwnas.core import MachineError
from hwnas.training import Recipe, Training, device_of
from hwnas.training.devices import repeatable, torch_threads
from tests.training.trainings import SIZE, few_digits, network


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_auto_is_the_cpu_and_asking_for_one_is_an_error_with_the_cure() -> None:
    assert device_of("auto").type == "cpu"
    with pytest.raises(MachineError, match=r"no GPU to train on: PyTorch .* sees no CUDA device.*device cpu or auto"):
        Training(network(), few_digits(), Recipe(device="gpu"), size=SIZE, seed=0)


def test_a_gpu_that_cannot_compute_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def zeros(*shape: int, **options: Any) -> torch.Tensor:
        raise RuntimeError("no kernel image is available\nand more")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "zeros", zeros)
    assert device_of("auto").type == "cpu"
    with pytest.raises(MachineError, match=r"cannot compute on it: no kernel image is available\. Train"):
        device_of("gpu")


def test_a_gpu_that_computes_is_taken_unless_the_cpu_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    real = torch.zeros
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "zeros", lambda *shape, device: real(*shape, device=device.replace("cuda", "cpu")))
    assert device_of("auto").type == device_of("gpu").type == "cuda"
    assert device_of("cpu").type == "cpu"


def test_threads_and_algorithms_are_the_processs_own_again_afterwards() -> None:
    threads, flags = torch.get_num_threads(), (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)
    with torch_threads(threads + 1), repeatable(torch.device("cuda")):
        assert torch.get_num_threads() == threads + 1
        assert torch.backends.cudnn.deterministic
        assert not torch.backends.cudnn.benchmark
    assert torch.get_num_threads() == threads
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == flags
