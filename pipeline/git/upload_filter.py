"""Filter for the upload of a checkout to the engine: patterns as in .dockerignore; the last match decides."""

from typing import Final

from pipeline.config.private_keys import KEYS
from pipeline.errors import Code, PipelineError

#: Names that are never uploaded, at any depth: private keys, what tools install and cache, and other repositories.
NEVER: Final = (
    *KEYS,
    ".*_cache",
    ".DS_Store",
    ".git",
    ".ipynb_checkpoints",
    ".pixi",
    ".venv",
    "*.egg-info",
    "__pycache__",
    "node_modules",
)
#: Patterns of files that are not uploaded, so that a change to them does not rebuild an image. `out` is the folder for
#: exports. The files of git that identify the commit are uploaded; its configuration is not, because it
#: holds a token in checkouts on CI. The module's own source is uploaded to find out whether it was changed.
LEFT_OUT: Final = (
    ".*",
    "docs",
    "out",
    "sdk",
    "tests",
    "*.lock",
    "!requirements.lock",
    "!tools.lock",
    "*.md",
    "*.tar",
    "CITATION.cff",
    "dev",
    *(f"**/{name}" for name in NEVER),
    # Behind the names: a branch may be called like a key.
    "!.git",
    ".git/*",
    "!.git/HEAD",
    "!.git/objects",
    "!.git/packed-refs",
    "!.git/refs",
    "!.git/shallow",
    # Left from a fetch that was interrupted.
    ".git/objects/pack/tmp_*",
)
#: The same patterns for the preparation of a release, which needs CHANGELOG.md.
HISTORY_LEFT_OUT: Final = tuple(pattern for pattern in LEFT_OUT if pattern != "*.md")
#: Releases of Dagger that parse a module instead of running it, and do not find the patterns of `Ignore`.
WITHOUT_IGNORE: Final = frozenset({"v0.20.7", "v0.21.0"})


def require_filter(version: str) -> None:
    """Reject a release of Dagger that uploads a checkout unfiltered.

    Args:
        version: version of the engine, such as v0.21.8.

    Raises:
        PipelineError: the release is one of those.
    """
    if version in WITHOUT_IGNORE:
        raise PipelineError(
            Code.ENGINE_UNSUPPORTED,
            f"Dagger {version} uploads the whole checkout, with the tokens in .git/config, so nothing was read; "
            "install another release, such as v0.21.8 (docs/running.md lists those that work)",
        )
