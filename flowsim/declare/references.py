"""``${days}`` in a file: what another key of the composed files is, and nothing else there is in the world.

We resolve these, not OmegaConf: its resolvers reach the environment and more, and it never counts. So what the library
is given has its ``${`` veiled, and what comes back is resolved here, each key once, values and letters counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from flowsim.declare.limits import LETTERS_EACH, limits
from flowsim.declare.trees import NOTHING, value_at
from flowsim.place import PlaceError, nearest

_REFERENCE = re.compile(r"\$\{(\.*)([\w-]+(?:\.[\w-]+)*)\}")
_BEGINS, _VEILED = "${", "$\ue000{"
LONGEST_CHAIN = 30

Path = tuple[str, ...]


def veiled(value: Any) -> Any:
    """Plain data in which no library finds a reference."""
    if isinstance(value, dict):
        return {key.replace(_BEGINS, _VEILED): veiled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [veiled(item) for item in value]
    return value.replace(_BEGINS, _VEILED) if isinstance(value, str) else value


def unveiled(value: Any) -> Any:
    """What was `veiled`, as it was."""
    if isinstance(value, dict):
        return {str(key).replace(_VEILED, _BEGINS): unveiled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unveiled(item) for item in value]
    return value.replace(_VEILED, _BEGINS) if isinstance(value, str) else value


def resolved(tree: Mapping[str, Any], as_it_stands: Collection[str], where: Callable[[Path], str]) -> dict[str, Any]:
    """Composed files with what their references name.

    Args:
        as_it_stands: keys at the top whose values refer to nothing, such as what the user set.
        where: the file and line in which a key stands, for refusals.

    Raises PlaceError for a reference to nothing, in a circle, or to more than there may be.
    """
    resolver = _Resolver(tree, frozenset(as_it_stands), where)
    return {
        key: value if key in as_it_stands else resolver.value(value, (key,)) for key, value in tree.items()
    }  # fmt: skip


class _Resolver:
    def __init__(self, tree: Mapping[str, Any], as_it_stands: frozenset[str], where: Callable[[Path], str]) -> None:
        self.tree, self.as_it_stands, self.where = tree, as_it_stands, where
        self.most = limits()
        self.count = 0
        self.known: dict[Path, Any] = {}
        self.chain: list[Path] = []

    def value(self, value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {key: self.value(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, (*path, str(at))) for at, item in enumerate(value)]
        return self._text(value, path) if isinstance(value, str) and _BEGINS in value else value

    def _refuse(self, path: Path, given: str, told: str) -> PlaceError:
        shown = f"{given[:60]!r}{'...' if len(given) > 60 else ''}"
        return PlaceError(f"{self.where(path)}: {'.'.join(path)}: {shown} was given{told}.")

    def _text(self, text: str, path: Path) -> Any:
        if path in self.known:
            return self.known[path]
        if path in self.chain or len(self.chain) > LONGEST_CHAIN:
            circle = " -> ".join(".".join(one) for one in (*self.chain[-3:], path))
            raise self._refuse(self.chain[0], text, f", which refers to itself ({circle}); allowed: no circle")
        self.chain.append(path)
        whole = _REFERENCE.fullmatch(text)
        if whole:
            made = self._named(whole, text, path)
        else:
            made = _REFERENCE.sub(lambda match: self._as_text(match, text, path), text)
        self.chain.pop()
        self.known[path] = made
        return made

    def _as_text(self, match: re.Match[str], text: str, path: Path) -> str:
        value = self._named(match, text, path)
        if isinstance(value, dict | list):
            raise self._refuse(path, text, "; allowed within text: a key that is a single value")
        words = "true" if value is True else "false" if value is False else "" if value is None else str(value)
        self._counted(len(words), text, path)
        return words

    def _named(self, match: re.Match[str], text: str, path: Path) -> Any:
        dots, key = match.groups()
        steps = tuple(key.split("."))
        if dots:
            steps = (*path[: len(path) - len(dots)], *steps) if len(dots) <= len(path) else ("", *steps)
        value = value_at(self.tree, steps, NOTHING)
        if value is NOTHING:
            there = value_at(self.tree, steps[:-1])
            names = list(there) if isinstance(there, dict) else list(self.tree)
            near = nearest(steps[-1], names)
            told = f", and there is no {'.'.join(steps)!r}"
            raise self._refuse(path, text, f"{told}; allowed: a key of these files{near}")
        if steps[0] not in self.as_it_stands:
            if isinstance(value, dict | list) and path[: len(steps)] == steps:
                raise self._refuse(path, text, ", in which it stands itself; allowed: no circle")
            value = self.value(value, steps)
        self._counted(_size(value), text, path)
        return value

    def _counted(self, letters: int, text: str, path: Path) -> None:
        self.count += 1 + letters // LETTERS_EACH
        if self.count > self.most.values:
            told = ", and references come to more values than can be read"
            raise self._refuse(path, text, f"{told}; allowed: {self.most.more('values')}")


def _size(value: Any) -> int:
    """Letters of text, and as many as count for the values of a mapping or list."""
    if isinstance(value, dict):
        return sum(LETTERS_EACH + _size(item) for item in value.values())
    if isinstance(value, list):
        return sum(LETTERS_EACH + _size(item) for item in value)
    return len(value) if isinstance(value, str) else 0
