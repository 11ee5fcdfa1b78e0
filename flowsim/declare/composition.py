"""From files and overrides to a `Place`.

Hydra finds the files and puts them together (`config.yaml`, one place, any number of scenarios). What a scenario or a
user changes *in* the place is laid over it here, later ones on top: the place's file, each scenario in the order it is
named (first its own changes, then its parts that are switched on), and last the user's settings, so that the user
always has the final word. The place without the scenarios, but with the user's settings, is what holds before the
policies start.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import compose as hydra_compose
from hydra import initialize_config_module
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, IntervalSweep, Override, Quote, QuotedString, RangeSweep
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flowsim.declare.census import read_census
from flowsim.declare.evidence import Layer, evidence_table, read_register, refuse_unknown_sources
from flowsim.declare.reading import explain, fields_at, overlay, read_place, resolve_likes
from flowsim.declare.rules import check_scenario
from flowsim.declare.settings import Settings
from flowsim.declare.totals import what_follows
from flowsim.declare.yaml_and_csv import copied, folders, read_yaml
from flowsim.place import Place, PlaceError, Run, ScenarioInfo, kept_notices, nearest, notice, refuse, with_years

if TYPE_CHECKING:
    import pandas as pd

USER = "your setting"
NO_SCENARIO = "baseline"
FILE = "flowsim file: "
"""Marks, inside a composition, the name of a file that is yet to be filled in."""
RUN_KEYS = tuple(Run.model_fields)
NOTHING = object()
"""What is at a key that is not there."""


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
class Overruled:
    """A scenario says something of a key that the user sets in all of them, so that it makes no difference there.

    Attributes:
        key: what the user set.
        setting: the user's words.
        scenario: the scenario's name.
        says: what it says.
        differs: does the user say otherwise?
        alone: the setting that would change this scenario alone; empty where there is none.
    """

    key: str
    setting: str
    scenario: str
    says: Any
    differs: bool
    alone: str


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
        notices: what was told while it was put together.
        overruled: what scenarios say of keys that the user sets in all of them.
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
    notices: tuple[str, ...] = ()
    overruled: tuple[Overruled, ...] = ()

    def read(self, tell: bool = True) -> Place:
        """The validated place, which knows what was told of it; what is `overruled` is told here, or by the caller.
        Raises PlaceError."""
        with kept_notices() as told:
            place = self._validated()
            tell_overruled(one for one in self.overruled if tell and one.differs)
        return with_notices(place, (*self.notices, *told))

    def _validated(self) -> Place:
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
            raise _with_file(str(error).removeprefix(": "), self.layers, self.place, self.user_keys) from None


def _with_file(message: str, files: Sequence[Layer], place: Mapping[str, Any], user_keys: Sequence[str]) -> PlaceError:
    """Name who set the key that a message is about: the user, a scenario or the place's file."""
    key = message.split(": ", 1)[0]
    if not key.startswith("place."):
        return PlaceError(message)
    path = tuple(key.split(".")[1:])
    set_by_user = _tree({p: v for p, v in _leaves(place, ()) if _within(p, user_keys)})
    taken_away = any(key == user for user in user_keys)
    layers = [*files, Layer(USER, set_by_user)]
    known = [_depth(path, layer.raw) for layer in layers]
    whole = [at for at, depth in enumerate(known) if depth == len(path)]
    at = len(layers) - 1 if taken_away else whole[-1] if whole else known.index(max(known))
    near = "" if at == 0 or taken_away else _new_name(path, layers[0].raw)
    return PlaceError(f"{layers[at].name}: {message.removesuffix('.')}{near}.")


def with_notices(place: Place, notices: Iterable[str]) -> Place:
    """A place that knows of these notices too."""
    every = list(dict.fromkeys((*place.scenario.notices, *notices)))
    return place.model_copy(update={"scenario": place.scenario.model_copy(update={"notices": every})})


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
    places = [one.read(tell=False) for one in made]
    told = tell_overruled(one for composed in made for one in composed.overruled if len(made) > 1 or one.differs)
    own = [[told[one.setting] for one in composed.overruled if one.setting in told] for composed in made]
    return [with_notices(place, notices) for place, notices in zip(places, own, strict=True)]


