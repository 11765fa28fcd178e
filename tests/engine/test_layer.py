"""A layer of files is the same bytes whenever it is made, and holds these files and nothing of the making."""

import json
from pathlib import Path

import dagger
import pytest
from dagger import dag

from pipeline.build.image import Image
from pipeline.build.overlay import with_tree
from pipeline.checkout import Checkout as Images
from pipeline.config.settings import Settings
from pipeline.errors import Code, PipelineError
from pipeline.registry.oci_layout import make_artifact
from pipeline.scripts.folders import TIME
from tests.engine.conftest import Checkout, copy_module
from tests.engine.kinds import DEBIAN
from tests.engine.oci import Archive, Layout

#: All settings that are Docker's alone, and one that is not.
DOCKERFILE = f"""
FROM {DEBIAN}
SHELL ["/bin/bash", "-c"]
HEALTHCHECK --interval=5s CMD test -e /ready
ONBUILD COPY . /app
CMD ["sleep", "9"]
"""
pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("connection")]


def files(time: int) -> dagger.Directory:
    """Files of a certain time, of which one goes through a link of the base image (/lib) and one is a link itself."""
    script = "mkdir -p /t/lib/made/below /t/tmp /t/etc && cd /t && echo a > lib/made/below/a && echo b > etc/hostname"
    links = "ln -s below/a lib/made/link && touch tmp/.hidden && mkdir -m 1777 lib/made/all"
    times = f"find /t | xargs touch -h -d @{time}"
    made = dag.container().from_(Settings().fetch_base).with_exec(["sh", "-euc", f"{script}; {links}; {times}"])
    return made.directory("/t")


async def test_a_layer_is_the_same_bytes_at_another_time(tmp_path: Path) -> None:
    """Files of other times, put over the image at another time, are the same layer; it holds them and nothing else."""
    base, tools = (dag.container().from_(address) for address in (Settings().base, Settings().fetch_base))
    # The variable is what keeps the engine from answering the second copying with the first.
    first, second = [
        await Archive.export(
            with_tree(base, files(time), tools.with_env_variable("COPYING", str(time))), tmp_path / f"{time}.tar"
        )
        for time in (1_000_000_000, 1_700_000_000)
    ]
    assert await with_tree(base, files(0), tools).directory("/").entries() == await base.directory("/").entries()
    assert first.layers() == second.layers()
    members = first.members(-1)
    assert {name for name, member in members.items() if not member.isdir()} == {
        "etc/hostname", "etc/ld.so.cache", "tmp/.hidden", "usr/lib/made/below/a", "usr/lib/made/link",
    }  # fmt: skip
    assert {member.mtime for name, member in members.items() if name != "usr"} == {TIME}
    assert members["tmp"].mode == 0o1777
    assert members["usr/lib/made/all"].mode == 0o1777
    assert {(member.uid, member.gid) for member in members.values()} == {(0, 0)}


async def test_more_layers_than_a_runtime_can_stack_are_refused() -> None:
    """A Dockerfile of 130 steps makes an image that could be pushed and not be started."""
    steps = "FROM scratch\n" + "COPY Dockerfile /\n" * 130
    container = dag.directory().with_new_file("Dockerfile", steps).docker_build()
    with pytest.raises(
        PipelineError, match="deep: its image has 130 layers, and Docker can stack no more than 125"
    ) as raised:
        await make_artifact(Settings(), [Image.of("deep", container)], None)
    assert raised.value.code is Code.LAYERS_TOO_MANY


async def test_a_health_check_is_in_what_is_pushed(tmp_path: Path) -> None:
    """With the other settings that are Docker's alone, beside those that the engine keeps."""
    checkout = Checkout(tmp_path / "checkout")
    copy_module(checkout.path, ["pyproject.toml"])
    checkout.write("small/Dockerfile", DOCKERFILE)
    checkout.write("small/image.toml", 'description = "x"\ndockerfile = "Dockerfile"\n')
    images = await Images.open(dag.host().directory(str(checkout.path)))
    made = await make_artifact(images.settings, [await images.image("small").build()], None)
    layout = await Layout.of(made.layout, tmp_path / "layout")
    config = json.loads(layout.blob(layout.manifest()["config"]["digest"]))["config"]
    assert config["Healthcheck"] == {"Test": ["CMD-SHELL", "test -e /ready"], "Interval": 5_000_000_000}
    assert (config["Shell"], config["OnBuild"]) == (["/bin/bash", "-c"], ["COPY . /app"])
    assert config["Cmd"] == ["sleep", "9"]
