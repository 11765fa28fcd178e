"""The scripts that workflows call, with commands in the place of Dagger and GitHub that do what these do."""

import os
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / ".github"
FAILED = r"""
echo 'half a report'
exec >&2
echo '1 : ! FunctionError: 1 of 2 probes failed'
echo
echo 'Error: FunctionError: 1 of 2 probes failed (small: root)'
echo '| image | probe |'
echo '| small | root  | [traceparent:1-2]'
exit 3
"""
#: Those of the workflow.
PATTERNS = (":(glob)*/pixi.lock", ":(glob)*/base.lock", ":(top)tools.lock")
#: Writes down what it is asked, knows the open request, and shows what a new one is to say.
GH = """\
#!/bin/sh
echo "$@" >>"$ASKED"
case "$1 $2" in
    "pr list") echo "$OPEN" ;;
    "pr create")
        while [ "$1" != --body-file ]; do shift; done
        cat "$2"
        ;;
esac
"""


def summarize(tmp_path: Path, script: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run a script through ``summarize``; returns how it ended, and the summary."""
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    ended = subprocess.run(
        [FOLDER / "summarize", "sh", "-c", script],
        env={"PATH": os.environ["PATH"], "GITHUB_STEP_SUMMARY": str(summary)},
        capture_output=True,
        text=True,
        check=False,
    )
    return ended, summary.read_text()


def test_a_report_is_in_the_log_and_in_the_summary(tmp_path: Path) -> None:
    """The output of a call is in both places, its progress in the log alone."""
    ended, summary = summarize(tmp_path, "echo progress >&2; printf '| image |\\n|---|\\n'")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "| image |\n|---|\n", "progress\n")
    assert summary == "before\n| image |\n|---|\n"


def test_a_failure_is_summarized(tmp_path: Path) -> None:
    """The message of a failed function, and the report in it, follow what was printed; the failure stays one."""
    ended, summary = summarize(tmp_path, FAILED)
    assert ended.returncode == 3
    assert "1 : ! FunctionError" in ended.stderr
    assert summary == (
        "before\nhalf a report\n1 of 2 probes failed (small: root)\n| image | probe |\n| small | root  |\n"
    )


@pytest.mark.parametrize(("script", "code"), [("kill -9 $$", 137), ("exit 1", 1)])
def test_a_failure_without_a_word_is_told(tmp_path: Path, script: str, code: int) -> None:
    """A command that was killed says nothing, and the summary says that."""
    ended, summary = summarize(tmp_path, script)
    assert ended.returncode == code
    assert f"`sh` ended with {code} and gave no reason" in summary


class Proposal:
    """A clone with a lock, a remote, and a ``gh`` that writes down what it is asked."""

    def __init__(self, folder: Path) -> None:
        self.remote = folder / "remote.git"
        self.clone = folder / "clone"
        self.asked = folder / "asked"
        self.changes = folder / "changes.md"
        self.changes.write_text("| package |\n")
        programs = folder / "bin"
        programs.mkdir()
        (programs / "gh").write_text(GH)
        (programs / "gh").chmod(0o755)
        self.environment = {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "ASKED": str(self.asked),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_REPOSITORY": "maniaclab/images",
            "GITHUB_RUN_ID": "4711",
            "GITHUB_REF_NAME": "main",
        }
        self.git("init", "--quiet", "--bare", str(self.remote), cwd=folder)
        self.git("clone", "--quiet", str(self.remote), str(self.clone), cwd=folder)
        self.lock = self.clone / "small/pixi.lock"
        self.lock.parent.mkdir()
        self.lock.write_text("old\n")
        self.notes = self.clone / "notes"
        self.notes.write_text("old\n")
        self.git("add", ".")
        self.git("-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet", "--message", "Begin")
        self.git("push", "--quiet", "origin", "HEAD:main")
        self.git("switch", "--quiet", "--detach")

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run git in the clone."""
        command = ["git", *arguments]
        return subprocess.run(
            command, cwd=cwd or self.clone, env=self.environment, capture_output=True, text=True, check=True
        ).stdout

    def run(self, **environment: str) -> str:
        """Run the script, and return what it printed."""
        return subprocess.run(
            [FOLDER / "propose-locks", "locks", "Lock the newest packages", self.changes, *PATTERNS],
            cwd=self.clone,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=True,
        ).stdout


@pytest.fixture
def proposal(tmp_path: Path) -> Proposal:
    """A clone in which nothing has changed yet."""
    return Proposal(tmp_path)


def test_a_changed_lock_is_proposed(proposal: Proposal) -> None:
    """The branch has the locks and nothing else, and the request says what changed and where it was tested."""
    proposal.lock.write_text("new\n")
    proposal.lock.with_name("base.lock").write_text("first\n")
    proposal.notes.write_text("left over\n")
    output = proposal.run(OPEN="")
    assert proposal.git("show", "origin/locks:small/pixi.lock") == "new\n"
    assert proposal.git("diff", "--name-only", "origin/main", "origin/locks") == "small/base.lock\nsmall/pixi.lock\n"
    assert "| package |\n" in output
    assert "https://github.com/maniaclab/images/actions/runs/4711.\n" in output
    asked = proposal.asked.read_text().splitlines()
    assert asked[0] == "auth setup-git"
    assert asked[-1].startswith("pr create --head locks --base main --title Lock the newest packages --body-file ")


def test_an_open_request_is_renewed(proposal: Proposal) -> None:
    """A second week replaces the branch of the first, and opens no second request."""
    proposal.lock.write_text("new\n")
    proposal.run(OPEN="")
    proposal.git("switch", "--quiet", "--detach", "origin/main")
    proposal.lock.write_text("newer\n")
    proposal.run(OPEN="12")
    assert proposal.git("show", "origin/locks:small/pixi.lock") == "newer\n"
    assert proposal.git("rev-list", "--count", "origin/main..origin/locks") == "1\n"
    asked = proposal.asked.read_text().splitlines()
    assert asked[-1].startswith("pr edit locks --body-file ")
    assert len([line for line in asked if line.startswith("pr create")]) == 1


def test_without_a_change_nothing_is_proposed(proposal: Proposal) -> None:
    """A week without newer packages makes no branch and asks GitHub nothing."""
    assert proposal.run(OPEN="") == "No lock changed.\n"
    assert not proposal.asked.exists()
    assert "locks" not in proposal.git("branch", "--all")
