"""Names with a batch and a precision, and lookups that refuse what was never measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latency_tables import BlockRow, Coordinates, LatencyTable, TableMismatchError, keyed, split
from tests.builders import made_up_manifest

BLOCK = "mb(in=16,out=16,k=3,s=1,e=6,se=0,act=relu,px=12)"
batches = st.integers(1, 10**9 - 1)
precisions = st.sampled_from(["fp32", "fp16", "bf16", "int8"])
names = st.text(max_size=20) | st.sampled_from([BLOCK, "0a3d5007d1-1x10", "a@b", "@b2,", "user@b8x", "\n"])
endings = st.sampled_from(["", ",int8", ",fp32", ",", "\n", "@b1", "@b1@b1", ",int8@b1"])
suffixed = st.builds("{}@b{}{}".format, names, st.integers(0, 99), endings)


@given(names | suffixed, batches | st.just(1), precisions)
def test_what_was_put_together_is_taken_apart_whatever_the_name_ends_with(
    name: str, batch: int, precision: str
) -> None:
    assert split(keyed(name, batch=batch, precision=precision)) == (name, batch, precision)


def test_a_name_that_ends_like_a_suffix_is_told_from_one() -> None:
    """A model's file may be called so."""
    assert keyed("net@b8") == "net@b8@b1"
    assert keyed("net@b1,int8") == "net@b1,int8@b1"
    assert keyed("net@b8", batch=4) == "net@b8@b4"
    assert keyed("net@b8@b1") == "net@b8@b1@b1"
    assert [split(key) for key in ("net@b8@b1", "net@b8")] == [("net@b8", 1, "fp32"), ("net", 8, "fp32")]


def test_a_key_of_any_length_is_taken_apart() -> None:
    long = "@b1" * 100_000
    assert split(long) == (long, 1, "fp32")
    assert split(f"x@b8{long}") == (f"x@b8{long}".removesuffix("@b1"), 1, "fp32")


@given(names | suffixed)
def test_what_was_taken_apart_is_put_together(key: str) -> None:
    name, batch, precision = split(key)
    assert keyed(name, batch=batch, precision=precision) == key


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        (BLOCK, (BLOCK, 1, "fp32")),
        (f"{BLOCK}@b8", (BLOCK, 8, "fp32")),
        (f"{BLOCK}@b1,int8", (BLOCK, 1, "int8")),
        (f"{BLOCK}@b8,bf16", (BLOCK, 8, "bf16")),
        ("x@b1", ("x@b1", 1, "fp32")),
        ("x@b01", ("x@b01", 1, "fp32")),
        ("x@b8,fp32", ("x@b8,fp32", 1, "fp32")),
        ("x@b2@b3", ("x@b2", 3, "fp32")),
        ("x@b8\n", ("x@b8\n", 1, "fp32")),
    ],
)
def test_only_what_keyed_writes_is_a_suffix(key: str, parts: tuple[str, int, str]) -> None:
    assert split(key) == parts


@pytest.mark.parametrize("batch", [0, -1, 10**9])
def test_a_batch_that_no_name_can_carry_is_refused(batch: int) -> None:
    with pytest.raises(ValueError, match=f"expected a batch from 1 to 999999999, received {batch}"):
        keyed("x", batch=batch)


@pytest.mark.parametrize("precision", ["", "fp 32", "INT8", "int8,", "é"])
def test_a_precision_that_no_name_can_carry_is_refused(precision: str) -> None:
    with pytest.raises(ValueError, match="expected a precision such as 'fp32' or 'int8', received"):
        keyed("x", precision=precision)


def _table(*keys: str) -> LatencyTable:
    return LatencyTable.from_rows(made_up_manifest(), [BlockRow(key=key, kernels={}) for key in keys])


def test_a_table_knows_where_its_rows_stand() -> None:
    assert _table("b@b8", "a@b1,int8", "a", "b").coordinates() == [
        Coordinates(batch=1, precision="fp32"),
        Coordinates(batch=1, precision="int8"),
        Coordinates(batch=8, precision="fp32"),
    ]
    assert _table().coordinates() == []


def test_a_batch_or_precision_that_was_measured_is_accepted() -> None:
    table = _table("a", "a@b8", "a@b8,int8")
    for one in table.coordinates():
        table.require_coordinates(one)


@pytest.mark.parametrize(
    ("batch", "precision", "held"), [(2, "fp32", "batch 1, fp32; batch 8, int8"), (1, "int8", "batch 1, fp32")]
)
def test_another_batch_or_precision_is_refused_with_what_there_is_and_the_command(
    batch: int, precision: str, held: str
) -> None:
    with pytest.raises(TableMismatchError) as caught:
        _table("a", "a@b8,int8").require_coordinates(Coordinates(batch=batch, precision=precision))
    message = str(caught.value)
    assert f"the table holds no rows for batch {batch}, {precision}: it has {held}" in message
    assert f"`hwnas profile --batch {batch} --precision {precision}` into the same file" in message
    expected = (f"batch {batch}, {precision}", ["batch 1, fp32", "batch 8, int8"])
    assert caught.value.differences == {"coordinates": expected}


def test_a_table_without_blocks_has_no_coordinates_to_offer() -> None:
    with pytest.raises(TableMismatchError, match="it has none"):
        _table().require_coordinates(Coordinates())
