from datetime import date
from pathlib import Path

import pytest
from packaging.version import Version

from pipeline.commands.release import check_next, find_locations, next_version, parse_day, prepare, replace_version
from pipeline.errors import Code, TagError
from tests.unit.refusals import refused
from tests.unit.repository import Repository

PROJECT = '# About\n[project]\nname = "x" # a name\nversion = "2026.2.0" # of all\n\n[tool.other]\nversion = "9.9.9"\n'
MANIFEST = "[workspace]\nchannels = []\nversion='2026.02.0'\n[dependencies]\nversion = '*'\n"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A checkout with two images, of which one says the version, after its release 2026.2.0."""
    made = Repository(tmp_path / "repository")
    made.write("pyproject.toml", PROJECT)
    made.write("CHANGELOG.md", "# Changelog\n\n## Unreleased\n\n## 2026.2.0 - 2026-02-02\n\n- Begin\n")
    for image in ("large", "small", "files"):
        made.write(f"{image}/image.toml", "description = 'An image'\n")
    made.write("large/pixi.toml", MANIFEST)
    made.write("small/pixi.toml", "[workspace]\nchannels = []\n")
    made.commit("Begin")
    made.tag("v2026.2.0")
    made.write("small/pixi.toml", "[workspace]\nchannels = ['conda-forge']\n")
    made.commit("Use conda-forge")
    return made


def test_a_release_changes_the_version_wherever_it_stands(repository: Repository) -> None:
    """The files that have it get it, with their comments and all else as they are; the changelog has the commits."""
    release = prepare(repository.path, None, None)
    assert str(release.version) == "2026.3.0"
    assert release.files["pyproject.toml"] == PROJECT.replace("2026.2.0", "2026.3.0")
    assert release.files["large/pixi.toml"].replace('"', "'") == MANIFEST.replace("2026.02.0", "2026.3.0")
    assert "## 2026.3.0 - 2026-02-03\n\n### Commits\n- Use conda-forge\n" in release.files["CHANGELOG.md"]
    assert set(release.files) == {"pyproject.toml", "large/pixi.toml", "CHANGELOG.md"}


def test_a_manifest_of_today_is_changed_where_the_version_is(repository: Repository) -> None:
    """A byte order mark and a table over several lines stay as they are."""
    manifest = '\ufeff[workspace]\nversion = "2026.2.0"\n[dependencies]\nzlib = {\n  version = "*",\n}\n'
    repository.write("large/pixi.toml", manifest)
    repository.commit("Write it otherwise")
    release = prepare(repository.path, None, None)
    assert release.files["large/pixi.toml"] == manifest.replace("2026.2.0", "2026.3.0")


def test_it_is_told_what_to_type_next(repository: Repository) -> None:
    """The tag and the push are the person's: nothing publishes before."""
    summary = prepare(repository.path, "2026.3.0", None).summary
    assert summary.startswith("2026.3.0: 1 commit since v2026.2.0; ")
    assert "git tag --annotate v2026.3.0 --message 'Release 2026.3.0'\n" in summary
    assert "git push origin HEAD v2026.3.0" in summary


def test_version_and_day_can_be_given(repository: Repository) -> None:
    """A patch, a pre-release and a day are the person's choice."""
    assert "## 2026.2.1 - 2026-03-04" in prepare(repository.path, "v2026.2.1", "2026-03-04").files["CHANGELOG.md"]
    assert 'version = "2026.3.0rc1" # of all' in prepare(repository.path, "2026.3.0-rc.1", None).files["pyproject.toml"]


def test_the_version_of_this_repository_is_the_same_everywhere() -> None:
    """A release of this repository finds its places, and they agree."""
    assert {location.file for location in find_locations(ROOT)} >= {"pyproject.toml", "ml_platform/pixi.toml"}


def test_the_next_version_needs_no_change_of_the_files_that_have_it(repository: Repository) -> None:
    """Files whose version was never released have the next one already."""
    repository.write("pyproject.toml", PROJECT.replace("2026.2.0", "2026.3.0"))
    repository.write("large/pixi.toml", MANIFEST.replace("2026.02.0", "2026.3.0"))
    release = prepare(repository.path, None, None)
    assert (str(release.version), set(release.files)) == ("2026.3.0", {"CHANGELOG.md"})


