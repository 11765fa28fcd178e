import os
import subprocess
import tomllib
from pathlib import Path

import pytest
from dagger import dag

from pipeline.checkout import Checkout
from pipeline.commands.scaffold import ASK, check_name, files
from pipeline.config.image_kind import ImageKind
from pipeline.config.image_toml import load_spec
from pipeline.config.settings import Settings
from pipeline.errors import Code, SpecError
from pipeline.locks.image_lock import LOCK
from tests.unit.conftest import CheckoutFolder
from tests.unit.refusals import refused


def opened(folder: CheckoutFolder) -> Checkout:
    """A checkout as it is when the engine is not asked."""
    return Checkout(dag.directory(), folder.path, Settings())


@pytest.mark.parametrize("kind", ImageKind)
def test_the_files_of_a_new_image_are_those_of_an_image(checkout: CheckoutFolder, kind: ImageKind) -> None:
    """image.toml says nothing that is unknown, and the other files are those that it needs."""
    for name, text in files("fresh", kind).items():
        checkout.write(f"fresh/{name}", text)
    checkout.write(f"fresh/{LOCK}", "")
    spec = load_spec(checkout.path, "fresh")
    assert (spec.dockerfile is None) == (kind is ImageKind.PIXI)
    assert (checkout.path / "fresh/README.md").read_text().startswith("# fresh\n")
    assert not [text for text in files("fresh", kind).values() if "$name" in text or "$table" in text]


def test_the_manifest_is_written_for_the_pixi_that_locks_it() -> None:
    """Before it could lock by itself, pixi called the first table of its manifest `project`."""
    assert "project" in tomllib.loads(files("fresh", ImageKind.PIXI, "project")["pixi.toml"])
    assert "workspace" in tomllib.loads(files("fresh", ImageKind.PIXI)["pixi.toml"])


def test_new_versions_wait_where_pixi_can_let_them() -> None:
    """Another pixi gets a manifest that it can read, and a comment that says why it takes the newest."""
    waits = files("fresh", ImageKind.PIXI)["pixi.toml"]
    assert tomllib.loads(waits)["workspace"]["exclude-newer"] == "14d"
    newest = files("fresh", ImageKind.PIXI, "project", waits=False)["pixi.toml"]
    assert tomllib.loads(newest)["project"].keys() == {"name", "channels", "platforms"}
    assert '# exclude-newer = "14d"' in newest


@pytest.mark.parametrize(
    ("reads", "answer"),
    [
        (("workspace", "exclude-newer"), "workspace waits"),
        (("workspace",), "workspace"),
        (("project",), "project"),
    ],
)
def test_pixi_is_asked_which_manifest_it_reads(tmp_path: Path, reads: tuple[str, ...], answer: str) -> None:
    """By giving it one, in the manner of 0.67, of 0.41 to 0.66 and of those before."""
    pixi = tmp_path / "pixi"
    unknown = "|".join({"workspace", "project", "exclude-newer"} - set(reads))
    pixi.write_text(f"#!/bin/sh\n[ $# = 2 ] || exit 2\n! grep -Eq '^.?({unknown})' pixi.toml\n")
    pixi.chmod(0o755)
    asked = ["sh", "-euc", ASK]
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    assert subprocess.run(asked, env=environment, capture_output=True, text=True, check=True).stdout == f"{answer}\n"


@pytest.mark.parametrize("name", ["Fresh", "1fresh", "fresh image", "../fresh", "fresh/", "fresh__image", ".fresh", ""])
def test_a_name_that_no_registry_takes_is_refused(checkout: CheckoutFolder, name: str) -> None:
    """The message has the characters that a name may have."""
    with refused(Code.IMAGE_NAME_INVALID, f"'{name}'", "lower-case letter", "'_', '-' or '.'", kind=SpecError):
        check_name(opened(checkout), name)


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("small", ["already", "small/image.toml"]),
        ("notes", ["something else"]),
        ("pipeline", ["something else"]),
    ],
)
def test_nothing_is_overwritten(checkout: CheckoutFolder, name: str, facts: list[str]) -> None:
    """Neither an image nor another folder is, not even one that the functions do not see."""
    checkout.write("notes/today.md", "")
    with refused(Code.IMAGE_NAME_INVALID, f"'{name}'", *facts, "another name", kind=SpecError):
        check_name(opened(checkout), name)


@pytest.mark.parametrize("name", ["fresh", "ml_platform2", "columnar-analysis", "a.b"])
def test_a_good_name_is_taken(checkout: CheckoutFolder, name: str) -> None:
    """Letters, digits, and single marks between them."""
    check_name(opened(checkout), name)
