from dataclasses import replace
from datetime import UTC, datetime

from dagger import dag

from pipeline.build.finalize import labels, reject_ineffective
from pipeline.build.inputs import BuildInputs
from pipeline.config.image_toml import ImageSpec
from pipeline.config.settings import Settings
from pipeline.errors import Code, SpecError
from pipeline.git.commit import Commit
from tests.unit.refusals import refused

COMMIT = Commit(sha="ab" * 20, time=datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC), changed=())


def inputs(settings: Settings, commit: Commit | None) -> BuildInputs:
    """Build inputs of the image ``small``; its files are not looked at."""
    return BuildInputs("small", ImageSpec(description="A small image"), settings, dag.directory(), commit=commit)


def test_a_variable_that_the_activation_sets_is_refused() -> None:
    """Its value in image.toml would be lost at each start; the same value is none that is lost."""
    spec = ImageSpec(description="x", env={"GDAL_DATA": "/mine", "PROJ_DATA": "/theirs", "OWN": "1"})
    given = replace(inputs(Settings(), None), spec=spec)
    reject_ineffective(given, {"PROJ_DATA": "/theirs", "PATH": "/app/bin"})
    at = {"small/image.toml": "env.GDAL_DATA"}
    with refused(Code.KEY_INVALID, "GDAL_DATA", "small/image.toml", "no effect", at=at, kind=SpecError):
        reject_ineffective(given, {"GDAL_DATA": "/theirs", "PROJ_DATA": "/theirs"})


def test_labels_have_the_names_of_oci() -> None:
    """An image has the label keys that tools look for, and times in the form that they read."""
    settings = Settings(source="https://example.org/images", licenses="Apache-2.0")
    assert labels(inputs(settings, COMMIT), "debian:bookworm-slim") == {
        "org.opencontainers.image.title": "small",
        "org.opencontainers.image.description": "A small image",
        "org.opencontainers.image.source": "https://example.org/images",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.base.name": "debian:bookworm-slim",
        "org.opencontainers.image.created": "2026-02-03T04:05:06Z",
        "org.opencontainers.image.revision": "ab" * 20,
    }


def test_what_is_not_known_is_not_said() -> None:
    """Without a commit there is no date, least of all the one of today."""
    assert list(labels(inputs(Settings(), None), "")) == [
        "org.opencontainers.image.title",
        "org.opencontainers.image.description",
    ]


def test_changed_files_are_of_no_commit() -> None:
    """With changes that are not committed, the revision is left out: nobody finds these files under it."""
    changed = replace(COMMIT, changed=("small/pixi.lock",))
    assert "org.opencontainers.image.revision" not in labels(inputs(Settings(), changed), "")


def test_a_locked_base_image_is_said_with_its_digest() -> None:
    """By both of OCI's keys, so that tools find it again."""
    pinned = replace(inputs(Settings(), None), base_digests={"debian:12": "sha256:12"})
    found = labels(pinned, "debian:12")
    assert found["org.opencontainers.image.base.name"] == "debian:12"
    assert found["org.opencontainers.image.base.digest"] == "sha256:12"
