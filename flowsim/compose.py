"""From files and overrides to a `Place`.

Hydra finds the files and puts them together (`config.yaml`, one place, any number of scenarios). What a scenario or a
user changes *in* the place is laid over it here, later ones on top: the place's file, each scenario in the order it is
named (first its own changes, then its parts that are switched on), and last the user's settings, so that the user
always has the final word. The place without the scenarios, but with the user's settings, is what holds before the
policies start.
"""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import compose as hydra_compose
from hydra import initialize
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, IntervalSweep, Override, RangeSweep
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flowsim.census import read_census
from flowsim.evidence import Layer, evidence_table, read_register, refuse_unknown_sources
from flowsim.files import copied, folders, read_yaml
from flowsim.place import FlowsimNotice, Place, PlaceError, Run, ScenarioInfo, nearest, refuse
from flowsim.rules import check_scenario
from flowsim.settings import Settings
from flowsim.validate import explain, fields_at, overlay, read_place, resolve_likes

if TYPE_CHECKING:
    import pandas as pd

USER = "your setting"
NO_SCENARIO = "baseline"
FILE = "flowsim file: "
"""Marks, inside a composition, the name of a file that is yet to be filled in."""
RUN_KEYS = tuple(Run.model_fields)


class Configured(Settings):
    """The settings of `config.yaml`: with what `flowsim compare` compares."""

    scenarios: tuple[str, ...] = Field(default=(), strict=False)


class Part(BaseModel):
    """A switch of a scenario: some of its changes, on or off."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    title: str = ""
    active: bool = True
    place: dict[str, Any] = Field(default_factory=dict)
    source: str | dict[str, str] | None = None


class ScenarioFile(BaseModel):
    """What a file under scenarios/scenario/ may say."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    title: str
    rationale: str = ""
    for_whom: str = ""
    evidence: dict[str, str] = Field(default_factory=dict)
    place: dict[str, Any] = Field(default_factory=dict)
    parts: dict[str, Part] = Field(default_factory=dict)
    source: str | dict[str, str] | None = None


NEEDED = {
    "services": ("title", "role", "unit", "capacity"),
    "pools": ("title", "role", "unit", "capacity"),
    "moves": ("take", "give"),
    "streams": ("title", "first"),
    "stages": ("service", "like"),
    "choices": ("shares", "chance", "planned"),
}
"""Keys of which something new has at least one; what has none of them can only be a change."""


