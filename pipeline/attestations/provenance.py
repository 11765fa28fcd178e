"""Provenance of an image: an in-toto statement with the predicate SLSA provenance v1, for programs that admit images.

It has no time of day, run number or tag: the same commit on the same builder gives the same bytes, so that publishing
it again, or under another tag, attaches nothing. Unknown facts are left out.
"""

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from pipeline.git.commit import Commit

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://slsa.dev/provenance/v1"
#: Build type, which defines the parameters: those of `dagger call build` of this pipeline.
BUILD_TYPE: Final = "pkg:generic/maniac-pipeline#build/v1"
#: Default builder: a machine that nobody vouches for.
BY_HAND: Final = "pkg:generic/maniac-pipeline#by-hand"


class _Part(BaseModel):
    """Part of a statement, with field names as in-toto and SLSA spell them."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True)


class Resource(_Part):
    """A file, a commit or an image, and the digest that identifies it."""

    name: str | None = None
    uri: str | None = None
    digest: Mapping[str, str]
    annotations: Mapping[str, list[str]] | None = None


class BuildDefinition(_Part):
    """The parameters and the materials of a build."""

    build_type: str = BUILD_TYPE
    external_parameters: Mapping[str, str]
    """The options of the build."""
    resolved_dependencies: tuple[Resource, ...]
    """The materials of the build."""


class Builder(_Part):
    """The builder, which a reader has to trust to believe the rest."""

    id: str


class RunDetails(_Part):
    """The run of a build."""

    builder: Builder


class Provenance(_Part):
    """SLSA provenance: the definition and the run of a build."""

    build_definition: BuildDefinition
    run_details: RunDetails


class Statement(_Part):
    """In-toto statement about an image."""

    type: str = Field(default=STATEMENT_TYPE, alias="_type")
    subject: tuple[Resource, ...]
    predicate_type: str = PREDICATE_TYPE
    predicate: Provenance


def describe(image: str, digest: str, made_from: Iterable[Resource], builder: str) -> str:
    """Return the statement about an image, as JSON that is the same for the same facts.

    Args:
        image: the image's name.
        digest: of its manifest, or of its index.
        made_from: the materials of its build.
        builder: URI of the builder.
    """
    return _write(image, digest, {"image": image}, made_from, builder)


def describe_sif(image: str, digest: str, made_of: str, made_from: Iterable[Resource], builder: str) -> str:
    """Return the statement about the SIF of an image, as JSON that is the same for the same facts.

    Args:
        image: the image's name.
        digest: of the SIF's manifest, or of its index.
        made_of: the image's digest, by which a reader of one finds the other.
        made_from: the materials of the image's build.
        builder: URI of the builder.
    """
    materials = (Resource(name=image, digest=_split(made_of)), *made_from)
    return _write(f"{image}.sif", digest, {"image": image, "format": "sif"}, materials, builder)


def _write(name: str, digest: str, parameters: Mapping[str, str], made_from: Iterable[Resource], builder: str) -> str:
    definition = BuildDefinition(external_parameters=parameters, resolved_dependencies=tuple(made_from))
    statement = Statement(
        subject=(Resource(name=name, digest=_split(digest)),),
        predicate=Provenance(build_definition=definition, run_details=RunDetails(builder=Builder(id=builder))),
    )
    return statement.model_dump_json(by_alias=True, exclude_none=True, indent=2) + "\n"


def of_commit(commit: Commit, source: str) -> Resource:
    """Return the commit that a checkout is at, with the files that differ from it.

    Args:
        commit: the commit.
        source: address of its repository; empty if unknown.
    """
    return Resource(
        name="source",
        uri=f"git+{source}@{commit.sha}" if source else None,
        digest={"gitCommit": commit.sha},
        annotations={"changed": [*commit.changed]} if commit.changed else None,
    )


def of_file(name: str, sha256: str) -> Resource:
    """Return a file of the checkout as a resource."""
    return Resource(name=name, digest={"sha256": sha256})


def of_download(url: str, sha256: str) -> Resource:
    """Return a file that image.toml takes from a URL as a resource; a password in the URL is left out."""
    parts = urlsplit(url)
    return Resource(uri=parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), digest={"sha256": sha256})


def of_image(reference: str) -> Resource:
    """Return a base image as a resource.

    Args:
        reference: as the engine resolves it, with its registry and its digest.
    """
    address, _, digest = reference.partition("@")
    repository, tag = address, ""
    if ":" in address.rpartition("/")[2]:
        repository, _, tag = address.rpartition(":")
    qualifiers = urlencode({"repository_url": repository} | ({"tag": tag} if tag else {}), safe="/:")
    name = quote(repository.rpartition("/")[2])
    return Resource(uri=f"pkg:oci/{name}@{quote(digest, safe='')}?{qualifiers}", digest=_split(digest))


def _split(digest: str) -> dict[str, str]:
    algorithm, _, value = digest.partition(":")
    return {algorithm: value}
