"""tools.lock: the images whose programs the pipeline runs, each by its digest."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

import pytest
from dagger import dag

import pipeline.commands.lock_tools
from pipeline.attestations.attach import made_from
from pipeline.checkout import Checkout, ImageSource
from pipeline.commands.check import Checker
from pipeline.commands.lock_tools import describe, relock_tools
from pipeline.commands.outdated import find_tools
from pipeline.config.image_toml import ImageSpec
from pipeline.config.settings import Settings, load_settings
from pipeline.errors import Code, LockError, PipelineError
from pipeline.git.upload_filter import LEFT_OUT
from pipeline.locks import tool_images
from pipeline.scripts.messages import RepositoryReport
from pipeline.updates.report import find_newer
from tests.unit.conftest import CheckoutFolder
from tests.unit.refusals import refused

ROOT = Path(__file__).parents[3]
PYTHON, REGCTL, COSIGN, APPTAINER = tool_images.used(Settings()).values()
ONE, TWO, THREE, FOUR = (f"sha256:{digit * 64}" for digit in "1234")
HELD = {PYTHON: ONE, REGCTL: TWO, COSIGN: THREE, APPTAINER: FOUR}
RELOCK = "run 'dagger call lock' and commit tools.lock"
NOTE = "without tools.lock, tool images are what their tags are now; 'dagger call lock' pins them"


class Source:
    """The files of a checkout as the engine has them, for what opens and changes a checkout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: dict[str, str | None] = {}

    async def export(self, path: str) -> None:
        """Copy the files to a folder."""
        shutil.copytree(self.folder, path, dirs_exist_ok=True)

    def directory(self, _: str) -> Self:
        """A folder of it."""
        return self

    def with_new_file(self, name: str, text: str) -> Self:
        """Write a file."""
        self.written[name] = text
        return self

    def without_file(self, name: str) -> Self:
        """Remove a file."""
        self.written[name] = None
        return self

    def changes(self, _: Self) -> dict[str, str | None]:
        """Return the files that were written, and None for those that were removed."""
        return self.written


async def opened(folder: CheckoutFolder, *, pinned: bool = True) -> Checkout:
    """The checkout as a call opens it."""
    source: Any = Source(folder.path)
    return await Checkout.open(source, pinned=pinned)


def newest(monkeypatch: pytest.MonkeyPatch, digests: dict[str, str]) -> None:
    """Let the tags of tool images have digests, as if a registry had been asked."""

    async def find(_: Checkout, key: str, reference: str) -> str:
        assert tool_images.used(Settings())[key].partition(":")[0] == reference.partition(":")[0]
        return digests[reference]

    monkeypatch.setattr(pipeline.commands.lock_tools, "find_digest", find)


@pytest.mark.asyncio
async def test_whoever_uses_a_tool_takes_the_locked_image(checkout: CheckoutFolder) -> None:
    """The settings of a call have the digests, so that no place that starts a tool needs to know of the lock."""
    checkout.write("tools.lock", tool_images.write(HELD))
    found = await opened(checkout)
    pinned = [f"{reference}@{digest}" for reference, digest in HELD.items()]
    assert list(tool_images.used(found.settings).values()) == pinned
    assert list(tool_images.used(found.image("small").settings).values()) == pinned
    assert tool_images.unpinned(found.settings) == ""
    assert describe(found) == "tools.lock is fresh: it has the digests of all tool images\n"


def test_every_image_that_the_settings_name_is_locked() -> None:
    """A tool that is added to the settings later is no exception: base is the images' own, in their base.lock."""
    images = {
        key
        for key, value in Settings().model_dump().items()
        if isinstance(value, str) and re.fullmatch(r"[a-z0-9.-]+\.[a-z]+/\S+:[\w.-]+", value)
    }
    assert images == {"base", *tool_images.used(Settings())}


@pytest.mark.asyncio
async def test_a_checkout_need_not_have_the_file(checkout: CheckoutFolder) -> None:
    """Tool images are then what their tags are, and the call notes it."""
    found = await opened(checkout)
    assert found.settings == load_settings(checkout.path)
    assert tool_images.unpinned(found.settings) == NOTE
    assert describe(found) == f"{NOTE}\n"
    assert (await Checker(Checkout(dag.directory(), checkout.path / "none", Settings())).check_locks()) == f"{NOTE}\n"


