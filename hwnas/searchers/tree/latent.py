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
_FAILURES = (ArithmeticError, ValueError, RuntimeError)  # of an encoder


@dataclass(frozen=True, eq=False)
class Lesson:
    """What an encoder learned, and what from.

    Attributes:
        information: Of the trials that it learned from, shape ``(n, d)``.
        merits: Theirs, shape ``(n,)``.
        encode: From information whose columns have mean 0 and deviation 1 to codes.
        failed: Why it learned nothing; empty where it did.
    """

    information: Codes
    merits: NDArray[np.float64]
    encode: Encode
    failed: str = ""

    def is_of(self, information: Codes, merits: NDArray[np.float64]) -> bool:
        """Whether it learned from these very trials."""
        return np.array_equal(self.information, information) and np.array_equal(self.merits, merits)


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
        lesson: What the codes go by; ``None`` where nothing was learned.
    """

    codes: Codes
    columns: tuple[str, ...]
    code: Callable[[Codes], Codes]
    exact: bool = True
    notes: Mapping[str, object] = field(default_factory=dict)
    lesson: Lesson | None = None


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
        before: Lesson | None = None,
    ) -> View:
        """Trials by codes learned from the first of them.

        Args:
            trials: All finished ones with a value.
            vectors: Of their architectures, shape ``(n, f)``.
            merits: How good each is, shape ``(n,)``.
            grown: How many are learned from.
            rng: Randomness; the same for the same ``grown``.
            before: Of an earlier view; nothing is learned again from the same trials.
        """
        told = self.information(trials)  # (n, d)
        whole = np.isfinite(told).all(axis=1) & (told.shape[1] > 0)
        if whole[:grown].sum() < _FEWEST:
            lesson = self._lesson(vectors[:grown], merits[:grown], rng, before)
            encode, notes = self._encoding(lesson, vectors)
            codes = encode(vectors)
            notes = {"information": "architecture", **notes}
            return View(codes=codes, columns=_columns(codes), code=encode, notes=notes, lesson=lesson)
        near = vectors[whole]
        told[~whole] = told[whole][_nearest(vectors[~whole], near)]
        lesson = self._lesson(told[:grown], merits[:grown], rng, before)
        encode, notes = self._encoding(lesson, told)
        codes = encode(told)
        if not whole.all():
            notes = {**notes, "without_information": int((~whole).sum())}
        return View(
            codes=codes,
            columns=_columns(codes),
            code=lambda rows: codes[whole][_nearest(rows, near)],
            exact=False,
            notes={"information": "trial", **notes},
            lesson=lesson,
        )

    def _lesson(
        self, known: Codes, merits: NDArray[np.float64], rng: np.random.Generator, before: Lesson | None
    ) -> Lesson:
        """What is learned from some trials, which takes as long as the encoder does."""
        if before is not None and before.is_of(known, merits):
            return before
        center, unit = _scale(known)
        try:
            return Lesson(known, merits, self.encoder((known - center) / unit, merits, rng))
        except _FAILURES as error:
            return Lesson(known, merits, np.asarray, failed=str(error))

    def _encoding(self, lesson: Lesson, told: Codes) -> tuple[Encode, dict[str, object]]:
        """From information, as of ``told``, to codes, and what has to be said about them."""
        center, unit = _scale(lesson.information)
        encode, name = lesson.encode, self.encoder.name
        failed = lesson.failed or _complaint(encode, (told - center) / unit)
        notes: dict[str, object] = {"encoder": name}
        if failed:
            encode = np.asarray
            notes = {"encoder": Identity.name, "encoder_failed": f"{name}: {failed}"}
        return (lambda rows: encode((rows - center) / unit)), notes


def _scale(known: Codes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation of each column, shapes ``(d,)``; 1 where all is the same."""
    deviation = known.std(axis=0)
    return known.mean(axis=0), np.where(deviation > 0, deviation, 1.0)


def _complaint(encode: Encode, rows: Codes) -> str:
    """Why the codes of some rows will not do; empty where they are finite, one for each row."""
    try:
        codes = encode(rows)
    except _FAILURES as error:
        return str(error)
    if codes.ndim != 2 or len(codes) != len(rows):
        return f"expected {len(rows)} rows of codes, received an array of shape {codes.shape}"
    return "" if np.isfinite(codes).all() else "expected finite codes, received some that are not"


def _nearest(rows: Codes, among: Codes) -> NDArray[np.intp]:
    """Index of the nearest of some vectors, shape ``(k, d)``, for each row, shape ``(n,)``; of equals the latest."""
    squares = (rows**2).sum(axis=1)[:, None] + (among**2).sum(axis=1) - 2 * rows @ among.T  # (n, k)
    return np.asarray(len(among) - 1 - squares[:, ::-1].argmin(axis=1), dtype=np.intp)


def _columns(codes: Codes) -> tuple[str, ...]:
    return tuple(f"code {i}" for i in range(1, codes.shape[1] + 1))
