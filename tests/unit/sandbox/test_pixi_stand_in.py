"""The stand-in for a current pixi decides as pixi does: platforms, features, requirements, how a failure looks."""

import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import rattler

from tests.sandbox.pixi_stand_in import (
    activation,
    deprecated,
    fits,
    install,
    listing,
    lock,
    logins,
    manifest,
    pypi_install,
    uv,
    writing,
)
from tests.sandbox.pixi_stand_in import workspace as workspaces
from tests.sandbox.pixi_stand_in.__main__ import main
from tests.sandbox.pixi_stand_in.failures import PixiError, chain, draw
from tests.sandbox.pixi_stand_in.workspace import Workspace

HEAD = '[workspace]\nname = "w"\nchannels = ["conda-forge"]\nplatforms = ["linux-64"]\n'
CUDA = '{ name = "linux-64-cuda", platform = "linux-64", cuda = "12.8" }'
LOCK = """\
version: 7
platforms:
- name: linux-64
environments:
  default:
    channels:
    - url: https://conda.anaconda.org/conda-forge/
    packages:
      linux-64:
      - conda: https://conda.anaconda.org/conda-forge/noarch/words-1.0-h_0.conda
packages:
- conda: https://conda.anaconda.org/conda-forge/noarch/words-1.0-h_0.conda
  sha256: 4eaaa4714d6c345ff036b300d5cf10e92c65fa7c4e8a0d86153b4563d335e3c5
  size: 28948
"""

type Write = Callable[..., Workspace]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a manifest, and read it as a workspace on a machine without CUDA."""
    monkeypatch.setenv("CONDA_OVERRIDE_CUDA", "")

    def done(text: str, name: str = "pixi.toml") -> Workspace:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return workspaces.read(tmp_path / name)

    return done


@pytest.mark.parametrize(
    ("platforms", "cuda", "taken"),
    [
        (f'["linux-64", {CUDA}]', "12.8", "linux-64"),
        (f'[{CUDA}, "linux-64"]', "12.8", "linux-64-cuda"),
        (f'[{CUDA}, "linux-64"]', "13", "linux-64-cuda"),
        (f'[{CUDA}, "linux-64"]', "12", "linux-64"),
        (f'[{CUDA}, "linux-64"]', "", "linux-64"),
        ('[{ platform = "linux-64", cuda = "12" }]', "12.0", "linux-64-cuda-12"),
    ],
)
def test_the_first_platform_that_the_machine_can_run_is_taken(
    write: Write, monkeypatch: pytest.MonkeyPatch, platforms: str, cuda: str, taken: str
) -> None:
    """None is better because it asks for more."""
    found = write(HEAD.replace('["linux-64"]', platforms)).environment("default")
    monkeypatch.setenv("CONDA_OVERRIDE_CUDA", cuda)
    assert found.platform().name == taken


def test_a_machine_that_can_run_no_platform_is_told_why(write: Write) -> None:
    """With the variable that would do."""
    found = write(HEAD.replace('["linux-64"]', f"[{CUDA}]")).environment("default")
    with pytest.raises(PixiError) as error:
        found.platform()
    assert "linux-64-cuda (subdir linux-64): missing virtual packages: __cuda >= 12.8" in error.value.causes[0]
    assert "CONDA_OVERRIDE_CUDA=12.8" in error.value.help


def test_system_requirements_make_platforms(write: Write) -> None:
    """Each environment has the platform that its features need together."""
    found = write(
        HEAD + '[feature.gpu.system-requirements]\ncuda = "12"\n[feature.new.system-requirements]\nlibc = "2.34"\n'
        '[environments]\ngpu = ["gpu"]\nboth = ["gpu", "new"]\n'
    )
    names = {name: [platform.name for platform in one.platforms] for name, one in found.environments.items()}
    assert names == {
        "default": ["linux-64"],
        "gpu": ["linux-64-cuda-12"],
        "both": ["linux-64-cuda-12-glibc-2-34"],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEAD.replace('["linux-64"]', f"[{CUDA}]") + '[system-requirements]\ncuda = "12"\n',
            "the default feature uses",
        ),
        (HEAD + "[system-requirements]\nunix = true\n", "Unexpected keys, expected only 'macos'"),
        ("[dependencies]\n", "Missing table in manifest pixi.toml"),
        (HEAD + "x = [", "pixi.toml:5:"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(write: Write, text: str, message: str) -> None:
    """In pixi's words."""
    with pytest.raises(PixiError) as error:
        write(text)
    assert message in str(error.value)


