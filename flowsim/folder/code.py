"""A digest of the source that makes a cell: results of other code are not continued."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
ROOTS = ("cells/jobs.py", "declare/reading.py", "engine/*.py")
"""Files whose imports, and theirs, are all that makes a cell: what a worker does, how a place is read from its
configuration, and the engines, which are imported by a name that is put together."""
_FOR_TYPES = re.compile(r"^([ ]*)if TYPE_CHECKING:\n(?:\1[ ]+.*\n|[ ]*\n)+", re.MULTILINE)
_IMPORT = re.compile(
    r"^[ ]*(?:from (?P<room>flowsim[.\w]*) import (?:\((?P<several>[^)]*)\)|(?P<one_line>.*))"
    r"|import (?P<plain>flowsim.*))$",
    re.MULTILINE,
)


@functools.cache
def code_digest(package: Path = PACKAGE) -> str:
    """The digest, 16 hexadecimal digits, of the names and bytes of `code_that_counts` in this copy of the package."""
    digest = hashlib.sha256()
    for file in code_that_counts(package):
        digest.update(file.relative_to(package).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def code_that_counts(package: Path = PACKAGE) -> list[Path]:
    """The files on which a cell's numbers depend, in order: the import closure of `ROOTS`, inside functions too.

    What is imported for type checkers only is left out. The lines are found without parsing the files, which would take
    a third of a second in every worker; a test holds the answer against Python's own reading of them.
    """
    waiting = [file for root in ROOTS for file in package.glob(root)]
    closure: set[Path] = set()
    while waiting:
        file = waiting.pop()
        if file not in closure:
            closure.add(file)
            waiting += (one for name in _imported(file) for one in _files(package, name))
            waiting += (room / "__init__.py" for room in file.parents if room.is_relative_to(package))
    return sorted(closure)


def _imported(file: Path) -> Iterator[str]:
    """Dotted names of all that a file imports from the package: modules, and what may be one or something in one."""
    source = _FOR_TYPES.sub("", file.read_text(encoding="utf-8"))
    for line in _IMPORT.finditer(source):
        if line["plain"]:
            yield from re.findall(r"flowsim[.\w]*", line["plain"])
        else:
            names = re.sub(r"#.*| as \w+", "", line["several"] or line["one_line"])
            yield line["room"]
            yield from (f"{line['room']}.{name}" for name in re.findall(r"\w+", names))


def _files(package: Path, name: str) -> list[Path]:
    """The file of a module of the package, or of a room; none for what is something in one."""
    path = package.joinpath(*name.split(".")[1:])
    return [file for file in (path.with_name(f"{path.name}.py"), path / "__init__.py") if file.is_file()]
