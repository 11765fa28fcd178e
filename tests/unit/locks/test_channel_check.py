import pytest
import rattler

from pipeline.credentials.logins import Logins
from pipeline.errors import Code
from pipeline.locks.channel_check import by_channel, compare, find_differences
from pipeline.locks.lockfile import Package
from tests.sandbox.channel import index, package
from tests.unit.refusals import refused

FORGE = "https://conda.anaconda.org/conda-forge"
ZLIB = Package("conda", "zlib", "1", "h_0", f"{FORGE}/noarch/zlib-1-h_0.conda", sha256="1" * 64)


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, rattler.RepoDataRecord]:
    """The record of a channel's one package."""
    folder = tmp_path_factory.mktemp("channel")
    package.write(folder, "zlib", "1", "h_0", {"share/zlib": "1"}, noarch="generic")
    index.refresh(folder)
    records = rattler.SparseRepoData(rattler.Channel(FORGE), "noarch", folder / "noarch/repodata.json").load_records(
        rattler.PackageName("zlib")
    )
    return {f"{record.subdir}/{record.file_name}": record for record in records}


def test_packages_are_asked_for_where_they_come_from() -> None:
    """Each channel by its address; folders and PyPI's packages are nobody's."""
    mirror = Package("conda", "a", "1", "h_0", "https://example.org/a/b/linux-64/a-1-h_0.conda")
    others = [Package("conda", "c", "1", "", "./c"), Package("pypi", "d", "1", "", "https://pypi.example/x/d-1.whl")]
    assert by_channel([ZLIB, mirror, *others]) == {
        FORGE: {"noarch/zlib-1-h_0.conda": ZLIB},
        "https://example.org/a/b": {"linux-64/a-1-h_0.conda": mirror},
    }


def test_a_package_that_is_the_channels_own_is_accepted(listed: dict[str, rattler.RepoDataRecord]) -> None:
    """Fields that both have are compared; fields that the lock lacks are not."""
    place, record = next(iter(listed.items()))
    assert record.sha256 is not None
    assert record.size is not None
    good = Package("conda", "zlib", "1", "h_0", "", sha256=record.sha256.hex(), size=record.size)
    assert compare({place: good}, listed) == []
    assert compare({place: Package("conda", "zlib", "1")}, listed) == []


def test_another_package_is_told(listed: dict[str, rattler.RepoDataRecord]) -> None:
    """With all in which it differs."""
    wrong = Package("conda", "zlib", "1", "h_0", "", sha256="1" * 64, md5="2" * 32, size=1)
    assert compare({"noarch/zlib-1-h_0.conda": wrong}, listed) == [
        "its channel has another sha256 and md5 and size for noarch/zlib-1-h_0.conda"
    ]


def test_a_package_that_the_channel_lacks_is_told(listed: dict[str, rattler.RepoDataRecord]) -> None:
    """It was invented, or taken back."""
    assert compare({"noarch/zlib-2-h_0.conda": ZLIB}, listed) == ["its channel does not list noarch/zlib-2-h_0.conda"]


@pytest.mark.asyncio
async def test_a_channel_that_cannot_be_reached_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has its URL, and the code of a transient failure."""
    monkeypatch.setattr("pipeline.locks.channel_check.RETRIES", 0)
    with refused(Code.CHANNEL_UNREACHABLE, "channel http://127.0.0.1:9/none", "again"):
        await find_differences(
            [Package("conda", "a", "1", "h_0", "http://127.0.0.1:9/none/noarch/a-1-h_0.conda")], Logins()
        )
