"""A SIF file that the pipeline makes, beside the one that Apptainer itself makes of the published image."""

import asyncio
import json
from typing import Any, Final

import pytest

from tests.clients.site import Site
from tests.engine.conftest import a_session, answer
from tests.sandbox.clients import HOME

#: Lists what an image has: kind, mode, link, size of files, and path. Apptainer mounts its own over the others.
LIST: Final = """
find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /var/tmp -o -path /home \\) -prune \\
    -o -path /root -prune -o -type f -printf 'f %m %s %p\\n' -o -printf '%y %m %l %p\\n' | sort
"""
#: Paths of which Apptainer shows its own, or which say how and when a file was made.
OWN: Final = (
    *("/etc/passwd", "/etc/group", "/etc/hosts", "/etc/resolv.conf", "/etc/localtime"),
    *("/.singularity.d/Singularity", "/.singularity.d/labels.json"),
)


@pytest.fixture(scope="module")
def made(site: Site) -> str:
    """The path of the SIF file that the pipeline makes of the image ``tiny``."""

    async def make() -> None:
        async with a_session():
            file = await answer(site.shop.checkout, "sif", image="tiny")
            await file.export(str(site.clients.home / "made.sif"))

    asyncio.run(make())
    return f"{HOME}/made.sif"


def run(site: Site, action: str, file: str, *command: str) -> str:
    """The output of an action of Apptainer with a file, of which nothing of the host is seen."""
    return site.clients.run("apptainer", "--quiet", action, "--containall", "--cleanenv", file, *command)


def inspected(site: Site, file: str) -> dict[str, Any]:
    """The metadata of a file, without those that say how and when it was made."""
    known: dict[str, Any] = json.loads(site.clients.run("apptainer", "inspect", "--all", file))["data"]["attributes"]
    known.pop("deffile")
    for label in ("build-date", "usage.singularity.deffile.bootstrap", "usage.singularity.deffile.from"):
        known["labels"].pop(f"org.label-schema.{label}")
    return known


def test_it_has_what_apptainer_makes_of_the_image(site: Site, made: str) -> None:
    """The same paths, kinds, modes, links and sizes, of the image and of what Apptainer adds."""
    listings = []
    for file in (made, site.sif("tiny")):
        lines = run(site, "exec", file, "sh", "-euc", LIST).splitlines()
        listings.append([line for line in lines if not line.endswith(OWN)])
    assert any(line.endswith("/.singularity.d/env/91-environment.sh") for line in listings[0])
    assert listings[0] == listings[1]


def test_it_is_inspected_as_apptainers_own(site: Site, made: str) -> None:
    """Labels, variables, runscript and startscript are those of a file that Apptainer makes."""
    known = inspected(site, made)
    assert known == inspected(site, site.sif("tiny"))
    assert known["labels"]["org.opencontainers.image.title"] == "tiny"


@pytest.mark.parametrize(
    ("action", "command"),
    [("exec", ["env"]), ("run", []), ("run", ["sh", "-c", "echo a"]), ("test", [])],
    ids=["exec", "run", "run-arguments", "test"],
)
def test_it_runs_as_apptainers_own(site: Site, made: str, action: str, command: list[str]) -> None:
    """Whatever is asked for prints the same; the name of the file is all that differs."""
    printed = run(site, action, made, *command).replace("made.sif", "tiny.sif")
    assert printed == run(site, action, site.sif("tiny"), *command)


def test_an_instance_of_it_starts_and_stops(site: Site, made: str) -> None:
    """Commands run in it meanwhile."""
    script = """
    apptainer --quiet instance start "$1" made
    apptainer --quiet exec instance://made cat /data
    apptainer --quiet instance stop made
    """
    assert "data" in site.clients.run("sh", "-euc", script, "sh", made).split()
