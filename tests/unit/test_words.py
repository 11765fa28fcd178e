from pathlib import Path

import pytest

from tests.words import find, main, read_words

WORDS = read_words()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Tell what came of it", ["Tell", "what came of"]),
        ("a bill of materials, held against the lock", ["bill of materials", "held against"]),
        ('    """What an image is like."""', ['What an image is like."""']),
        ("#: Where containers have it.", ["Where containers have it."]),
        ("The passing failure of that one", ["passing failure", "that one"]),
    ],
)
def test_a_banned_word_is_found(text: str, found: list[str]) -> None:
    """In any case, and phrases as well as words."""
    assert sorted(word for _, word, _ in find(text, WORDS)) == sorted(found)


@pytest.mark.parametrize("text", ["# What to do", "retelling", "unlocked", "Report it."])
def test_other_words_are_left_alone(text: str) -> None:
    """Parts of words, and questions in the middle of a comment."""
    assert [word for _, word, _ in find(text, WORDS)] == []


def test_each_finding_has_its_file_line_and_the_word_to_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A changelog keeps the words of its day."""
    (tmp_path / "README.md").write_text("# Title\n\nAll anew.\n")
    (tmp_path / "CHANGELOG.md").write_text("All anew.\n")
    assert main(tmp_path) == 1
    assert capsys.readouterr().out == "README.md:3: 'anew': write again\n"
    (tmp_path / "README.md").write_text("# Title\n\nAll again.\n")
    assert main(tmp_path) == 0
