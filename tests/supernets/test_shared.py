"""One supernet and several: trained when needed, in equal time, and gone on with after an interruption."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import hwnas.supernets.shared
from hwnas.core import UsageError
from hwnas.networks import NetworkFamily
from hwnas.supernets import FewShot, OneShot, SupernetProgress
from hwnas.training import ImageData
from tests.supernets.small import QUICK, same, state

GROUPS = {"activation": (("relu",), ("hswish",))}


class StoppedError(Exception):
    """Stands for whatever ends a process."""


def test_few_supernets_take_as_many_steps_as_one(smallest: NetworkFamily, few: ImageData) -> None:
    told: list[SupernetProgress] = []
    seeds = {"family": smallest, "data": few, "recipe": replace(QUICK, epochs=5), "seed": 0, "on_progress": told.append}
    architecture = smallest.space.sample(np.random.default_rng(0))
    one_shot = OneShot(**seeds)  # type: ignore[arg-type]
    one_shot.prepare()
    assert one_shot.supernet(architecture) is one_shot.supernet(architecture)  # trained once
    assert [(one.stage, one.done, one.total) for one in told] == [("supernet", n, 10) for n in (2, 4, 6, 8, 10)]
    told.clear()
    FewShot(**seeds, groups=GROUPS, parent_share=0.3).supernet(architecture)  # type: ignore[arg-type]
    stages = [(one.stage, one.done) for one in told]
    assert stages[:2] == [("supernet", 2), ("supernet", 3)]
    assert [done for stage, done in stages if stage == "part 1 of 2"] == [5, 6]
    assert [done for stage, done in stages if stage == "part 2 of 2"] == [8, 10]
    assert {one.total for one in told if one.stage != "scale"} == {10}
    assert [(one.stage, one.done, one.total) for one in told[-17:]] == [("scale", n, 16) for n in range(17)]


def test_parts_go_on_from_the_weights_of_the_whole_and_learn_their_networks_alone(
    smallest: NetworkFamily, few: ImageData, tmp_path: Path
) -> None:
    """What only the other part uses stays as it was: here the second block of the first stage."""
    shared = FewShot(
        family=smallest,
        data=few,
        recipe=QUICK,
        seed=0,
        folder=tmp_path,
        groups={"s1.depth": ((1,), (2,))},
        parent_share=0.5,
    )
    rng = np.random.default_rng(0)
    shallow, deep = (part.sample(rng) for part in shared.parts)
    weights = [state(shared.supernet(one)) for one in (shallow, deep)]
    parent = {name.removeprefix("weight:"): one for name, one in load_file(tmp_path / "supernet.safetensors").items()}
    for block, moved in (("1_0", [True, True]), ("2_0", [False, True])):
        names = [name for name in parent if name.startswith(f"slots.{block}/")]
        assert names
        assert [any(not torch.equal(one[name], parent[name]) for name in names) for one in weights] == moved
    assert sorted(one.name for one in tmp_path.glob("*.safetensors")) == [
        "part-1.safetensors",
        "part-2.safetensors",
        "supernet.safetensors",
    ]


def test_parts_learn_at_their_own_rate_and_the_whole_does_not(smallest: NetworkFamily, few: ImageData) -> None:
    """AdamW moves weights by the rate, whatever the gradients are."""
    settings = {"family": smallest, "data": few, "recipe": QUICK, "seed": 0, "groups": GROUPS, "parent_share": 0.5}
    one = smallest.space.sample(np.random.default_rng(0))
    end = {rate: state(FewShot(**settings, part_rate=rate).supernet(one)) for rate in (1e-9, 0.25, 1.0)}  # type: ignore[arg-type]
    moved = {rate: sum(float((end[rate][name] - end[1e-9][name]).abs().sum()) for name in end[rate]) for rate in end}
    assert 0.2 * moved[1.0] < moved[0.25] < 0.35 * moved[1.0]


def test_what_was_cut_off_anywhere_goes_on_to_the_same_weights(
    smallest: NetworkFamily, few: ImageData, tmp_path: Path
) -> None:
    architectures = [smallest.space.sample(np.random.default_rng(seed)) for seed in range(6)]

    def shared(folder: Path | None, stop: int | None = None) -> FewShot:
        def on_progress(progress: SupernetProgress) -> None:
            if stop is not None and progress.done >= stop:
                raise StoppedError

        return FewShot(
            family=smallest, data=few, recipe=QUICK, seed=0, folder=folder, on_progress=on_progress, groups=GROUPS
        )

    whole = shared(None)
    for stop in (2, 4, 6):
        with pytest.raises(StoppedError):
            shared(tmp_path, stop).supernet(architectures[0])
    resumed = shared(tmp_path)
    for one in architectures:
        assert same(state(whole.supernet(one)), state(resumed.supernet(one)))


def test_by_default_the_space_is_split_into_four_where_gradients_match_least_and_stays_so(
    smallest: NetworkFamily, few: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = replace(smallest, space=smallest.space.restrict({"s1.depth": [1], "s1.se": [False], "s2.depth": [1]}))
    assert [name for name in family.space.by_name if name in {"activation", "s2.se"}] == ["activation", "s2.se"]
    settings = {"family": family, "data": few, "recipe": replace(QUICK, epochs=8), "seed": 0, "folder": tmp_path}
    first = FewShot(**settings).parts  # type: ignore[arg-type]
    assert len(first) == 4
    assert sum(part.size for part in first) == family.space.size
    recorded = json.loads((tmp_path / "split.json").read_text(encoding="utf-8"))
    assert len(recorded["groups"]) == 2
    monkeypatch.setattr("hwnas.supernets.shared.halves_of_least_match", None)  # not asked again
    assert FewShot(**settings).parts == first  # type: ignore[arg-type]


def test_the_scale_of_all_parts_is_found_once_and_anew_for_other_settings(
    smallest: NetworkFamily, few: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"family": smallest, "data": few, "recipe": QUICK, "seed": 0, "folder": tmp_path, "groups": GROUPS}
    one = smallest.space.sample(np.random.default_rng(0))
    before = FewShot(**settings, judged_twice=3).accuracy(one)  # type: ignore[arg-type]
    counted, honest = [0], hwnas.supernets.shared._judged

    def judged(*arguments: Any, **named: Any) -> tuple[float, float]:
        counted[0] += 1
        return honest(*arguments, **named)

    monkeypatch.setattr(hwnas.supernets.shared, "_judged", judged)
    assert FewShot(**settings, judged_twice=3).accuracy(one) == before  # type: ignore[arg-type]
    assert counted == [1]
    FewShot(**settings, judged_twice=2).prepare()  # type: ignore[arg-type]
    assert counted == [1 + 2 * 2 * 2]


def test_what_cannot_be_trained_is_refused(smallest: NetworkFamily, few: ImageData) -> None:
    settings = {"family": smallest, "data": few, "recipe": replace(QUICK, epochs=1), "seed": 0}
    with pytest.raises(UsageError, match=r"parent_share between 0 and 1, both excluded, received 1"):
        FewShot(**settings, parent_share=1.0)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"part_rate above 0, and 1 at the most, received 0"):
        FewShot(**settings, part_rate=0)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"judged_twice of 1 or more, received 0"):
        FewShot(**settings, judged_twice=0)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"unknown choice of space mobilenet:tiny 'act'"):
        FewShot(**settings, groups={"act": ((1,),)})  # type: ignore[arg-type]
    shared = FewShot(**settings, groups=GROUPS, parent_share=0.5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"leaves 1 steps to the supernets of 2 parts: give more epochs, a"):
        shared.prepare()
