"""Accuracy with weights that many networks share: a guess at what training would give, for a fraction of its time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hwnas.core import Architecture
from hwnas.networks import NetworkFamily
from hwnas.supernets import FewShot, OneShot, SupernetRecipe, recalibrate
from hwnas.supernets.recipe import OnProgress
from hwnas.supernets.splitting import Groups
from hwnas.training import ImageData, accuracy


@dataclass(frozen=True, kw_only=True, eq=False)
class SupernetEvaluator:
    """Accuracy of a network with its part of the weights of one supernet.

    The supernet is trained when the first network is evaluated. What was cut off goes on where it stopped, if there is
    a folder.

    Attributes:
        family: Space and networks.
        data: What is learned from, and judged on.
        recipe: How the supernet is trained.
        seed: Of everything drawn.
        folder: Where the weights are kept; with ``None``, only in memory.
        on_progress: Told after every epoch of training.
    """

    family: NetworkFamily
    data: ImageData
    recipe: SupernetRecipe
    seed: int
    folder: Path | None = None
    on_progress: OnProgress | None = None

    def prepare(self) -> None:
        """Trains now instead of with the first network, so that what is wrong ends a search and not a trial.

        Raises:
            TrainingDivergedError: The loss of the supernet became NaN or infinite.
            RunMismatchError: The folder holds a supernet of other settings.
            StudyError: Its file is damaged.
            OSError: The folder cannot be written.
        """
        self.shared.prepare()

    @cached_property
    def shared(self) -> OneShot:
        """Whose weights the networks get."""
        return OneShot(
            family=self.family,
            data=self.data,
            recipe=self.recipe,
            seed=self.seed,
            folder=self.folder,
            on_progress=self.on_progress,
        )

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        """``accuracy`` on the validation images, 0 to 1.

        Raises:
            TrainingDivergedError: The loss of the supernet became NaN or infinite.
            RunMismatchError: The folder holds a supernet of other settings.
            StudyError: Its file is damaged.
            OSError: The folder cannot be written.
        """
        return _judged(self.shared, architecture)


@dataclass(frozen=True, kw_only=True, eq=False)
class FewShotEvaluator:
    """Accuracy of a network with its part of the weights of the supernet for its part of the space.

    Networks of which fewer share weights disturb each other less (Zhao et al., 2021, arXiv:2006.06863). All supernets
    together are trained for as many steps as the one of ``SupernetEvaluator``.

    Attributes:
        family: Space and networks.
        data: What is learned from, and judged on.
        recipe: How the supernets are trained.
        seed: Of everything drawn.
        folder: Where the weights are kept; with ``None``, only in memory.
        on_progress: Told after every epoch of training.
        groups: Choices to split the space by, with the options of each part; by default four parts by the two choices
            whose halves pull the shared weights apart the most.
        parent_share: Share of the steps in which one supernet learns for all parts, before the parts go on from it.
    """

    family: NetworkFamily
    data: ImageData
    recipe: SupernetRecipe
    seed: int
    folder: Path | None = None
    on_progress: OnProgress | None = None
    groups: Groups | None = None
    parent_share: float = 0.5

    def __post_init__(self) -> None:
        _ = self.shared  # refuses what cannot be

    def prepare(self) -> None:
        """Trains now instead of with the first network, so that what is wrong ends a search and not a trial.

        Raises:
            UsageError: The recipe has fewer steps than there are supernets.
            TrainingDivergedError: The loss of a supernet became NaN or infinite.
            RunMismatchError: The folder holds supernets of other settings.
            StudyError: A file is damaged.
            OSError: The folder cannot be written.
        """
        self.shared.prepare()

    @cached_property
    def shared(self) -> FewShot:
        """Whose weights the networks get.

        Raises:
            UsageError: The groups do not split the space, or the share is not between 0 and 1.
        """
        return FewShot(
            family=self.family,
            data=self.data,
            recipe=self.recipe,
            seed=self.seed,
            folder=self.folder,
            on_progress=self.on_progress,
            groups=self.groups,
            parent_share=self.parent_share,
        )

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        """``accuracy`` on the validation images, 0 to 1.

        Raises:
            UsageError: The architecture is in no part, or the recipe has fewer steps than there are supernets.
            TrainingDivergedError: The loss of a supernet became NaN or infinite.
            RunMismatchError: The folder holds supernets of other settings.
            StudyError: A file is damaged.
            OSError: The folder cannot be written.
        """
        return _judged(self.shared, architecture)


def _judged(shared: OneShot | FewShot, architecture: Architecture) -> Mapping[str, float]:
    module = shared.supernet(architecture).materialize(architecture)
    size = shared.family.resolution(architecture)
    recalibrate(module, shared.data, size=size, images=shared.recipe.calibration_images)
    return {"accuracy": accuracy(module, shared.data.validation, shared.data, size=size)}
