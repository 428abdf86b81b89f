"""Where a study is kept: a file in the run folder, or any storage that Optuna has."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from hwnas.core import MachineError, StudyError, UsageError, unknown

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

JOURNAL = "journal:"  # begins the path of a journal file
STORAGE_VARIABLE = "HWNAS_STORAGE"  # environment variable with a whole URL, for passwords that no file should hold
PATIENCE_S = 300.0  # for which a server that does not answer is waited for
_DRIVERS = {  # by the database, what it takes
    "postgresql": "pip install 'hwnas[postgresql]', and a URL that begins with postgresql+psycopg://",
    **dict.fromkeys(("mysql", "mariadb"), "pip install pymysql, and a URL that begins with mysql+pymysql://"),
}
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0


@dataclass(frozen=True)
class Place:
    """Where a study is.

    Attributes:
        url: ``sqlite:///…``, ``postgresql+psycopg://…`` or another of SQLAlchemy's, or ``journal:PATH``.
        study: Its name there.
    """

    url: str
    study: str = "hwnas"

    @classmethod
    def in_folder(cls, folder: Path) -> Place:
        """The file that a run keeps in its folder unless told otherwise."""
        return cls(f"sqlite:///{(folder / 'study.db').resolve()}")

    @property
    def file(self) -> Path | None:
        """The file, where it is one."""
        if self.url.startswith(JOURNAL):
            return Path(self.url.removeprefix(JOURNAL))
        url = make_url(self.url)
        return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None

    @property
    def shown(self) -> str:
        """For messages and files: without a password."""
        if self.url.startswith(JOURNAL):
            return self.url
        return str(self.file or make_url(self.url)._replace(password=None).render_as_string())

    @property
    def public_url(self) -> str:
        """The URL without its password."""
        return (
            self.url if self.url.startswith(JOURNAL) else make_url(self.url)._replace(password=None).render_as_string()
        )

    def with_secret(self) -> Place:
        """The same place by the URL in ``HWNAS_STORAGE``, where that is set and names no other place.

        Raises:
            UsageError: It names another place.
        """
        given = os.environ.get(STORAGE_VARIABLE)
        if not given or self.file is not None:
            return self
        secret = Place(require_url(given), self.study)
        if secret.public_url != self.public_url:
            raise UsageError(
                f"{STORAGE_VARIABLE} names {secret.shown}, but the run is kept in {self.shown}: unset it, or set it to "
                "that place with its password"
            )
        return secret


def require_url(text: str) -> str:
    """Checks the URL of a storage.

    Raises:
        UsageError: It is none.
    """
    expected = "expected sqlite:///FILE, journal:FILE, postgresql+psycopg://USER@HOST/DATABASE or mysql+pymysql://…"
    if text.startswith(JOURNAL):
        path = text.removeprefix(JOURNAL)
        if not path:
            raise UsageError(f"the storage {text!r} names no file: {expected}")
        return f"{JOURNAL}{_file_to_be(path)}"
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise UsageError(f"cannot use the storage {text!r}: {expected}") from error
    kind = url.get_backend_name()
    if kind == "sqlite":
        if not url.database or url.database == ":memory:":
            raise UsageError(f"the storage {text!r} names no file: {expected}")
        return f"sqlite:///{_file_to_be(url.database)}"
    if kind not in _DRIVERS:
        raise UsageError(f"cannot use the storage {text!r}, since nobody knows a database {kind!r}: {expected}")
    return url.render_as_string(hide_password=False)


def _file_to_be(text: str) -> Path:
    """A file that is there or can be made.

    Raises:
        UsageError: It cannot.
    """
    path = Path(text).resolve()
    if path.is_dir():
        raise UsageError(f"the storage {path} is a folder: expected a file, for example {path / 'study.db'}")
    if not path.parent.exists():
        raise UsageError(f"the storage {path} has no place: make its folder first, mkdir -p {path.parent}")
    return path


def open_storage(place: Place) -> BaseStorage:
    """Opens what keeps a study.

    Raises:
        MachineError: It cannot be opened, or its driver is not installed.
        StudyError: It is damaged, or of another version of Optuna.
    """
    with storage_errors(place):
        if place.url.startswith(JOURNAL):
            return JournalStorage(JournalFileBackend(place.url.removeprefix(JOURNAL)))
        options = {"connect_args": {"timeout": 60}} if place.file else {"pool_pre_ping": True}
        try:
            return RDBStorage(place.url, engine_kwargs=options)
        except RuntimeError as error:  # that the tables are of an older or a newer one, and what helps
            told = str(error).replace("$STORAGE_URL", f"'{place.public_url}'")
            raise StudyError(f"cannot use the record {place.shown}: {told}") from error


def require_study(place: Place) -> None:
    """Checks that a study is where it is said to be.

    Raises:
        UsageError: There is no such file, or no such study in what is there.
        MachineError: The storage cannot be opened.
        StudyError: It is damaged, or of another version of Optuna.
    """
    if place.file is not None and not place.file.is_file():
        raise UsageError(f"no study {place.study!r} to begin with: there is no file {place.file}")
    storage = open_storage(place)
    try:
        with storage_errors(place):
            names = optuna.get_all_study_names(storage)
    finally:
        close_storage(storage)
    if place.study not in names:
        raise unknown(f"study in {place.shown}", place.study, names)


def close_storage(storage: BaseStorage) -> None:
    """Lets go of files and connections."""
    if isinstance(storage, RDBStorage):
        storage.remove_session()
        storage.engine.dispose()


@contextmanager
def storage_errors(place: Place) -> Iterator[None]:
    """Turns what a storage raises into errors that name the place and the cure.

    Raises:
        MachineError: It cannot be used at this moment.
        StudyError: It is damaged, or holds something else.
    """
    try:
        yield
    except (ImportError, NoSuchModuleError) as error:
        cure = _DRIVERS.get(place.url.partition(":")[0].partition("+")[0], _DRIVERS["postgresql"])
        raise MachineError(
            f"cannot use the record {place.shown}: its driver is not installed ({error}). Expected {cure}"
        ) from error
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError, OSError) as error:
        origin = _origin(error)
        cause = (str(origin).strip().splitlines() or [type(origin).__name__])[0]
        if isinstance(origin, sqlite3.DatabaseError) and not isinstance(origin, sqlite3.OperationalError):
            raise StudyError(f"{place.shown} is damaged: {cause}. Begin a new run with another --out") from error
        cure = "Free some space or mend the permissions" if place.file else "See that the server runs and lets you in"
        raise MachineError(
            f"cannot use the record {place.shown}: {cause}. {cure}; nothing finished is lost, and the same command "
            "goes on"
        ) from error
    except (KeyError, ValueError) as error:
        raise StudyError(f"{place.shown} is not the record of this run: {error}") from error


def patiently(place: Place, act: Callable[[], T], *, patience_s: float = PATIENCE_S) -> T:
    """Does something with a storage; where a server does not answer, again and again until it does, and says so once.

    Args:
        place: A file is never waited for.
        act: What to do; must bear being done twice.
        patience_s: For how long.

    Raises:
        MachineError: As ``storage_errors``; the last time.
        StudyError: As ``storage_errors``.
    """
    begun, pause_s = time.monotonic(), _FIRST_PAUSE_S
    while True:
        try:
            with storage_errors(place):
                return act()
        except MachineError as error:
            lost = place.file is None and _is_lost(error.__cause__)
            if not lost or time.monotonic() - begun >= patience_s:
                raise
            if pause_s == _FIRST_PAUSE_S:
                _LOG.warning("%s: trying again for up to %.0f minutes", str(error).partition(". ")[0], patience_s / 60)
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _origin(error: BaseException) -> BaseException:
    """What lies at the bottom of a storage's error."""
    inner = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) and error.__cause__ else error
    return getattr(inner, "orig", None) or inner


def _is_lost(error: BaseException | None) -> bool:
    """Whether a connection broke or could not be made, so that a later one may succeed."""
    inner = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
    return isinstance(inner, DBAPIError) and (
        inner.connection_invalidated or type(inner).__name__ in {"OperationalError", "InterfaceError"}
    )
