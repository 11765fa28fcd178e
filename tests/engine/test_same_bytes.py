"""The same files give the same image, whoever builds it, where and when; a difference is reported with its cause."""

import json
import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import dagger
import pytest
import pytest_asyncio
from dagger import dag

from pipeline.build.image import Image
from pipeline.checkout import Checkout as Images
from pipeline.commands.verify import verify
from pipeline.config.image_toml import Compression
from pipeline.credentials.registry_auth import Login, RegistryAuth
from pipeline.errors import PipelineError
from pipeline.registry import oci_layout
from pipeline.registry.artifact import Artifact
from pipeline.registry.client import Destination, Registry
from pipeline.registry.oci_layout import make_artifact
from pipeline.scripts.folders import TIME
from tests.engine.conftest import Checkout
from tests.engine.oci import Archive, Layout
from tests.engine.publishing import skopeo
from tests.sandbox import credentials
from tests.sandbox.state import current

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("connection")]
CERTIFICATES: Final = "/etc/ssl/certs/ca-certificates.crt"
PREFIX: Final = "app/.pixi/envs/default"
#: Makes the files of this run differ from those of others: the engine shares its results for equal files, and
#: does not find it when the other session has ended meanwhile.
RUN: Final = secrets.token_hex(8)
GREETING: Final = 'description = "Small"\n[[files]]\nsource = "greeting"\npath = "/usr/local/share/greeting"\n'


@dataclass(frozen=True)
class Built:
    """An image that was built from a folder."""

    images: Images
    image: Image
    artifact: Artifact

    @property
    def container(self) -> dagger.Container:
        """The image to test."""
        return self.image.container


def write_small(folder: Path, seconds: int, greeting: str = "hello\n", compression: Compression = "gzip") -> Path:
    """Write a checkout with an image of Python and a file."""
    (folder / "small").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(f"[tool.pipeline]\ninstall_timeout = {seconds}\n")
    spec = f'compression = "{compression}"\n{GREETING}'
    for name, text in {"image.toml": spec, "greeting": greeting}.items():
        (folder / "small" / name).write_text(text)
    Checkout(folder).add_environment(end=f"# {RUN}\n")
    return folder


async def build(folder: Path, seconds: int, greeting: str = "hello\n", compression: Compression = "gzip") -> Built:
    """Build an image of Python and a file.

    The seconds that pixi gets are an argument of the command that installs, and say nothing of the image. With others,
    the engine has no answer for the command, and so none for anything that follows: all of it is done again.
    """
    write_small(folder, seconds, greeting, compression)
    images = await Images.open(dag.host().directory(str(folder)))
    image = await images.image("small").build()
    made = await make_artifact(images.settings, [image], None, images.image("small").spec.compression)
    return Built(images, image, made)


async def compressed(built: Built, compression: Compression) -> Artifact:
    """The same image with other compression."""
    return await make_artifact(built.images.settings, [built.image], None, compression)


def base_layers(built: Built) -> list[str]:
    """The digests of the base image's layers in its registry."""
    manifest = json.loads(skopeo("inspect", "--raw", f"docker://{built.image.base}"))
    return [layer["digest"] for layer in manifest["layers"]]


def number() -> int:
    """Seconds that no build was given before."""
    return 3600 + secrets.randbelow(80_000)


@pytest_asyncio.fixture(scope="module")
async def built(
    connection: None,  # noqa: ARG001  # the session that it is built in
    tmp_path_factory: pytest.TempPathFactory,
) -> Built:
    """The image, to look at."""
    return await build(tmp_path_factory.mktemp("checkout"), 3600)


