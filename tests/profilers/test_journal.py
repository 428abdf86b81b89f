"""The journal of a campaign: what was appended is kept, whatever cuts it off, and nothing foreign is taken for it."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profilers import CampaignError
from profilers.journal import open_journal

HEADER: dict[str, Any] = {
    "campaign": "made-up",
    "fingerprint": {"chip": "one", "threads": 1},
    "protocol": {"rounds": 3},
}
ENTRIES = [{"id": f"network/{i}/ä", "round": i, "raw_ms": [0.5, 1.25]} for i in range(4)]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "table.jsonl"


def partial(table: Path) -> Path:
    return table.with_name(f"{table.name}.partial")


def written(table: Path, entries: list[dict[str, Any]] = ENTRIES) -> bytes:
    """A journal of some entries, as a process leaves it that ends between two of them."""
    with open_journal(table, HEADER) as journal:
        for entry in entries:
            journal.append(entry)
    return partial(table).read_bytes()


def older(one: Path, other: Path, *, seconds: float) -> None:
    stamp = other.stat().st_mtime_ns - int(seconds * 1e9)
    os.utime(one, ns=(stamp, stamp))


def test_a_new_journal_is_empty_and_says_whose_it_is(table: Path) -> None:
    with open_journal(table, HEADER) as journal:
        assert journal.entries == []
        assert journal.path == partial(table)
        assert json.loads(partial(table).read_text(encoding="utf-8")) == HEADER
    assert list(table.parent.iterdir()) == []  # nothing was measured: nothing stays behind


def test_missing_folders_are_made(tmp_path: Path) -> None:
    table = tmp_path / "some" / "where" / "table.jsonl"
    with open_journal(table, HEADER) as journal:
        assert journal.path.exists()


def test_what_was_appended_is_there_at_once_and_at_the_next_opening(table: Path) -> None:
    with open_journal(table, HEADER) as journal:
        for count, entry in enumerate(ENTRIES, start=1):
            journal.append(entry)
            assert partial(table).read_bytes().count(b"\n") == 1 + count
    with open_journal(table, HEADER) as journal:
        assert journal.entries == ENTRIES


def test_a_journal_cut_at_any_byte_keeps_every_whole_line(table: Path) -> None:
    content = written(table)
    for cut in range(len(content) + 1):
        partial(table).write_bytes(content[:cut])
        whole = max(0, content[:cut].count(b"\n") - 1)
        with open_journal(table, HEADER) as journal:
            assert journal.entries == ENTRIES[:whole]
            for entry in ENTRIES[whole:]:
                journal.append(entry)
        assert partial(table).read_bytes() == content


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(rest=st.binary(max_size=40).filter(lambda rest: not {*b"\r\n"} & {*rest}))
def test_whatever_stands_behind_the_last_line_is_dropped(table: Path, rest: bytes) -> None:
    content = written(table)
    partial(table).write_bytes(content + rest)
    with open_journal(table, HEADER) as journal:
        assert journal.entries == ENTRIES
    assert partial(table).read_bytes() == content
    partial(table).unlink()


def test_a_journal_that_cannot_be_written_anew_is_shortened_in_place(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAKE: the disk is so full that no file can be written anew."""
    content = written(table)[:-10]
    partial(table).write_bytes(content)

    def full(path: Path, *_: Any, **__: Any) -> int:
        path.open("w").close()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_text", full)
    with open_journal(table, HEADER) as journal:
        assert journal.entries == ENTRIES[:-1]
    assert partial(table).read_bytes() == content[: content.rindex(b"\n") + 1]


@pytest.mark.parametrize(
    ("header", "different"),
    [
        (HEADER | {"protocol": {"rounds": 2}}, r"protocol\.rounds"),
        (HEADER | {"fingerprint": {"chip": "two", "threads": 2}}, r"fingerprint\.chip, fingerprint\.threads"),
        (HEADER | {"extra": 1}, "extra"),
        ({"campaign": "made-up"}, "fingerprint, protocol"),
    ],
    ids=["nested", "several", "more", "fewer"],
)
def test_a_journal_of_other_conditions_is_refused_with_what_differs(
    table: Path, header: dict[str, Any], different: str
) -> None:
    content = written(table)
    with pytest.raises(CampaignError, match=rf"\(different: {different}\)") as caught, open_journal(table, header):
        pass
    assert f"Delete {partial(table)} to begin anew, or choose another --out" in str(caught.value)
    assert caught.value.exit_code == 2
    assert partial(table).read_bytes() == content


