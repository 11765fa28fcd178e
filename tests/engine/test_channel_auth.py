"""Channels and package indexes that ask who one is: a build with, without and with wrong credentials.

A password goes through everything; a token through what is read in another way. What needs no shell is called in this
process, with and without credentials in sessions of their own: what one was given is no other's.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagger import dag

from pipeline.credentials.logins import Logins
from pipeline.output.formats import Format
from tests.engine.conftest import Checkout, a_session, answer, apply, copy_module, refused
from tests.engine.network import names_reached
from tests.engine.private import GIVE, REJECTED, Private, assert_hidden, files_of
from tests.sandbox.current_pixi import VERSION
from tests.sandbox.state import current

pytestmark = pytest.mark.asyncio

MANIFEST = """\
[project]
name = "secretive"
channels = ["conda-forge", "{channel}"]
platforms = ["linux-64"]

[dependencies]
python = "3.12.*"
hidden = "*"
"""
SPEC = """\
description = "An image with a package of a private channel"

[[probes.commands]]
command = ["test", "-s", "/app/.pixi/envs/default/share/hidden"]
"""
#: An image on a current pixi, with a package that only a private index has.
INDEXED_SPEC = f"""\
description = "An image with a package of a private index"
base = "ghcr.io/prefix-dev/pixi:{VERSION}-noble"
"""
INDEXED = """\
[workspace]
name = "indexed"
channels = ["conda-forge"]
platforms = ["linux-64"]
conda-pypi-map = false

[dependencies]
python = "3.12.*"

[pypi-options]
index-url = "{index}"

[pypi-dependencies]
hushed = "*"
"""
DEBIAN = "docker.io/library/debian:bookworm-slim"
WRONG = "not-the-secret"
#: Prints what the wheel holds.
HUSHED = ["python", "-c", "import hushed; print(hushed.NAME)"]


@pytest.fixture(params=["password", "token"])
def private(request: pytest.FixtureRequest) -> Iterator[Private]:
    """A folder of each kind."""
    made = Private(request.param)
    yield made
    made.remove()


@pytest.fixture
def secretive(tmp_path: Path, private: Private) -> Checkout:
    """A checkout with an image that needs a package of a private channel, not locked yet."""
    private.add_package()
    copy_module(tmp_path)
    made = Checkout(tmp_path)
    made.write("secretive/image.toml", SPEC)
    made.write("secretive/pixi.toml", MANIFEST.format(channel=private.address))
    return made


async def lock(checkout: Checkout, private: Private, image: str, **options: object) -> str:
    """Lock an image with credentials, and write what changed; the lock."""
    await apply(checkout, "lock", private.login(), image=image, **options)
    return checkout.read(f"{image}/pixi.lock")


def typed(checkout: Checkout, *arguments: str) -> str:
    """The output of a call that succeeds."""
    ended = checkout.call(*arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr


@pytest.mark.parametrize("private", ["password"], indirect=True)
async def test_an_image_with_a_private_channel(
    secretive: Checkout,
    private: Private,
    log: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Locked, built, tested and listed with credentials; refused in one sentence without, and with wrong ones."""
    async with a_session(log):
        output = [await refused(secretive, "lock", image="secretive")]
        assert output[0].startswith("secretive: pixi cannot lock what secretive/pixi.toml asks for: ")
        assert GIVE in output[0]
        assert REJECTED in await refused(secretive, "lock", private.login(WRONG), image="secretive")
    async with a_session(log):
        locked = await lock(secretive, private, "secretive")
    assert f"{private.address}/noarch/hidden-1.0-h_0.conda" in locked

    await asyncio.to_thread(private.add_package, "1.1")  # it has a loop of its own
    async with a_session(log):
        assert REJECTED in await refused(secretive, "lock", private.login(WRONG), image="secretive", package=["hidden"])
        output.append(await refused(secretive, "build", image="secretive"))
        assert "1 of " in output[-1]
        assert GIVE in output[-1]
        assert REJECTED in await refused(secretive, "build", private.login(WRONG), image="secretive")
        with names_reached():
            assert GIVE in await refused(secretive, "lock", image="secretive", check=True)

    sbom = tmp_path_factory.mktemp("sbom") / "sbom.json"
    async with a_session(log):
        locked = await lock(secretive, private, "secretive", package=["hidden"])
        assert f"{private.address}/noarch/hidden-1.1-h_0.conda" in locked
        # It reads what is locked, and asks no channel: so credentials are needed by nobody.
        known = json.loads(await answer(secretive, "outdated", image="secretive", format=Format.JSON))
        looked_up = r"secretive: 0 of \d+ packages are of Python, and were looked up; OSV knows no others of conda"
        assert re.fullmatch(looked_up, known["notes"][0])
        output.append(await answer(secretive, "smoke_test", private.login(), image="secretive"))
        await (await answer(secretive, "sbom", private.login(), image="secretive")).export(str(sbom))
        built = await answer(secretive, "build", private.login(), image="secretive")
        variables = {await variable.name() for variable in await built.env_variables()}
        assert variables.isdisjoint({"RATTLER_AUTH_FILE", "NETRC", "LOGINS_HOME"})
        with names_reached():
            await answer(secretive, "lock", private.login(), image="secretive", check=True)
        output.append(capsys.readouterr().out)
        assert "secretive/pixi.lock is fresh" in output[-1]
    tarball = sbom.with_name("image.tar")
    build = (*private.options, "build", "--image", "secretive")
    output.append(typed(secretive, *build, "as-tarball", "export", "--path", str(tarball)))

    assert_hidden(*output, capsys.readouterr().out, locked, sbom)
    assert_hidden(log, current().log / "engine.log")
    for content in files_of(tarball):
        assert_hidden(content)
        assert b".logins" not in content


