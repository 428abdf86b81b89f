"""Files with arrays, and files that are none."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import numpy as np
import pytest

from hwnas.core import DataError
from hwnas.training import load_data
from tests.training.made import own, pictures

# --- files that are none


@pytest.mark.parametrize(
    "content", [b"", b"hello\n", b"\x93NUMPY", b"\x80\x04N."], ids=["empty", "text", "npy", "pickle"]
)
def test_a_file_that_is_no_archive_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "arrays.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(str(path))):
        load_data(str(path))


def test_a_single_array_is_no_archive(tmp_path: Path) -> None:
    with (tmp_path / "arrays.npz").open("wb") as stream:
        np.save(stream, pictures(30))
    with pytest.raises(DataError, match=r"arrays\.npz"):
        load_data(str(tmp_path / "arrays.npz"))


def test_an_archive_cut_off_anywhere_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "arrays.npz"
    np.savez_compressed(path, **own())  # type: ignore[arg-type]
    content = path.read_bytes()
    for cut in [1, 2, 4, 30, *np.linspace(40, len(content) - 1, 12).round().astype(int).tolist()]:
        path.write_bytes(content[:cut])
        with pytest.raises(DataError, match=re.escape(str(path))) as caught:
            load_data(str(path))
        assert caught.value.exit_code == 2


def test_an_archive_with_a_changed_byte_is_refused_or_the_same(tmp_path: Path) -> None:
    path, rng = tmp_path / "arrays.npz", np.random.default_rng(0)
    np.savez_compressed(path, **own())  # type: ignore[arg-type]
    content, expected = path.read_bytes(), load_data(str(path)).fingerprint
    for place in rng.integers(0, len(content), 40):
        damaged = bytearray(content)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        with contextlib.suppress(DataError):
            assert load_data(str(path)).fingerprint == expected


def test_a_missing_file_is_refused_with_what_is_expected(tmp_path: Path) -> None:
    for path in (tmp_path / "none.npz", tmp_path / "none"):
        with pytest.raises(DataError, match=rf"no data at {re.escape(str(path))}: expected an \.npz file, or a folder"):
            load_data(str(path))
    with pytest.raises(DataError, match=r"no data at none\.npz"):
        load_data("none.npz")
