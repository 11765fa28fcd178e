"""Jobs of the workflows for each kind of event, and rules that they never break."""

import os
import re
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from pipeline.git.upload_filter import WITHOUT_IGNORE
from tests.actions import Event, Job, evaluate, fill, group, jobs, load, starts
from tests.sandbox.hosts import REGISTRIES
from tests.sandbox.parts import ENGINE_VERSION

FOLDER = Path(__file__).parents[2] / ".github/workflows"
WORKFLOWS = sorted(path.name for path in FOLDER.glob("*.yml"))
SHA = "0123456789abcdef0123456789abcdef01234567"
PULL_REQUEST = Event("pull_request", "12/merge", number="12", sha=SHA)
QUEUE = Event("merge_group", "gh-readonly-queue/main/pr-12", sha=SHA)
MAIN = Event("push", "main", sha=SHA)
RELEASE = Event("push", "v2026.2.0", tag=True, sha=SHA)
BY_HAND = Event("workflow_dispatch", "v2026.1.0", tag=True, sha=SHA)
BRANCH = Event("push", "topic", sha=SHA)
OTHER_TAG = Event("push", "nightly", tag=True, sha=SHA)
SCHEDULE = Event("schedule", "main", sha=SHA)
EVENTS = [PULL_REQUEST, QUEUE, MAIN, RELEASE, BY_HAND, BRANCH, OTHER_TAG, SCHEDULE]
PUBLISHES = [MAIN, RELEASE, BY_HAND]
#: Events that start workflows and publish nothing; some of them run code of strangers.
OTHERS = (
    "check_run", "issue_comment", "merge_group", "pull_request", "pull_request_review", "pull_request_target",
    "release", "repository_dispatch", "schedule", "workflow_call", "workflow_run",
)  # fmt: skip
SECRETS = {name: f"<{name}>" for host in REGISTRIES for name in (host.user_variable, host.password_variable)}
#: Those that only registries of others know; a job without the right to write packages may have GitHub's own token.
PASSWORDS = set(SECRETS.values()) - {SECRETS["GITHUB_TOKEN"]}
TESTS = ["Lint and unit tests", "Browser tests", "Images"]
SUITE = "Whole suite in the sandbox"


@pytest.fixture
def images() -> dict[str, Any]:
    return load(FOLDER / "images.yml")


@pytest.fixture
def tests() -> dict[str, Any]:
    return load(FOLDER / "tests.yml")


@pytest.fixture
def locks() -> dict[str, Any]:
    return load(FOLDER / "locks.yml")


def started(workflow: dict[str, Any], event: Event, failed: Collection[str] = (), *, called: bool = False) -> list[Job]:
    return list(jobs(workflow, event, SECRETS, failed=failed, called=called))


def names(found: list[Job]) -> list[str]:
    return [job.name for job in found]


@pytest.mark.parametrize("event", EVENTS)
def test_main_and_releases_are_published(images: dict[str, Any], event: Event) -> None:
    """Pushed, or by hand; nothing else starts what publishes."""
    assert names(started(images, event)) == (["Tests", "Publish"] if event in PUBLISHES else [])


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_no_other_event_can_publish(workflow: str, name: str) -> None:
    """Not even where somebody lets it start the workflow."""
    changed = load(FOLDER / workflow)
    changed["on"] = {**changed["on"], name: {}}
    found = started(changed, Event(name, "main", sha=SHA))
    assert not [job for job in found if may_publish(job)]


def may_publish(job: Job) -> bool:
    """Whether a job has what it takes to publish: the environment of the secrets, a right, or a word."""
    return (
        bool(job.environment)
        or "packages" in job.permissions
        or any(" publish " in step.run or set(step.env.values()) & PASSWORDS for step in job.steps)
    )


