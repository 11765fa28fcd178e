"""What the workflows do at each kind of event, and what they must never do."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.actions import Event, Job, evaluate, fill, group, jobs, load, starts
from tests.sandbox.hosts import REGISTRIES

FOLDER = Path(__file__).parents[2] / ".github/workflows"
SHA = "0123456789abcdef0123456789abcdef01234567"
PULL_REQUEST = Event("pull_request", "12/merge", number="12", sha=SHA)
MAIN = Event("push", "main", sha=SHA)
RELEASE = Event("push", "v2026.2.0", tag=True, sha=SHA)
BY_HAND = Event("workflow_dispatch", "main", inputs={"tag": "v2026.1.0"}, sha=SHA)
BRANCH = Event("push", "topic", sha=SHA)
OTHER_TAG = Event("push", "nightly", tag=True, sha=SHA)
WEEKLY = Event("schedule", "main", sha=SHA)
SECRETS = {name: f"<{name}>" for host in REGISTRIES for name in (host.user_variable, host.password_variable)}


@pytest.fixture(scope="module")
def images() -> dict[str, Any]:
    return load(FOLDER / "images.yml")


@pytest.fixture(scope="module")
def locks() -> dict[str, Any]:
    return load(FOLDER / "locks.yml")


def started(workflow: dict[str, Any], event: Event) -> list[Job]:
    return list(jobs(workflow, event, SECRETS))


@pytest.mark.parametrize(
    ("event", "names"),
    [
        (PULL_REQUEST, ["Smoke-test"]),
        (MAIN, ["Publish"]),
        (RELEASE, ["Publish"]),
        (BY_HAND, ["Publish"]),
        (BRANCH, []),
        (OTHER_TAG, []),
        (WEEKLY, []),
    ],
)
def test_an_event_starts_its_job(images: dict[str, Any], event: Event, names: list[str]) -> None:
    """Pull requests are tested, main and version tags published, other branches and tags left alone."""
    assert [job.name for job in started(images, event)] == names


@pytest.mark.parametrize(
    ("event", "tag", "ref"),
    [(MAIN, "main", SHA), (RELEASE, "v2026.2.0", SHA), (BY_HAND, "v2026.1.0", "v2026.1.0")],
)
def test_what_is_published_is_what_is_checked_out(images: dict[str, Any], event: Event, tag: str, ref: str) -> None:
    """The tag is the branch's or the version's, and the files are those of its commit."""
    (job,) = started(images, event)
    assert job.steps[0].arguments["ref"] == ref
    assert job.steps[-1].env["TAG"] == tag
    assert 'publish --tag "$TAG"' in job.steps[-1].run


def test_each_registry_gets_its_own_password(images: dict[str, Any]) -> None:
    """User and password of each registry are handed over under the names that are documented; passwords by name."""
    (job,) = started(images, RELEASE)
    step = job.steps[-1]
    for host in REGISTRIES:
        address = host.name.removeprefix("registry-1.")
        assert re.search(
            rf'--address {re.escape(address)} \\\s+--username "\${host.user_variable}" '
            rf"--secret env:{host.password_variable}\s",
            step.run,
        )
        assert step.env[host.password_variable] == SECRETS[host.password_variable]
        assert f"${host.password_variable}" not in step.run


@pytest.mark.parametrize(
    ("event", "cancels"), [(PULL_REQUEST, True), (MAIN, False), (RELEASE, False), (BY_HAND, False)]
)
def test_no_publication_is_cancelled(images: dict[str, Any], event: Event, *, cancels: bool) -> None:
    """A newer push replaces the test of a pull request; a publication shares its group with no other run."""
    name, ends = group(images, event)
    assert ends is cancels
    assert name == ("images-12" if cancels else "images-4711")


@pytest.mark.parametrize(
    ("event", "granted"),
    [
        (PULL_REQUEST, {"contents": "read"}),
        (MAIN, {"contents": "read", "packages": "write"}),
        (RELEASE, {"contents": "read", "packages": "write"}),
    ],
)
def test_a_job_may_do_what_it_does(images: dict[str, Any], event: Event, granted: dict[str, str]) -> None:
    """Nothing is granted to all jobs, and to each what it needs."""
    assert images["permissions"] == {}
    assert [job.permissions for job in started(images, event)] == [granted]


def test_a_pull_request_gets_no_secret(images: dict[str, Any]) -> None:
    """Code that nobody reviewed is run without anything to steal."""
    (job,) = started(images, PULL_REQUEST)
    assert not any(secret in value for step in job.steps for value in step.env.values() for secret in SECRETS.values())


@pytest.mark.parametrize("name", ["docs.yml", "images.yml", "locks.yml"])
def test_actions_are_pinned_and_keep_no_token(name: str) -> None:
    """Every action is named by its commit, with its version beside it; a checkout leaves no token behind."""
    text = (FOLDER / name).read_text()
    used = re.findall(r"^\s*(?:- )?uses: (.*)$", text, re.MULTILINE)
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action) for action in used)
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")


def test_the_cli_is_the_one_of_the_module() -> None:
    """Workflows install the version that dagger.json names."""
    version = re.search(r'"engineVersion": "(v[\d.]+)"', (FOLDER.parents[1] / "dagger.json").read_text())
    assert version
    texts = [text for file in FOLDER.glob("*.yml") if "dagger-for-github" in (text := file.read_text())]
    assert texts
    for text in texts:
        assert set(re.findall(r"^\s+version: (.*)$", text, re.MULTILINE)) == {version[1]}


def test_locks_are_refreshed_every_week(locks: dict[str, Any]) -> None:
    """The schedule and a person start it; it may push its branch and open its request, with a token of one step."""
    for event in (WEEKLY, Event("workflow_dispatch", "main")):
        (job,) = started(locks, event)
        assert job.permissions == {"contents": "write", "pull-requests": "write"}
        assert [step.name for step in job.steps if "GH_TOKEN" in step.env] == ["Propose it"]
    assert not starts(locks, MAIN)


def test_the_site_is_published_from_main_alone() -> None:
    """A commit of main or a person publishes it, with the rights of Pages and no other; nothing else does."""
    workflow = load(FOLDER / "docs.yml")
    for event in (MAIN, Event("workflow_dispatch", "main")):
        (job,) = started(workflow, event)
        assert job.permissions == {"contents": "read", "pages": "write", "id-token": "write"}
        assert job.steps[1].run == "./dev docs"
        assert job.steps[2].arguments["path"] == "docs/site"
    assert not any(starts(workflow, event) for event in (PULL_REQUEST, BRANCH, RELEASE, WEEKLY))


def test_expressions_are_those_of_github() -> None:
    """Texts compare without regard to case, the first that is something wins, and comparison binds closest."""
    contexts = {"a.b": "X", "empty": ""}
    assert evaluate("a.b == 'x'", contexts) == "true"
    assert evaluate("empty || a.b", contexts) == "X"
    assert evaluate("empty && a.b || 'it''s'", contexts) == "it's"
    assert evaluate("a.b != 'x' || empty == ''", contexts) == "true"
    assert fill("<${{ a.b }}-${{empty}}>", contexts) == "<X->"


@pytest.mark.parametrize("expression", ["unknown", "always()", "a.b == ", "a.b 'x'", "1", "!a.b", "a.b == 'x"])
def test_an_expression_that_is_not_understood_is_an_error(expression: str) -> None:
    """What the evaluator does not know it does not guess."""
    with pytest.raises(ValueError, match=r"understood here|is not known here"):
        evaluate(expression, {"a.b": "x"})


@pytest.mark.parametrize(
    ("place", "key"), [((), "defaults"), (("on", "push"), "paths"), (("jobs", "publish"), "strategy")]
)
def test_a_key_that_is_not_understood_is_an_error(place: tuple[str, ...], key: str) -> None:
    """A part of a workflow that these tests would pass over makes them fail."""
    workflow = load(FOLDER / "images.yml")
    table = workflow
    for name in place:
        table = table[name]
    table[key] = {}
    with pytest.raises(ValueError, match=rf"\['{key}'\] is not known here"):
        started(workflow, MAIN)
