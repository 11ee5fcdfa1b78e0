"""What a page is written as: each writer keeps the contract, and another one is a file and a line."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from presenting import CELLS, WriterContract
from rich.console import Console

from flowsim.place import PlaceError
from flowsim.present.pages.page import Cell, Page, Section
from flowsim.present.words import entry_words
from flowsim.present.writers import markdown, registry, terminal


class TestMarkdown(WriterContract):
    write = staticmethod(markdown.write)

    def test_lines_of_a_cell_and_marks_of_a_table_stay_in_it(self) -> None:
        page = Page("A title.", (Section("A table", ("a|b", "c"), (("x|y", Cell(12.0, 11.0, 13.0)),)),))
        assert "| x\\|y | 12.0<br>11.0 to 13.0 |" in markdown.text(page)

    def test_only_pictures_that_are_there_are_shown(self) -> None:
        assert "![" not in markdown.text(Page("A title.", ()))
        told = markdown.text(Page("A title.", (), pictures=("charts/one.png", "charts/two.png")))
        assert told.endswith("![one](charts/one.png)\n\n![two](charts/two.png)\n")


class TestTerminal(WriterContract):
    write = staticmethod(terminal.write)

    def test_it_says_where_charts_are_only_where_there_are_some(self) -> None:
        for pictures, words in (((), "definitions: "), (("charts/one.png",), "definitions and charts: ")):
            console = Console(file=io.StringIO(), width=200, record=True)
            terminal.show(Page("A title.", (), folder=Path("out"), pictures=pictures), console)
            assert f"{words}out" in console.export_text()


def toy(page: Page) -> bytes:
    """Values with tabs between them: numbers as they are, for a program to read."""
    lines = [page.title, page.settings]
    for section in page.sections:
        lines += [section.heading, "\t".join(section.columns)]
        lines += ["\t".join(entry_words(entry, in_a_line=True) for entry in row) for row in section.rows]
        lines += section.sentences
    return "\n".join(lines).encode("utf-8")


class TestAToyWriter(WriterContract):
    """A writer is a function and a line of the registry; that is all that `write` needs."""

    write = staticmethod(toy)

    def test_it_is_chosen_by_the_ending_once_it_is_registered(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(PlaceError, match=r"x\.tsv' was given; allowed: a name ending in one of \.md, \.txt"):
            registry.write(self.page(), tmp_path / "x.tsv")
        monkeypatch.setitem(registry.WRITERS, ".tsv", toy)
        assert registry.write(self.page(), tmp_path / "x.tsv").read_bytes() == toy(self.page())


def test_every_registered_writer_is_tested_by_the_contract() -> None:
    tested = {kind.write for kind in WriterContract.__subclasses__()}
    assert set(registry.WRITERS.values()) <= tested


@pytest.mark.parametrize(
    ("cell", "lines", "line"),
    list(zip(
        CELLS,
        (
            "12.3\n11.9 to 12.7", "100.4", "-3.00 points\n-4.00 to -2.00",
            "no clear change\n-1.00 to +3.00\n(2.50 would show)", "no change", "saves £30\n£10 to £50", "1.00 to 2.00",
            "7", "-",
        ),
        (
            "12.3 (11.9 to 12.7)", "100.4", "-3.00 points (-4.00 to -2.00)",
            "no clear change -1.00 to +3.00 (2.50 would show)", "no change", "saves £30 (£10 to £50)", "1.00 to 2.00",
            "7", "-",
        ),
        strict=True,
    )),
)  # fmt: skip
def test_a_number_in_words(cell: Cell, lines: str, line: str) -> None:
    assert entry_words(cell) == lines
    assert entry_words(cell, in_a_line=True) == line


def test_a_number_with_its_difference_beside_it() -> None:
    for change, words in (("more", "+0.0418"), ("no clear change", "no clear change"), ("no change", "no change")):
        cell = Cell(0.85, note="{} days", difference=Cell(0.0418, change=change))
        assert entry_words(cell, in_a_line=True) == f"0.850 days ({words})"
    alone = Cell(3.0, difference=Cell(1.0, change="one replication: no interval"))
    assert entry_words(alone) == "3.00\n+1.00\n(no interval)"
    assert entry_words(Cell(3.0, note="{} at {a:{b:1}}")) == "3.00 at {a:{b:1}}"
