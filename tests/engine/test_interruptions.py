"""Publishing is interrupted at any moment, and the same command completes it: the longest test, in its own file."""

import os
import random
import secrets
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.engine.conftest import PATIENCE, ROOT
from tests.engine.publishing import COMMIT, FIXED, MOVING, REGISTRIES, Shop, docker_config, open_shop

pytestmark = pytest.mark.asyncio

ALL = {*FIXED, *MOVING}
#: How often a publication is interrupted.
INTERRUPTIONS = 10


async def test_interrupted_runs_are_finished_by_the_next_one(tmp_path: Path, chance: random.Random) -> None:
    """Ctrl-C at ten moments of chance ends the command, and no tag moved before all registries had the image.

    The same command again completes it each time.
    """
    shop = open_shop(tmp_path)
    shop.named = True
    lasted = 12.0
    for _ in range(INTERRUPTIONS):
        shop.registries = tuple(f"{host}/test-{secrets.token_hex(4)}" for host in REGISTRIES)
        given = [f"--registries={registry}" for registry in shop.registries]
        moment = chance.uniform(0, lasted)
        print(f"interrupted after {moment:.1f} s")  # noqa: T201  # pytest shows it with a failure
        interrupt(shop, given, moment)
        for tags in shop.standing():
            if set(tags) & set(MOVING):
                assert all(set(FIXED) <= set(others) for others in shop.standing()), tags
        started = time.monotonic()
        outcome = await shop.publish()
        lasted = min(lasted, time.monotonic() - started)
        assert outcome.failure == ""
        found = shop.standing()
        assert [set(tags) for tags in found] == [ALL] * 3
        assert len({digest for tags in found for digest in tags.values()}) == 1


def interrupt(shop: Shop, given: list[str], moment: float) -> None:
    """Start publishing, press Ctrl-C so many seconds after the function was called, and wait for the end."""
    login = ["--docker-config", f"file:{docker_config()}"]
    publish = ["publish", "--tag", "v2026.2.0", "--commit", COMMIT, "--image", "tiny", *login, *given]
    command = [str(ROOT / "dev"), "dagger", "--progress=plain", "call", *publish]
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
