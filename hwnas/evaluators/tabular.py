"""Values from tables of published benchmarks: what would cost a training each is looked up.

The tables are Parquet files in the folder that the environment variable ``HWNAS_DATA`` names; docs/benchmarks.md says
which columns they have and how to make them. None of them is part of the package.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, DataError, UsageError, in_data_folder
from hwnas.spaces import MACRO_OPERATIONS, SearchSpace, from_string, macro_space, nasbench201_space
from latency_tables import MissingExtraError

Array = NDArray[np.float64]
NASBENCH201_FILE = "nasbench201.parquet"
MACRO_FILE = "nasbench_macro_cifar10.parquet"
_PERCENT = 100.0
# space and data, as the command line knows them, to what the columns of NAS-Bench-201 begin with
_PUBLISHED = {
    ("nasbench201", "cifar10"): "cifar10",
    ("nasbench201", "torchvision:CIFAR10"): "cifar10",
    ("nasbench201", "torchvision:CIFAR100"): "cifar100",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class TabularEvaluator:
    """Looks the values of architectures up.

    Attributes:
        space: The search space.
        architectures: Of the table's rows, each once.
        columns: Values by name, each of shape ``(n,)`` in the order of the architectures.
    """

    space: SearchSpace
    architectures: Sequence[Architecture]
    columns: Mapping[str, Array]

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        """The row of an architecture.

        Raises:
            UsageError: The table has no such row.
        """
        row = self._row(architecture)
        return {name: float(values[row]) for name, values in self.columns.items()}

    def values(self, name: str, architectures: Sequence[Architecture]) -> Array:
        """One column for some architectures, shape ``(n,)``.

        Raises:
            UsageError: The table lacks one of them.
        """
        rows = [self._row(architecture) for architecture in architectures]
        return self.columns[name][np.array(rows, dtype=np.intp)]

    def with_columns(self, columns: Mapping[str, Array]) -> TabularEvaluator:
        """The same table with further columns, each of shape ``(n,)``."""
        return TabularEvaluator(space=self.space, architectures=self.architectures, columns={**self.columns, **columns})

    def _row(self, architecture: Architecture) -> int:
        try:
            return self._rows[architecture]
        except KeyError:
            raise UsageError(
                f"the table of space {self.space.name} has no row for {dict(architecture)}: expected one of its "
                f"{len(self.architectures):,} architectures"
            ) from None

    @cached_property
    def _rows(self) -> dict[Architecture, int]:
        return {architecture: row for row, architecture in enumerate(self.architectures)}


def read_columns(file: str, columns: Iterable[str]) -> dict[str, list[Any]]:
    """Columns of a Parquet file in the folder that ``HWNAS_DATA`` names.

    Args:
        file: Its name.
        columns: Which to read.

    Returns:
        Values by column, all equally many.

    Raises:
        MachineError: ``HWNAS_DATA`` is not set, or its folder lacks the file.
        MissingExtraError: pyarrow is not installed.
        DataError: The file cannot be read, or lacks columns.
    """
    path = in_data_folder(file, purpose="this benchmark", about="see docs/benchmarks.md")
    try:
        import pyarrow as pa  # noqa: PLC0415  (an extra, and slow to import)
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(package="pyarrow", extra="parquet", purpose="reading a benchmark's table") from error
    wanted = list(columns)
    try:
        present = pq.read_schema(path).names
        lacking = [name for name in wanted if name not in present]
        if lacking:
            raise DataError(f"{path}: expected the columns {', '.join(lacking)}, received {', '.join(present)}")
        table = pq.read_table(path, columns=wanted)
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"cannot read {path} as a Parquet file: {error}") from error
    return {name: table[name].to_pylist() for name in wanted}


def numbers(file: str, columns: Mapping[str, list[Any]], names: Iterable[str]) -> dict[str, Array]:
    """Columns as numbers; NaN where a value is missing.

    Args:
        file: Where they are from, for the message.
        columns: As they were read.
        names: Which.

    Raises:
        DataError: A value is no number.
    """
    try:
        return {name: np.array([np.nan if v is None else v for v in columns[name]], dtype=np.float64) for name in names}
    except (TypeError, ValueError) as error:
        raise DataError(f"{file}: expected numbers in the columns {', '.join(names)}: {error}") from error


def nasbench201_table(columns: Sequence[str]) -> TabularEvaluator:
    """NAS-Bench-201: all 15,625 cells (Dong and Yang, 2020, https://arxiv.org/abs/2001.00326).

    Args:
        columns: Columns of ``nasbench201.parquet`` with numbers, such as ``"cifar10_test_acc_200"`` (percent),
            ``"flops_m"`` (millions) or ``"pixel3_latency_ms"`` (milliseconds).

    Raises:
        MachineError: ``HWNAS_DATA`` is not set, or its folder lacks the file.
        MissingExtraError: pyarrow is not installed.
        DataError: The file cannot be read, lacks columns, or is not whole.
    """
    read = read_columns(NASBENCH201_FILE, ["arch_str", *columns])
    try:
        architectures = [from_string(str(text)) for text in read["arch_str"]]
    except UsageError as error:
        raise DataError(f"{NASBENCH201_FILE} has an architecture that cannot be read: {error}") from error
    return _whole(NASBENCH201_FILE, nasbench201_space(), architectures, numbers(NASBENCH201_FILE, read, columns))


def published_accuracies(space: str, data: str) -> TabularEvaluator:
    """Accuracies of a space that were published for some data, as a search takes them.

    Args:
        space: Its name.
        data: Their name; options behind a question mark do not count.

    Returns:
        ``accuracy`` on validation images and ``published_test_accuracy``, from 0 to 1, means over trainings of 200
        epochs.

    Raises:
        UsageError: There is no table for these; the message names what there is.
        MachineError: ``HWNAS_DATA`` is not set, or its folder lacks the file.
        MissingExtraError: pyarrow is not installed.
        DataError: The file cannot be read, lacks columns, or is not whole.
    """
    place = space, data.partition("?")[0]
    if place not in _PUBLISHED:
        there = ", ".join(f"--space {one} --data {other}" for one, other in _PUBLISHED)
        raise UsageError(
            f"no table holds accuracies of space {space} on data {data}: expected {there}, or another --evaluator"
        )
    names = {"accuracy": "valid", "published_test_accuracy": "test"}
    columns = {name: f"{_PUBLISHED[place]}_{part}_acc_200" for name, part in names.items()}
    table = nasbench201_table(list(columns.values()))
    found = {name: table.columns[column] / _PERCENT for name, column in columns.items()}
    return TabularEvaluator(space=table.space, architectures=table.architectures, columns=found)


def macro_table(columns: Sequence[str]) -> TabularEvaluator:
    """NAS-Bench-Macro: all 6,561 networks (Su et al., 2021, https://arxiv.org/abs/2103.11922).

    Args:
        columns: Columns of ``nasbench_macro_cifar10.parquet`` with numbers, such as ``"cifar10_test_acc_mean"``
            (percent) or ``"flops_m"`` (millions).

    Raises:
        MachineError: ``HWNAS_DATA`` is not set, or its folder lacks the file.
        MissingExtraError: pyarrow is not installed.
        DataError: The file cannot be read, lacks columns, or is not whole.
    """
    read = read_columns(MACRO_FILE, ["arch", *columns])
    space = macro_space()
    digits = range(len(MACRO_OPERATIONS))
    named = {
        "".join(map(str, code)): Architecture(
            {choice.name: MACRO_OPERATIONS[digit] for choice, digit in zip(space.choices, code, strict=True)}
        )
        for code in product(digits, repeat=len(space.choices))
    }
    strangers = [text for text in read["arch"] if text not in named]
    if strangers:
        raise DataError(f"{MACRO_FILE}: expected eight digits 0 to 2 as the architecture, received {strangers[0]!r}")
    architectures = [named[text] for text in read["arch"]]
    return _whole(MACRO_FILE, space, architectures, numbers(MACRO_FILE, read, columns))


def _whole(
    file: str, space: SearchSpace, architectures: Sequence[Architecture], columns: Mapping[str, Array]
) -> TabularEvaluator:
    """A table of every architecture of its space, each once, with finite values."""
    different = len(set(architectures))
    if len(architectures) != space.size or different != space.size:
        raise DataError(
            f"{file}: expected each of the {space.size:,.0f} architectures of {space.name} once, received "
            f"{len(architectures):,} rows with {different:,} different ones"
        )
    for name, values in columns.items():
        if not np.isfinite(values).all():
            raise DataError(
                f"{file}: expected a number in every row of column {name}, received "
                f"{int((~np.isfinite(values)).sum())} that are missing or not finite"
            )
    return TabularEvaluator(space=space, architectures=architectures, columns=columns)
