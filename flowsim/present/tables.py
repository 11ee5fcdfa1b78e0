"""Tables in the terminal: as wide as there is room, and no word cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flowsim.experiment.compare import NO_CLEAR_CHANGE

if TYPE_CHECKING:
    from rich.console import Console

WIDTH_OF_NAMES = 14
FRAME = 3
"""Characters that a column has beside its text: a space each side and a line."""


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], console: Console, width: int) -> None:
    """Print a table of so many characters, or of more where its longest words would have to be cut."""
    from rich.table import Table
    from rich.text import Text

    widths = fitting_widths([columns, *rows], width)
    lines = any("\n" in text for row in rows for text in row)
    table = Table(show_lines=lines, width=sum(widths) + FRAME * len(widths) + 1)
    for column, its_width in zip(columns, widths, strict=True):
        table.add_column(Text(column), width=its_width)
    for row in rows:
        table.add_row(*(Text(text, style="dim" if text.startswith(NO_CLEAR_CHANGE) else "") for text in row))
    console.print(table, crop=False, soft_wrap=True)


def fitting_widths(lines: Sequence[Sequence[str]], available: int) -> list[int]:
    """Characters of each column: as its text is, or the widest made narrower until all fit or none can be."""
    columns = list(zip(*lines, strict=True))
    widths = [max(len(line) for text in column for line in text.split("\n")) for column in columns]
    least = [max((len(word) for text in column for word in text.split()), default=0) for column in columns]
    least[0] = max(least[0], min(widths[0], WIDTH_OF_NAMES))
    while sum(widths) + FRAME * len(widths) + 1 > available:
        wider = [at for at, width in enumerate(widths) if width > least[at]]
        if not wider:
            break
        widths[max(wider, key=widths.__getitem__)] -= 1
    return widths