def test_a_manifest_is_toml_of_today(write: Write) -> None:
    """A byte order mark, and a table over several lines."""
    found = write("\ufeff" + HEAD + '[dependencies]\nzlib = {\n  version = "*",\n}\n').environment("default")
    assert found.requests(found.platforms[0]) == {"zlib": [{"version": "*"}]}


def test_targets_and_features_are_put_together(write: Write) -> None:
    """A target's requirement replaces that of its feature; those of two features hold both."""
    found = write(
        HEAD + '[dependencies]\na = "1"\nb = "1"\n[target.linux-64.dependencies]\na = "2"\n[target.win.dependencies]\n'
        'b = "9"\n[feature.x.dependencies]\nb = "<3"\n[environments]\nx = ["x"]\nbare = {features = ["x"], '
        "no-default-feature = true}\n"
    )
    platform = found.platforms[0]
    asked = {name: one.requests(platform) for name, one in found.environments.items()}
    assert asked["default"] == {"a": [{"version": "2"}], "b": [{"version": "1"}]}
    assert asked["x"] == {"b": [{"version": "<3"}, {"version": "1"}], "a": [{"version": "2"}]}
    assert asked["bare"] == {"b": [{"version": "<3"}]}


def test_a_python_project_says_what_it_needs(write: Write) -> None:
    """Its dependencies are PyPI packages, its extras are features, and it needs a Python."""
    found = write(
        '[project]\nname = "mine"\nrequires-python = ">=3.11"\ndependencies = '
        "[\"click[x]>=8, <9 ; os_name=='posix'\"]\n"
        '[project.optional-dependencies]\ntest = ["pytest"]\nall = ["mine[test]", "rich"]\n[tool.pixi.workspace]\n'
        'channels = []\nplatforms = ["linux-64"]\n[tool.pixi.environments]\nall = ["all"]\n',
        "pyproject.toml",
    )
    default, everything = found.environment("default"), found.environment("all")
    platform = found.platforms[0]
    assert default.requests(platform) == {"python": [{"version": ">=3.11"}]}
    wanted = {"version": ">=8, <9", "extras": ["x"], "env-markers": 'os_name == "posix"'}
    assert default.pypi(platform) == {"click": [wanted]}
    assert set(everything.pypi(platform)) == {"click", "pytest", "rich"}
    assert found.name == "mine"


def test_a_lock_is_held_against_its_manifest(write: Write) -> None:
    """Each locked package must be required, and each requirement must be locked."""
    found = write(HEAD + '[dependencies]\nwords = "1.*"\n')
    found.lock.write_text(LOCK)
    assert list(fits.complaints(found, lock.load(found))) == []
    newer = write(HEAD + '[dependencies]\nwords = ">=2"\n')
    assert "'words >=2' could not be satisfied" in next(fits.complaints(newer, lock.load(newer)))
    nothing = write(HEAD)
    assert "more conda packages" in next(fits.complaints(nothing, lock.load(nothing)))
    other = write(HEAD.replace("conda-forge", "bioconda") + '[dependencies]\nwords = "*"\n')
    assert "channels" in next(fits.complaints(other, lock.load(other)))
    found.lock.unlink()
    assert "does not exist in the lock file" in next(fits.complaints(found, lock.load(found)))


