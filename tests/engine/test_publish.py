"""Publishing as a person does it: to three registries with passwords, looked at with a client that is not ours."""

import asyncio
import json
import os
import secrets
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import dagger
import pytest
from dagger import dag
from dulwich import porcelain

from pipeline.build.image import Image
from pipeline.config.settings import Settings
from pipeline.errors import Code, PipelineError
from pipeline.registry.oci_layout import make_artifact
from tests.engine import traces
from tests.engine.conftest import a_session
from tests.engine.publishing import (
    BOTH_KINDS,
    COMMIT,
    FIXED,
    MOVING,
    SPEC,
    Shop,
    docker_config,
    open_shop,
    tags_of,
    write_tiny,
)
from tests.engine.traces import engine_log_size, log_sizes, writes
from tests.sandbox import credentials
from tests.sandbox.hosts import REGISTRIES as HOSTS
from tests.sandbox.state import current
from tests.unit.repository import TIME, Repository

pytestmark = pytest.mark.asyncio

ALL = {*FIXED, *MOVING}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Three repositories that nobody else has."""
    return open_shop(tmp_path)


def secret_texts() -> list[bytes]:
    """The passwords of the registries, as they are and as they are sent."""
    found = credentials.ensure(current().secrets).values()
    return [text.encode() for pair in found for text in (pair.password, pair.basic)]


@dataclass(frozen=True)
class Published:
    """A version that was published in a shell."""

    shop: Shop
    ended: subprocess.CompletedProcess[str]
    tags: dict[str, list[dict[str, str]]]
    """The tags that each image had then, in each registry."""
    engine_log: int
    """The length of the engine's log before."""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """2026.2.0 of an image of each kind, by the command of the README; tests write the content of ``tiny`` again."""
    shop = open_shop(tmp_path_factory.mktemp("published"))
    shop.checkout.write("small/image.toml", 'description = "A small image"\n')
    shop.checkout.add_environment()
    logins = [
        word
        for host in HOSTS
        for word in (
            *("with-registry-auth", "--address", host.name.replace("registry-1.", "")),
            *("--username", os.environ[host.user_variable], "--secret", f"env:{host.password_variable}"),
        )
    ]
    given = [f"--registries={registry}" for registry in shop.registries]
    command = [*logins, "publish", "--tag", "v2026.2.0", "--commit", COMMIT, "--format", "JSON", *given]
    before = engine_log_size()
    ended = shop.checkout.call("-vvv", *command)
    assert ended.returncode == 0, ended.stderr
    tags = {image: [tags_of(f"{registry}/{image}") for registry in shop.registries] for image in ("small", "tiny")}
    return Published(shop, ended, tags, before)


async def test_a_version_is_published_and_then_there_is_nothing_to_do(published: Published) -> None:
    """The command of the README, for images of both kinds: four tags in three registries, at one digest for each image.

    The same again writes nothing. No password is in what was printed, in the engine's log, in the report or in what
    the registries keep.
    """
    report = json.loads(published.ended.stdout)
    assert {row["result"] for row in report["rows"]} == {"pushed"}
    assert report["notes"] == []
    for image, found in published.tags.items():
        assert [set(tags) for tags in found] == [ALL] * 3
        assert {digest for tags in found for digest in tags.values()} == {report["digests"][image]}

    sizes = log_sizes()
    write_tiny(published.shop.checkout)
    again = await published.shop.publish(image=None)
    assert again.results() == {"already there"}
    assert again.digests == report["digests"]
    assert writes(sizes, published.shop) == []

    printed = published.ended.stdout + published.ended.stderr
    assert traces.found(secret_texts(), published.shop, printed, published.engine_log) == []


async def test_a_dry_run_writes_nothing(shop: Shop) -> None:
    """The file of `docker login` is enough to list the changes; neither tags nor parts of an upload are left."""
    sizes = log_sizes()
    outcome = await shop.publish(dry_run=True, typed={"docker_config": f"file:{docker_config()}"})
    assert outcome.results() == {"to push", "to attach"}
    assert writes(sizes, shop) == []


async def test_an_older_release_moves_nothing(published: Published) -> None:
    """2026.1.9 after 2026.2.0 gets its own tags, its series' tag, and leaves latest; so does 2026.2.0 again."""
    # In one registry of each kind, as whether a tag may move is asked of each.
    shop = replace(published.shop, registries=published.shop.registries[1:], named=True)
    newest = published.tags["tiny"][0]["latest"]
    write_tiny(shop.checkout, "older")
    outcome = await shop.publish("v2026.1.9", commit="1" * 40)
    assert (outcome.results("2026.1.9"), outcome.results("2026.1"), outcome.results("latest")) == (
        {"pushed"},
        {"pushed"},
        {"left"},
    )
    found = shop.standing()
    assert {tags["latest"] for tags in found} == {newest}
    assert {tags["2026.1"] for tags in found} == {outcome.digests["tiny"]} != {newest}
    write_tiny(shop.checkout)
    assert (await shop.publish("v2026.2.0")).results() == {"already there"}


