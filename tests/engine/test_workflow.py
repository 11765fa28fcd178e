"""The workflows' own commands, taken out of the YAML and run as GitHub runs them, for each kind of event."""

import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from tests.actions import Event, Job, Step, jobs, load
from tests.engine import publishing
from tests.engine.conftest import MODULE, PATIENCE, ROOT, Checkout, a_session, apply, copy_module
from tests.engine.publishing import tags_of
from tests.engine.test_lock import Channel
from tests.sandbox import osv
from tests.sandbox.hosts import REGISTRIES
from tests.unit.repository import Repository

DOCKERFILE: Final = """\
FROM docker.io/library/python:3.12-slim
RUN chmod a+r /etc/passwd- /etc/security/opasswd
ENV CONDA_PREFIX=/usr/local
"""
#: An image of one package, which works with its newer version.
SPEC: Final = """\
description = "A small image"

[probes]
scripts = []

[[probes.commands]]
name = "greeter"
command = ["grep", "--line-regexp", "2.0", "/app/.pixi/envs/default/share/greeter"]
"""
MANIFEST: Final = """\
[project]
name = "small"
channels = ["{channel}"]
platforms = ["linux-64"]

[dependencies]
greeter = "*"
"""
#: Stand-ins for programs that the sandbox must not run, or does not have: each writes down its arguments.
STAND_INS: Final = {
    "sudo": '#!/bin/sh\necho "sudo $*" >>"$ASKED"\n',
    "gh": '#!/bin/sh\necho "gh $*" >>"$ASKED"\nif [ "$1 $2" = "pr create" ]; then\n'
    'while [ "$1" != --body-file ]; do shift; done\ncp "$2" "$BODY"\nfi\n',
}
#: Of the shell that runs the tests: how the Dagger CLI finds its engine.
ENGINE: Final = ("PATH", "_EXPERIMENTAL_DAGGER_RUNNER_HOST", "_EXPERIMENTAL_DAGGER_CLI_BIN", "DAGGER_NO_NAG")


@dataclass(frozen=True)
class Outcome:
    """The result of a job."""

    failed: str
    """The name of the step that failed; empty where none did."""
    log: str
    summary: str


