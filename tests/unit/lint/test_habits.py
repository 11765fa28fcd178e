"""A project's files beside its code: hooks, owners, proposals of newer versions."""

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.sandbox import commands, programs

ROOT = Path(__file__).parents[3]
FILES = [
    Path(name)
    for name in subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    if name
]
#: Locks that nobody proposes newer versions for, and why.
LEFT_ALONE = {
    "tests/sandbox/engine/go.mod": "its modules are those of one release of Dagger, which dagger.json names",
    "tests/sandbox/engine/distconsts/go.mod": "as the engine's",
    "tests/sandbox/python-sdk/runtime/go.mod": "as the engine's",
    "tests/bench/Dockerfile": "it is measured on the base image that the pipeline has",
}


def read(name: str) -> Any:  # noqa: ANN401 -- whatever the file has
    return yaml.safe_load((ROOT / name).read_text())


def test_each_hook_runs_checks_that_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a program of this repository, so nothing is downloaded."""
    monkeypatch.setattr(programs, "program", lambda name, say: tmp_path / name)  # noqa: ARG005
    monkeypatch.chdir(ROOT)
    known = commands.checks()
    (repository,) = read(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    assert repository["hooks"]
    for hook in repository["hooks"]:
        assert hook["language"] == "system"
        program, command, *names = hook["entry"].split()
        assert (ROOT / program).stat().st_mode & 0o111
        assert command == "lint"
        assert names == ["--quick"] or set(names) <= set(known)
    for name, check in known.items():
        assert Path(check[0]).exists() or name == "actionlint", f"{check[0]} of {name} is not there"


def test_newer_versions_of_every_lock_are_proposed() -> None:
    """By Dependabot or by the script, each a week after it came out; what nobody proposes has a reason."""
    updates = read(".github/dependabot.yml")["updates"]
    assert all(update["cooldown"] == {"default-days": 7} for update in updates)
    folders = {
        (update["package-ecosystem"], folder.strip("/"))
        for update in updates
        for folder in update.get("directories", [update.get("directory")])
    }
    script = (ROOT / "tests/relock").read_text()
    assert "'7 days ago'" in script
    kinds = {"go.mod": "gomod", "Cargo.lock": "cargo", "Dockerfile": "docker"}
    missed = [
        str(path)
        for path in FILES
        if (path.name in kinds or path.suffix == ".lock")
        and (kinds.get(path.name), path.parent.as_posix()) not in folders
        and not is_relocked(path, script)
    ]
    assert sorted(missed) == sorted(LEFT_ALONE)
    assert ("github-actions", "") in folders


def is_relocked(path: Path, script: str) -> bool:
    """Whether the script or the weekly `lock` of images writes a lock."""
    if path == Path("tools.lock"):
        return True
    if path.name in {"pixi.lock", "base.lock"}:
        return len(path.parts) == 2
    folder = re.escape(path.parent.as_posix())
    return bool(
        re.search(rf"^compile {folder} {re.escape(path.name)} ", script, re.MULTILINE)
        or re.search(rf"^repeat {re.escape(str(path))} ", script, re.MULTILINE)
        or (
            path.parent == Path("pipeline/scripts")
            and re.search(rf"^for script in .*\b{path.stem}\b", script, re.MULTILINE)
        )
    )


def test_every_file_has_an_owner() -> None:
    """The first pattern is all of them."""
    rules = [line.split() for line in (ROOT / ".github/CODEOWNERS").read_text().splitlines() if line[:1] != "#"]
    assert rules[0][0] == "*"
    assert all(len(rule) > 1 and all(owner.startswith("@maniaclab/") for owner in rule[1:]) for rule in rules)


def test_all_files_name_one_repository() -> None:
    """And one licence."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = read("CITATION.cff")
    address = citation["repository-code"]
    assert project["urls"]["Repository"] == address
    assert all(url.startswith(address) for url in project["urls"].values())
    assert project["license"] == citation["license"]
    assert project["authors"] == [{"name": author["name"]} for author in citation["authors"]]
    for name in ("SECURITY.md", ".github/ISSUE_TEMPLATE/config.yml"):
        assert f"{address}/security/advisories/new" in (ROOT / name).read_text()


def test_what_the_module_is_installed_from_is_given_to_the_engine() -> None:
    """Other files of the top folder are left out; a file that pyproject.toml names would be missing."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    included = ["!*", "dagger.json", "pyproject.toml", "requirements.lock", "pipeline/**/*"]
    assert json.loads((ROOT / "dagger.json").read_text())["include"] == included
    assert set(project["readme"]) == {"text", "content-type"}