def test_a_header_is_compared_as_it_is_written(table: Path) -> None:
    header = {"numbers": (1, 2), "nested": {"one": 1.0}}
    with open_journal(table, header):
        pass
    with open_journal(table, header) as journal:
        assert journal.entries == []


@pytest.mark.parametrize(
    ("place", "damage"),
    [
        (2, b"{}"),
        (2, b"42"),
        (2, b"null"),
        *((place, text) for place in (0, 2) for text in (b"no", b'{"id": "ne', b"\xff")),
    ]
    + [(0, text) for text in (b"42", b"null", b"[]")],
)
def test_a_journal_damaged_before_its_last_line_is_refused_and_kept(table: Path, place: int, damage: bytes) -> None:
    lines = written(table).split(b"\n")
    damaged = b"\n".join([*lines[:place], damage, *lines[place + 1 :]])
    partial(table).write_bytes(damaged)
    with pytest.raises(CampaignError) as caught, open_journal(table, HEADER):
        pass
    assert str(caught.value).startswith("the journal of an unfinished campaign is damaged. ")
    assert f"Delete {partial(table)} to begin anew" in str(caught.value)
    assert partial(table).read_bytes() == damaged


# --- one process at a time


def test_a_second_process_is_refused_until_the_first_is_done(table: Path) -> None:
    with (
        FileLock(f"{partial(table)}.lock"),
        pytest.raises(CampaignError, match="another process is measuring into") as caught,
        open_journal(table, HEADER),
    ):
        pass
    assert "wait for it, or choose another --out" in str(caught.value)
    assert caught.value.exit_code == 2
    with open_journal(table, HEADER):
        pass


def test_a_second_thread_is_refused_too_and_leaves_the_journal_alone(table: Path) -> None:
    refused: list[CampaignError] = []

    def second() -> None:
        try:
            with open_journal(table, HEADER):
                pass
        except CampaignError as error:
            refused.append(error)

    with open_journal(table, HEADER) as journal:
        journal.append(ENTRIES[0])
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
        assert len(refused) == 1
        journal.append(ENTRIES[1])
    with open_journal(table, HEADER) as journal:
        assert journal.entries == ENTRIES[:2]


def test_the_lock_is_given_back_by_an_error_and_left_behind_by_none_that_is_done(table: Path) -> None:
    def failing() -> None:
        with open_journal(table, HEADER):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        failing()
    with open_journal(table, HEADER) as journal:
        journal.path.unlink()
    assert list(table.parent.iterdir()) == []


# --- beside a finished table


def test_a_journal_older_than_its_table_is_dropped(table: Path) -> None:
    """The process that wrote the table was killed before it could clear up."""
    written(table)
    table.write_text("the table", encoding="utf-8")
    older(partial(table), table, seconds=1)
    with open_journal(table, {"another": "campaign"}, finished=True) as journal:
        assert journal.entries == []
        assert json.loads(partial(table).read_text(encoding="utf-8")) == {"another": "campaign"}


def test_a_journal_younger_than_its_table_is_of_an_extension_and_kept(table: Path) -> None:
    table.write_text("the table", encoding="utf-8")
    written(table)
    older(table, partial(table), seconds=1)
    with open_journal(table, HEADER, finished=True) as journal:
        assert journal.entries == ENTRIES
    with pytest.raises(CampaignError, match="other conditions"), open_journal(table, {}, finished=True):
        pass


def test_without_a_sound_table_no_journal_is_dropped(table: Path) -> None:
    written(table)
    table.write_text("the table", encoding="utf-8")
    older(partial(table), table, seconds=1)
    with open_journal(table, HEADER) as journal:
        assert journal.entries == ENTRIES


def test_a_journal_without_a_measurement_blocks_nobody(table: Path) -> None:
    """A command that was refused for its method, or for a model that does not load, leaves one behind."""
    partial(table).write_text(json.dumps(HEADER) + "\n", encoding="utf-8")
    with open_journal(table, HEADER | {"protocol": {"rounds": 2}}) as journal:
        assert journal.entries == []