def tell_overruled(overruled: Iterable[Overruled]) -> dict[str, str]:
    """Tell of each of the user's settings, in one sentence, which scenarios it overrules; returns these sentences."""
    found: dict[str, list[Overruled]] = {}
    for one in overruled:
        found.setdefault(one.setting, []).append(one)
    told = {setting: _overruled_in_words(setting, every) for setting, every in found.items()}
    for words in told.values():
        notice(words)
    return told


def _overruled_in_words(setting: str, every: Sequence[Overruled]) -> str:
    says = {one.scenario: one.says for one in every}
    listed = ", and in ".join(f"{scenario}, which says {_typed(value)}" for scenario, value in says.items())
    alone = next((one.alone for one in every if one.alone), "")
    hint = f"; {alone} would change it there alone" if alone and len(says) == 1 else ""
    return f"{setting} counts in every scenario, also in {listed}{hint}"


def value_now(composed: Composition, key: str) -> Any:
    """What a key of the place is set to; None where it is not set or is no single value."""
    section, *path = key.lstrip("+").split(".")
    found = _at(_with_likes(composed.place), path) if section == "place" else None
    return found if isinstance(found, bool | int | float | str) else None


def compose(*overrides: str, scenarios_dir: str | Path | None = None) -> Composition:
    """Files and overrides put together, not yet validated as a place. Raises PlaceError."""
    made = _compose(overrides, scenarios_dir)
    for error in made.unplaced.values():
        raise error
    return made


# ---------------------------------------------------------------------------------------------------------------------
# Overrides


AS_IT_STANDS = ("address", "census", "config", "out", "table", "to")
"""Keys whose value is the name of a file or a folder, or an address: no grammar looks into it."""
_NAMED = re.compile(rf"(\+{{0,2}}(?:{'|'.join(AS_IT_STANDS)}))=(.*)", re.DOTALL)
_KEY = re.compile(r"[~+]{0,2}[A-Za-z_][\w.@/:]*")


def parse(overrides: Sequence[str], several: bool = False) -> list[Override]:
    """Overrides in Hydra's grammar; names of files as they stand, or (`several`) as values with commas where they can
    be. Raises PlaceError for one that cannot be read."""
    parsed = []
    for text in overrides:
        one = _read_override(text, several)
        if one.package is not None:
            raise PlaceError(f"{text!r} was given; allowed: key=value, without @package.")
        parsed.append(one)
    return parsed


def _read_override(text: str, several: bool) -> Override:
    for form in (text, _quoted(text)) if several else (_quoted(text),):
        with contextlib.suppress(HydraException):
            one = OverridesParser.create().parse_override(form)
            one.input_line = text
            if one.key_or_group:
                return one
    raise _unreadable(text)


def _quoted(text: str) -> str:
    """An override with quotes round the name of a file that has none yet."""
    found = _NAMED.fullmatch(text)
    value = found[2].strip() if found else ""
    if found is None or value in ("", "null") or (len(value) > 1 and value[0] == value[-1] and value[0] in "'\""):
        return text
    return f"{found[1]}={_in_quotes(value)}"


def _in_quotes(value: str) -> str:
    return QuotedString(text=value, quote=Quote.single).with_quotes()


def _unreadable(text: str) -> PlaceError:
    """What to type instead of an override that cannot be read."""
    key, equals, value = text.partition("=")
    if not equals and not text.startswith("~"):
        groups = [group for group in ("scenario", "place") if set(text.split("+")) <= options(group).keys()]
        meant = f", such as {groups[0]}={text}" if groups else ""
        return PlaceError(f"{text!r} was given; allowed: key=value{meant}.")
    if not _KEY.fullmatch(key):
        return PlaceError(f"{text!r} was given; allowed: key=value, such as days=90.")
    if value.lstrip()[:1] in ("[", "{"):
        allowed = "[a, b] or {key: value}, each bracket closed and words with odd characters in single quotes"
    else:
        allowed = f'the value in single quotes inside: "{key}={_in_quotes(value)}"'
    return PlaceError(f"{key}: {value!r} was given, which cannot be read; allowed: {allowed}.")


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
    overrides: Sequence[str], scenarios_dir: str | Path | None = None, several: bool = False
) -> tuple[tuple[Dimension, ...], tuple[str, ...]]:
    """What overrides vary, in Hydra's grammar (``a,b``, ``choice()``, ``range()``, ``glob()``, ``interval()``), and the
    other overrides; with `several` names of files may vary too. Raises PlaceError for what cannot be read."""
    varied, fixed = [], []
    for text, one in zip(overrides, parse(overrides, several), strict=True):
        if one.is_sweep_override():
            varied.append(_dimension(one, scenarios_dir))
        else:
            fixed.append(text)
    return tuple(varied), tuple(fixed)


