"""Lines for the lists of images that CERN and OSG unpack into CVMFS."""

import pytest
import yaml
from dagger import dag

from pipeline.checkout import Checkout
from pipeline.commands.cvmfs_lines import osg_line, propose, require_tag, unpacked_line
from pipeline.config.settings import Settings
from pipeline.errors import Code, TagError
from tests.unit.conftest import CheckoutFolder
from tests.unit.refusals import refused

GHCR, HUB, OSG = "ghcr.io/lab/a-b", "docker.io/lab/a_b", "hub.opensciencegrid.org/lab/a-b"


def lines(checkout: CheckoutFolder, *tags: str, image: str | None = None) -> tuple[list[str], list[str]]:
    """The lines of both lists; each is read as its program reads it, without comments."""
    text = propose(Checkout(dag.directory(), checkout.path, Settings()), image, tags)
    unpacked, osg = text.split("\n\n")
    entries = yaml.safe_load(f"input:\n{unpacked}\n")["input"] or []
    return entries, [line for line in osg.splitlines() if line and not line.startswith("#")]


def test_all_images_are_proposed(checkout: CheckoutFolder) -> None:
    """One line an image and tag in each list, in the registry that fits it best."""
    checkout.write("large/image.toml", f"description = 'x'\nrepositories = ['{HUB}']\n")
    unpacked, osg = lines(checkout, "latest", "2026.2.0")
    assert unpacked == [
        "https://registry.hub.docker.com/lab/a_b:latest",
        "https://registry.hub.docker.com/lab/a_b:2026.2.0",
        "https://ghcr.io/maniaclab/small:latest",
        "https://ghcr.io/maniaclab/small:2026.2.0",
    ]
    assert osg == [
        "lab/a_b:latest",
        "lab/a_b:2026.2.0",
        "hub.opensciencegrid.org/maniaclab/small:latest",
        "hub.opensciencegrid.org/maniaclab/small:2026.2.0",
    ]
    assert lines(checkout, "latest", image="large") == ([unpacked[0]], [osg[0]])


def test_an_image_that_does_not_go_there_has_a_comment(checkout: CheckoutFolder) -> None:
    """With its reason; one of zstd goes to OSG, whose program is Apptainer."""
    checkout.write("small/image.toml", "description = 'x'\nno_cvmfs = \"for Kubernetes\\nalone\"\n")
    text = propose(Checkout(dag.directory(), checkout.path, Settings()), None, ["latest"])
    assert text.count("\n# small does not go to CVMFS: for Kubernetes alone\n") == 2
    checkout.write("small/image.toml", "description = 'x'\ncompression = 'zstd'\n")
    assert lines(checkout, "latest") == ([], ["hub.opensciencegrid.org/maniaclab/small:latest"])


@pytest.mark.parametrize(
    ("names", "tag", "unpacked", "osg"),
    [
        ([HUB, GHCR, OSG], "latest", f"https://{GHCR}:latest", f"{OSG}:latest"),
        ([GHCR], "latest", f"https://{GHCR}:latest", f"{GHCR}:latest"),
        ([HUB], "latest", "https://registry.hub.docker.com/lab/a_b:latest", "lab/a_b:latest"),
        # Only Docker Hub lists its tags to OSG's program.
        ([GHCR, HUB, OSG], "2026.*", f"https://{GHCR}:2026.*", "lab/a_b:2026.*"),
        ([GHCR], "2026.*", f"https://{GHCR}:2026.*", None),
        # Without a namespace, it would take the registry for one of Docker Hub's.
        (["example.org:5000/a"], "latest", "https://example.org:5000/a:latest", None),
    ],
)
def test_each_list_has_names_of_its_own(names: list[str], tag: str, unpacked: str, osg: str | None) -> None:
    """CERN's has addresses, with a name for Docker Hub that answers; OSG's has names as Docker takes them."""
    assert unpacked_line(names, tag) == f"    - '{unpacked}'"
    assert osg_line(names, tag) == osg


@pytest.mark.parametrize(("tag", "word"), [("a b", "pattern"), ("", "pattern"), ("*", "SBOMs"), ("sha256-*", "SBOMs")])
def test_other_tags_are_rejected(tag: str, word: str) -> None:
    """Text that is no tag, and a pattern that matches the documents about an image."""
    with refused(Code.TAG_INVALID, word, kind=TagError):
        require_tag(tag)


def test_an_unknown_image_is_rejected(checkout: CheckoutFolder) -> None:
    """Before anything is printed."""
    with refused(Code.IMAGE_UNKNOWN, "'smal'"):
        lines(checkout, "latest", image="smal")
