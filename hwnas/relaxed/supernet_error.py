"""The error of shared weights: what a supernet loses on some images, asked about one architecture at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hwnas.core import UsageError
from hwnas.relaxed.costs import Scaled
from hwnas.relaxed.required import require_space
from hwnas.relaxed.tables import architecture_at, option_counts
from hwnas.spaces import SearchSpace
from hwnas.supernets import Supernet
from hwnas.training import ImageData, prepared
from hwnas.training.devices import torch_threads

Places = tuple[int, ...]


class SupernetError:
    """Cross-entropy of architectures with shared weights on a fixed part of the validation images.

    Its slope along an option is what the loss changes by when a choice takes that option and all others stay: for each
    architecture that is drawn its neighbours are asked too, each once in all. Normalisations take the batch's
    statistics. Departs from MODNAS, which trains weights and policy in turn: the weights are trained before, and stay.

    Args:
        supernet: Trained.
        space: The policy's.
        data: Of which images are shown.
        images: How many validation images, at the most.

    Raises:
        UsageError: The supernet is of another space, or for data of other channels or classes; choices depend on each
            other; or no image is to be shown.
    """

    multilinear = False

    def __init__(self, supernet: Supernet, space: SearchSpace, data: ImageData, *, images: int = 256) -> None:
        require_space(supernet.family.space, space, what="a supernet")
        shape = supernet.family.shape
        if (shape.channels, shape.classes) != (data.channels, data.classes):
            raise UsageError(
                f"expected data of {shape.channels} channels and {shape.classes} classes, which the supernet is for, "
                f"received {data.name} with {data.channels} and {data.classes}"
            )
        if images < 1:
            raise UsageError(f"expected 1 image or more, received {images}")
        self.space, self._options = space, option_counts(space)
        self._supernet, self._data, self._images = supernet, data, images
        self._known: dict[Places, float] = {}

    @property
    def asked(self) -> int:
        """Architectures that were run."""
        return len(self._known)

    def loss(self, places: Places) -> float:
        """Of the architecture with the options at these places."""
        if places not in self._known:
            architecture = architecture_at(self.space, places)
            part, size = self._data.validation, self._supernet.family.resolution(architecture)
            shown = prepared(part.images[: self._images], self._data, size=size)
            with torch.no_grad(), torch_threads(1):
                logits = self._supernet(shown, architecture)
                wanted = torch.from_numpy(part.labels[: self._images])
                self._known[places] = float(nn.functional.cross_entropy(logits, wanted))
        return self._known[places]

    def scaled(self, kept: Tensor | None) -> Scaled:
        """From 0 for none to 1 for the loss of guessing, whatever is kept."""
        del kept
        guessing = float(torch.log(torch.tensor(float(self._supernet.family.shape.classes))))
        return lambda choices: self._values(choices) / guessing

    def _values(self, choices: Sequence[Tensor]) -> Tensor:
        rows = torch.stack([part.argmax(1) for part in choices], dim=1).tolist()
        own = torch.tensor([self.loss(tuple(row)) for row in rows])
        found = own
        for i, part in enumerate(choices):
            near = [[self.loss((*row[:i], option, *row[i + 1 :])) for option in range(part.shape[1])] for row in rows]
            changes = torch.tensor(near) - own.unsqueeze(1)  # (b, o_i), 0 at the architecture's own option
            found = found + (changes * part).sum(1)
        return found
