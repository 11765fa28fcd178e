"""Reports of `verify --sif` about a file that is not the one that is built."""

import pytest

from pipeline.commands.verify import choose_digest
from pipeline.commands.verify_sif import SHOWN, differences, explain
from pipeline.errors import Code
from tests.unit.refusals import refused

GIVEN = "-rw-r--r-- 0/0                 10 1980-01-01 00:00 /app/a file"
BUILT = "-rwxr-xr-x 1000/0              12 1980-01-01 00:00 /app/a file"


def test_attributes_of_a_file_are_compared() -> None:
    """Each that differs is a row, with both values; equal ones are not."""
    assert list(differences([f"given\t{GIVEN}", f"built\t{BUILT}"])) == [
        ("/app/a file", "mode", "-rw-r--r--", "-rwxr-xr-x"),
        ("/app/a file", "owner", "0/0", "1000/0"),
        ("/app/a file", "size", "10", "12"),
    ]


def test_a_link_is_compared_by_its_target() -> None:
    """It is one path that leads elsewhere, and not two paths."""
    line = "lrwxrwxrwx 0/0                  7 1980-01-01 00:00 /bin -> "
    assert list(differences([f"given\t{line}usr/bin", f"built\t{line}bin.usr"])) == [
        ("/bin", "link", "usr/bin", "bin.usr")
    ]


def test_the_root_is_a_path() -> None:
    """Programs list it without a name."""
    line = "drwxr-xr-x 0/0                120 1980-01-01 00:0"
    assert list(differences([f"given\t{line}0 ", f"built\t{line}1 "])) == [
        ("/", "time", "1980-01-01 00:00", "1980-01-01 00:01")
    ]


def test_other_differences_are_named() -> None:
    """A path in one of the files, content that a listing does not show, and parts of the format."""
    found = list(differences([f"built\t{BUILT}", f"given\t{GIVEN}x", "content\t/etc/issue", "object\t1"]))
    assert found == [
        ("/etc/issue", "content", "", ""),
        ("definition file", "content", "", ""),
        ("/app/a file", "added", "", ""),
        ("/app/a filex", "removed", "", ""),
    ]


def test_the_message_has_both_digests_and_the_first_differences() -> None:
    """The others are counted."""
    text = explain("small", "aa", "bb", [("/a", "time", "1", "2")] * (SHOWN + 3))
    assert text.startswith("small: built here, its SIF file has the SHA-256 bb, and not aa of --sif; 23 differences")
    assert text.endswith("and 3 more\n")
    assert "order or compression" in explain("small", "aa", "bb", [])


@pytest.mark.parametrize(("digest", "sif"), [(None, False), ("sha256:1", True)])
def test_one_thing_is_verified(digest: str | None, sif: bool) -> None:  # noqa: FBT001  # a parameter of the test
    """Neither and both are an error that names the two options."""
    with refused(Code.OPTION_CONFLICT, "--digest", "--sif"):
        choose_digest(digest, sif=sif)
    assert choose_digest("sha256:1", sif=False) == "sha256:1"
