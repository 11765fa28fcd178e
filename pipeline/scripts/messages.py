"""Messages between the pipeline and its scripts in tool containers, each defined once for both sides.

The writer makes JSON of a message by ``dataclasses.asdict``. The pipeline reads one by pydantic's ``TypeAdapter``,
which validates it; a script constructs the classes. Only the standard library is imported, since tool containers have
neither pydantic nor the rest of the pipeline.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal


@dataclass(frozen=True)
class Installed:
    """One package of conda or PyPI, as its metadata in the image describes it."""

    kind: Literal["conda", "pypi"]
    name: str
    version: str
    build: str = ""
    url: str = ""
    sha256: str | None = None
    md5: str | None = None
    license: str | None = None


@dataclass(frozen=True, kw_only=True)
class Component:
    """One package in an SBOM: the parts of its package URL, its download address, its hashes and its licence."""

    type: str
    namespace: str = ""
    name: str
    version: str
    qualifiers: Mapping[str, str]
    url: str = ""
    sha256: str | None = None
    md5: str | None = None
    license: str | None = None


#: The format in which rpm lists packages and files for ``contents.py``, a line for each.
RPM_QUERY: Final = (
    r"P\t%{NAME}\t%{EPOCH}\t%{VERSION}-%{RELEASE}\t%{ARCH}\t%{SOURCERPM}\t%{LICENSE}\n[F\t%{FILENAMES}\n]"
)


@dataclass(frozen=True)
class Contents:
    """Packages of an image by their place: the output of ``contents.py``."""

    environment: Sequence[Installed]
    """Packages of the locked environment."""
    elsewhere: Sequence[Installed]
    """Packages that conda, pip and similar programs have installed in other folders."""
    system: Sequence[Component]
    """Packages of the distribution."""
    distribution: str
    """As in "debian-12"; empty if unknown."""
    rpm: str
    """Path of the image's RPM database, which only the image's own rpm can read; empty if it has none."""


@dataclass(frozen=True)
class Sbom:
    """An image and its components: the input of ``sbom.py``."""

    name: str
    version: str
    time: int
    """In seconds since 1970."""
    components: Sequence[Component]


@dataclass(frozen=True)
class Package:
    """One package to fetch: the input of ``fetch.py`` is a list of them."""

    name: str
    """Name in the package cache: name, version and build string."""
    url: str
    kind: Literal["sha256", "md5"]
    hash: str
    """Locked hash, in hexadecimal digits."""
    size: int
    """Bytes; 0 where the lock has no size."""


@dataclass(frozen=True)
class DownloadFailure:
    """A package that could not be fetched, with the reason."""

    name: str
    url: str
    reason: str


@dataclass(kw_only=True)
class DownloadReport:
    """The output of ``fetch.py``, which counts in it while it fetches."""

    fetched: int
    bytes: int
    """Bytes of the fetched packages."""
    present: int
    """Number of packages that were in the cache before."""
    failures: list[DownloadFailure]


@dataclass(frozen=True)
class Document:
    """A document to attach to an image, or to search for."""

    name: str
    """The name in the report."""
    subject: str
    """The image's digest."""
    type: str
    """The media type, by which clients choose."""
    annotations: Mapping[str, str]
    file: str
    """Path of the document; empty for one that is only searched for."""
    check: Sequence[str]
    """A command that accepts any equivalent document; without one, only a document with the same bytes counts."""
    payload: str = ""
    """Path of the content that an equivalent document, a Sigstore bundle, must have signed; empty for anything that the
    command accepts."""


#: Ending of the tags of an image's SIF.
SIF: Final = "-sif"


@dataclass(frozen=True, kw_only=True)
class Job:
    """Work in a repository: the input of ``registry.py``, ``referrers.py``, ``compare.py`` and ``base_layers.py``."""

    action: str
    """ask, push, move, require, attach, find, compare, describe or fetch."""
    repository: str
    host: str
    username: str
    """Empty for anonymous access."""
    program: str
    """Path of regctl."""
    timeout: float
    """Limit for one answer of the registry, in seconds."""
    tries: int
    seconds: float
    """Time in which failed operations are tried again."""
    digest: str = ""
    """The digest of the image to push, to move tags to, to require, or to compare with."""
    sif: str = ""
    """The digest of its SIF, to which all tags with the ending of SIFs belong; empty if it has none."""
    tags: Sequence[str] = ()
    """The tags to push or move; for ask, the immutable ones."""
    floating: Sequence[str] = ()
    """Further tags to report."""
    known: Sequence[str] = ()
    """All tags that the decision to move is based on."""
    standing: Mapping[str, str] = field(default_factory=dict)
    """The digests of tags that the decision to move is based on."""
    writes: bool = False
    """For ask: whether to check the permission to push, if a tag is missing."""
    documents: Sequence[Document] = ()
    """The documents to attach or to find."""
    platform: str = ""
    """For describe: the platform, such as linux/amd64."""
    blobs: Sequence[str] = ()
    """For fetch: the digests of the layers."""


