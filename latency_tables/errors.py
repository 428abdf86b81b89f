"""What can be wrong with a latency table.

Tree::

    TableError
    ├── TableFormatError (also ValueError)      the file is not a sound table
    ├── TableMismatchError (also ValueError)    a sound table, but of another device, runtime or schema
    ├── MissingRowError (also KeyError)         a lookup found nothing
    ├── UnknownTableError (also LookupError)    neither a file nor the name of a shipped table
    └── MissingExtraError (also ImportError)    an optional package is not installed
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class TableError(Exception):
    """Base class of everything this package raises; a table that will not do is wrong usage of the command line."""

    exit_code: ClassVar[int] = 2


class TableFormatError(TableError, ValueError):
    """A file that is not a sound table: truncated, edited by hand, or something else altogether.

    Attributes:
        path: The file.
        line: The line the trouble starts at, from 1; ``None`` where it concerns the whole file.
    """

    def __init__(self, message: str, *, path: str, line: int | None = None) -> None:
        self.path = path
        self.line = line
        place = path if line is None else f"{path}, line {line}"
        super().__init__(f"{place}: {message}")


class TableMismatchError(TableError, ValueError):
    """A sound table that does not fit what it is asked for.

    Attributes:
        differences: Field name to ``(expected, received)``.
    """

    def __init__(self, message: str, *, differences: dict[str, tuple[object, object]]) -> None:
        self.differences = differences
        super().__init__(message)


_MEASURE = (
    "Measure what is missing with `hwnas profile`, for the same space, data, batches and precisions, into the same file"
)


class MissingRowError(TableError, KeyError):
    """A lookup found no row.

    Attributes:
        missing: The keys that have no row.
        nearest: For the first of them, the most similar keys the table does hold.
        cure: What to do about it.
    """

    def __init__(
        self, *, kind: str, missing: Sequence[str], nearest: Sequence[str], rows: int, cure: str = _MEASURE
    ) -> None:
        self.kind, self.rows, self.cure = kind, rows, cure
        self.missing = tuple(missing)
        self.nearest = tuple(nearest)
        near = f" Nearest: {', '.join(nearest)}." if nearest else ""
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        self.message = f"the table holds no {kind} {missing[0]}{more} among its {rows} {kind} rows.{near} {cure}."
        super().__init__(self.message)

    def with_cure(self, cure: str) -> MissingRowError:
        """The same error for someone who knows better what to do about it, a sentence without its full stop."""
        return MissingRowError(kind=self.kind, missing=self.missing, nearest=self.nearest, rows=self.rows, cure=cure)

    def __str__(self) -> str:  # KeyError would show the quoted repr
        return self.message


class UnknownTableError(TableError, LookupError):
    """Neither a file nor the name of a shipped table.

    Attributes:
        asked: What was asked for.
        shipped: The names there are.
    """

    def __init__(self, asked: str, *, shipped: Sequence[str], nearest: Sequence[str] = ()) -> None:
        self.asked = asked
        self.shipped = tuple(shipped)
        near = f" Did you mean {' or '.join(map(repr, nearest))}?" if nearest else ""
        there = f"the shipped tables are {', '.join(shipped)}" if shipped else "no tables are shipped with this version"
        super().__init__(
            f"expected the path of a table or the name of a shipped one, received {asked!r}: there is no such file, "
            f"and {there}.{near} Make a table with `hwnas profile --out FILE`, or see `hwnas table list`."
        )


class MissingExtraError(TableError, ImportError):
    """An optional package is not installed."""

    exit_code: ClassVar[int] = 3

    def __init__(self, *, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f'{purpose} needs {package}, which is not installed: pip install "hwnas[{extra}]"', name=package
        )
