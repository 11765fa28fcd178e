import json

import pytest

from pipeline.config.files import ImageFile
from pipeline.output.formats import Format
from pipeline.scripts.messages import Kind, RegistryFailure, RepositoryReport
from pipeline.updates.report import (
    UNKNOWN,
    Base,
    UpdateRow,
    Updates,
    draw,
    explain,
    find_changed,
    find_newer,
    find_vulnerable,
)
from pipeline.updates.vulnerabilities import Vulnerability

PIXI = "ghcr.io/prefix-dev/pixi:noble-cuda-13.0.0"
ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
LOCK = "dagger call lock --image small"


def base(reference: str = PIXI, digest: str = ONE) -> Base:
    """The base image of `small`."""
    return Base(
        image="small",
        reference=reference,
        location="'base' in small/image.toml",
        remedy=LOCK,
        digest=digest,
        has_pixi=True,
    )


def answer(*tags: str, digest: str = ONE, tag: str = "noble-cuda-13.0.0") -> RepositoryReport:
    """The report of a registry."""
    return RepositoryReport(tags=tags, digests={tag: digest} if digest else {})


def short(rows: list[UpdateRow]) -> list[tuple[str, str, str, str]]:
    """Rows without what is the same in all."""
    assert {(row.image, row.what) for row in rows} <= {("small", PIXI)}
    return [(row.kind, row.current, row.newest, row.change) for row in rows]


def test_what_is_newest_has_no_row() -> None:
    """Nor has what the registry does not know."""
    assert find_newer(base(), answer("noble-cuda-13.0.0"), "0.15.2") == []


@pytest.mark.parametrize(
    ("locked", "now", "row"),
    [
        (ONE, TWO, ("sha256:111111111111", "sha256:222222222222", LOCK)),
        ("", TWO, ("not locked", "sha256:222222222222", LOCK)),
        (ONE, "", ("sha256:111111111111", "no such tag any more", "'base' in small/image.toml")),
    ],
    ids=["moved", "not locked", "gone"],
)
def test_a_base_image_is_held_against_its_tag(locked: str, now: str, row: tuple[str, str, str]) -> None:
    """The row names what takes the newer one: the command or the key."""
    assert short(find_newer(base(digest=locked), answer(digest=now), "")) == [("base image", *row)]


def test_a_name_with_a_digest_alone_has_nothing_newer() -> None:
    """No tag moves away from it."""
    assert find_newer(base(f"ghcr.io/prefix-dev/pixi@{ONE}"), RepositoryReport(tags=("noble",)), "") == []


def test_cuda_and_pixi_are_told_with_the_tag_to_write() -> None:
    """Or with the command, where the tag of now has it."""
    tags = ("noble-cuda-13.0.2", "noble-cuda-13.1.0", "0.70.1-noble-cuda-13.0.0")
    assert short(find_newer(base(), answer(*tags), "0.62.2")) == [
        ("CUDA", "13.0.0", "13.0.2 (patch)", "'base' in small/image.toml: noble-cuda-13.0.2"),
        ("CUDA", "13.0.0", "13.1.0 (minor)", "'base' in small/image.toml: noble-cuda-13.1.0"),
        ("pixi", "0.62.2", "0.70.1", LOCK),
    ]
    tag = "0.62.2-noble"
    immutable = find_newer(
        base(f"ghcr.io/prefix-dev/pixi:{tag}"), answer("0.62.2-noble", "0.70.1-noble", tag=tag), "0.62.2"
    )
    assert [row.change for row in immutable] == ["'base' in small/image.toml: 0.70.1-noble"]
    elsewhere = find_newer(base(), answer("0.70.1-trixie"), "0.62.2")
    assert [row.change for row in elsewhere] == ["'base' in small/image.toml: only other bases have it"]


def test_an_image_that_cannot_be_used_is_a_row() -> None:
    """The message has its own reason, and the sources in a line of their own."""
    image = UpdateRow(image="small", kind="image", what="small", current="", newest=UNKNOWN, reason="correct it")
    assert explain([image]) == "correct it"
    pixi = image.model_copy(update={"kind": "pixi", "what": "one"})
    assert explain([pixi, image]).startswith("correct it\n1 of the sources could not be asked (one), ")


def test_a_registry_that_does_not_answer_is_a_row() -> None:
    """With its reason, and nothing that looks like an answer."""
    failure = RegistryFailure(
        doing="reading the tags", tag="", kind=Kind.TRANSIENT, reason="it is down", tries=1, seconds=0
    )
    rows = find_newer(base(), RepositoryReport(failure=failure), "0.15.2")
    assert short(rows) == [("base image", "sha256:111111111111", UNKNOWN, "")]
    found = Updates(rows=tuple(rows), notes=("small: all",))
    assert explain(found.unknown).startswith(f"1 of the sources could not be asked ({PIXI}), ")
    assert draw(found, Format.TABLE).endswith(f"\n{PIXI}: reading the tags failed: it is down\nsmall: all\n")


def test_a_vulnerability_is_told_by_the_package_of_the_lock() -> None:
    """Its names, the version that fixes it, and what locks that; packages of other images are not this one's."""
    known = {
        ("nbconvert", "7.0"): (
            Vulnerability(id="PYSEC-1", aliases=("CVE-1",), fix_versions=("7.1",)),
            Vulnerability(id="PYSEC-2"),
        ),
        ("nbconvert", "6.0"): (Vulnerability(id="PYSEC-3"),),
    }
    rows = find_vulnerable("small", {("nbconvert", "7.0"): "nbconvert-core"}, known)
    change = f"{LOCK} --package nbconvert-core"
    assert [(row.what, row.current, row.newest, row.change) for row in rows] == [
        ("nbconvert-core: PYSEC-1, CVE-1", "7.0", "7.1", change),
        ("nbconvert-core: PYSEC-2", "7.0", "not fixed yet", change),
    ]


def test_reports_are_drawn() -> None:
    """A table for each reader, with what was looked at; nothing outdated is a sentence."""
    row = UpdateRow(image="small", kind="CUDA", what="b:1", current="1.0", newest="1.1 (minor)", change="here")
    found = Updates(rows=(row,), notes=("small: all",))
    assert "1.1 (minor)" in draw(found, Format.TABLE)
    assert draw(found, Format.TABLE).endswith("\nsmall: all\n")
    markdown = draw(found, Format.MARKDOWN).splitlines()
    assert [cell.strip() for cell in markdown[2].strip("|").split("|")] == list(row.model_dump().values())[:-1]
    assert markdown[-2:] == ["", "- small: all"]
    assert json.loads(draw(found, Format.JSON)) == {"rows": [row.model_dump()], "notes": ["small: all"]}
    assert draw(Updates(rows=()), Format.TABLE) == "Nothing is outdated.\n"


def test_a_file_whose_address_has_another_content_is_outdated() -> None:
    """The content at the address now is compared with the pinned hash; one that was not fetched has another row."""
    files = [
        ImageFile(source="own", path="/own"),
        *(ImageFile(url=f"https://example.org/{name}", sha256="1" * 64, path=f"/{name}") for name in ("a", "b", "c")),
    ]
    hashes = {"https://example.org/a": "1" * 64, "https://example.org/b": "2" * 64}
    assert find_changed("small", files, hashes) == [
        UpdateRow(
            image="small",
            kind="file",
            what="https://example.org/b",
            current="1" * 12,
            newest="2" * 12,
            change="'files.2.sha256' in small/image.toml",
        )
    ]
