"""Publishing as a person does it: to three registries with passwords, looked at with a client that is not ours."""

import asyncio
import gzip
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import dagger
import pytest
from dagger import dag

from pipeline.build.image import Image
from pipeline.config.settings import Settings
from pipeline.errors import PipelineError
from pipeline.registry.oci_layout import make_artifact
from tests.engine.conftest import a_session, overlay
from tests.engine.publishing import (
    FIXED,
    MOVING,
    Shop,
    digest_of,
    docker_config,
    open_shop,
    tags_of,
    write_tiny,
)
from tests.sandbox import credentials
from tests.sandbox.hosts import REGISTRIES as HOSTS
from tests.sandbox.state import current

pytestmark = pytest.mark.asyncio

ALL = {*FIXED, *MOVING}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Three repositories that nobody else has."""
    return open_shop(tmp_path)


def writes(since: dict[str, int], shop: Shop) -> list[str]:
    """What was written to a shop's repositories: the requests in the web servers' logs that are not readings."""
    paths = {registry.partition("/")[2] for registry in shop.registries}
    lines = [line for host, size in since.items() for line in log_of(host).read_text()[size:].splitlines()]
    return [
        line
        for line in lines
        if any(f"/v2/{path}/" in line for path in paths) and '"GET ' not in line and '"HEAD ' not in line
    ]


def log_of(host: str) -> Path:
    """The log of a registry's web server: a line a request."""
    return current().log / f"{host}.access.log"


def log_sizes() -> dict[str, int]:
    """How long the logs are now."""
    return {host.name: len(log_of(host.name).read_text()) for host in HOSTS}


def secret_texts() -> list[bytes]:
    """The passwords of the registries, as they are and as they are sent."""
    found = credentials.ensure(current().secrets).values()
    return [text.encode() for pair in found for text in (pair.password, pair.basic)]


def stored_blobs(shop: Shop) -> Iterator[tuple[Path, bytes]]:
    """Everything that the registries keep for a shop: manifests, configurations, and layers without compression."""
    for host, registry in zip(HOSTS, shop.registries, strict=True):
        folder = current().registry / host.name
        name = registry.partition("/")[2]
        files = [file for file in (folder / name).rglob("*") if file.is_file()]
        storage = folder / "docker/registry/v2"
        for link in (storage / "repositories" / name).rglob("link"):
            digest = link.read_text().removeprefix("sha256:")
            files.append(storage / "blobs/sha256" / digest[:2] / digest / "data")
        assert files
        for file in files:
            data = file.read_bytes()
            yield file, gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


async def test_a_version_is_published_and_then_there_is_nothing_to_do(shop: Shop) -> None:
    """The command of the README, for images of both kinds: four tags in three registries, at one digest for each image.

    The same command again writes nothing. No password is in what was printed, in the engine's log, in the report or in
    what the registries keep.
    """
    shop.checkout.write("small/image.toml", 'description = "A small image"\n')
    for name in ("pixi.toml", "pixi.lock"):
        shop.checkout.write(f"small/{name}", (overlay("small") / name).read_text())
    logins = [
        word
        for host in HOSTS
        for word in (
            *("with-registry-auth", "--address", host.name.replace("registry-1.", "")),
            *("--username", os.environ[host.user_variable], "--secret", f"env:{host.password_variable}"),
        )
    ]
    command = [*logins, "publish", "--tag", "v2026.2.0", "--commit", "0123456789", "--format", "JSON"]
    engine_log = current().log / "engine.log"
    before = engine_log.stat().st_size
    first = shop.checkout.call("-vvv", *command)
    assert first.returncode == 0, first.stderr
    report = json.loads(first.stdout)
    assert {row["result"] for row in report["rows"]} == {"pushed"}
    for image in ("small", "tiny"):
        found = [tags_of(f"{registry}/{image}") for registry in shop.registries]
        assert [set(tags) for tags in found] == [ALL] * 3
        assert {digest for tags in found for digest in tags.values()} == {report["digests"][image]}

    sizes = log_sizes()
    second = shop.checkout.call(*command)
    assert second.returncode == 0, second.stderr
    assert {row["result"] for row in json.loads(second.stdout)["rows"]} == {"already there"}
    assert writes(sizes, shop) == []

    with engine_log.open("rb") as log:
        log.seek(before)
        said = log.read()
    printed = "".join((first.stdout, first.stderr, second.stdout, second.stderr)).encode()
    for secret in secret_texts():
        assert secret not in printed
        assert secret not in said
        assert [place for place, data in stored_blobs(shop) if secret in data] == []


async def test_a_dry_run_writes_nothing(shop: Shop) -> None:
    """It tells what would be done; neither tags nor parts of an upload are left."""
    sizes = log_sizes()
    outcome = await shop.publish(dry_run=True)
    assert outcome.results() == {"to push", "to attach"}
    assert writes(sizes, shop) == []


