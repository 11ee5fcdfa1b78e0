"""Hydra as a plug-in: where it finds the files of a composition, and how it is asked as rarely as can be."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_module
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flowsim.declare.group_files import DEFAULTS, GLOBAL, refuse_other_keys, with_those_below
from flowsim.declare.overrides import in_quotes
from flowsim.declare.references import resolved, unveiled, veiled
from flowsim.declare.trees import copied
from flowsim.declare.yaml_and_csv import folders, main_choices, main_file, options, read_file, read_yaml
from flowsim.place import PlaceError

FILE = "flowsim file: "
"""Marks, inside a composition, the name of a file that is yet to be filled in."""


class _Folder(ConfigSource):
    """A folder of YAML files, read by YAML 1.2; a scenario's file goes to `scenario.NAME` without having to say so.

    With `by_name` Hydra is given the name of a plain place only, for its content is thousands of nodes to it.
    """

    by_name = True

    @staticmethod
    def scheme() -> str:
        return "flowsim"

    def load_config(self, config_path: str) -> ConfigResult:
        path = self._file(config_path)
        if not path.is_file():
            raise ConfigLoadError(f"{path} does not exist")
        document = read_file(path)
        package = document.package
        if config_path.startswith("scenario/") and package is None:
            package = f"scenario.{path.stem}"
        content = veiled(document.content)
        if self.by_name and config_path.startswith("place/") and _is_plain(path):
            content = {f"{FILE}{path}": None}
        return ConfigResult(self.provider, self.full_path(), OmegaConf.create(content), {"package": package})

    def available(self) -> bool:
        return Path(self.path).is_dir()

    def is_group(self, config_path: str) -> bool:
        return (Path(self.path) / config_path).is_dir()

    def is_config(self, config_path: str) -> bool:
        return self._file(config_path).is_file()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        results: list[str] = []
        for file in sorted(os.listdir(Path(self.path) / config_path)):
            self._list_add_result(results, f"{config_path}/{file}".lstrip("/"), file, results_filter)
        return sorted(set(results))

    def _file(self, config_path: str) -> Path:
        return Path(self.path) / self._normalize_file_name(config_path)


class _Folders(SearchPathPlugin):
    """Tells Hydra where to look; only while flowsim composes."""

    current: tuple[Path, ...] = ()

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in self.current:
            search_path.append("flowsim", f"flowsim://{folder}")


for _plugin in (_Folder, _Folders):
    Plugins.instance().register(_plugin)


def compose_files(
    chosen: Mapping[str, Sequence[str]], settings: Mapping[str, Any], scenarios_dir: str | Path | None
) -> dict[str, Any]:
    """`config.yaml` with the chosen files of each group and the user's settings, as Hydra composes them.

    Hydra takes far longer than all the rest, so it is asked once for the same files, whatever the settings, and not
    at all for scenarios that are only put where they belong. Each file is checked before Hydra sees it
    (`group_files.py`), and it sees no ``${...}`` (`references.py`). Raises PlaceError.
    """
    where = folders(scenarios_dir)
    files = {group: options(group, scenarios_dir) for group in chosen}
    for group, names in chosen.items():
        with_those_below(group, names, files[group])
    refuse_other_keys(main_file(where))
    config = _from_files(chosen, where, files["scenario"]) | dict(settings)
    read = [read_file(path) for path in _files_of(chosen, files, where)]
    if any(document.refers for document in read):
        return resolved(config, settings, lambda path: _said_in(path, files, chosen["place"], main_file(where)))
    return config


def _from_files(
    chosen: Mapping[str, Sequence[str]], where: tuple[Path, ...], scenarios: Mapping[str, Path]
) -> dict[str, Any]:
    plain = _plain_scenarios(chosen["scenario"], scenarios)
    try:
        if plain:
            config = _composed({**chosen, "scenario": []}, where)
            if not config.get("scenario"):  # else `config.yaml` itself has a say in them
                return {**config, "scenario": plain}
        return _composed(chosen, where)
    except OmegaConfBaseException as error:
        key = unveiled(str(getattr(error, "full_key", "") or "")) or "a key"
        told = f"{key} is a mapping in one of these files and something else in another that is laid over it"
        raise PlaceError(f"{where[0]}: {told}; allowed: the same kind in both.") from None
    except (HydraException, ValueError) as error:
        if isinstance(error, PlaceError):
            raise
        reason = unveiled(" ".join(str(error).split()))[:300]
        raise PlaceError(f"{where[0]}: these files do not fit together: {reason}.") from None


def _files_of(
    chosen: Mapping[str, Sequence[str]], files: Mapping[str, Mapping[str, Path]], where: tuple[Path, ...]
) -> Iterator[Path]:
    """Each file that takes part."""
    yield main_file(where)
    for group, names in chosen.items():
        yield from (files[group][name] for name in with_those_below(group, names, files[group]))


def _said_in(path: tuple[str, ...], files: Mapping[str, Mapping[str, Path]], places: Sequence[str], main: Path) -> str:
    """File and line of a key of the composition."""
    scenario = files["scenario"].get(path[1]) if path[0] == "scenario" and len(path) > 1 else None
    if scenario is not None:
        return f"{scenario}{read_file(scenario).where(path[2:])}"
    if path[0] == "place":
        place = files["place"][places[0]]
        return f"{place}{read_file(place).where(path[1:])}"
    return f"{main}{read_file(main).where(path)}"


def _stat(path: Path) -> os.stat_result | None:
    """What is known of a file; None of a link that leads nowhere."""
    with contextlib.suppress(OSError):
        return path.stat()
    return None


def _plain_scenarios(names: Sequence[str], files: Mapping[str, Path]) -> dict[str, Any]:
    """What is in the files of these scenarios, by name; empty when Hydra has something to do with one of them."""
    scenarios = {}
    for name in names:
        path = files.get(name)
        if path is None or not _is_plain(path) or read_file(path).package == GLOBAL:
            return {}
        scenarios[name] = read_yaml(path)
    return scenarios


def _composed(chosen: Mapping[str, Sequence[str]], where: tuple[Path, ...]) -> dict[str, Any]:
    """A composition of files, as plain data."""
    files = sorted(path for folder in where for level in ("*.yaml", "*/*.yaml") for path in folder.glob(level))
    state = tuple((path, there.st_mtime_ns, there.st_size) for path in files for there in [_stat(path)] if there)
    usual = main_choices(main_file(where))
    words = (
        f"{group}=[{','.join(in_quotes(name) for name in names)}]"
        for group, names in chosen.items()
        if names != usual.get(group)
    )
    return _filled_in(_composed_by_hydra(tuple(words), where, state))


@lru_cache(maxsize=64)
def _composed_by_hydra(words: tuple[str, ...], where: tuple[Path, ...], state: tuple[Any, ...]) -> dict[str, Any]:
    """The composition, with the name of a plain place where its content belongs (`_filled_in`)."""
    somebody_elses = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    _Folders.current = where
    try:
        # a package with no config.yaml: given none, Hydra looks for its caller on the whole stack, which takes long
        with initialize_config_module("hydra.conf", job_name="flowsim", version_base="1.3"):
            for by_name in (True, False):
                _Folder.by_name = by_name
                config = hydra_compose("config", overrides=list(words))
                with contextlib.suppress(_MixedError):
                    made = unveiled(OmegaConf.to_container(config))
                    _filled_in(made)
                    return dict(made)
    finally:
        _Folders.current = ()
        GlobalHydra.instance().hydra = somebody_elses
    raise AssertionError("a composition without names is never mixed")


class _MixedError(Exception):
    """Files are laid over one another: Hydra has to see what is in them."""


def _filled_in(tree: Any) -> dict[str, Any]:
    """A composition with what is in the files it names. Raises _MixedError."""
    named = [key for key in tree if str(key).startswith(FILE)]
    if named and len(tree) > 1:
        raise _MixedError
    if named:
        return read_yaml(Path(named[0].removeprefix(FILE)))
    return {key: _filled_in(value) if isinstance(value, dict) else copied(value) for key, value in tree.items()}


def _is_plain(path: Path) -> bool:
    """Is a file nothing but its content, and builds on no other?"""
    return DEFAULTS not in read_file(path).content
