"""Properties that keep an image from CVMFS are findings with their file, their line and what to do."""

import inspect

import pytest

from pipeline.config.image_toml import ImageSpec
from pipeline.cvmfs import ENTRIES, describe_ready, find_unready
from pipeline.scripts import check_layers
from pipeline.scripts.messages import LayerReport
from tests.unit.refusals import require_facts

GZIP = LayerReport(layers=3, paths=7, types_of_base=["application/vnd.oci.image.layer.v1.tar+gzip"])


def findings(report: LayerReport = GZIP, text: str = "", **values: object) -> list[str]:
    """The findings about an image."""
    spec = ImageSpec.model_validate({"description": "x", **values})
    return find_unready("small", spec, text, [report])


def test_a_sound_image_has_no_finding() -> None:
    """Its line says how many layers and paths it has, and how many paths a Mac would join, which is no finding."""
    assert findings() == []
    assert describe_ready(GZIP) == "3 layers, 7 files and folders, nothing that an unpacker trips on"
    assert describe_ready(LayerReport(joined=4)).endswith("; 4 paths differ only in case, which is nothing to CVMFS")


@pytest.mark.parametrize("kind", ENTRIES)
def test_each_kind_has_a_finding(kind: str) -> None:
    """With its paths, their number and the remedy; where the base image has it, it is for another base image."""
    problem, remedy = ENTRIES[kind]
    (own,) = findings(LayerReport(found={kind: ["/a", "/b"]}, counts={kind: 2}))
    assert own == f"small/image.toml: in image small, 2 paths (/a; /b) {problem}; {remedy}"
    (of_base,) = findings(LayerReport(found_in_base={kind: ["/a"]}), dockerfile="Dockerfile")
    assert of_base.startswith(f"small/Dockerfile: in the base image of small, /a {problem}; choose another base image")


def test_the_script_and_its_explanations_have_the_same_kinds() -> None:
    """A kind without an explanation would be no finding."""
    text = inspect.getsource(check_layers)
    assert {kind for kind in ENTRIES if f'yield "{kind}"' in text} == ENTRIES.keys()
    assert text.count('yield "') == len(ENTRIES) + 1, "one kind is yielded in two places"


def test_a_finding_names_the_line_that_adds_the_file() -> None:
    """As the other checks do."""
    text = "description = 'x'\n[[files]]\npath = '/a'\n"
    report = LayerReport(found={"file": ["/a"]}, counts={"file": 1})
    (finding,) = findings(report, text, files=[{"source": "a", "path": "/a"}])
    require_facts(finding, "small/image.toml:2", "in image small, /a")


def test_layers_of_zstd_are_not_read() -> None:
    """Whoever chose them: the image, or its base image; uncompressed ones are not read either."""
    (own,) = findings(text="description = 'x'\ncompression = 'zstd'\n", compression="zstd")
    require_facts(own, "small/image.toml:2", "zstd", "remove 'compression'", "no_cvmfs")
    for media_type in ("application/vnd.oci.image.layer.v1.tar+zstd", "application/vnd.oci.image.layer.v1.tar"):
        (of_base,) = findings(LayerReport(types_of_base=[*GZIP.types_of_base, media_type]))
        require_facts(of_base, media_type, "choose another base image")


@pytest.mark.parametrize(
    ("platforms", "found"),
    [
        (["linux/arm64"], 0),
        (["linux/amd64", "linux/arm64"], 0),
        (["linux/arm64", "linux/amd64"], 0),
        (["linux/arm64", "linux/ppc64le"], 1),
    ],
)
def test_an_index_has_amd64(platforms: list[str], found: int) -> None:
    """In any place: the unpackers look for it. An image of one platform is a manifest, and taken as it is."""
    made = findings(text="description = 'x'\nplatforms = []\n", platforms=platforms)
    assert len(made) == found
    assert all("small/image.toml:2" in finding and "linux/amd64" in finding for finding in made)


def test_the_same_finding_on_two_platforms_is_one() -> None:
    """They differ rarely."""
    report = LayerReport(found={"device": ["/null"]}, counts={"device": 1})
    spec = ImageSpec(description="x")
    assert len(find_unready("small", spec, "", [report, report])) == 1
