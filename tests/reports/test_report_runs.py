"""The report of runs of every kind: empty, halfway, failed, exported, of many objectives."""

from __future__ import annotations

import html
import json
import re
import shlex
from collections.abc import Callable, Iterator, Sequence

import pytest

from hwnas.objectives import parse_quantity
from hwnas.reports.commands import search_command
from hwnas.reports.numbers import collect
from hwnas.study import Run
from hwnas.training import PRESETS, Recipe, preset
from tests.reports.pages import ACCURACIES, SECTIONS, AddTrials, Draw, MakeCard, MakeRun, Read


def test_a_run_without_a_finished_trial(make_run: MakeRun, read: Read) -> None:
    page = read(make_run())
    assert tuple(section["id"] for section in page.having("section")) == SECTIONS
    said = page.said
    assert said.count("No trial has finished yet") >= 4
    assert "0 of 6 done" in said
    assert "goes on with it" in said
    assert "<figure" not in page.source


def test_a_run_of_one_trial(make_run: MakeRun, add_trials: AddTrials, read: Read) -> None:
    run = make_run(trials=1)
    add_trials(run, [0.9])
    page = read(run)
    assert page.points("latency_ms", "front") == {0}
    assert "knee, fastest, best" in page.said
    assert "unfinished" not in page.said


def test_failed_and_unfinished_trials(
    make_run: MakeRun, add_trials: AddTrials, begin: Callable[..., int], drawn: Draw, read: Read
) -> None:
    run = make_run()
    add_trials(run, ACCURACIES[:3])
    fresh = drawn(9)
    run.record.fail(begin(run, fresh[7]), "TrainingDivergedError: the loss became nan in epoch 2")
    begin(run, fresh[8])
    said = read(run).said
    assert "4 of 6 done, 1 of them failed, 1 more begun" in said
    assert "the loss became nan in epoch 2" in said
    assert "Trial 4 was begun and not ended" in said
    assert "5 trials, in order" in said


def test_only_failed_trials(make_run: MakeRun, begin: Callable[..., int], drawn: Draw, read: Read) -> None:
    run = make_run()
    run.record.fail(begin(run, drawn(1)[0]), "MemoryError: ")
    said = read(run).said
    assert "1 failed trial" in said
    assert "No trial has finished yet" in said


def test_three_objectives_with_limits(make_run: MakeRun, add_trials: AddTrials, read: Read) -> None:
    run = make_run(targets=("latency", "params", "flops"), limits={"latency_ms": 0.0721, "params_m": 99.0})
    add_trials(run, ACCURACIES)
    page = read(run)
    front = {trial.number for trial in run.front()}
    for cost in ("latency_ms", "params_m", "flops_m"):
        assert page.points(cost, "front") == front
    assert "accuracy against latency, parameters and FLOPs" in page.said
    assert "limit 0.0721 ms" in page.said
    assert "Limit: 99.0 M." in page.said


def test_latency_is_drawn_even_where_it_is_no_target(make_run: MakeRun, add_trials: AddTrials, read: Read) -> None:
    run = make_run(targets=("flops",))
    add_trials(run, ACCURACIES)
    page = read(run)
    assert page.points("latency_ms", "front") == page.points("flops_m", "front") != set()


def test_a_card_of_a_former_winner_is_called_that(run: Run, make_card: MakeCard, read: Read) -> None:
    (run.folder / "models").mkdir()
    former = next(trial for trial in run.trials() if trial.number != run.pick("knee").number)
    card = make_card(run, "knee", trial=former.number, id=former.architecture.id)
    (run.folder / "models" / "knee.json").write_text(json.dumps(card))
    said = read(run).said
    assert f"was exported from trial {former.number}" in said
    assert "is not the knee any more" in said


def test_a_network_with_two_roles_is_exported_once(
    make_run: MakeRun, add_trials: AddTrials, make_card: MakeCard, read: Read
) -> None:
    run = make_run(trials=1)
    add_trials(run, [0.9])
    (run.folder / "models").mkdir()
    (run.folder / "models" / "knee.json").write_text(json.dumps(make_card(run, "knee")))
    numbers = collect(run)
    assert [winner.card.model for winner in numbers.winners if winner.card] == ["models/knee.onnx"] * 3
    assert "Not exported yet" not in read(run).said


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"latency": {"skipped": "x"}}'])
def test_a_damaged_card_is_named_and_costs_nothing_else(run: Run, content: str, read: Read) -> None:
    (run.folder / "models").mkdir()
    (run.folder / "models" / "knee.json").write_text(content)
    said = read(run).said
    assert "models/knee.json cannot be read" in said
    assert "Not exported yet: knee, fastest, best" in said


