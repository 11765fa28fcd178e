"""The site in a browser: pages fit on a phone and on a desk, load nothing from other hosts, and their links work."""

import functools
import itertools
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import urldefrag, urlsplit

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.documents import site
from tests.sandbox.errors import SandboxError

CHECKOUT: Final = Path(__file__).parents[2]
#: Of a phone and of a desk.
WIDTHS: Final = (360, 1280)
LINKS: Final = "return [...document.querySelectorAll('a[href]')].map(e => e.href)"
#: Elements that stick out of the window, unless a box around them scrolls.
WIDE: Final = """
const scrolls = (e) =>
  e && (["auto", "scroll"].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
return [...document.querySelectorAll("article *")]
  .filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !scrolls(e.parentElement))
  .map((e) => e.outerHTML.slice(0, 80));
"""


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files and writes no log."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the library's
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built."""
    made: Path = tmp_path_factory.mktemp("site") / "site"
    site.build(CHECKOUT, made)
    return made


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """The site, served on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def pages(folder: Path) -> list[str]:
    """The pages, relative to the site."""
    return sorted(str(file.parent.relative_to(folder)).lstrip(".") for file in folder.rglob("index.html"))


def show(browser: Chrome, address: str, width: int) -> None:
    """Load a page in a window of a width."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(address)


@dataclass(frozen=True)
class Look:
    """A page in a window of one width, after it was loaded."""

    page: str
    width: int
    scroll_width: int
    wide: list[str]
    """Elements that stick out."""

    loaded: list[str]
    """Addresses of everything that the page loaded."""

    console: list[dict[str, Any]]
    links: list[str]


@pytest.fixture(scope="module")
def looks(browser: Chrome, address: str, folder: Path, pictures: Path) -> list[Look]:
    """Every page in a window of each width; each is loaded once."""
    found = []
    for page, width in itertools.product(pages(folder), WIDTHS):
        show(browser, f"{address}{page}", width)
        found.append(
            Look(
                page,
                width,
                browser.execute_script("return document.documentElement.scrollWidth"),
                browser.execute_script(WIDE),
                browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)"),
                browser.get_log("browser"),  # type: ignore[no-untyped-call]  # as in test_report
                browser.execute_script(LINKS),
            )
        )
        browser.save_screenshot(str(pictures / f"{page.replace('/', '-') or 'start'}-{width}.png"))
    assert found
    return found


def test_no_page_scrolls_sideways(looks: list[Look]) -> None:
    """Every page is as wide as its window; code and wide tables scroll in boxes of their own."""
    assert [look for look in looks if look.scroll_width > look.width or look.wide] == []


def test_pages_load_nothing_from_other_hosts(looks: list[Look], address: str) -> None:
    """A page loads only files of the site, and the console stays empty: a request elsewhere would be an error."""
    for look in looks:
        assert look.loaded, look.page
        assert [each for each in look.loaded if not each.startswith(address)] == [], look.page
        assert look.console == [], look.page


def test_links_between_pages_work(looks: list[Look], address: str, folder: Path) -> None:
    """Every link to the site leads to a page, and every anchor to an element of it."""
    links = {each for look in looks for each in look.links if each.startswith(address)}
    assert len(links) > len(pages(folder))
    dead = []
    for link in sorted(links):
        page, anchor = urldefrag(link)
        path = folder / urlsplit(page).path.lstrip("/")
        file = path / "index.html" if path.is_dir() else path
        if not file.exists() or (anchor and f'id="{anchor}"' not in file.read_text(encoding="utf-8")):
            dead.append(link)
    assert not dead


def test_the_search_finds_a_page(browser: Chrome, address: str) -> None:
    """A word of one page leads to it, without a network."""
    show(browser, address, WIDTHS[-1])
    browser.find_element(By.CSS_SELECTOR, ".md-search__button").click()
    search = WebDriverWait(browser, 20).until(lambda each: each.switch_to.active_element)
    search.send_keys("libcudnn")
    WebDriverWait(browser, 20).until(lambda each: "Architecture" in each.find_element(By.TAG_NAME, "body").text)


def test_a_page_with_a_dead_link_is_not_built(tmp_path: Path) -> None:
    """The generator is strict: it names the link, and the site that was there stays."""
    (tmp_path / "docs").mkdir()
    for name in ("docs/requirements.lock", "pyproject.toml"):
        shutil.copy(CHECKOUT / name, tmp_path / name)
    (tmp_path / site.CONFIGURATION).write_text("site_name: a\ndocs_dir: pages\nsite_dir: site\n", encoding="utf-8")
    page = tmp_path / "README.md"
    page.write_text("# Here\n\n[a](#here)\n", encoding="utf-8")
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    site.build(tmp_path, tmp_path / "made")
    page.write_text("# Here\n\n[a](#there)\n", encoding="utf-8")
    with pytest.raises(SandboxError, match=r"#there"):
        site.build(tmp_path, tmp_path / "made")
    assert (tmp_path / "made/index.html").exists()