async def test_latest_follows_history(tmp_path: Path) -> None:
    """A commit that is dated next year gets latest, and its child, of this year, takes it; the old one leaves it.

    One of the two repositories is private, and is noted.
    """
    shop = open_shop(tmp_path / "checkout", hosts=["docker.io"])
    private = shop.repositories[0].replace("docker.io", "ghcr.io").replace("/tiny", "/private-tiny")
    shop.checkout.write("tiny/image.toml", f'repositories = ["{shop.repositories[0]}", "{private}"]\n{SPEC}')
    repository = Repository(tmp_path / "checkout")
    first = repository.commit("Next year", TIME + 365 * 24 * 3600)
    assert (await shop.publish("main", commit=first)).results("latest") == {"pushed"}
    shop.checkout.write("tiny/data", "newer")
    second = repository.commit("This year")
    newer = await shop.publish("main", commit=second)
    assert newer.results("latest") == {"pushed"}
    (note,) = newer.notes
    assert note.startswith(f"{private} is private: nobody can pull it without a login (it answered 401 (Unauthorized) ")
    porcelain.reset(repository.path, "hard", first)
    older = await shop.publish("main", commit=first)
    assert (older.results(f"sha-{first[:7]}"), older.results("latest")) == ({"already there"}, {"left"})
    assert f"it is of commit {second[:7]}, which comes after this one" in older.reason(shop.repositories[0])
    assert shop.standing()[0]["latest"] == newer.digests["tiny"]


async def test_a_published_version_is_never_another_image(published: Published) -> None:
    """Each place is named where it stands, and nothing is pushed anywhere."""
    shop, sizes = published.shop, log_sizes()
    write_tiny(shop.checkout, "other")
    outcome = await shop.publish()
    assert outcome.failure.startswith("nothing was pushed, because a published tag is never given to another image: ")
    assert all(f"{repository}:2026.2.0 is sha256:" in outcome.failure for repository in shop.repositories)
    # The permission to push is found out by beginning an upload.
    assert [line for line in writes(sizes, shop) if '"PUT ' in line] == []


async def test_an_image_whose_probes_fail_is_not_pushed(shop: Shop) -> None:
    """The registries hear nothing of it but the question whether one may push."""
    write_tiny(shop.checkout, "")
    with pytest.raises(PipelineError, match="1 of 1 probes failed"):
        await shop.publish()
    assert shop.standing() == [{}, {}, {}]


async def test_wrong_and_missing_credentials_are_found_before_the_build(shop: Shop) -> None:
    """All registries that do not accept them are named at once; nothing is built, and the passwords are not printed."""
    shop.checkout.write("tiny/Dockerfile", "this is not built\n")
    shop.logins = dict.fromkeys(("ghcr.io", "docker.io"), ("sandbox", "wrong-password"))
    refused = await shop.refusal()
    assert refused.code is Code.REGISTRY_DENIED
    assert "logging in failed" in refused.message
    assert [name for name in shop.repositories if name in refused.message] == shop.repositories[:2]
    assert "wrong-password" not in refused.message
    missing = await shop.refusal(docker_config=None)
    assert missing.code is Code.CREDENTIALS_MISSING
    assert missing.message.count("there are no credentials for") == 3


async def test_a_helper_that_only_the_client_s_machine_has_is_told(shop: Shop) -> None:
    """Docker's file has no password then, and says what does."""
    config = shop.checkout.path / "config.json"
    config.write_text('{"auths": {"ghcr.io": {}}, "credsStore": "desktop"}')
    refused = await shop.refusal(typed={"docker_config": f"file:{config}"})
    assert refused.code is Code.CREDENTIALS_MISSING
    reason = "leaves the credentials of ghcr.io to the helper 'desktop', which cannot run in the engine"
    assert reason in refused.message


async def test_two_runs_at_once_do_no_harm(tmp_path: Path) -> None:
    """The same version twice, and an older and a newer one: both succeed, and the newer one has the floating tags."""
    older = open_shop(tmp_path / "older", hosts=BOTH_KINDS, name=f"test-{secrets.token_hex(4)}")
    newer = open_shop(tmp_path / "newer", hosts=BOTH_KINDS, name=older.registries[0].partition("/")[2])
    write_tiny(newer.checkout, "newer")
    async with a_session():
        outcomes = await asyncio.gather(
            older.publish_in_session("v2026.2.0", commit="0" * 40),
            older.publish_in_session("v2026.2.0", commit="0" * 40),
            newer.publish_in_session("v2026.2.1", commit="1" * 40),
        )
    assert [outcome.failure for outcome in outcomes] == [""] * 3
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
            made = await make_artifact(Settings(), [Image.of("tiny", container)], None)
            index = json.loads(await made.layout.file("index.json").contents())
            manifest = json.loads(await made.layout.file(f"blobs/{made.digest.replace(':', '/')}").contents())
        digests.append(made.digest)
        assert index["manifests"][0]["digest"] == made.digest
        assert manifest["annotations"] == {"org.opencontainers.image.title": "tiny"}
    assert digests[0] == digests[1]
