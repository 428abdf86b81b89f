"""The report as a browser shows it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageStat

from hwnas.reports import report
from latency_tables import LatencyTable
from tests.reports.conftest import architectures, begin_trial, card_of, enter_trials, runs_in

pytestmark = pytest.mark.browser

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


@pytest.fixture
def browse(tmp_path: Path) -> Callable[..., str]:
    """Opens a page in a headless Chromium and returns what it prints."""
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next((found for name in names if (found := shutil.which(name))), None)
    if browser is None:
        if os.environ.get("HWNAS_REQUIRE_BROWSER"):
            pytest.fail(f"HWNAS_REQUIRE_BROWSER is set, and there is none of {', '.join(names)}")
        pytest.skip(f"needs one of {', '.join(names)}")

    def run(page: Path, *flags: str, width: int, height: int = 1500) -> str:
        command = [browser, *_FLAGS, f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},{height}"]
        done = subprocess.run(
            [*command, *flags, page.as_uri()], capture_output=True, text=True, timeout=120, check=True, cwd=tmp_path
        )
        return done.stdout

    return run


@pytest.fixture(scope="module")
def written(table: LatencyTable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with everything on it: limits, three objectives, a failure with a long reason, exports."""
    with runs_in(tmp_path_factory.mktemp("page"), table) as make_run:
        run = make_run(
            targets=("latency", "params", "flops"),
            limits={"latency_ms": 0.5},
            data="x" * 120,
            device_name="z" * 90,
            trials=7,
        )
        enter_trials(run, (0.91, 0.86, 0.95, 0.7, 0.93, 0.97))
        run.record.fail(begin_trial(run, architectures(9)[-1]), "RuntimeError: " + "y" * 200)
        (run.folder / "models").mkdir()
        for pick in run.picks():
            (run.folder / "models" / f"{pick}.json").write_text(json.dumps(card_of(run, pick)))
        return report(run)


@pytest.fixture
def page(written: Path, tmp_path: Path) -> Path:
    """That page, in a folder that may be written into."""
    return Path(shutil.copy(written, tmp_path))


def test_the_browser_sees_the_winners(page: Path, browse: Callable[..., str]) -> None:
    dom = browse(page, "--dump-dom", width=1280)
    assert re.findall(r'<tr data-role="(\w+)"', dom) == ["knee", "fastest", "best"]
    assert len(re.findall(r'<a [^>]*class="point front"[^>]*>\s*<title>trial', dom)) > 0
    assert dom.count('<svg class="wide"') == dom.count('<svg class="narrow"') == 7


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("flags", [(), ("--force-dark-mode",)], ids=["light", "dark"])
def test_something_is_drawn(
    page: Path, browse: Callable[..., str], tmp_path: Path, width: int, flags: tuple[str, ...]
) -> None:
    target = tmp_path / "screen.png"
    browse(page, f"--screenshot={target}", *flags, width=width)
    with Image.open(target) as image:
        assert image.size == (width, 1500)
        assert ImageStat.Stat(image.convert("L")).stddev[0] > 5
        backdrop = image.convert("L").getpixel((2, 2))
    assert isinstance(backdrop, int)
    assert (backdrop < 64) == bool(flags)


@pytest.mark.parametrize("width", [1280, 768, 390])
def test_nothing_is_wider_than_the_screen(page: Path, browse: Callable[..., str], width: int) -> None:
    text = page.read_text(encoding="utf-8").replace("<details>", "<details open>")
    text = re.sub(r"<meta http-equiv=[^>]*>", "", text)  # the page allows no script: this copy has to
    probe = "parent.postMessage(`${innerWidth} ${document.documentElement.scrollWidth}`, '*')"
    inner = page.with_name("probe.html")
    inner.write_text(text.replace("</body>", f"<script>{probe}</script></body>"), encoding="utf-8")
    outer = page.with_name("frame.html")  # a frame, because no browser window becomes as narrow as a phone
    outer.write_text(
        "<!DOCTYPE html><title>waiting</title><script>onmessage = m => { document.title = m.data }</script>"
        f'<iframe src="{inner.name}" style="border:0;width:{width}px;height:900px"></iframe>',
        encoding="utf-8",
    )
    dom = browse(outer, "--dump-dom", "--virtual-time-budget=3000", width=max(width + 40, 600))
    found = re.search(r"<title>(\d+) (\d+)</title>", dom)
    assert found
    assert int(found[1]) == width
    assert int(found[2]) <= width


def test_the_arrow_keys_go_from_network_to_network_and_say_what_each_is(page: Path, browse: Callable[..., str]) -> None:
    probe = """
      const links = [...document.querySelectorAll('#figure-latency_ms svg.wide a')];
      const stops = links.filter(link => link.getAttribute('tabindex') !== '-1');
      stops[0].focus();
      const said = [];
      for (const key of ['Home', 'ArrowRight', 'End', 'ArrowRight']) {
        document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
        said.push(document.activeElement.getAttribute('href'));
      }
      document.title = [stops.length, links.length, ...said, document.querySelector('.tip').textContent].join('|');
    """
    text = re.sub(r"<meta http-equiv=[^>]*>", "", page.read_text(encoding="utf-8"))
    page.write_text(text.replace("</body>", f"<script>{probe}</script></body>"), encoding="utf-8")
    dom = browse(page, "--dump-dom", width=1280)
    found = re.search(r"<title>(\d+)\|(\d+)\|([^<]*)</title>", dom)
    assert found
    order = re.findall(r'<tr id="(trial-\d+)"', text)  # the front table, from fast to slow
    assert (int(found[1]), int(found[2])) == (1, len(order))
    *stops, told = found[3].split("|")
    assert stops == [f"#{order[0]}", f"#{order[1]}", f"#{order[-1]}", f"#{order[-1]}"]
    assert told.startswith(f"{order[-1].replace('-', ' ')}\n")
