"""The page about an image in a browser: it comes up without a complaint, can be searched and sorted, and fits."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from pipeline.scripts.report import render
from tests.unit.pages import page, real

NAMES = "return [...document.querySelectorAll('#packages-table tbody tr:not([hidden]) th')].map(e => e.textContent)"
#: Contrast of each text with what is behind it, by WCAG's formula: the lowest that there is, and where.
CONTRAST = """
const channels = (color) => color.match(/[\\d.]+/g).map(Number);
const light = (color) => {
  const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const [r, g, b] = channels(color).map((v) => linear(v / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const color = getComputedStyle(e).backgroundColor;
    if ((channels(color)[3] ?? 1) > 0) return color;
  }
  return "rgb(255, 255, 255)";
};
const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
const found = [];
for (const e of document.querySelectorAll("body :not(script)")) {
  const says = [...e.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (says && !e.closest("svg"))
    found.push([ratio(getComputedStyle(e).color, behind(e)), e.outerHTML.slice(0, 80)]);
}
for (const e of document.querySelectorAll(".tile path"))
  found.push([ratio(getComputedStyle(e).fill, "rgb(255, 255, 255)"), e.parentElement.getAttribute("class")]);
return found.reduce((least, one) => one[0] < least[0] ? one : least);
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of ml_platform's 504 packages, as a file."""
    file: Path = tmp_path_factory.mktemp("page") / "report.html"
    packages = real()
    file.write_text(render(page(packages, packages[20:])), encoding="utf-8")
    return file.as_uri()


def show(browser: Chrome, address: str, width: int = 1280, scheme: str = "light") -> None:
    """Load a page in a window of a width, for somebody who prefers light or dark."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    preference = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [preference]})
    browser.get(address)


def names(browser: Chrome) -> list[str]:
    """The packages that are shown, in their order."""
    found: list[str] = browser.execute_script(NAMES)
    return found


def press(browser: Chrome, *keys: str) -> WebElement:
    """Type keys where the focus is, and return what has it then."""
    browser.switch_to.active_element.send_keys(*keys)
    return browser.switch_to.active_element


def tab_to(browser: Chrome, text: str) -> WebElement:
    """Press the tabulator until what has the focus says a text, and no more."""
    for _ in range(60):
        if press(browser, Keys.TAB).text == text:
            return browser.switch_to.active_element
    raise AssertionError(f"{text} cannot be reached with the keyboard")


def test_the_page_comes_up_without_a_complaint(
    browser: Chrome, address: str, record_property: Callable[[str, object], None]
) -> None:
    """All of it is there, it asks for nothing else, and the console stays empty."""
    show(browser, address)
    timing: dict[str, Any] = browser.execute_script("return performance.getEntriesByType('navigation')[0].toJSON()")
    # Recorded, not asserted: a machine may be busy.
    record_property("milliseconds_to_load", round(timing["loadEventEnd"]))
    print(f"loaded in {timing['loadEventEnd']:.0f} ms")
    assert browser.execute_script("return document.readyState") == "complete"
    assert len(names(browser)) == 504
    assert browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)") == []
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]  # the library has types for most of itself


def test_a_search_leaves_what_it_finds(browser: Chrome, address: str) -> None:
    """The search covers name, version, licence and layer, and the page shows the count."""
    show(browser, address)
    search = browser.find_element(By.ID, "search")
    assert search.accessible_name == "Search"
    search.send_keys("TENSORFLOW apache")
    found = names(browser)
    assert found
    assert all("tensorflow" in name for name in found)
    assert browser.find_element(By.ID, "count").text == f"{len(found)} of 504 packages"
    search.clear()
    search.send_keys("nothing-has-this-name")
    assert browser.find_element(By.ID, "count").text == "0 of 504 packages"


def test_a_tile_leads_to_its_package(browser: Chrome, address: str) -> None:
    """A click on the map searches for what is under it."""
    show(browser, address)
    browser.execute_script(
        "document.querySelector('.wide [data-name=root_base]').dispatchEvent(new MouseEvent('click'))"
    )
    assert "root_base" in names(browser)
    assert len(names(browser)) < 10


def test_a_table_is_sorted_with_the_keyboard(browser: Chrome, address: str) -> None:
    """From the top of the page by tabulator and return; a screen reader gets the order."""
    show(browser, address)
    assert press(browser, Keys.TAB).text == "Skip to the content"
    button = tab_to(browser, "Package")
    assert browser.execute_script("return getComputedStyle(arguments[0]).outlineStyle", button) == "solid"
    header = button.find_element(By.XPATH, "..")
    press(browser, Keys.ENTER)
    ascending = names(browser)
    assert header.get_attribute("aria-sort") == "ascending"
    assert ascending[0].startswith("_")
    press(browser, Keys.SPACE)
    assert header.get_attribute("aria-sort") == "descending"
    assert names(browser) == ascending[::-1]
    assert len(browser.find_elements(By.CSS_SELECTOR, "#packages-table [aria-sort]")) == 1


def test_sizes_are_sorted_as_numbers(browser: Chrome, address: str) -> None:
    """Not as the words that stand for them."""
    show(browser, address)
    largest_first = names(browser)
    browser.execute_script("document.querySelector('#packages-table thead th:nth-child(2) button').click()")
    found: list[int] = browser.execute_script(
        "return [...document.querySelectorAll('#packages-table tbody [data-value]')].map(e => Number(e.dataset.value))"
    )
    assert found == sorted(found)
    assert names(browser)[-1] == largest_first[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits(browser: Chrome, address: str, pictures: Path, width: int, scheme: str) -> None:
    """On a telephone and on a desk, in light and dark: nothing sticks out, one map is shown, and all can be read."""
    show(browser, address, width, scheme)
    picture = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
    (pictures / f"{width}-{scheme}.png").write_bytes(base64.b64decode(picture["data"]))
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    shown = [each.is_displayed() for each in browser.find_elements(By.CSS_SELECTOR, "svg[role=img]")]
    assert shown == [width == 1280, width == 390]
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(15, 19, 24)")
    least, where = browser.execute_script(CONTRAST)
    assert least >= 4.5, where