def test_an_export_that_was_not_measured_says_why(run: Run, make_card: MakeCard, read: Read) -> None:
    (run.folder / "models").mkdir()
    card = make_card(run, "best", latency={"skipped": "the table is of another device"})
    (run.folder / "models" / "best.json").write_text(json.dumps(card))
    assert "none not measured the table is of another device" in read(run).said


def test_an_export_that_was_measured_without_a_prediction_shows_its_latency(
    run: Run, make_card: MakeCard, read: Read
) -> None:
    (run.folder / "models").mkdir()
    latency = {"skipped": "the table has no rows of int8", "measured_ms": 1.25}
    card = make_card(run, "best", latency=latency) | {"precision": "int8"}
    (run.folder / "models" / "best.json").write_text(json.dumps(card))
    said = read(run).said
    assert "none 1.25 ms the table has no rows of int8" in said.replace("\N{NO-BREAK SPACE}", " ")
    assert "before conversion" in said


def test_the_commands_repeat_the_run(make_run: MakeRun, add_trials: AddTrials, read: Read) -> None:
    data = "my data; rm -rf 'x'.npz"
    run = make_run(
        data=data,
        targets=("latency", "params"),
        limits={"latency_ms": 0.1 / 3, "min_latency_ms": 0.001},
        folder="a run",
    )
    add_trials(run, ACCURACIES)
    page = read(run)
    code = re.findall(r"<pre tabindex=\"0\"><code>(.*?)</code>", page.source, flags=re.DOTALL)
    lines = [shlex.split(html.unescape(text).replace("\\\n", "")) for text in code]
    words = next(line for line in lines if line[:2] == ["hwnas", "search"])
    options = list(_options(words[2:]))
    assert ("--data", data) in options
    assert [value for name, value in options if name == "--target"] == ["latency", "params"]
    limit = dict(options)["--max-latency"]
    assert parse_quantity(limit, unit="ms") == 0.1 / 3
    assert dict(options)["--min-latency"] == "0.001ms"
    assert re.search(r"latency at least \S+ \S+, latency at most", page.said)
    assert dict(options)["--table"] == str(run.folder / "latency_table.jsonl")
    assert dict(options)["--out"] == f"{run.folder}-again"
    assert lines[-1][:5] == ["hwnas", "export", str(run.folder), "--pick", "knee"]
    assert lines[-1][5:] == ["hwnas", "report", str(run.folder)]


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_run_is_repeated_with_its_recipe(make_run: MakeRun, read: Read, name: str) -> None:
    run = make_run(recipe=preset(name, epochs=3, device="cpu"))
    words = shlex.split(search_command(run, out="again").replace("\\\n", ""))
    options = dict(_options(words[2:]))
    assert (options["--recipe"], options["--epochs"], options["--train-on"]) == (name, "3", "cpu")
    page = read(run)
    assert f"recipe {name}" in page.said
    assert "recipe of its own" not in page.said


@pytest.mark.parametrize(("order", "option"), [(True, "--channels-last"), (False, "--no-channels-last")])
def test_a_run_is_repeated_with_its_order_in_memory(make_run: MakeRun, read: Read, order: bool, option: str) -> None:
    run = make_run(recipe=preset("quick", channels_last=order))
    assert option in shlex.split(search_command(run, out="again").replace("\\\n", ""))
    assert "recipe quick" in read(run).said
    assert "channels-last" not in search_command(make_run(recipe=preset("quick"), folder="open"), out="again")


def test_a_recipe_that_the_command_line_does_not_take_is_told_as_python(make_run: MakeRun, read: Read) -> None:
    recipe = Recipe(batch=32, optimizer="sgd", channels_last=True)
    page = read(make_run(recipe=recipe))
    assert "go on with it from Python" in page.said
    assert "Recipe(batch=32, optimizer='sgd', channels_last=True)" in page.said


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield from zip(words[::2], words[1::2], strict=True)


def test_the_environment_is_told(run: Run, read: Read) -> None:
    said = read(run).said
    kernels = len(run.table.kernels)
    for expected in (
        "Test device",
        "onnxruntime 1.0.0",
        f"{kernels}, 2 of them noisy",
        "made-up/1",
        "not known",
        run.settings.data_sha256,
        run.settings.table_sha256,
        "calibrated on its 12 whole networks",
        str(run.begun["platform"]),
    ):
        assert expected in said
