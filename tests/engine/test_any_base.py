"""Images on bases of other distributions: without a shell, without programs, without glibc, with another database."""

import asyncio
import json
import secrets
from typing import Any, Final

import pytest
from dagger import dag

from pipeline.checkout import Checkout as Images
from pipeline.errors import Code
from pipeline.output.formats import ResultFormat
from pipeline.registry.oci_layout import make_artifact
from tests.engine.conftest import Checkout, answer, failure
from tests.engine.inside import ANYBODY
from tests.engine.kinds import PREFIX
from tests.engine.oci import Layout
from tests.sandbox import bases

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("connection")]

#: Probes that need no shell, one that needs one, and one that ends otherwise than it should.
PROBES: Final = """
[probes]
scripts = ["python"]
imports = ["ssl"]

[[probes.commands]]
command = ["python", "-c", "import os, sys; print(os.environ['CONDA_PREFIX']); sys.exit(3)"]
exit_code = 3
entrypoint = false

[[probes.commands]]
name = "wrong"
command = ["python", "-c", "import sys; sys.exit(4)"]

[[probes.commands]]
name = "shell"
command = ["sh", "-c", "true"]
entrypoint = false

[[probes.files]]
path = "/app/entrypoint.sh"
mode = "0755"
owner = "root"

[[probes.servers]]
command = ["python", "-m", "http.server", "8000", "--directory", "/app"]
port = 8000
path = "/pixi.lock"
"""
#: As Docker writes it into the configuration of an image; what runs in the build of an image on it comes last.
INHERITED: Final[dict[str, Any]] = {
    "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 7_000_000_000},
    "Shell": ["/bin/sh", "-uc"],
    "StopSignal": "SIGINT",
    "Volumes": {"/data": {}},
    "ExposedPorts": {"8888/tcp": {}},
    "Labels": {"maintainer": "them"},
    "User": "1000:1000",
    "WorkingDir": "/srv",
}
#: Puts a database of RPM into another format, in a folder of this layer: rpm renames it, and overlayfs lets it do so
#: only there.
NDB: Final = """\
RUN cp -a /var/lib/rpm /rpm && rm -r /var/lib/rpm && mv /rpm /var/lib/rpm \\
    && rpm --define '_db_backend ndb' --rebuilddb && test -e /var/lib/rpm/Packages.db
"""
TRIGGER: Final = {"OnBuild": ["RUN touch /tmp/triggered"]}


async def results(checkout: Checkout) -> dict[str, Any]:
    """The results of the probes of all images."""
    report = await answer(checkout, "smoke_report", format=ResultFormat.JSON)
    found: dict[str, Any] = json.loads(await report.contents())
    return found


async def packages(checkout: Checkout, image: str) -> set[str]:
    """The package URLs of an image's SBOM."""
    document = json.loads(await (await answer(checkout, "sbom", image=image)).contents())
    return {component["purl"] for component in document["components"]}


async def test_an_environment_on_the_runtime_image_of_pixi(checkout: Checkout) -> None:
    """It has bash and glibc, no /bin/sh and no program: all works but what asks for a shell itself."""
    base = bases.push("conda-runtime")
    checkout.write("small/image.toml", f'description = "x"\nruntime_base = "{base}"\nsize_budget = "500 MB"\n{PROBES}')
    # Typed: servers are asked from the module's own container, and this process does not reach them.
    ended = await asyncio.to_thread(checkout.call, "smoke-report", "--format", "json", "contents")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["not_built"] == []
    failures = {result["name"]: result["failure"] for result in found["results"] if result["failure"]}
    assert failures == {"wrong": "exited with 4", "shell": "needs sh, which the image does not have"}
    assert {"python", "ssl", "/app/entrypoint.sh"} <= {result["name"] for result in found["results"]}
    container = (await answer(checkout, "build", image="small")).with_user(ANYBODY)
    python = ["python", "-c", "import os; print(os.environ['CONDA_PREFIX'], os.access('/workspace', os.W_OK))"]
    assert (await container.with_exec(python, use_entrypoint=True).stdout()).strip() == f"{PREFIX} True"
    urls = await packages(checkout, "small")
    assert "pkg:apk/wolfi/bash@5.3-r13?distro=wolfi" in urls
    assert any(url.startswith("pkg:conda/python@3.12") for url in urls)
    assert await answer(checkout, "images_sound")
    assert "MB of 500" in await answer(checkout, "sizes_in_budget")


async def test_a_base_that_lacks_something_is_refused_at_once(checkout: Checkout) -> None:
    """The sentence has the image, the base, the file that it has not and the reason; nothing is downloaded before."""
    for key, name, lacks in (
        ("runtime_base", "alpine", "/lib64/ld-linux-x86-64.so.2, so its C library is not glibc"),
        ("base", "alpine", "/lib64/ld-linux-x86-64.so.2, so its C library is not glibc"),
        ("runtime_base", "distroless", "/bin/bash, which the entrypoint needs"),
        ("base", "conda-runtime", "/bin/sh, which the installation needs"),
    ):
        base = bases.push(name)
        checkout.write("small/image.toml", f'description = "x"\n{key} = "{base}"\n')
        error = await failure(checkout, "build", image="small")
        assert error.code is Code.BASE_IMAGE_UNSUITABLE
        assert str(error).startswith(f"small: base image {base} has no {lacks}")
        assert f"as '{key}' in small/image.toml" in str(error)


