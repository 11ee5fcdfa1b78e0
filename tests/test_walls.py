"""The walls between the rooms of flowsim (docs/architecture.md): who may import whom, read from the sources."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "flowsim"
MODULES = sorted(PACKAGE.rglob("*.py"))

ROOMS = (
    "place", "rules", "validate", "settings", "files", "evidence", "census", "totals", "compose",
    "model", "engine", "measures", "experiment", "present", "api", "cli",
)  # fmt: skip
"""In this order: each imports only from itself and from those before it."""

OUTSIDE = {
    "simpy": ("engine/reference.py",),
    "numba": ("engine/compiled.py", "engine/kernel.py", "engine/carry.py"),
    "llvmlite": ("engine/compiled.py", "engine/kernel.py"),
    "hydra": ("compose.py", "cli.py"),
    "omegaconf": ("compose.py", "cli.py"),
    "joblib": ("experiment/",),
    "distributed": ("experiment/executors.py",),
    "duckdb": ("experiment/catalogue.py",),
    "matplotlib": ("present/",),
    "random": (),
    "secrets": (),
    "uuid": (),
}
"""Libraries, and the only files that may import them."""
RANDOM = {"model/cohort.py", "experiment/design.py"}
"""Where all random numbers come from: of people and shocks, and those that choose the points of a sweep."""


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room(path: Path) -> str:
    first = relative(path).split("/")[0].removesuffix(".py")
    return "api" if first == "__init__" else first


def imports(path: Path) -> Iterator[str]:
    """Dotted names of all a file imports, inside functions and for type checkers too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)}, line {node.lineno}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ids(path: object) -> str:
    return relative(path) if isinstance(path, Path) else str(path)


def test_every_room_is_known():
    assert {room(path) for path in MODULES} <= set(ROOMS)


def test_the_page_on_architecture_names_every_module():
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    told = page.partition("## The rooms")[2].split("```")[1]
    for module in MODULES:
        assert module.stem == "__init__" or re.search(rf"\b{module.stem}\b", told), f"{relative(module)} is not named"


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_a_room_imports_only_rooms_before_it(path):
    allowed = ROOMS[: ROOMS.index(room(path)) + 1]
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "flowsim" and len(parts) > 1:
            target = parts[1] if parts[1] in ROOMS else "api"  # `from flowsim import x`: what __init__ offers
            if name == "flowsim.__version__":
                continue
            assert target in allowed, f"{relative(path)} imports {name}: {target} comes after {room(path)}"


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_libraries_stay_in_their_rooms(path):
    for name in imports(path):
        for library, files in OUTSIDE.items():
            if name.split(".")[0] == library:
                assert relative(path).startswith(files or "nowhere"), f"{relative(path)} imports {name}"


def test_all_random_numbers_come_from_the_cohort():
    draws = {
        relative(path)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "random"
    }
    assert draws == RANDOM


def test_only_the_compiled_engine_loads_the_kernel():
    loads = [relative(path) for path in MODULES if any("engine.kernel" in name for name in imports(path))]
    assert set(loads) == {"engine/compiled.py", "engine/carry.py"}


def test_the_command_line_is_there_before_numpy_is():
    """Else `travel_light` would come too late to tell OpenBLAS how many threads to start."""
    code = "import sys, flowsim.cli; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_reading_a_place_loads_no_engine_and_no_charts():
    heavy = ("matplotlib", "simpy", "numba")
    code = f"import sys, flowsim; flowsim.load(); print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
