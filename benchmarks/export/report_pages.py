"""The report in a browser, with 50 and with 10,000 made-up trials: size, load time, requests, width, accessibility.

Opens each page in a headless Chromium at 1280 and 390 pixels, light and dark, and takes screenshots. Needs
``pip install playwright`` and a Chromium on the path (Debian: ``apt-get install chromium``). With ``--axe FILE`` (the
``axe.min.js`` that ``npm pack axe-core`` brings) it also runs axe. Ends with status 1 where a page is larger than
2 MB, asks for anything but itself, is wider than the screen, or has a serious finding.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from made_up import made_up_run

from hwnas.reports import report
from hwnas.study import open_run

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
VIEWS: tuple[tuple[int, Any], ...] = ((1280, "light"), (390, "light"), (1280, "dark"), (390, "dark"))
LARGEST_MB = 2.0
_SERIOUS = ("serious", "critical")
_FIGURES = """() => {
  const entry = performance.getEntriesByType('navigation')[0], root = document.documentElement;
  return {load_ms: entry.loadEventEnd, elements: document.querySelectorAll('*').length, width: root.scrollWidth};
}"""


@dataclass(frozen=True, kw_only=True)
class View:
    """A page as a browser showed it.

    Attributes:
        load_ms: Until its load event.
        elements: In its document.
        requests: Besides the page itself.
        too_wide: Pixels by which it is wider than the screen.
        findings: Of axe, by impact; ``None`` where it did not run.
        errors: Of its script.
    """

    load_ms: float
    elements: int
    requests: int
    too_wide: int
    findings: dict[str, list[str]] | None
    errors: list[str]

    @property
    def fine(self) -> bool:
        """Whether nothing is wrong with it."""
        serious = [name for impact in _SERIOUS for name in (self.findings or {}).get(impact, [])]
        return not (self.requests or self.too_wide > 0 or serious or self.errors)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[50, 10_000])
    parser.add_argument("--targets", default="latency,params")
    parser.add_argument("--axe", type=Path, help="axe.min.js")
    parser.add_argument("--out", type=Path, default=Path("runs", "benchmarks", "report_pages"))
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    fine = True
    for trials in arguments.trials:
        page, written_s = written(arguments.out, trials, tuple(arguments.targets.split(",")))
        size_mb = page.stat().st_size / 1e6
        fine &= size_mb <= LARGEST_MB
        print(f"{trials} trials: {size_mb:.2f} MB, written in {written_s:.1f} s")
        for (width, scheme), view in shown(page, arguments.axe).items():
            fine &= view.fine
            told = "axe not run" if view.findings is None else f"axe: {view.findings or 'no findings'}"
            print(
                f"  {width} px, {scheme}: loaded in {view.load_ms:.0f} ms, {view.elements} elements, {view.requests} "
                f"other requests, {max(0, view.too_wide)} px too wide, {told}"
                + "".join(f"; script error: {error}" for error in view.errors)
            )
    print("as it should be" if fine else "NOT as it should be")
    return 0 if fine else 1


def written(out: Path, trials: int, targets: tuple[str, ...]) -> tuple[Path, float]:
    """The report of a made-up run, and the seconds that writing it took."""
    folder = out / f"run-{trials}"
    shutil.rmtree(folder, ignore_errors=True)
    made_up_run(folder, trials, targets=targets, halving=3.0 if trials < 1000 else None).record.close()
    begun_s = time.perf_counter()
    page = report(open_run(folder))
    return page, time.perf_counter() - begun_s


def shown(page: Path, axe: Path | None) -> dict[tuple[int, str], View]:
    """The page in every view, with a screenshot of each beside it."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  (a benchmark's own need)

    browser_path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser_path is None:
        sys.exit(f"needs one of {', '.join(BROWSERS)}")
    views = {}
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        for width, scheme in VIEWS:
            size: Any = {"width": width, "height": 900}
            context = browser.new_context(viewport=size, color_scheme=scheme, bypass_csp=axe is not None)
            tab: Any = context.new_page()
            requests, errors = list[str](), list[str]()
            tab.on("request", lambda request, seen=requests: seen.append(request.url))
            tab.on("pageerror", lambda error, seen=errors: seen.append(str(error)))
            tab.goto(page.resolve().as_uri())
            figures = tab.evaluate(_FIGURES)
            tab.screenshot(path=page.with_name(f"{width}-{scheme}.png"), full_page=True)
            views[width, scheme] = View(
                load_ms=float(figures["load_ms"]),
                elements=int(figures["elements"]),
                requests=sum(not url.startswith(("data:", page.resolve().as_uri())) for url in requests),
                too_wide=int(figures["width"]) - width,
                findings=None if axe is None else findings(tab, axe),
                errors=errors,
            )
            context.close()
        browser.close()
    return views


def findings(tab: Any, axe: Path) -> dict[str, list[str]]:
    """What axe finds wrong with an open page, everything folded out, by impact."""
    tab.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    tab.evaluate(axe.read_text(encoding="utf-8"))
    found: dict[str, list[str]] = {}
    for one in tab.evaluate("axe.run()")["violations"]:
        found.setdefault(str(one["impact"]), []).append(f"{one['id']} ({len(one['nodes'])} times)")
    return found


if __name__ == "__main__":
    sys.exit(main())
