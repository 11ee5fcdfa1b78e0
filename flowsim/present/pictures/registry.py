"""The pictures there are: found by their files, in order, and written."""

from __future__ import annotations

import contextlib
import pkgutil
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from flowsim.folder.result import Result
from flowsim.place import PlaceError, notice, refuse
from flowsim.present import pictures
from flowsim.present.pictures import style
from flowsim.present.pictures.picture import Picture


@cache
def every_picture() -> tuple[Picture, ...]:
    """All pictures, the most important first: one for each file of this folder that has a `PICTURE`."""
    names = sorted(module.name for module in pkgutil.iter_modules(pictures.__path__))
    modules = [import_module(f"{pictures.__name__}.{name}") for name in names]
    return tuple(sorted((one.PICTURE for one in modules if hasattr(one, "PICTURE")), key=lambda one: one.rank))


def pictures_of(question: str) -> tuple[Picture, ...]:
    """The pictures of a question (run, compare, select, sweep), the most important first."""
    return tuple(one for one in every_picture() if question in one.questions)


def picture(name: str, question: str) -> Picture:
    """A picture by its name. Raises PlaceError when there is none, or none of this question."""
    known = {one.name: one for one in pictures_of(question)}
    if name in known:
        return known[name]
    for one in every_picture():
        if one.name == name and one.needs:
            raise PlaceError(f"kind: {name!r} needs {one.needs}.")
    raise refuse("kind", name, "one of", known)


def save(result: Result, path: str | Path, kind: str | None = None, **options: Any) -> Path:
    """Draw one picture and write it; the ending of `path` (.png or .svg) decides the format.

    Without `kind` the most important that fits. Raises PlaceError for another kind or ending, or when the result has
    nothing to show of that kind.
    """
    question = result.question
    fitting = (one for one in pictures_of(question) if one.fits(result))
    one = next(fitting) if kind is None else picture(kind, question)
    return _write(one, result, [Path(path)], **options)


def save_all(result: Result, folder: str | Path, endings: Sequence[str] = style.ENDINGS) -> list[Path]:
    """Every picture that can be drawn of this result, with each ending, the most important first.

    A picture that has nothing to show is left out; one that fails as well, with a notice: it costs no result.
    """
    written = []
    for one in pictures_of(result.question):
        paths = [Path(folder) / f"{one.stem}{ending}" for ending in endings]
        with _or_without(one.stem):
            if one.fits(result):
                _write(one, result, paths)
                written += paths
    return written


def _write(one: Picture, result: Result, paths: Sequence[Path], **options: Any) -> Path:
    return style.write(lambda: one.draw(one.data(result, **options)), *paths)


@contextlib.contextmanager
def _or_without(name: str) -> Iterator[None]:
    try:
        yield
    except PlaceError:
        pass
    except Exception as error:
        notice(f"the picture {name!r} could not be drawn ({type(error).__name__}: {error}); all else is complete")
