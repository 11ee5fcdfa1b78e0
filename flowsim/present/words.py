"""How numbers and names are written for people: plain ASCII signs, thousands with commas, three figures."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator

from flowsim.declare.settings import Settings
from flowsim.folder.result import Result
from flowsim.measures.registry import MEASURES
from flowsim.place import Place

LONGEST_TITLE = 70
"""Of a scenario: tables and pictures break it into lines; a longer one is a sentence, and its name stands instead."""
DAYS_OF_A_YEAR = (365, 366)
MOST_SETTINGS = 12
"""Of the user's own that are told above a report."""
MINUTES_A_DAY = 24 * 60
NO_SHARE_OF_A_WHOLE = ("acute_occupancy", "service_occupancy")
"""Percentages that pass 100: whoever is in a bed or slot that closes stays in it until they leave."""
WAITS = {"capacity": "full", "calendar": "closed", "staff": "staff busy", "task": "task"}
"""What the kinds of causes in the tables are called on screen."""
KEY_MEASURES = (
    "delayed_patients", "delayed_bed_days", "delay_days_mean",
    "hidden_wait_days_mean", "los_days_mean", "acute_occupancy",
    "boarding_hours_mean", "ed_four_hour_share", "trolley_12_hour_count",
    "usual_residence_share", "readmission_30_day_share", "cost_total",
)  # fmt: skip
"""The headline measures a planner asks for first, in reading order: flow, stay, emergency department, outcome, cost."""


def number(value: float, unit: str = "", figures: int = 3) -> str:
    """A number with about three figures: 1,234; 56.7; 0.123; pounds in millions where there are millions.

    Of percentages above 100 with a fourth, for it is there that 100.4 (100.2 to 100.6) says something.
    """
    if not math.isfinite(value):
        return "-"
    if unit.startswith("£"):
        return _pounds(value)
    size = abs(value)
    if unit == "%" and 100 <= size < 1000:
        return f"{value:.1f}".removesuffix(".0")
    if size >= 1000 or value == 0:
        return f"{value:,.0f}"
    places = figures - 1 - math.floor(math.log10(size))
    return f"{value:,.{min(max(places, 0), 4)}f}"


def with_unit(value: float, unit: str) -> str:
    """A number with its unit: ``12.3 days``, ``£283k a year``."""
    return f"{number(value, unit)} {unit.removeprefix('£').strip()}".strip()


def tick(value: float, unit: str) -> str:
    """A number on an axis: pounds short, others as they are, thousands with commas; a plain minus."""
    if unit.startswith("£"):
        return _pounds(value).replace(".00m", "m")
    return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:,.6g}"


def signed(value: float, unit: str = "") -> str:
    """A difference: always with its sign."""
    text = number(value, unit)
    return f"+{text}" if value > 0 and text != "-" else text


def _pounds(value: float) -> str:
    sign = "-" if value < 0 else ""
    size = abs(value)
    if size >= 1e6:
        return f"{sign}£{size / 1e6:,.2f}m"
    if size >= 1e4:
        return f"{sign}£{size / 1e3:,.0f}k"
    return f"{sign}£{size:,.0f}"


def possible(measure: str) -> tuple[float, float]:
    """The least and the most that a measure can be: an interval of Student's t knows of neither and is cut there."""
    unit = MEASURES[measure].unit
    most = 100.0 if unit == "%" and measure not in NO_SHARE_OF_A_WHOLE else math.inf
    return (-math.inf if unit.startswith("£") else 0.0), most


def interval(low: float, high: float, unit: str = "", sign: bool = False) -> str:
    """``12.1 to 14.5``, or nothing where there is no interval."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    write = signed if sign else number
    return f"{write(low, unit)} to {write(high, unit)}"


def setting(value: object) -> str:
    """A value of a setting: whole numbers as they are, others with three figures, names without underscores."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value).replace("_", " ")
    if math.isnan(value):
        return ""
    return f"{value:,.0f}" if float(value).is_integer() else number(float(value))


def scaled(unit: str, result: Result) -> str:
    """A unit that is a sum "a year", with how many days it was scaled from where these are not a year."""
    start, end = result.span
    days = round((end - start) / MINUTES_A_DAY)
    return f"{unit}, scaled from {days} days" if unit.endswith("a year") and days not in DAYS_OF_A_YEAR else unit


def period_words(result: Result) -> str:
    """``Measured from 1 April 2024 to 31 March 2025.``, with the window's name where it is not the whole."""
    run = next(iter(result.places.values())).run
    start, end = result.span
    first, last = run.date_of(start), run.date_of(end - 1)
    window = result.manifest.window or "all"
    named = "" if window == "all" else f" ({window} the block)"
    return f"Measured from {_date(first)} to {_date(last)}{named}."


def settings_words(result: Result) -> str:
    """``Your settings: place.services.reablement.capacity=140 (118 in the place).``; empty where all is as usual.

    Everything the user set that changes numbers; of a sweep what holds at every point.
    """
    told = [*_settings_of_places(result), *_settings_of_experiment(result)]
    return f"Your settings: {', '.join(told)}." if told else ""


def _settings_of_places(result: Result) -> Iterator[str]:
    """What was set of the places, each once; with the scenarios that have it where others have not."""
    scenarios = result.scenarios[: 1 if result.manifest.verb == "sweep" else None]
    having: dict[str, list[str]] = {}
    for name in scenarios:
        for told in result.places[name].scenario.settings:
            having.setdefault(told, []).append(name)
    for at, (told, names) in enumerate(sorted(having.items(), key=lambda one: len(one[1]) < len(scenarios))):
        if at == MOST_SETTINGS:
            yield f"and {len(having) - at} more in config/"
            return
        yield told if len(names) == len(scenarios) else f"{told} in {', '.join(titled(result, name) for name in names)}"


def _settings_of_experiment(result: Result) -> Iterator[str]:
    for key in ("window", "seed"):
        usual = Settings.model_fields[key].default
        if (value := getattr(result.manifest, key)) not in (usual, None):
            yield f"{key}={value} ({usual} otherwise)"


def _date(date: dt.date) -> str:
    return f"{date.day} {date:%B %Y}"


def few_words(n: int) -> str:
    """A caution about bands over so few replications."""
    return f"{n} replications are too few for a band: it says little more than where these {n} happened to lie."


def titled(result: Result, scenario: str) -> str:
    """A scenario's own title, unless another has the same or it is too long for a column: then its name."""
    titles = {name: place.scenario.title or name for name, place in result.places.items()}
    title = titles[scenario]
    return (
        title if list(titles.values()).count(title) == 1 and len(title) <= LONGEST_TITLE else scenario.replace("_", " ")
    )


def with_scaled_unit(measure: str, result: Result) -> str:
    """A measure's title and unit: ``Delayed bed-days (bed-days a year, scaled from 151 days)``."""
    return f"{MEASURES[measure].title} ({scaled(MEASURES[measure].unit, result)})"


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
    found: dict[str, str] = {}
    for in_beds in (False, True):
        for stage in place.stages.values():
            service = place.services.get(str(stage.service))
            if service is not None and (service.role == "ward") == in_beds:
                found |= {name: task.title for name, task in {**stage.before, **stage.after}.items() if task.title}
    return found