@dataclass(frozen=True)
class Assembly:
    """The output of ``layout.py``."""

    digest: str = ""
    """The digest of the image; empty if layers are missing."""
    manifests: Sequence[str] = ()
    layers: Sequence[int] = ()
    """For each platform: the number of layers of its manifest."""
    based: Sequence[int] = ()
    """For each platform: the number of layers that are those of its base image."""
    missing: Sequence[Sequence[str]] = ()
    """For each platform: the digests of its base image's layers that its archive does not have."""


@dataclass(frozen=True)
class SifAssembly:
    """The output of ``sif_layout.py``."""

    digest: str
    """The digest that the SIF's tags have."""
    manifests: Sequence[str]
    files: Sequence[str]
    """For each platform: the digest of the file."""


@dataclass(frozen=True)
class LayerReport:
    """Findings in an image's layers, by their kind: the output of ``check_layers.py``."""

    layers: int = 0
    paths: int = 0
    """Number of files, links and folders of the whole image."""
    joined: int = 0
    """Number of files and links whose paths differ only in case from another one's."""
    found: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The first paths of each kind in the image's own layers."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """The number of all of them."""
    found_in_base: Mapping[str, Sequence[str]] = field(default_factory=dict)
    types_of_base: Sequence[str] = ()
    """Media types of the base image's layers in its registry."""


@dataclass(frozen=True)
class TagResult:
    """Result for one tag that was pushed or moved, or for one document that was attached."""

    tag: str
    """The tag, or the name of the document."""
    digest: str
    """The digest in the registry now."""
    pushed: bool
    bytes: int
    seconds: float
    tries: int


class Kind(enum.StrEnum):
    """Kind of a failure; only a transient one is retried."""

    TRANSIENT = "transient"
    DENIED = "denied"
    MISSING = "missing"
    MISMATCH = "mismatch"
    IMMUTABLE = "immutable"
    REJECTED = "rejected"


@dataclass(frozen=True)
class RegistryFailure:
    """A failed operation in a repository, and its reason."""

    doing: str
    tag: str
    kind: Kind
    reason: str
    tries: int
    seconds: float


@dataclass(frozen=True)
class Origin:
    """Commit that a published image was made from, as its configuration says."""

    revision: str
    """Id of the commit, from the label; empty if unknown."""
    made: str
    """Time of the commit, from the creation time; empty if unknown."""


@dataclass(kw_only=True)
class RepositoryReport:
    """State of a repository and the results of a job, which fills it: the output of ``registry.py``."""

    tags: Sequence[str] = ()
    """All tags of the repository."""
    digests: dict[str, str] = field(default_factory=dict)
    """The digests of the job's tags, as far as they exist."""
    origins: dict[str, Origin] = field(default_factory=dict)
    """The origins of other images, at the last floating tag and at ``sha-…`` tags."""
    rows: Sequence[TagResult] = ()
    private: str = ""
    """The answer to a pull without credentials; empty if anybody may pull, or if that is not known."""
    changed: bool = False
    """Whether the repository has tags that the decision to move did not know."""
    layer_format: int | None = None
    """Number of the format of the required image's layers; None if that is not known."""
    failure: RegistryFailure | None = None


@dataclass(frozen=True)
class Difference:
    """One difference between the published and the built image."""

    location: str
    """The configuration, the manifest, or a layer by its number."""
    path: str
    """A file of the layer, or a key of the document."""
    what: str
    """The attribute that differs; "added" if only the built image has the path, "removed" if only the published one."""
    published: str
    built: str


@dataclass(frozen=True)
class Comparison:
    """Differences between a published image and the built one: the output of ``compare.py``."""

    differences: Sequence[Difference] = ()
    more: int = 0
    """Number of further differences."""
    failure: str = ""
    """The reason why the published image could not be read."""
