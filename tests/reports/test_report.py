"""The report: complete, self-contained, and right about the run."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import pytest

from hwnas.reports import report
from hwnas.reports.architectures import kind_of
from hwnas.reports.numbers import collect
from hwnas.study import Run
from tests.reports.pages import ACCURACIES, SECTIONS, AddTrials, Draw, MakeRun, Read


def test_the_page_lies_in_the_run_folder_or_where_asked(run: Run, tmp_path: Path) -> None:
    assert report(run) == run.folder / "report.html"
    elsewhere = tmp_path / "new" / "page.html"
    assert report(run, out=elsewhere) == elsewhere
    assert elsewhere.read_bytes() == (run.folder / "report.html").read_bytes()


def test_a_page_that_cannot_be_written_leaves_nothing_behind(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(OSError, match="file"):
        report(run, out=tmp_path / "file" / "report.html")
    assert (tmp_path / "file").read_text() == "kept"


def test_the_page_needs_nothing_but_itself(exported: Run, read: Read) -> None:
    page = read(exported)
    assert not re.search(r"(https?|ftp|file):", page.source)
    assert not re.search(r"<(iframe|img|object|embed|base|form)\b", page.source)
    assert not re.search(r"@import|@font-face|javascript:|\son\w+=|fetch\(|XMLHttp|import\(", page.source)
    assert set(re.findall(r"url\((.)", page.source)) == {"#"}
    for _, attributes in page.opened:
        for name in ("src", "href"):
            target = attributes.get(name)
            assert target is None or target.startswith("#") or target == "data:,"


def test_the_policy_lets_the_script_of_the_page_run_and_no_other(exported: Run, read: Read) -> None:
    page = read(exported)
    policy = page.having("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]
    assert page.having("script") == [{}]
    script = page.source.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:"


def test_links_and_references_inside_the_page_lead_somewhere(exported: Run, read: Read) -> None:
    page = read(exported)
    ids = [attributes["id"] for _, attributes in page.opened if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = {attributes["href"] for _, attributes in page.opened if str(attributes.get("href")).startswith("#")}
    wanted |= {f"#{name}" for name in re.findall(r"url\(#([^)]+)\)", page.source)}
    assert {str(name)[1:] for name in wanted} <= set(ids)


def test_every_section_is_there_and_well_formed(exported: Run, read: Read) -> None:
    page = read(exported)
    assert tuple(section["id"] for section in page.having("section")) == SECTIONS
    levels = [int(tag[1]) for tag, _ in page.opened if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert len(page.having("caption")) == len(page.having("table")) > 0
    assert all("scope" in header for header in page.having("th"))
    assert len(page.having("figcaption")) == len(page.having("figure")) == 4
    drawings = [*page.having("svg", role="img"), *page.having("svg", role="group")]
    assert len(drawings) == 8
    assert all(drawing["aria-label"] for drawing in drawings)
    assert page.having("html", lang="en")


def test_names_from_outside_are_escaped(
    make_run: MakeRun, add_trials: AddTrials, begin: Callable[..., int], drawn: Draw, read: Read
) -> None:
    evil = "<script>alert('x')</script>"
    run = make_run(data=evil, device_name=evil)
    add_trials(run, ACCURACIES[:4])
    run.record.fail(begin(run, drawn(9)[-1], region=evil), f"RuntimeError: {evil}")
    (run.folder / "models").mkdir()
    (run.folder / "models" / f"{'<img src=x>'}.json").write_text("[]")
    page = read(run)
    assert page.source.count("<script") == 1
    assert "<img" not in page.source
    assert page.said.count(evil) >= 5


def test_the_winners_are_told_with_their_checks(exported: Run, read: Read) -> None:
    page = read(exported)
    said = page.said
    rows = page.having("tr")
    told = {row["data-role"]: int(str(row["data-trial"])) for row in rows if "data-role" in row}
    assert told == {role: trial.number for role, trial in exported.picks().items()}
    assert "97.9 %" in said
    assert "✓ passed" in said
    assert "✗ not passed" in said
    assert "Not exported yet: best." in said
    assert f"hwnas export {shlex.quote(str(exported.folder))} --pick best" in said
    knee = exported.pick("knee").values
    assert f"{100 * knee['accuracy']:.1f} %" in said
    assert said.count("two for each multiply-accumulate") == 1


def test_points_of_the_figure_are_the_trials(run: Run, read: Read) -> None:
    page = read(run)
    front = {trial.number for trial in run.front()}
    assert page.points("latency_ms", "front") == front
    assert page.points("latency_ms", "dominated") == {trial.number for trial in run.trials()} - front
    best = run.pick("best")
    assert f"trial {best.number} · {best.architecture.id} · accuracy 97.0 % · latency" in page.said


def test_points_have_the_colour_of_what_they_are(run: Run, read: Read) -> None:
    source = read(run).source
    for row in collect(run).rows:
        drawn = re.search(rf'<(g|a) id="front-latency-wide-t{row.number}".*?</g></\1>', source, flags=re.DOTALL)
        assert drawn
        color = row.roles[0] if row.roles else "accent" if row.state == "front" else "pale"
        assert f"fill: var(--{color})" in drawn[0]


def test_the_front_table_is_the_front_from_fast_to_slow(run: Run, read: Read) -> None:
    page = read(run)
    section = page.source[page.source.index('<section id="front-table">') : page.source.index('<section id="why">')]
    assert re.findall(r'<th scope="row"><code>(\w+)</code>', section) == [t.architecture.id for t in run.front()]


def test_the_hypervolume_of_every_prefix_is_that_of_the_run(run: Run) -> None:
    trials = run.trials()
    expected = [(trial.number, run.hypervolume(trials[: i + 1])) for i, trial in enumerate(trials)]
    curve = collect(run).curve
    assert [number for number, _ in curve.steps] == [number for number, _ in expected]
    assert [value for _, value in curve.steps] == pytest.approx([value for _, value in expected])
    assert 0 < curve.share < 1


def test_blocks_of_the_winners_add_up(run: Run) -> None:
    for network in collect(run).networks:
        assert sum(block.share for block in network.blocks) == pytest.approx(1)
        assert 2 * sum(block.macs for block in network.blocks) / 1e6 == pytest.approx(network.row.costs["flops_m"])
        stages = [block.stage for block in network.blocks]
        assert (stages[0], stages[1], stages[-1]) == ("stem", "stage 1", "head")


def test_equal_runs_give_equal_pages(run: Run, read: Read) -> None:
    first = read(run).source
    with mpl.rc_context({"font.size": 30, "axes.grid": False, "svg.fonttype": "path"}):
        assert read(run).source == first


def test_every_point_of_the_front_leads_to_its_row(run: Run, read: Read) -> None:
    page = read(run)
    rows = {row["id"] for row in page.having("tr") if "id" in row}
    assert rows == {f"trial-{trial.number}" for trial in run.front()}
    links = [link for link in page.having("a") if str(link.get("id")).startswith("front-latency-wide-t")]
    assert {str(link["href"])[1:] for link in links} == rows
    assert {drawing["role"] for drawing in page.having("svg", **{"class": "wide"})} == {"group", "img"}


def test_the_milliseconds_of_the_winners_are_told_block_by_block_and_kernel_by_kernel(run: Run, read: Read) -> None:
    page = read(run)
    for network in collect(run).networks:
        kernels = network.kernels
        assert sum(block.latency_ms for block in network.blocks) == pytest.approx(kernels.parts_ms)
        assert sum(kind.latency_ms for kind in network.kinds) == pytest.approx(kernels.parts_ms)
        assert sum(block.latency_share for block in network.blocks) == pytest.approx(1)
        assert sum(kind.count for kind in network.kinds) == sum(part.count for part in kernels.parts)
        assert kernels.latency_ms == pytest.approx(network.row.costs["latency_ms"])
        assert all(part.key in page.said for part in kernels.parts)
    assert len(page.having("g", **{"class": "block"})) >= 2 * sum(len(n.blocks) for n in collect(run).networks)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("Fake(stem(in=1))", "Fake"),
        ("com.example.Conv(float[1x8x4x4],float[8x1x5x5])->float[1x8x4x4]{group=8}", "Conv 5x5 depthwise"),
        ("Conv(float[1x8x4x4],float[16x8x1x1])->float[1x16x4x4]{group=1,kernel_shape=1x1}", "Conv 1x1 dense"),
        ("MaxPool(float[1x8x4x4])->float[1x8x2x2]{kernel_shape=2x2}", "MaxPool 2x2"),
        ("Mul(float[1x8x4x4],float[1x8x1x1])->float[1x8x4x4]", "Mul"),
    ],
)
def test_the_kind_of_a_kernel_is_its_operator_without_sizes(key: str, kind: str) -> None:
    assert kind_of(key) == kind