@dataclass(frozen=True)
class Composition:
    """Everything that files and overrides make, before it is validated.

    Attributes:
        place: the place's mapping with its scenario and the user's settings.
        before: the same without the scenario.
        layers: what each file says of the place, the place's own first.
        scenarios: the scenario files that take part, in the order they are laid over the place.
        scenario: what the chosen scenario says of itself.
        run: when it takes place.
        settings: how the run is made.
        user_keys: dotted keys of the place that the user set.
        unplaced: the overrides that name nothing in these files, with the sentence that says so.
    """

    place: dict[str, Any]
    before: dict[str, Any]
    layers: tuple[Layer, ...]
    scenarios: dict[str, ScenarioFile]
    scenario: ScenarioInfo
    run: Run
    settings: Configured
    user_keys: tuple[str, ...]
    folders: tuple[Path, ...]
    unplaced: dict[str, PlaceError] = field(default_factory=dict)

    def read(self) -> Place:
        """The validated place. Raises PlaceError."""
        told = {"run": self.run.model_dump(), "scenario": self.scenario.model_dump()}
        plain = {"run": told["run"], "scenario": {}}
        if self.run.census is None:
            return self._read_both(plain, told)
        before = self._read({**self.before, **plain})
        census = read_census(self.run.census, before)
        laid_over = [census.laid_over(raw, before) for raw in (self.before, self.place)]
        return replace(self, before=laid_over[0], place=laid_over[1])._read_both(plain, told)

    def _read_both(self, plain: Mapping[str, Any], told: Mapping[str, Any]) -> Place:
        before = self._read({**self.before, **plain})
        if not self.scenarios or self.place == self.before:
            return before.model_copy(update={"scenario": self.scenario})
        return self._read({**self.place, **told}, before)

    def evidence(self) -> pd.DataFrame:
        """Every number of the place with its source and grade; see `evidence.evidence_table`."""
        final = dict(_leaves(self.place, ()))
        table = evidence_table(
            [*self.layers, Layer(USER, _tree({p: v for p, v in final.items() if _within(p, self.user_keys)}))],
            read_register(self.folders),
            self.user_keys,
        )
        return table[[tuple(k.split(".")[1:]) in final for k in table["key"]]].reset_index(drop=True)

    def _read(self, raw: Mapping[str, Any], before: Place | None = None) -> Place:
        try:
            place = read_place(raw, "").model_copy(update={"before": before})
            check_scenario(place)
            return place
        except PlaceError as error:
            raise self._with_file(str(error).removeprefix(": ")) from None

    def _with_file(self, message: str) -> PlaceError:
        """Name who set the key that a message is about: the user, a scenario or the place's file."""
        key = message.split(": ", 1)[0]
        if not key.startswith("place."):
            return PlaceError(message)
        path = tuple(key.split(".")[1:])
        set_by_user = _tree({p: v for p, v in _leaves(self.place, ()) if _within(p, self.user_keys)})
        taken_away = any(key == user for user in self.user_keys)
        layers = [*self.layers, Layer(USER, set_by_user)]
        known = [_depth(path, layer.raw) for layer in layers]
        whole = [at for at, depth in enumerate(known) if depth == len(path)]
        at = len(layers) - 1 if taken_away else whole[-1] if whole else known.index(max(known))
        near = "" if at == 0 or taken_away else _new_name(path, layers[0].raw)
        return PlaceError(f"{layers[at].name}: {message.removesuffix('.')}{near}.")


def load(*overrides: str, scenarios_dir: str | Path | None = None) -> Place:
    """The place that the overrides describe, e.g. ``load("scenario=all_three", "days=90")``.

    Args:
        overrides: as on the command line; see ``flowsim show config`` for the keys.
        scenarios_dir: a folder with place/ and scenario/ of your own; default ``./scenarios`` where it exists.

    Raises PlaceError, in one sentence, for everything that is not allowed.
    """
    return compose(*overrides, scenarios_dir=scenarios_dir).read()


def load_settings(*overrides: str, scenarios_dir: str | Path | None = None) -> Configured:
    """How the run is to be made; the place itself is not looked into. Raises PlaceError."""
    settings = [
        text
        for text, one in zip(overrides, parse(overrides), strict=True)
        if one.key_or_group != "scenario" and not one.key_or_group.startswith(("place.", "scenario."))
    ]
    return compose(*settings, scenarios_dir=scenarios_dir).settings


def load_scenarios(*overrides: str, scenarios_dir: str | Path | None = None) -> list[Place]:
    """One place for each entry of the setting `scenarios`, in order.

    An override may name what only one of them has (a part of a scenario, a key that a scenario adds): it counts there,
    and is refused only when none of them has it.
    """
    chosen = load_settings(*overrides, scenarios_dir=scenarios_dir).scenarios
    for one in parse(overrides):
        if _top(one) == "scenario" and one.key_or_group == "scenario":
            raise PlaceError(
                f"scenario: {one.input_line!r} was given; allowed: 'scenarios=[...]' to compare, first the base."
            )
    if len(set(chosen)) < len(chosen) or not chosen:
        raise PlaceError(f"scenarios: {list(chosen)} was given; allowed: at least one scenario, each only once.")
    made = [_compose((f"scenario={name}", *overrides), scenarios_dir) for name in chosen]
    for text in overrides:
        missing = [one.unplaced.get(text) for one in made]
        if missing[0] is not None and all(missing):
            raise next(error for error in reversed(missing) if error is not None)
    return [one.read() for one in made]


