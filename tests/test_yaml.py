"""How YAML is read beyond the plain: blocks that are named once, and numbers that are worked out where they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowsim.declare.yaml_and_csv import read_yaml, shipped_folder
from flowsim.place import PlaceError


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


def test_a_number_is_worked_out_where_it_stands(tmp_path: Path) -> None:
    text = "a: = 0.135 * 1.8 / 1.2\nb: {c: = 1 - (0.2 + 0.1) * 2, d: 3}\ne: '= 1 + 1'\nf: [= 1 / 4, 2]\n"
    content = read_yaml(written(tmp_path, text))
    assert content["a"] == pytest.approx(0.2025, abs=1e-15)
    assert content["b"] == {"c": pytest.approx(0.4, abs=1e-15), "d": 3}
    assert content["e"] == "= 1 + 1"  # in quotes it is text
    assert content["f"] == [0.25, 2]


@pytest.mark.parametrize("given", ["1 / 0", "1 +", "2 ** 9", "a", "True", "f('os')", "1 if 2 else 3", "[1][0]"])
def test_what_is_no_arithmetic_is_refused(tmp_path: Path, given: str) -> None:
    with pytest.raises(PlaceError, match=r"line 2: b: .* was given; allowed after '=': numbers with"):
        read_yaml(written(tmp_path, f"a: 1\nb: = {given}\n"))


@pytest.mark.parametrize("path", sorted(shipped_folder().glob("place/*.yaml")), ids=lambda path: path.stem)
def test_lines_of_places_are_read_without_scrolling(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [number for number, line in enumerate(lines, 1) if len(line) > 120] == []
