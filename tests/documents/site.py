"""The site: the documents of the repository, as pages that load nothing from other hosts."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Final

from tests.documents.markdown import Link, documents, links
from tests.sandbox import cache, tools
from tests.sandbox.errors import SandboxError

CONFIGURATION: Final = "docs/mkdocs.yml"
#: Files that the pages show beside text.
ASSETS: Final = ("docs/*.svg", "docs/*.png", "docs/site.css")
#: The generator colours its report, in a pipe as well.
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
#: Forms that GitHub fills, no pages.
NO_PAGES: Final = ".github"


def build(checkout: Path, folder: Path) -> None:
    """Build the site into a folder, which is replaced.

    Args:
        checkout: with the documents.
        folder: for the site.

    Raises:
        SandboxError: a page has a dead link, or the generator cannot be installed.
    """
    with tempfile.TemporaryDirectory(prefix="documents-") as temporary:
        stage = Path(temporary)
        copy_pages(checkout, stage / "pages")
        shutil.copy(checkout / CONFIGURATION, stage / "mkdocs.yml")
        command = [sys.executable, "-P", "-m", "zensical", "build", "--strict", "--config-file", "mkdocs.yml"]
        environment = {**os.environ, "PYTHONPATH": str(generator(checkout))}
        ended = subprocess.run(command, cwd=stage, env=environment, capture_output=True, text=True, check=False)
        if ended.returncode:
            report = _COLOUR.sub("", ended.stdout + ended.stderr).partition("Traceback (most recent call last)")[0]
            raise SandboxError(f"The site was not built: {report}")
        if folder.exists():
            shutil.rmtree(folder)
        shutil.copytree(stage / "site", folder)


def copy_pages(checkout: Path, folder: Path) -> None:
    """Copy all documents under their own paths, so that links between them hold; other files are linked on GitHub."""
    found = [file for file in documents(checkout) if file.relative_to(checkout).parts[0] != NO_PAGES]
    repository = source(checkout)
    for file in found:
        text = file.read_text(encoding="utf-8")
        for link in set(links(text)):
            address = on_github(link, file, found, checkout, repository)
            if address:
                text = text.replace(f"]({link.target})", f"]({address})")
        page = folder / file.relative_to(checkout)
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
    for pattern in ASSETS:
        for asset in checkout.glob(pattern):
            shutil.copy(asset, folder / asset.relative_to(checkout))


def on_github(link: Link, file: Path, pages: list[Path], checkout: Path, repository: str) -> str | None:
    """The address on GitHub of a linked file or folder that is no part of the site; None for one that is."""
    if link.is_external or not link.path:
        return None
    target = (file.parent / link.path).resolve()
    name = target.relative_to(checkout)
    if target in pages or any(name.match(pattern) for pattern in ASSETS):
        return None
    return f"{repository}/{'tree' if target.is_dir() else 'blob'}/main/{name}"


def source(checkout: Path) -> str:
    """The repository's address, as pyproject.toml has it."""
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address: str = project["urls"]["Repository"]
    return address


def generator(checkout: Path) -> Path:
    """A folder with the generator, to be put on Python's path; installed from its lock where it is missing.

    Raises:
        SandboxError: the package index cannot be reached, or a hash does not fit.
    """
    lock = checkout / "docs/requirements.lock"

    def install(part: Path) -> None:
        log = cache.root() / "site.log"
        log.unlink(missing_ok=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        options = ["--require-hashes", "--only-binary", ":all:", "--requirement", str(lock), "--target", str(part)]
        tools.run([*pip, *options], log, "The Python package index")

    return cache.ensure("site", [lock, sys.version], install, say=lambda text: print(text, file=sys.stderr))  # noqa: T201