def value_now(composed: Composition, key: str) -> Any:
    """What a key of the place is set to; None where it is not set or is no single value."""
    section, *path = key.lstrip("+").split(".")
    node: Any = _with_likes(composed.place) if section == "place" else None
    for part in path:
        if isinstance(node, Mapping):
            node = node.get(part)
        elif isinstance(node, list) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        else:
            return None
    return node if isinstance(node, bool | int | float | str) else None


def compose(*overrides: str, scenarios_dir: str | Path | None = None) -> Composition:
    """Files and overrides put together, not yet validated as a place. Raises PlaceError."""
    made = _compose(overrides, scenarios_dir)
    for error in made.unplaced.values():
        raise error
    return made


# ---------------------------------------------------------------------------------------------------------------------
# Overrides


def parse(overrides: Sequence[str]) -> list[Override]:
    """Overrides in Hydra's grammar; raises PlaceError for one that cannot be read."""
    parsed = []
    for text in overrides:
        try:
            one = OverridesParser.create().parse_override(text)
        except HydraException as error:
            reason = " ".join(str(error).split("\n")[0].split())
            raise PlaceError(
                f"{text!r} was given; allowed: key=value, with quotes round odd characters ({reason})."
            ) from None
        if one.package is not None:
            raise PlaceError(f"{text!r} was given; allowed: key=value, without @package.")
        parsed.append(one)
    return parsed


@dataclass(frozen=True)
class Dimension:
    """A setting that is varied: the values it takes, or the ends between which a design chooses them.

    Attributes:
        key: as it stands before the equals sign, with its ``+`` where it has one.
        values: each as it stands after the equals sign; empty for an interval.
        ends: lowest and highest of an interval.
        whole: of an interval: only whole numbers are meant (True, by ``int()``), or any (False, by an end with a
            point); None: as the setting is now.
    """

    key: str
    values: tuple[str, ...] = ()
    ends: tuple[float, float] | None = None
    whole: bool | None = None


def dimensions(
    overrides: Sequence[str], scenarios_dir: str | Path | None = None
) -> tuple[tuple[Dimension, ...], tuple[str, ...]]:
    """What overrides vary, in Hydra's grammar (``a,b``, ``choice()``, ``range()``, ``glob()``, ``interval()``), and the
    other overrides. Raises PlaceError for what cannot be read."""
    varied, fixed = [], []
    for text, one in zip(overrides, parse(overrides), strict=True):
        if one.is_sweep_override():
            varied.append(_dimension(one, scenarios_dir))
        else:
            fixed.append(text)
    return tuple(varied), tuple(fixed)


def sweep(overrides: Sequence[str], scenarios_dir: str | Path | None = None) -> list[tuple[str, ...]]:
    """Every combination of the values of overrides such as ``seed=1,2``, the last one running fastest."""
    texts = []
    for text in overrides:
        varied, fixed = dimensions([text], scenarios_dir)
        for one in varied:
            if one.ends is not None:
                allowed = "values with commas, choice(), range() or glob()"
                raise PlaceError(f"{one.key}: {text!r} was given; allowed: {allowed}.")
        texts.append(list(fixed) or [f"{one.key}={value}" for one in varied for value in one.values])
    return list(product(*texts))


def _dimension(one: Override, scenarios_dir: str | Path | None) -> Dimension:
    key, value = one.get_key_element(), one.value()
    if isinstance(value, IntervalSweep):
        if value.start is None or value.end is None or not value.start < value.end:
            raise PlaceError(f"{key}: {one.input_line!r} was given; allowed: interval(LOW, HIGH), the lower end first.")
        written = str(one.input_line).split("=", 1)[1]
        whole = True if isinstance(value.start, int) else False if re.search(r"\d[.eE]|\.\d", written) else None
        return Dimension(key, ends=(float(value.start), float(value.end)), whole=whole)
    if isinstance(value, Glob):
        files = options(one.key_or_group, scenarios_dir)
        values = tuple(value.filter(sorted(files)))
        if not values:
            raise refuse(
                key, str(one.input_line), f"a pattern that fits a file in scenarios/{one.key_or_group}/:", files
            )
        return Dimension(key, values)
    texts = (str(text) for text in one.sweep_string_iterator())
    values = tuple(f"{float(text):.12g}" if isinstance(value, RangeSweep) else text for text in texts)
    if not values:
        raise PlaceError(f"{key}: {one.input_line!r} was given, which has no values; the end of a range is left out.")
    return Dimension(key, values)


