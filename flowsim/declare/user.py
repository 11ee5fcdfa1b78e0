"""What the user sets in a place and its scenarios: laid over both as the final word, and told in words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from flowsim.declare.layers import USER, Layer, place_fields, with_totals
from flowsim.declare.overrides import Override, factor, set_in, single_value, top_of, value_of
from flowsim.declare.scenario_file import scenario_fields
from flowsim.declare.trees import NOTHING, copied, depth_of, leaves, overlay, tree_of, value_at, with_likes
from flowsim.place import PlaceError, Run, notice


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


class PlaceOfUser(NamedTuple):
    """A place with the user's settings in it, the same without its scenarios, and the dotted keys that the user set,
    those that follow from them included."""

    place: dict[str, Any]
    before: dict[str, Any]
    keys: tuple[str, ...]


@dataclass
class User:
    """The user's settings below `place` and `scenario`, and what became of them.

    Attributes:
        overrides: these settings, in order.
        unplaced: those that name nothing in these files, by the user's words, with the sentence that says so.
        words: what the user set and makes a difference, by key, as `_in_words` has it.
        everywhere: what was set in the place, with and without its scenarios, by key.
        in_scenarios: what was set of the place in a scenario alone, by the key of its layer.
    """

    overrides: Sequence[Override]
    unplaced: dict[str, PlaceError] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    everywhere: dict[str, Override] = field(default_factory=dict)
    in_scenarios: dict[str, dict[str, Any]] = field(default_factory=dict)

    def set_in_scenarios(self, scenarios: dict[str, Any]) -> None:
        """Set, in place, what the user says of scenarios' files; `scenarios` is their content by name."""
        for one in self.overrides:
            if top_of(one) != "scenario":
                continue
            path = one.key_or_group.split(".")[1:]
            usual = value_at(scenarios, path, True if path[-1] == "active" else NOTHING)
            error = set_in(scenarios, one, "scenario", scenario_fields)
            if error is not None:
                self.unplaced[str(one.input_line)] = error
                continue
            if "place" in path:
                at = path.index("place") + 1
                layer, value = ".".join(("scenario", *path[:at])), _said(one, scenarios)
                whole = value if isinstance(value, Mapping) else {}
                raw = tree_of({tuple(path[at:]): value}) if path[at:] else whole
                self.in_scenarios[layer] = overlay(self.in_scenarios.get(layer, {}), raw)
            self._note(one, usual, "in the scenario")

    def set_in_place(self, with_scenarios: dict[str, Any], without: dict[str, Any]) -> PlaceOfUser:
        """The user's settings in a place with its scenarios and without; what only the former has is set only there.
        Raises PlaceError."""
        place, before = copied(with_scenarios), copied(without)
        keys = []
        raw: dict[str, Any] = {}
        raw_before: dict[str, Any] = {}
        for one in self.overrides:
            if top_of(one) != "place":
                continue
            path = tuple(one.key_or_group.split(".")[1:])
            error = set_in(place, one, "place", place_fields, with_likes(place))
            if error is not None:
                self.unplaced[str(one.input_line)] = error
                continue
            keys.append(one.key_or_group)
            raw = overlay(raw, tree_of({path: _said(one, place)}))
            if depth_of(path[:-1], with_scenarios) <= depth_of(path[:-1], without):
                set_in(before, one, "place", place_fields, with_likes(before))
                raw_before = overlay(raw_before, tree_of({path: _said(one, before)}))
                if factor(one) is None:  # a part more or less keeps what scenarios say
                    self.everywhere[one.key_or_group] = one
        place, layer = with_totals(place, Layer(USER, raw))
        before, _ = with_totals(before, Layer(USER, raw_before))
        followed = (".".join(("place", *path)) for path, _ in leaves(layer.raw) if value_at(raw, path) is None)
        return PlaceOfUser(place, before, (*keys, *followed))

    def overruled(self, scenarios: Sequence[Layer], place: Mapping[str, Any]) -> Iterator[Overruled]:
        """What scenarios say of keys that the user set with and without them: of each the first that differs, or the
        first."""
        for key, one in self.everywhere.items():
            path = tuple(key.split(".")[1:])
            for layer in scenarios:
                said = []
                for leaf, says in leaves(layer.raw):
                    shared = min(len(leaf), len(path))
                    if leaf[:shared] == path[:shared]:
                        differs = value_at(place, max(leaf, path, key=len)) != says
                        text = str(one.input_line).partition("=")[2]
                        alone = f"{layer.key}.{'.'.join(path)}={text}" if differs and leaf == path and text else ""
                        said.append(Overruled(key, str(one.input_line), layer.scenario, says, differs, alone))
                yield from sorted(said, key=lambda each: not each.differs)[:1]

    def note_place(self, with_scenarios: Mapping[str, Any], without: Mapping[str, Any]) -> None:
        """Put into words what was set of the place, where it makes a difference."""
        for one in self.overrides:
            if top_of(one) == "place" and str(one.input_line) not in self.unplaced:
                path = one.key_or_group.split(".")[1:]
                trees = (with_likes(t) if path[0] == "stages" else t for t in (without, with_scenarios))
                plain, usual = (value_at(tree, path, NOTHING) for tree in trees)
                self._note(one, usual, "in the place" if usual == plain else "in the scenario")

    def note_run(self, given: Mapping[str, Any], usually: Mapping[str, Any], run: Run) -> None:
        """Put into words what was set of the run, where it makes a difference."""
        for key in (key for key in Run.model_fields if key in given):
            if str(given[key]) != str(usually.get(key)):
                self.words[key] = _in_words(key, given[key], usually.get(key), "otherwise")
        if "policy_start" in self.words and run.policy_start is not None:
            held = (run.end_date - max(run.switch_date, run.start_date)).days
            self.words["policy_start"] = (
                f"policy_start={run.policy_start} (scenarios hold on {held} of the {run.days} days measured)"
            )

    def _note(self, one: Override, usual: Any, where: str) -> None:
        key, value = one.key_or_group, NOTHING if one.is_delete() else single_value(one)
        if factor(one) is not None:
            of = f" (of {_typed(usual)} {where})" if isinstance(usual, int | float) else ""
            self.words[key] = f"{key}={value}{of}"
        elif value != usual:
            self.words[key] = _in_words(key, value, usual, where)


