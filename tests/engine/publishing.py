"""Publishing for tests: tiny images, repositories of their own, and a client that is not ours to look at them."""

import hashlib
import json
import secrets
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import pytest
from dagger import dag

from pipeline.checkout import Checkout as Images
from pipeline.errors import Code, PipelineError
from pipeline.output.formats import Format
from pipeline.registry.oci_layout import make_artifact
from tests.engine import network
from tests.engine.conftest import Checkout, a_session, answer, copy_module
from tests.sandbox.machine import Machine
from tests.sandbox.state import current

#: The registries of [tool.pipeline], as images are named there.
REGISTRIES: Final = ("ghcr.io", "docker.io", "hub.opensciencegrid.org")
#: One of each kind: the first one does not list what refers to an image, so that clients keep a tag for that.
BOTH_KINDS: Final = ("docker.io", "hub.opensciencegrid.org")
COMMIT: Final = "0123456789abcdef0123456789abcdef01234567"
FIXED: Final = ("2026.2.0", "sha-0123456")
MOVING: Final = ("2026.2", "latest")

#: The types of manifests and indexes.
MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)

SPEC: Final = """\
description = "A tiny image"
dockerfile = "Dockerfile"

[probes]
scripts = []

[[probes.commands]]
command = ["test", "-s", "/data"]

"""
#: Every file is readable for all users already, so no layer has to change modes. The folders that `RUN` touches get one
#: time: only an image of the same bytes can be finished when the engine does not remember how it was begun.
DOCKERFILE: Final = """\
FROM docker.io/library/debian:bookworm-slim
ARG WAY
RUN chmod a+r /etc/passwd- /etc/security/opasswd && touch -d @0 /etc/security /etc /
COPY data /data
"""


def write_tiny(checkout: Checkout, content: str = "data") -> None:
    """An image that is built in no time, of which another content makes another image."""
    checkout.write("tiny/image.toml", SPEC)
    checkout.write("tiny/Dockerfile", DOCKERFILE)
    checkout.write("tiny/data", content)


def docker_config() -> Path:
    """The file that `docker login` would have written for the registries."""
    return current().secrets / "auth.json"


def skopeo(*arguments: str) -> str:
    """The output of a client that is not ours about the registries; nothing where it fails."""
    command = Machine(current()).command(["skopeo", *arguments])
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def digest_of(repository: str, tag: str) -> str:
    """The digest of a tag; nothing where it is not there."""
    # Of what is no image, such as a SIF, skopeo gives the manifest and nothing else.
    manifest = skopeo("inspect", "--raw", f"docker://{repository}:{tag}")
    return f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}" if manifest else ""


def names_of(repository: str) -> set[str]:
    """The tags of images in a repository."""
    return set(tags_of(repository))


def tags_of(repository: str) -> dict[str, str]:
    """All tags of images in a repository, and their digests: by requests of the test, which are quicker than skopeo."""
    registry, _, name = repository.partition("/")
    digests = {}
    with network.connected(registry) as connection:
        connection.request("GET", f"/v2/{name}/tags/list")
        listed = connection.getresponse()
        found = json.loads(listed.read())
        assert listed.status in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}, found
        for tag in found.get("tags") or ():
            # Such a tag is a list of what is attached to an image.
            if not tag.startswith("sha256-"):
                connection.request("HEAD", f"/v2/{name}/manifests/{tag}", headers={"Accept": ", ".join(MANIFESTS)})
                answer = connection.getresponse()
                answer.read()
                digests[tag] = answer.headers["Docker-Content-Digest"]
    return digests


#: Failures of a publication itself, once its images are built: an outcome. All others are raised.
ENDS = {
    Code.PUBLISH_INCOMPLETE,
    Code.REGISTRY_UNREACHABLE,
    Code.REPOSITORY_INVALID,
    Code.SEVERAL_FAILURES,
    Code.TAG_TAKEN,
}


