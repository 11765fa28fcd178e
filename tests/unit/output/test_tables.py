from pipeline.output.tables import WIDTH, draw_markdown, draw_table


def test_a_table_has_a_width_of_its_own() -> None:
    """A long cell is wrapped into the table, and none of it is lost."""
    text = draw_table(["name", "found"], [["a", "word " * 100]])
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.count("word") == 100


def test_a_long_word_is_folded() -> None:
    """Names of images have no blanks, and one that is cut off cannot be copied."""
    text = draw_table(["image", "found"], [["i" * 150, "f" * 150]])
    assert (text.count("i"), text.count("f")) == (151, 151)


def test_a_table_shows_what_looks_like_markup() -> None:
    """Brackets in a cell are text."""
    assert "[red]x[/red]" in draw_table(["found"], [["[red]x[/red]"]])


def test_a_row_of_markdown_is_one_line() -> None:
    """Long cells, pipes and line breaks leave a row a row."""
    lines = draw_markdown(["name", "found"], [["a|b", "x\ny"], ["c", "word " * 100]]).splitlines()
    assert len(lines) == 4
    assert [part.strip() for part in lines[0].split("|")] == ["", "name", "found", ""]
    assert set(lines[1]) <= {"|", "-"}
    assert [part.strip() for part in lines[2].strip("|").split(" | ")] == [r"a\|b", "x<br>y"]


def test_markdown_without_rows_is_its_head() -> None:
    """An empty report is a head and nothing below it."""
    assert len(draw_markdown(["name"], []).splitlines()) == 2
