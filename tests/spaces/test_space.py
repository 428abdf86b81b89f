"""Laws of search spaces: what is counted, drawn and changed is legal and canonical, and codes tell all apart."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.core import Architecture, UsageError, Value
from hwnas.spaces import MOBILENET_PRESETS, Choice, Encoding, SearchSpace, mobilenet_space, nasbench201_space


def choice(name: str, *options: Value, parent: str | None = None, when: tuple[Value, ...] = ()) -> Choice:
    return Choice(name=name, options=options, parent=parent, when=frozenset(when))


FLAT = SearchSpace("flat", (choice("a", 1, 2, 3), choice("b", "x", "y")))
SINGLE = SearchSpace("single", (choice("a", 1), choice("b", "x")))
EMPTY = SearchSpace("empty", ())
NESTED = SearchSpace(
    "nested",
    (
        choice("depth", 1, 2, 3),
        choice("k1", 3, 5),
        choice("k2", 3, 5, 7, parent="depth", when=(2, 3)),
        choice("k3", 3, 5, parent="depth", when=(3,)),
        choice("gate", False, True, parent="k3", when=(5,)),
        Choice(name="act", options=("relu", "hswish", "gelu"), ordinal=False, parent="gate", when=frozenset({True})),
        choice("alone", 0.5, 1.0),
    ),
)
SMALL_SPACES = [EMPTY, SINGLE, FLAT, NESTED]
SPACES = [*SMALL_SPACES, *(mobilenet_space(preset) for preset in MOBILENET_PRESETS), nasbench201_space()]
named = pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
seeds = st.integers(0, 2**32 - 1)
TINY = {
    "resolution": 16,
    "width": 2.0,
    "activation": "hswish",
    "s1.depth": 1,
    "s1.se": False,
    "s1.b1.kernel": 3,
    "s1.b1.expansion": 2,
    "s2.depth": 1,
    "s2.se": False,
    "s2.b1.kernel": 5,
    "s2.b1.expansion": 4,
}


def assert_legal_and_canonical(space: SearchSpace, architecture: Architecture) -> None:
    found = space.architecture(dict(architecture))
    assert list(found.items()) == list(architecture.items())
    for one in space.choices:
        alive = one.parent is None or architecture.get(one.parent) in one.when
        assert (one.name in architecture) == alive
        assert not alive or architecture[one.name] in one.options
    assert len(architecture) == sum(name in architecture for name in space.by_name)


# --- size


@pytest.mark.parametrize("space", [*SMALL_SPACES, mobilenet_space("tiny")], ids=lambda space: space.name)
def test_the_size_is_the_number_of_enumerated_architectures_all_different(space: SearchSpace) -> None:
    everything = list(space.enumerate())
    assert space.size == len(everything)
    assert len({architecture.id for architecture in everything}) == len(everything)
    for architecture in everything[:: max(1, len(everything) // 500)]:
        assert_legal_and_canonical(space, architecture)


def test_sizes_counted_by_hand() -> None:
    assert EMPTY.size == 1
    assert FLAT.size == 6
    # a third level of depth brings k3: 3, or 5 with a gate that is shut, or open with three activations
    assert NESTED.size == 2 * 2 * (1 + 3 + 3 * (1 + 1 + 3))
    assert mobilenet_space("tiny").size == 2**3 * (2 * (4 + 4**2)) ** 2
    assert mobilenet_space("small").size == 3 * 3 * 2 * (2 * (6 + 6**2 + 6**3)) ** 3
    assert mobilenet_space("ofa").size == 5 * 2 * (9**2 + 9**3 + 9**4) ** 5  # 2.2e19 a resolution and width
    assert nasbench201_space().size == 15_625


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    choices: list[Choice] = []
    for index in range(draw(st.integers(0, 5))):
        options = tuple(range(draw(st.integers(1, 3))))
        parent = draw(st.sampled_from([None, *choices]))
        when = draw(st.frozensets(st.sampled_from(parent.options))) if parent else frozenset()
        name = parent.name if parent else None
        choices.append(Choice(name=f"c{index}", options=options, parent=name, when=when, ordinal=draw(st.booleans())))
    return SearchSpace("random", tuple(choices))


@given(spaces(), seeds)
@settings(max_examples=100, deadline=None)
def test_in_any_space_what_is_counted_drawn_and_changed_is_legal(space: SearchSpace, seed: int) -> None:
    everything = set(space.enumerate())
    assert space.size == len(everything)
    rng = np.random.default_rng(seed)
    architecture = space.sample(rng)
    for found in (architecture, space.mutate(architecture, rng), *space.neighbors(architecture)):
        assert_legal_and_canonical(space, found)
        assert found in everything
    codes = Encoding(space).encode(sorted(everything, key=lambda a: a.id))
    assert len(np.unique(codes, axis=0)) == len(everything)


# --- drawing and changing


@named
@given(seed=seeds)
@settings(max_examples=25, deadline=None)
def test_samples_are_legal_canonical_and_given_by_the_seed(space: SearchSpace, seed: int) -> None:
    architecture = space.sample(np.random.default_rng(seed))
    assert_legal_and_canonical(space, architecture)
    assert space.sample(np.random.default_rng(seed)) == architecture


def test_every_option_of_an_active_choice_is_equally_likely() -> None:
    rng = np.random.default_rng(0)
    drawn = [NESTED.sample(rng) for _ in range(3000)]
    for name in ("depth", "k2"):
        seen = Counter(architecture[name] for architecture in drawn if name in architecture)
        assert set(seen) == set(NESTED.by_name[name].options)
        assert max(seen.values()) < 1.2 * min(seen.values())
    assert {architecture.id for architecture in drawn} == {architecture.id for architecture in NESTED.enumerate()}


@named
@given(seed=seeds)
@settings(max_examples=40, deadline=None)
def test_a_mutation_changes_one_active_choice_and_what_depends_on_it(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    before = space.sample(rng)
    after = space.mutate(before, rng)
    assert_legal_and_canonical(space, after)
    changed = [name for name in before if name in after and before[name] != after[name]]
    if space.size == 1:
        assert after == before
        return
    assert len(changed) == 1
    for name in set(before) ^ set(after):
        line, parent = [], space.by_name[name].parent
        while parent is not None:
            line.append(parent)
            parent = space.by_name[parent].parent
        assert changed[0] in line


def test_mutations_reach_every_neighbour() -> None:
    rng, start = np.random.default_rng(1), NESTED.architecture({"depth": 2, "k1": 3, "k2": 5, "alone": 0.5})
    reached = {NESTED.mutate(start, rng) for _ in range(500)}
    assert set(NESTED.neighbors(start)) <= reached


@named
@given(seed=seeds)
@settings(max_examples=25, deadline=None)
def test_neighbours_are_all_changes_of_one_active_choice(space: SearchSpace, seed: int) -> None:
    here = space.sample(np.random.default_rng(seed))
    found = space.neighbors(here)
    changes = set()
    for neighbor in found:
        assert_legal_and_canonical(space, neighbor)
        changed = [name for name in here if name in neighbor and here[name] != neighbor[name]]
        assert len(changed) == 1
        changes.add((changed[0], neighbor[changed[0]]))
        for name in set(neighbor) - set(here):
            assert neighbor[name] == space.by_name[name].options[0]
    assert here not in found
    assert len(found) == len(changes) == sum(len(space.by_name[name].options) - 1 for name in here)


# --- architectures


def test_the_id_of_a_known_architecture_stays_what_it_was() -> None:
    architecture = mobilenet_space("tiny").architecture(TINY)
    assert architecture.id == "f59e36c9c7"
    assert Architecture({"a": 1, "b": "x", "c": True, "d": 0.5}).id == "7299cb331b"


def test_the_id_is_the_same_in_another_process() -> None:
    code = (
        "import json, sys; from hwnas.core import Architecture; print(Architecture(json.loads(sys.argv[1])).id, end='')"
    )
    told = subprocess.run([sys.executable, "-c", code, json.dumps(TINY)], capture_output=True, text=True, check=True)
    assert told.stdout == Architecture(TINY).id


@given(seed=seeds)
@settings(max_examples=50, deadline=None)
def test_an_architecture_survives_json_and_any_order(seed: int) -> None:
    space = mobilenet_space("small")
    architecture = space.sample(np.random.default_rng(seed))
    again = space.architecture(json.loads(json.dumps(dict(reversed(list(architecture.items()))))))
    assert again == architecture
    assert hash(again) == hash(architecture)
    assert again.id == architecture.id
    assert len(architecture.id) == 10
    assert list(again) == list(architecture)


@pytest.mark.parametrize("spelling", [{"width": 1, "s1.se": 0}, {"width": 1.0, "s1.se": 0.0}, {"width": True}])
def test_values_of_another_type_become_those_of_the_space(spelling: dict[str, Value]) -> None:
    space = mobilenet_space("tiny")
    usual = space.architecture({**TINY, "width": 1.0, "s1.se": False})
    found = space.architecture({**TINY, "width": 1.0, "s1.se": False, **spelling})
    assert found == usual
    assert hash(found) == hash(usual)
    assert found.id == usual.id
    assert json.dumps(dict(found)) == json.dumps(dict(usual))
    for name, value in found.items():
        assert any(value is option for option in space.by_name[name].options)


def test_a_choice_depends_on_the_value_of_its_parent_however_it_is_written() -> None:
    values = {"depth": 3.0, "k1": 3.0, "k2": 7, "k3": 5.0, "gate": 1, "act": "gelu", "alone": True}
    found = NESTED.architecture(values)
    expected = {"depth": 3, "k1": 3, "k2": 7, "k3": 5, "gate": True, "act": "gelu", "alone": 1.0}
    assert json.dumps(dict(found)) == json.dumps(expected)
    assert found.id == NESTED.architecture(expected).id


def test_architectures_are_equal_when_their_choices_are() -> None:
    one, same = Architecture({"a": 1, "b": 2}), Architecture({"b": 2, "a": 1})
    other = Architecture({"a": 1, "b": 3})
    assert one == same
    assert hash(one) == hash(same)
    assert {one, same, other} == {one, other}
    assert one != other
    assert one.id != other.id
    assert one != {"a": 1, "b": 2}
    assert Architecture({}) == Architecture({})


def test_an_architecture_does_not_follow_the_values_it_was_made_of() -> None:
    values: dict[str, Value] = {"a": 1}
    architecture = Architecture(values)
    values["a"] = 2
    assert dict(architecture) == {"a": 1}
    with pytest.raises(TypeError):
        architecture["a"] = 2  # type: ignore[index]


def test_inactive_choices_are_dropped_whatever_their_value() -> None:
    legal = NESTED.architecture({"depth": 1, "k1": 3, "alone": 0.5})
    assert NESTED.architecture({"alone": 0.5, "k1": 3, "depth": 1, "k2": 7, "k3": 999, "act": "none such"}) == legal
    assert list(legal) == ["depth", "k1", "alone"]


# --- refusals


def test_a_value_that_is_no_option_is_refused_with_choice_options_and_value() -> None:
    with pytest.raises(UsageError) as caught:
        FLAT.architecture({"a": 9, "b": "x"})
    for part in ("'a'", "flat", "expected one of (1, 2, 3)", "received 9"):
        assert part in str(caught.value)


def test_a_missing_value_is_refused_with_choice_and_options() -> None:
    with pytest.raises(UsageError, match=r"'k2' of space nested has no value: give one of \(3, 5, 7\)"):
        NESTED.architecture({"depth": 2, "k1": 3, "alone": 0.5})


def test_a_choice_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(UsageError, match="space flat has no choice 'colour': it has a, b"):
        FLAT.architecture({"a": 1, "b": "x", "colour": "red"})


def test_an_unknown_preset_is_refused_with_the_known_ones_and_the_likeliest() -> None:
    with pytest.raises(UsageError, match=r"unknown mobilenet preset 'smal': .* small, tiny\. Did you mean 'small'\?"):
        mobilenet_space("smal")


# --- mobilenet


@pytest.mark.parametrize("preset", sorted(MOBILENET_PRESETS))
def test_a_mobilenet_space_says_what_its_design_says(preset: str) -> None:
    design, space = MOBILENET_PRESETS[preset], mobilenet_space(preset)
    assert space.name == f"mobilenet:{preset}"
    assert space.by_name["resolution"].options == design.resolutions
    assert space.by_name["width"].options == design.widths
    free = design.fixed is None
    assert len(space.choices) == 2 + free + len(design.stage_widths) * (1 + free + 2 * max(design.depths))
    assert ("activation" in space.by_name) == ("s1.se" in space.by_name) == free
    assert len(space.by_name) == len(space.choices)
    seen: set[str] = set()
    for one in space.choices:  # a parent stands before what depends on it
        assert one.parent is None or one.parent in seen
        seen.add(one.name)


@given(base=st.integers(1, 2048), width=st.floats(0.1, 4))
@settings(max_examples=60, deadline=None)
def test_channels_are_the_nearest_multiple_of_eight_that_loses_no_tenth(base: int, width: float) -> None:
    channels, wanted = MOBILENET_PRESETS["small"].channels(base, width), base * width
    assert channels % 8 == 0
    assert channels >= max(8, 0.9 * wanted)
    assert channels <= 8 or channels - 8 < 0.9 * wanted or abs(channels - wanted) <= 4


def test_channels_worked_by_hand() -> None:
    design = MOBILENET_PRESETS["ofa"]
    assert design.channels(12, 1.0) == 16  # halves up
    assert design.channels(16, 1.2) == 24  # 16 would lose more than a tenth
    assert [design.channels(base, 1.2) for base in design.stage_widths] == [32, 48, 96, 136, 192]
    assert [design.squeezed(inner) for inner in (72, 120, 480, 672)] == [24, 32, 120, 168]
    assert [MOBILENET_PRESETS["small"].squeezed(inner) for inner in (24, 72, 120)] == [8, 16, 24]


# --- encoding


@named
@given(seed=seeds)
@settings(max_examples=25, deadline=None)
def test_codes_have_one_column_an_ordinal_choice_and_one_an_option_of_the_others(space: SearchSpace, seed: int) -> None:
    encoding, rng = Encoding(space), np.random.default_rng(seed)
    architectures = [space.sample(rng) for _ in range(3)]
    codes = encoding.encode(architectures)
    assert codes.shape == (3, encoding.width)
    assert ((codes >= 0) & (codes <= 1)).all()
    for row, architecture in zip(codes, architectures, strict=True):
        column = 0
        for one in space.choices:
            part = row[column : column + (1 if one.ordinal else len(one.options))]
            column += len(part)
            if one.name not in architecture:
                assert not part.any()
            elif one.ordinal:
                index = one.options.index(architecture[one.name])
                assert part[0] == pytest.approx((index + 1) / len(one.options))
            else:
                assert [bool(value) for value in part] == [option == architecture[one.name] for option in one.options]
        assert column == encoding.width


def test_no_architectures_have_no_codes() -> None:
    for space in SPACES:
        assert Encoding(space).encode([]).shape == (0, Encoding(space).width)


def test_codes_tell_two_thousand_architectures_apart() -> None:
    space, rng = mobilenet_space("tiny"), np.random.default_rng(0)
    sample = [space.sample(rng) for _ in range(2000)]
    codes = Encoding(space).encode(sample)
    assert len(np.unique(codes, axis=0)) == len({architecture.id for architecture in sample})


def test_codes_tell_all_architectures_of_a_nested_space_apart() -> None:
    everything = list(NESTED.enumerate())
    assert len(np.unique(Encoding(NESTED).encode(everything), axis=0)) == NESTED.size


def test_a_tilt_draws_legal_architectures_from_the_ends_of_the_space() -> None:
    space = mobilenet_space("small")
    rng = np.random.default_rng(0)
    sizes = {}
    for tilt in (-8.0, 0.0, 8.0):
        drawn = [space.sample(rng, tilt=tilt) for _ in range(50)]
        assert all(space.architecture(dict(architecture)) == architecture for architecture in drawn)
        sizes[tilt] = np.mean([float(architecture["resolution"]) for architecture in drawn])
    assert sizes[-8.0] < 18 < sizes[0.0] < 30 < sizes[8.0]