@pytest.mark.asyncio
async def test_a_tool_that_is_set_with_a_digest_needs_no_line(checkout: CheckoutFolder) -> None:
    """Its own digest counts."""
    settings = f"[tool.pipeline]\nregctl = '{REGCTL}@{ONE}'\n"
    checkout.write("pyproject.toml", settings)
    checkout.write("tools.lock", tool_images.write({PYTHON: ONE, COSIGN: THREE, APPTAINER: FOUR}))
    assert (await opened(checkout)).settings.regctl == f"{REGCTL}@{ONE}"
    others = ("cosign", "fetch_base", "apptainer")
    checkout.write("pyproject.toml", settings + "".join(f"{key} = 'a/{key}@{ONE}'\n" for key in others))
    checkout.remove("tools.lock")
    assert tool_images.unpinned((await opened(checkout)).settings) == ""


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("held", "where", "facts"),
    [
        (
            {PYTHON: ONE, COSIGN: THREE, APPTAINER: FOUR},
            "pyproject.toml:2",
            [f"lacks {REGCTL}.9", "'regctl' in pyproject.toml"],
        ),
        (HELD, "tools.lock:6", [f"has {REGCTL}, which is none of the pipeline's tools"]),
    ],
    ids=["missing", "superfluous"],
)
async def test_a_file_that_does_not_fit_is_refused(
    checkout: CheckoutFolder, held: dict[str, str], where: str, facts: list[str]
) -> None:
    """A tool was changed without locking it: every call refuses it but the one that locks."""
    checkout.write("pyproject.toml", f"[tool.pipeline]\nregctl = '{REGCTL}.9'\n")
    checkout.write("tools.lock", tool_images.write(held))
    with refused(Code.TOOLS_LOCK_STALE, "tools.lock", where, *facts, RELOCK, kind=LockError):
        await opened(checkout)
    assert (await opened(checkout, pinned=False)).settings.regctl == f"{REGCTL}.9"


@pytest.mark.asyncio
async def test_a_missing_line_of_a_default_is_refused(checkout: CheckoutFolder) -> None:
    """There is no file of settings then that has a line for it."""
    checkout.remove("pyproject.toml")
    checkout.write("tools.lock", "[digests]\n")
    with refused(Code.TOOLS_LOCK_STALE, f"lacks {PYTHON}", "'fetch_base'", RELOCK, kind=LockError):
        await opened(checkout)


@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["<<<<<<< HEAD\n", "[digest]\n", f"[digests]\n'{PYTHON}' = 'sha256:1'\n"])
async def test_a_file_that_cannot_be_used_is_refused(checkout: CheckoutFolder, text: str) -> None:
    """As a base.lock is."""
    checkout.write("tools.lock", text)
    with refused(Code.TOOLS_LOCK_STALE, "tools.lock", RELOCK, kind=LockError):
        await opened(checkout)


@pytest.mark.asyncio
@pytest.mark.parametrize("before", [None, "<<<<<<< HEAD\n", tool_images.write({**HELD, "gone:1": ONE})])
async def test_locking_takes_the_digests_of_the_tags(
    checkout: CheckoutFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], before: str | None
) -> None:
    """Whatever the file was; the log has what changed, and a build takes what was written."""
    if before:
        checkout.write("tools.lock", before)
    newest(monkeypatch, {**HELD, REGCTL: ONE})
    made: Any = await relock_tools(await opened(checkout, pinned=False), [], check=False)
    assert made.keys() == {"tools.lock"}
    assert made["tools.lock"].startswith("# The pipeline's tool images. Written by: dagger call lock\n\n[digests]\n")
    assert REGCTL in capsys.readouterr().out
    checkout.write("tools.lock", made["tools.lock"])
    assert (await opened(checkout)).settings.regctl == f"{REGCTL}@{ONE}"


@pytest.mark.asyncio
async def test_a_file_that_pins_nothing_is_removed(checkout: CheckoutFolder) -> None:
    """The settings have all digests now."""
    checkout.write("tools.lock", tool_images.write(HELD))
    tools = "".join(f"{key} = '{name}@{ONE}'\n" for key, name in tool_images.used(Settings()).items())
    checkout.write("pyproject.toml", f"[tool.pipeline]\n{tools}")
    made: Any = await relock_tools(await opened(checkout, pinned=False), [], check=False)
    assert made == {"tools.lock": None}


