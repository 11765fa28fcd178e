"""The images that a Dockerfile names, as BuildKit understands it."""

from collections.abc import Mapping
from textwrap import dedent

import pytest

from pipeline.config.dockerfile import NamedImage, final_base, named_images


def names(text: str, arguments: Mapping[str, str] | None = None, platform: str = "linux/amd64") -> list[str]:
    """The names of the images."""
    return [image.name for image in named_images(dedent(text), arguments or {}, platform)]


def test_images_are_found_in_each_instruction_that_can_name_one() -> None:
    """Stages, by name and by number, are no images; neither is nothing, nor what stands in a comment or a command."""
    text = """
        # FROM comment:1
        FROM --platform=linux/amd64 debian:12 AS Build
        from build as second
        RUN --mount=type=bind,from=ghcr.io/astral-sh/uv:0.9,source=/uv,target=/uv --network=none uv --version
        FROM scratch
        COPY --from=0 /a /a
        COPY --link --from=Second --chown=1 /b /b
        COPY --from=busybox@sha256:1 /c /c
        RUN --mount=type=cache,target=/c --mount=type=bind,from=second,target=/d true
        RUN echo FROM nowhere:1 --mount=from=nowhere:2
    """
    assert named_images(dedent(text), {}, "linux/amd64") == [
        NamedImage("debian:12", "FROM"),
        NamedImage("ghcr.io/astral-sh/uv:0.9", "RUN --mount"),
        NamedImage("busybox@sha256:1", "COPY --from"),
    ]


def test_variables_have_the_given_value_or_their_default() -> None:
    """Of what stands before the first FROM alone; BuildKit expands no other image's name."""
    text = """
        ARG VERSION=12 OS="debian"
        ARG BASE=${OS}:${VERSION:-11}
        FROM $BASE AS build
        ARG OTHER=python:3
        FROM ${OTHER:-${OS}:x-$TARGETARCH}
        COPY --from=build / /
        COPY --from=$BASE / /b
    """
    assert names(text) == ["debian:12", "debian:x-amd64"]
    assert names(text, {"VERSION": "13", "OTHER": "not declared"}, "linux/arm64") == ["debian:13", "debian:x-arm64"]
    assert names(text, {"BASE": "alpine"}) == ["alpine", "debian:x-amd64"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a${SET:+b}", ["ab"]),
        ("a${UNSET+b}", ["a"]),
        ("a${EMPTY-b}", ["a"]),
        ("a${EMPTY:-b}", ["ab"]),
        ("'$SET'", ["set"]),
        ("$LOOP", []),
        ("$UNSET", []),
        ("${SET#s}", []),
    ],
)
def test_variables_are_expanded_as_in_a_shell(name: str, found: list[str]) -> None:
    """A name that cannot be expanded is not known, and left out."""
    arguments = {"LOOP": "$LOOP$LOOP", "EMPTY": ""}
    assert names(f"ARG SET=set\nARG EMPTY\nARG LOOP\nFROM {name}\n", arguments) == found


def test_a_stage_that_the_last_one_does_not_need_is_not_built() -> None:
    """Its images are no part of the image."""
    text = """
        FROM debian:12 AS base
        FROM python:3.12 AS tests
        COPY --from=alpine /a /a
        FROM base
    """
    assert names(text) == ["debian:12"]


def test_a_name_is_a_stage_before_it_and_else_an_image() -> None:
    """A stage may have the name of the image that it is built on."""
    assert names("FROM debian AS debian\nFROM debian\n") == ["debian"]
    assert names("FROM b AS a\nFROM a AS b\n") == ["b"]
    assert names("FROM debian\nCOPY --from=7 / /\n") == ["debian", "7"]


def test_a_continued_line_is_one_line() -> None:
    """Comments and empty lines in it do not count; a file can have another sign for it."""
    assert names("FROM \\\n# comment\n\n  debian:12\n") == ["debian:12"]
    assert names("# syntax=docker/dockerfile:1\n# escape=`\nFROM `\n debian:12\nRUN a \\\nFROM b\n") == ["b"]
    assert names("\ufeffFROM a\nRUN echo \\\\\nFROM b\n") == ["b"]
    assert names("FROM a\nRUN true \\\n  --mount=from=b\nRUN \\\n --mount=from=c true \\") == ["a", "c"]


def test_a_here_document_is_not_read() -> None:
    """SQL has FROM, too; what only looks like the beginning of one is none."""
    text = """
        FROM debian:12
        RUN <<EOF sort >/a && cat <<-"SQL" >/b
        SELECT 1
        FROM nowhere:1
        EOF
        SELECT 2
        FROM nowhere:2
        \tSQL
        COPY <<-'a.txt' /a.txt
        FROM nowhere:3
        a.txt
        RUN echo "<<A" $((1<<B))
        COPY --from=busybox /a /a
        RUN echo "open <<C
        COPY --from=alpine /b /b
    """
    assert names(text) == ["debian:12", "busybox", "alpine"]


@pytest.mark.parametrize("text", ["", "FROM\n", "# nothing\n", "RUN true\nCOPY --from=a / /\nARG A\n", "ARG 'A\n"])
def test_what_builds_nothing_names_nothing(text: str) -> None:
    """The build says what is wrong with it."""
    assert names(text) == []


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("FROM debian:12\nRUN true\n", "debian:12"),
        ("FROM golang:1 AS build\nFROM debian:12\nCOPY --from=build /a /a\n", "debian:12"),
        ("FROM --platform=$BUILDPLATFORM debian:12 AS Base\nFROM golang:1 AS build\nfrom base as last\n", "debian:12"),
        ("FROM debian:12 AS debian\nFROM debian AS debian\n", "debian:12"),
        ("FROM golang:1 AS build\nFROM scratch\nCOPY --from=build /a /a\n", ""),
        ("FROM scratch\nCOPY --from=busybox /a /a\n", ""),
        ("ARG BASE=debian:12\nFROM ${BASE}\n", "debian:12"),
        ("ARG VERSION\nFROM debian:$VERSION\n", "debian:13"),
        ("FROM $UNSET\n", ""),
        ("RUN true\n", ""),
        ("# FROM comment:1\nRUN <<EOF\nFROM nowhere:1\nEOF\nFROM debian:12\n", "debian:12"),
    ],
)
def test_the_last_stage_names_the_lowest_layers(text: str, base: str) -> None:
    """Through the stages that it continues; other stages are in no layer of the image."""
    assert final_base(text, {"VERSION": "13"}, "linux/amd64") == base
