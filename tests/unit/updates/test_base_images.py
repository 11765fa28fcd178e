import pytest

from pipeline.updates.base_images import (
    Newer,
    Reference,
    built_on,
    cuda_of,
    final_base,
    is_pixi,
    newer_cuda,
    newest_pixi,
    parse,
    pixi_of,
)

DIGEST = f"sha256:{'1' * 64}"
#: As the repository of pixi has them, and some that nobody should be led astray by.
TAGS = [
    "latest", "noble", "noble-cuda-12.9.1", "noble-cuda-13.0.0", "noble-cuda-13.0.2", "noble-cuda-13.0.10",
    "noble-cuda-13.1.0", "noble-cuda-14.0.0", "jammy-cuda-13.0.11", "noble-cuda-13.0.12-devel", "sha256-0123.sig",
    "0.62.2", "0.62.2-noble", "0.62.2-noble-cuda-13.0.0", "0.70.1", "0.70.1-noble", "0.70.1-noble-cuda-13.0.2",
    "0.9.0-noble", "noble-cuda-latest",
]  # fmt: skip


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("debian", Reference("docker.io/library/debian", "latest")),
        ("python:3.12-slim", Reference("docker.io/library/python", "3.12-slim")),
        ("nvidia/cuda:13.0.0-base-ubuntu24.04", Reference("docker.io/nvidia/cuda", "13.0.0-base-ubuntu24.04")),
        ("ghcr.io/prefix-dev/pixi:noble", Reference("ghcr.io/prefix-dev/pixi", "noble")),
        ("localhost:5000/pixi", Reference("localhost:5000/pixi", "latest")),
        (f"ghcr.io/a/b:1@{DIGEST}", Reference("ghcr.io/a/b", "1", DIGEST)),
        (f"ghcr.io/a/b@{DIGEST}", Reference("ghcr.io/a/b", "", DIGEST)),
    ],
)
def test_a_name_is_read_as_docker_does(reference: str, found: Reference) -> None:
    """Registry, path and tag may be left out; a port is no tag."""
    assert parse(reference) == found


def test_a_newer_patch_and_a_newer_version_are_told_apart() -> None:
    """As numbers, among tags that differ in nothing else."""
    assert newer_cuda("noble-cuda-13.0.0", TAGS) == [
        Newer("13.0.10", "noble-cuda-13.0.10", "patch"),
        Newer("14.0.0", "noble-cuda-14.0.0", "major"),
    ]
    assert newer_cuda("noble-cuda-13.0.10", ["noble-cuda-13.1.0"]) == [Newer("13.1.0", "noble-cuda-13.1.0", "minor")]


@pytest.mark.parametrize("tag", ["noble-cuda-14.0.0", "noble", "jammy-cuda-13.0.11", "noble-cuda-13.0.12-devel", ""])
def test_what_is_newest_has_nothing_newer(tag: str) -> None:
    """Neither has a tag without CUDA."""
    assert newer_cuda(tag, TAGS) == []


def test_a_release_of_pixi_is_kept_when_cuda_changes() -> None:
    """Its tags are a shape of their own."""
    tags = ["0.70.1-noble-cuda-13.0.2", "0.62.2-noble-cuda-13.0.1", "noble-cuda-13.0.9"]
    assert newer_cuda("0.62.2-noble-cuda-13.0.0", tags) == [Newer("13.0.1", "0.62.2-noble-cuda-13.0.1", "patch")]
    assert cuda_of("0.62.2-noble-cuda-13.0.0") == "13.0.0"
    assert cuda_of("noble") == ""


@pytest.mark.parametrize(
    ("tag", "current", "found"),
    [
        ("noble", "0.62.2", ("0.70.1", "0.70.1-noble")),
        ("0.62.2-noble", "0.62.2", ("0.70.1", "0.70.1-noble")),
        ("latest", "0.62.2", ("0.70.1", "0.70.1")),
        ("0.62.2", "0.62.2", ("0.70.1", "0.70.1")),
        ("noble-cuda-13.0.0", "0.62.2", ("0.70.1", "")),
        ("0.62.2-noble-cuda-13.0.0", "0.62.2", ("0.70.1", "")),
        ("noble", "0.70.1", None),
        ("noble", "0.71.0", None),
    ],
)
def test_the_newest_pixi_is_found_on_the_same_base(tag: str, current: str, found: tuple[str, str] | None) -> None:
    """Without an image of it on that base, only the version is reported."""
    assert newest_pixi(tag, TAGS, current) == found


def test_a_repository_without_releases_says_nothing_of_pixi() -> None:
    """One of somebody's own has tags of its own."""
    assert newest_pixi("noble", ["noble", "jammy"], "0.15.2") is None
    assert (is_pixi("ghcr.io/prefix-dev/pixi:noble"), is_pixi("ghcr.io/a/b:1.2.3")) == (True, False)
    assert (pixi_of("0.62.2-noble"), pixi_of("noble")) == ("0.62.2", "")


def test_the_bases_of_a_dockerfile_are_found() -> None:
    """Not its own stages, nothing, or what a variable says."""
    text = """
        # FROM comment:1
        FROM --platform=linux/amd64 debian:12 AS build
        from build as second
        FROM scratch
        FROM $BASE
        FROM debian:12
        FROM python:3.12@sha256:1
        RUN echo FROM nowhere:1
    """
    assert built_on(text) == ["debian:12", "python:3.12@sha256:1"]


@pytest.mark.parametrize(
    ("dockerfile", "base"),
    [
        ("FROM debian:12\nRUN true\n", "debian:12"),
        ("FROM golang:1 AS build\nFROM debian:12\nCOPY --from=build /a /a\n", "debian:12"),
        ("FROM --platform=$BUILDPLATFORM debian:12 AS Base\nFROM golang:1 AS build\nfrom base as last\n", "debian:12"),
        ("FROM debian:12 AS debian\nFROM debian AS debian\n", "debian:12"),
        ("FROM golang:1 AS build\nFROM scratch\nCOPY --from=build /a /a\n", ""),
        ("ARG BASE=debian:12\nFROM ${BASE}\n", ""),
        ("RUN true\n", ""),
    ],
)
def test_the_last_stage_names_the_lowest_layers(dockerfile: str, base: str) -> None:
    """Through the stages that it continues; other stages are in no layer of the image."""
    assert final_base(dockerfile) == base
