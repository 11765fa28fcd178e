"""Tags of a repository, as the page lists them."""

from pipeline.registry.tags import newest


def test_tags_are_ordered_as_a_person_looks_for_them() -> None:
    """The usual one, branches, versions from the newest on, then ids of commits."""
    tags = ["2026.2.0", "sha-0a1b2c3", "main", "2026.10.0", "latest", "2026.2.0rc1"]
    # The SIF of an image stands beside its tag.
    tags += ["2026.2.0-sif", "latest-sif"]
    assert newest(tags) == ["latest", "main", "2026.10.0", "2026.2.0", "2026.2.0rc1", "sha-0a1b2c3"]