@pytest.mark.parametrize(
    ("current", "released", "day", "following"),
    [
        ("2026.2.0", [], "2026-05-01", "2026.2.0"),
        ("2026.2.0", ["2026.2.0"], "2026-05-01", "2026.3.0"),
        ("2026.2.1", ["2026.2.0", "2026.2.1"], "2026-05-01", "2026.3.0"),
        ("2026.2.1", ["2026.2.0"], "2026-05-01", "2026.2.1"),
        ("2026.9.0", ["2026.9.0"], "2026-12-31", "2026.10.0"),
        ("2026.9.0", ["2026.9.0"], "2027-01-01", "2027.1.0"),
        ("2025.4.0", [], "2026-05-01", "2026.1.0"),
        ("2026.1.4", ["2026.1.4", "2026.3.0"], "2026-05-01", "2026.4.0"),
        ("2026.3.0rc1", ["2026.2.0", "2026.3.0rc1"], "2026-05-01", "2026.3.0"),
        ("2026.3.0rc2", ["2026.2.0", "2026.3.0rc1"], "2026-05-01", "2026.3.0rc2"),
    ],
)
def test_the_next_version_follows_year_and_releases(
    current: str, released: list[str], day: str, following: str
) -> None:
    """A new year starts with minor 1, a release adds one to the minor, what was not released is next."""
    found = next_version(Version(current), {Version(version) for version in released}, date.fromisoformat(day))
    assert str(found) == following


def test_a_day_before_the_newest_version_is_refused() -> None:
    """A version of a year to come is a slip of the clock or of the hand."""
    with refused(Code.VERSION_INVALID, "2027.1.0", "2026-05-01", "--date"):
        next_version(Version("2026.1.0"), {Version("2027.1.0")}, date(2026, 5, 1))


@pytest.mark.parametrize(
    ("version", "facts"),
    [("2026.2.0", ["released before", "CHANGELOG.md"]), ("2026.1.9", ["older than 2026.2.1", "pyproject.toml"])],
)
def test_a_version_that_is_not_next_is_refused(version: str, facts: list[str]) -> None:
    """One that was released is, and one that is older than the files."""
    with refused(Code.VERSION_INVALID, version, *facts):
        check_next(Version(version), Version("2026.2.1"), {Version("2026.2.0")})


@pytest.mark.parametrize(
    ("file", "text", "code", "facts"),
    [
        ("pyproject.toml", "[tool.x]\n", Code.VERSION_INVALID, ["[project]", "add version ="]),
        ("pyproject.toml", "project = 3\n", Code.VERSION_INVALID, ["[project]", "add version ="]),
        ("pyproject.toml", "[project", Code.TOML_INVALID, ["TOML", "line 1"]),
        ("pyproject.toml", "[project]\nversion = 'x'\n", Code.VERSION_INVALID, ["'version' of [project]", "'x'"]),
        (
            "large/pixi.toml",
            "[project]\nversion = '2026.1.0'\n",
            Code.VERSION_INVALID,
            ["2026.2.0 in pyproject.toml [project]", "2026.1.0 in large/pixi.toml [project]"],
        ),
        ("CHANGELOG.md", "# Changelog\n", Code.CHANGELOG_INVALID, ["'## Unreleased'"]),
    ],
)
def test_files_that_cannot_be_released_are_refused(
    repository: Repository, file: str, text: str, code: Code, facts: list[str]
) -> None:
    """The message has the file, the key and the remedy, before anything changes."""
    repository.write(file, text)
    with refused(code, file, *facts):
        prepare(repository.path, None, None)


@pytest.mark.parametrize(
    ("file", "code"), [("pyproject.toml", Code.VERSION_INVALID), ("CHANGELOG.md", Code.CHANGELOG_INVALID)]
)
def test_a_missing_file_is_named(repository: Repository, file: str, code: Code) -> None:
    """The message has the file to add."""
    (repository.path / file).unlink()
    with refused(code, file, "missing"):
        prepare(repository.path, None, None)


def test_nothing_new_is_nothing_to_release(repository: Repository) -> None:
    """A release without a commit would have nothing to say."""
    repository.tag("v2026.2.1")
    with refused(Code.RELEASE_EMPTY, "v2026.2.1"):
        prepare(repository.path, None, None)


def test_what_is_no_version_or_day_is_refused(repository: Repository) -> None:
    """A version has three numbers, a day is written as a day."""
    with refused(Code.TAG_INVALID, "'2026.3'", "YEAR.MINOR.PATCH", kind=TagError):
        prepare(repository.path, "2026.3", None)
    with refused(Code.OPTION_CONFLICT, "--date '3.4.2026'", "2026-02-28"):
        parse_day("3.4.2026")


def test_inline_tables_and_dotted_keys_are_versions_too(repository: Repository) -> None:
    """However the table is written, its version is found and changed."""
    for text in (
        'project = {name = "x", version = "2026.2.0"}\n',
        'project.name = "x"\nproject.version = "2026.2.0"\n',
    ):
        repository.write("pyproject.toml", text)
        location = find_locations(repository.path)[0]
        assert replace_version(location, Version("2026.3.0")) == text.replace("2026.2.0", "2026.3.0")
