"""The writers: what a page can be written as. A writer is a file beside this one and a line here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flowsim.folder.atomic import put
from flowsim.place import refuse
from flowsim.present.pages.page import Page
from flowsim.present.writers import markdown, terminal

WRITERS: dict[str, Callable[[Page], bytes]] = {".md": markdown.write, ".txt": terminal.write}
"""By the ending of the file's name: what makes its bytes, the same for the same page. Heavy imports wait inside."""


def write(page: Page, path: str | Path) -> Path:
    """Write a page to a file, whose ending says how. Raises PlaceError for another ending or a full disk."""
    file = Path(path)
    if file.suffix not in WRITERS:
        raise refuse("path", str(path), "a name ending in one of", WRITERS)
    put(file, WRITERS[file.suffix](page))
    return file
