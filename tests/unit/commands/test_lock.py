from pathlib import Path

import pytest
from dagger import dag

from pipeline.checkout import Checkout, ImageSource
from pipeline.commands.lock import check_fresh, explain_solve, start
from pipeline.config.image_toml import ImageSpec
from pipeline.config.settings import Settings
from pipeline.credentials.logins import Logins
from pipeline.errors import Code, LockError
from pipeline.locks import channel_check
from pipeline.locks.image_lock import LockFiles
from pipeline.locks.lockfile import LockTarget, read_packages
from tests.unit.conftest import CheckoutFolder
from tests.unit.lockfiles import conda, pypi, write
from tests.unit.refusals import refused, require

SPEC = ImageSpec(description="x")
PLACE = LockTarget("default", "linux-64")
LOCK = write([conda("python-3.12.1-h0_0"), conda("zlib-1.3.1-h0_0"), pypi("foo_bar", "1.0")])
RELOCK = "'dagger call lock --image small' and commit pixi.lock"


def test_without_packages_everything_may_change(checkout: CheckoutFolder) -> None:
    """A solve that starts from nothing takes the newest; a lock that cannot be read is no hindrance."""
    checkout.write("small/pixi.lock", "version: [")
    assert start(LockFiles(checkout.image), SPEC, []) is None


def test_one_package_is_let_go(checkout: CheckoutFolder) -> None:
    """All others stay; names may be written as PyPI and conda allow."""
    checkout.write("small/pixi.lock", LOCK)
    left = start(LockFiles(checkout.image), SPEC, ["ZLIB", "Foo.Bar"])
    assert left is not None
    checkout.write("small/pixi.lock", left)
    found = read_packages(checkout.image / "pixi.lock", "", "")
    assert list(found[PLACE]) == [("conda", "python")]


def test_a_package_that_is_only_asked_for_may_be_locked(checkout: CheckoutFolder) -> None:
    """One that was just added to pixi.toml: the lock is kept as it is."""
    checkout.write("small/pixi.lock", LOCK)
    checkout.write("small/pixi.toml", '[dependencies]\npython = "*"\nnumpy = "*"\n')
    assert start(LockFiles(checkout.image), SPEC, ["numpy"]) == LOCK


def test_an_unknown_package_is_refused(checkout: CheckoutFolder) -> None:
    """The message has the nearest name that is known."""
    facts = ["'pyton'", "small/pixi.lock", "small/pixi.toml", "'python'"]
    with refused(Code.PACKAGE_UNKNOWN, *facts, kind=LockError):
        start(LockFiles(checkout.image), SPEC, ["zlib", "pyton"])


def test_one_package_needs_a_lock_to_keep(checkout: CheckoutFolder) -> None:
    """Without one, all packages have to be locked."""
    checkout.remove("small/pixi.lock")
    with refused(Code.LOCK_MISSING, "small/pixi.lock", "'lock --image small'", kind=LockError):
        start(LockFiles(checkout.image), SPEC, ["zlib"])


def test_a_manifest_that_cannot_be_used_is_refused_first(checkout: CheckoutFolder) -> None:
    """No solver runs before."""
    with refused(Code.ENVIRONMENT_UNKNOWN, "small/pixi.toml", "environment 'ml'"):
        start(LockFiles(checkout.image), ImageSpec(description="x", environment="ml"), [])


@pytest.mark.asyncio
async def test_a_lock_that_its_channel_contradicts_is_refused(
    checkout: CheckoutFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where pixi takes it for good."""
    asked: list[str] = []

    async def locked(source: ImageSource, platform: str) -> None:
        asked.append(f"{source.name} {source.spec.environment} {platform}")

    async def differences(found: object, logins: Logins) -> list[str]:
        assert logins == Logins()
        assert sorted(package.name for package in found) == ["python", "zlib"]  # type: ignore[attr-defined]
        return ["its channel does not list a"]

    monkeypatch.setattr(ImageSource, "locked", locked)
    monkeypatch.setattr(channel_check, "find_differences", differences)
    with refused(Code.LOCK_STALE, "small/pixi.lock", "its channel does not list a", RELOCK, kind=LockError):
        await check_fresh(Checkout(dag.directory(), checkout.path, Settings()).image("small"))
    assert asked == ["small default linux/amd64"]


def test_the_message_has_pixi_s_chain_of_causes() -> None:
    """It is in one line, with the file to correct."""
    output = "  \N{MULTIPLICATION SIGN} Unable to solve\n  ├─▶ failed to solve\n  ╰─▶ nothing provides greeter >=7\n"
    error = explain_solve("small", 1, output)
    facts = ["small/pixi.toml", "Unable to solve: failed to solve: nothing provides greeter >=7;", "command again"]
    require(error, Code.SOLVE_FAILED, *facts)
    assert "\n" not in error.message


def test_a_solver_that_was_killed_is_reported() -> None:
    """Exit code 137 is a signal; the time limit of pixi ends in another one."""
    require(explain_solve("small", 137, ""), Code.PIXI_KILLED, "small", "137", "memory")


def test_the_cuda_version_for_the_solver_comes_from_image_toml() -> None:
    """The message has its key, not the channel."""
    output = "Error:   \N{MULTIPLICATION SIGN} no solution: __cuda >=12, for which no candidates were found.\n"
    require(explain_solve("small", 1, output), Code.SOLVE_FAILED, "small/pixi.toml", "'cuda' of small/image.toml")


def test_the_real_lock_is_kept_but_for_one_package() -> None:
    """Of ml_platform's 504 packages one is chosen again."""
    root = Path(__file__).parents[3]
    left = start(
        LockFiles(root / "ml_platform"),
        ImageSpec(description="x", environment="ml", cuda="12.8"),
        ["numpy"],
    )
    assert left is not None
    assert left.count("      - conda: ") == 503
