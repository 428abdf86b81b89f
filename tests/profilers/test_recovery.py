"""A table from the journal of a campaign that cannot go on.

The laws: of a campaign stopped at its end it is the very table; of one stopped before, every row is what the journal
says and what is missing is named; and the journal stays, so that the campaign can still go on.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
from filelock import FileLock

from latency_tables import LatencyTable, write_table
from profilers import CampaignError, recover
from profilers import campaign as campaign_module
from profilers.backends import Method
from tests.profilers.fakes_backend import FakeBackend, Moment, campaign, things

every_method = pytest.mark.parametrize("method", get_args(Method))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "table.jsonl"


def stopped(out: Path, n: int, method: Method = "isolated", *, energy: bool = False) -> Path:
    """The journal of a campaign that a lost device ended after so many measurements."""
    left = [n]

    def failure(moment: Moment) -> BaseException | None:
        left[0] -= moment.measuring
        return KeyboardInterrupt() if left[0] < 0 else None

    with pytest.raises(KeyboardInterrupt):
        campaign(FakeBackend(method=method, failure=failure), out, energy=energy)
    return out.with_name(f"{out.name}.partial")


@every_method
def test_a_journal_that_lacks_nothing_becomes_the_very_table(
    method: Method, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = campaign(FakeBackend(method=method), out.with_name("whole.jsonl"))
    monkeypatch.setattr(campaign_module, "write_table", _interrupts)
    with pytest.raises(KeyboardInterrupt):
        campaign(FakeBackend(method=method), out)
    journal = out.with_name(f"{out.name}.partial")
    kept = journal.read_bytes()
    found = recover(journal)
    assert found.rows() == whole.rows()
    assert found.manifest.fingerprint == whole.manifest.fingerprint
    assert found.manifest.protocol == whole.manifest.protocol
    assert (found.manifest.device_name, found.manifest.space) == (whole.manifest.device_name, "made-up")
    assert found.manifest.unknown == whole.manifest.unknown
    assert found.manifest.conditions["recovered"] is True
    assert found.manifest.conditions["unmeasured"] == {}
    assert journal.read_bytes() == kept


def _interrupts(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_was_not_measured_is_named_and_blocks_that_need_it_are_left_out(out: Path) -> None:
    whole = campaign(FakeBackend(method="isolated"), out.with_name("whole.jsonl"))
    found = recover(stopped(out, 4))
    lacking = found.manifest.conditions["unmeasured"]
    assert isinstance(lacking, dict)
    assert lacking
    assert set(lacking) == set(whole.kernels) - set(found.kernels)
    assert set(lacking.values()) == {"the campaign ended before it was measured"}
    assert set(found.blocks) == {key for key, row in whole.blocks.items() if not set(row.kernels) & set(lacking)}
    write_table(found, out)  # it is a sound table


def test_one_round_alone_makes_rows_noisy(out: Path) -> None:
    found = recover(stopped(out, len(things("isolated"))))
    assert {row.timing.noise for row in found.kernels.values()} == {"noisy"}


def test_energies_that_were_asked_for_and_not_reached_have_their_reason(out: Path) -> None:
    unknown = recover(stopped(out, len(things("isolated")), energy=True)).manifest.unknown
    assert unknown["networks.energy_mj"] == "the campaign ended before it was measured"
    assert "energy_mj" not in unknown


def test_the_campaign_still_goes_on_afterwards(out: Path) -> None:
    journal = stopped(out, 5)
    recover(journal)
    whole = campaign(FakeBackend(method="isolated"), out.with_name("whole.jsonl"))
    table: LatencyTable = campaign(FakeBackend(method="isolated"), out)
    assert table.rows() == whole.rows()


def test_a_campaign_that_measured_nothing_is_no_table(out: Path) -> None:
    with pytest.raises(CampaignError, match="no kernel was measured"):
        recover(stopped(out, 0))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "damaged"),
        ("{}\n", "no journal of a latency table"),
        ('{"campaign": "hwnas-networks"}\n', "no journal of a latency table"),
        ("nonsense\n", "damaged"),
        ('[1]\n{"id": 1}\n', "damaged"),
    ],
)
def test_a_file_that_is_no_journal_is_told(text: str, told: str, out: Path) -> None:
    journal = out.with_name(f"{out.name}.partial")
    journal.write_text(text)
    with pytest.raises(CampaignError, match=told):
        recover(journal)


def test_a_table_is_no_journal(out: Path) -> None:
    campaign(FakeBackend(), out)
    with pytest.raises(CampaignError, match=r"expected the \.partial file"):
        recover(out)


def test_a_journal_that_a_process_is_writing_is_left_alone(out: Path) -> None:
    journal = stopped(out, 5)
    with FileLock(f"{journal}.lock"), pytest.raises(CampaignError, match="another process is measuring"):
        recover(journal)


@pytest.mark.parametrize("name", ["protocol", "origin", "extras", "fingerprint", "method"])
def test_a_header_that_was_edited_is_damage(out: Path, name: str) -> None:
    journal = stopped(out, 5)
    header, *lines = journal.read_text().splitlines()
    journal.write_text("\n".join([json.dumps({**json.loads(header), name: None}), *lines, ""]))
    if name == "method":  # said in the manifest and not looked at
        assert recover(journal).manifest.protocol["method"] is None
        return
    with pytest.raises(CampaignError, match="damaged"):
        recover(journal)


def test_an_entry_that_was_edited_is_damage(out: Path) -> None:
    journal = stopped(out, 5)
    header, *lines = journal.read_text().splitlines()
    entry = json.loads(lines[-1])
    del entry["kind"]
    journal.write_text("\n".join([header, *lines[:-1], json.dumps(entry), ""]))
    with pytest.raises(CampaignError, match="damaged"):
        recover(journal)