@pytest_asyncio.fixture(scope="module")
async def layout(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """The layout that would be pushed."""
    return await Layout.of(built.artifact.layout, tmp_path_factory.mktemp("layout"))


async def test_two_builds_are_one_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built in two folders, with all that was cached of the first build of no use to the second: one digest.

    So it is with either compression, of which an installed environment knows nothing.
    """
    first = await build(tmp_path / "first", number())
    zstd = await compressed(first, "zstd")
    # Nor is a layer taken that was compressed before.
    monkeypatch.setattr(oci_layout, "VOLUME", f"layers-{secrets.token_hex(4)}")
    second = await build(tmp_path / "second", number())
    assert await first.container.id() != await second.container.id()
    assert first.artifact.digest == second.artifact.digest
    assert zstd.digest == (await compressed(second, "zstd")).digest
    for compression, artifact in (("gzip", first.artifact), ("zstd", zstd)):
        made = await Layout.of(artifact.layout, tmp_path / compression)
        types = [layer["mediaType"].rpartition("+")[2] for layer in made.manifest()["layers"]]
        below = len(base_layers(first))
        assert (set(types[:below]), set(types[below:])) == ({"gzip"}, {compression})


async def test_layers_of_the_base_image_are_those_of_its_registry(
    built: Built, layout: Layout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An engine that compresses all layers in its own way makes the same image, and the registry is asked for one."""
    theirs = base_layers(built)
    assert [layer["digest"] for layer in layout.manifest()["layers"]][: len(theirs)] == theirs
    as_tarball = dagger.Container.as_tarball

    def other(container: dagger.Container) -> dagger.File:
        return as_tarball(container, forced_compression=dagger.ImageLayerCompression.Zstd)

    monkeypatch.setattr(dagger.Container, "as_tarball", other)
    assert (await compressed(built, "gzip")).digest == built.artifact.digest
    assert f"this engine has compressed {len(theirs)} layers of {built.image.base}" in capsys.readouterr().out


async def test_layers_say_nothing_of_the_time(built: Built, layout: Layout, tmp_path: Path) -> None:
    """Whatever the build put into the image has one time: files, links, and the folders above them."""
    base = await Archive.export(dag.container().from_(built.images.settings.base), tmp_path / "base.tar")
    added = range(len(base.layers()), len(layout.layers()))
    members = [member for layer in added for member in layout.members(layer).values()]
    # Whatever they are: ZIP archives cannot hold an earlier time, and Ray and Metaflow make such of a user's files.
    added_by_us = [member for member in members if not member.isdir() or member.name.startswith("app")]
    assert {member.mtime for member in added_by_us} == {TIME}
    assert {(member.uid, member.gid) for member in members} == {(0, 0)}


async def test_what_is_pushed_is_what_was_tested(built: Built) -> None:
    """The container that probes run in and the image that is pushed have the same files: modes, owners, links, bytes.

    An environment is one layer of the one, and many of the other, which the engine reads back here.
    """
    tar = ["tar", "-cf", "/image.tar", "-C", "/layout", "."]
    packed = dag.container().from_(built.images.settings.fetch_base).with_directory("/layout", built.artifact.layout)
    pushed = dag.container().import_(packed.with_exec(tar).file("/image.tar"))
    tested, read_back = await listing(built.container), await listing(pushed)
    assert f"/{PREFIX}/bin/python3.12" in {line.rpartition(" ")[2] for line in tested}
    assert tested == read_back
    assert await built.container.entrypoint() == await pushed.entrypoint()


async def test_the_pixi_stage_leaves_nothing_but_the_environment(built: Built) -> None:
    """An image goes on from it: no cache, tool, manifest or empty folder of the installation is in what is run."""
    environment = built.image.environment
    assert environment
    before = dag.container().from_(built.images.settings.base).rootfs()
    added = await before.diff(environment.root).glob("**")
    assert f"{PREFIX}/bin/python3.12" in added
    assert {path for path in added if not path.startswith(f"{PREFIX}/")} == {"app/", "app/.pixi/", "app/.pixi/envs/"}


async def listing(container: dagger.Container) -> set[str]:
    """A line for each file, link and folder of a container, and another with its content for each file.

    While a container runs, the engine adds its own certificates to the container's, in an order of chance: what the
    image has is asked of the engine.
    """
    script = """
    find / -xdev -path /proc -prune -o -type f -printf '%m %U:%G %s %p\\n' -o -printf '%y %m %U:%G %l %p\\n'
    find / -xdev -path /proc -prune -o -type f ! -path "$0" -exec sha256sum {} +
    """
    # Asked again: they may be others by now.
    asked = container.with_user("root").with_env_variable("ASKED", secrets.token_hex(4))
    output = await asked.with_exec(["sh", "-euc", script, CERTIFICATES]).stdout()
    return {*output.splitlines(), await container.file(CERTIFICATES).contents()}


async def test_an_environment_is_layers_by_package(layout: Layout) -> None:
    """Python, which is large, is a layer of its own, with its record; files of no package are in the next one."""
    layers = [set(layout.members(number)) for number in range(len(layout.layers()))]
    (python,) = [files for files in layers if f"{PREFIX}/bin/python3.12" in files]
    assert any(path.startswith(f"{PREFIX}/conda-meta/python-3.12") for path in python)
    assert f"{PREFIX}/lib/python3.12/json/__pycache__/decoder.cpython-312.pyc" in python
    assert not {path for files in layers if files is not python for path in files if path.startswith(f"{PREFIX}/lib/")}


async def test_byte_code_is_used_although_its_source_has_another_time(built: Built) -> None:
    """Python takes the image's byte code: no module is compiled again at each start."""
    command = ["python", "-v", "-c", "import json.decoder"]
    output = await built.container.with_exec(command, use_entrypoint=True).stderr()
    assert f"# code object from '/{PREFIX}/lib/python3.12/json/__pycache__/decoder.cpython-312.pyc'" in output
    assert "wrote" not in output


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
async def test_verify_finds_the_published_image_and_what_differs_from_it(
    built: Built, tmp_path: Path, compression: Compression
) -> None:
    """The published image is found to be the same; with one file changed, the file is named, and what of it differs.

    Differences are found in layers of either compression; that there is none is a matter of digests, so one will do.
    """
    artifact = await compressed(built, compression)
    pair = credentials.ensure(current().secrets)["ghcr.io"]
    secret = dag.set_secret("same-bytes", pair.password)
    repository = f"ghcr.io/maniaclab/same-bytes-{secrets.token_hex(4)}"
    to = Destination(repository, Login(pair.user, secret))
    report = await Registry(built.images.settings).push(to, artifact, ["1"], [])
    assert report.failure is None
    auths = [RegistryAuth(address="ghcr.io", username=pair.user, secret=secret)]  # type: ignore[call-arg]  # as in main
    digest = artifact.digest

    if compression == "gzip":
        same = await verify(
            built.images, "small", digest, repository=repository, signer=None, auths=auths, docker_config=None
        )
        assert digest in same
        # As before formats had a number: nothing in it says which.
        before = await make_artifact(built.images.settings, [built.image], None, compression, layer_format=1)
        assert (await Registry(built.images.settings).push(to, before, ["0"], [])).failure is None
        same = await verify(
            built.images, "small", before.digest, repository=repository, signer=None, auths=auths, docker_config=None
        )
        assert before.digest in same
        assert before.digest != digest

    changed = await build(tmp_path / "changed", 3600, "goodbye\n", compression)
    with pytest.raises(PipelineError) as error:
        await verify(
            changed.images, "small", digest, repository=repository, signer=None, auths=auths, docker_config=None
        )
    rows = [line for line in error.value.message.splitlines() if "usr/local/share/greeting" in line]
    assert [row.split("│")[3].strip() for row in rows] == ["size", "content"]
    assert digest in error.value.message
    assert changed.artifact.digest in error.value.message


async def test_layers_that_cannot_be_made_are_told_in_a_sentence(built: Built) -> None:
    """Which image, what failed, and what to do; here its environment says that it has a file which is not there."""
    image = built.image
    assert image.environment
    lying = dag.file("layers.json", json.dumps({"4-rest": [f"no-such-file-{RUN}"]}))
    image = replace(image, environment=replace(image.environment, layers=lying))
    with pytest.raises(PipelineError) as error:
        await make_artifact(built.images.settings, [image], None)
    message = error.value.message
    assert message.startswith("small: its layers were not made: FileNotFoundError: ")
    assert message.endswith("; see that the engine has room on its disk, and run the same command again")