@pytest.mark.parametrize("event", PUBLISHES)
def test_publishing_needs_the_tests_of_the_same_commit(images: dict[str, Any], event: Event) -> None:
    """The tests are the file of this commit, and without them nothing is published; what publishes checks it out.

    It has the whole history, which says which of two commits is older.
    """
    tested, publish = started(images, event)
    assert tested.uses == "./.github/workflows/tests.yml"
    assert (may_publish(tested), may_publish(publish)) == (False, True)
    assert names(started(images, event, failed={"tests"})) == ["Tests"]
    assert publish.steps[0].arguments["ref"] == SHA
    assert publish.steps[0].arguments["fetch-depth"] == "0"
    called = started(load(FOLDER / "tests.yml"), event, called=True)
    assert names(called) == TESTS
    assert all(
        "ref" not in step.arguments for job in called for step in job.steps if step.uses.startswith("actions/checkout@")
    )


@pytest.mark.parametrize(
    ("event", "suite"),
    [
        (PULL_REQUEST, False),
        (QUEUE, False),
        (SCHEDULE, True),
        (Event("workflow_dispatch", "topic"), True),
        (Event("workflow_dispatch", "topic", inputs={"sandbox": "false"}), False),
        (Event("workflow_dispatch", "topic", inputs={"sandbox": "true"}), True),
    ],
)
def test_a_change_is_tested(tests: dict[str, Any], event: Event, *, suite: bool) -> None:
    """In a pull request and in the queue; each night and by hand the whole suite is run as well."""
    assert names(started(tests, event)) == [*TESTS, *([SUITE] if suite else [])]
    assert not started(tests, MAIN), "images.yml calls it"


def test_what_is_cheap_is_checked_first(tests: dict[str, Any]) -> None:
    """Each check that builds nothing comes before the first that builds, and every check is run."""
    (job,) = (job for job in started(tests, PULL_REQUEST) if job.name == "Images")
    run = "\n".join(step.run for step in job.steps)
    places = [run.index(f" {name}") for name in ("specs-valid", "locks-fresh", "call smoke-test", "plain check")]
    assert places == sorted(places)
    assert run.index(" cuda-consistent") < run.index("call smoke-test")


def test_tests_run_what_a_person_runs(tests: dict[str, Any]) -> None:
    """Lint, the tests of the browser and the whole suite are commands of ./dev."""
    run = {job.name: job.steps[-1].run for job in started(tests, SCHEDULE)}
    assert run["Lint and unit tests"] == "./dev lint"
    assert run["Browser tests"] == "./dev test tests/browser"
    assert run[SUITE].endswith(" ./dev test")


@pytest.mark.parametrize(("event", "tag"), [(MAIN, "main"), (RELEASE, "v2026.2.0"), (BY_HAND, "v2026.1.0")])
def test_what_is_published_is_the_branch_or_the_version(images: dict[str, Any], event: Event, tag: str) -> None:
    """The name under which the commit was pushed, or chosen by hand."""
    step = started(images, event)[-1].steps[-1]
    assert step.env["TAG"] == tag
    assert 'publish --tag "$TAG"' in step.run


def test_each_registry_gets_its_own_password(images: dict[str, Any]) -> None:
    """User and password of each registry are handed over under the names that are documented; passwords by name."""
    step = started(images, RELEASE)[-1].steps[-1]
    for host in REGISTRIES:
        address = host.name.removeprefix("registry-1.")
        assert re.search(
            rf'--address {re.escape(address)} \\\s+--username "\${host.user_variable}" '
            rf"--secret env:{host.password_variable}\s",
            step.run,
        )
        assert step.env[host.password_variable] == SECRETS[host.password_variable]
        assert f"${host.password_variable}" not in step.run


@pytest.mark.parametrize("event", PUBLISHES)
def test_no_publication_is_cancelled(images: dict[str, Any], tests: dict[str, Any], event: Event) -> None:
    """It shares its group with no other run, and neither do its tests, which are in another one."""
    assert group(images, event) == ("images-4711", False)
    assert group(tests, event) == ("tests-4711", False)


