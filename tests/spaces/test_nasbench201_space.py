"""The NAS-Bench-201 space and the names that its tables give to architectures."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.core import UsageError
from hwnas.spaces import architecture_string, from_string, nasbench201_space
from hwnas.spaces.nasbench201 import EDGES, OPERATIONS

KNOWN = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|none~2|"


@given(st.tuples(*[st.sampled_from(OPERATIONS)] * len(EDGES)))
@settings(max_examples=200, deadline=None)
def test_a_string_says_all_of_an_architecture(operations: tuple[str, ...]) -> None:
    space = nasbench201_space()
    architecture = space.architecture({c.name: op for c, op in zip(space.choices, operations, strict=True)})
    text = architecture_string(architecture)
    assert from_string(text) == architecture
    assert architecture_string(from_string(text)) == text


def test_every_architecture_has_a_string_of_its_own() -> None:
    assert len({architecture_string(architecture) for architecture in nasbench201_space().enumerate()}) == 15_625


def test_a_known_string_names_the_operation_of_each_edge() -> None:
    expected = {
        "edge_0_1": "avg_pool_3x3",
        "edge_0_2": "nor_conv_1x1",
        "edge_1_2": "skip_connect",
        "edge_0_3": "nor_conv_1x1",
        "edge_1_3": "skip_connect",
        "edge_2_3": "none",
    }
    assert dict(from_string(KNOWN)) == expected
    assert not any(choice.ordinal for choice in nasbench201_space().choices)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nor_conv_3x3",
        KNOWN.rstrip("|"),
        KNOWN + "+",
        KNOWN.replace("+", ""),
        KNOWN.replace("~1", "~0"),
        KNOWN + KNOWN,
        KNOWN.replace("avg_pool_3x3~0", "avg_pool_3x3"),
        " " + KNOWN,
    ],
)
def test_a_text_of_another_form_is_refused_with_the_form_and_what_was_received(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        from_string(text)
    assert "in the form |OP~0|+|OP~0|OP~1|+|OP~0|OP~1|OP~2|" in str(caught.value)
    assert f"received {text!r}" in str(caught.value)


def test_an_unknown_operation_is_refused_with_the_likeliest_meant() -> None:
    with pytest.raises(UsageError, match=r"unknown operation 'avg_pool_5x5'.*Did you mean 'avg_pool_3x3'\?"):
        from_string(KNOWN.replace("avg_pool_3x3", "avg_pool_5x5"))
