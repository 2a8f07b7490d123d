"""The page in headless Chromium, at a desktop's and a phone's width, light and dark."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histoblend.report_page.blocks import (
    Cell,
    CodeBlock,
    Column,
    GalleryBlock,
    Page,
    Picture,
    Section,
    TableBlock,
    Words,
)
from histoblend.report_page.figures import Curve, Estimated, correlation_figure, interval_figure, roc_figure
from histoblend.report_page.render import render

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed (Debian: chromium-driver)"
)
SIZES = [(width, scheme) for width in (1280, 360) for scheme in ("light", "dark")]
LONG = "efficientnet_b0_with_a_name_that_is_far_too_long_for_a_phone"
PNG = bytes.fromhex(  # one grey pixel
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a49444154789c6368000000820081"
    "4d5b2e3f0000000049454e44ae426082"
)

CONTRASTS = """
const channels = (text) => text.match(/[\\d.]+/g).map(Number);
const luminance = (rgb) => rgb.slice(0, 3).map((c) => c / 255)
  .map((c) => (c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4))
  .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
const ground = (element) => {
  for (let one = element; one; one = one.parentElement) {
    const rgb = channels(getComputedStyle(one).backgroundColor);
    if (rgb.length === 3 || rgb[3] === 1) return rgb;
  }
  return [255, 255, 255];
};
const found = [];
for (const element of document.body.querySelectorAll("*")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!own || !element.getClientRects().length || element.closest(".unseen, script, title, desc")) continue;
  const style = getComputedStyle(element);
  const rgb = channels(element instanceof SVGElement ? style.fill : style.color);
  const [low, high] = [luminance(rgb), luminance(ground(element))].sort((a, b) => a - b);
  found.push([(high + .05) / (low + .05), element.tagName, element.textContent.trim().slice(0, 40)]);
}
return found;
"""
OUTSIDE = """
return [...document.body.querySelectorAll("*")].filter((element) => {
  const box = element.closest(".scroll, .only, pre");  // what scrolls by itself
  const drawn = element instanceof SVGElement && !element.matches("svg, text");  // lines end at their plot
  const inside = box && box !== element && !element.matches("caption");
  return !inside && !drawn && element.getBoundingClientRect().right > arguments[0] + .5;
}).map((element) => element.outerHTML.slice(0, 80));
"""
BLOCKED = """
const done = arguments[0];
document.addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective), { once: true });
const image = new Image(); image.src = "http://127.0.0.1:9/x.png"; document.body.append(image);
"""


def example() -> Page:
    """A page with all that can be too wide, press or be pressed; made-up numbers."""
    grid = np.linspace(0, 1, 50)
    columns = (
        Column("rank", True),
        Column("name", meaning="What it is called."),
        Column("AUC", True, "Pooled."),
    )
    columns += tuple(Column(f"column {number}", True) for number in range(12))
    shown = [("1", "vgg", "0.9000"), ("2", LONG, "—"), ("3", "Blend", "0.9500"), ("10", "resnet", "0.8")]
    rows = tuple(tuple(map(Cell, (*row, *["0.123456"] * 12))) for row in shown)
    names = [f"{LONG}_{number}" for number in range(16)]
    blocks = (
        Words("Hand in the blend.", "verdict"),
        Words("Few slides.", "warning"),
        Words("Plain words. " * 20 + "x" * 80),
        TableBlock("Ranking in many words. " * 10, columns, rows, marked=(0,)),
        roc_figure([Curve(LONG, grid, np.sqrt(grid), 0.67, grid, np.ones(50)), Curve("b", grid, grid, 0.5)]),
        interval_figure([Estimated(LONG, 0.9, 0.8, 0.95, "blend", True), Estimated("b", 0.8)]),
        correlation_figure(names, np.full((16, 16), 0.9)),
        GalleryBlock("Hard ones", tuple(Picture(PNG, "a patch", (LONG, "0.1")) for _ in range(5))),
        CodeBlock("histoblend run " + "--option value " * 20, "Again:"),
    )
    return Page(
        "Report", "of made-up numbers", True, (Section("all", "All", blocks), Section("end", "End", ()))
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(
        options=options, service=Service(DRIVER)
    )  # a given driver: nothing is downloaded
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(render(example()), encoding="utf-8")
    return path.as_uri()


def opened(browser: Any, address: str, width: int = 1280, scheme: str = "light") -> Any:
    """The page loaded anew at this width, by a reader who likes this scheme."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(address)
    return browser