def test_a_locked_package_is_listed_as_pixi_lists_it(
    write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All fields in their order, those without a value, too; a stale lock is refused with 1."""
    found = write(HEAD + '[dependencies]\nwords = "1.*"\n')
    found.lock.write_text(LOCK)
    monkeypatch.chdir(found.root)
    assert main(["list", "--locked", "--no-install", "--json"]) == 0
    [line] = json.loads(capsys.readouterr().out)
    assert list(line) == list(listing.EMPTY)
    assert (line["name"], line["version"], line["build"], line["is_explicit"]) == ("words", "1.0", "h_0", True)
    assert line["source"] == "https://conda.anaconda.org/conda-forge"
    write(HEAD)
    assert main(["list", "--locked", "--no-install", "--json"]) == 1
    assert capsys.readouterr().err == "Error:   × lock file not up-to-date with the workspace\n"


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({"version": ">=1,<2"}, '">=1, <2"'),
        ({"path": ".", "editable": True}, '{ path = ".", editable = true }'),
        ({"version": "*", "extras": ["x"]}, '{ version = "*", extras = ["x"] }'),
    ],
)
def test_what_is_asked_for_is_shown_as_toml(asked: dict[str, object], shown: str) -> None:
    """As pixi shows it of a PyPI package."""
    assert listing.pypi_spec(asked) == shown


def test_activation_is_in_the_order_of_pixi(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of the workspace, scripts, then those of the manifest; it warns of a missing script."""
    found = write(
        HEAD + '[activation]\nscripts = ["a.sh", "gone.sh"]\n[activation.env]\nA = "b c"\n'
        '[target.unix.activation.env]\nHERE = "$CONDA_PREFIX/x"\n'
    )
    (found.root / "a.sh").write_text("")
    (found.root / ".pixi/envs/default/conda-meta").mkdir(parents=True)
    monkeypatch.setenv("PATH", "/bin")
    default = found.environment("default")
    lines = activation.shell_hook(default, found.platforms[0], prompt=False).splitlines()
    order = [
        f'export PATH="{default.prefix}/bin:/bin"',
        "export CONDA_DEFAULT_ENV=w",
        f". {found.root}/a.sh",
        'export HERE="$CONDA_PREFIX/x"',
        "export A='b c'",
    ]
    assert [line for line in lines if line in order] == order


def test_a_failure_is_drawn_as_pixi_draws_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree of causes, broken into lines unless that is turned off, and help below."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("PIXI_NO_WRAP", raising=False)
    error = PixiError("it failed", "first\nof two lines", "x " * 50, remedy="do this")
    lines = draw(error).splitlines()
    assert lines[:3] == ["Error:   × it failed", "  ├─▶ first", "  │   of two lines"]
    assert lines[3].startswith("  ╰─▶ x x")
    assert lines[-1] == "  help: do this"
    assert all(len(line) <= 80 for line in lines)
    monkeypatch.setenv("PIXI_NO_WRAP", "1")
    assert len(draw(error).splitlines()) == 5


def test_what_is_deprecated_is_shown_in_its_place(write: Write) -> None:
    """A line leads from the table to the remedy."""
    found = write('[project]\nname = "w"\nchannels = []\nplatforms = ["linux-64"]\n')
    assert deprecated.warnings(found).splitlines()[1:] == [
        "  ⚠ The `project` field is deprecated. Use `workspace` instead.",
        f"   ╭─[{found.manifest}:1:1]",
        " 1 │ ╭─▶ [project]",
        ' 2 │ │   name = "w"',
        " 3 │ │   channels = []",
        ' 4 │ ├─▶ platforms = ["linux-64"]',
        "   · ╰──── replace this with 'workspace'",
        "   ╰────",
    ]
    assert deprecated.warnings(write(HEAD)) == ""


def test_a_lock_gets_what_rattler_does_not_write() -> None:
    """Indexes, and the needs of PyPI packages; what pixi does not know is left out."""
    text = (
        "version: 7\nenvironments:\n  default:\n    channels: []\n    packages:\n      linux-64:\n"
        "      - pypi: https://x/a.whl\n"
        "packages:\n- conda: https://x/b.conda\n  md5: 1\n  size: 3\n  indexed_timestamp: 5\n- pypi: https://x/a.whl\n"
        "  name: a\n  version: '1'\n"
    )
    details = {"https://x/b.conda": ["  purls: []"], "https://x/a.whl": ["  name: a", "  requires_dist:", "  - b"]}
    done = writing.completed(text, details, {"default": ["https://index/simple"]})
    assert "    indexes:\n    - https://index/simple\n    packages:\n" in done
    assert "  md5: 1\n  purls: []\n  size: 3\n- pypi: https://x/a.whl\n  name: a\n  requires_dist:\n  - b\n" in done


def test_a_lock_s_packages_are_told_to_uv(tmp_path: Path) -> None:
    """Each kind in its own way, so that uv notes where a package is from only where pixi does."""
    platform = rattler.LockPlatform("linux-64")
    made = rattler.LockFile([platform])
    places = [
        "git+https://host/r?subdirectory=s&rev=v1#abc",
        "direct+https://host/b-1.whl",
        "./mine",
        "https://i/c-1.whl",
    ]
    for number, place in enumerate(places):
        made.add_pypi_package("default", platform, f"p{number}", "1", place)
    made.to_path(tmp_path / "pixi.lock")
    environment = rattler.LockFile.from_path(tmp_path / "pixi.lock").default_environment()
    assert environment is not None
    found = {one.location: one for one in environment.packages(environment.platforms()[0]) or []}
    last = [
        pypi_install.installed(found[place], {"editable": True}, tmp_path)[-1]  # type: ignore[arg-type]
        for place in places
    ]
    assert last == [
        'vcs = { type = "git", url = "https://host/r", commit-id = "abc", subdirectory = "s" }',
        'archive = { url = "https://host/b-1.whl", hashes = {} }',
        f'directory = {{ path = "{tmp_path}/mine", editable = true }}',
        'wheels = [{ url = "https://i/c-1.whl", hashes = {} }]',
    ]


def test_the_installer_of_a_package_is_named(tmp_path: Path) -> None:
    """In its record, too; what another one installed stays as it is."""
    info = tmp_path / "a-1.dist-info"
    info.mkdir()
    (info / "INSTALLER").write_text("uv")
    (info / "RECORD").write_text("a.py,,\na-1.dist-info/INSTALLER,sha256=x,2\n")
    pypi_install.name_installer(info / "INSTALLER")
    assert (info / "INSTALLER").read_text() == "uv-pixi"
    assert (info / "RECORD").read_text().splitlines() == [
        "a.py,,",
        "a-1.dist-info/INSTALLER,sha256=LO0H8daPWMHZiOKJDg6F-RtEXo3Rkxvwh5Y9P0mQuRU,7",
    ]
    (info / "INSTALLER").write_text("conda")
    pypi_install.name_installer(info / "INSTALLER")
    assert (info / "INSTALLER").read_text() == "conda"


def test_what_uv_says_becomes_causes() -> None:
    """The lines that it draws, each with what belongs to it."""
    output = (
        "  × No solution found when resolving dependencies:\n  ╰─▶ Because a was not found\n      we can conclude it\n"
    )
    assert uv.causes(output) == [
        "failed to resolve pypi dependencies",
        "Because a was not found\nwe can conclude it",
    ]


def test_what_is_installed_from_the_very_lock_is_not_looked_at_again(write: Write) -> None:
    """The lock's hash decides, as in the file that pixi leaves."""
    found = write(HEAD + '[dependencies]\nwords = "1.*"\n')
    found.lock.write_text(LOCK)
    locked, environment = lock.load(found), found.environment("default")
    assert locked is not None
    assert not install.is_installed(environment, locked)
    meta = environment.prefix / "conda-meta"
    meta.mkdir(parents=True)
    (meta / "pixi").write_text(json.dumps({"environment_lock_file_hash": install.fingerprint(LOCK)}))
    assert install.is_installed(environment, locked)
    (meta / "pixi").write_text(json.dumps({"environment_lock_file_hash": install.fingerprint("another")}))
    assert not install.is_installed(environment, locked)


def test_a_failure_of_rattler_becomes_causes() -> None:
    """It writes them into one text."""
    assert chain("failed to fetch a\nCaused by: no network\nCaused by: dns error") == [
        "failed to fetch a",
        "no network",
        "dns error",
    ]


def test_groups_name_each_other() -> None:
    """A project's own extras stand for what they hold."""
    groups = {"a": ["x"], "b": ["Mine[a]", "y"]}
    assert manifest.expanded("mine", groups, groups["b"]) == ["x", "y"]


def test_the_pypi_half_logs_in_as_channels_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a password or a bearer token, for the host that has it; a netrc is left to uv where nobody has any."""
    monkeypatch.delenv("RATTLER_AUTH_FILE", raising=False)
    assert logins.environment(tmp_path) == {}
    assert logins.header("https://a.example/x") == {}
    pair = {"username": "me", "password": 'a"b'}
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps({"a.example": {"BasicHTTP": pair}, "b.example": {"BearerToken": "secret"}}))
    monkeypatch.setenv("RATTLER_AUTH_FILE", str(file))
    assert logins.header("https://a.example/x") == {"Authorization": "Basic bWU6YSJi"}
    assert logins.header("https://b.example:8443/") == {"Authorization": "Bearer secret"}
    assert logins.header("https://c.example/a.example") == {}
    assert logins.environment(tmp_path) == {"UV_CREDENTIALS_DIR": str(tmp_path), "NETRC": os.devnull}
    assert tomllib.loads((tmp_path / "credentials.toml").read_text())["credential"] == [
        {"service": "https://a.example/", "scheme": "basic", **pair},
        {"service": "https://b.example/", "scheme": "bearer", "token": "secret"},
    ]
