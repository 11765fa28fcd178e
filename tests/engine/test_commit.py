"""The commit of a checkout, as the engine is told it, and what a commit does to an image that it does not touch."""

import json
import re
import uuid

import pytest

from tests.engine.conftest import Checkout
from tests.unit.repository import Repository


@pytest.fixture
def repository(checkout: Checkout) -> Repository:
    """The checkout with the image ``small``, committed whole."""
    made = Repository(checkout.path)
    made.commit("First")
    return made


def test_the_commit_is_the_checkouts(checkout: Checkout, repository: Repository) -> None:
    """The commit is read without git, clean is clean through the engine, and a change is told by its path."""
    repository.write("README.md", "# Read me\n")
    sha = repository.commit("Second")
    ended = checkout.call("tags", "--tag", "v2026.02.0", "--format", "json")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert [row["tag"] for row in told["tags"]] == ["2026.2.0", f"sha-{sha[:7]}", "2026.2", "latest"]
    assert told["notes"] == []
    repository.write("small/image.toml", 'description = "Changed"\n')
    said = checkout.refusal("tags", "--tag", "main")
    assert f"1 of the checkout's paths differ from its commit {sha[:7]} (small/image.toml); commit them, or" in said


def test_a_folder_without_git_has_no_commit(checkout: Checkout) -> None:
    """Nothing but the tag of the commit is missing then, and the call says so."""
    ended = checkout.call("tags", "--tag", "v2026.2.0", "--format", "markdown")
    assert ended.returncode == 0, ended.stderr
    assert "| 2026.2.0 | immutable" in ended.stdout
    assert "sha-… is left out: the checkout has no .git folder" in ended.stdout


def test_a_commit_elsewhere_installs_nothing_again(checkout: Checkout, repository: Repository) -> None:
    """A new commit that leaves the image's folder as it was is no reason to install its environment again."""
    # Which file it is on the engine's disk: layers share it, and one that is installed again is another.
    inode = "stat,--format=%i,/app/.pixi/envs/default/bin/python3.12"
    command = ("build", "--image", "small", "with-exec", "--args", inode, "stdout")
    first = checkout.call(*command)
    assert first.returncode == 0, first.stderr
    # Another commit at each run of this test: what the engine has seen before, it answers without asking the module.
    repository.write("README.md", f"# {uuid.uuid4()}\n")
    repository.write("tests/test_more.py", "assert True\n")
    repository.commit("Second")
    again = checkout.call(*command)
    assert again.stdout == first.stdout
    told = re.sub(r"\x1b\[[0-9;]*m", "", again.stderr)
    assert "Directory.export DONE" in told, "the module did not run, and nothing was decided"
