"""Accuracy with weights that many networks share: a guess at what training would give, for a fraction of its time."""

from __future__ import annotations

from collections.abc import Mapping

from hwnas.core import Architecture
from hwnas.supernets import FewShot, OneShot


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
        return {"accuracy": self.accuracy(architecture)}


class FewShotEvaluator(FewShot):
    """Accuracy of a network with its weights in the supernet for its part of the space.

    Networks of which fewer share weights disturb each other less (Zhao et al., 2021, arXiv:2006.06863). All supernets
    together are trained for as many steps as the one of ``SupernetEvaluator``, and when they are. The judgements of
    all parts are put on one scale; see ``hwnas.supernets.scale``.
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
        return {"accuracy": self.accuracy(architecture)}
