"""A training that is driven epoch by epoch, the same way every time for the same seed."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from hwnas.core import DataError, RunMismatchError, UsageError
from hwnas.training.arrays import Split
from hwnas.training.augmentation import Augmentation
from hwnas.training.averaging import WeightAverage, recalibrate
from hwnas.training.checkpoints import CheckpointError, TrainingState
from hwnas.training.course import Course, Epoch, marked_epochs
from hwnas.training.data import ImageData
from hwnas.training.devices import device_of, repeatable, torch_threads
from hwnas.training.judging import HeldImages, accuracy, black, device_holding
from hwnas.training.losses import Loss, Teacher
from hwnas.training.recipe import Recipe
from hwnas.training.stepping import Stepper

_FINISHED = "is finished"
_RECALIBRATION = 512  # images, where a training is judged that is not at its end


class Training:
    """A training that is driven epoch by epoch.

    After any epoch it can be judged, kept, given up, or gone on with; none of these changes its course.

    Args:
        module: Maps ``(b, c, size, size)`` to what the task takes, of classification logits ``(b, classes)``. It is
            trained in place, on the device of the recipe.
        data: What to learn from: the training images alone.
        recipe: How.
        size: Height and width of the images in pixels.
        seed: Of the order of the images and their variations.
        teacher: What to learn from beside the labels, where the recipe distils.

    Raises:
        UsageError: The recipe distils and there is no teacher, or the other way round; or the task of the data cannot
            do with it.
        MachineError: The recipe wants a GPU, and torch can use none.
    """

    def __init__(
        self,
        module: nn.Module,
        data: ImageData,
        recipe: Recipe,
        *,
        size: int,
        seed: int,
        teacher: Teacher | None = None,
    ) -> None:
        self.module = module
        self.recipe = recipe
        self._data = data
        self._size = size
        self._seed = seed
        self._home = device_holding(module)
        device = device_of(recipe.device)
        self._loss = Loss(module, recipe, task=data.task, teacher=teacher, device=device)
        self._format = _order(recipe, channels=data.channels, device=device)
        lay_out(module.to(device), self._format)
        with torch_threads(recipe.threads):
            self._images = HeldImages(data.train.images, data, size=size, device=device)
        self._labels = torch.from_numpy(data.train.labels).to(device)
        self._batch = min(recipe.batch, len(self._images))
        # the rest of an epoch is left out: batch normalisation dislikes tiny batches
        self._steps = max(1, len(self._images) // self._batch)
        self._stepper = Stepper(module, recipe, steps=recipe.epochs * self._steps, device=device)
        self._augment = Augmentation(recipe, size=size, task=data.task, outputs=data.classes, fill=black(data))
        self._average = WeightAverage(module, recipe) if recipe.ema_decay else None
        # apart, so that the order of the images does not hang on what is done to them
        self._generators = {
            "order": torch.Generator().manual_seed(seed),
            "variations": torch.Generator().manual_seed(seed + 1),
        }
        self._device = device
        self._epochs_done = 0
        self._course = Course()
        self._stopped = ""

    @property
    def epochs_done(self) -> int:
        """Finished epochs."""
        return self._epochs_done

    @property
    def course(self) -> Course:
        """How it went so far; of epochs before a checkpoint that did not hold them, nothing."""
        return self._course

    @property
    def marks(self) -> frozenset[int]:
        """Epochs after which judging costs little of the whole, so that the course can tell how accuracy grew."""
        judged = len(self._data.validation.labels) + min(_RECALIBRATION, len(self._images))
        return marked_epochs(self.recipe.epochs, learned=self._steps * self._batch, judged=judged)

    def epoch(self) -> float:
        """Trains for one more epoch.

        Returns:
            The mean loss of its steps.

        Raises:
            UsageError: The recipe has no more epochs, an epoch was cut off, or the training is finished.
            TrainingDivergedError: The loss became NaN or infinite.
            MachineError: Memory does not do for two images at once.
        """
        self._require_going()
        if self._epochs_done >= self.recipe.epochs:
            raise UsageError(f"the recipe has {self.recipe.epochs} epochs, and all are done: expected no further one")
        self._stopped = "was cut off within an epoch"
        with torch_threads(self.recipe.threads), repeatable(self._device):
            self.module.train()
            order = torch.randperm(len(self._images), generator=self._generators["order"])
            total = sum(self._step(order, step) for step in range(self._steps))
        self._epochs_done += 1
        self._stopped = ""
        loss, rate = total / self._steps, self._stepper.learning_rate
        self._course = self._course.then(Epoch(number=self._epochs_done, loss=loss, learning_rate=rate))
        return loss

    def _step(self, order: torch.Tensor, step: int) -> float:
        number = self._epochs_done * self._steps + step
        picked = order[step * self._batch : (step + 1) * self._batch].to(self._device)
        images, targets = self._augment(self._images.at(picked), self._labels[picked], self._generators["variations"])
        loss = self._stepper.step(self._loss, images.contiguous(memory_format=self._format), targets, number=number)
        if self._average is not None:
            self._average.update(self.module, updates=number)
        return loss

    def accuracy(self, split: Split, *, recalibration_images: int = 0) -> float:
        """Share of the images that the network, as it would be handed over now, gives the right class.

        Of another task it is the mean score.

        Args:
            split: Images and labels, such as the validation part of the data.
            recalibration_images: Where the recipe does not recalibrate, statistics of batch normalisation are taken
                from so many training images for this judgement alone: early in a training, running ones lag behind
                weights that move fast.
        """
        count = self.recipe.recalibration_images or recalibration_images
        as_it_is = self._stopped == _FINISHED or not (self._average is not None or count)
        module = self.module if as_it_is else self._handed_over(recalibration_images=count)
        return accuracy(module, split, self._data, size=self._size)

    def judge(self) -> float:
        """Accuracy on the validation images, which the course then has; found once after an epoch.

        Statistics of batch normalisation are taken anew from training images: in the first epochs those that run along
        lag so far behind that networks cannot be ranked by them.
        """
        known = self._course.accuracies.get(self._epochs_done)
        if known is not None:
            return known
        found = self.accuracy(self._data.validation, recalibration_images=_RECALIBRATION)
        self._course = self._course.judged(self._epochs_done, found)
        return found

    def finish(self) -> None:
        """Ends the training: the module has the weights to keep, is in evaluation mode and back on its device.

        Raises:
            UsageError: An epoch was cut off, or the training is finished.
        """
        self._require_going()
        count = self.recipe.recalibration_images
        if self._average is not None or count:
            self.module.load_state_dict(self._handed_over(recalibration_images=count).state_dict())
        lay_out(self.module.to(self._home), torch.contiguous_format)
        self.module.eval()
        self._stopped = _FINISHED

    def _handed_over(self, *, recalibration_images: int) -> nn.Module:
        """A copy with averaged weights as far as the recipe asks for them, and recalibrated statistics."""
        module = copy.deepcopy(self.module)
        if self._average is not None:
            module.load_state_dict(self._average.values)
        if recalibration_images:
            with torch_threads(self.recipe.threads), repeatable(self._device):
                recalibrate(module, self._images, count=recalibration_images, batch=self._batch)
        return module.eval()

    def state(self) -> TrainingState:
        """All that decides how the training goes on.

        Raises:
            UsageError: An epoch was cut off, or the training is finished.
        """
        self._require_going()
        parts: dict[str, dict[str, torch.Tensor]] = {
            "module": self.module.state_dict(),
            "average": self._average.values if self._average else {},
            "generator": {name: generator.get_state() for name, generator in self._generators.items()},
            "optimizer": self._stepper.tensors(),
        }
        tensors = {
            f"{part}/{name}": value.detach().cpu().clone(memory_format=torch.contiguous_format)
            for part, values in parts.items()
            for name, value in values.items()
        }
        values = {
            "settings": self._settings(),
            "epochs_done": self._epochs_done,
            "parts": self._stepper.parts,
            "scaler": self._stepper.scaler.state_dict(),
            "course": self._course.to_json(),
        }
        return TrainingState(tensors=tensors, values=values)

    def load(self, state: TrainingState) -> None:
        """Goes back, or on, to a state; on the CPU what follows is what followed there, bit for bit.

        Raises:
            RunMismatchError: It is of another recipe, seed, size or other data.
            CheckpointError: It is of another network, or incomplete.
        """
        try:
            self._require_same(state.values["settings"])
            lay_out(self.module.to(self._device), self._format)
            self.module.load_state_dict(state.part("module"))
            if self._average is not None:
                self._average.load(state.part("average"))
            for name, generator in self._generators.items():
                generator.set_state(state.tensors[f"generator/{name}"])
            self._stepper.load(state.part("optimizer"), parts=state.values["parts"], scaler=state.values["scaler"])
            self._epochs_done = int(state.values["epochs_done"])
            self._course = Course.from_json(state.values.get("course", []))  # of before it was kept: none
        except (KeyError, TypeError, RuntimeError, AttributeError, DataError) as error:
            self._stopped = "took over half of a state"
            raise CheckpointError(
                f"the checkpoint is of another network or incomplete ({error}): remove it to begin anew"
            ) from error
        self._stopped = ""

    def _settings(self) -> dict[str, Any]:
        """What has to be the same for a training to go on."""
        return {
            "recipe": self.recipe.to_json(),
            "seed": self._seed,
            "size": self._size,
            "data_sha256": self._data.fingerprint,
        }

    def _require_same(self, recorded: dict[str, Any]) -> None:
        differences = {name: (recorded[name], own) for name, own in self._settings().items() if recorded[name] != own}
        if differences:
            listing = "; ".join(f"{name}: recorded {old}, now {new}" for name, (old, new) in differences.items())
            raise RunMismatchError(
                f"the checkpoint is of a training with other settings ({listing}): go on with those, or remove it",
                differences=differences,
            )

    def _require_going(self) -> None:
        if self._stopped:
            raise UsageError(f"the training {self._stopped}: load a state of before, or begin anew")


def _order(recipe: Recipe, *, channels: int, device: torch.device) -> torch.memory_format:
    """The order of images and weights in memory."""
    wanted = recipe.channels_last
    if wanted == "auto":  # grey images gain nothing on a CPU, and on a GPU it was not measured
        wanted = device.type == "cpu" and channels > 1
    return torch.channels_last if wanted else torch.contiguous_format


def lay_out(module: nn.Module, order: torch.memory_format) -> None:
    """Puts weights of four dimensions into an order of memory."""
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=order)
