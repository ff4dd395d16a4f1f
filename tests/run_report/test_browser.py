"""The page in a browser: every plot is drawn, choices open, nothing is complained of or asked of the network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from compiler.run_report.reading import report_of
from compiler.run_report.render import page
from tests.run_report.pictures import differences, pictures
from tests.support.paths import FIXTURES

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="chromium and its driver are not installed")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update"),
    *("--disable-background-networking", "--disable-sync"),
)


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """One for all tests, as it takes seconds to start."""
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=Service(DRIVER))
    driver.set_script_timeout(300)
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(report_of([FIXTURES / "runs" / name for name in ("a", "b", "front", "study")])))
    return path


@pytest.fixture
def browser(chrome: Chrome, report: Path) -> Chrome:
    """The browser as it has just opened the page, whatever a test before did: they run in any order."""
    chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    for kind in ("browser", "performance"):
        logged(chrome, kind)
    chrome.get(report.as_uri())
    return chrome


def js(browser: Chrome, script: str) -> Any:
    return browser.execute_script(f"return (() => {{ {script} }})()")


def logged(browser: Any, kind: str) -> list[str]:
    """The messages of one of the browser's logs."""
    return [entry["message"] for entry in browser.get_log(kind)]


def check_quiet(browser: Chrome) -> None:
    """Since the page was opened nothing was complained of, and nothing asked of the network."""
    assert logged(browser, "browser") == []
    events = [json.loads(text)["message"] for text in logged(browser, "performance")]
    asked = {item["params"]["request"]["url"] for item in events if item["method"] == "Network.requestWillBeSent"}
    assert browser.current_url in asked
    assert [url for url in asked if url.startswith(("http", "ws", "ftp"))] == []


def drawn(browser: Chrome) -> list[dict[str, Any]]:
    """Each plot, brought into view, with the marks that it has."""
    return list(
        browser.execute_async_script(
            "const done = arguments[0], figures = [...document.querySelectorAll('figure[data-plot]')];"
            "(async () => { for (const f of figures) { f.scrollIntoView();"
            " for (let i = 0; i < 100 && !f.dataset.drawn; i++) await new Promise(requestAnimationFrame); }"
            " done(figures.map(f => ({ kind: f.dataset.plot, drawn: !!f.dataset.drawn, hidden: f.hidden,"
            " marks: f.querySelectorAll('svg path, svg circle, svg rect, svg line').length,"
            " wide: f.scrollWidth > f.clientWidth + 1 }))); })()"
        )
    )


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_every_plot_is_drawn_in_light_and_dark_on_a_screen_and_a_phone(
    browser: Chrome, width: int, scheme: str
) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.refresh()
    plots = drawn(browser)
    assert len(plots) > 25
    assert all(plot["drawn"] for plot in plots)
    assert [plot["kind"] for plot in plots if not plot["hidden"] and not plot["marks"]] == []
    hidden = {plot["kind"] for plot in plots if plot["hidden"]}
    assert hidden <= {"study-tested", "together-training"}
    assert js(browser, "return document.documentElement.scrollWidth") <= width
    ink, paper = js(
        browser,
        "const s = getComputedStyle(document.body), card = getComputedStyle(document.querySelector('.card'));"
        "const light = c => c.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0) / 765;"
        "return [light(s.color), light(card.backgroundColor)]",
    )
    assert (ink < 0.3 and paper > 0.9) if scheme == "light" else (ink > 0.8 and paper < 0.2)
    shown = pictures(browser)
    assert {"together", "run-0-found", "run-0-versus", "run-2-search", "study-0"} <= shown.keys()
    assert differences(shown, FIXTURES / "runs" / "pictures" / scheme) == []
    check_quiet(browser)


def test_a_choice_opens_by_the_keyboard_and_shows_its_items(browser: Chrome) -> None:
    from selenium.webdriver import Keys
    from selenium.webdriver.common.by import By

    part = browser.find_element(By.CSS_SELECTOR, "#run-0 [data-slots].opens")
    assert part.get_attribute("role") == "button"
    part.send_keys(Keys.ENTER)
    dialog = browser.find_element(By.ID, "choice")
    assert dialog.is_displayed()
    rows = js(browser, "return [...document.querySelectorAll('#choice tbody th')].map(th => th.textContent)")
    assert {"identity", "c(k = 3)"} <= set(rows)
    assert "none (never derived)" in rows
    assert js(browser, "return document.querySelectorAll('#choice svg path').length") > 3
    dialog.send_keys(Keys.ESCAPE)
    assert not dialog.is_displayed()
    check_quiet(browser)


def test_pictures_zoom_and_words_can_be_selected(browser: Chrome) -> None:
    width = "return document.querySelector('[data-picture] svg').clientWidth"
    before = js(browser, width)
    js(browser, "document.querySelector('[data-zoom=in]').click()")
    assert js(browser, width) == pytest.approx(before * 1.3, abs=2)
    chosen = js(
        browser,
        "const text = [...document.querySelectorAll('[data-picture] svg text')].find(t => t.textContent === 'stem');"
        "getSelection().selectAllChildren(text); return String(getSelection())",
    )
    assert chosen == "stem"
    check_quiet(browser)


def test_every_control_has_a_name(browser: Chrome) -> None:
    nameless = js(
        browser,
        "return [...document.querySelectorAll('button, a, [role=button], [role=region], [role=img], dialog')]"
        ".filter(e => !(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.textContent.trim()))"
        ".map(e => e.outerHTML.slice(0, 80))",
    )
    assert nameless == []


def test_a_hostile_file_runs_nothing(browser: Chrome, runs: Path) -> None:
    evil = "</script><script>window.ran=1</script><img src=x onerror=window.ran=1>"
    for name in ("space.json", "history.jsonl"):
        path = Path("a") / name
        path.write_text(
            path.read_text().replace("identity", json.dumps(evil)[1:-1]).replace("from_x", json.dumps(evil)[1:-1])
        )
    (runs / "evil.html").write_text(page(report_of([Path("a")], title=evil)))
    browser.get((runs / "evil.html").as_uri())
    drawn(browser)
    assert js(browser, "return window.ran ?? null") is None
    assert evil in js(browser, "return document.querySelector('h1').textContent")
    js(browser, "document.querySelector('[data-slots].opens').dispatchEvent(new Event('click'))")
    assert evil in js(browser, "return document.querySelector('#choice').textContent")
    assert js(browser, "return window.ran ?? null") is None
    assert js(browser, "return document.querySelectorAll('img').length") == 0