@pytest.mark.asyncio
async def test_a_check_changes_nothing(checkout: CheckoutFolder, capsys: pytest.CaptureFixture[str]) -> None:
    """No registry is asked: a newer image behind a tag does not make the file stale."""
    checkout.write("tools.lock", tool_images.write(HELD))
    made: Any = await relock_tools(await opened(checkout), [], check=True)
    assert made == {}
    assert capsys.readouterr().out == "tools.lock is fresh: it has the digests of all tool images\n"


@pytest.mark.asyncio
async def test_a_package_belongs_to_an_image(checkout: CheckoutFolder) -> None:
    """Without one, it is not known whose lock is meant."""
    with refused(Code.OPTION_CONFLICT, "--package", "--image", kind=PipelineError):
        await relock_tools(await opened(checkout), ["numpy"], check=False)


def test_the_lock_is_uploaded_and_is_no_part_of_the_module(tmp_path: Path) -> None:
    """A renewed digest runs no other step again than those that use the tool."""
    first, *included = json.loads((ROOT / "dagger.json").read_text())["include"]
    assert first == "!*"
    assert "tools.lock" not in included
    (tmp_path / ".gitignore").write_text("\n".join(LEFT_OUT))
    for name in ("tools.lock", "other.lock"):
        (tmp_path / name).touch()
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    command = ["git", "-C", str(tmp_path), "ls-files", "--others", "--exclude-standard"]
    assert "tools.lock" in (listed := subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert "other.lock" not in listed


@pytest.mark.asyncio
async def test_outdated_knows_the_tools(checkout: CheckoutFolder) -> None:
    """A tag that moved, a newer release, and where each is changed: in the lock, or in the settings."""
    checkout.write("pyproject.toml", f"[tool.pipeline]\ncosign = '{COSIGN}@{ONE}'\n")
    checkout.write("tools.lock", tool_images.write({PYTHON: ONE, REGCTL: TWO, APPTAINER: FOUR}))
    python, regctl, cosign, _ = find_tools(await opened(checkout))
    assert (python.reference, python.digest, python.remedy) == (PYTHON, ONE, "dagger call lock")
    assert (cosign.reference, cosign.digest, cosign.remedy) == (f"{COSIGN}@{ONE}", ONE, "'cosign' in pyproject.toml")
    moved = RepositoryReport(tags=["3.12-slim", "3.14-slim", "3.14.1"], digests={"3.12-slim": TWO})
    (row,) = find_newer(python, moved, "")
    assert (row.image, row.kind, row.current, row.newest) == ("tools", "tool image", ONE[:19], TWO[:19])
    released = RepositoryReport(tags=["v0.11.7", "v0.12.0", "v0.12.1-rc1", "0.13.0", "edge"], digests={"v0.11.7": TWO})
    (row,) = find_newer(regctl, released, "")
    change = "'regctl' in pyproject.toml: v0.12.0"
    assert (row.kind, row.current, row.newest, row.change) == ("tool image", "0.11.7", "0.12.0 (minor)", change)
    assert find_newer(regctl, RepositoryReport(tags=["v0.11.7", "v0.11.6"], digests={"v0.11.7": TWO}), "") == []


@pytest.mark.asyncio
async def test_outdated_reports_tools_that_are_not_locked(checkout: CheckoutFolder) -> None:
    """As it does base images."""
    python, *_ = find_tools(await opened(checkout))
    (row,) = find_newer(python, RepositoryReport(tags=["3.12-slim"], digests={"3.12-slim": TWO}), "")
    assert (row.current, row.newest, row.change) == ("not locked", TWO[:19], "dagger call lock")


@pytest.mark.asyncio
@pytest.mark.parametrize("locked", [True, False])
async def test_provenance_has_the_tool_that_packs_layers(checkout: CheckoutFolder, *, locked: bool) -> None:
    """By its digest. One that is not locked is left out: a second publication would attach another statement."""
    checkout.write("small/Dockerfile", "FROM scratch\n")
    settings = Settings(fetch_base=f"{PYTHON}@{ONE}" if locked else PYTHON)
    spec = ImageSpec(description="x", dockerfile="Dockerfile")
    source = ImageSource("small", spec, checkout.image, dag.directory(), settings)
    found = [(part.uri, dict(part.digest)) for part in await made_from(source, ["linux/amd64"])]
    uri = f"pkg:oci/python@{ONE.replace(':', '%3A')}?repository_url=docker.io/library/python&tag=3.12-slim"
    assert found == ([(uri, {"sha256": "1" * 64})] if locked else [])
