"""From files and overrides to a `Place`.

Files are found and put together (`hydra.py`): `config.yaml`, one place, any number of scenarios. What a scenario or a
user changes *in* the place is laid over it, later ones on top: the place's file, each scenario in the order it is named
(first its own changes, then its parts that are switched on: `layers.py`), and last the user's settings (`user.py`), so
that the user always has the final word. The place without the scenarios, but with the user's settings, is what holds
before the policies start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from flowsim.declare.census import read_census
from flowsim.declare.counted_values import with_counted_values
from flowsim.declare.dials import with_dials
from flowsim.declare.evidence import evidence_table, read_register, refuse_unknown_sources
from flowsim.declare.hydra import compose_files
from flowsim.declare.layers import USER, Layer, lay, refuse_shapes, tell_conflicts, told_who_says_it, user_layer
from flowsim.declare.overrides import Override, names_of, parse, single_value, top_of
from flowsim.declare.reading import explain, read_place
from flowsim.declare.scenario_file import ScenarioFile, read_scenario, refuse_unknown_evidence, scenario_layers
from flowsim.declare.settings import Configured
from flowsim.declare.shapes import refuse_wrong_shapes
from flowsim.declare.totals import tell_splits
from flowsim.declare.trees import changes, leaves, value_at, with_likes
from flowsim.declare.user import Overruled, User, tell_overruled
from flowsim.declare.yaml_and_csv import (
    file_in_words,
    folders,
    groups,
    main_choices,
    main_file,
    main_keys,
    options,
    read_yaml,
)
from flowsim.place import (
    WITH_SETTINGS,
    Place,
    PlaceError,
    Run,
    ScenarioInfo,
    kept_notices,
    notice,
    refuse,
    with_years,
)
from flowsim.place.before import check_scenario

if TYPE_CHECKING:
    import pandas as pd

RUN_KEYS = tuple(Run.model_fields)


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
        said: what the user set of the place, in their words, by key.
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
    said: Mapping[str, str] = field(default_factory=dict)

    def read(self, tell: bool = True) -> Place:
        """The validated place, which knows what was told of it; what is `overruled`, and how amounts are split, is told
        here, or by the caller. Raises PlaceError."""
        with kept_notices() as notices:
            place = self._validated()
            tell_overruled(one for one in self.overruled if tell and one.differs)
            tell_splits(place, self.said if tell else {})
        return with_notices(place, (*self.notices, *notices))

    def _validated(self) -> Place:
        with_scenario = {"run": self.run.model_dump(), "scenario": self.scenario.model_dump()}
        plain = {"run": with_scenario["run"], "scenario": {}}
        if self.run.census is None:
            return self._read_both(plain, with_scenario)
        before = self._read({**self.before, **plain})
        census = read_census(self.run.census, before)
        counted = replace(
            self, before=census.laid_over(self.before, before), place=census.laid_over(self.place, before)
        )
        return counted._read_both(plain, with_scenario)

    def _read_both(self, plain: Mapping[str, Any], with_scenario: Mapping[str, Any]) -> Place:
        before = self._read({**self.before, **plain})
        if not self.scenarios or self.place == self.before:
            return before.model_copy(update={"scenario": self.scenario})
        return self._read({**self.place, **with_scenario}, before)

    def evidence(self) -> pd.DataFrame:
        """Every number of the place, its source and range; see `evidence_table` and `dials.with_dials`."""
        final = dict(leaves(self.place))
        layers = [*self.layers, user_layer(self.place, self.user_keys)]
        table = evidence_table(layers, read_register(self.folders), self.user_keys)
        kept = [tuple(key.split(".")[1:]) in final for key in table["key"]]
        return with_dials(table[kept].reset_index(drop=True), self)

    def _read(self, raw: Mapping[str, Any], before: Place | None = None) -> Place:
        with told_who_says_it(self.layers, self.place, self.user_keys):
            place = read_place(raw, "").model_copy(update={"before": before})
            check_scenario(place)
            return place


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
        if top_of(one) == "scenario" and one.key_or_group == "scenario":
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
    sentences = tell_overruled(one for composed in made for one in composed.overruled if len(made) > 1 or one.differs)
    theirs = [[sentences[o.setting] for o in composed.overruled if o.setting in sentences] for composed in made]
    for kept, place, composed in zip(theirs, places, made, strict=True):
        kept += tell_splits(place, composed.said)
    return [with_notices(place, notices) for place, notices in zip(places, theirs, strict=True)]


def value_now(composed: Composition, key: str) -> Any:
    """What a key of the place is set to; None where it is not set or is no single value."""
    section, *path = key.lstrip("+").split(".")
    value = value_at(with_likes(composed.place), path) if section == "place" else None
    return value if isinstance(value, bool | int | float | str) else None


def compose(*overrides: str, scenarios_dir: str | Path | None = None) -> Composition:
    """Files and overrides put together, not yet validated as a place. Raises PlaceError."""
    made = _compose(overrides, scenarios_dir)
    for error in made.unplaced.values():
        raise error
    return made


def _compose(overrides: Sequence[str], scenarios_dir: str | Path | None) -> Composition:
    with kept_notices() as notices:
        made = _put_together(overrides, scenarios_dir)
    return replace(made, notices=tuple(notices))


def _put_together(overrides: Sequence[str], scenarios_dir: str | Path | None) -> Composition:
    where = folders(scenarios_dir)
    asked = _ask(overrides, where, scenarios_dir)
    config = compose_files(asked.chosen, asked.settings, scenarios_dir)
    if config.get("census") is not None:
        _start_from_census(config, asked.keys)
    user, register = User(asked.inside), read_register(where)
    scenario_files = _files_in_words("scenario", scenarios_dir)
    beside = options("scenario", scenarios_dir)
    scenarios = _read_scenarios(config.get("scenario") or {}, user, scenario_files, beside)
    [place_name] = asked.chosen["place"]
    place_file = _files_in_words("place", scenarios_dir)[place_name]
    # lowest first: what always holds, then what scenarios change; another kind of layer is added here
    files = options("place", scenarios_dir)
    layers = [Layer(place_file, {"name": place_name, **(config.get("place") or {})}, file=files[place_name])]
    beside[""] = files[place_name]
    for name, scenario in scenarios.items():
        layers += scenario_layers(name, scenario, scenario_files[name], user.in_scenarios, beside[name])
    for layer in layers:
        refuse_shapes(layer)
    layers = [replace(layer, raw=with_counted_values(layer.raw, beside[layer.scenario].parent)) for layer in layers]
    for layer in layers:
        refuse_unknown_sources(layer, register)
    for name, scenario in scenarios.items():
        refuse_unknown_evidence(name, scenario, scenario_files[name], beside[name], register)
    tell_conflicts([layer for layer in layers if layer.scenario])
    laid = lay(layers, place_name)
    place, before, user_keys = user.set_in_place(laid.place, laid.before)
    for raw in (place, before):
        with told_who_says_it(laid.layers, raw, user_keys):
            refuse_wrong_shapes(raw)
    place, before = (_funded_as_in_files(raw, laid.before) for raw in (place, before))
    place, before = (with_counted_values(raw, Path.cwd()) for raw in (place, before))  # what the user set
    if user_keys:
        refuse_unknown_sources(Layer(USER, place), register)  # those of the files are known by now
    run, settings = _run_and_settings(config)
    user.note_place(laid.place, laid.before)
    user.note_run(asked.settings, read_yaml(main_file(where)), run)
    overruled = tuple(user.overruled([layer for layer in laid.layers if layer.scenario], place))
    place, before = _with_years(place, before, run, laid.layers, user_keys)
    return Composition(
        place=place,
        before=before,
        layers=laid.layers,
        scenarios=scenarios,
        scenario=_scenario_info(asked.chosen["scenario"], scenarios, changes(before, place), user),
        run=run,
        settings=settings,
        user_keys=user_keys,
        folders=where,
        unplaced=user.unplaced,
        overruled=overruled,
        said={one.key_or_group: str(one.input_line) for one in asked.inside if top_of(one) == "place"},
    )


class _Asked(NamedTuple):
    """What overrides ask for: the files of each group, settings by key, what is set inside files, and every key."""

    chosen: dict[str, list[str]]
    settings: dict[str, Any]
    inside: list[Override]
    keys: set[str]


def _ask(overrides: Sequence[str], where: tuple[Path, ...], scenarios_dir: str | Path | None) -> _Asked:
    main = main_file(where)
    keys, kinds = main_keys(main), groups(where)
    asked = _Asked(main_choices(main), {}, [], set())
    for one in parse(overrides):
        key = one.key_or_group
        asked.keys.add(key)
        if key in kinds:
            asked.chosen[key] = _files_named(one, options(key, scenarios_dir))
        elif top_of(one) in ("place", "scenario"):
            asked.inside.append(one)
        elif key in keys and one.is_delete():
            raise PlaceError(f"{key}: {one.input_line!r} was given; allowed: {key}=VALUE, for it is always there.")
        elif key in keys:
            asked.settings[key] = single_value(one)
        else:
            raise refuse(key, one.input_line, "a setting, such as", [*keys, *kinds])
    for needed in ("place", "scenario"):
        if not asked.chosen.get(needed):
            raise PlaceError(f"{main}: 'defaults' names no {needed}; allowed: a line '- {needed}: NAME'.")
    if len(asked.chosen["place"]) > 1:
        raise PlaceError(f"place: {'+'.join(asked.chosen['place'])!r} was given; allowed: one place.")
    return asked


def _files_named(one: Override, files: Mapping[str, Path]) -> list[str]:
    key, names = one.key_or_group, names_of(one)
    for name in names:
        if name not in files:
            raise refuse(key, name, f"a file in scenarios/{key}/:", files)
        if names.count(name) > 1:
            raise refuse(key, "+".join(names), f"each only once, and {name} is there twice")
    return names


def _start_from_census(config: dict[str, Any], given: set[str]) -> None:
    """With a census there is no warm-up, and the run begins on the day on which it was taken."""
    if "warm_up_days" not in given:
        config["warm_up_days"] = 0
    if "start_date" not in given:
        day = config.get("start_date")
        notice(f"the census counts for {day}; start_date=YYYY-MM-DD says on which day it was taken")


def _read_scenarios(
    content: dict[str, Any], user: User, files: Mapping[str, str], paths: Mapping[str, Path]
) -> dict[str, ScenarioFile]:
    if unknown := content.keys() - paths.keys():  # config.yaml may say something of one
        raise refuse("scenario", min(unknown), "a file in scenarios/scenario/:", paths)
    user.set_in_scenarios(content)
    return {name: read_scenario(name, raw, files[name], paths[name]) for name, raw in content.items()}


def _funded_as_in_files(raw: dict[str, Any], files: Mapping[str, Any]) -> dict[str, Any]:
    """Where the user sets a capacity, what the files say is still what is paid for (`funded`), in every scenario.

    Else two points of a sweep, neither of which knows the other, would each count as how things are, and beds that
    one of them closes as money saved.
    """
    services = dict(raw.get("services") or {})
    for name, service in services.items():
        declared = ((files.get("services") or {}).get(name) or {}).get("capacity")
        set_to = service.get("capacity") if isinstance(service, Mapping) else None
        both = isinstance(declared, (int, float)) and isinstance(set_to, (int, float))
        if both and declared != set_to and service.get("funded") is None:
            services[name] = {**service, "funded": declared}
    return {**raw, "services": services} if services else raw


def _files_in_words(group: str, scenarios_dir: str | Path | None) -> dict[str, str]:
    return {name: file_in_words(path) for name, path in options(group, scenarios_dir).items()}


def _run_and_settings(config: Mapping[str, Any]) -> tuple[Run, Configured]:
    try:
        run = Run.model_validate({k: config[k] for k in RUN_KEYS if k in config})
        rest = {k: v for k, v in config.items() if k not in (*RUN_KEYS, "place", "scenario")}
        if isinstance(rest.get("scenarios"), str):
            rest["scenarios"] = [rest["scenarios"]]
        return run, Configured(**rest)
    except ValidationError as error:
        raise PlaceError(explain(error, Run, "")) from None


def _with_years(
    place: dict[str, Any], before: dict[str, Any], run: Run, layers: Sequence[Layer], user_keys: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The place and the one before its scenario with full dates, as this run has them."""
    with told_who_says_it(layers, place, user_keys):
        (place, notices), (before, _) = (with_years(raw, run) for raw in (place, before))
    for words in notices:
        notice(words)
    return place, before


def _digest(scenario: ScenarioFile) -> str:
    """What a scenario says of the place, in eight letters: another scenario may switch its parts."""
    said = scenario.model_dump_json(include={"place", "parts"})
    return hashlib.sha256(said.encode("utf-8")).hexdigest()[:8]


def _scenario_info(
    chosen: Sequence[str], scenarios: Mapping[str, ScenarioFile], changed: dict[str, Any], user: User
) -> ScenarioInfo:
    named = [scenarios[name] for name in chosen if name in scenarios]
    title = " + ".join(s.title for s in named) or ScenarioInfo().title
    # nothing is as it is where the user says otherwise, whatever the file's title
    set_otherwise = not changed and any(key.startswith(("place.", "scale")) for key in user.words)
    return ScenarioInfo(
        name="+".join(chosen),
        stacks={name: _digest(s) for name, s in scenarios.items() if s.place or s.parts},
        title=title + (WITH_SETTINGS if set_otherwise else ""),
        rationale=" ".join(s.rationale for s in named if s.rationale),
        evidence={k: v for s in scenarios.values() for k, v in s.evidence.items()},
        changes=changed,
        settings=list(user.words.values()),
    )
