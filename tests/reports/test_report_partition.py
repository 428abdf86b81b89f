"""The partition in the report."""

from __future__ import annotations

import re

from hwnas.reports.partition import partition_of
from tests.reports.pages import AddTrials, MakeRun, Read

ACCURACIES = [0.5 + 0.4 * ((7 * i) % 24) / 24 for i in range(24)]


def test_the_partition_is_drawn_and_told(make_run: MakeRun, add_trials: AddTrials, read: Read) -> None:
    run = make_run(trials=24, inner="mutation")
    add_trials(run, ACCURACIES)
    nodes = partition_of(run)
    leaves = [node for node in nodes if node.leaf]
    page = read(run)
    assert len(leaves) > 1
    drawing = page.source[page.source.index('<figure id="figure-partition">') :]
    drawing = drawing[: drawing.index("</figure>")]
    assert drawing.count('role="img"') == 2
    assert f"{len(leaves)} regions" in drawing
    assert set(re.findall(r'id="partition-wide-n([pm]+|root)"', drawing)) == {
        (node.name or "root").translate(str.maketrans("+-", "pm")) for node in nodes
    }
    chosen = next(node for node in leaves if node.selected)
    assert page.said.count("selected next") == 1
    assert f"region {chosen.name} ·" in page.said
    assert nodes[0].separates[0].column in page.said
    assert "lamoo with mutation in its regions, seed 0" in page.said
    assert "--algorithm lamoo \\ --inner mutation \\" in page.said


def test_without_a_partition_there_is_no_picture(make_run: MakeRun, add_trials: AddTrials, read: Read) -> None:
    few = make_run(folder="few", inner="mutation")
    add_trials(few, ACCURACIES[:6])
    assert "figure-partition" not in read(few).source
    alone = make_run(folder="alone", algorithm="mutation")
    add_trials(alone, ACCURACIES)
    assert partition_of(alone) == ()


def test_the_way_to_a_region_is_told_step_by_step(
    make_run: MakeRun, add_trials: AddTrials, read: Read, begin: object, drawn: object
) -> None:
    run = make_run(inner="mutation")
    add_trials(run, ACCURACIES[:3])
    step = {"value": 0.5, "bonus": 0.25, "visits": 7}
    architecture = drawn(9)[-1]  # type: ignore[operator]
    begin(run, architecture, path=[{"side": "+", **step}, {"choice": "width", "option": 16, **step}], share=0.125)  # type: ignore[operator]
    said = read(run).said
    assert "+: value 0.5, bonus 0.25, visits 7; width = 16: value 0.5, bonus 0.25, visits 7" in said
    assert "share 0.125" in said
