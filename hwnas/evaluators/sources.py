"""Evaluators by name, made where they are needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hwnas.core import DataError, Evaluator, Trial, unknown
from hwnas.evaluators.function import FunctionEvaluator
from hwnas.evaluators.inherited import InheritedEvaluator
from hwnas.evaluators.mixed import MixedEvaluator
from hwnas.evaluators.predicted import Lessons, PredictorEvaluator
from hwnas.evaluators.proxy import ProxyEvaluator
from hwnas.evaluators.tabular import published_accuracies
from hwnas.evaluators.trained import TrainedEvaluator
from hwnas.evaluators.weight_sharing import FewShotEvaluator, SupernetEvaluator
from hwnas.networks import NetworkFamily, network_family
from hwnas.supernets import SupernetRecipe
from hwnas.supernets.recipe import OnProgress
from hwnas.supernets.slots import slots
from hwnas.training import ImageData, Recipe, load_data

WEIGHTS = "weights"  # folder in that of a run, with what twins in two precisions share
TRAININGS = "trainings"  # folder in that of a run, with the trainings under way
INHERITED = "inherited"  # an evaluator, and its folder there
# and functions of the user's own
EVALUATORS = ("trained", INHERITED, "supernet", "few-shot", "predictor", "proxy", "tabular")
SHARING = ("supernet", "few-shot")  # weights
# Whose accuracies are guesses: those of the winners have to be found by training.
ESTIMATES = (INHERITED, *SHARING, "predictor", "proxy")


def require_evaluator(name: str) -> str:
    """Checks the name of an evaluator; ``file.py:function`` and ``package.module:function`` are names, too.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in EVALUATORS and ":" not in name:
        raise unknown("evaluator", name, (*EVALUATORS, "FILE.py:FUNCTION"))
    return name


def require_judge(name: str, *, family: NetworkFamily, data: str) -> None:
    """Checks that an evaluator can judge the networks of a family, before anything is measured, written or trained.

    Args:
        name: As of ``require_evaluator``.
        family: Of the search.
        data: Name of the data.

    Raises:
        UsageError: There is no table of this space and data to look into, its networks cannot share weights, or there
            is no such function, or one that takes something else.
        MachineError: The file of a table is not here.
        MissingExtraError: pyarrow is not installed.
        DataError: The file of a table cannot be read, or is not whole.
    """
    if name == "tabular":
        published_accuracies(family.space.name, data)
    elif name in SHARING:
        slots(family)
    elif name not in EVALUATORS:
        FunctionEvaluator(function=name, family=family, seed=0)


@dataclass(frozen=True, kw_only=True)
class EvaluatorSource:
    """Makes an evaluator: here, or in another process or on another machine from what they know by name.

    Attributes:
        name: As of ``require_evaluator``.
        space: Name of the search space.
        data: Name or path of the data; where the evaluator is made they have to be there as well.
        data_sha256: The hash that images, labels and split must have.
        recipe: How networks are trained.
        supernet_epochs: Passes over the training images for weights that are shared.
        seed: Of the run.
        folder: Of the run, where trainings under way and shared weights are kept.
        lessons: What predictions are learned from.
        precisions: What networks may be computed in.
        symmetric: Whether activations of ``int8`` are signed and lie around zero.
    """

    name: str
    space: str
    data: str
    data_sha256: str
    recipe: Recipe
    supernet_epochs: int
    seed: int
    folder: Path
    lessons: Lessons = field(default=(), repr=False)
    precisions: tuple[str, ...] = ()
    symmetric: bool = False

    def __call__(self) -> Evaluator:
        """The evaluator, from data read anew.

        Raises:
            DataError: The data are not those of the run.
            UsageError: The data cannot be found, or there is no such function.
            MachineError: The data folder is missing.
        """
        images = load_data(self.data)
        if images.fingerprint != self.data_sha256:
            raise DataError(
                f"data {self.data} are not the same here as where the search began: give every machine the same files"
            )
        family = network_family(
            self.space, channels=images.channels, classes=images.classes, precisions=self.precisions
        )
        return self.made(images, family)

    def made(self, images: ImageData, family: NetworkFamily, *, on_progress: OnProgress | None = None) -> Evaluator:
        """The evaluator for data that were read.

        Args:
            images: The data.
            family: Its networks.
            on_progress: Told how far the training of shared weights is.

        Raises:
            UsageError: There is no such function, the space cannot be split, the lessons teach nothing, or no table
                holds the accuracies.
            MachineError: The file of a table is not here.
        """
        if self.name == "tabular":
            return published_accuracies(self.space, self.data)
        if self.name == "proxy":
            return ProxyEvaluator(family=family, data=images, seed=self.seed).placed()
        if self.name in {"trained", INHERITED}:
            return self._trained(images, family)
        if self.name == "predictor":
            trials = [
                Trial(number=number, architecture=architecture, values={"accuracy": accuracy})
                for number, (architecture, accuracy) in enumerate(self.lessons)
            ]
            return PredictorEvaluator.fit(trials, family=family)
        if self.name in SHARING:
            sharing = SupernetEvaluator if self.name == "supernet" else FewShotEvaluator
            return sharing(
                family=family,
                data=images,
                recipe=SupernetRecipe(epochs=self.supernet_epochs),
                seed=self.seed,
                folder=self.folder / self.name,
                on_progress=on_progress,
            )
        return FunctionEvaluator(function=self.name, family=family, seed=self.seed)

    def _trained(self, images: ImageData, family: NetworkFamily) -> Evaluator:
        """What trains, and where networks choose a precision judges them in it."""
        if self.name == INHERITED:
            folder = self.folder / INHERITED
            return InheritedEvaluator(family=family, data=images, recipe=self.recipe, seed=self.seed, folder=folder)
        trainings = self.folder / TRAININGS
        trained = TrainedEvaluator(family=family, data=images, recipe=self.recipe, seed=self.seed, folder=trainings)
        if not family.members:
            return trained
        return MixedEvaluator(trained=trained, weights=self.folder / WEIGHTS, symmetric=self.symmetric)
