"""Registries that ask who one is: images on their private images, with and without credentials.

Each test has sessions of its own: the engine keeps a login until the end of one.
"""

import time
from pathlib import Path

import pytest
from dagger import dag

from pipeline.main import Pipeline
from tests.engine.conftest import Checkout, a_session, answer, apply, refused
from tests.engine.network import names_reached
from tests.engine.private import assert_hidden, registry_login
from tests.engine.publishing import docker_config, skopeo

pytestmark = pytest.mark.asyncio
BASE = "ghcr.io/prefix-dev/pixi:noble"


@pytest.fixture
def private() -> str:
    """A private image of ghcr.io that nobody has pulled before."""
    name = f"ghcr.io/maniaclab/private-{time.time_ns():x}:1"
    skopeo("copy", f"--authfile={docker_config()}", f"docker://{BASE}", f"docker://{name}")
    return name


async def test_an_image_on_a_private_base(
    checkout: Checkout, private: str, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Built, tested, listed, locked and checked with credentials of the registry; refused in one sentence without."""
    checkout.write("small/image.toml", f'description = "On a private base"\nbase = "{private}"\n')
    give = "put 'with-registry-auth --address ghcr.io --username NAME --secret env:PASSWORD' before the function"
    async with a_session():
        for function in ("build", "lock"):
            sentence = await refused(checkout, function, image="small")
            assert sentence.startswith(f"small: base image {private} cannot be pulled: ")
            assert give in sentence
    async with a_session(log):
        output = [await answer(checkout, "smoke_test", registry_login, image="small")]
        built = await answer(checkout, "build", registry_login, image="small")
        await built.with_exec(["true"]).sync()
        output.append(await (await answer(checkout, "sbom", registry_login, image="small")).contents())
        await apply(checkout, "lock", registry_login, image="small")
        assert private in checkout.read("small/base.lock")
        with names_reached():
            await answer(checkout, "lock", registry_login, image="small", check=True)
    assert_hidden(*output, capsys.readouterr().out, log)


async def test_a_dockerfile_on_a_private_base(checkout: Checkout, private: str) -> None:
    """FROM is pulled with the same credentials."""
    checkout.write("made/image.toml", 'description = "On a private base"\ndockerfile = "Dockerfile"\n')
    checkout.write("made/Dockerfile", f"FROM {private}\nRUN echo {time.time_ns()} > /stamp\n")
    async with a_session():
        sentence = await refused(checkout, "build", image="made")
    assert sentence.startswith("made: made/Dockerfile was not built: ")
    assert "put 'with-registry-auth --address ghcr.io " in sentence
    async with a_session():
        built = await answer(checkout, "build", registry_login, image="made")
        await built.with_exec(["true"]).sync()


async def test_the_login_of_a_namespace(checkout: Checkout, private: str) -> None:
    """Of two logins to a registry each image is pulled with its own, whichever came last; the other one is wrong."""
    for folder, base in {"made": private, "other": private.replace("/maniaclab/", "/usatlas/")}.items():
        checkout.write(f"{folder}/image.toml", 'description = "On a private base"\ndockerfile = "Dockerfile"\n')
        checkout.write(f"{folder}/Dockerfile", f"FROM {base}\nRUN echo {time.time_ns()} > /stamp\n")

    def robots(pipeline: Pipeline) -> Pipeline:
        wrong = dag.set_secret("wrong", "of-another-project")
        known = registry_login(pipeline)
        known.auths[-1].address = "ghcr.io/maniaclab"
        return known.with_registry_auth("ghcr.io/usatlas", "robot", wrong)

    async with a_session():
        built = await answer(checkout, "build", robots, image="made")
        await built.with_exec(["true"]).sync()
        sentence = await refused(checkout, "build", robots, image="other")
    assert sentence.endswith("check what was given for ghcr.io/usatlas")
