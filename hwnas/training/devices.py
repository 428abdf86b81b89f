"""What torch computes on, and what of its process-wide settings a training changes for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from hwnas.core import MachineError
from hwnas.training.recipe import TrainingDevice


def device_of(wanted: TrainingDevice) -> torch.device:
    """The device to train on.

    Args:
        wanted: ``"cpu"``, ``"gpu"``, or ``"auto"`` for the GPU where torch can use one.

    Raises:
        MachineError: A GPU is wanted, and torch can use none.
    """
    if wanted == "cpu":
        return torch.device("cpu")
    problem = _gpu_problem()
    if problem is None:
        return torch.device("cuda")
    if wanted == "gpu":
        raise MachineError(
            f"no GPU to train on: {problem}. Train on the CPU (device cpu or auto), or install a build of PyTorch for "
            "this GPU and its driver"
        )
    return torch.device("cpu")


def _gpu_problem() -> str | None:
    """Why torch cannot use a GPU; ``None`` where it can."""
    if not torch.cuda.is_available():
        return f"PyTorch {torch.__version__} sees no CUDA device"
    try:
        torch.zeros(1, device="cuda").add_(1).item()  # devices may be listed and yet of another generation, or full
    except RuntimeError as error:
        return f"PyTorch {torch.__version__} sees one but cannot compute on it: {error}".splitlines()[0]
    return None


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Gives torch so many threads for a while; the process's own setting is put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Has cuDNN take the same, deterministic algorithms every time; on the CPU there is nothing to do."""
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        yield
