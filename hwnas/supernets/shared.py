"""Trained weights for every network of a space: by one supernet, or by one for each part of the space."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from hwnas.core import Architecture, UsageError
from hwnas.networks import NetworkFamily
from hwnas.spaces import SearchSpace
from hwnas.supernets.calibration import recalibrate
from hwnas.supernets.learning import Learning, learn
from hwnas.supernets.matching import halves_of_least_match
from hwnas.supernets.recipe import OnProgress, SupernetProgress, SupernetRecipe
from hwnas.supernets.scale import Scale
from hwnas.supernets.splitting import Groups, owner, split_all
from hwnas.supernets.supernet import Supernet
from hwnas.training import ImageData, judged
from latency_tables import write_atomically

_HALVINGS = 2  # choices that the space is split by, where nothing is said: four parts
PARENT_FILE, SPLIT_FILE, SCALE_FILE = "supernet.safetensors", "split.json", "scale.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class OneShot:
    """One supernet for the whole space, trained when it is first needed.

    Attributes:
        family: Space and networks.
        data: What is learned from.
        recipe: How.
        seed: Of weights, images and networks drawn.
        folder: Where the weights are kept and gone on from; with ``None`` they live as long as this object.
        on_progress: Told after every epoch.
    """

    family: NetworkFamily
    data: ImageData
    recipe: SupernetRecipe
    seed: int
    folder: Path | None = None
    on_progress: OnProgress | None = None

    def prepare(self) -> None:
        """Trains, or reads what was trained.

        Raises:
            TrainingDivergedError: The loss became NaN or infinite.
            RunMismatchError: The folder holds a supernet of other settings.
            StudyError: Its file is damaged.
            OSError: The folder cannot be written.
        """
        _ = self._trained

    def supernet(self, architecture: Architecture) -> Supernet:
        """The supernet that an architecture is judged by, trained if it was not; raises what ``prepare`` does."""
        return self._trained

    def accuracy(self, architecture: Architecture) -> float:
        """Accuracy on the validation images, 0 to 1, with the shared weights; raises what ``prepare`` does."""
        return _judged(self._trained, architecture, of=self)[0]

    @cached_property
    def _trained(self) -> Supernet:
        with _alone(self.folder):
            steps = total_steps(self.recipe, self.data)
            return trained_parent(self, steps=steps, on_epoch=_telling(self.on_progress, "supernet", total=steps))


@dataclass(frozen=True, kw_only=True, eq=False)
class FewShot:
    """A supernet for each part of the space, each beginning with the weights of one for all (Zhao et al., 2021).

    All of them together take as many steps as ``OneShot`` with the same recipe.

    Attributes:
        family: Space and networks.
        data: What is learned from.
        recipe: How; its epochs are those of the supernet for all and of the parts together.
        seed: Of weights, images and networks drawn.
        folder: Where the weights are kept and gone on from; with ``None`` they live as long as this object.
        on_progress: Told after every epoch, and after every network that is judged for the scale.
        groups: Choices to split by, with the options of each part. By default the two choices whose halves pull the
            shared weights apart the most, which makes four parts; see ``hwnas.supernets.matching``.
        parent_share: Share of the steps that go into the supernet for all; the parts have the rest in equal shares.
        part_rate: Largest learning rate of a part as a share of the recipe's. In so few steps the whole rate would undo
            more of what the supernet for all has learned than it teaches.
        judged_twice: Networks of each part that the supernet for all judges too, so that judgements of all parts are on
            one scale.
    """

    family: NetworkFamily
    data: ImageData
    recipe: SupernetRecipe
    seed: int
    folder: Path | None = None
    on_progress: OnProgress | None = None
    groups: Groups | None = None
    parent_share: float = 0.75
    part_rate: float = 0.25
    judged_twice: int = 8

    def __post_init__(self) -> None:
        if not 0 < self.parent_share < 1:
            raise UsageError(
                f"few-shot: expected a parent_share between 0 and 1, both excluded, received {self.parent_share}"
            )
        if not 0 < self.part_rate <= 1:
            raise UsageError(f"few-shot: expected a part_rate above 0, and 1 at the most, received {self.part_rate}")
        if self.judged_twice < 1:
            raise UsageError(f"few-shot: expected judged_twice of 1 or more, received {self.judged_twice}")
        if self.groups is not None:
            split_all(self.family.space, self.groups)  # refused before anything is trained

    def prepare(self) -> None:
        """Trains, or reads what was trained.

        Raises:
            UsageError: There are fewer steps than supernets, or fewer choices to split by than are needed.
            TrainingDivergedError: The loss became NaN or infinite.
            RunMismatchError: The folder holds supernets of other settings.
            StudyError: A file is damaged.
            OSError: The folder cannot be written.
        """
        _ = self._trained

    def supernet(self, architecture: Architecture) -> Supernet:
        """The supernet that an architecture is judged by, that of its part; raises what ``prepare`` does.

        Raises:
            UsageError: The architecture is in no part.
        """
        return self._trained.supernets[owner(self.parts, architecture)]

    def accuracy(self, architecture: Architecture) -> float:
        """Accuracy on the validation images, 0 to 1, by the supernet of its part, on one scale for all parts.

        Raises what ``supernet`` does.
        """
        part = owner(self.parts, architecture)
        return self._trained.scale.accuracy(part, *_judged(self._trained.supernets[part], architecture, of=self))

    @property
    def parts(self) -> list[SearchSpace]:
        """The parts of the space."""
        return self._trained.parts

    @cached_property
    def _trained(self) -> _Trained:
        with _alone(self.folder):
            total = total_steps(self.recipe, self.data)
            steps = max(1, round(self.parent_share * total))
            count = 2**_HALVINGS if self.groups is None else math.prod(map(len, self.groups.values()))
            if total - steps < count:
                raise UsageError(
                    f"few-shot: the recipe leaves {total - steps} steps to the supernets of {count} parts: give more "
                    "epochs, a smaller batch or a smaller parent_share"
                )
            parent = trained_parent(self, steps=steps, on_epoch=_telling(self.on_progress, "supernet", total=total))
            groups = self.groups if self.groups is not None else self._found(parent, steps=steps)
            parts = split_all(self.family.space, groups)
            supernets = []
            for number, part in enumerate(parts):
                share = (total - steps) * (number + 1) // len(parts) - (total - steps) * number // len(parts)
                done = steps + (total - steps) * number // len(parts)
                stage = f"part {number + 1} of {len(parts)}"
                telling = _telling(self.on_progress, stage, total=total, before=done)
                supernets.append(self._part(parent, part, number=number, steps=share, on_epoch=telling))
            return _Trained(parts, supernets, self._scale(parent, parts, supernets, groups=groups, steps=steps))

    def _part(
        self, parent: Supernet, part: SearchSpace, *, number: int, steps: int, on_epoch: Callable[[int], None]
    ) -> Supernet:
        supernet = Supernet(replace(self.family, space=part), seed=self.seed)
        supernet.load_state_dict(parent.state_dict())
        recipe = replace(self.recipe, learning_rate=self.part_rate * self.recipe.learning_rate)
        learning = Learning(
            space=part, data=self.data, recipe=recipe, steps=steps, seed=self.seed + 7919 * (number + 1)
        )
        file = self.folder / f"part-{number + 1}.safetensors" if self.folder else None
        about = {"parent_share": self.parent_share, "seed": self.seed}
        learn(supernet, learning, checkpoint=file, about=about, on_epoch=on_epoch)
        return supernet

    def _found(self, parent: Supernet, *, steps: int) -> Groups:
        """Where to split."""

        def find() -> Groups:
            return halves_of_least_match(parent, self.family.space, self.data, halvings=_HALVINGS, seed=self.seed)

        found: Groups = self._once(SPLIT_FILE, "groups", find, about=_learning(self, steps=steps).to_json())
        return found

    def _scale(
        self,
        parent: Supernet,
        parts: Sequence[SearchSpace],
        supernets: Sequence[Supernet],
        *,
        groups: Groups,
        steps: int,
    ) -> Scale:
        """One scale for the judgements of all parts."""

        def find() -> dict[str, Any]:
            rng = np.random.default_rng([self.seed % 2**32, len(parts)])
            told = _telling(self.on_progress, "scale", total=len(parts) * self.judged_twice)
            told(0)
            whole, own, confidences = np.empty((3, len(parts), self.judged_twice))
            for number, (part, supernet) in enumerate(zip(parts, supernets, strict=True)):
                for i in range(self.judged_twice):
                    one = part.sample(rng)
                    whole[number, i] = _judged(parent, one, of=self)[0]
                    own[number, i], confidences[number, i] = _judged(supernet, one, of=self)
                    told(number * self.judged_twice + i + 1)
            return Scale.of(whole, own, confidences).to_json()

        settings = {"groups": groups, "part_rate": self.part_rate, "judged_twice": self.judged_twice}
        about = {**_learning(self, steps=steps).to_json(), **settings}
        return Scale.from_json(self._once(SCALE_FILE, "parts", find, about=about))

    def _once(self, file: str, name: str, find: Callable[[], Any], *, about: Mapping[str, Any]) -> Any:
        """What is found once and kept in the folder, for people to read too; anew where it was of other settings."""
        settings = json.loads(json.dumps(about))  # as it is read
        recorded = _recorded(self.folder / file) if self.folder else {}
        if recorded.get("about") == settings and name in recorded:
            return recorded[name]
        found = find()
        if self.folder:
            text = json.dumps({name: found, "about": settings}, indent=2)
            write_atomically(self.folder / file, text + "\n")
        return found


@dataclass(frozen=True)
class _Trained:
    """What few-shot training makes."""

    parts: list[SearchSpace]
    supernets: list[Supernet]
    scale: Scale


def total_steps(recipe: SupernetRecipe, data: ImageData) -> int:
    """Steps of all epochs of a recipe."""
    return recipe.epochs * recipe.steps_an_epoch(data)


def trained_parent(of: OneShot | FewShot, *, steps: int, on_epoch: Callable[[int], None]) -> Supernet:
    """The supernet for the whole space after so many steps, read where it is in the folder."""
    supernet = Supernet(of.family, seed=of.seed)
    checkpoint = of.folder / PARENT_FILE if of.folder else None
    learn(supernet, _learning(of, steps=steps), checkpoint=checkpoint, on_epoch=on_epoch)
    return supernet


def _judged(supernet: Supernet, architecture: Architecture, *, of: OneShot | FewShot) -> tuple[float, float]:
    """Accuracy of a network on the validation images, and mean probability of the right class."""
    module, size = supernet.materialize(architecture), of.family.resolution(architecture)
    recalibrate(module, of.data, size=size, images=of.recipe.calibration_images)
    return judged(module, of.data.validation, of.data, size=size)


def _learning(of: OneShot | FewShot, *, steps: int) -> Learning:
    return Learning(space=of.family.space, data=of.data, recipe=of.recipe, steps=steps, seed=of.seed)


def _recorded(file: Path) -> Mapping[str, Any]:
    """What a file of JSON says; nothing where it is not there, or not whole."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _telling(tell: OnProgress | None, stage: str, *, total: int, before: int = 0) -> Callable[[int], None]:
    def told(done: int) -> None:
        if tell is not None:
            tell(SupernetProgress(stage=stage, done=before + done, total=total))

    return told


@contextmanager
def _alone(folder: Path | None) -> Iterator[None]:
    """Lets one process train in a folder at a time; the others wait, and then read what it has made."""
    if folder is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        yield
