"""The vectors that a partition separates: those of architectures, or codes of what came of their trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Trial
from hwnas.searchers.tree.encoders import Encode, Encoder, Identity, Pca
from hwnas.searchers.tree.information import Information, Recorded
from hwnas.searchers.tree.samples import Codes

_FEWEST = 2  # trials with information below which there is nothing to learn from


@dataclass(frozen=True, kw_only=True)
class View:
    """Trials and architectures as a partition sees them.

    Attributes:
        codes: Of the trials, shape ``(n, d)``.
        columns: What each column tells, for people.
        code: From the vectors of architectures, shape ``(k, f)``, to their codes, shape ``(k, d)``. Where these are not
            ``exact``, they are those of the trial that lies nearest.
        exact: Whether the code of an architecture is known before its trial.
        notes: What has to be said about them, recorded with the proposals.
    """

    codes: Codes
    columns: tuple[str, ...]
    code: Callable[[Codes], Codes]
    exact: bool = True
    notes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Latent:
    """Codes of information on trials (PlaLaM).

    Where no trials have information, that of an architecture is what it is: its own vector. A trial that lacks some of
    it, or has numbers that are not finite, is taken for what came of the trial with the nearest architecture.

    Attributes:
        information: What is read from a trial.
        encoder: Makes it short.
    """

    information: Information = field(default_factory=Recorded)
    encoder: Encoder = field(default_factory=Pca)

    def view(
        self,
        trials: Sequence[Trial],
        vectors: Codes,
        *,
        merits: NDArray[np.float64],
        grown: int,
        rng: np.random.Generator,
    ) -> View:
        """Trials by codes learned from the first of them.

        Args:
            trials: All finished ones with a value.
            vectors: Of their architectures, shape ``(n, f)``.
            merits: How good each is, shape ``(n,)``.
            grown: How many are learned from.
            rng: Randomness.
        """
        told = self.information(trials)  # (n, d)
        whole = np.isfinite(told).all(axis=1) & (told.shape[1] > 0)
        if whole[:grown].sum() < _FEWEST:
            encode, notes = self._learned(vectors, merits, grown=grown, rng=rng)
            codes = encode(vectors)
            return View(
                codes=codes, columns=_columns(codes), code=encode, notes={"information": "architecture", **notes}
            )
        near = vectors[whole]
        told[~whole] = told[whole][_nearest(vectors[~whole], near)]
        encode, notes = self._learned(told, merits, grown=grown, rng=rng)
        codes = encode(told)
        if not whole.all():
            notes = {**notes, "without_information": int((~whole).sum())}
        return View(
            codes=codes,
            columns=_columns(codes),
            code=lambda rows: codes[whole][_nearest(rows, near)],
            exact=False,
            notes={"information": "trial", **notes},
        )

    def _learned(
        self, told: Codes, merits: NDArray[np.float64], *, grown: int, rng: np.random.Generator
    ) -> tuple[Encode, dict[str, object]]:
        """The encoding, and what has to be said about it."""
        known = told[:grown]
        center, deviation = known.mean(axis=0), known.std(axis=0)
        unit = np.where(deviation > 0, deviation, 1.0)
        scaled = (known - center) / unit
        encoder = self.encoder
        notes: dict[str, object] = {"encoder": encoder.name}
        try:
            encode = _checked(encoder(scaled, merits[:grown], rng), (told - center) / unit)
        except (ArithmeticError, ValueError, RuntimeError) as error:
            encode = Identity()(scaled, merits[:grown], rng)
            notes = {"encoder": Identity.name, "encoder_failed": f"{encoder.name}: {error}"}
        return (lambda rows: encode((rows - center) / unit)), notes


def _checked(encode: Encode, rows: Codes) -> Encode:
    """The encoding, if it gives a finite row for each of some.

    Raises:
        ValueError: It does not.
    """
    codes = encode(rows)
    if codes.ndim != 2 or len(codes) != len(rows):
        raise ValueError(f"expected {len(rows)} rows of codes, received an array of shape {codes.shape}")
    if not np.isfinite(codes).all():
        raise ValueError("expected finite codes, received some that are not")
    return encode


def _nearest(rows: Codes, among: Codes) -> NDArray[np.intp]:
    """Index of the nearest of some vectors, shape ``(k, d)``, for each row, shape ``(n,)``; of equals the latest."""
    squares = (rows**2).sum(axis=1)[:, None] + (among**2).sum(axis=1) - 2 * rows @ among.T  # (n, k)
    return np.asarray(len(among) - 1 - squares[:, ::-1].argmin(axis=1), dtype=np.intp)


def _columns(codes: Codes) -> tuple[str, ...]:
    return tuple(f"code {i}" for i in range(1, codes.shape[1] + 1))
