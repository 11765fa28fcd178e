"""Tool images are locked by digest: a release is finished by the tools that began it, whatever became of their tags."""

import secrets
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.conftest import a_session, answer, apply, refused
from tests.engine.publishing import BOTH_KINDS, FIXED, MOVING, digest_of, docker_config, open_shop, skopeo

pytestmark = pytest.mark.asyncio

PYTHON = "docker.io/library/python:3.12-slim"
DEBIAN = "docker.io/library/debian:bookworm-slim"
#: Has neither Python nor the layers of the other two.
NOBLE = "ghcr.io/prefix-dev/pixi:noble"


def move(reference: str, other: str) -> str:
    """Let a tag be another image from now on; its digest."""
    copy = ["copy", "--all", "--preserve-digests", "--authfile", str(docker_config())]
    skopeo(*copy, f"docker://{other}", f"docker://{reference}")
    return digest_of(*reference.rsplit(":", 1))


async def test_a_release_is_finished_after_the_tags_of_a_tool_and_a_base_moved(tmp_path: Path) -> None:
    """Half of it was published before; now it is at one digest everywhere, and `verify` makes that digest again."""
    shop = open_shop(tmp_path, hosts=BOTH_KINDS)
    run = secrets.token_hex(4)
    tool, base = (f"ghcr.io/maniaclab/{name}-{run}:1" for name in ("tool", "base"))
    python, debian = move(tool, PYTHON), move(base, DEBIAN)
    dockerfile = shop.checkout.read("tiny/Dockerfile")
    shop.checkout.write("tiny/Dockerfile", dockerfile.replace(DEBIAN, f"{base}@{debian}"))
    shop.checkout.set(fetch_base=tool)
    async with a_session():
        await apply(shop.checkout, "lock")
    assert f'"{tool}" = "{python}"\n' in shop.checkout.read("tools.lock")
    half = replace(shop, registries=shop.registries[:1], named=True)
    assert (await half.publish()).failure == ""

    assert not {move(tool, NOBLE), move(base, NOBLE)} & {python, debian}
    outcome = await shop.publish()
    assert (outcome.failure, outcome.of(shop.repositories[0])[FIXED[0]]) == ("", "already there")
    standing = shop.standing()
    assert [set(tags) for tags in standing] == [{*FIXED, *MOVING}] * 2
    (digest,) = {digest for tags in standing for digest in tags.values()}
    async with a_session():
        assert "built here, it is the same bytes" in await answer(shop.checkout, "verify", image="tiny", digest=digest)


async def test_a_tool_that_is_not_locked_is_refused(tmp_path: Path) -> None:
    """Before anything starts, by the check of the lock too; to lock it again is the remedy."""
    shop = open_shop(tmp_path, hosts=BOTH_KINDS)
    shop.checkout.write("tools.lock", "[digests]\n")
    async with a_session():
        for sentence in (
            await refused(shop.checkout, "lock", check=True),
            await refused(shop.checkout, "build", image="tiny"),
        ):
            assert sentence.startswith(f"tools.lock does not fit: it lacks {PYTHON}, which is 'fetch_base' in images")
            assert sentence.endswith("run 'dagger call lock' and commit tools.lock")
        await apply(shop.checkout, "lock")
        await answer(shop.checkout, "lock", check=True)
