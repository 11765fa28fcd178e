"""Errors: each message is one sentence that ends with a stable code, which docs/errors.md explains.

PipelineError
├── SpecError            image.toml, or the settings, cannot be used
├── LockError            pixi.lock or base.lock cannot be used
├── PreviousLockError    there is no previous lock to compare with
├── OutdatedError        upstream versions or vulnerabilities could not be looked up
└── TagError             a ref or commit gives no tag

Subclasses exist only for code that catches them; users look up the codes.
"""

import enum
import re
from collections.abc import Mapping, Sequence
from typing import Final

#: A code at the end of a message.
_CODED: Final = re.compile(r"\[[a-z-]+\]$")


class Code(enum.Enum):
    """Code of an error, with its meaning and its remedy."""

    def __init__(self, code: str, meaning: str, remedy: str) -> None:
        self.code = code
        self.meaning = meaning
        self.remedy = remedy

    # Engine
    ENGINE_UNSUPPORTED = (
        "engine-unsupported",
        "This release of Dagger ignores the upload filter, so it would upload tokens in .git/config as well.",
        "Install another release, such as v0.21.8; docs/running.md lists those that work.",
    )
    # Configuration
    IMAGE_UNKNOWN = (
        "image-unknown",
        "The checkout has no image of this name: no top-level folder with an image.toml.",
        "Correct the name; `dagger call images` lists the images.",
    )
    IMAGE_NAME_INVALID = (
        "image-name-invalid",
        "A new image cannot have this name, or the name is taken.",
        "Choose another name: lower-case letters and digits, in words that `_`, `-` or `.` divides.",
    )
    TOML_INVALID = (
        "toml-invalid",
        "A file is not TOML.",
        "Correct the line that the message names.",
    )
    KEY_INVALID = (
        "key-invalid",
        "A key of image.toml, base.lock, tools.lock or the settings is unknown, missing, or has an invalid value.",
        "Correct the key; the message names the nearest right one.",
    )
    FILE_MISSING = (
        "file-missing",
        "A file that image.toml or the settings name is not there, or is outside of the folder.",
        "Add the file, or correct the key.",
    )
    PLATFORM_UNKNOWN = (
        "platform-unknown",
        "`platforms` of image.toml does not list the requested platform.",
        "Choose one of its platforms, or add this one there and lock again.",
    )
    OPTION_CONFLICT = (
        "option-conflict",
        "Options of the command do not fit together, or do not fit the image.",
        "Leave out or add the option that the message names.",
    )
    # Manifest and locks
    MANIFEST_MISSING = (
        "manifest-missing",
        "An image has neither a pixi.toml nor a pyproject.toml with `[tool.pixi]`.",
        "Add one of the two.",
    )
    MANIFEST_INVALID = (
        "manifest-invalid",
        "pixi cannot use the manifest.",
        "Correct the manifest as pixi reports in the message.",
    )
    MANIFEST_PLATFORM = (
        "manifest-platform",
        "The manifest does not list a platform that the image is built for.",
        "Add the platform to `platforms` of the manifest, and lock again.",
    )
    ENVIRONMENT_UNKNOWN = (
        "environment-unknown",
        "The manifest does not have the environment that image.toml names.",
        "Correct `environment` in image.toml, or add the environment to the manifest.",
    )
    LOCAL_PATH = (
        "local-path",
        "A package or activation script is named by a path that is not in the image's folder.",
        "Move the file there, or remove it from the manifest.",
    )
    CUDA_MISMATCH = (
        "cuda-mismatch",
        "image.toml, the manifest and the base image do not agree about the CUDA version.",
        "Make the versions agree; docs/gpus.md explains the key `cuda`.",
    )
    LOCK_MISSING = (
        "lock-missing",
        "An image has no pixi.lock.",
        "Run `dagger call lock --image IMAGE`, and commit pixi.lock.",
    )
    LOCK_INVALID = (
        "lock-invalid",
        "pixi.lock cannot be read, is cut off, or contradicts itself.",
        "Run `dagger call lock --image IMAGE`, and commit pixi.lock.",
    )
    LOCK_STALE = (
        "lock-stale",
        "pixi.lock does not fit its manifest or its channels.",
        "Run `dagger call lock --image IMAGE`, and commit pixi.lock.",
    )
    LOCK_EMPTY = (
        "lock-empty",
        "The environment has no packages in pixi.lock for the platform.",
        "Name another `environment` in image.toml, or add packages to this one.",
    )
    LOCK_SOURCE_PACKAGE = (
        "lock-source-package",
        "pixi.lock has a package that pixi builds from source, which no image can have yet.",
        "Take the package from a channel or PyPI, or name an environment without it.",
    )
    BASE_LOCK_STALE = (
        "base-lock-stale",
        "base.lock cannot be read, or does not fit the base images of image.toml.",
        "Run `dagger call lock --image IMAGE`, and commit base.lock.",
    )
    TOOLS_LOCK_STALE = (
        "tools-lock-stale",
        "tools.lock cannot be read, or does not fit the tool images of the settings.",
        "Run `dagger call lock`, and commit tools.lock.",
    )
    PACKAGE_UNKNOWN = (
        "package-unknown",
        "`lock --package` names a package that the manifest does not require and the lock does not hold.",
        "Correct the name.",
    )
    SOLVE_FAILED = (
        "solve-failed",
        "pixi found no packages that fit the manifest.",
        "Correct the requirements of the manifest, as pixi reports in the message.",
    )
    CHANNEL_UNREACHABLE = (
        "channel-unreachable",
        "A channel cannot be queried for its packages.",
        "Run the command again when the channel can be reached; docs/private.md explains credentials.",
    )
    PREVIOUS_LOCK_MISSING = (
        "previous-lock-missing",
        "There is no lock to compare with: no such commit, image or file, or none with a lock.",
        "Name another commit, published image or file.",
    )
    # Builds
    BASE_IMAGE_UNAVAILABLE = (
        "base-image-unavailable",
        "A base image cannot be pulled.",
        "Correct its name, give credentials with `with-registry-auth`, or try again when its registry can be reached.",
    )
    BASE_IMAGE_UNSUITABLE = (
        "base-image-unsuitable",
        "A base image lacks a program that the build needs.",
        "Choose another base image, as the message recommends.",
    )
    DOCKERFILE_FAILED = (
        "dockerfile-failed",
        "A step of a Dockerfile failed.",
        "Correct the Dockerfile.",
    )
    DOWNLOAD_FAILED = (
        "download-failed",
        "Packages or files could not be downloaded.",
        "Run the command again; if an address is gone, lock again.",
    )
    HASH_MISMATCH = (
        "hash-mismatch",
        "A downloaded file does not have the hash that image.toml pins.",
        "Pin its new hash if the change was intended; otherwise do not trust the URL.",
    )
    INSTALL_FAILED = (
        "install-failed",
        "pixi could not install the locked environment.",
        "Follow the remedy for pixi's error in the message.",
    )
    PIXI_TIMEOUT = (
        "pixi-timeout",
        "pixi exceeded its time limit.",
        "Run the command again, or raise `install_timeout` or `solve_timeout` of the settings.",
    )
    PIXI_KILLED = (
        "pixi-killed",
        "pixi was killed, usually because the machine has too little memory.",
        "Give the engine more memory.",
    )
    POST_LINK_FAILED = (
        "post-link-failed",
        "The post-link script of a package failed.",
        "Give the script what it needs, or remove `post_link_scripts` from image.toml.",
    )
    LAYERS_TOO_MANY = (
        "layers-too-many",
        "An image has more layers than container runtimes can stack, so nobody could start it.",
        "Join steps of the Dockerfile, or choose a `runtime_base` with fewer layers; nothing was pushed.",
    )
    STEP_FAILED = (
        "step-failed",
        "A step of the pipeline itself failed in its container.",
        "Run the command again; the log of the engine has the details.",
    )
    # Tests and checks
    PROBES_FAILED = (
        "probes-failed",
        "Probes failed, or an image to test could not be built.",
        "Correct what the report names.",
    )
    CHECK_FAILED = (
        "check-failed",
        "A check of the checkout found a problem.",
        "Correct what each line names.",
    )
    SBOM_MISMATCH = (
        "sbom-mismatch",
        "An image holds other packages than its lock.",
        "Do not change the environment outside of the lock, and build again.",
    )
    SBOM_FAILED = (
        "sbom-failed",
        "The SBOM of an image cannot be written.",
        "Follow the message, or use the other format.",
    )
    OUTDATED_INCOMPLETE = (
        "outdated-incomplete",
        "A registry or the vulnerability service did not answer, so the report is incomplete.",
        "Run the command again.",
    )
    # Releases and publishing
    TAG_INVALID = (
        "tag-invalid",
        "A tag is not a version of the form YEAR.MINOR.PATCH, or a commit is not an id.",
        "Give a version such as v2026.2.0, or main.",
    )
    VERSION_INVALID = (
        "version-invalid",
        "The version of a release does not fit the existing versions.",
        "Give another version or date, or correct the file that the message names.",
    )
    CHANGELOG_INVALID = (
        "changelog-invalid",
        "CHANGELOG.md is missing, or has no place for the release.",
        "Add a heading `## Unreleased`.",
    )
    HISTORY_MISSING = (
        "history-missing",
        "The checkout has no git history, or only a part of it.",
        "Run the command in a clone with its whole history.",
    )
    RELEASE_EMPTY = (
        "release-empty",
        "Nothing was committed since the last release.",
        "Commit a change first.",
    )
    REPOSITORY_INVALID = (
        "repository-invalid",
        "An image cannot be published under this name.",
        "Name registry and path in lower case.",
    )
    CREDENTIALS_INVALID = (
        "credentials-invalid",
        "The credentials in the arguments cannot be used.",
        "Correct the arguments as the message describes.",
    )
    CREDENTIALS_MISSING = (
        "credentials-missing",
        "There are no credentials for a registry.",
        "Give them with `with-registry-auth` or `--docker-config`.",
    )
    BUILD_SECRET_MISSING = (
        "build-secret-missing",
        "A step of a Dockerfile requires a secret that was not given.",
        "Give it with `with-build-secret`, as docs/private.md describes.",
    )
    SECRET_IN_URL = (
        "secret-in-url",
        "A manifest or lock has a password or token in an address.",
        "Remove it there, and give it with `with-channel-auth`.",
    )
    REGISTRY_DENIED = (
        "registry-denied",
        "A registry rejects the credentials, or they may not push to the repository.",
        "Check the credentials and their permissions.",
    )
    REGISTRY_UNREACHABLE = (
        "registry-unreachable",
        "No registry of an image can be reached.",
        "Try again later; nothing was built.",
    )
    TAG_TAKEN = (
        "tag-taken",
        "An immutable tag belongs to another image already.",
        "Publish under a new version; nothing was pushed.",
    )
    PUBLISH_INCOMPLETE = (
        "publish-incomplete",
        "Some tags are missing in a registry or are not as planned; the report lists them.",
        "Run the same command again: it publishes what is missing.",
    )
    SEVERAL_FAILURES = (
        "several-failures",
        "Several images failed, each for a reason of its own.",
        "Look at the code at the end of each line.",
    )
    SIGNING_FAILED = (
        "signing-failed",
        "An image cannot be signed.",
        "Check the key or the identity token; nothing was pushed.",
    )
    IDENTITY_TOKEN_INVALID = (
        "identity-token-invalid",
        "The identity token cannot be read, is no JWT, or has expired.",
        "Give a new token, or a command that gets one.",
    )
    SIGNATURE_MISSING = (
        "signature-missing",
        "A published image, its SBOM or its provenance lacks the required signature.",
        "Do not use the image from there until its signer has published it again.",
    )
    DIGEST_UNKNOWN = (
        "digest-unknown",
        "The repository has no image with the digest, or it is no digest.",
        "Correct the digest, or name another repository with `--repository`.",
    )
    LAYER_FORMAT_UNKNOWN = (
        "layer-format-unknown",
        "A published image names a format of layers that this release of the pipeline cannot make.",
        "Verify it with a newer release of the pipeline.",
    )
    DIGEST_MISMATCH = (
        "digest-mismatch",
        "An image that was rebuilt differs from the published one.",
        "Look at the differences that the message lists.",
    )


class PipelineError(Exception):
    """Any failure that the user can fix.

    Args:
        code: code of the failure.
        message: one sentence with the failure, its location and the remedy; a report may follow on further lines.
        at: location of the fault in each file that the message names: possible paths of a key in a TOML file, or words
            of a line.
    """

    def __init__(
        self, code: Code, message: str, at: Mapping[str, Sequence[tuple[str | int, ...]] | str] | None = None
    ) -> None:
        super().__init__(code, message, at)
        self.code = code
        self.message = message
        self.at = dict(at or {})

    def __str__(self) -> str:
        sentence, newline, report = self.message.partition("\n")
        coded = sentence if _CODED.search(sentence) else f"{sentence} [{self.code.code}]"
        return f"{coded}{newline}{report}"


class SpecError(PipelineError):
    """An image.toml, or the settings, cannot be used."""


class LockError(PipelineError):
    """A pixi.lock, base.lock or tools.lock cannot be used."""


class PreviousLockError(PipelineError):
    """There is no previous lock to compare with."""


class OutdatedError(PipelineError):
    """Upstream versions or known vulnerabilities could not be looked up."""


class TagError(PipelineError):
    """A ref or commit gives no tag."""