@pytest.mark.parametrize("private", ["token"], indirect=True)
async def test_a_private_channel_with_tokens(
    secretive: Checkout, private: Private, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """pixi locks and installs with a token, and its channel is asked with it; with a wrong one, neither is done."""
    async with a_session(log):
        assert REJECTED in await refused(secretive, "lock", private.login(WRONG), image="secretive")
    async with a_session(log):
        locked = await lock(secretive, private, "secretive")
        assert f"{private.address}/noarch/hidden-1.0-h_0.conda" in locked
        with names_reached():
            await answer(secretive, "lock", private.login(), image="secretive", check=True)
        shown: str = capsys.readouterr().out
        assert "secretive/pixi.lock is fresh" in shown
    async with a_session(log):
        assert GIVE in await refused(secretive, "build", image="secretive")
        assert REJECTED in await refused(secretive, "build", private.login(WRONG), image="secretive")
    async with a_session(log):
        shown += await answer(secretive, "smoke_test", private.login(), image="secretive")
    assert_hidden(shown, locked, capsys.readouterr().out, log)


@pytest.mark.parametrize("private", ["password"], indirect=True)
async def test_a_secret_in_an_address_is_refused(secretive: Checkout, private: Private, log: Path) -> None:
    """With its line, before anything is asked, and without a repetition of it."""
    address = private.address.replace("https://", "https://me:unspeakable@")
    secretive.add_environment("secretive")
    secretive.write("secretive/pixi.toml", MANIFEST.format(channel=address))
    known = "secretive/pixi.toml:3 has a password in an address at packages.maniaclab.example; "
    async with a_session(log):
        sentences = [
            await refused(secretive, "build", image="secretive"),
            await refused(secretive, "lock", image="secretive"),
            await refused(secretive, "lock", image="secretive", check=True),
        ]
    for sentence in sentences:
        assert known in sentence
        assert "with-channel-auth --host packages.maniaclab.example" in sentence
        assert "unspeakable" not in sentence
    assert "unspeakable" not in await asyncio.to_thread(log.read_text)


async def test_a_step_neither_prints_nor_keeps_what_it_is_given() -> None:
    """The files are there while it runs; the engine takes secrets out of its output, and the folder goes."""
    logins = Logins(channels={"conda.example.org": ("me", "unspeakable"), "other.example.org": ("", "silence")})
    script = 'cd "$LOGINS_HOME"; cat "$RATTLER_AUTH_FILE" "$NETRC"; echo unspeakable silence; touch .rattler/made'
    async with a_session():
        step = logins.mounted(dag.container().from_(DEBIAN)).with_exec(["sh", "-euc", script])
        output = await step.stdout()
        assert output.endswith("*** ***\n")
        assert "unspeakable" not in output
        assert "silence" not in output
        assert ".logins/" not in await step.rootfs().entries()


async def test_a_private_wheel(
    checkout: Checkout, private: Private, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """pixi's PyPI half asks with the same credentials."""
    address, sha256 = private.add_wheel()
    text = checkout.read("small/pixi.lock").replace("\npackages:\n", f"\n      - pypi: {address}\npackages:\n")
    text += f"- kind: pypi\n  name: hushed\n  version: '1.0'\n  url: {address}\n  sha256: {sha256}\n"
    checkout.write("small/pixi.lock", text)
    checkout.write("small/pixi.toml", f'{checkout.read("small/pixi.toml")}\n[pypi-dependencies]\nhushed = "*"\n')
    async with a_session(log):
        assert GIVE in await refused(checkout, "build", image="small")
    async with a_session(log):
        built = await answer(checkout, "build", private.login(), image="small")
        assert (await built.with_exec(HUSHED).stdout()).strip() == private.name
    assert_hidden(capsys.readouterr().out, log)


async def test_a_private_index(private: Private, tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A current pixi finds packages there, locks and installs them; one of 0.15 knows no index but PyPI."""
    copy_module(tmp_path)
    checkout = Checkout(tmp_path)
    checkout.write("indexed/image.toml", INDEXED_SPEC)
    checkout.write("indexed/pixi.toml", INDEXED.format(index=private.add_index()))
    async with a_session(log):
        output = [
            await refused(checkout, "lock", image="indexed"),
            await refused(checkout, "lock", private.login(WRONG), image="indexed"),
        ]
    async with a_session(log):
        locked = await lock(checkout, private, "indexed")
    assert f"- pypi: {private.address}/hushed-1.0-py3-none-any.whl" in locked
    async with a_session(log):
        output += [
            await refused(checkout, "build", image="indexed"),
            await refused(checkout, "build", private.login(WRONG), image="indexed"),
        ]
    assert all(GIVE in sentence for sentence in output[::2])
    assert all(REJECTED in sentence for sentence in output[1::2])
    async with a_session(log):
        built = await answer(checkout, "build", private.login(), image="indexed")
        assert (await built.with_exec(HUSHED).stdout()).strip() == private.name
    assert_hidden(*output, locked, capsys.readouterr().out, log)
