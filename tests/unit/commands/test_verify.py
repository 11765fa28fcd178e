"""Messages about an image that is not the published one."""

from pipeline.commands.verify import SHOWN, explain
from pipeline.scripts.messages import Comparison, Difference


def test_differences_are_a_table_under_one_sentence() -> None:
    """Both digests, how much differs, and of each difference where and how."""
    found = Difference(location="layer 3 of 5", path="usr/lib/a", what="time", published="0", built="1")
    text = explain("small", "ghcr.io/lab/small", "sha256:1", "sha256:2", Comparison(differences=(found,)))
    first, *table = text.splitlines()
    assert first.startswith("small: built here it is sha256:2, and not sha256:1 of ghcr.io/lab/small; 1 ")
    assert any(all(part in line for part in ("layer 3 of 5", "usr/lib/a", "time", "0", "1")) for line in table)


def test_what_is_not_shown_is_counted() -> None:
    """However many differences there are, the message is read in one glance."""
    one = Difference(location="layer 1 of 1", path="a", what="time", published="0", built="1")
    text = explain("small", "r", "d", "e", Comparison(differences=(one,) * (SHOWN + 5), more=7))
    assert text.endswith("and 12 more\n")
    assert f"; {SHOWN + 12} differences" in text


def test_an_image_that_cannot_be_read_is_said_to_be_unknown() -> None:
    """It is another image, and why nobody can say how it differs."""
    text = explain("small", "r", "d", "e", Comparison(failure="it did not answer"))
    assert text.endswith("what differs is not known, because the published one cannot be read: it did not answer")
