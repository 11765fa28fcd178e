"""Post-link scripts of conda's packages run where image.toml asks for it, and are otherwise named."""

import hashlib
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import dagger
import pytest
import pytest_asyncio
from dagger import dag

from pipeline.build.image import Image
from pipeline.checkout import Checkout as Images
from pipeline.commands.lock import relock
from pipeline.config.settings import Settings
from pipeline.errors import PipelineError
from pipeline.registry import oci_layout
from pipeline.registry.oci_layout import make_artifact
from pipeline.scripts.folders import TIME
from tests.engine.conftest import Checkout
from tests.engine.inside import ANYBODY, run
from tests.engine.oci import Layout
from tests.engine.test_lock import Channel
from tests.engine.test_same_bytes import listing, number
from tests.sandbox.channel import index, package
from tests.sandbox.channel.graphviz import FORMATS

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("connection")]
PREFIX: Final = "app/.pixi/envs/default"
SPEC: Final = 'description = "Draws graphs"\n'
MANIFEST: Final = """\
[project]
name = "drawing"
channels = ["conda-forge", "{channel}"]
platforms = ["linux-64"]

[dependencies]
{package} = "*"
"""
DRAW: Final = "echo 'digraph { this -> that }' | dot -Tsvg"
#: By name it comes before graphviz, whose list it needs; it leaves something behind wherever it can.
EAGER: Final = f"""\
#!/bin/bash
grep svg "$PREFIX/{FORMATS}" > "$PREFIX/share/eager/formats"
echo left > "$HOME/left"
echo left > /tmp/left
echo "Graphs can be drawn now." > "$PREFIX/.messages.txt"
"""
BROKEN: Final = "#!/bin/bash\necho trying\necho 'there is no plotter' >&2\nexit 3\n"


@pytest.fixture(scope="module")
def channel() -> Iterator[Channel]:
    """A channel with packages that have scripts: one needs what another's has made, one fails."""
    made = Channel(f"post-link-{time.time_ns():x}")
    for name, script in {"eager": EAGER, "broken": BROKEN}.items():
        files = {f"bin/.{name}-post-link.sh": script, f"share/{name}/README": name}
        package.write(made.folder, name, "1.0", "h_0", files, depends=["graphviz"], noarch="generic")
    index.refresh(made.folder)
    made.serve()
    yield made
    made.remove()


@pytest_asyncio.fixture(scope="module")
async def locked(channel: Channel, connection: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout for each of these packages with an image that has it, locked; in a folder of the package's name."""
    del connection
    made: Path = tmp_path_factory.mktemp("locked")
    for name in ("eager", "broken"):
        checkout = Checkout(made / name)
        checkout.write("drawing/image.toml", SPEC)
        checkout.write("drawing/pixi.toml", MANIFEST.format(channel=channel.name, package=name))
        images = await Images.open(dag.host().directory(str(checkout.path)))
        await (await relock(images, "drawing", [], check=False)).export(str(checkout.path))
    return made


async def build(folder: Path, locked: Path, *, wanted: bool, name: str = "eager", seconds: int = 3600) -> Image:
    """Build an image with a package; with other seconds, the engine has no answer from before."""
    shutil.copytree(locked / name, folder)
    (folder / "pyproject.toml").write_text(f"[tool.pipeline]\ninstall_timeout = {seconds}\n")
    (folder / "drawing/image.toml").write_text(SPEC + ("post_link_scripts = true\n" if wanted else ""))
    return await (await Images.open(dag.host().directory(str(folder)))).image("drawing").build()


async def test_a_build_names_scripts_that_did_not_run(
    tmp_path: Path, locked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody is surprised when a program of theirs does not work."""
    image = await build(tmp_path / "checkout", locked, wanted=False)
    assert (
        "drawing: the post-link scripts of eager, graphviz did not run; if the image needs what they make, set "
        "'post_link_scripts = true' in drawing/image.toml\n"
    ) in capsys.readouterr().out
    with pytest.raises(dagger.ExecError) as raised:
        await run(image.container, "sh", "-c", DRAW)
    assert "No formats found" in raised.value.stderr


async def test_scripts_run_where_they_are_asked_for(
    tmp_path: Path, locked: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of dependencies, for any user, as the same bytes twice; messages are printed, nothing is left."""
    first = await build(tmp_path / "first", locked, wanted=True)
    output = capsys.readouterr().out
    assert "drawing: message of eager: Graphs can be drawn now.\n" in output
    assert "did not run" not in output
    assert "<text>that</text>" in await run(first.container.with_user(ANYBODY), "sh", "-c", DRAW)
    assert await first.container.file(f"/{PREFIX}/share/eager/formats").contents() == "svg\n"
    assert not [line for line in await listing(first.container) if "/left" in line or ".messages.txt" in line]

    one = await make_artifact(Settings(), [first], None, "gzip")
    monkeypatch.setattr(oci_layout, "VOLUME", f"layers-{secrets.token_hex(4)}")
    second = await build(tmp_path / "second", locked, wanted=True, seconds=number())
    other = await make_artifact(Settings(), [second], None, "gzip")
    assert await first.container.id() != await second.container.id()
    assert one.digest == other.digest
    layout = await Layout.of(one.layout, tmp_path / "layout")
    member = layout.everything()[f"{PREFIX}/{FORMATS}"]
    assert (member.mtime, member.mode) == (TIME, 0o644)


async def test_damaged_packages_are_fetched_again(
    tmp_path: Path, locked: Path, channel: Channel, capsys: pytest.CaptureFixture[str]
) -> None:
    """An archive that is empty in the cache, as after a power cut, is replaced without a question."""
    await build(tmp_path / "first", locked, wanted=False, seconds=number())
    (made,) = channel.folder.glob("*/eager-*.conda")
    name = f"{hashlib.sha256(made.read_bytes()).hexdigest()}.conda"
    volume = dag.cache_volume("conda-archives-linux-64")
    damage = dag.container().from_(Settings().fetch_base).with_mounted_cache("/cache", volume)
    await run(damage.with_env_variable("NOW", str(number())), "sh", "-euc", f"test -s /cache/{name}; : > /cache/{name}")
    await build(tmp_path / "second", locked, wanted=False, seconds=number())
    assert "drawing: eager-1.0-h_0 is missing or damaged in the cache of packages; " in capsys.readouterr().out
    await run(damage.with_env_variable("NOW", str(number())), "test", "-s", f"/cache/{name}")


async def test_a_script_that_fails_is_one_sentence(tmp_path: Path, locked: Path) -> None:
    """It names the package and the last line, and there is no image without what the script should have made."""
    with pytest.raises(PipelineError) as raised:
        await build(tmp_path / "checkout", locked, wanted=True, name="broken")
    assert raised.value.message == (
        "drawing: the post-link script of broken failed (exit code 3): there is no plotter; give it what it needs, by "
        "another 'base' or package, or remove 'post_link_scripts' from drawing/image.toml"
    )
