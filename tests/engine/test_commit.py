"""The commit of a checkout, as the engine gets it, and the effect of a commit on an image that it does not touch."""

import json
import uuid

import pytest
from dagger import dag

from pipeline.git.commit import is_left_out
from pipeline.git.upload_filter import LEFT_OUT
from pipeline.output.formats import Format
from tests.engine.conftest import Checkout, a_session, answer, refused
from tests.unit.repository import Repository


@pytest.fixture
def repository(checkout: Checkout) -> Repository:
    """The checkout with the image ``small``, committed whole."""
    made = Repository(checkout.path)
    made.commit("First")
    return made


@pytest.mark.asyncio
async def test_the_commit_is_the_checkouts(checkout: Checkout, repository: Repository) -> None:
    """The commit is read without git, clean is clean through the engine, and a change is reported by its path."""
    repository.write("README.md", "# Read me\n")
    sha = repository.commit("Second")
    for name in ("out/small.tar", "small.html", "cosign.key", "small/.pixi/x", "small/tls.key", "small/a/.git/config"):
        repository.write(name, "x\n")
    ended = checkout.call("tags", "--tag", "v2026.02.0", "--format", "json")
    assert ended.returncode == 0, ended.stderr
    plan = json.loads(ended.stdout)
    assert [row["tag"] for row in plan["tags"]] == ["2026.2.0", f"sha-{sha[:7]}", "2026.2", "latest"]
    assert plan["notes"] == []
    repository.write("small/image.toml", 'description = "Changed"\n')
    repository.write("pipeline/more.py", "")
    async with a_session():
        sentence = await refused(checkout, "tags", tag="main")
        uploaded = set(await dag.host().directory(str(checkout.path), exclude=[*LEFT_OUT]).glob("**"))
    changes = "(pipeline/more.py; small/image.toml)"
    assert f"2 of the checkout's paths differ from its commit {sha[:7]} {changes}; commit them, or" in sentence
    files = {str(path.relative_to(checkout.path)) for path in checkout.path.rglob("*") if path.is_file()}
    assert {path for path in uploaded if not path.endswith("/")} & files == {
        path for path in files if not is_left_out(path)
    }
    assert {"small/image.toml", "pipeline/main.py", ".git/HEAD"} < uploaded
    assert not any(path.startswith(("out", "small/.pixi", "small/a/.git")) for path in uploaded)


@pytest.mark.asyncio
async def test_a_folder_without_git_has_no_commit(checkout: Checkout) -> None:
    """Nothing but the tag of the commit is missing then, and the call says so."""
    async with a_session():
        output = await answer(checkout, "tags", tag="v2026.2.0", format=Format.MARKDOWN)
    assert "| 2026.2.0 | immutable" in output
    assert "sha-… is left out: the checkout has no .git folder" in output


@pytest.mark.asyncio
async def test_a_commit_elsewhere_installs_nothing_again(checkout: Checkout, repository: Repository) -> None:
    """A new commit that leaves the image's folder as it was is no reason to install its environment again."""

    async def build() -> tuple[str, str]:
        # As a call has a session: what it has looked up once, it does not look up again.
        async with a_session():
            built = await answer(checkout, "build", image="small")
            # Which file it is on the engine's disk: layers share it, and one that is installed again is another.
            inode = ["stat", "--format=%i", "/app/.pixi/envs/default/bin/python3.12"]
            label = await built.label("org.opencontainers.image.revision")
            return label, await built.with_exec(inode).stdout()

    first = await build()
    # Another commit at each run of this test: what the engine has seen before, it answers at once.
    repository.write("README.md", f"# {uuid.uuid4()}\n")
    repository.write("tests/test_more.py", "assert True\n")
    sha = repository.commit("Second")
    again = await build()
    assert again == (sha, first[1])
    assert first[0] != sha
