"""The post-link scripts of packages are run as conda runs them, or named; a failure is one sentence."""

import json
from pathlib import Path

import pytest

from pipeline.build.post_link import describe, explain
from pipeline.scripts.post_link import in_order, main, read_records


class Prefix:
    """An environment, with packages that have scripts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.report = path.parent / "report.json"
        for folder in ("bin", "conda-meta"):
            (path / folder).mkdir(parents=True)

    def add(self, name: str, script: str | None = None, *depends: str) -> None:
        """Add a package."""
        record = {"name": name, "version": "1.2", "build_number": 3, "depends": depends}
        (self.path / f"conda-meta/{name}-1.2-h_3.json").write_text(json.dumps(record))
        if script is not None:
            (self.path / f"bin/.{name}-post-link.sh").write_text(script)

    def run(self, *, wanted: bool = True, seconds: float = 60) -> int:
        """Run the scripts, and return the exit code."""
        return main(self.path, self.report, "run" if wanted else "", seconds)

    def read(self, name: str) -> str:
        """A file of the environment."""
        return (self.path / name).read_text()


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    """An empty environment."""
    return Prefix(tmp_path / "env")


def test_packages_are_in_the_order_of_their_dependencies(prefix: Prefix) -> None:
    """Those without any order among them are in that of their names, also where they go round in circles."""
    prefix.add("a", None, "z >=1", "not-there")
    prefix.add("z", None, "m 1.* h_0")
    prefix.add("m", None, "a")
    prefix.add("b")
    assert in_order(read_records(prefix.path)) == ["m", "z", "a", "b"]


def test_a_script_has_what_conda_gives_it(prefix: Prefix, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its variables, the environment's programs first, an active environment; nothing else of the machine."""
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    activation = prefix.path / "etc/conda/activate.d/a.sh"
    activation.parent.mkdir(parents=True)
    activation.write_text("ACTIVATED=yes\n")
    program = prefix.path / "bin/own"
    program.write_text("#!/bin/sh\necho own\n")
    program.chmod(0o755)
    names = "$PREFIX $ROOT_PREFIX $PKG_NAME $PKG_VERSION $PKG_BUILDNUM $ACTIVATED ${SECRET_TOKEN:-none}"
    prefix.add("p", f'echo "{names}" > "$PREFIX/log"; own >> "$PREFIX/log"; pwd >> "$PREFIX/log"; touch "$HOME/x"')
    assert prefix.run() == 0
    assert prefix.read("log") == f"{prefix.path} {prefix.path} p 1.2 3 yes none\nown\n{prefix.path}/bin\n"


def test_messages_are_told_and_not_kept(prefix: Prefix) -> None:
    """Each is printed with its package; the environment does not have the file."""
    prefix.add("loud", 'echo "Please read" > "$PREFIX/.messages.txt"; echo "the manual" >> "$PREFIX/.messages.txt"')
    prefix.add("quiet", "true")
    assert prefix.run() == 0
    assert describe("small", prefix.report.read_text()) == "small: message of loud: Please read the manual\n"
    assert not (prefix.path / ".messages.txt").exists()


def test_scripts_that_do_not_run_are_named(prefix: Prefix) -> None:
    """All of them, and how they can; other scripts of packages have nothing to do with it."""
    prefix.add("b", 'touch "$PREFIX/done"')
    prefix.add("a", 'touch "$PREFIX/done"', "b")
    prefix.add("c")
    (prefix.path / "bin/.c-pre-unlink.sh").write_text("exit 1")
    assert prefix.run(wanted=False) == 0
    assert describe("small", prefix.report.read_text()) == (
        "small: the post-link scripts of a, b did not run; if the image needs what they make, set "
        "'post_link_scripts = true' in small/image.toml\n"
    )
    assert not (prefix.path / "done").exists()


def test_without_scripts_there_is_nothing_to_note(prefix: Prefix) -> None:
    """Most environments have none."""
    prefix.add("c")
    (prefix.path / "bin/.c-pre-unlink.sh").write_text("exit 1")
    for wanted in (True, False):
        assert prefix.run(wanted=wanted) == 0
        assert not describe("small", prefix.report.read_text())


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("echo first\necho cannot draw >&2\nexit 3", "bad failed (exit code 3): cannot draw; give it what it needs"),
        ("exit 1", "bad failed (exit code 1): it printed nothing; "),
        ("kill -9 $$", "bad was killed by signal 9: "),
        (
            "echo waiting\nsleep 60 & sleep 60",
            "bad did not end within the time that 'install_timeout' of [tool.pipeline]",
        ),
    ],
)
def test_a_script_that_fails_is_one_sentence(
    prefix: Prefix, capfd: pytest.CaptureFixture[str], script: str, sentence: str
) -> None:
    """It names the package and the last line; no script after it runs."""
    prefix.add("bad", script)
    prefix.add("next", 'touch "$PREFIX/done"', "bad")
    assert prefix.run(seconds=1) == 1
    error = explain("small", capfd.readouterr().err)
    assert str(error).startswith(f"small: the post-link script of {sentence}")
    assert "\n" not in str(error)
    assert not (prefix.path / "done").exists()


def test_another_failure_is_no_script_s() -> None:
    """Errors of pixi itself are explained elsewhere."""
    assert explain("small", "post-link script of a:\nError: no") is None
