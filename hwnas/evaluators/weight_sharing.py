"""Accuracy with weights that many networks share: a guess at what training would give, for a fraction of its time."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from statistics import mean

import numpy as np

from hwnas.core import Architecture
from hwnas.supernets import FewShot, OneShot, Supernet, owner, recalibrate
from hwnas.training import accuracy

_COMPARED = 6  # networks of each part, for its place on the scale of the supernet for all


class SupernetEvaluator(OneShot):
    """Accuracy of a network with its part of the weights of one supernet.

    The supernet is trained when the first network is evaluated, or by ``prepare``, so that what is wrong ends a search
    and not a trial. What was cut off goes on where it stopped, if there is a folder.
    """

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        """``accuracy`` on the validation images, 0 to 1.

        Raises:
            TrainingDivergedError: The loss of the supernet became NaN or infinite.
            RunMismatchError: The folder holds a supernet of other settings.
            StudyError: Its file is damaged.
            OSError: The folder cannot be written.
        """
        return {"accuracy": _judged(self.supernet(architecture), architecture, self)}


class FewShotEvaluator(FewShot):
    """Accuracy of a network with its part of the weights of the supernet for its part of the space.

    Networks of which fewer share weights disturb each other less (Zhao et al., 2021, arXiv:2006.06863). All supernets
    together are trained for as many steps as the one of ``SupernetEvaluator``, and when they are.

    Supernets of different parts are not equally far in their training, and what one of them says compares badly with
    what another says. So networks of different parts are compared by the supernet for all, which they went on from:
    every part is shifted by the mean difference that it makes to some random networks of the part, and what the two
    say of a network then is averaged.
    """

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        """``accuracy`` on the validation images, 0 to 1.

        Raises:
            UsageError: The architecture is in no part, or the recipe has fewer steps than there are supernets.
            TrainingDivergedError: The loss of a supernet became NaN or infinite.
            RunMismatchError: The folder holds supernets of other settings.
            StudyError: A file is damaged.
            OSError: The folder cannot be written.
        """
        shift = self._shifts[owner(self.parts, architecture)]
        inside = _judged(self.supernet(architecture), architecture, self) + shift
        return {"accuracy": min(1.0, max(0.0, (inside + _judged(self.parent, architecture, self)) / 2))}

    @cached_property
    def _shifts(self) -> list[float]:
        """By how much accuracies of each part are too low on the scale of the supernet for all."""
        shifts = []
        for number, part in enumerate(self.parts):
            rng = np.random.default_rng([self.seed % 2**32, number])
            drawn = [part.sample(rng) for _ in range(_COMPARED)]
            shifts.append(
                mean(_judged(self.parent, one, self) - _judged(self.supernet(one), one, self) for one in drawn)
            )
        return shifts


def _judged(supernet: Supernet, architecture: Architecture, by: OneShot | FewShot) -> float:
    module, size = supernet.materialize(architecture), by.family.resolution(architecture)
    recalibrate(module, by.data, size=size, images=by.recipe.calibration_images)
    return accuracy(module, by.data.validation, by.data, size=size)
