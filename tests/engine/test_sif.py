"""SIF files: the root file system of an image and Apptainer's own files, the same bytes at each build."""

import hashlib
import json
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import dagger
import pytest
from dagger import dag

from pipeline.build import sif
from pipeline.build.image import Environment, Image
from pipeline.config.settings import Settings
from tests.engine.conftest import Checkout, answer, copy_module, failure, refused

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("connection")]
MADE: Final = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
PREFIX: Final = "/app/envs/own"
#: A line of `unsquashfs -lln`: mode, owner, size, time, path.
LINE: Final = re.compile(r"(\S+) (\S+) +\d+ (\S+ \S+) (/.*)")


#: Makes the files of an image in /made.
FILES: Final = """
mkdir -p /made/app/envs/own/bin /made/app/envs/own/share /made/workspace
cd /made/app/envs/own
echo '#!/bin/sh' > bin/program
chmod 0755 bin/program
ln -s program bin/link
echo x > share/private
chmod 0640 share/private
echo 1 > '/made/workspace/a name'
chown -R 1000:100 /made/workspace
chmod 1777 /made/workspace
find /made -exec touch -h -d @315532800 {} +
"""


def tiny() -> Image:
    """An image of a few files, made in another way each time: folders above the environment have the time of now."""
    token = secrets.token_hex(4)
    made = dag.container().from_(Settings().fetch_base).with_exec(["sh", "-euc", FILES]).directory("/made")
    container = (
        dag.container()
        .with_directory("/", made)
        .with_new_file(f"/app/envs/{token}", token)
        .without_file(f"/app/envs/{token}")
        .with_env_variable("WORD", "one two")
        .with_label("org.opencontainers.image.title", "tiny")
        .with_entrypoint([f"{PREFIX}/bin/program"])
        .with_default_args(["a b"])
    )
    return Image("tiny", container, container, Environment(made, PREFIX, dag.file("layers", "{}")))


async def listed(file: dagger.File) -> dict[str, tuple[str, str, str]]:
    """Mode, owner and time of what is in a SIF file, by path, as the real programs read it."""
    script = """
    place=$(apptainer sif list /image.sif | sed -n 's/.*|\\([0-9]*\\)-[0-9]* *|FS (Squashfs.*System.amd64).*/\\1/p')
    unsquashfs -lln -d '' -o "$place" /image.sif
    """
    container = sif.apptainer(Settings()).with_mounted_file("/image.sif", file)
    output = await container.with_exec(["sh", "-euc", script]).stdout()
    found = [match.groups() for line in output.splitlines() if (match := LINE.fullmatch(line))]
    return {path: (mode, owner, time) for mode, owner, time, path in found}


async def test_two_builds_are_one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing of the first build at hand, the second one makes the same bytes: no clock, no chance."""
    made = []
    apptainer = sif.apptainer
    for number in range(2):
        again = secrets.token_hex(4)
        monkeypatch.setattr(sif, "apptainer", lambda settings, run=again: apptainer(settings).with_label("run", run))
        file = await sif.sif_file(Settings(), tiny(), MADE)
        made.append(await sif.apptainer(Settings()).with_mounted_file(f"/{number}", file).with_exec(
            ["sha256sum", f"/{number}"]
        ).stdout())  # fmt: skip
    assert made[0].split()[0] == made[1].split()[0]


async def test_a_file_has_the_image_and_what_apptainer_adds() -> None:
    """Owners, modes, links and times of the image; and beside them all that Apptainer's own build would add."""
    found = await listed(await sif.sif_file(Settings(), tiny(), MADE))
    assert found[f"{PREFIX}/bin/program"] == ("-rwxr-xr-x", "0/0", "1980-01-01 00:00")
    assert found[f"{PREFIX}/share/private"] == ("-rw-r-----", "0/0", "1980-01-01 00:00")
    assert found[f"{PREFIX}/bin/link -> program"][:2] == ("lrwxrwxrwx", "0/0")
    assert found["/workspace"] == ("drwxrwxrwt", "1000/100", "1980-01-01 00:00")
    assert found["/workspace/a name"] == ("-rw-r--r--", "1000/100", "1980-01-01 00:00")
    added = {path: entry for path, entry in found.items() if not path.startswith(("/app", "/workspace"))}
    assert {"/.run -> .singularity.d/actions/run", "/.singularity.d/libs", "/dev", "/proc", "/sys"} <= added.keys()
    assert added["/.singularity.d/actions/exec"] == ("-rwxr-xr-x", "0/0", "2026-02-03 04:05")
    assert {time for _, _, time in added.values()} == {"2026-02-03 04:05"}
    assert {found[path][2] for path in ("/app", "/app/envs")} == {"2026-02-03 04:05"}


async def test_apptainer_knows_labels_variables_and_what_to_run() -> None:
    """The real one reads them from the file without running anything."""
    file = await sif.sif_file(Settings(), tiny(), MADE)
    container = sif.apptainer(Settings()).with_mounted_file("/image.sif", file)
    output = await container.with_exec(["apptainer", "inspect", "--all", "/image.sif"]).stdout()
    known = json.loads(output)["data"]["attributes"]
    assert known["labels"]["org.opencontainers.image.title"] == "tiny"
    assert known["labels"]["org.label-schema.build-date"] == "Tuesday_3_February_2026_4:5:6_UTC"
    assert 'WORD="${WORD:-"one two"}"' in known["environment"]["/.singularity.d/env/10-docker2singularity.sh"]
    assert "/app/envs/own/bin/program" in known["runscript"]
    assert "a b" in known["runscript"]


async def test_a_file_is_exported_and_verified(tmp_path: Path) -> None:
    """As a person types it; anybody with the checkout finds it to be the same, and otherwise which file differs."""
    checkout = Checkout(tmp_path / "checkout")
    copy_module(checkout.path)
    checkout.write("plain/Dockerfile", "FROM docker.io/library/debian:bookworm-slim\n")
    greeting = '[[files]]\nsource = "greeting"\npath = "/usr/local/share/greeting"\n'
    checkout.write("plain/image.toml", f'description = "Plain"\ndockerfile = "Dockerfile"\n{greeting}')
    checkout.write("plain/greeting", f"hello {secrets.token_hex(4)}\n")
    file = tmp_path / "plain.sif"
    ended = checkout.call("sif", "--image", "plain", "export", "--path", str(file))
    assert ended.returncode == 0, ended.stderr
    digest = hashlib.sha256(file.read_bytes()).hexdigest()

    given = dag.host().file(str(file))
    assert digest in await answer(checkout, "verify", image="plain", sif=given)
    checkout.write("plain/greeting", "goodbye, all of you\n")
    message = (await failure(checkout, "verify", image="plain", sif=given)).message
    assert digest in message
    rows = [line for line in message.splitlines() if "/usr/local/share/greeting" in line]
    assert [row.split("│")[2].strip() for row in rows] == ["size"]


async def test_what_is_no_sif_file_is_refused(checkout: Checkout) -> None:
    """Before anything is built."""
    message = await refused(checkout, "verify", image="small", sif=dag.file("x.sif", "no image"))
    assert message.startswith("small: --sif is not a SIF file: ")
