"""A layer of files is the same bytes whenever it is made, and holds these files and nothing of the making."""

import gzip
import hashlib
import json
import secrets
import subprocess
from pathlib import Path

import dagger
import pytest
from dagger import dag

from pipeline.build.image import Image
from pipeline.build.overlay import with_tree
from pipeline.checkout import Checkout as Images
from pipeline.config.settings import Settings
from pipeline.credentials.registry_auth import Login
from pipeline.errors import Code, PipelineError
from pipeline.registry.client import Destination, Registry
from pipeline.registry.oci_layout import make_artifact
from pipeline.scripts.folders import TIME
from tests.engine.conftest import Checkout, copy_module
from tests.engine.kinds import DEBIAN
from tests.engine.oci import Archive, Layout
from tests.sandbox import credentials
from tests.sandbox.machine import Machine
from tests.sandbox.state import current

#: All settings that are Docker's alone, and one that is not.
DOCKERFILE = f"""
FROM {DEBIAN}
SHELL ["/bin/bash", "-c"]
HEALTHCHECK --interval=5s CMD test -e /ready
ONBUILD COPY . /app
CMD ["sleep", "9"]
"""
#: The first bytes of a member of gzip without a name and a time.
MEMBER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
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


async def test_a_layer_of_several_members_is_read_by_others(tmp_path: Path) -> None:
    """The engine, which is Go, and skopeo read to its end what two registries give; so does Python."""
    base = dag.container().from_(DEBIAN)
    large = base.with_exec(["sh", "-euc", "seq 9000000 > /large"])
    made = await make_artifact(Settings(), [Image.of("large", large)], None)
    layout = await Layout.of(made.layout, tmp_path / "layout")
    config = json.loads(layout.blob(layout.manifest()["config"]["digest"]))
    blob = layout.blob(layout.layers()[-1])
    assert blob.count(MEMBER) == 3
    assert f"sha256:{hashlib.sha256(gzip.decompress(blob)).hexdigest()}" == config["rootfs"]["diff_ids"][-1]
    repository = f"maniaclab/members-{secrets.token_hex(4)}"
    for host, known in credentials.ensure(current().secrets).items():
        if host not in {"ghcr.io", "hub.opensciencegrid.org"}:
            continue
        name = f"{host}/{repository}"
        to = Destination(name, Login(known.user, dag.set_secret(f"members-{host}", known.password)))
        assert (await Registry(Settings()).push(to, made, ["1"], [])).failure is None
        pulled = dag.container().from_(f"{name}@{made.digest}").with_exec(["sha256sum", "/large"])
        assert await pulled.stdout() == await large.with_exec(["sha256sum", "/large"]).stdout()
        assert {digest.removeprefix("sha256:") for digest in config["rootfs"]["diff_ids"]} <= unpacked(name)


def unpacked(name: str) -> set[str]:
    """Digests of the layers that skopeo pulls and decompresses."""
    folder = f"/var/tmp/{secrets.token_hex(4)}"  # noqa: S108  # of the machine
    copy = f"skopeo copy --quiet --dest-decompress docker://{name}:1 dir:{folder}; sha256sum {folder}/*; rm -r {folder}"
    command = Machine(current()).command(["sh", "-euc", copy])
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


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
