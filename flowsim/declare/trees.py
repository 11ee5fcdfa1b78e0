"""Plain data: mappings and lists as files give them, looked up and changed by path, and laid over one another.

What is done to each of the thousands of scalars of a place asks for `dict`, not for any Mapping: an abstract class is
slow to ask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flowsim.place import KINDS, refuse

NOTHING = object()
"""What is at a key that is not there."""

OF_PEOPLE = ("set", "when", "who")
"""Keys under which stand attributes of people and their levels, so that `source` there is an attribute of that name."""


def is_evidence(value: Any, of: str = "") -> bool:
    """Does a `source` name evidence (text, or text by key), where it stands in the mapping `of` this key? Anything else
    is a thing or a level of that name."""
    if of in OF_PEOPLE:
        return False
    of_each = list(value.values()) if isinstance(value, Mapping) else [value]
    return value is None or (bool(of_each) and all(isinstance(one, str) for one in of_each))


def copied(value: Any) -> Any:
    """Plain data with mappings and lists of its own."""
    if isinstance(value, dict):
        return {k: copied(v) for k, v in value.items()}
    return [copied(v) for v in value] if isinstance(value, list) else value


def with_text_keys(value: Any) -> Any:
    """Keys as text, as YAML files give them."""
    return {str(k): with_text_keys(v) for k, v in value.items()} if isinstance(value, dict) else value


def leaves(raw: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(path, value) of everything that is not a mapping; sources apart."""
    if isinstance(raw, dict):
        for key, value in raw.items():
            if key != "source" or not is_evidence(value, path[-1] if path else ""):
                yield from leaves(value, (*path, str(key)))
    else:
        yield path, raw


def tree_of(values: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """The mapping in which these values stand at these paths."""
    tree: dict[str, Any] = {}
    for path, value in values.items():
        node = tree
        for part in path[:-1]:
            node = node.setdefault(part, {})
        node[path[-1]] = value
    return tree


def value_at(tree: Mapping[str, Any], path: Sequence[str], otherwise: Any = None) -> Any:
    """What is at a path of plain data."""
    node: Any = tree
    for part in path:
        if isinstance(node, Mapping) and part in node:
            node = node[part]
        elif isinstance(node, list) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        else:
            return otherwise
    return node


def put(tree: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Set what is at a path, in place; what is missing on the way is made."""
    node = _parent(tree, path)
    if isinstance(node, list):
        node[int(path[-1])] = value
    else:
        node[path[-1]] = value


def take_away(tree: dict[str, Any], path: Sequence[str]) -> None:
    """Take a key away, in place; of a list the others keep their numbers, so that nothing stands there instead."""
    node = _parent(tree, path)
    if isinstance(node, list):
        node[int(path[-1])] = None
    else:
        node.pop(path[-1], None)


def _parent(tree: dict[str, Any], path: Sequence[str]) -> Any:
    node: Any = tree
    for part in path[:-1]:
        if isinstance(node, list):
            node = node[int(part)]
            continue
        if not isinstance(node.get(part), (dict, list)):
            node[part] = {}
        node = node[part]
    return node


def depth_of(path: Sequence[str], tree: Any) -> int:
    """How many steps of a path a tree has."""
    for depth, part in enumerate(path):
        if not isinstance(tree, Mapping) or part not in tree:
            return depth
        tree = tree[part]
    return len(path)


def is_within(path: tuple[str, ...], keys: Sequence[str]) -> bool:
    """Is a path of the place at or below one of these dotted keys (``place.services.reablement``)?"""
    return any(path[: len(k.split(".")) - 1] == tuple(k.split(".")[1:]) for k in keys)


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """[old, new] of every dotted key at which two trees differ."""
    if before == after:
        return {}
    old, new = dict(leaves(before)), dict(leaves(after))
    keys = [*new, *(k for k in old if k not in new)]
    return {".".join(k): [old.get(k), new.get(k)] for k in keys if old.get(k) != new.get(k)}


def overlay(below: Any, above: Any) -> Any:
    """`above` laid over `below`: mappings are merged, everything else is replaced whole, and so are a table by another
    attribute or by what is no product, and a distribution of another kind (its unit and limits stay). Neither is
    changed."""
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    if ("by" in above and above["by"] != below.get("by")) or ("times" in above and "times" not in below):
        return above
    if {"values", "file"} & set(above):  # counted values: weights below belong to others
        return above
    # of a distribution that takes two of these: another two are another answer
    parameters = {"mean", "median", "sigma", "sd", "shape", "scale"}
    if len(parameters & set(above)) == 2 and parameters & set(above) != parameters & set(below):
        return above
    another_kind = set(KINDS) - set(above) if set(KINDS) & set(above) else set()
    merged = {key: value for key, value in below.items() if key not in another_kind}
    for key, value in above.items():
        merged[key] = overlay(below[key], value) if key in merged else value
    return merged


def resolve_likes(stages: Mapping[str, Any]) -> dict[str, Any]:
    """Give every stage that is `like` another that other's keys where it says nothing itself; null takes one away."""
    done: dict[str, Any] = {}

    def resolve(name: str, path: tuple[str, ...]) -> Any:
        if name in done:
            return done[name]
        if name in path:
            raise refuse(f"place.stages.{name}.like", " -> ".join((*path, name)), "no circle of likes")
        stage = stages[name]
        if isinstance(stage, Mapping) and stage.get("like") is not None:
            model = stage["like"]
            if not isinstance(model, str) or model not in stages:
                raise refuse(f"place.stages.{name}.like", model, "a stage:", stages)
            stage = overlay(resolve(model, (*path, name)), {k: v for k, v in stage.items() if k != "like"})
        done[name] = stage
        return stage

    return {name: resolve(name, ()) for name in stages}


def with_likes(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The tree in which keys are looked up: stages with what they take from others."""
    return {**raw, "stages": resolve_likes(raw["stages"])} if isinstance(raw.get("stages"), Mapping) else {**raw}
