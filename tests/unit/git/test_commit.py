import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dulwich import porcelain
from dulwich.objects import Blob, ObjectID, Tree
from dulwich.repo import Repo

from pipeline.git.commit import Commit, is_left_out
from pipeline.git.commit import read_commit as read
from tests.unit.repository import AUTHOR, TIME, Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with one commit, an image in it, and what the engine is never given."""
    made = Repository(tmp_path / "repository")
    made.write("small/image.toml", "description = 'A small image'\n")
    made.write("small/run", "#!/bin/sh\n")
    (made.path / "small/run").chmod(0o755)
    (made.path / "small/link").symlink_to("run")
    made.write("pyproject.toml", "[project]\n")
    made.write("README.md", "# Read me\n")
    made.write("docs/more.md", "# More\n")
    made.write("pipeline/main.py", "# The module\n")
    made.write("requirements.lock", "anyio==4.6\n")
    made.write(".gitignore", "*.log\n")
    made.commit("First")
    return made


def read_commit(checkout: Path) -> Commit | None:
    """The commit of a checkout, whose images are these folders."""
    return read(checkout, ["small", "other"])


def read_changed(checkout: Path) -> tuple[str, ...]:
    commit = read_commit(checkout)
    assert commit is not None
    return commit.changed


def test_a_clean_checkout_has_its_commit(repository: Repository) -> None:
    """Id and time are those of the newest commit, and nothing differs from it."""
    sha = repository.commit("Second")
    commit = read_commit(repository.path)
    assert commit is not None
    assert commit.sha == sha
    assert commit.time == datetime.fromtimestamp(TIME + 3600, UTC)
    assert commit.changed == ()


def test_a_detached_checkout_has_its_commit(repository: Repository) -> None:
    """An older commit that was checked out is the commit of the checkout."""
    first = Repo(str(repository.path)).head()
    repository.write("small/image.toml", "description = 'Another'\n")
    repository.commit("Second")
    porcelain.checkout(repository.path, first)
    commit = read_commit(repository.path)
    assert commit is not None
    assert (commit.sha, commit.changed) == (first.decode(), ())


def test_packed_references_and_objects_are_read(repository: Repository) -> None:
    """A repository that git tidied up says the same."""
    before = read_commit(repository.path)
    porcelain.pack_refs(repository.path, all=True)
    porcelain.repack(repository.path)
    (repository.path / ".git/refs/heads/master").unlink(missing_ok=True)
    assert (repository.path / ".git/packed-refs").is_file()
    assert read_commit(repository.path) == before
    assert before is not None


def test_a_shallow_clone_has_its_commit(repository: Repository) -> None:
    """The newest commit is enough: this is what CI checks out."""
    repository.write("small/image.toml", "description = 'Another'\n")
    sha = repository.commit("Second")
    repository.make_shallow()
    commit = read_commit(repository.path)
    assert commit is not None
    assert (commit.sha, commit.changed) == (sha, ())


def test_the_commit_is_read_from_what_the_engine_has(repository: Repository, tmp_path: Path) -> None:
    """Without git's configuration and index, and with what is left out missing, the commit is the same and clean."""
    exported = repository.exported(tmp_path / "exported", "README.md", "docs")
    assert not (exported / ".git/config").exists()
    assert not (exported / "docs").exists()
    assert read_commit(exported) == read_commit(repository.path)
    assert read_changed(exported) == ()


@pytest.mark.parametrize("name", ["none", "file", "unborn", "no objects", "other references"])
def test_where_no_commit_can_be_read_there_is_none(repository: Repository, name: str) -> None:
    """A plain folder, a git worktree, a new repository, and what cannot be read are no failure."""
    git = repository.path / ".git"
    match name:
        case "unborn":
            shutil.rmtree(git)
            porcelain.init(repository.path).close()
        case "no objects":
            shutil.rmtree(git / "objects")
            (git / "objects").mkdir()
        case "other references":
            (git / "HEAD").write_text("ref: refs/heads/.invalid\n")
        case _:
            shutil.rmtree(git)
            if name == "file":
                git.write_text("gitdir: /somewhere/.git/worktrees/here\n")
    assert read_commit(repository.path) is None


def test_a_repository_with_longer_ids_has_none(repository: Repository) -> None:
    """A commit of a SHA-256 repository has no id of 40 digits, and is not cut to one."""
    (repository.path / ".git/HEAD").write_text("a1" * 32 + "\n")
    assert read_commit(repository.path) is None


def test_what_differs_is_named(repository: Repository) -> None:
    """Changed, new and deleted files, other permissions and other links are listed by their paths, in order."""
    repository.write("small/image.toml", "description = 'Changed'\n")
    repository.write("small/new.txt", "new\n")
    (repository.path / "small/run").chmod(0o644)
    (repository.path / "small/link").unlink()
    (repository.path / "small/link").symlink_to("image.toml")
    (repository.path / "pyproject.toml").unlink()
    assert read_changed(repository.path) == (
        "pyproject.toml",
        "small/image.toml",
        "small/link",
        "small/new.txt",
        "small/run",
    )


def test_a_deleted_image_is_told(repository: Repository) -> None:
    """A folder that is gone is gone with all its files."""
    shutil.rmtree(repository.path / "small")
    assert read_changed(repository.path) == ("small/image.toml", "small/link", "small/run")


