"""The digest of the code covers all that makes a cell, and nothing that makes a cell is left out of it."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowsim.declare.composition import load
from flowsim.declare.settings import ENGINES
from flowsim.folder.code import PACKAGE, ROOTS, code_digest, code_that_counts
from flowsim.folder.configuration import written

PLACES = Path(__file__).parent / "places"
CLOSURE = [file.relative_to(PACKAGE).as_posix() for file in code_that_counts()]

MAKE_A_CELL = """
import json, sys
from flowsim.cells.jobs import Job, Scenario, pack, work
from flowsim.folder.configuration import read_config

place = read_config(sys.argv[1])
about = {"seed": 1, "engine": sys.argv[3], "window": "all", "code": "", "libraries": {}}
about["window_minutes"] = [place.run.measured_from, place.run.horizon]
scenarios = tuple(Scenario(name, name, pack(place), f"spells/{name}") for name in ("one", "two"))
made = work(Job(scenarios, ((0, 0), (1, 0)), about, __import__("pathlib").Path(sys.argv[2])))
assert not any(one.outcome.error for one in made), made
print(json.dumps([name for name in sys.modules if name.split(".")[0] == "flowsim"]))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package at another place, which may be spoilt."""
    ignored = shutil.ignore_patterns("__pycache__", "scenarios")
    return Path(shutil.copytree(PACKAGE, tmp_path_factory.mktemp("copy") / "flowsim", ignore=ignored))


def digest(package: Path) -> str:
    return code_digest.__wrapped__(package)


def test_a_copy_has_the_same_digest(copy: Path) -> None:
    assert digest(copy) == code_digest()


@pytest.mark.parametrize("name", CLOSURE)
def test_a_changed_line_in_any_module_that_makes_a_cell_changes_the_digest(copy: Path, name: str) -> None:
    before, source = digest(copy), (copy / name).read_text(encoding="utf-8")
    (copy / name).write_text(f"{source}# another line\n", encoding="utf-8")
    assert digest(copy) != before
    (copy / name).write_text(source, encoding="utf-8")
    assert digest(copy) == before


def test_what_only_asks_and_shows_does_not_count(copy: Path) -> None:
    before = digest(copy)
    for name in ("api.py", "cli/main.py", "questions/compare.py", "declare/composition.py", "cells/progress.py"):
        with (copy / name).open("a", encoding="utf-8") as file:
            file.write("# another line\n")
    assert digest(copy) == before


def test_an_import_anywhere_in_a_file_makes_a_module_count(copy: Path) -> None:
    sampler = copy / "model" / "sampler.py"
    source = sampler.read_text(encoding="utf-8")
    for line in (
        "from flowsim.questions import (\n    design,  # late\n)",
        "def late():\n    from flowsim.questions.design import x as y",
        "import flowsim.questions.design as design",
    ):
        assert copy / "questions" / "design.py" not in code_that_counts(copy)
        sampler.write_text(f"{source}\n{line}\n", encoding="utf-8")
        assert copy / "questions" / "design.py" in code_that_counts(copy)
        sampler.write_text(f"{source}\nif TYPE_CHECKING:\n    import flowsim.questions.design\n", encoding="utf-8")
    sampler.write_text(source, encoding="utf-8")


@pytest.mark.parametrize("engine", ENGINES)
def test_every_module_that_is_loaded_while_a_cell_is_made_counts(engine: str, tmp_path: Path) -> None:
    place = load("place=small", "scenario=more_support", "days=28", "policy_start=2024-04-15", scenarios_dir=PLACES)
    (tmp_path / "place.yaml").write_text(written(place), encoding="utf-8")
    words = [sys.executable, "-c", MAKE_A_CELL, str(tmp_path / "place.yaml"), str(tmp_path / "out"), engine]
    done = subprocess.run(words, cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout)
    assert f"flowsim.engine.{engine}" in loaded
    assert {"flowsim.place.ways", "flowsim.declare.rules", "flowsim.cells.replicate"} <= set(loaded)
    for name in loaded:
        stem = "/".join(name.split(".")[1:])
        assert f"{stem}.py" in CLOSURE or f"{stem}/__init__.py".lstrip("/") in CLOSURE, f"{name} does not count"


def test_the_imports_are_those_that_python_reads() -> None:
    """The lines are found without parsing; here the same closure by Python's own grammar."""
    waiting = [file for root in ROOTS for file in PACKAGE.glob(root)]
    closure: set[Path] = set()
    while waiting:
        file = waiting.pop()
        if file not in closure:
            closure.add(file)
            waiting += (room / "__init__.py" for room in file.parents if room.is_relative_to(PACKAGE))
            for name in imported(ast.parse(file.read_text(encoding="utf-8"))):
                path = PACKAGE.joinpath(*name.split(".")[1:])
                waiting += (one for one in (path.with_suffix(".py"), path / "__init__.py") if one.is_file())
    assert sorted(closure) == code_that_counts()


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.split(".")[0] == "flowsim")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "flowsim":
            yield str(node.module)
            yield from (f"{node.module}.{one.name}" for one in node.names)
        yield from imported(node)


def test_it_is_quick_enough_for_every_worker() -> None:
    spent = []
    for _ in range(5):
        began = time.process_time()
        digest(PACKAGE)
        spent.append(time.process_time() - began)
    assert min(spent) < 0.1  # a twentieth of a second on a quiet core
