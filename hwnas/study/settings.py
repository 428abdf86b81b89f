"""The settings of a run: what has to be the same for a run to go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from hwnas.core import RunMismatchError, StudyError, UsageError
from hwnas.evaluators import ESTIMATES
from hwnas.objectives import Bound, bounds_of
from hwnas.predictors import Missing, device_name
from hwnas.training import Recipe

SETTINGS_VERSION = 9
# 2: rows that the table lacks; 3: the inner searcher; 4: the place of the record; 5: halving, predictions, and targets
# that were added; 6: precisions; 7: other devices; 8: an order of images in memory that is left open;
# 9: a limit on the accuracy
OLDEST_VERSION = 3  # that can still be read
_LATER = (  # runs of before lack them
    "evaluator",
    "supernet_epochs",
    "halving",
    "learned_from",
    "learned_sha256",
    "precisions",
    "symmetric_int8",
    "devices",
    "unseen",
    "devices_sha256",
    "min_accuracy",
)
_TUPLES = ("targets", "precisions", "devices", "unseen")
_FREE = ("trials", "learned_from")  # may change from one command to the next: the budget, and where a folder is


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Everything that decides the course of a search.

    Attributes:
        space: Name of the search space.
        data: Name or path of the data.
        data_sha256: Hash of images, labels and split.
        channels: Image channels.
        classes: Number of classes.
        targets: Costs traded against accuracy.
        algorithm: Name of the searcher.
        inner: What proposes in its regions; ``None`` where it takes no inner searcher.
        trials: Architectures to evaluate.
        limits: Bounds by name, in the cost's unit; see ``hwnas.objectives.Limits``.
        min_accuracy: What the accuracy of a winner has to be at least, in [0, 1]; ``None`` for no limit.
        seed: Of everything random.
        recipe: How candidates are trained.
        table_sha256: Hash of the latency table.
        missing: What was done where the table lacked a row.
        evaluator: What found the accuracies.
        supernet_epochs: Passes over the training images for weights that networks shared.
        halving: Eta of the rule by which trainings were stopped early; ``None`` where all went to their end.
        learned_from: Folder of the run that predictions were learned from; ``None`` without predictions.
        learned_sha256: Hash of what they were learned from.
        precisions: What networks may be computed in; a choice of the space where that is not fp32 alone.
        symmetric_int8: Whether activations of int8 are signed and lie around zero, as the device asks for.
        devices: Devices beside that of the table that were learned from, as they were named; each has a front.
        unseen: Devices that have a front and were not learned from, likewise.
        devices_sha256: Hash of what was known of these; empty where there are none.
    """

    space: str
    data: str
    data_sha256: str
    channels: int
    classes: int
    targets: tuple[str, ...]
    algorithm: str
    trials: int
    limits: Mapping[str, float] = field(default_factory=dict)
    min_accuracy: float | None = None
    seed: int = 0
    recipe: Recipe = field(default_factory=Recipe)
    table_sha256: str = ""
    missing: Missing = "error"
    inner: str | None = None
    evaluator: str = "trained"
    supernet_epochs: int = 30
    halving: float | None = None
    learned_from: str | None = None
    learned_sha256: str = ""
    precisions: tuple[str, ...] = ("fp32",)
    symmetric_int8: bool = False
    devices: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    devices_sha256: str = ""

    @property
    def other_devices(self) -> tuple[str, ...]:
        """Names of the devices beside that of the table."""
        return tuple(device_name(source) for source in (*self.devices, *self.unseen))

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """The limits, one by one."""
        return bounds_of(self.limits)

    @property
    def least_accuracy(self) -> float:
        """The accuracy above which a network is worth something: that of guessing, or the limit.

        Estimates are on a scale of their own, where a limit on real accuracies says nothing.
        """
        guessing = 1 / self.classes
        return (
            guessing if self.min_accuracy is None or self.evaluator in ESTIMATES else max(guessing, self.min_accuracy)
        )

    def to_json(self) -> dict[str, Any]:
        """Field by field, as lists, numbers and strings."""
        lists = {name: list(getattr(self, name)) for name in _TUPLES}
        return {**asdict(self), **lists, "limits": dict(self.limits)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RunSettings:
        """Undoes ``to_json``.

        Raises:
            StudyError: A field is missing or unknown.
        """
        try:
            later = {name: getattr(cls, name) for name in _LATER}
            found = {**later, **value}
            known = {entry.name: found[entry.name] for entry in fields(cls)}
            tuples = {name: tuple(known[name]) for name in _TUPLES}
            return cls(**{**known, **tuples, "recipe": Recipe.from_json(known["recipe"])})
        except (KeyError, TypeError, UsageError) as error:
            raise StudyError(
                f"the settings recorded in the run folder are damaged or of another version: {error}"
            ) from error

    def added_targets(self, asked: RunSettings) -> tuple[str, ...]:
        """The targets of the present command that this run has not, in their order."""
        return tuple(target for target in asked.targets if target not in self.targets)

    def resuming(self, recorded: RunSettings) -> RunSettings:
        """These settings of a command that goes on with a run: what it leaves open is as it was recorded.

        Args:
            recorded: The settings of the run.
        """
        if self.recipe.channels_last != "auto":
            return self
        return replace(self, recipe=replace(self.recipe, channels_last=recorded.recipe.channels_last))

    def require_same(self, asked: RunSettings, *, folder: str) -> None:
        """Refuses to go on with a run under other settings; more trials and further targets are the same run.

        Args:
            asked: The settings of the present command.
            folder: The run folder, for the message.

        Raises:
            RunMismatchError: Names every setting that differs.
        """
        recorded, wanted = self.to_json(), asked.to_json()
        differences = {
            name: (recorded[name], wanted[name])
            for name in recorded
            if name not in _FREE and recorded[name] != wanted[name]
        }
        if set(self.targets) <= set(asked.targets):
            differences.pop("targets", None)
        if differences:
            listing = "; ".join(_told(name, old, new) for name, (old, new) in differences.items())
            raise RunMismatchError(
                f"{folder} was begun with other settings ({listing}). Repeat its own command to go on with it, or give "
                "another --out to begin a new run.",
                differences=differences,
            )


def _told(name: str, old: Any, new: Any) -> str:
    """How a setting differs; of a recipe only the fields that do."""
    if name == "recipe":
        return "; ".join(_told(f"{name}: {key}", old[key], new[key]) for key in old if old[key] != new[key])
    added_only = " (targets can be added, not taken away)" if name == "targets" else ""
    return f"{name}: recorded {old!r}, asked for {new!r}{added_only}"