def test_what_people_export_is_no_change(repository: Repository) -> None:
    """Neither in `out/` nor elsewhere: an image is made of its folder, the settings and the module alone."""
    for name in ("out/small.tar", "small.html", "smoke.xml", "small.cdx.json", "cosign.key", "notes/x", "new/x.tar"):
        repository.write(name, "x\n")
    assert read_changed(repository.path) == ()


def test_caches_and_keys_are_no_change(repository: Repository) -> None:
    """Files that no engine gets, at any depth, cannot be in an image."""
    for name in (".pixi/envs/x", "app/node_modules/x", "__pycache__/x.pyc", ".ipynb_checkpoints/x.ipynb", "tls.key"):
        repository.write(f"small/{name}", "x\n")
    assert read_changed(repository.path) == ()


def test_an_ignored_file_of_an_image_is_a_change(repository: Repository) -> None:
    """git does not commit it, and a Dockerfile copies it: the image would not be that of the commit."""
    repository.write("small/.gitignore", "build/\n")
    repository.commit("Second")
    repository.write("small/run.log", "x\n")
    repository.write("small/build/x", "x\n")
    assert read_changed(repository.path) == ("small/build/x", "small/run.log")


@pytest.mark.parametrize(
    "name",
    ["pipeline/main.py", "pipeline/scripts/new.py", "pyproject.toml", "images.toml", "tools.lock", "requirements.lock"],
)
def test_settings_and_module_count_for_every_image(repository: Repository, name: str) -> None:
    """An edited pipeline makes another image of the same folder, and so do other settings."""
    repository.write(name, "changed = true\n")
    commit = read_commit(repository.path)
    assert commit is not None
    assert commit.of(["small"]).changed == commit.of(["other"]).changed == (name,)


def test_another_image_does_not_count(repository: Repository) -> None:
    """Of two images one may be changed, and the other one is that of the commit."""
    repository.write("other/image.toml", "description = 'Another image'\n")
    commit = read_commit(repository.path)
    assert commit is not None
    assert commit.of(["small"]).changed == ()
    assert (commit.revision, commit.of(["small"]).revision) == ("", commit.sha)
    assert commit.of(["other", "small"]).changed == commit.changed == ("other/image.toml",)


def test_a_change_to_what_is_left_out_cannot_be_seen(repository: Repository, tmp_path: Path) -> None:
    """The engine is not given the README, so its deletion and its change are the same to it: none."""
    (repository.path / "README.md").unlink()
    assert read_changed(repository.exported(tmp_path / "exported")) == ()


def test_a_submodule_is_not_looked_into(repository: Repository) -> None:
    """The files of a submodule are neither new nor deleted, whether it is checked out or not."""
    git = Repo(str(repository.path))
    entry = Blob.from_string(b"x\n")
    folder, tree = Tree(), Tree()
    folder.add(b"module", 0o160000, ObjectID(b"a1" * 20))
    folder.add(b"file", 0o100644, entry.id)
    tree.add(b"small", 0o040000, folder.id)
    git.object_store.add_objects([(entry, None), (folder, None), (tree, None)])
    sha = git.get_worktree().commit(message=b"Module", tree=tree.id, author=AUTHOR, committer=AUTHOR)
    git.close()
    for path in ("small", "pipeline"):
        shutil.rmtree(repository.path / path)
    for path in ("pyproject.toml", "requirements.lock"):
        (repository.path / path).unlink()
    repository.write("small/file", "y\n")
    repository.write("small/module/inside.txt", "x\n")
    repository.write("small/module/.git", "gitdir: ../../.git/modules/module\n")
    commit = read_commit(repository.path)
    assert commit is not None
    assert commit.sha == sha.decode()
    assert commit.changed == ("small/file",)


@pytest.mark.parametrize(
    ("path", "left_out"),
    [
        (".ci/run", True),
        (".git/HEAD", False),
        (".git/config", True),
        (".git/objects/pack/x.pack", False),
        (".git/refs/heads/tls.key", False),
        (".git/objects/pack/tmp_pack_x", True),
        (".git/logs/HEAD", True),
        (".gitignore", True),
        ("README.md", True),
        ("dev", True),
        ("docs/more.md", True),
        ("out/small.tar", True),
        ("small.tar", True),
        ("cosign.key", True),
        ("pipeline/main.py", False),
        ("pipeline/__pycache__/main.pyc", True),
        ("pyproject.toml", False),
        ("requirements.lock", False),
        ("tools.lock", False),
        ("other.lock", True),
        ("small/README.md", False),
        ("small/__pycache__/x.pyc", True),
        ("small/.pixi/envs/default/bin/python", True),
        ("small/deep/.venv/bin/python", True),
        ("small/deep/.ipynb_checkpoints/x.ipynb", True),
        ("small/deep/node_modules/x/index.js", True),
        ("small/deep/.git/objects/pack/x.pack", True),
        ("small/deep/.git", True),
        ("small/deep/id_ed25519", True),
        ("small/deep/id_ed25519.pub", False),
        ("small/deep/small.tar", False),
        ("small/out/x", False),
        ("small/docs/more.md", False),
        ("small/pixi.lock", False),
    ],
)
def test_patterns_are_of_the_top_folder(path: str, *, left_out: bool) -> None:
    """A pattern without ``**`` is about the top folder alone; what an image's folder holds may be part of it."""
    assert is_left_out(path) is left_out
