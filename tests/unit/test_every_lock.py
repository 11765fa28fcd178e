"""Whatever a lock is like: its difference, its bills and its page are right, or a sentence says why not."""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest
from dagger import dag

from pipeline.attestations.sbom import components
from pipeline.checkout import Checkout
from pipeline.commands.lock_diff import report_changes
from pipeline.commands.report import report as draw_report
from pipeline.commands.sbom import make
from pipeline.config.settings import Settings
from pipeline.errors import Code, LockError
from pipeline.locks.diff import compare, report
from pipeline.locks.lockfile import LockTarget, Packages, read_packages
from pipeline.output.formats import Format, SbomFormat
from pipeline.scripts import sbom
from pipeline.scripts.messages import Contents, Sbom
from pipeline.scripts.report import render
from tests.unit.lockfiles import conda, pypi, write
from tests.unit.locks.test_lockfile import OLD
from tests.unit.pages import page
from tests.unit.refusals import refused
from tests.unit.repository import Repository

ROOT = Path(__file__).parents[2]
ZLIB = conda("zlib-1.3.1-h0_0")
#: Seconds of a processor that an SBOM may take.
PATIENCE = 10

#: Locks that are good, however odd: the text, and names of packages that have to be found again.
GOOD: Final[dict[str, tuple[str, set[str]]]] = {
    "format 4": (OLD.format(version=4), {"zlib", "foo-bar"}),
    "nothing locked": (write({"default": {}}).replace("packages:\npackages:", "packages: {}\npackages: []"), set()),
    "50 MB": (
        write([conda(f"p{number}-1.0-h_0", depends=f"['{'x' * 100_000}']") for number in range(500)]),
        {"p0", "p499"},
    ),
    "two versions in two places": (
        write({"default": {"linux-64": [ZLIB]}, "other": {"linux-64": [conda("zlib-1.2-h0_0")]}}),
        {"zlib"},
    ),
    "unusual names": (
        write([conda("_x--Y.z_1-1!2.0a-h_0"), pypi("Foo.Bar_baz", "1.0+local.1")]),
        {"_x--y.z_1", "foo-bar-baz"},
    ),
    "without sizes, hashes or licences": (
        write([conda("zlib-1.3.1-h0_0", sha256=None, license=None, size=None), pypi("foo", "1.0")]),
        {"zlib", "foo"},
    ),
    "without a last line end": (write([ZLIB]).rstrip("\n"), {"zlib"}),
    "licences that are none": (write([conda("zlib-1-h_0", license="'not SPDX at all, (see <b>'")]), {"zlib"}),
    "ml_platform": ((ROOT / "ml_platform/pixi.lock").read_text(), {"tensorflow", "root"}),
    "columnar": ((ROOT / "columnar/pixi.lock").read_text(), {"uproot", "awkward"}),
}  # fmt: skip

