"""A real browser for these tests, with no window and no network: Debian's Chromium, or a Chrome that is there."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from tests.sandbox import tools

#: Debian packages of the browser and of what drives it, each with its program.
PACKAGES: Final = {"chromium": "/usr/bin/chromium", "chromium-driver": "/usr/bin/chromedriver"}
#: Browser and driver of GitHub's runners; Ubuntu has no package of Chromium, but one that installs a snap.
CHROME: Final = ("/usr/bin/google-chrome", "/usr/bin/chromedriver")
#: No window, no sandbox (root may not use it), and nothing that the browser does by itself.
OPTIONS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser that reaches no host but this machine, and keeps what pages print to its console."""
    folder = tmp_path_factory.mktemp("browser")
    program, driver_program = PACKAGES.values()
    if not Path(program).exists() and all(Path(path).exists() for path in CHROME):
        program, driver_program = CHROME
    else:
        tools.install_packages(folder / "apt.log", print, PACKAGES)
    options = ChromeOptions()
    options.binary_location = program
    # In the shortest path that there is: the browser puts a socket there.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for option in (*OPTIONS, f"--user-data-dir={profile}"):
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = Service(driver_program, log_output=str(folder / "driver.log"))
        driver = Chrome(options=options, service=service)
        try:
            yield driver
        finally:
            driver.quit()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for pictures of pages, to be looked at."""
    return tmp_path_factory.mktemp("pictures")