def sweep(overrides: Sequence[str], scenarios_dir: str | Path | None = None) -> list[tuple[str, ...]]:
    """Every combination of the values of overrides such as ``seed=1,2``, the last one running fastest."""
    texts = []
    for text in overrides:
        varied, fixed = dimensions([text], scenarios_dir, several=True)
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
        allowed = "one value, or `flowsim run -m` for a run of each, `flowsim sweep` to compare them"
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
        header = self.header(path)
        if config_path.startswith("scenario/") and header["package"] is None:
            header["package"] = f"scenario.{path.stem}"
        content = read_yaml(path)
        if self.by_name and config_path.startswith("place/") and _is_plain(path):
            content = {f"{FILE}{path}": None}
        return ConfigResult(self.provider, self.full_path(), OmegaConf.create(content), header)

    @classmethod
    def header(cls, path: Path) -> dict[str, str | None]:
        """What the lines before a file's content say to Hydra, such as the `package` it belongs to."""
        return cls._get_header_dict(path.read_text(encoding="utf-8")[:512])

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


def _hydra(
    chosen: Mapping[str, Sequence[str]], settings: Mapping[str, Any], scenarios_dir: str | Path | None
) -> dict[str, Any]:
    """`config.yaml` with the chosen files of each group and the user's settings, as Hydra composes them.

    Hydra takes far longer than all the rest, so it is asked once for the same files, whatever the settings, and not
    at all for scenarios that are only put where they belong.
    """
    where = folders(scenarios_dir)
    plain = _plain_scenarios(chosen["scenario"], options("scenario", scenarios_dir))
    try:
        if plain:
            config = _with_settings({**chosen, "scenario": []}, settings, where)
            if not config.get("scenario"):  # else `config.yaml` itself has a say in them
                return {**config, "scenario": plain}
        return _with_settings(chosen, settings, where)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        if isinstance(error, PlaceError):
            raise
        reason = " ".join(str(error).split())
        raise PlaceError(f"{where[0]}: these files do not fit together: {reason}.") from None


def _plain_scenarios(names: Sequence[str], files: Mapping[str, Path]) -> dict[str, Any]:
    """What is in the files of these scenarios, by name; empty when Hydra has something to do with one of them."""
    found = {}
    for name in names:
        path = files.get(name)
        if path is None or not _is_plain(path) or _Folder.header(path)["package"] not in (None, f"scenario.{name}"):
            return {}
        found[name] = read_yaml(path)
    return found


def _with_settings(
    chosen: Mapping[str, Sequence[str]], settings: Mapping[str, Any], where: tuple[Path, ...]
) -> dict[str, Any]:
    """A composition of files with the user's settings, as plain data."""
    files = sorted(path for folder in where for level in ("*.yaml", "*/*.yaml") for path in folder.glob(level))
    state = tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in files)
    usual = _defaults(_main(where))
    words = (f"{group}=[{','.join(names)}]" for group, names in chosen.items() if names != usual.get(group))
    config = _composed_by_hydra(tuple(words), where, state)
    if settings:
        config = deepcopy(config)  # the other is kept, for other settings
    for key, value in settings.items():
        OmegaConf.update(config, key, value)
    return _filled_in(OmegaConf.to_container(config, resolve=True))


@lru_cache(maxsize=64)
def _composed_by_hydra(words: tuple[str, ...], where: tuple[Path, ...], state: tuple[Any, ...]) -> DictConfig:
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
                    _filled_in(OmegaConf.to_container(config))
                    return config
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