def script(browser: Any, text: str) -> Any:
    return browser.execute_script(text)


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_the_page_fits_is_readable_and_asks_nobody(
    browser: Any, address: str, width: int, scheme: str
) -> None:
    opened(browser, address, width, scheme)
    assert script(browser, "return document.documentElement.scrollWidth") <= width
    assert browser.execute_script(OUTSIDE, width) == []
    contrasts = script(browser, CONTRASTS)
    assert len(contrasts) > 80 and [one for one in contrasts if one[0] < 4.5] == []
    light = script(browser, "return getComputedStyle(document.body).backgroundColor") == "rgb(252, 251, 248)"
    assert light == (scheme == "light")
    seen = ["wide", "narrow"] if width > 1000 else ["narrow", "wide"]
    displays = [script(browser, f"return document.querySelector('.{one}').checkVisibility()") for one in seen]
    assert displays == [True, False]
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert address in asked and all(one == address or one.startswith("data:") for one in asked)


def test_the_policy_stops_what_would_reach_outside(browser: Any, address: str) -> None:
    assert opened(browser, address).execute_async_script(BLOCKED) == "img-src"


def column(browser: Any, number: int) -> list[str]:
    read = f"return [...document.querySelectorAll('tbody tr')].map((row) => row.cells[{number}].textContent)"
    return list(script(browser, read))


def directions(browser: Any) -> list[str | None]:
    read = "return [...document.querySelectorAll('thead th')].slice(0, 3).map((th) => th.getAttribute('aria-sort'))"
    return list(script(browser, read))


def test_tables_sort_by_click_and_by_keyboard(browser: Any, address: str) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    opened(browser, address)
    rank, name, auc = browser.find_elements(By.CSS_SELECTOR, "thead th button")[:3]
    assert directions(browser) == [None, None, None]
    auc.click()
    assert column(browser, 2) == ["0.9500", "0.9000", "0.8", "—"]  # the missing one last, either way
    assert directions(browser) == [None, None, "descending"]
    auc.send_keys(Keys.ENTER)
    assert column(browser, 2) == ["0.8", "0.9000", "0.9500", "—"]
    assert directions(browser) == [None, None, "ascending"]
    name.send_keys(Keys.SPACE)
    assert column(browser, 1) == ["Blend", LONG, "resnet", "vgg"]
    assert directions(browser) == [None, "ascending", None]
    assert browser.find_element(By.ID, "said").get_attribute("textContent") == "Sorted by name, rising."
    rank.click()
    assert column(browser, 0) == ["10", "3", "2", "1"]  # as numbers
    assert script(browser, "return document.querySelector('tr.marked').cells[1].textContent") == "vgg"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_button_turns_the_colours_and_forgets(browser: Any, address: str, scheme: str) -> None:
    from selenium.webdriver.common.by import By

    opened(browser, address, scheme=scheme)
    paper = "return getComputedStyle(document.body).backgroundColor"
    before, button = script(browser, paper), browser.find_element(By.ID, "theme")
    assert button.text == ("Dark colours" if scheme == "light" else "Light colours")
    button.click()
    assert script(browser, paper) != before
    assert button.text == ("Light colours" if scheme == "light" else "Dark colours")
    assert [one for one in script(browser, CONTRASTS) if one[0] < 4.5] == []
    button.click()
    assert script(browser, paper) == before
    assert script(browser, "return document.cookie") == ""


def test_code_can_be_copied_or_is_selected(browser: Any, address: str) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    button = opened(browser, address).find_element(By.CSS_SELECTOR, "[data-copies]")
    button.click()
    WebDriverWait(browser, 10).until(lambda _: button.text != "Copy")
    assert button.text in ("Copied", "Selected: copy it by the keyboard")


def test_paper_is_light_and_without_buttons(browser: Any, address: str) -> None:
    opened(browser, address, scheme="dark")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert script(browser, "return getComputedStyle(document.body).backgroundColor") == "rgb(252, 251, 248)"
    assert not script(browser, "return document.querySelector('#theme').checkVisibility()")
    assert not script(browser, "return document.querySelector('nav').checkVisibility()")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_without_javascript_it_is_a_plain_page(browser: Any, address: str) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        opened(browser, address)
        source = browser.page_source
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert '<th scope="col" class="number ">rank</th>' in source  # a heading, no button
    assert 'id="theme" hidden' in source
