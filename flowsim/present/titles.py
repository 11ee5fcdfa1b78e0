"""What scenarios, services, causes, periods and settings are called in a report and under a picture."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

from flowsim.folder.result import Result
from flowsim.measures.registry import MEASURES, OF_WARDS, WITHOUT_WARDS
from flowsim.place import WITH_SETTINGS, Place
from flowsim.place.dates import dates_of_its_own
from flowsim.place.demand import DAY_MINUTES

LONGEST_TITLE = 70
"""Of a scenario: tables and pictures break it into lines; a longer one is a sentence, and its name stands instead."""
DAYS_OF_A_YEAR = (365, 366)
MOST_SETTINGS = 12
"""Of the user's own that are told above a report."""
USUAL = {"window": "all", "seed": 1}
"""Settings of an experiment that change numbers, as they are where nobody sets them."""
BY_DATE = {"blocks", "moves", "displacements"}
"""Keys of a place below which things hold by date."""
WAITS = {"capacity": "full", "calendar": "closed", "staff": "staff busy", "task": "task"}
"""What the kinds of causes in the tables are called on screen."""
KEY_MEASURES = (
    "delayed_patients", "delayed_bed_days", "delay_days_mean",
    "hidden_wait_days_mean", "los_days_mean", "acute_occupancy",
    "boarding_hours_mean", "ed_four_hour_share", "trolley_12_hour_count",
    "usual_residence_share", "readmission_30_day_share", "money_spent",
)  # fmt: skip
"""The headline measures a planner asks for first, in reading order: flow, stay, emergency department, outcome, cost."""


def key_measures(result: Result) -> tuple[str, ...]:
    """`KEY_MEASURES`, or of a place without wards those of `WITHOUT_WARDS`, and of stays."""
    there = set(result.results["measure"].unique())
    usual = KEY_MEASURES if OF_WARDS in there else dict.fromkeys((*WITHOUT_WARDS, *KEY_MEASURES))
    return tuple(name for name in usual if name in there)


def unit_in(measure: str, result: Result) -> str:
    """A measure's unit; of a sum, with the time it was summed over: ``bed-days a year``, ``bed-days in 120 days``."""
    unit = MEASURES[measure].unit
    if not MEASURES[measure].adds_up:
        return unit
    days = round(result.days)
    return f"{unit} a year" if days in DAYS_OF_A_YEAR else f"{unit} in {days} day{'' if days == 1 else 's'}"


def period_words(result: Result) -> str:
    """``Measured from 1 April 2024 to 31 March 2025.``, with the window's name where it is not the whole."""
    run = next(iter(result.places.values())).run
    start, end = result.span
    first, last = run.date_of(start), run.date_of(end - 1)
    window = result.manifest.window or "all"
    named = "" if window == "all" else f" ({window} the block)"
    return f"Measured from {_date(first)} to {_date(last)}{named}."


def in_force(result: Result, scenario: str) -> tuple[int, str]:
    """On how many of the days measured a scenario's dated blocks and moves hold, and from when to when in words.

    All of them, and no words, where nothing that it has and the first has not is dated, or some of it is not: then it
    never holds as a whole.
    """
    place = result.places[scenario]
    dated = dates_of_its_own(place, result.places[result.scenarios[0]])
    if not dated or not all(BY_DATE & set(key.split(".")) for key in place.scenario.changes):
        return round(result.days), ""
    start, end = result.span
    first, after = min(begin for begin, _ in dated), max(finish for _, finish in dated)
    held = min(end, place.run.minute_of(after)) - max(start, place.run.minute_of(first))
    return max(0, held) // DAY_MINUTES, f"from {_date(first)} to {_date(after - dt.timedelta(days=1))}"


def settings_words(result: Result) -> str:
    """``Your settings: place.services.reablement.capacity=140 (118 in the place).``; empty where all is as usual.

    Everything the user set that changes numbers; of a sweep what holds at every point.
    """
    settings = [*_settings_of_places(result), *_settings_of_experiment(result)]
    return f"Your settings: {', '.join(settings)}." if settings else ""


def _settings_of_places(result: Result) -> Iterator[str]:
    """What was set of the places, each once; with the scenarios that have it where others have not."""
    scenarios = result.scenarios[: 1 if result.manifest.verb == "sweep" else None]
    having: dict[str, list[str]] = {}
    for name in scenarios:
        for setting in result.places[name].scenario.settings:
            having.setdefault(setting, []).append(name)
    for at, (setting, names) in enumerate(sorted(having.items(), key=lambda one: len(one[1]) < len(scenarios))):
        if at == MOST_SETTINGS:
            yield f"and {len(having) - at} more in config/"
            return
        where = "" if len(names) == len(scenarios) else f" in {', '.join(titled(result, name) for name in names)}"
        yield f"{setting}{where}"


def _settings_of_experiment(result: Result) -> Iterator[str]:
    for key, usual in USUAL.items():
        if (value := getattr(result.manifest, key)) not in (usual, None):
            yield f"{key}={value} ({usual} otherwise)"


def _date(date: dt.date) -> str:
    return f"{date.day} {date:%B %Y}"


def titled(result: Result, scenario: str) -> str:
    """A scenario's own title, unless another has the same or it is too long for a column: then its name.

    So too where it was given a name, as points are by what is varied in them: that says more than "with your settings".
    """
    titles = {name: place.scenario.title or name for name, place in result.places.items()}
    place = result.places[scenario]
    if place.scenario.title.endswith(WITH_SETTINGS) and scenario != place.scenario.name:
        return scenario.replace("_", " ")
    title = titles[scenario]
    return (
        title if list(titles.values()).count(title) == 1 and len(title) <= LONGEST_TITLE else scenario.replace("_", " ")
    )


def point_words(point: str) -> str:
    """The name of a point or scenario with room to break it into lines; one that somebody wrote as it stands."""
    return re.sub(r",(?=\S)", ", ", point.replace("_", " "))


def title_and_unit(measure: str, result: Result) -> str:
    """A measure's title and unit: ``Delayed bed-days (bed-days in 151 days)``."""
    return f"{MEASURES[measure].title} ({unit_in(measure, result)})"


def service_title(result: Result, service: str, unit: str = "all") -> str:
    """A service in words, in one of its sites or localities or in all of them."""
    place = next(iter(result.places.values()))
    known = {**place.services, **place.pools}
    name = known[service].title if service in known else service
    where = {key: each.title for key, each in place.sites.items()}
    where |= {key: each.title for key, each in place.localities.items()}
    return f"{name}, {where[unit]}" if unit in where else name


def cause_title(result: Result, cause: str) -> str:
    """``capacity: reablement`` in words: ``full: Reablement (pathway 1)``."""
    kind, _, name = cause.partition(": ")
    if kind not in WAITS:
        return cause
    titles: dict[str, str] = {}
    for place in reversed(list(result.places.values())):  # the first has the last word
        titles |= task_titles(place) | {key: service.title for key, service in place.kinds.items()}
    return f"{WAITS[kind]}: {titles.get(name) or name.replace('_', ' ')}"


def task_titles(place: Place) -> dict[str, str]:
    """What each task is called; where stages have names of their own for it, as it is in acute beds."""
    titles: dict[str, str] = {}
    for in_beds in (False, True):
        for stage in place.stages.values():
            service = place.services.get(str(stage.service))
            if service is not None and (service.role == "ward") == in_beds:
                titles |= {name: task.title for name, task in {**stage.before, **stage.after}.items() if task.title}
    return titles


def replication_count(result: Result) -> int:
    """How many replications stand behind a result."""
    return int(result.results["replication"].nunique())