#: Locks that cannot be used, each with a fact of the message.
BAD: Final = {
    "": "is empty",
    " \n\n": "is empty",
    write([ZLIB])[: len(write([ZLIB])) // 2]: "cut off",
    write([ZLIB]).replace("version: 6", "version: 99"): "version 99",
    "version: 1\nmetadata: {}\npackage: []\n": "`channels`",
    "x" * 50_000_000: "cannot be read",
    write([ZLIB, conda("zlib-1.2-h0_0")]): "package 'zlib' twice",
    "<<<<<<< HEAD\n" + write([ZLIB]): "merge conflict in line 1",
}
BAD_NAMES = ("empty", "blank", "truncated", "unknown", "ancient", "50 MB", "two versions", "conflict")


@pytest.fixture(scope="module", params=list(GOOD.values()), ids=list(GOOD))
def good(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[LockTarget, Packages], set[str]]:
    """The packages of a good lock, and the names that have to be among them."""
    text, names = request.param
    path = tmp_path_factory.mktemp("lock") / "pixi.lock"
    path.write_text(text)
    return read_packages(path, "small/pixi.lock", "lock it again"), names


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with the image `small`, whose lock is good and committed."""
    made = Repository(tmp_path / "repository")
    made.write("small/image.toml", 'description = "x"\n')
    made.write("small/pixi.toml", '[workspace]\nchannels = []\n[dependencies]\nzlib = "*"\n')
    made.write("small/pixi.lock", write([ZLIB]))
    made.commit("Good")
    return made


def opened(repository: Repository) -> Checkout:
    """The checkout as functions have it."""
    return Checkout(dag.directory(), repository.path, Settings())


@pytest.mark.parametrize("form", Format)
def test_a_difference_has_every_package(good: tuple[dict[LockTarget, Packages], set[str]], form: Format) -> None:
    """To nothing, and from nothing; with itself there is none."""
    held, names = good
    for before, after in (({}, held), (held, {})):
        text = report(compare("small", "main", before, after), form)
        assert [name for name in names if name not in text] == []
    assert compare("small", "main", held, held).targets == ()


@pytest.mark.parametrize("form", sbom.FORMATS)
def test_a_bill_has_every_package(good: tuple[dict[LockTarget, Packages], set[str]], form: str) -> None:
    """Its format's validator accepts it, in time."""
    held, names = good
    # Of each place, as a bill is of one image.
    for packages in held.values():
        lines = components(packages.values(), Contents((), (), (), distribution="", rpm=""))
        bill = Sbom(name="small", version="1", time=0, components=lines)
        started = time.process_time()
        text, problems = sbom.FORMATS[form](bill)
        assert problems == []
        assert time.process_time() - started < PATIENCE
        assert [name for _, name in packages if name in names and f'"{name}"' not in text] == []


def test_a_page_has_every_package(good: tuple[dict[LockTarget, Packages], set[str]]) -> None:
    """A row each."""
    for packages in good[0].values():
        text = render(page(packages.values(), []))
        real = [package for package in packages.values() if package.kind != "virtual"]
        assert text.count('<th scope="row">') >= len(real)
        assert [package.name for package in real if f">{package.name}" not in text] == []


async def _diff_to(checkout: Checkout) -> object:
    return await report_changes(checkout, "small", "HEAD", None, Format.TABLE)


async def _diff_from(checkout: Checkout) -> object:
    return await report_changes(checkout, "small", "HEAD", None, Format.TABLE)


async def _bill(checkout: Checkout) -> object:
    return await make(checkout.image("small"), None, SbomFormat.CYCLONEDX)


async def _page(checkout: Checkout) -> object:
    return await draw_report(checkout, "small", None, reference=None, file=None, probes=False, auths=[])


@pytest.mark.asyncio
@pytest.mark.parametrize(("text", "fact"), BAD.items(), ids=BAD_NAMES)
@pytest.mark.parametrize("function", [_diff_to, _diff_from, _bill, _page], ids=["diff", "diff from", "sbom", "report"])
async def test_a_lock_that_cannot_be_used_is_refused(
    repository: Repository, text: str, fact: str, function: Callable[[Checkout], Awaitable[object]]
) -> None:
    """One line names the lock, before anything is asked of the engine; for a difference also the previous lock."""
    repository.write("small/pixi.lock", text)
    if function is _diff_from:
        repository.commit("Bad")
        repository.write("small/pixi.lock", write([ZLIB]))
    name = "previous pixi.lock (HEAD)" if function is _diff_from else "small/pixi.lock"
    with refused(Code.LOCK_INVALID, name, fact, kind=LockError) as raised:
        await function(opened(repository))
    assert len(raised.value.message) < 1000
    assert "\n" not in raised.value.message


def test_a_lock_that_was_cut_off_anywhere_is_told(tmp_path: Path) -> None:
    """pixi takes a lock without a last line end, so the last entry may lack its end; no package and no hash may."""
    path = tmp_path / "pixi.lock"
    text = write([ZLIB, conda("python-3.12.1-h_0")])
    path.write_text(text)
    whole = read_packages(path, "small/pixi.lock", "lock it again")
    rejected = []
    for length in range(len(text)):
        path.write_text(text[:length])
        try:
            held = read_packages(path, "small/pixi.lock", "lock it again")
        except LockError:
            rejected.append(length)
        else:
            assert length > text.rindex("- conda: ")
            assert held.keys() == whole.keys()
            for target, packages in held.items():
                assert packages.keys() == whole[target].keys()
                for key, package in packages.items():
                    assert package.sha256 in {whole[target][key].sha256, None}
                    assert package.md5 in {whole[target][key].md5, None}
    assert rejected[-1] > text.rindex("- conda: ")
