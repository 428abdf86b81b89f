"""The text of a source, and what it is taken for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwnas.core import DataError, UsageError
from hwnas.training import load_data
from tests.training.made import image_folder, own


def test_no_source_is_refused_with_the_forms_there_are() -> None:
    with pytest.raises(UsageError, match=r"no data named: expected digits, .*PATH\.npz, .*MODULE:FUNCTION"):
        load_data("")


def test_a_path_may_hold_a_question_mark_or_a_colon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("what?", "what?size=9", "hf:pets", "a:b"):
        assert load_data(str(image_folder(Path(name)))).train.images.shape[1:3] == (10, 10)
    assert load_data("what??size=9").train.images.shape[1:3] == (9, 9)


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    image_folder(tmp_path / "photos")
    assert load_data("~/photos").classes == 2
    with pytest.raises(DataError, match="no data at ~nobody-of-this-name/photos"):
        load_data("~nobody-of-this-name/photos")


def test_an_archive_takes_no_options(tmp_path: Path) -> None:
    np.savez(tmp_path / "arrays.npz", **own())  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"arrays\.npz takes no options, received 'size'"):
        load_data(f"{tmp_path / 'arrays.npz'}?size=9")


def test_a_file_of_another_kind_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("images.tar").write_bytes(b"")
    with pytest.raises(DataError, match=r"images\.tar is a file of another kind"):
        load_data("images.tar")


def test_data_carry_the_name_they_were_asked_for_by(tmp_path: Path) -> None:
    for source in (f"{image_folder(tmp_path)}?size=9", "digits"):
        assert load_data(source).name == source