def _said(one: Override, tree: Mapping[str, Any]) -> Any:
    """What an override says of a tree in which it is set by now: a part more or less is told as what it comes to."""
    return value_of(one) if factor(one) is None else copied(value_at(tree, one.key_or_group.split(".")[1:]))


def tell_overruled(overruled: Iterable[Overruled]) -> dict[str, str]:
    """Tell of each of the user's settings, in one sentence, which scenarios it overrules; returns these sentences."""
    by_setting: dict[str, list[Overruled]] = {}
    for one in overruled:
        by_setting.setdefault(one.setting, []).append(one)
    sentences = {setting: _overruled_in_words(setting, every) for setting, every in by_setting.items()}
    for sentence in sentences.values():
        notice(sentence)
    return sentences


def _overruled_in_words(setting: str, every: Sequence[Overruled]) -> str:
    says = {one.scenario: one.says for one in every}
    listed = ", and in ".join(f"{scenario}, which says {_typed(value)}" for scenario, value in says.items())
    alone = next((one.alone for one in every if one.alone), "")
    hint = f"; {alone} would change it there alone" if alone and len(says) == 1 else ""
    return f"{setting} counts in every scenario, also in {listed}{hint}"


def _in_words(key: str, value: Any, usual: Any, where: str) -> str:
    """``place.services.reablement.capacity=140 (118 in the place)``; what is usual only where it is a single value."""
    setting = f"~{key}" if value is NOTHING else f"{key}={_typed(value)}"
    if usual is NOTHING:
        return f"{setting} (nothing {where})"
    return setting if usual is None or isinstance(usual, dict | list) else f"{setting} ({_typed(usual)} {where})"


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