def _is_plain(path: Path) -> bool:
    """Is a file nothing but its content: no list of defaults, interpolations or values that are missing?"""
    return "defaults" not in read_yaml(path) and not _speaks_to_omegaconf(path)


def _speaks_to_omegaconf(path: Path) -> bool:
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
    with kept_notices() as told:
        made = _put_together(overrides, scenarios_dir)
    return replace(made, notices=tuple(told))


def _put_together(overrides: Sequence[str], scenarios_dir: str | Path | None) -> Composition:
    where = folders(scenarios_dir)
    parsed = parse(overrides)
    main = _main(where)
    keys, groups = _keys(main), _groups(where)
    chosen: dict[str, list[str]] = _defaults(main)
    settings: dict[str, Any] = {}
    inside: list[Override] = []
    for one in parsed:
        key = one.key_or_group
        if key in groups:
            names = _choice(one)
            files = options(key, scenarios_dir)
            for name in names:
                if name not in files:
                    raise refuse(key, name, f"a file in scenarios/{key}/:", files)
                if names.count(name) > 1:
                    raise refuse(key, "+".join(names), f"each only once, and {name} is there twice")
            chosen[key] = names
        elif _top(one) in ("place", "scenario"):
            inside.append(one)
        elif key in keys and not one.is_delete():
            settings[key] = single_value(one)
        else:
            raise refuse(key, one.input_line, "a setting, such as", [*keys, *groups])
    for needed in ("place", "scenario"):
        if not chosen.get(needed):
            raise PlaceError(f"{main}: 'defaults' names no {needed}; allowed: a line '- {needed}: NAME'.")
    if len(chosen["place"]) > 1:
        raise PlaceError(f"place: {'+'.join(chosen['place'])!r} was given; allowed: one place.")
    config = _hydra(chosen, settings, scenarios_dir)
    if config.get("census") is not None:
        _start_from_census(config, {one.key_or_group for one in parsed})
    return _Composer(config, chosen["place"][0], chosen["scenario"], inside, settings, where, scenarios_dir).compose()


def _start_from_census(config: dict[str, Any], given: set[str]) -> None:
    """With a census there is no warm-up, and the run begins on the day on which it was taken."""
    if "warm_up_days" not in given:
        config["warm_up_days"] = 0
    if "start_date" not in given:
        told = f"the census counts for {config.get('start_date')}; start_date=YYYY-MM-DD says on which day it was taken"
        notice(told)


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


