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


#: Locks tool images unless $TOOLS is `broken`, and what is not called `broken`, and compares what is not called `odd`.
DAGGER = """\
#!/bin/sh
echo "$@" >>"$ASKED"
while [ "$1" != call ]; do shift; done
case "$2 $4" in
    "lock ") [ "$TOOLS" != broken ] || exit 1; [ "$TOOLS" = same ] || echo new >tools.lock; echo applied ;;
    "lock broken") echo 'Error: FunctionError: broken: pixi cannot lock it [solve-failed]' >&2; exit 1 ;;
    "lock "*) [ "$4" = same ] || echo new >"$4/pixi.lock"; echo applied ;;
    "lock-diff odd") exit 1 ;;
    "lock-diff "*) echo "| $4 | changed |" ;;
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


def lock_images(proposal: Proposal, folder: Path, *images: str, tools: str = "same") -> tuple[str, list[str]]:
    """Run the script on images with a lock; returns what changed, and the images of which something failed."""
    program = Path(proposal.environment["PATH"].partition(os.pathsep)[0]) / "dagger"
    program.write_text(DAGGER)
    program.chmod(0o755)
    for image in images:
        (proposal.clone / image).mkdir(exist_ok=True)
        (proposal.clone / image / "pixi.lock").write_text("old\n")
    proposal.git("add", ".")
    proposal.git("-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet", "--message", "Add")
    failed = folder / "not-locked"
    subprocess.run(
        [FOLDER / "lock-images", proposal.changes, failed],
        cwd=proposal.clone,
        env={**proposal.environment, "TOOLS": tools},
        capture_output=True,
        check=True,
    )
    return proposal.changes.read_text(), failed.read_text().splitlines()


def test_every_image_is_locked(proposal: Proposal, tmp_path: Path) -> None:
    """Changes are listed, and an image without newer packages is not mentioned."""
    changes, failed = lock_images(proposal, tmp_path, "small", "same")
    assert changes == "| small | changed |\n\n"
    assert failed == []
    assert proposal.lock.read_text() == "new\n"
    assert len([line for line in proposal.asked.read_text().splitlines() if " call lock --image " in line]) == 2


def test_tool_images_are_locked_before_the_images(proposal: Proposal, tmp_path: Path) -> None:
    """With a stale tools.lock nothing else could be locked; one that cannot be written is reported."""
    changes, failed = lock_images(proposal, tmp_path, "small", "same", tools="new")
    assert (changes, failed) == ("tools.lock has other digests.\n\n| small | changed |\n\n", [])
    assert proposal.asked.read_text().startswith("--progress plain call lock -y\n")
    assert (proposal.clone / "tools.lock").read_text() == "new\n"
    changes, failed = lock_images(proposal, tmp_path, "other", tools="broken")
    assert failed == ["tools.lock"]
    assert changes.startswith("**tools.lock was not written:**\n`dagger` ended with 1 and gave no reason;")
    assert "| other | changed |\n\n" in changes


def test_an_image_that_cannot_be_locked_does_not_stop_the_others(proposal: Proposal, tmp_path: Path) -> None:
    """Its reason is in the list, as is one without a word, and the images after it are locked."""
    changes, failed = lock_images(proposal, tmp_path, "broken", "odd", "small")
    assert failed == ["broken", "odd"]
    assert changes.startswith("**broken was not locked:**\nbroken: pixi cannot lock it [solve-failed]\n\n")
    assert "\n**odd was locked, and not compared:**\n`dagger` ended with 1 and gave no reason;" in changes
    assert changes.endswith("\n\n| small | changed |\n\n")
