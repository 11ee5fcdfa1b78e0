"""The code of the engine that is kept on disk: found again, and never that which somebody else has put there.

What Numba finds it unpickles, so whoever writes there runs commands as whoever reads it. Each folder here is really
prepared, with an index that would make a file, and really read.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pickle
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import pytest

from flowsim import system
from flowsim.engine import cache, compiled

posix = pytest.mark.skipif(sys.platform == "win32", reason="owners and modes are POSIX's")
HOME = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME"
OTHER = 54321
"""The number of another user."""


def test_every_source_of_the_engine_counts_for_the_cache(tmp_path: Path) -> None:
    package = tmp_path / "flowsim"
    shutil.copytree(Path(compiled.__file__).parents[1], package, ignore=shutil.ignore_patterns("__pycache__"))
    before = cache.source_hash(package)
    assert cache.source_hash(package) == before
    for name in (
        "engine/kernel.py",
        "engine/layout.py",
        "engine/carry.py",
        "engine/stamps.py",
        "model/tables.py",
        "model/calendar.py",
    ):
        with (package / name).open("a") as source:
            source.write("# changed\n")
        after = cache.source_hash(package)
        assert after != before, name
        before = after


# -- folders that somebody has prepared --------------------------------------------------------------------------------


class Prepared:
    """What somebody else has put where the code of a small function is kept: an index that makes a file when read."""

    def __init__(self, folder: Path) -> None:
        self.marker = folder / "a command was run"
        self.source = folder / "small.py"
        self.source.write_text("import numba\n\n\n@numba.njit(cache=True)\ndef small(x):\n    return x + 1\n")
        self.theirs = folder / "theirs"
        self.theirs.mkdir()
        self.read(self.theirs)
        (index,) = self.theirs.rglob("*.nbi")
        index.write_bytes(pickle.dumps(numba.__version__) + pickle.dumps(self))

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)

    def read(self, folder: Path) -> None:
        """Call the function anew, whose code is kept in this folder."""
        spec = importlib.util.spec_from_file_location("small", self.source)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        with compiled._code_kept_in(folder):
            spec.loader.exec_module(module)
        with contextlib.suppress(TypeError):  # what an index is not
            assert module.small(1) == 2

    def put(self, folder: Path) -> None:
        """As if it were the folder of flowsim's own code."""
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copytree(self.theirs, folder)
        folder.chmod(0o700)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return Prepared(tmp_path_factory.mktemp("prepared"))


def of_another(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(path, OTHER, OTHER)


def all_of_another(path: Path) -> None:
    for one in (path, *path.rglob("*")):
        of_another(one)


def linked(path: Path) -> None:
    shutil.move(path, path.with_name("moved"))
    path.symlink_to(path.with_name("moved"), target_is_directory=True)


def index_linked(path: Path) -> None:
    (index,) = path.rglob("*.nbi")
    linked(index)


WAYS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "all of another's": ("", all_of_another),
    "another's, with a folder of one's own": ("..", of_another),
    "a folder of another's in one's own": ("", of_another),
    "an index of another's": ("", lambda path: of_another(next(path.rglob("*.nbi")))),
    "a link": ("", linked),
    "a link above": ("..", linked),
    "an index that is a link": ("", index_linked),
    "open to the group": ("", lambda path: path.chmod(0o770)),
    "open to all": ("", lambda path: path.chmod(0o777)),
    "to be read by all": ("", lambda path: path.chmod(0o755)),
    "above open to the group": ("..", lambda path: path.chmod(0o775)),
    "above open to all": ("..", lambda path: path.chmod(0o777)),
    "two above open to all": ("../..", lambda path: path.chmod(0o777)),
    "two above another's": ("../..", of_another),
}
"""What somebody else may have done to the folder, or to one above it."""