@dataclass
class _Composer:
    config: dict[str, Any]
    place_name: str
    chosen: list[str]
    overrides: list[Override]
    given: Mapping[str, Any]
    where: tuple[Path, ...]
    scenarios_dir: str | Path | None
    unplaced: dict[str, PlaceError] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    """What the user set, by key, as `_setting_in_words` has it."""
    everywhere: dict[str, Override] = field(default_factory=dict)
    """What the user set in the place, with and without its scenario, by key."""
    in_scenarios: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What the user set of the place in a scenario alone, by the key of its layer."""

    def compose(self) -> Composition:
        scenarios = self._scenarios()
        base = {"name": self.place_name, **self.config.get("place", {})}
        layers = [Layer(self._file("place", self.place_name), base), *self._overlays(scenarios)]
        register = read_register(self.where)
        for layer in layers:
            refuse_unknown_sources(layer, register)
        self._refuse_unknown_evidence(scenarios, register)
        self._tell_conflicts(layers[1:])
        base, layers[0] = _with_totals(base, layers[0])
        with_scenario = base
        for number, layer in enumerate(layers[1:], 1):
            self._refuse_changes_of_nothing(layer, with_scenario)
            with_scenario, layers[number] = _with_totals(overlay(with_scenario, layer.raw), layer)
        place, before, user_keys = self._apply_user(with_scenario, base)
        if user_keys:
            refuse_unknown_sources(Layer(USER, place), register)  # those of the files are known by now
        run, settings = self._run_and_settings()
        self._tell_settings(with_scenario, base, run)
        overruled = tuple(self._overruled(layers[1:], place))
        place, before = self._with_years(place, before, run, layers, user_keys)
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
            overruled=overruled,
        )

    def _refuse_changes_of_nothing(self, layer: Layer, place: Mapping[str, Any]) -> None:
        """A scenario made for another place changes what this one has not: said so, not as a key that is missing."""
        for section, needed in NEEDED.items():
            there = place.get(section) or {}
            for name, changes in (layer.raw.get(section) or {}).items():
                if name not in there and isinstance(changes, Mapping) and not set(needed) & set(changes):
                    told = f"place.{section}.{name} is changed, but the place {self.place_name} has none"
                    allowed = "scenarios that fit it, chosen with scenario= or scenarios=[...]"
                    shown = f"`flowsim show scenarios place={self.place_name}` tells which do"
                    raise PlaceError(f"{layer.name}: {told}; allowed: {allowed}{nearest(name, there)}; {shown}.")

    def _file(self, group: str, name: str) -> str:
        path = options(group, self.scenarios_dir)[name]
        return f"{path.parent.parent.name}/{group}/{path.name}"

    def _scenarios(self) -> dict[str, ScenarioFile]:
        raw = self.config.get("scenario") or {}
        for one in self.overrides:
            if _top(one) == "scenario":
                path = one.key_or_group.split(".")[1:]
                usual = _at(raw, path, True if path[-1] == "active" else NOTHING)
                error = _set(raw, one, "scenario", _scenario_fields)
                if error is not None:
                    self.unplaced[str(one.input_line)] = error
                    continue
                if "place" in path:
                    at = path.index("place") + 1
                    layer, value = ".".join(("scenario", *path[:at])), _value(one)
                    whole = value if isinstance(value, Mapping) else {}
                    said = _tree({tuple(path[at:]): value}) if path[at:] else whole
                    self.in_scenarios[layer] = overlay(self.in_scenarios.get(layer, {}), said)
                self._tell(one, usual, "in the scenario")
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
            whole = f"scenario.{name}.place"
            parts = {f"scenario.{name}.parts.{at}.place": part for at, part in scenario.parts.items() if part.active}
            changes: dict[str, ScenarioFile | Part] = {whole: scenario, **parts}
            for key, one in changes.items():
                if one.place:
                    source = {} if one.source is None else {"source": one.source}
                    said, _ = _with_totals(one.place, Layer(USER, self.in_scenarios.get(key, {})))
                    yield Layer(self._file("scenario", name), {**source, **said}, key)

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
                    notice(told)
                seen[path] = (layer.name, value)

    def _apply_user(
        self, with_scenario: dict[str, Any], base: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]:
        """The user's settings in both; what only the scenario has is set only there."""
        place, before = copied(with_scenario), copied(base)
        keys = []
        said: dict[str, Any] = {}
        said_before: dict[str, Any] = {}
        for one in self.overrides:
            if _top(one) == "place":
                path = tuple(one.key_or_group.split(".")[1:])
                only_there = _depth(path[:-1], with_scenario) > _depth(path[:-1], base)
                error = _set(place, one, "place", _place_fields, _with_likes(place))
                if error is not None:
                    self.unplaced[str(one.input_line)] = error
                    continue
                keys.append(one.key_or_group)
                said = overlay(said, _tree({path: _value(one)}))
                if not only_there:
                    _set(before, one, "place", _place_fields, _with_likes(before))
                    said_before = overlay(said_before, _tree({path: _value(one)}))
                    self.everywhere[one.key_or_group] = one
        place, user = _with_totals(place, Layer(USER, said))
        before, _ = _with_totals(before, Layer(USER, said_before))
        followed = (".".join(("place", *path)) for path, _ in _leaves(user.raw, ()) if _at(said, path, None) is None)
        return place, before, (*keys, *followed)

    def _overruled(self, scenarios: Sequence[Layer], place: Mapping[str, Any]) -> Iterator[Overruled]:
        """What scenarios say of keys that the user set with and without them: of each the first that differs, or the
        first."""
        for key, one in self.everywhere.items():
            path = tuple(key.split(".")[1:])
            for layer in scenarios:
                scenario, found = layer.key.split(".")[1], []
                for leaf, says in _leaves(layer.raw, ()):
                    shared = min(len(leaf), len(path))
                    if leaf[:shared] == path[:shared]:
                        differs = _at(place, max(leaf, path, key=len), None) != says
                        text = str(one.input_line).partition("=")[2]
                        alone = f"{layer.key}.{'.'.join(path)}={text}" if differs and leaf == path and text else ""
                        found.append(Overruled(key, str(one.input_line), scenario, says, differs, alone))
                yield from sorted(found, key=lambda each: not each.differs)[:1]

    @staticmethod
    def _with_years(
        place: dict[str, Any], before: dict[str, Any], run: Run, layers: Sequence[Layer], user_keys: Sequence[str]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The place and the one before its scenario with full dates, as this run has them."""
        try:
            (place, told), (before, _) = (with_years(raw, run) for raw in (place, before))
        except PlaceError as error:
            raise _with_file(str(error), layers, place, user_keys) from None
        for words in told:
            notice(words)
        return place, before

    def _tell_settings(self, with_scenario: Mapping[str, Any], base: Mapping[str, Any], run: Run) -> None:
        """What the user set of the place and of the run, where it makes a difference."""
        for one in self.overrides:
            if _top(one) == "place" and str(one.input_line) not in self.unplaced:
                path = one.key_or_group.split(".")[1:]
                trees = (_with_likes(tree) if path[0] == "stages" else tree for tree in (base, with_scenario))
                plain, usual = (_at(tree, path, NOTHING) for tree in trees)
                self._tell(one, usual, "in the place" if usual == plain else "in the scenario")
        usually = read_yaml(_main(self.where))
        for key in (key for key in RUN_KEYS if key in self.given):
            if str(self.given[key]) != str(usually.get(key)):
                self.told[key] = _setting_in_words(key, self.given[key], usually.get(key), "otherwise")
        if "policy_start" in self.told and run.policy_start is not None:
            held = (run.end_date - max(run.policy_start, run.start_date)).days
            self.told["policy_start"] = (
                f"policy_start={run.policy_start} (scenarios hold on {held} of the {run.days} days measured)"
            )

    def _tell(self, one: Override, usual: Any, where: str) -> None:
        key, value = one.key_or_group, NOTHING if one.is_delete() else single_value(one)
        if value != usual:
            self.told[key] = _setting_in_words(key, value, usual, where)

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
            settings=list(self.told.values()),
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
    value = _value(one)
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
        node[path[-1]] = value
    return None


def _value(one: Override) -> Any:
    """What an override sets, with keys as text; None for one that takes away."""
    return None if one.is_delete() else _named(single_value(one))


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


def _at(tree: Mapping[str, Any], path: Sequence[str], otherwise: Any = None) -> Any:
    """What is at a key of plain data."""
    node: Any = tree
    for part in path:
        if isinstance(node, Mapping) and part in node:
            node = node[part]
        elif isinstance(node, list) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        else:
            return otherwise
    return node


def _setting_in_words(key: str, value: Any, usual: Any, where: str) -> str:
    """``place.services.reablement.capacity=140 (118 in the place)``; what is usual only where it is a single value."""
    told = f"~{key}" if value is NOTHING else f"{key}={_typed(value)}"
    if usual is NOTHING:
        return f"{told} (nothing {where})"
    return told if usual is None or isinstance(usual, dict | list) else f"{told} ({_typed(usual)} {where})"


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _place_fields(loc: tuple[str, ...]) -> list[str]:
    return fields_at(Place, loc)


def _scenario_fields(loc: tuple[str, ...]) -> list[str]:
    return fields_at(ScenarioFile, loc[1:]) if loc else []


def _with_totals(place: dict[str, Any], layer: Layer) -> tuple[dict[str, Any], Layer]:
    """A place over which a layer was laid, and the layer, with what follows for capacities. Raises PlaceError."""
    try:
        follows = what_follows(place, layer.raw)
    except PlaceError as error:
        raise PlaceError(f"{layer.name}: {error}") from None
    return overlay(place, follows), replace(layer, raw=overlay(layer.raw, follows))


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