@dataclass
class Runner:
    """A machine that runs the jobs of a repository."""

    repository: Repository
    folder: Path
    """The folder of the workspaces and of the jobs' files."""
    secrets: dict[str, str] = field(
        default_factory=lambda: {
            name: os.environ[name] for host in REGISTRIES for name in (host.user_variable, host.password_variable)
        }
    )

    @property
    def asked(self) -> list[str]:
        """The calls of the stand-ins."""
        return (self.folder / "asked").read_text().splitlines()

    def start(self, workflow: str, event: Event, name: str, first: str = "") -> Outcome:
        """Run one of the jobs that an event starts; that what it needs has passed is taken for granted.

        Args:
            workflow: its file.
            event: the event.
            name: of the job.
            first: the first command to run, where those before it are known to pass.
        """
        event = self._resolve(event)
        return self._run(self.job(workflow, event, name), event, first)

    def job(self, workflow: str, event: Event, name: str) -> Job:
        """One of the jobs that an event starts, with its expressions evaluated."""
        started = jobs(load(ROOT / ".github/workflows" / workflow), self._resolve(event), self.secrets)
        (job,) = (job for job in started if job.name == name)
        return job

    def _resolve(self, event: Event) -> Event:
        """An event with the commit of its ref."""
        return replace(event, sha=self.git("rev-parse", event.ref + "^{commit}", cwd=self.repository.path).strip())

    def _run(self, job: Job, event: Event, first: str) -> Outcome:
        workspace = self.folder / f"workspace-{secrets.token_hex(4)}"
        files = {name: self.folder / name for name in ("summary.md", "asked", "body.md")}
        for file in files.values():
            file.write_text("")
        environment = {
            **{name: os.environ[name] for name in ENGINE if name in os.environ},
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),
            "ASKED": str(files["asked"]),
            "BODY": str(files["body.md"]),
            "RUNNER_TEMP": str(self.folder),
            "GITHUB_STEP_SUMMARY": str(files["summary.md"]),
            "GITHUB_ACTOR": os.environ["GITHUB_ACTOR"],
            "GITHUB_REF_NAME": event.ref_name,
            "GITHUB_REPOSITORY": "maniaclab/images",
            "GITHUB_RUN_ID": "4711",
            "GITHUB_SERVER_URL": "https://github.com",
        }
        log, failed = "", ""
        names = [step.name for step in job.steps]
        skipped = names[: names.index(first)] if first else []
        for step in job.steps:
            if step.uses.startswith("actions/checkout@"):
                self._check_out(step, event, workspace)
            elif step.uses.startswith("dagger/dagger-for-github@"):
                # The sandbox's own release is older than the one of the workflows, which no registry here has.
                assert step.arguments.keys() == {"version"}
            elif step.name not in skipped:
                assert step.run, f"{step.name} is an action that is not known here"
                ended = subprocess.run(
                    ["bash", "-e", "-c", step.run],
                    cwd=workspace,
                    env={**environment, **step.env},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    check=False,
                    timeout=PATIENCE,
                )
                log += ended.stdout
                if ended.returncode:
                    failed = step.name
                    break
        return Outcome(failed, log, files["summary.md"].read_text())

    def _check_out(self, step: Step, event: Event, workspace: Path) -> None:
        """Do what actions/checkout does: one commit or all of the history, detached."""
        assert step.arguments.keys() <= {"persist-credentials", "ref", "fetch-depth"}
        ref = step.arguments.get("ref") or event.sha
        self.git("init", "--quiet", str(workspace), cwd=self.folder)
        self.git("remote", "add", "origin", f"file://{self.repository.path}", cwd=workspace)
        if step.arguments.get("fetch-depth") == "0":
            self.git("fetch", "--quiet", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*", cwd=workspace)
            self.git("checkout", "--quiet", "--detach", ref, cwd=workspace)
            return
        self.git("fetch", "--quiet", "--depth=1", "--no-tags", "origin", ref, cwd=workspace)
        self.git("checkout", "--quiet", "--detach", "FETCH_HEAD", cwd=workspace)

    def git(self, *arguments: str, cwd: Path) -> str:
        """The output of a command of git in a folder."""
        return subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A repository with the module and its workflows on its branch main, and a runner for it."""
    repository = Repository(tmp_path / "repository")
    copy_module(repository.path, [*MODULE, ".github"])
    (tmp_path / "bin").mkdir()
    for name, script in STAND_INS.items():
        (tmp_path / "bin" / name).write_text(script)
        (tmp_path / "bin" / name).chmod(0o755)
    return Runner(repository, tmp_path)


@pytest.fixture
def image(runner: Runner) -> str:
    """The name of an image, which no registry has, in the newest commit of main."""
    name = f"tiny-{secrets.token_hex(4)}"
    runner.repository.write(f"{name}/image.toml", 'description = "A tiny image"\ndockerfile = "Dockerfile"\n')
    runner.repository.write(f"{name}/Dockerfile", DOCKERFILE)
    commit(runner.repository, "Add an image")
    return name


@pytest.fixture
def channel() -> Iterator[Channel]:
    """A channel that nobody has seen before, with `greeter`."""
    made = Channel(f"workflow-{secrets.token_hex(4)}")
    made.add("greeter", "1.0")
    made.serve()
    yield made
    made.remove()


@pytest_asyncio.fixture
async def locked(runner: Runner, channel: Channel) -> Channel:
    """The channel, whose `greeter` is locked in the newest commit of main; another service reports vulnerabilities."""
    checkout = Checkout(runner.repository.path)
    checkout.set(osv=osv.ADDRESS)
    checkout.write("small/image.toml", SPEC)
    checkout.write("small/pixi.toml", MANIFEST.format(channel=channel.name))
    async with a_session():
        await apply(checkout, "lock", image="small")
    assert "greeter-1.0-" in checkout.read("small/pixi.lock")
    commit(runner.repository, "Lock")
    return channel


def commit(repository: Repository, message: str) -> str:
    """Commit everything on the branch main, and let single commits be fetched, as GitHub does."""
    sha = repository.commit(message)
    for command in (["branch", "--force", "main", sha], ["config", "uploadpack.allowAnySHA1InWant", "true"]):
        subprocess.run(["git", *command], cwd=repository.path, check=True, capture_output=True)
    return sha


def standing(image: str) -> list[dict[str, str]]:
    """The tags of an image in each registry and their digests, as a client reports them that is not ours."""
    return [tags_of(f"{registry}/maniaclab/{image}") for registry in publishing.REGISTRIES]


def test_a_pull_request_is_tested_and_nothing_is_published(runner: Runner, image: str) -> None:
    """Its probes pass, the summary has them as a table, and no registry has heard of the image."""
    subprocess.run(["git", "update-ref", "refs/pull/12/merge", "main"], cwd=runner.repository.path, check=True)
    outcome = runner.start("tests.yml", Event("pull_request", "12/merge", number="12"), "Images")
    assert not outcome.failed, outcome.log
    assert re.search(rf"^\| {image} +\| python +\| passed +\|", outcome.summary, re.MULTILINE)
    assert standing(image) == [{}, {}, {}]
    assert [line for line in runner.asked if "rm --recursive" in line], "no space was made"


def test_a_pull_request_that_breaks_an_image_says_so(runner: Runner, image: str) -> None:
    """The job fails, and its summary has what failed and the table of all probes; image.toml itself is valid."""
    runner.repository.write(
        f"{image}/image.toml",
        'description = "A tiny image"\ndockerfile = "Dockerfile"\n[probes]\nscripts = ["python", "tensorflow"]\n',
    )
    commit(runner.repository, "Break it")
    subprocess.run(["git", "update-ref", "refs/pull/13/merge", "main"], cwd=runner.repository.path, check=True)
    event = Event("pull_request", "13/merge", number="13")
    outcome = runner.start("tests.yml", event, "Images", first="Smoke-test all images")
    assert outcome.failed == "Smoke-test all images"
    assert f"1 of 2 probes failed ({image}: tensorflow exited with 1)" in outcome.summary
    assert re.search(rf"^\| {image} +\| tensorflow +\| failed +\|", outcome.summary, re.MULTILINE)
    assert "traceparent" not in outcome.summary
    # The probe's own traceback is shown; the pipeline has none.
    assert not re.search(r'File "[^"]*/pipeline/', outcome.log)


def test_main_a_release_and_a_run_by_hand_are_published(runner: Runner, image: str) -> None:
    """The branch gives latest and its commit, an older tag by hand its version from its own files; pushed, the same.

    What publishes a release again finds it there (test_publish).
    """
    first = commit(runner.repository, "Release 2026.2.0")
    branch = runner.start("images.yml", Event("push", "main"), "Publish")
    assert not branch.failed, branch.log
    tags = {f"sha-{first[:7]}", "latest"}
    before = standing(image)
    assert [set(there) for there in before] == [tags] * 3

    runner.repository.tag("v2026.2.0", annotated=True)
    runner.repository.write(f"{image}/Dockerfile", DOCKERFILE + "ENV NEWER=1\n")
    commit(runner.repository, "Change it")
    by_hand = Event("workflow_dispatch", "v2026.2.0", tag=True)
    pushed = runner.job("images.yml", replace(by_hand, name="push"), "Publish")
    assert pushed == runner.job("images.yml", by_hand, "Publish")
    release = runner.start("images.yml", by_hand, "Publish")
    assert not release.failed, release.log
    digest = before[0]["latest"]
    assert standing(image) == [dict.fromkeys(tags | {"2026.2.0", "2026.2"}, digest)] * 3
    assert re.search(rf"ghcr\.io/maniaclab/{image} +\| 2026\.2\.0 ", release.summary)

    for outcome in (branch, release):
        for password in (host.password_variable for host in REGISTRIES):
            assert runner.secrets[password] not in outcome.log + outcome.summary


def test_a_publication_without_its_password_is_summarized(runner: Runner, image: str) -> None:
    """A secret that nobody set is reported in the summary, with its registry, before anything is built."""
    runner.secrets["DOCKER_PASSWORD"] = ""
    outcome = runner.start("images.yml", Event("push", "main"), "Publish")
    assert outcome.failed == "Publish all images"
    assert "docker.io" in outcome.summary
    assert "nothing was built" in outcome.summary
    assert standing(image) == [{}, {}, {}]


def test_newer_packages_are_proposed_every_week(runner: Runner, locked: Channel, image: str) -> None:
    """The lock has them, the request lists the changes, the images are tested; other outdated versions are listed."""
    repository = runner.repository
    locked.add("greeter", "2.0")
    records = runner.folder / "records.json"
    records.write_text("[]")
    with osv.standing_in(records) as address:
        assert address == osv.ADDRESS
        outcome = runner.start("locks.yml", Event("schedule", "main"), "Refresh")
    assert not outcome.failed, outcome.log
    proposed = runner.git("show", "locks:small/pixi.lock", cwd=repository.path)
    assert "greeter-2.0-" in proposed
    assert "greeter-1.0-" not in proposed
    body = (runner.folder / "body.md").read_text()
    assert re.search(r"^\| .*greeter.*1\.0.*2\.0", body, re.MULTILINE)
    assert (runner.folder / "changes.md").read_text() in outcome.summary
    assert [line.partition(" --title")[0] for line in runner.asked if line.startswith("gh pr create")] == [
        "gh pr create --head locks --base main"
    ]
    # Its probe passes with the newer package alone.
    assert re.search(r"^\| small +\| greeter +\| passed +\|", outcome.summary, re.MULTILINE)
    assert re.search(rf"^\| {image} +\| base image +\| .*\| not locked ", outcome.summary, re.MULTILINE)