async def test_an_older_release_moves_nothing(shop: Shop) -> None:
    """2026.1.9 after 2026.2.0 gets its own tags, its series' tag, and leaves latest; so does 2026.2.0 again."""
    await shop.publish("v2026.2.0")
    newest = digest_of(shop.repositories[0], "latest")
    write_tiny(shop.checkout, "older")
    outcome = await shop.publish("v2026.1.9", commit="1" * 40)
    assert (outcome.results("2026.1.9"), outcome.results("2026.1"), outcome.results("latest")) == (
        {"pushed"},
        {"pushed"},
        {"left"},
    )
    assert {tags["latest"] for tags in shop.standing()} == {newest}
    assert {tags["2026.1"] for tags in shop.standing()} != {newest}
    write_tiny(shop.checkout)
    assert (await shop.publish("v2026.2.0")).results() == {"already there"}


async def test_a_published_version_is_never_another_image(shop: Shop) -> None:
    """Each place is named where it stands, and nothing is pushed anywhere."""
    await shop.publish()
    before = shop.standing()
    write_tiny(shop.checkout, "other")
    outcome = await shop.publish()
    assert outcome.failure.startswith("nothing was pushed, because a published tag is never given to another image: ")
    assert all(f"{repository}:2026.2.0 is sha256:" in outcome.failure for repository in shop.repositories)
    assert shop.standing() == before


async def test_an_image_whose_probes_fail_is_not_pushed(shop: Shop) -> None:
    """The registries hear nothing of it but the question whether one may push."""
    write_tiny(shop.checkout, "")
    with pytest.raises(PipelineError, match="1 of 1 probes failed"):
        await shop.publish()
    assert shop.standing() == [{}, {}, {}]


async def test_wrong_and_missing_credentials_are_found_before_the_build(shop: Shop) -> None:
    """All registries that do not accept them are named at once; nothing is built, and the passwords are not told."""
    shop.checkout.write("tiny/Dockerfile", "this is not built\n")
    shop.logins = dict.fromkeys(("ghcr.io", "docker.io"), ("sandbox", "wrong-password"))
    with pytest.raises(PipelineError, match="logging in failed") as caught:
        await shop.publish()
    said = caught.value.message
    assert [name for name in shop.repositories if name in said] == shop.repositories[:2]
    assert "wrong-password" not in said
    refused = shop.checkout.refusal("publish", "--tag", "v2026.2.0")
    assert refused.count("there are no credentials for") == 3


async def test_the_client_s_own_credentials_are_enough(shop: Shop) -> None:
    """What `docker login` wrote is read; a helper that only the client's machine has is told."""
    config = shop.checkout.path / "config.json"
    config.write_text('{"auths": {"ghcr.io": {}}, "credsStore": "desktop"}')
    refused = shop.checkout.refusal("publish", "--tag", "v2026.2.0", "--docker-config", f"file:{config}")
    assert "leaves the credentials of ghcr.io to the helper 'desktop', which cannot run in the engine" in refused
    ended = shop.checkout.call(
        "publish", "--tag", "v2026.2.0", "--dry-run", "--docker-config", f"file:{docker_config()}"
    )
    assert ended.returncode == 0, ended.stderr


async def test_two_runs_at_once_do_no_harm(tmp_path: Path) -> None:
    """The same version twice, and an older and a newer one: both succeed, and the newer one has the floating tags."""
    older = open_shop(tmp_path / "older", name=f"test-{secrets.token_hex(4)}")
    newer = open_shop(tmp_path / "newer", name=older.registries[0].partition("/")[2])
    write_tiny(newer.checkout, "newer")
    command = ["--docker-config", f"file:{docker_config()}", "--image", "tiny", "--format", "JSON"]
    calls = [
        asyncio.to_thread(shop.checkout.call, "publish", "--tag", tag, "--commit", commit, *command)
        for shop, tag, commit in (
            (older, "v2026.2.0", "0" * 40),
            (older, "v2026.2.0", "0" * 40),
            (newer, "v2026.2.1", "1" * 40),
        )
    ]
    ended = await asyncio.gather(*calls)
    assert [call.returncode for call in ended] == [0, 0, 0], [call.stderr[-2000:] for call in ended]
    for tags in newer.standing():
        assert set(tags) == {"2026.2.0", "2026.2.1", "sha-0000000", "sha-1111111", "2026.2", "latest"}
        assert tags["latest"] == tags["2026.2"] == tags["2026.2.1"] != tags["2026.2.0"]


async def test_the_digest_is_that_of_the_image_alone(shop: Shop) -> None:
    """Made again at another time of day, with no answer of the engine's to make it from, an image is the same."""
    digests = []
    for number in range(2):
        async with a_session():
            # An argument that nothing reads: the engine knows no step that was run with it.
            way = dagger.BuildArg("WAY", f"{number} {secrets.token_hex(4)}")
            container = dag.host().directory(str(shop.checkout.path / "tiny")).docker_build(build_args=[way])
            container = container.with_annotation("org.opencontainers.image.title", "tiny")
            made = await make_artifact(Settings().fetch_base, [Image.of("tiny", container)], None)
            index = json.loads(await made.layout.file("index.json").contents())
            manifest = json.loads(await made.layout.file(f"blobs/{made.digest.replace(':', '/')}").contents())
        digests.append(made.digest)
        assert index["manifests"][0]["digest"] == made.digest
        assert manifest["annotations"] == {"org.opencontainers.image.title": "tiny"}
    assert digests[0] == digests[1]
