"""Accuracy with weights that many networks share: a guess at what training would give, for a fraction of its time."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean

from hwnas.core import Architecture
from hwnas.supernets import FewShot, OneShot, Supernet, recalibrate
from hwnas.training import accuracy


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
        return {"accuracy": _judged(self.supernet(architecture), architecture, by=self)}


class FewShotEvaluator(FewShot):
    """Accuracy of a network with its weights in the supernet for its part of the space, and in that for all.

    Networks of which fewer share weights disturb each other less (Zhao et al., 2021, arXiv:2006.06863). All supernets
    together are trained for as many steps as the one of ``SupernetEvaluator``, and when they are.

    Supernets of different parts are not equally far in their training, and what they say of networks of different parts
    compares badly; what the supernet for all says, which they went on from, compares. So both are asked.
    """

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        """``accuracy`` on the validation images, 0 to 1: the mean of what the two supernets of a network come to.

        Raises:
            UsageError: The architecture is in no part, or the recipe has fewer steps than there are supernets.
            TrainingDivergedError: The loss of a supernet became NaN or infinite.
            RunMismatchError: The folder holds supernets of other settings.
            StudyError: A file is damaged.
            OSError: The folder cannot be written.
        """
        both = (self.supernet(architecture), self.parent)
        return {"accuracy": mean(_judged(supernet, architecture, by=self) for supernet in both)}


def _judged(supernet: Supernet, architecture: Architecture, *, by: OneShot | FewShot) -> float:
    module, size = supernet.materialize(architecture), by.family.resolution(architecture)
    recalibrate(module, by.data, size=size, images=by.recipe.calibration_images)
    return accuracy(module, by.data.validation, by.data, size=size)
