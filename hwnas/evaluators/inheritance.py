"""Where trained weights are kept for those who inherit them: by their content, so that none is kept twice.

A folder: ``weights/SHA256.safetensors``, ``networks/ID.json`` for each network, which says which weights are its own,
and ``about.json`` with what all of them have in common. Weights are there before the network that names them; every
file is replaced as a whole, so what is listed is whole however a process ended.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.core import Architecture, RunMismatchError, StudyError, differing
from latency_tables import write_atomically

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A network that was trained.

    Attributes:
        architecture: Which.
        values: What was found of it.
        weights_sha256: Name of its weights.
        parent: The id of the network whose weights it began with; ``None`` where it began with none.
        course: How its training went, as ``hwnas.training.Course`` is written; empty of what was kept without.
    """

    architecture: Architecture
    values: Mapping[str, float]
    weights_sha256: str
    parent: str | None = None
    course: Sequence[Sequence[float]] = ()


@dataclass(frozen=True)
class InheritanceStore:
    """Networks and their weights in a folder, which any number of processes may use.

    Attributes:
        folder: Where; made when the first network is kept.
        about: What decides the weights beside the architecture, in JSON's terms: space, data, recipe.
    """

    folder: Path
    about: Mapping[str, Any]

    def keep(
        self,
        architecture: Architecture,
        weights: Mapping[str, torch.Tensor],
        values: Mapping[str, float],
        *,
        parent: str | None = None,
        course: Sequence[Sequence[float]] = (),
    ) -> Kept:
        """Keeps a network; equal weights are kept once.

        Raises:
            RunMismatchError: The folder is about something else.
            StudyError: ``about.json`` is damaged.
            OSError: The folder cannot be written.
        """
        from safetensors.torch import save  # noqa: PLC0415  (torch only where there are weights)

        self._require_same()
        write_atomically(self.folder / "about.json", json.dumps(dict(self.about), indent=2, sort_keys=True) + "\n")
        content = save({name: one.detach().cpu().contiguous() for name, one in weights.items()})
        sha256 = hashlib.sha256(content).hexdigest()
        if not self._file(sha256).is_file():
            write_atomically(self._file(sha256), content)
        entry = {
            "architecture": dict(architecture),
            "values": dict(values),
            "weights_sha256": sha256,
            "parent": parent,
            "course": course,
        }
        path = write_atomically(self._entry(architecture.id), json.dumps(entry, allow_nan=False) + "\n")
        return _read(path)

    def find(self, architecture: Architecture) -> Kept | None:
        """A network that was kept; ``None`` where it was not.

        Raises:
            RunMismatchError: The folder is about something else.
            StudyError: Its entry is damaged.
        """
        self._require_same()
        path = self._entry(architecture.id)
        return _read(path) if path.is_file() else None

    def networks(self) -> list[Kept]:
        """All networks that were kept, in the order of their ids.

        Raises:
            RunMismatchError: The folder is about something else.
            StudyError: An entry is damaged.
        """
        self._require_same()
        return [_read(path) for path in sorted((self.folder / "networks").glob("*.json"))]

    def weights(self, kept: Kept) -> dict[str, torch.Tensor]:
        """The weights of a network.

        Raises:
            StudyError: They are missing, or not what was kept.
        """
        from safetensors.torch import load  # noqa: PLC0415  (torch only where there are weights)

        path = self._file(kept.weights_sha256)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise StudyError(
                f"the weights of network {kept.architecture.id} cannot be read: expected them in {path} ({error}). "
                f"Remove {self._entry(kept.architecture.id)} to have the network trained anew"
            ) from error
        found = hashlib.sha256(content).hexdigest()
        if found != kept.weights_sha256:
            raise StudyError(
                f"the weights of network {kept.architecture.id} are damaged: expected the SHA-256 that {path} is named "
                f"after, received {found}. Remove that file and {self._entry(kept.architecture.id)} to have the "
                "network trained anew"
            )
        return load(content)

    def _require_same(self) -> None:
        path = self.folder / "about.json"
        if not path.is_file():
            return
        asked = json.loads(json.dumps(dict(self.about)))
        try:
            recorded = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise StudyError(f"cannot read {path} ({error}): remove {self.folder} to begin anew") from error
        differences = differing(recorded, asked)
        if differences:
            shown = "; ".join(f"{name}: {was!r} there, {now!r} asked for" for name, (was, now) in differences.items())
            raise RunMismatchError(
                f"{self.folder} holds weights of other networks ({shown}): give these settings, or another folder",
                differences=differences,
            )

    def _file(self, sha256: str) -> Path:
        return self.folder / "weights" / f"{sha256}.safetensors"

    def _entry(self, name: str) -> Path:
        return self.folder / "networks" / f"{name}.json"


def _read(path: Path) -> Kept:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        parent = held["parent"]
        return Kept(
            architecture=Architecture(dict(held["architecture"])),
            values={str(name): float(value) for name, value in held["values"].items()},
            weights_sha256=str(held["weights_sha256"]),
            parent=None if parent is None else str(parent),
            course=held.get("course", ()),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StudyError(
            f"cannot read {path} as a network with its weights ({error!r}): remove it, and the network is trained anew"
        ) from error