def _top(one: Override) -> str:
    return one.key_or_group.split(".")[0].split("/")[0]


def single_value(one: Override) -> Any:
    """The value of an override that is no sweep; raises PlaceError for one that is."""
    if one.is_sweep_override():
        allowed = "one value, or `flowsim run -m` for a run of each"
        if one.key_or_group == "scenarios":
            allowed = "a list, in square brackets and quotes: 'scenarios=[a,b]'"
        raise PlaceError(f"{one.key_or_group}: {one.input_line!r} was given; allowed: {allowed}.")
    return one.value()


def _choice(one: Override) -> list[str]:
    """The options of a group: ``a``, ``[a,b]`` or ``a+b``."""
    if one.is_delete() or one.value_type is None:
        raise PlaceError(f"{one.key_or_group}: {one.input_line!r} was given; allowed: {one.key_or_group}=NAME.")
    value = single_value(one)
    values = value if isinstance(value, list) else [value]
    return [part.strip() for item in values for part in str(item).split("+")]


# ---------------------------------------------------------------------------------------------------------------------
# Hydra


class _Folder(ConfigSource):
    """A folder of YAML files, read by YAML 1.2; a scenario's file goes to `scenario.NAME` without having to say so.

    With `by_name` Hydra is given the name of a plain file only, for its content is thousands of nodes to it.
    """

    by_name = True

    @staticmethod
    def scheme() -> str:
        return "flowsim"

    def load_config(self, config_path: str) -> ConfigResult:
        path = self._file(config_path)
        if not path.is_file():
            raise ConfigLoadError(f"{path} does not exist")
        header = self._get_header_dict(path.read_text(encoding="utf-8")[:512])
        if config_path.startswith("scenario/") and header["package"] is None:
            header["package"] = f"scenario.{path.stem}"
        content = read_yaml(path)
        if self.by_name and "/" in config_path and "defaults" not in content and not _speaks_to_omegaconf(path):
            content = {f"{FILE}{path}": None}
        return ConfigResult(self.provider, self.full_path(), OmegaConf.create(content), header)

    def available(self) -> bool:
        return Path(self.path).is_dir()

    def is_group(self, config_path: str) -> bool:
        return (Path(self.path) / config_path).is_dir()

    def is_config(self, config_path: str) -> bool:
        return self._file(config_path).is_file()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        found: list[str] = []
        for file in sorted(os.listdir(Path(self.path) / config_path)):
            self._list_add_result(found, f"{config_path}/{file}".lstrip("/"), file, results_filter)
        return sorted(set(found))

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


def _hydra(overrides: list[str], where: tuple[Path, ...]) -> dict[str, Any]:
    """Hydra's composition of `config.yaml`: done once for the same files, since it takes far longer than the rest."""
    files = sorted(path for folder in where for level in ("*.yaml", "*/*.yaml") for path in folder.glob(level))
    state = tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in files)
    config = _composed_by_hydra(tuple(overrides), where, state)
    return {**config, "scenario": copied(config.get("scenario"))}  # the only part that is changed in place