@posix
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("where", ["home", "temp", "named"])
def test_what_somebody_else_can_have_put_there_is_not_read(
    where: str, way: str, prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, temp = tmp_path / "home", tmp_path / "temp"
    temp.mkdir(mode=0o700)
    monkeypatch.setenv(HOME, str(home) if where == "home" else os.devnull)
    monkeypatch.setenv(cache.NAMED, str(tmp_path / "a" / "named") if where == "named" else "")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(prepared.theirs))  # flowsim's code is never kept there
    monkeypatch.setattr(system.tempfile, "tempdir", str(temp))
    usual = {"home": home / "flowsim", "temp": system.caches()[-1], "named": tmp_path / "a" / "named"}[where]
    folder = usual / cache.source_hash()
    prepared.put(folder)
    assert cache.cache_folder() == folder, "as it is, it is one's own"
    above, change = WAYS[way]
    change(Path(os.path.normpath(folder / above)))
    taken = cache.cache_folder()
    assert taken not in (folder, folder.resolve())
    found = taken.stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (os.geteuid(), 0o700)
    prepared.read(taken)
    assert not prepared.marker.exists()
    assert cache.cache_folder() == taken, "processes that this one starts find it"


def test_the_prepared_index_does_run_its_command_where_it_is_read(prepared: Prepared, tmp_path: Path) -> None:
    """The test of the test above."""
    prepared.put(tmp_path / "read")
    prepared.read(tmp_path / "read")
    assert prepared.marker.exists()
    prepared.marker.unlink()


@posix
def test_a_link_of_ones_own_leads_to_the_cache_and_one_of_anothers_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disk").mkdir()
    for target in ("disk", tmp_path / "disk"):
        (tmp_path / "home").unlink(missing_ok=True)
        (tmp_path / "home").symlink_to(target)
        monkeypatch.setenv(HOME, str(tmp_path / "home" / ".." / "home"))
        assert cache.cache_folder().parents[1] == tmp_path / "disk"
    monkeypatch.setattr(system.tempfile, "tempdir", str(tmp_path / "disk"))
    monkeypatch.setenv(cache.NAMED, "")
    if os.geteuid() == 0:
        os.lchown(tmp_path / "home", OTHER, OTHER)
        assert cache.cache_folder().parents[1] == tmp_path / "disk"
        assert cache.cache_folder().parent == system.caches()[-1]
    (tmp_path / "home").unlink()
    (tmp_path / "home").symlink_to("home")
    assert cache.cache_folder().parent == system.caches()[-1]
    monkeypatch.setenv(HOME, "a/path/from/here")
    assert system.caches()[0] == Path.home() / ".cache" / "flowsim"


@posix
@pytest.mark.parametrize("made_by", ["load_kernel", pytest.param("prepare", marks=pytest.mark.long)])
def test_a_new_process_finds_the_code_and_one_amid_prepared_folders_makes_its_own(
    made_by: str, prepared: Prepared, tmp_path: Path
) -> None:
    compiled.prepare()
    assert any(cache.cache_folder().rglob("*advance*.nbi")), "Numba kept the kernel elsewhere"
    code = (
        f"import os; from flowsim.engine import cache, compiled; compiled.{made_by}()\n"
        "print(cache.cache_folder(), os.environ.get(cache.NAMED))"
    )

    def new_process(**more: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {cache.NAMED: ""} | more
        return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)

    found = new_process()
    assert "compiling" not in found.stderr
    assert found.stdout.split()[0] == str(cache.cache_folder())
    theirs = tmp_path / f"flowsim-{system._user()}" / cache.source_hash()
    shutil.copytree(cache.cache_folder(), theirs)
    for index in theirs.rglob("*.nbi"):
        index.write_bytes(pickle.dumps(numba.__version__) + pickle.dumps(prepared))
    theirs.parent.chmod(0o777)
    made = new_process(**{HOME: os.devnull, "TMPDIR": str(tmp_path)})
    told, compiling = made.stderr.splitlines()
    assert told.startswith("flowsim: compiled code is not read from a folder of others: ")
    assert told.endswith(f"{theirs.parent} is open to other users (mode 0777).")
    assert compiling.startswith("flowsim: compiling the engine")
    fresh = made.stdout.split()[1]
    assert made.stdout.split()[0].startswith(fresh)
    assert not Path(fresh).exists(), "it is removed at the end"
    assert not prepared.marker.exists()
    assert [path.name for path in tmp_path.iterdir()] == [theirs.parent.name]


@posix
def test_where_nothing_can_be_kept_the_reference_engine_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME, os.devnull)
    monkeypatch.setenv(cache.NAMED, os.devnull)
    monkeypatch.setattr(system.tempfile, "tempdir", os.devnull)
    monkeypatch.setattr(system, "TEMPORARY", ())
    with pytest.raises(ImportError, match="FLOWSIM_CACHE_DIR=FOLDER names another"):
        cache.cache_folder()
