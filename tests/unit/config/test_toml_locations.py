import pytest

from pipeline.config.toml_locations import Keys, first_line_of, format_location, line_of, line_with

TEXT = '''\
# A comment
description = "x"

cuda = "12.8" # a comment
env = { A = "1", B = "2" }
a.b.c = 1
"quoted key" = 1
text = """
cuda = 1
[probes]
"""
imports = [
    "numpy",
    # a comment in an array
    "scipy",
]

# about probes
[probes]

timeout = 3
[[probes.commands]]
command = ["a"]
[[probes.commands]]
name = "b"
command = [
    "b",
]
[feature.ml.dependencies]
numpy = "*"
'''


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("description",), 2),
        (("cuda",), 4),
        (("env",), 5),
        (("env", "B"), 5),
        (("a", "b", "c"), 6),
        (("quoted key",), 7),
        (("text",), 8),
        (("imports",), 12),
        (("imports", 1), 12),
        (("probes",), 19),
        (("probes", "timeout"), 21),
        (("probes", "commands"), 22),
        (("probes", "commands", 0), 22),
        (("probes", "commands", 0, "command"), 23),
        (("probes", "commands", 1), 24),
        (("probes", "commands", 1, "name"), 25),
        (("probes", "commands", 1, "command", 0), 26),
        (("probes", "commands", 1, "timeout"), 24),
        (("probes", "commands", 7), 22),
        (("probes", "servers", 0), 19),
        (("feature", "ml", "dependencies", "numpy"), 30),
        (("nothing",), None),
        (("imports", "0"), 12),
        ((), None),
    ],
)
def test_a_key_has_a_line(keys: Keys, line: int | None) -> None:
    """However a key is written, the line is the one where its statement starts; what is missing, its table's."""
    assert line_of(TEXT, keys) == line


def test_line_ends_of_other_systems_count_as_one() -> None:
    """A file from Windows has the lines that an editor shows."""
    assert line_of("a = 1\r\n\r\nb = 2\r\n", ("b",)) == 3


def test_a_last_line_needs_no_end() -> None:
    """A file that ends without a line break has its last line."""
    assert line_of("a = 1\nb = 2", ("b",)) == 2


def test_the_first_key_that_is_there_counts() -> None:
    """A key that may stand in several tables is found in the first that has it."""
    ways = (("dependencies", "numpy"), ("feature", "ml", "dependencies", "numpy"))
    assert first_line_of(TEXT, ways) == 30
    assert first_line_of(TEXT, (("dependencies", "numpy"),)) is None


def test_words_are_found_in_any_file() -> None:
    """A lock is no TOML; its lines are found by what they say."""
    assert line_with("a: 1\nb: 2\n", "b:") == 2
    assert line_with("a: 1\n", "b:") is None


def test_a_place_is_written_as_compilers_do() -> None:
    """A file and its line, or the file alone where the line is not known."""
    assert (format_location("small/image.toml", 3), format_location("small/image.toml", None)) == (
        "small/image.toml:3",
        "small/image.toml",
    )
