"""What tests of pages, pictures and writers share: words of tables, figures of results, and two contracts.

A new picture or writer is tested by a class that inherits its contract, with one fixture of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure

from flowsim.folder.result import Result
from flowsim.place import PlaceError
from flowsim.present.pages.page import Cell, Page, Section
from flowsim.present.pages.registry import page_of
from flowsim.present.pictures import style
from flowsim.present.pictures.picture import Data, Picture
from flowsim.present.pictures.registry import every_picture
from flowsim.present.words import entry_words
from flowsim.present.writers import markdown


def in_words(section: Section) -> list[tuple[str, ...]]:
    """The rows of a table as every writer words them."""
    return [tuple(entry_words(entry, section.in_a_line) for entry in row) for row in section.rows]


def summary_of(result: Result) -> str:
    """The whole of `summary.md`, but for the pictures."""
    return markdown.text(page_of(result))


def named(name: str) -> Picture:
    """A picture, whatever question it is of."""
    return next(one for one in every_picture() if one.name == name)


def figure_of(result: Result, name: str, **options: Any) -> Figure:
    """A picture as it is drawn, not yet written."""
    one = named(name)
    return one.draw(one.data(result, **options))


def without_clip_names(path: Path) -> bytes:
    """A picture without the names of clip paths, which Matplotlib hashes from positions that differ in the last bit."""
    content = path.read_bytes()
    return re.sub(rb"\bp[0-9a-f]{10}\b", b"", content) if path.suffix == ".svg" else content


class PictureContract:
    """What holds of every picture: its table is tidy, drawing needs nothing else, and it refuses in a sentence.

    A test of one sets `name` and has a fixture `result` with something to show and one `nothing` with nothing.
    """

    name: str
    measured: tuple[str, ...] = ()
    """Columns of numbers that are drawn as such; all that have fractions where none are named."""

    def test_its_data_is_a_tidy_table_and_words(self, result: Result) -> None:
        shown = named(self.name).data(result)
        assert isinstance(shown, Data)
        frame = shown.frame
        assert isinstance(frame, pd.DataFrame)
        assert len(frame)
        assert frame.index.equals(pd.RangeIndex(len(frame)))
        assert frame.columns.is_unique
        assert all(isinstance(name, str) and name for name in frame.columns)
        assert not frame.duplicated().any()
        held = {type(value) for column in frame for value in frame[column]}
        assert not any(issubclass(kind, dict | list | tuple | set | pd.DataFrame | pd.Series) for kind in held)
        assert shown.title
        assert shown.caption.endswith((".", ". "))

    def test_it_is_drawn_from_its_data_alone(self, result: Result, tmp_path: Path) -> None:
        """The result's folder may be gone: what is drawn are the numbers of the table."""
        one = named(self.name)
        shown = one.data(result)
        figure = one.draw(shown)
        assert isinstance(figure, Figure)
        assert " ".join(figure.get_suptitle().split()) == " ".join(shown.title.split())
        words = " ".join(" ".join(text.get_text() for text in figure.texts).split())
        assert " ".join(shown.caption.split()) in words

    def test_the_same_numbers_give_the_same_bytes(self, result: Result, tmp_path: Path) -> None:
        one = named(self.name)
        for folder in ("first", "second"):
            shown = one.data(result)
            style.write(lambda shown=shown: one.draw(shown), tmp_path / folder / "a.png", tmp_path / folder / "a.svg")
        for file in ("a.png", "a.svg"):
            assert without_clip_names(tmp_path / "first" / file) == without_clip_names(tmp_path / "second" / file)

    def test_its_numbers_are_what_is_drawn(self, result: Result) -> None:
        """Twice the numbers are another picture: nothing is read from elsewhere."""
        one = named(self.name)
        shown = one.data(result)
        numbers = list(self.measured) or shown.frame.select_dtypes("float").columns
        other = type(shown)(**{**vars(shown), "frame": shown.frame.assign(**2 * shown.frame[numbers] + 1)})
        first, second = (_drawn(one.draw, each) for each in (shown, other))
        assert first != second

    def test_nothing_to_show_is_refused_in_a_sentence(self, nothing: Result) -> None:
        with pytest.raises(PlaceError, match=rf"^(kind: '{self.name}'|measure:) .*\.$"):
            named(self.name).data(nothing)


def _drawn(draw: Callable[[Any], Figure], shown: Data) -> bytes:
    with style.in_style():
        canvas = style.laid_out(draw(shown))
        canvas.draw()
        return bytes(canvas.buffer_rgba())


CELLS = (
    Cell(12.345, 11.9, 12.7, "days"),
    Cell(100.37, unit="%"),
    Cell(-3.0, -4.0, -2.0, "%", "less"),
    Cell(1.0, -1.0, 3.0, "people", "no clear change", would_show=2.5),
    Cell(0.0, 0.0, 0.0, "people", "no change"),
    Cell(30.0, 10.0, 50.0, "£", note="saves {}"),
    Cell(None, 1.0, 2.0),
    Cell(7),
    Cell(float("nan")),
)
"""One of every kind."""


class WriterContract:
    """What holds of every writer: all of a page is in what it writes, in order, and it writes the same twice.

    A test of one has `write` and, where a file is no text, `read`.
    """

    write: Callable[[Page], bytes]

    def read(self, content: bytes) -> str:
        """All words of a file, in order."""
        return content.decode("utf-8")

    def page(self) -> Page:
        rows = tuple((f"row {at}", cell) for at, cell in enumerate(CELLS))
        return Page(
            title="A place: two scenarios compared.",
            settings="Your settings: seed=7 (1 otherwise).",
            sections=(
                Section("What failed", sentences=("Mind the gap.",), loud=True),
                Section("What changes", ("measure", "number"), rows, ("A sentence.", "And another.")),
                Section("In a line", ("measure", "number"), rows[:3], in_a_line=True),
            ),
            folder=Path("out"),
        )

    def test_everything_is_written_in_order(self) -> None:
        page, text = self.page(), self.read(type(self).write(self.page()))
        at = 0
        told = [page.title, page.settings]
        for section in page.sections:
            told += [section.heading, *section.columns, *section.sentences] if not section.rows else [section.heading]
            for row in in_words(section):
                told += [line for words in row for line in words.split("\n")[:1]]
            told += section.sentences if section.rows else ()
        for words in told:
            assert words in text[at:], words
            at = text.index(words, at)

    def test_numbers_are_in_the_words_of_the_house(self) -> None:
        text = self.read(type(self).write(self.page()))
        for words in (
            "12.3",
            "11.9 to 12.7",
            "100.4",
            "-3.00 points",
            "no clear change",
            "2.50 would show",
            "saves £30",
        ):
            assert words in text
        assert "nan" not in text

    def test_the_same_page_gives_the_same_bytes(self) -> None:
        assert type(self).write(self.page()) == type(self).write(self.page())

    def test_a_page_with_next_to_nothing_is_written(self) -> None:
        assert "A title." in self.read(type(self).write(Page("A title.", ())))
