"""Publishing is interrupted at any moment, and the same command completes it: the longest test, in its own file."""

import asyncio
import contextlib
import os
import random
import secrets
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.engine.conftest import PATIENCE, a_session
from tests.engine.publishing import BOTH_KINDS, COMMIT, FIXED, MOVING, SPEC, Shop, docker_config, names_of, open_shop

pytestmark = pytest.mark.asyncio

#: The tags of the image, and those of its SIF.
PUSHED, MOVED = ({name for tag in tags for name in (tag, f"{tag}-sif")} for tags in (FIXED, MOVING))
#: Number of interruptions of a publication by Ctrl-C, and by the end of its session with the engine, which follows from
#: Ctrl-C and takes the containers away that write to the registries.
INTERRUPTED, ENDED = 3, 7


async def test_interrupted_runs_are_finished_by_the_next_one(tmp_path: Path, chance: random.Random) -> None:
    """At ten moments of chance a publication ends, and no tag moved before all registries had the image and its SIF.

    Ctrl-C ends the command at three of them, and the session ends at the others. The same command again completes it
    each time.
    """
    shop = open_shop(tmp_path)
    shop.named = True
    shop.checkout.write("tiny/image.toml", f"sif = true\n{SPEC}")
    lasted = 12.0
    for number in range(INTERRUPTED + ENDED):
        shop.registries = tuple(f"{host}/test-{secrets.token_hex(4)}" for host in BOTH_KINDS)
        moment = chance.uniform(0, lasted)
        print(f"interrupted after {moment:.1f} s")  # noqa: T201  # pytest shows it with a failure
        if number < INTERRUPTED:
            interrupt(shop, moment)
        else:
            await end(shop, moment)
        found = [names_of(repository) for repository in shop.repositories]
        if any(names & MOVED for names in found):
            assert all(names >= PUSHED for names in found)
        started = time.monotonic()
        outcome = await shop.publish()
        lasted = min(lasted, time.monotonic() - started)
        assert outcome.failure == ""
        standing = shop.standing()
        assert [set(tags) for tags in standing] == [PUSHED | MOVED] * 2
        image, sif = (
            {tags[name] for tags in standing for name in tags if name.endswith("-sif") is is_sif}
            for is_sif in (False, True)
        )
        assert (len(image), len(sif), image & sif) == (1, 1, set())


async def end(shop: Shop, moment: float) -> None:
    """Start publishing, and end the session so many seconds later."""
    async with a_session():
        publication = asyncio.create_task(shop.publish_in_session())
        await asyncio.wait([publication], timeout=moment)
        publication.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await publication


def interrupt(shop: Shop, moment: float) -> None:
    """Start publishing, press Ctrl-C so many seconds after the function was called, and wait for the end."""
    given = [f"--registries={registry}" for registry in shop.registries]
    login = ["--docker-config", f"file:{docker_config()}"]
    publish = ["publish", "--tag", "v2026.2.0", "--commit", COMMIT, "--image", "tiny", *login, *given]
    command = ["dagger", "--progress=plain", "call", *publish]
    with subprocess.Popen(
        command,
        cwd=shop.checkout.path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "publish" in line and "Pipeline" in line:
                break
        time.sleep(moment)
        # A terminal sends it to all processes of the command.
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=PATIENCE)