@lru_cache(maxsize=64)
def _composed_by_hydra(overrides: tuple[str, ...], where: tuple[Path, ...], state: tuple[Any, ...]) -> dict[str, Any]:
    somebody_elses = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    _Folders.current = where
    try:
        with initialize(version_base="1.3", config_path=None, job_name="flowsim"):
            for by_name in (True, False):
                _Folder.by_name = by_name
                plain = OmegaConf.to_container(hydra_compose("config", overrides=list(overrides)), resolve=True)
                with contextlib.suppress(_MixedError):
                    return _filled_in(plain)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        if isinstance(error, PlaceError):
            raise
        reason = " ".join(str(error).split())
        raise PlaceError(f"{where[0]}: these files do not fit together: {reason}.") from None
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
    return {str(key): _filled_in(value) if isinstance(value, dict) else value for key, value in tree.items()}


def _speaks_to_omegaconf(path: Path) -> bool:
    """Has a file interpolations or values that are missing?"""
    text = path.read_text(encoding="utf-8")
    return "${" in text or "???" in text


def options(group: str, scenarios_dir: str | Path | None = None) -> dict[str, Path]:
    """The files of a group (`place`, `scenario`) by name; the user's own come before the shipped ones."""
    found: dict[str, Path] = {}
    for folder in folders(scenarios_dir):
        for path in sorted((folder / group).glob("*.yaml")):
            found.setdefault(path.stem, path)
    return found


# ---------------------------------------------------------------------------------------------------------------------
# Putting it together


def _compose(overrides: Sequence[str], scenarios_dir: str | Path | None) -> Composition:
    where = folders(scenarios_dir)
    parsed = parse(overrides)
    main = _main(where)
    keys, groups = _keys(main), _groups(where)
    chosen: dict[str, list[str]] = _defaults(main)
    to_hydra: list[str] = []
    inside: list[Override] = []
    for one in parsed:
        key = one.key_or_group
        if key in groups:
            names = _choice(one)
            files = options(key, scenarios_dir)
            for name in names:
                if name not in files:
                    raise refuse(key, name, f"a file in scenarios/{key}/:", files)
            chosen[key] = names
            to_hydra.append(f"{key}=[{','.join(names)}]" if len(names) > 1 else f"{key}={names[0]}")
        elif _top(one) in ("place", "scenario"):
            inside.append(one)
        elif key in keys and not one.is_delete():
            to_hydra.append(f"{key}={_plain(one)}")
        else:
            raise refuse(key, one.input_line, "a setting, such as", [*keys, *groups])
    for needed in ("place", "scenario"):
        if not chosen.get(needed):
            raise PlaceError(f"{main}: 'defaults' names no {needed}; allowed: a line '- {needed}: NAME'.")
    if len(chosen["place"]) > 1:
        raise PlaceError(f"place: {'+'.join(chosen['place'])!r} was given; allowed: one place.")
    config = _hydra(to_hydra, where)
    if config.get("census") is not None:
        _start_from_census(config, {one.key_or_group for one in parsed})
    return _Composer(config, chosen["place"][0], chosen["scenario"], inside, where, scenarios_dir).compose()


def _start_from_census(config: dict[str, Any], given: set[str]) -> None:
    """With a census there is no warm-up, and the run begins on the day on which it was taken."""
    if "warm_up_days" not in given:
        config["warm_up_days"] = 0
    if "start_date" not in given:
        told = f"the census counts for {config.get('start_date')}; start_date=YYYY-MM-DD says on which day it was taken"
        warnings.warn(told, FlowsimNotice, stacklevel=2)


def setting_names(scenarios_dir: str | Path | None = None) -> list[str]:
    """What can be set: the keys of `config.yaml`, and the groups of files."""
    where = folders(scenarios_dir)
    return [*_keys(_main(where)), *_groups(where)]


def _main(where: tuple[Path, ...]) -> Path:
    return next(folder / "config.yaml" for folder in where if (folder / "config.yaml").is_file())


def _keys(main: Path) -> list[str]:
    return [key for key in read_yaml(main) if key != "defaults"]


def _groups(where: tuple[Path, ...]) -> list[str]:
    found = {folder.name for one in where for folder in one.iterdir() if folder.is_dir()}
    return sorted(found - {"evidence", "template"})


