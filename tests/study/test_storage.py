"""Where trials are kept: any storage, the same course; a server that goes away is waited for."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import optuna
import pytest

import hwnas.study.storage as module
from hwnas.core import Architecture, MachineError, RunMismatchError, StudyError, UsageError
from hwnas.study import Run, open_run
from hwnas.study.storage import Place, close_storage, require_url
from tests.study.conftest import FakeTrainer
from tests.study.postgresql import Server, made_server
from tests.study.sources import accuracy_by_id
from tests.study.test_search import trace

Begin = Callable[..., Run]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with TemporaryDirectory() as folder:  # pytest closes its own to the account that the server runs under
        made = made_server(Path(folder))
        yield made
        made.stop()


@pytest.fixture
def begin(begin: Begin) -> Begin:
    """Searches with a searcher that takes no time."""
    return partial(begin, algorithm="mutation")


@pytest.fixture(params=["sqlite", "journal", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("server").url)
    return f"sqlite:///{tmp_path / 'kept.db'}" if request.param == "sqlite" else f"journal:{tmp_path / 'kept.log'}"


def test_every_storage_gives_the_course_of_the_file_in_the_folder_also_when_resumed(
    begin: Begin, trainer: FakeTrainer, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trace(begin(out=tmp_path / "whole"))
    trainer.evaluated.clear()

    def interrupted(architecture: Architecture) -> float:
        if len(trainer.evaluated) == 6:
            raise KeyboardInterrupt
        return accuracy_by_id(architecture)

    trainer.accuracy = interrupted
    with pytest.raises(KeyboardInterrupt):
        begin(storage=url)
    trainer.accuracy = accuracy_by_id
    run = begin()  # a run stays where it was begun
    assert trace(run) == whole
    run.record.close()
    assert not (tmp_path / "run" / "study.db").exists()
    assert "secret" not in (tmp_path / "run" / "run.json").read_text()
    again = open_run(tmp_path / "run")
    assert trace(again) == whole
    again.record.close()


def test_runs_that_share_a_storage_do_not_mix(begin: Begin, tmp_path: Path, url: str) -> None:
    one, other = (begin(out=tmp_path / name, storage=url, seed=seed) for name, seed in (("a", 0), ("b", 1)))
    assert one.place.study != other.place.study
    assert len(one.trials()) == len(other.trials()) == 15
    assert trace(one) != trace(other)
    one.record.close()
    other.record.close()


def test_a_server_that_is_stopped_and_started_loses_and_doubles_nothing(
    begin: Begin, trainer: FakeTrainer, tmp_path: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    whole = trace(begin(out=tmp_path / "whole"))
    trainer.evaluated.clear()
    waiting: list[threading.Timer] = []

    def stopping(architecture: Architecture) -> float:
        if len(trainer.evaluated) in {4, 9}:
            server.stop()
            waiting.append(threading.Timer(1.0, server.start))
            waiting[-1].start()
        return accuracy_by_id(architecture)

    trainer.accuracy = stopping
    run = begin(storage=server.url)
    for timer in waiting:
        timer.join()
    assert len(waiting) == 2
    assert "cannot use the record postgresql" in caplog.text
    assert "trying again for up to 5 minutes" in caplog.text
    assert trace(run) == whole
    assert len(trainer.evaluated) == len(set(trainer.evaluated)) == 15
    run.record.close()


def test_a_database_that_is_not_there_is_told_at_once(begin: Begin, server: Server, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"cannot use the record .*hwnaz: .*database \"hwnaz\" does not exist"):
        begin(storage=server.url.rpartition("/")[0] + "/hwnaz")
    with pytest.raises(MachineError, match=r"cannot use the record postgresql.*: .*See that the server runs"):
        begin(storage="postgresql+psycopg://me@127.0.0.1:1/db")
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_server_that_does_not_come_back_is_an_error_and_the_search_goes_on_later(
    begin: Begin, trainer: FakeTrainer, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.patiently, "__kwdefaults__", {"patience_s": 0.5})

    def stopping(architecture: Architecture) -> float:
        if len(trainer.evaluated) == 4:
            server.stop()
        return accuracy_by_id(architecture)

    trainer.accuracy = stopping
    with pytest.raises(MachineError, match=r"cannot use the record postgresql.*See that the server runs.*goes on"):
        begin(storage=server.url)
    server.start()
    trainer.accuracy = accuracy_by_id
    whole = trace(begin(out=tmp_path / "whole"))
    run = begin()
    assert trace(run) == whole
    run.record.close()


def test_a_trial_whose_entry_was_kept_but_not_confirmed_is_not_entered_twice(
    begin: Begin, finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import OperationalError

    from hwnas.core import Proposal

    record, calls = finished.record, []
    monkeypatch.setattr(Place, "file", None)  # as if a server kept it
    honest = record._storage.create_new_trial

    def entered_but_cut_off(*arguments: object, **named: object) -> int:
        number = honest(*arguments, **named)  # type: ignore[arg-type]
        calls.append(number)
        raise OperationalError("", {}, Exception("server closed the connection unexpectedly"))

    monkeypatch.setattr(record._storage, "create_new_trial", entered_but_cut_off)
    seen = {trial.architecture.id for trial in finished.trials()}
    fresh = next(one for one in finished.family.space.listed if one.id not in seen)
    number = record.begin(Proposal(architecture=fresh), {})
    assert len(calls) == 1
    assert [(n, one.id) for n, one in record.unfinished()] == [(number, fresh.id)]


def test_a_password_that_no_file_holds_comes_from_the_environment(
    begin: Begin, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(storage=server.url)
    run.record.close()
    assert open_run(tmp_path / "run").place.url == server.url.replace(":secret", "")
    monkeypatch.setenv("HWNAS_STORAGE", server.url)
    assert open_run(tmp_path / "run").place.url == server.url
    monkeypatch.setenv("HWNAS_STORAGE", "postgresql+psycopg://elsewhere/db")
    with pytest.raises(UsageError, match=r"HWNAS_STORAGE names .*elsewhere.*kept in .*127\.0\.0\.1"):
        open_run(tmp_path / "run")


def test_another_storage_than_the_runs_own_is_refused(begin: Begin, tmp_path: Path) -> None:
    begin(storage=f"journal:{tmp_path / 'here.log'}")
    with pytest.raises(RunMismatchError, match=r"keeps its trials in journal:.*here\.log: leave --storage out"):
        begin(storage=f"journal:{tmp_path / 'there.log'}")
    (tmp_path / "here.log").unlink()
    with pytest.raises(StudyError, match=r"here\.log is missing: the run has lost its record"):
        begin()


@pytest.mark.parametrize("text", ["", "nonsense", "journal:", "sqlite://", "sqlite:///:memory:"])
def test_what_is_no_storage_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(UsageError, match="expected sqlite:///FILE, journal:FILE"):
        require_url(text)


def test_a_file_that_cannot_be_made_and_a_database_that_nobody_knows_are_refused(tmp_path: Path) -> None:
    for text in (f"sqlite:///{tmp_path}/no/x.db", f"journal:{tmp_path}/no/x.log"):
        with pytest.raises(UsageError, match=rf"has no place: make its folder first, mkdir -p {tmp_path}/no"):
            require_url(text)
    for text in (f"sqlite:///{tmp_path}", f"journal:{tmp_path}"):
        with pytest.raises(UsageError, match=r"is a folder: expected a file, for example .*study\.db"):
            require_url(text)
    for text in ("redis://here/0", "foo://x"):
        with pytest.raises(UsageError, match=r"nobody knows a database '(redis|foo)': expected sqlite"):
            require_url(text)


@pytest.mark.parametrize("url", ["mysql+nodriver://me@here/db", "mysql+pymysql://me@here/db"])
def test_a_driver_that_is_not_installed_is_an_error_with_the_cure(begin: Begin, url: str, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"its driver is not installed .*pip install pymysql"):
        begin(storage=url)
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize(
    ("revision", "cure"),
    [("v2.6.0.a", r"optuna storage upgrade --storage 'sqlite:///.*study\.db'"), ("v99", "pip install -U optuna")],
)
def test_a_record_of_another_version_of_optuna_is_an_error_with_the_cure(
    finished: Run, revision: str, cure: str
) -> None:
    finished.record.close()
    with closing(sqlite3.connect(finished.folder / "study.db")) as file, file:
        file.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    with pytest.raises(StudyError, match=rf"cannot use the record .*study\.db: .*{cure}"):
        open_run(finished.folder).trials()


def test_the_run_folder_of_the_version_before_still_opens(finished: Run) -> None:
    content = json.loads((finished.folder / "run.json").read_text())
    del content["record"]
    content["schema_version"] = 3
    (finished.folder / "run.json").write_text(json.dumps(content))
    assert len(open_run(finished.folder).trials()) == 15


def test_a_run_folder_can_be_moved(finished: Run, tmp_path: Path) -> None:
    finished.folder.rename(tmp_path / "moved")
    assert len(open_run(tmp_path / "moved").trials()) == 15


def test_optuna_opens_a_storage_with_a_server_as_it_is(begin: Begin, server: Server) -> None:
    run = begin(storage=server.url)
    storage = optuna.storages.RDBStorage(server.url)
    study = optuna.load_study(study_name=run.place.study, storage=storage)
    assert {trial.number for trial in study.best_trials} == {trial.number for trial in run.front()}
    close_storage(storage)
    run.record.close()