async def test_a_dockerfile_on_any_base(checkout: Checkout) -> None:
    """Each is built, probed, checked and listed; one that cannot be built hides the results of no other."""
    text = 'description = "x"\ndockerfile = "Dockerfile"\n[probes]\nscripts = []\n'
    loader = '[[probes.commands]]\ncommand = ["/lib64/ld-linux-x86-64.so.2", "--version"]\n'
    file = '[[probes.files]]\npath = "/etc/os-release"\nmode = "0644"\n'
    shell = '[[probes.commands]]\ncommand = ["sh", "-c", "test -w /workspace && . /etc/profile.d/91-environment.sh"]\n'
    images = {
        "alpine": (f"FROM {bases.push('alpine')}\nRUN echo x > /made\n", shell + file),
        "almalinux": (f"FROM {bases.push('almalinux')}\n", shell + loader + file),
        "distroless": (f"FROM {bases.push('distroless')}\nCOPY image.toml /data\n", loader + file),
        "broken": ("FROM docker.io/library/alpine:3.22\nRUN exit 3\n", file),
    }
    for name, (dockerfile, probes) in images.items():
        checkout.write(f"{name}/image.toml", text + probes)
        checkout.write(f"{name}/Dockerfile", dockerfile)
    checkout.write("small/image.toml", "descripton = 'x'\n")
    found = await results(checkout)
    assert {image["image"] for image in found["not_built"]} == {"broken", "small"}
    assert [result for result in found["results"] if result["failure"]] == []
    assert {result["image"] for result in found["results"]} == {"alpine", "almalinux", "distroless"}
    sentence = str(await failure(checkout, "images_sound"))
    assert {line.partition(":")[0] for line in sentence.splitlines()} == {"broken", "small/image.toml"}
    assert "pkg:apk/alpine/musl@1.2.5-r10?arch=x86_64&distro=alpine-3.22.1" in await packages(checkout, "alpine")
    assert any(url.startswith("pkg:deb/debian/libc6@") for url in await packages(checkout, "distroless"))


@pytest.mark.parametrize("steps", ["", NDB], ids=["sqlite", "ndb"])
async def test_a_database_of_rpm_is_read_by_its_own_rpm(checkout: Checkout, steps: str) -> None:
    """Whatever its format; what a package of RPM brings for Python is not listed twice."""
    checkout.write("small/image.toml", 'description = "x"\ndockerfile = "Dockerfile"\n')
    checkout.write("small/Dockerfile", f"FROM {bases.push('almalinux')}\n{steps}")
    assert {url.partition("&upstream=")[0] for url in await packages(checkout, "small")} == {
        "pkg:rpm/almalinux/python3-six@1.15.0-9.el9?arch=noarch&distro=almalinux-9.6&epoch=2",
        "pkg:rpm/almalinux/zlib@1.2.11-40.el9?arch=x86_64&distro=almalinux-9.6",
    }


@pytest.mark.parametrize("dockerfile", [True, False])
async def test_settings_of_a_base_are_in_what_is_pushed(
    checkout: Checkout,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
    *,
    dockerfile: bool,
) -> None:
    """As `docker build` takes them over, for an image of pixi too, with a sentence about steps that it cannot run."""
    name = "alpine" if dockerfile else "conda-runtime"
    base = bases.push(name, f"ghcr.io/maniaclab/base-{secrets.token_hex(4)}:x", INHERITED | TRIGGER)
    source = 'dockerfile = "Dockerfile"\n' if dockerfile else f'runtime_base = "{base}"\n'
    checkout.write("small/image.toml", f'description = "x"\n{source}')
    checkout.write("small/Dockerfile", f"FROM {base}\nHEALTHCHECK NONE\n")
    images = await Images.open(dag.host().directory(str(checkout.path)))
    built = await images.image("small").build()
    made = await make_artifact(images.settings, [built], None)
    layout = await Layout.of(made.layout, tmp_path_factory.mktemp("layout"))
    config = json.loads(layout.blob(layout.manifest()["config"]["digest"]))["config"]
    expected = INHERITED | ({"Healthcheck": {"Test": ["NONE"]}} if dockerfile else {"WorkingDir": "/app"})
    labels = config.pop("Labels")
    assert labels.items() >= expected["Labels"].items()
    assert {key: value for key, value in config.items() if key in INHERITED | TRIGGER} == {
        key: value for key, value in expected.items() if key != "Labels"
    }
    printed = capsys.readouterr().out
    if dockerfile:
        assert "triggered" in await built.container.directory("/tmp").entries()  # noqa: S108  # of the image
    assert ("has ONBUILD steps (RUN touch /tmp/triggered)" in printed) is not dockerfile