def _defaults(main: Path) -> dict[str, list[str]]:
    """The options that `config.yaml` chooses of each group."""
    listed = read_yaml(main).get("defaults") or []
    pairs = [pair for entry in listed if isinstance(entry, dict) for pair in entry.items()]
    return {str(k): [str(n) for n in (v if isinstance(v, list) else [v])] for k, v in pairs}


def _plain(one: Override) -> str:
    single_value(one)  # refuses a sweep
    return one.get_value_element_as_str()


@dataclass
class _Composer:
    config: dict[str, Any]
    place_name: str
    chosen: list[str]
    overrides: list[Override]
    where: tuple[Path, ...]
    scenarios_dir: str | Path | None
    unplaced: dict[str, PlaceError] = field(default_factory=dict)

    def compose(self) -> Composition:
        scenarios = self._scenarios()
        base = {"name": self.place_name, **self.config.get("place", {})}
        layers = [Layer(self._file("place", self.place_name), base), *self._overlays(scenarios)]
        register = read_register(self.where)
        for layer in layers:
            refuse_unknown_sources(layer, register)
        self._refuse_unknown_evidence(scenarios, register)
        self._tell_conflicts(layers[1:])
        with_scenario = base
        for layer in layers[1:]:
            self._refuse_changes_of_nothing(layer, with_scenario)
            with_scenario = overlay(with_scenario, layer.raw)
        place, before, user_keys = self._apply_user(with_scenario, base)
        if user_keys:
            refuse_unknown_sources(Layer(USER, place), register)  # those of the files are known by now
        run, settings = self._run_and_settings()
        return Composition(
            place=place,
            before=before,
            layers=tuple(layers),
            scenarios=scenarios,
            scenario=self._info(scenarios, before, place),
            run=run,
            settings=settings,
            user_keys=user_keys,
            folders=self.where,
            unplaced=self.unplaced,
        )

    def _refuse_changes_of_nothing(self, layer: Layer, place: Mapping[str, Any]) -> None:
        """A scenario made for another place changes what this one has not: said so, not as a key that is missing."""
        for section, needed in NEEDED.items():
            there = place.get(section) or {}
            for name, changes in (layer.raw.get(section) or {}).items():
                if name not in there and isinstance(changes, Mapping) and not set(needed) & set(changes):
                    told = f"place.{section}.{name} is changed, but the place {self.place_name} has none"
                    allowed = "scenarios that fit it, chosen with scenario= or scenarios=[...]"
                    raise PlaceError(f"{layer.name}: {told}; allowed: {allowed}{nearest(name, there)}.")

    def _file(self, group: str, name: str) -> str:
        path = options(group, self.scenarios_dir)[name]
        return f"{path.parent.parent.name}/{group}/{path.name}"

    def _scenarios(self) -> dict[str, ScenarioFile]:
        raw = self.config.get("scenario") or {}
        for one in self.overrides:
            if _top(one) == "scenario":
                error = _set(raw, one, "scenario", _scenario_fields)
                if error is not None:
                    self.unplaced[str(one.input_line)] = error
        read = {}
        for name, content in raw.items():
            try:
                read[name] = ScenarioFile.model_validate(content)
            except ValidationError as error:
                told = explain(error, ScenarioFile, f"scenario.{name}.")
                raise PlaceError(f"{self._file('scenario', name)}: {told}") from None
        return read

    def _overlays(self, scenarios: Mapping[str, ScenarioFile]) -> Iterator[Layer]:
        for name, scenario in scenarios.items():
            active: list[ScenarioFile | Part] = [part for part in scenario.parts.values() if part.active]
            for changes in (scenario, *active):
                if changes.place:
                    source = {} if changes.source is None else {"source": changes.source}
                    yield Layer(self._file("scenario", name), {**source, **changes.place})

    def _refuse_unknown_evidence(self, scenarios: Mapping[str, ScenarioFile], register: Mapping[str, Any]) -> None:
        for name, scenario in scenarios.items():
            for one in scenario.evidence:
                if one not in register:
                    told = refuse(f"scenario.{name}.evidence", one, "an id of the evidence, such as", register)
                    raise PlaceError(f"{self._file('scenario', name)}: {told}")

    def _tell_conflicts(self, overlays: Sequence[Layer]) -> None:
        seen: dict[tuple[str, ...], tuple[str, Any]] = {}
        for layer in overlays:
            for path, value in _leaves(layer.raw, ()):
                before = seen.get(path)
                if before is not None and before[0] != layer.name and before[1] != value:
                    key = ".".join(("place", *path))
                    told = f"{key} is {before[1]!r} in {before[0]} and {value!r} in {layer.name}; the latter counts"
                    warnings.warn(told, FlowsimNotice, stacklevel=2)
                seen[path] = (layer.name, value)

    def _apply_user(
        self, with_scenario: dict[str, Any], base: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]:
        """The user's settings in both; what only the scenario has is set only there."""
        place, before = copied(with_scenario), copied(base)
        keys = []
        for one in self.overrides:
            if _top(one) == "place":
                path = tuple(one.key_or_group.split(".")[1:])
                only_there = _depth(path[:-1], with_scenario) > _depth(path[:-1], base)
                error = _set(place, one, "place", _place_fields, _with_likes(place))
                if error is not None:
                    self.unplaced[str(one.input_line)] = error
                    continue
                keys.append(one.key_or_group)
                if not only_there:
                    _set(before, one, "place", _place_fields, _with_likes(before))
        _add_up(place, keys)
        _add_up(before, keys)
        return place, before, tuple(keys)

    def _run_and_settings(self) -> tuple[Run, Configured]:
        try:
            run = Run.model_validate({k: self.config[k] for k in RUN_KEYS if k in self.config})
            rest = {k: v for k, v in self.config.items() if k not in (*RUN_KEYS, "place", "scenario")}
            if isinstance(rest.get("scenarios"), str):
                rest["scenarios"] = [rest["scenarios"]]
            return run, Configured(**rest)
        except ValidationError as error:
            raise PlaceError(explain(error, Run, "")) from None

    def _info(self, scenarios: Mapping[str, ScenarioFile], before: Any, after: Any) -> ScenarioInfo:
        told = [scenarios[name] for name in self.chosen if name in scenarios]
        return ScenarioInfo(
            name="+".join(self.chosen),
            title=" + ".join(s.title for s in told) or ScenarioInfo().title,
            rationale=" ".join(s.rationale for s in told if s.rationale),
            evidence={k: v for s in scenarios.values() for k, v in s.evidence.items()},
            changes=_changes(before, after),
        )