def test_a_newer_push_ends_the_older_tests(tests: dict[str, Any]) -> None:
    """Of the same pull request, and of nothing else."""
    assert group(tests, PULL_REQUEST) == ("tests-12", True)
    assert group(tests, QUEUE) == ("tests-4711", False)


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_nothing_is_granted_to_all_jobs(workflow: str) -> None:
    """Each says what it needs."""
    assert load(FOLDER / workflow)["permissions"] == {}


def test_a_job_may_do_what_it_does(images: dict[str, Any], tests: dict[str, Any]) -> None:
    """Tests read the repository, and get no secret; publishing writes packages."""
    tested, publish = started(images, RELEASE)
    assert publish.permissions == {"contents": "read", "packages": "write"}
    for job in (tested, *started(tests, PULL_REQUEST), *started(tests, SCHEDULE)):
        assert job.permissions == {"contents": "read"}
        assert not may_publish(job)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_and_keep_no_token(name: str) -> None:
    """Every action is named by its commit, with its version beside it; a checkout leaves no token behind."""
    text = (FOLDER / name).read_text()
    used = re.findall(r"^\s*(?:- )?uses: ([^.].*)$", text, re.MULTILINE)
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action) for action in used)
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")


def test_every_workflow_installs_one_good_release_of_dagger() -> None:
    """The newest one that was tried; not the sandbox's, and none that leaves nothing out of a checkout."""
    found = {
        version
        for file in FOLDER.glob("*.yml")
        for version in re.findall(r"^\s+version: (.*)$", file.read_text(), re.MULTILINE)
    }
    assert found == {"v0.21.8"}
    assert not found & WITHOUT_IGNORE
    oldest = re.search(r'"engineVersion": "(v[\d.]+)"', (FOLDER.parents[1] / "dagger.json").read_text())
    assert oldest
    assert oldest[1] == ENGINE_VERSION, "the sandbox's engine takes no module that asks for a newer one"


def test_locks_are_refreshed_every_week(locks: dict[str, Any]) -> None:
    """The schedule and a person start it; it may push its branch and open its request, with a token of one step."""
    for event in (SCHEDULE, Event("workflow_dispatch", "main")):
        found = started(locks, event)
        assert names(found) == ["Refresh", "Python packages"]
        for job in found:
            assert job.permissions == {"contents": "write", "pull-requests": "write"}
            assert [step.name for step in job.steps if "GH_TOKEN" in step.env] == ["Propose it"]
    assert not starts(locks, MAIN)


@pytest.mark.parametrize(("failed", "code"), [("", 0), ("broken\nbroken\nodd\n", 1)])
def test_an_image_that_was_not_locked_fails_the_run_at_its_end(
    locks: dict[str, Any], tmp_path: Path, failed: str, code: int
) -> None:
    """All other images are locked, proposed and tested before."""
    step = started(locks, SCHEDULE)[0].steps[-1]
    (tmp_path / "not-locked").write_text(failed)
    ended = subprocess.run(
        ["bash", "-e", "-c", step.run],
        env={"PATH": os.environ["PATH"], "RUNNER_TEMP": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == code
    assert ended.stdout == ("Something failed, for the reasons in the summary: broken odd\n" if failed else "")


def test_the_site_is_published_from_main_alone() -> None:
    """A commit of main or a person publishes it, with the rights of Pages and no other; nothing else does."""
    workflow = load(FOLDER / "docs.yml")
    for event in (MAIN, Event("workflow_dispatch", "main")):
        (job,) = started(workflow, event)
        assert job.permissions == {"contents": "read", "pages": "write", "id-token": "write"}
        assert job.steps[1].run == "./dev docs"
        assert job.steps[2].arguments["path"] == "docs/site"
    assert not any(starts(workflow, event) for event in (PULL_REQUEST, BRANCH, RELEASE, SCHEDULE))


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
    """The evaluator does not guess."""
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
