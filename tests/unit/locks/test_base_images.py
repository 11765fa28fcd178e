import re
import tomllib

import pytest
from dagger import dag

from pipeline.build.inputs import BuildInputs
from pipeline.commands.lock import kept_bases
from pipeline.config.image_toml import ImageSpec, load_spec
from pipeline.config.settings import Settings
from pipeline.config.toml_locations import located
from pipeline.errors import Code, LockError
from pipeline.locks import base_images
from pipeline.locks.base_images import BaseChange
from tests.sandbox.contents import own_digests
from tests.unit.conftest import CheckoutFolder
from tests.unit.refusals import refused

PIXI = "ghcr.io/prefix-dev/pixi:noble"
DEBIAN = "docker.io/library/debian:bookworm-slim"
ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
SETTINGS = Settings(base=PIXI)
SPEC = ImageSpec(description="x", runtime_base=DEBIAN)
RELOCK = "'dagger call lock --image small' and commit base.lock"


def test_what_is_written_is_read(checkout: CheckoutFolder) -> None:
    """A line a base image, in an order that does not depend on anything else."""
    text = base_images.write("small", {PIXI: ONE, DEBIAN: TWO})
    assert text == (
        "# The base images of small. Written by: dagger call lock --image small\n"
        "\n"
        "[digests]\n"
        f'"{DEBIAN}" = "{TWO}"\n'
        f'"{PIXI}" = "{ONE}"\n'
    )
    checkout.write("small/base.lock", text)
    assert checkout.source(SPEC, SETTINGS).digests == {PIXI: ONE, DEBIAN: TWO}


def test_an_image_need_not_have_the_file(checkout: CheckoutFolder) -> None:
    """Its base images are then what their tags are."""
    assert checkout.source(SPEC, SETTINGS).base_lock is None
    assert BuildInputs("small", SPEC, SETTINGS, dag.directory()).pinned(PIXI) == PIXI
    assert base_images.unpinned(checkout.image, SPEC, SETTINGS) == (
        "without small/base.lock, base images are what their tags are now; 'dagger call lock --image small' pins them"
    )


def test_a_build_takes_the_locked_digest() -> None:
    """Of the names that are locked; others stay as they are."""
    inputs = BuildInputs("small", SPEC, SETTINGS, dag.directory(), base_digests={PIXI: ONE})
    assert inputs.pinned(PIXI) == f"{PIXI}@{ONE}"
    assert inputs.pinned(DEBIAN) == DEBIAN


def test_what_is_locked_by_itself_is_not_locked_again(checkout: CheckoutFolder) -> None:
    """A name with a digest, and what a Dockerfile names."""
    pinned = ImageSpec(description="x", base=f"{PIXI}@{ONE}", runtime_base=DEBIAN)
    assert base_images.to_lock(pinned, SETTINGS) == {"runtime_base": DEBIAN}
    whole = ImageSpec(description="x", base=f"{PIXI}@{ONE}")
    own = ImageSpec(description="x", dockerfile="Dockerfile")
    assert [base_images.unpinned(checkout.image, spec, SETTINGS) for spec in (whole, own)] == ["", ""]


@pytest.mark.parametrize(
    ("runtime", "held", "where", "facts"),
    [
        (
            DEBIAN,
            {PIXI: ONE},
            ("small/image.toml", "runtime_base", 2),
            [f"lacks {DEBIAN}", "'runtime_base'"],
        ),
        (None, {}, ("pyproject.toml", "tool.pipeline.base", 2), [f"lacks {PIXI}", "'base'"]),
        (None, {PIXI: ONE, DEBIAN: TWO}, ("small/base.lock", f'"{DEBIAN}"', 4), [f"has {DEBIAN}"]),
    ],
    ids=["missing", "missing from the settings", "superfluous"],
)
def test_a_file_that_does_not_fit_is_refused(
    checkout: CheckoutFolder,
    runtime: str | None,
    held: dict[str, str],
    where: tuple[str, str, int],
    facts: list[str],
) -> None:
    """A base image was changed without locking it, or is no longer used: the message has its line."""
    checkout.write("pyproject.toml", f"[tool.pipeline]\nbase = '{PIXI}'\n")
    checkout.write("small/image.toml", "description = 'x'\n" + (f"runtime_base = '{runtime}'\n" if runtime else ""))
    checkout.write("small/base.lock", base_images.write("small", held))
    file, key, line = where
    with refused(Code.BASE_LOCK_STALE, "small/base.lock", *facts, RELOCK, at={file: key}, kind=LockError) as raised:
        _ = checkout.source(load_spec(checkout.path, "small"), SETTINGS).digests
    assert re.search(rf"{file}:{line}\b", located(raised.value, checkout.path))


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("", ["key 'digests'", "missing"]),
        ("<<<<<<< HEAD\n[digests]\n", ["TOML", "line 1"]),
        (f"[digest]\n'{PIXI}' = '{ONE}'\n", ["key 'digest'", "'digests'"]),
        (f"[digests]\n'{PIXI}' = 'sha256:1'\n", [f"key 'digests.{PIXI}'", "pattern"]),
        (f"[digests]\n'{PIXI}' = ['{ONE}']\n", [f"key 'digests.{PIXI}'", "string"]),
    ],
    ids=["empty", "conflict", "misspelt", "short", "list"],
)
def test_a_file_that_cannot_be_used_is_refused(checkout: CheckoutFolder, text: str, facts: list[str]) -> None:
    """The message has the key, and the command that writes the file again."""
    checkout.write("small/base.lock", text)
    with refused(Code.BASE_LOCK_STALE, "small/base.lock", *facts, RELOCK, kind=LockError):
        base_images.read(checkout.image)


def test_changes_are_told_by_name() -> None:
    """A base image newly pinned, pinned otherwise, or no longer pinned; an equal pin is no change."""
    changes = base_images.compare({"a": ONE, "b": ONE, "c": ONE}, {"a": ONE, "b": TWO, "d": TWO})
    assert changes == (
        BaseChange(reference="b", before=ONE, after=TWO),
        BaseChange(reference="c", before=ONE, after=None),
        BaseChange(reference="d", before=None, after=TWO),
    )


def test_locking_everything_keeps_no_digest(checkout: CheckoutFolder) -> None:
    """Not even one that cannot be read, which is a reason to lock."""
    checkout.write("small/base.lock", "broken")
    assert kept_bases(checkout.source(SPEC, SETTINGS), []) == {}


def test_locking_a_package_keeps_every_digest_in_use(checkout: CheckoutFolder) -> None:
    """A base image that is new is locked beside them; an image without the file gets none by it."""
    assert kept_bases(checkout.source(SPEC, SETTINGS), ["numpy"]) is None
    checkout.write("small/base.lock", base_images.write("small", {PIXI: ONE, "gone:1": TWO}))
    assert kept_bases(checkout.source(SPEC, SETTINGS), ["numpy"]) == {PIXI: ONE}


def test_the_sandbox_has_digests_of_its_own() -> None:
    """Its base images are others than the real ones; a name that it does not have stays as it is."""
    text = own_digests(base_images.write("small", {PIXI: ONE, DEBIAN: ONE}), {PIXI: TWO})
    assert tomllib.loads(text)["digests"] == {PIXI: TWO, DEBIAN: ONE}