def _set(
    tree: dict[str, Any],
    one: Override,
    root: str,
    fields: Callable[[tuple[str, ...]], list[str]],
    known: Mapping[str, Any] | None = None,
) -> PlaceError | None:
    """Set, add or take away one key of a tree in place; returns what is wrong with the key, if anything."""
    path = tuple(one.key_or_group.split(".")[1:])
    value = None if one.is_delete() else single_value(one)
    error = _unknown_key(path, tree if known is None else known, one, root, fields)
    if error is not None:
        return error
    node: Any = tree
    for part in path[:-1]:
        if isinstance(node, list):
            node = node[int(part)]
            continue
        if not isinstance(node.get(part), (dict, list)):
            node[part] = {}
        node = node[part]
    if isinstance(node, list):
        node[int(path[-1])] = value
    elif one.is_delete():
        node.pop(path[-1], None)
    else:
        node[path[-1]] = _named(value)
    return None


def _unknown_key(
    path: tuple[str, ...], tree: Any, one: Override, root: str, fields: Callable[[tuple[str, ...]], list[str]]
) -> PlaceError | None:
    node = tree
    for depth, part in enumerate(path):
        key = ".".join((root, *path[: depth + 1]))
        if isinstance(node, list):
            if not part.isdigit() or int(part) >= len(node):
                return refuse(key, part, f"a number from 0 to {len(node) - 1}")
            node = node[int(part)]
            continue
        if isinstance(node, Mapping) and part in node:
            node = node[part]
            continue
        allowed = fields(path[:depth])
        if allowed:
            if part not in allowed:
                return refuse(key, part, "one of", allowed)
            node = {}
            continue
        if not isinstance(node, Mapping):
            parent = ".".join((root, *path[:depth]))
            return PlaceError(
                f"{key}: {one.input_line!r} was given; allowed: {parent}=VALUE, there is nothing below it."
            )
        if one.is_add() or one.is_force_add():
            return None
        names = list(node)
        if root == "scenario" and depth == 0:
            return PlaceError(
                f"{key}: this scenario takes no part here; allowed: {', '.join(names)}{nearest(part, names)}."
            )
        listed = f"{', '.join(names[:12])}{', ...' if len(names) > 12 else ''}" or "nothing yet"
        told = f"{key}: there is no '{part}'; allowed: {listed}"
        return PlaceError(f"{told}{nearest(part, names)}; +{one.key_or_group}=... adds a new one.")
    return None


