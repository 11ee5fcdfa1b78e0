"""How YAML is read beyond the plain: blocks that are named once, and numbers that are worked out where they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowsim.declare.yaml_and_csv import read_yaml, shipped_folder


def written(folder: Path, text: str) -> Path:
    path = folder / "one.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_block_is_named_once_and_each_use_is_a_copy(tmp_path: Path) -> None:
    path = written(tmp_path, "a: &block {x: 1, y: {z: 2}}\nb: *block\nc: {<<: *block, x: 3}\n")
    content = read_yaml(path)
    assert content == {"a": {"x": 1, "y": {"z": 2}}, "b": {"x": 1, "y": {"z": 2}}, "c": {"x": 3, "y": {"z": 2}}}
    content["a"]["y"]["z"] = 9
    assert content["b"]["y"]["z"] == content["c"]["y"]["z"] == 2
    assert read_yaml(path)["a"]["y"]["z"] == 2


@pytest.mark.parametrize("path", sorted(shipped_folder().glob("place/*.yaml")), ids=lambda path: path.stem)
def test_lines_of_places_are_read_without_scrolling(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [number for number, line in enumerate(lines, 1) if len(line) > 120] == []
