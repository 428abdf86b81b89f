"""Accuracy of networks in the precision that each of them chose: trained once, judged as it would be deployed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from hwnas.conversion import accuracy_in
from hwnas.core import Architecture, Finding
from hwnas.evaluators.trained import TrainedEvaluator, noted
from hwnas.spaces import precision_of, without_precision
from hwnas.training import Course, accuracy, course_in
from latency_tables import write_atomically


@dataclass(frozen=True, kw_only=True)
class MixedEvaluator:
    """Trains each network in fp32, and judges it in its own precision.

    Twins, the same network in two precisions, share one training: its weights are kept, and the second twin takes
    those. A lock keeps two workers from training the same network at the same time.

    Attributes:
        trained: Trains networks without the choice of a precision.
        weights: Folder of the trained weights.
        symmetric: Whether activations of ``int8`` are signed and lie around zero.
    """

    trained: TrainedEvaluator
    weights: Path
    symmetric: bool = False

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        """``accuracy`` on the validation images in the network's precision, and what it took.

        Returns:
            Also ``float_accuracy``, that of the trained network before any conversion, and ``train_s``, the seconds
            that this evaluation took; next to nothing for a twin of a network that was trained before.

        Raises:
            TrainingDivergedError: The loss became NaN or infinite.
            VerificationError: The trained network cannot be written in its precision.
            MachineError: ONNX Runtime is not installed, or the recipe wants what this machine has not.
            CheckpointError: What a training that was cut off left behind is damaged.
            OSError: The folder cannot be written.
        """
        return self.find(architecture).values

    def find(self, architecture: Architecture) -> Finding:
        """The same, with the course of the training that twins share; its accuracies are those before any conversion.

        Raises:
            TrainingDivergedError: As of ``evaluate``; the others, too.
        """
        start = time.monotonic()
        precision, network = precision_of(architecture), without_precision(architecture)
        module, course = self._module(network)
        data, size = self.trained.data, self.trained.family.resolution(network)
        before = accuracy(module, data.validation, data, size=size)
        found = before
        if precision != "fp32":
            found = accuracy_in(module, precision, data, size=size, symmetric=self.symmetric)
        values = {"accuracy": found, "float_accuracy": before, "train_s": round(time.monotonic() - start, 3)}
        return Finding(values=values, notes=noted(course.judged(self.trained.recipe.epochs, before)))

    def _module(self, network: Architecture) -> tuple[nn.Module, Course]:
        """The trained network and its course, from the folder where a twin of it was evaluated."""
        self.weights.mkdir(parents=True, exist_ok=True)
        file = self.weights / f"{network.id}.safetensors"
        with FileLock(f"{file}.lock"):
            if file.exists():
                module = self.trained.untrained(network)
                try:
                    module.load_state_dict(load_file(file))
                    with safe_open(file, framework="pt") as stored:
                        course = course_in(stored.metadata() or {})
                except (SafetensorError, RuntimeError, OSError):  # damaged: the training gives the same again
                    file.unlink(missing_ok=True)
                else:
                    return module.eval(), course
            module, course = self.trained.module(network)
            held = {name: tensor.contiguous().cpu() for name, tensor in module.state_dict().items()}
            write_atomically(file, save(held, metadata=course.metadata()))
        return module, course