def _depth(path: tuple[str, ...], tree: Any) -> int:
    """How many steps of a path a tree has."""
    for depth, part in enumerate(path):
        if not isinstance(tree, Mapping) or part not in tree:
            return depth
        tree = tree[part]
    return len(path)


def _place_fields(loc: tuple[str, ...]) -> list[str]:
    return fields_at(Place, loc)


def _scenario_fields(loc: tuple[str, ...]) -> list[str]:
    return fields_at(ScenarioFile, loc[1:]) if loc else []


def _add_up(place: dict[str, Any], keys: Sequence[str]) -> None:
    """Where the user sets a part of a capacity and not the total, the total is what the parts now add to."""
    for key in keys:
        match key.split("."):
            case ["place", ("services" | "pools") as section, name, ("by_site" | "by_locality") as split, *_]:
                service = place.get(section, {}).get(name)
                if service is None or split not in service or f"place.{section}.{name}.capacity" in keys:
                    continue
                parts = [part for unit, part in service[split].items() if unit != "source"]
                if all(isinstance(part, int | float) and not isinstance(part, bool) for part in parts):
                    service["capacity"] = sum(parts)


def _with_likes(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The tree in which keys are looked up: stages with what they take from others."""
    return {**raw, "stages": resolve_likes(raw["stages"])} if isinstance(raw.get("stages"), Mapping) else raw


def _named(value: Any) -> Any:
    """Keys as text, as YAML files give them."""
    return {str(k): _named(v) for k, v in value.items()} if isinstance(value, dict) else value


def _leaves(raw: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(path, value) of everything that is not a mapping; sources apart."""
    if isinstance(raw, Mapping):
        for key, value in raw.items():
            if key != "source":
                yield from _leaves(value, (*path, str(key)))
    else:
        yield path, raw


def _tree(leaves: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for path, value in leaves.items():
        node = made
        for part in path[:-1]:
            node = node.setdefault(part, {})
        node[path[-1]] = value
    return made


def _within(path: tuple[str, ...], keys: Sequence[str]) -> bool:
    return any(path[: len(k.split(".")) - 1] == tuple(k.split(".")[1:]) for k in keys)


def _new_name(path: tuple[str, ...], base: Any) -> str:
    """A near name, where a scenario brings something new that may only be misspelt."""
    node = base
    for depth, part in enumerate(path):
        if not isinstance(node, Mapping):
            return ""
        if part not in node:
            declared = _place_fields(path[:depth])  # what the language has is no slip of the pen
            return "" if part in declared else nearest(part, [name for name in node if name != "source"])
        node = node[part]
    return ""


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    if before == after:
        return {}
    old, new = dict(_leaves(before, ())), dict(_leaves(after, ()))
    keys = [*new, *(k for k in old if k not in new)]
    return {".".join(k): [old.get(k), new.get(k)] for k in keys if old.get(k) != new.get(k)}
