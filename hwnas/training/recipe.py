"""How a network is trained, as a record that can be checked, written down and compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args, get_type_hints

from hwnas.core import UsageError, unknown

Optimizer = Literal["adamw", "sgd"]
ScheduleName = Literal["one-cycle", "cosine"]
Decayed = Literal["all", "weights"]
Flip = Literal["never", "colour", "always"]
Precision = Literal["fp32", "bf16", "fp16"]
TrainingDevice = Literal["auto", "cpu", "gpu"]
ChannelsLast = bool | Literal["auto"]

TRAINING_DEVICES: tuple[TrainingDevice, ...] = get_args(TrainingDevice)
MOMENTUM_SWING = 0.1  # under one-cycle the momentum falls by so much while the learning rate is high


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained. The defaults suit small images and few epochs; ``presets`` has others.

    What 0 turns off costs nothing. Settings that would do nothing beside the others are refused.

    Attributes:
        epochs: Passes over the training images.
        batch: Images a step.
        optimizer: ``"adamw"`` (Loshchilov and Hutter, 2019, arXiv:1711.05101), or ``"sgd"`` with Nesterov momentum.
        learning_rate: The largest.
        momentum: Of SGD; of AdamW the first beta. Under one-cycle the largest: it falls by 0.1 while the learning rate
            is high.
        schedule: ``"one-cycle"`` (Smith and Topin, 2017, arXiv:1708.07120) or ``"cosine"`` (Loshchilov and Hutter,
            2017, arXiv:1608.03983) down to 0; step by step.
        warmup: Share of the steps in which the learning rate rises to its largest.
        weight_decay: With AdamW decoupled, with SGD added to the gradient.
        decay: What decays: ``"all"`` parameters, or ``"weights"`` alone: no biases, no parameters of normalisation.
        label_smoothing: Share of the target spread over all classes.
        clip_norm: Largest norm of the gradient of all parameters; 0 for any.
        crop_padding: Images are moved by up to this share of their side, black flowing in; 1/8 is the usual 4 of 32
            pixels. 0 for none.
        flip: Which images are mirrored, left to right, half of the time: ``"never"`` any, those in ``"colour"``,
            ``"always"`` all. A mirrored digit is no digit.
        mixup: Alpha of mixup (Zhang et al., 2018, arXiv:1710.09412); 0 for none.
        cutmix: Alpha of CutMix (Yun et al., 2019, arXiv:1905.04899); 0 for none. With both, each takes half of the
            batches.
        mix_probability: Share of the batches that are mixed.
        ema_decay: Of an exponential moving average of the weights, which then is what is judged and kept; 0 for none.
        recalibration_images: Training images from which the statistics of batch normalisation are estimated anew
            before a network is judged or kept; 0 for none.
        distillation: Share of the loss that is the distance to a teacher (Hinton et al., 2015, arXiv:1503.02531).
        temperature: Of teacher and student in that distance.
        precision: What is computed in: ``"fp32"``, or mixed with ``"bf16"`` or ``"fp16"``. Networks are judged in fp32.
        channels_last: Whether images and weights lie in memory with the channels last; ``"auto"`` for images of more
            than one channel on the CPU, where that is faster. The course of a training differs by rounding.
        device: ``"cpu"``, ``"gpu"``, or ``"auto"``: the GPU where torch can use one.
        threads: Of torch on the CPU. The result depends on it in the last digits, so it is part of the recipe and not
            of the machine; small networks gain nothing from more, and lose much on a busy machine.

    Raises:
        UsageError: A value that cannot be meant, or one that would do nothing.
    """

    epochs: int = 6
    batch: int = 64
    optimizer: Optimizer = "adamw"
    learning_rate: float = 8e-3
    momentum: float = 0.95
    schedule: ScheduleName = "one-cycle"
    warmup: float = 0.3
    weight_decay: float = 0.02
    decay: Decayed = "all"
    label_smoothing: float = 0.05
    clip_norm: float = 0.0
    crop_padding: float = 0.0
    flip: Flip = "never"
    mixup: float = 0.0
    cutmix: float = 0.0
    mix_probability: float = 1.0
    ema_decay: float = 0.0
    recalibration_images: int = 0
    distillation: float = 0.0
    temperature: float = 1.0
    precision: Precision = "fp32"
    channels_last: ChannelsLast = "auto"
    device: TrainingDevice = "auto"
    threads: int = 1

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            # whole numbers are floats too: equal recipes are recorded alike, however they were written
            object.__setattr__(self, name, _checked(name, kind, getattr(self, name)))
        if self.schedule == "one-cycle" and self.momentum < MOMENTUM_SWING:
            raise _refused("momentum", f"at least {MOMENTUM_SWING} under one-cycle, which lowers it", self.momentum)
        if not (self.mixup or self.cutmix) and self.mix_probability != 1:
            raise _refused("mix_probability", "1 where neither mixup nor cutmix is on", self.mix_probability)
        if not self.distillation and self.temperature != 1:
            raise _refused("temperature", "1 where distillation is 0", self.temperature)

    def to_json(self) -> dict[str, int | float | str]:
        """Field by field, for the record of a run."""
        return asdict(self)

    def how(self) -> dict[str, int | float | str]:
        """Without the fields that say where, and in which order of memory, a network is trained."""
        return {name: value for name, value in self.to_json().items() if name not in _WHERE}

    def changes(self) -> dict[str, int | float | str]:
        """The fields that are not as they are by default."""
        usual = type(self)().to_json()
        return {name: value for name, value in self.to_json().items() if value != usual[name]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Recipe:
        """Undoes ``to_json``; fields that are missing, as in records of earlier versions, have their defaults then.

        Raises:
            UsageError: An unknown field, or a value that cannot be meant.
        """
        names = [entry.name for entry in fields(cls)]
        for name in value:
            if name not in names:
                raise unknown("recipe setting", name, names)
        return cls(**{**_BEFORE, **value})


_WHERE = ("channels_last", "device")
_BEFORE: Mapping[str, Any] = {"channels_last": False}  # defaults that were others when a field was not there yet

# lowest and highest value of each number; whether the lowest itself, then whether the highest itself, is allowed
_RANGES: Mapping[str, tuple[float, float, str]] = {
    "epochs": (1, 1_000_000, "[]"),
    "batch": (1, math.inf, "[)"),
    "learning_rate": (0, math.inf, "()"),
    "momentum": (0, 1, "()"),
    "warmup": (0, 1, "[)"),
    "weight_decay": (0, math.inf, "[)"),
    "label_smoothing": (0, 1, "[)"),
    "clip_norm": (0, math.inf, "[)"),
    "crop_padding": (0, 0.5, "[]"),
    "mixup": (0, 100, "[]"),
    "cutmix": (0, 100, "[]"),
    "mix_probability": (0, 1, "(]"),
    "ema_decay": (0, 1, "[)"),
    "recalibration_images": (0, math.inf, "[)"),
    "distillation": (0, 1, "[]"),
    "temperature": (0, math.inf, "()"),
    "threads": (1, 1024, "[]"),
}


def _checked(name: str, kind: Any, value: Any) -> Any:
    """The value of a field, as its type."""
    if kind == ChannelsLast:
        if value != "auto" and not isinstance(value, bool):
            raise _refused(name, "true, false or auto", value)
        return value
    if kind not in {int, float}:
        if value not in get_args(kind):
            raise _refused(name, f"one of {', '.join(get_args(kind))}", value)
        return value
    low, high, ends = _RANGES[name]
    number = isinstance(value, int | float) and not isinstance(value, bool) and (kind is float or value == value // 1)
    above = number and (value > low or (ends[0] == "[" and value == low))
    below = number and (value < high or (ends[1] == "]" and value == high))
    if not (above and below):
        what = "a whole number" if kind is int else "a number"
        least = f"{'from' if ends[0] == '[' else 'above'} {low:g}"
        most = "" if high == math.inf else f" {'to' if ends[1] == ']' else 'and below'} {high:g}"
        raise _refused(name, f"{what} {least}{most}", value)
    return kind(value)


def _refused(name: str, expected: str, received: object) -> UsageError:
    return UsageError(f"recipe: {name}: expected {expected}, received {received!r}")