@dataclass
class Shop:
    """A test's own place to publish: a checkout, and repositories that no other test has."""

    checkout: Checkout
    registries: tuple[str, ...]
    logins: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Other user names and passwords than those of the sandbox, by host."""
    named: bool = False
    """Name the registries as a person does, instead of leaving it to the checkout."""

    @property
    def repositories(self) -> list[str]:
        """The repositories of the tiny image."""
        return [f"{registry}/tiny" for registry in self.registries]

    def standing(self) -> list[dict[str, str]]:
        """All tags of all repositories, in their order."""
        return [tags_of(repository) for repository in self.repositories]

    async def publish(self, tag: str = "v2026.2.0", **options: Any) -> "Outcome":  # noqa: ANN401  # the other one's
        """Publish in a session of its own, as each call of a person's has one."""
        async with a_session():
            return await self.publish_in_session(tag, **options)

    async def publish_in_session(
        self,
        tag: str = "v2026.2.0",
        *,
        image: str | None = "tiny",
        commit: str = COMMIT,
        typed: Mapping[str, str] | None = None,
        **options: object,
    ) -> "Outcome":
        """Publish in the session that is open: what fails before anything is published is raised.

        Args:
            tag: the ref that is published.
            image: the image; None for all of them.
            commit: the commit that is published.
            typed: secrets by their option, as a person types them: ``env:NAME``, ``file:PATH`` or ``cmd:COMMAND``.
            options: the function's own.
        """
        # The CLI makes URIs of them, too.
        named = {option: dag.secret(word.replace(":", "://", 1)) for option, word in (typed or {}).items()}
        config = dag.set_secret(f"docker-{secrets.token_hex(4)}", self._docker_config())
        try:
            report = await answer(
                self.checkout,
                "publish",
                None,
                tag=tag,
                image=image,
                registries=self.registries if self.named else None,
                commit=commit,
                format=Format.JSON,
                **{"docker_config": config, **named, **options},
            )
        except PipelineError as error:
            if error.code not in ENDS:
                raise
            sentence, _, report = error.message.partition("\n")
            return Outcome(json.loads(report)["rows"] if report else [], sentence)
        found = json.loads(report)
        return Outcome(found["rows"], digests=found["digests"], notes=found["notes"])

    async def refusal(self, **options: Any) -> PipelineError:  # noqa: ANN401  # of `publish`
        """The error that publishing fails with before anything is published."""
        with pytest.raises(PipelineError) as caught:
            await self.publish(**options)
        return caught.value

    async def digest_built(self) -> str:
        """The digest of the tiny image, made without publishing it."""
        async with a_session():
            images = await Images.open(dag.host().directory(str(self.checkout.path)))
            built = await images.image("tiny").build_all()
            return (await make_artifact(images.settings, list(built.values()), None)).digest

    def _docker_config(self) -> str:
        known: dict[str, dict[str, Any]] = json.loads(docker_config().read_text())
        for host in {registry.partition("/")[0] for registry in self.registries}:
            # By a port leads the way through a proxy.
            known["auths"].setdefault(host, known["auths"][host.partition(":")[0]])
        own = {host: {"username": user, "password": password} for host, (user, password) in self.logins.items()}
        return json.dumps({"auths": {**known["auths"], **own}})


@dataclass(frozen=True)
class Outcome:
    """The result of a publication."""

    rows: list[dict[str, Any]]
    failure: str = ""
    """The sentence that it failed with; nothing where it did not."""
    digests: dict[str, str] = field(default_factory=dict)
    """Of each image that was built, where it did not fail."""
    notes: list[str] = field(default_factory=list)

    def results(self, tag: str | None = None) -> set[str]:
        """The results, for one tag or all of them."""
        return {row["result"] for row in self.rows if tag in (None, row["tag"])}

    def of(self, repository: str) -> dict[str, str]:
        """The results in one repository, by tag."""
        return {row["tag"]: row["result"] for row in self.rows if row["repository"] == repository}

    def reason(self, repository: str) -> str:
        """The reason that something is missing in a repository."""
        return next(str(row["reason"]) for row in self.rows if row["repository"] == repository and row["reason"])


def open_shop(  # noqa: PLR0913  # each has a default
    folder: Path,
    *,
    hosts: Iterable[str] = REGISTRIES,
    name: str = "",
    timeout: float = 60,
    tries: int = 10,
    seconds: float = 60,
) -> Shop:
    """A checkout with the tiny image, and repositories below a path of their own."""
    copy_module(folder)
    checkout = Checkout(folder)
    write_tiny(checkout)
    registries = tuple(f"{host}/{name or 'test-' + secrets.token_hex(4)}" for host in hosts)
    checkout.set(registries=registries, registry_timeout=timeout, registry_tries=tries, registry_seconds=seconds)
    return Shop(checkout, registries)


def require_kept(shop: Shop, outcome: Outcome, *, failed: list[str]) -> None:
    """The registries that work hold the immutable tags, no tag has moved anywhere, and the sentence says what to do."""
    assert "run the same command again: it finishes what is missing" in outcome.failure
    digests = set()
    for repository in shop.repositories:
        tags = tags_of(repository)
        assert not set(tags) & set(MOVING), repository
        assert outcome.results("latest") == {"not moved"}
        if repository not in failed:
            assert set(tags) == set(FIXED), repository
            assert set(outcome.of(repository).values()) <= {"pushed", "already there", "not moved"}
            digests |= set(tags.values())
        else:
            assert f"{repository}:2026.2.0" in outcome.failure
    assert len(digests) == 1


async def require_finished(shop: Shop) -> None:
    """The same command again, with the faults gone, puts every tag where it belongs."""
    outcome = await shop.publish()
    assert outcome.failure == ""
    found = shop.standing()
    assert [set(tags) for tags in found] == [{*FIXED, *MOVING}] * len(found)
    assert len({digest for tags in found for digest in tags.values()}) == 1
