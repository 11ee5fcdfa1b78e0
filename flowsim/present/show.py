"""What there is, for people: scenarios, services, measures, the composed configuration, evidence; all handed in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import pandas as pd
import yaml
from rich.console import Console
from rich.text import Text

from flowsim.measures.registry import MEASURES
from flowsim.place import (
    ALWAYS,
    WEEKDAYS,
    Calendar,
    CostLine,
    Distribution,
    Locality,
    Move,
    Place,
    PlaceError,
    ScenarioInfo,
    Service,
    Shock,
    Site,
    Table,
)

HOURS = ("every_day", "weekday", "weekend", *WEEKDAYS, "bank_holiday")


class Composed(Protocol):
    """What is shown of a scenario that is laid over a place: what it says of itself, and each of its files.

    A file has title, for_whom, place (its changes) and parts, a mapping of switches with title and active.
    """

    @property
    def scenario(self) -> ScenarioInfo: ...

    @property
    def scenarios(self) -> Mapping[str, Any]: ...


def show_scenarios(scenarios: Mapping[str, Composed | PlaceError], console: Console | None = None) -> None:
    """Every scenario in a line, in groups by the users whom each is for first; then why others do not suit the place.

    `scenarios`: by name what each makes of the place, or the sentence that refuses it.
    """
    console = console or Console()
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, one in scenarios.items():
        if isinstance(one, PlaceError):
            groups.setdefault("", []).append((name, str(one)))
        else:
            groups.setdefault(_first_user(one), []).append((name, one.scenario.title))
    for user in sorted(groups, key=lambda user: (not user, user != _FOR_EVERYONE, user)):
        say(console, "", f"-- {_heading(user)} --")
        for name, words in groups[user]:
            say(console, f": {words}", name)
        console.print()
    say(console, "What one changes, and why: flowsim show scenarios NAME")


_FOR_EVERYONE = "everyone"


def _first_user(composed: Composed) -> str:
    """Whom a scenario is for first, in small letters; everyone where it does not say."""
    names = composed.scenario.name.split("+")
    users = [composed.scenarios[name].for_whom for name in names if name in composed.scenarios]
    first = next((text for text in users if text), "")
    return first.replace(";", ",").split(",")[0].strip().lower() or _FOR_EVERYONE


def _heading(user: str) -> str:
    return f"For {user}" if user else "Not for this place or these dates"


def say(console: Console, text: str, bold: str = "") -> None:
    """Text as it is, after a bold beginning."""
    console.print(Text.assemble((bold, "bold"), text), soft_wrap=not console.is_terminal)


def show_scenario(composed: Composed, console: Console | None = None) -> None:
    """One scenario in full: what it is, whom it is for, its parts, its evidence and what it changes."""
    console = console or Console()
    info = composed.scenario
    say(console, f": {info.title}", info.name)
    files = [composed.scenarios[name] for name in info.name.split("+") if name in composed.scenarios]
    for text in (info.rationale.strip(), *dict.fromkeys(f"For: {one.for_whom}" for one in files if one.for_whom)):
        if text:
            say(console, text)
    for name, scenario in composed.scenarios.items():
        for part_name, part in scenario.parts.items():
            switch = f"scenario.{name}.parts.{part_name}.active={str(not part.active).lower()}"
            say(
                console, f"  part {'on' if part.active else 'off'}: {part.title or part_name} (the other way: {switch})"
            )
    for source, text in info.evidence.items():
        say(console, f"  evidence {source}: {text.strip()}")
    for key, (before, after) in info.changes.items():
        say(console, f"  place.{key}: {_written(before)} -> {_written(after)}")
    if not info.changes and any(one.place or one.parts for one in composed.scenarios.values()):
        say(console, "  It changes nothing in this place.")


def show_services(place: Place, console: Console | None = None) -> None:
    """Every service and staff pool: how much, where, when it accepts people, what it costs, what changes it; moves."""
    console = console or Console()
    for name, service in {**place.services, **place.pools}.items():
        unit = service.unit.replace("_", " ")
        say(console, f": {service.title}, {_written(service.capacity)} {unit}", name)
        for words in (_where(place, service), _accepts(place, service), _cost(service), *_changes(service, unit)):
            if words:
                say(console, f"  {words}")
    for name, move in place.moves.items():
        say(console, _move_line(place, move), name)
    for name, line in place.costs.items():
        say(console, _cost_line(line), name)


def show_measures(console: Console | None = None) -> None:
    """Every measure: what it is called in the tables, its title and unit, which way is better, its definition."""
    console = console or Console()
    better = {1: "more is better", -1: "less is better", 0: "neither way is better"}
    for measure in MEASURES.values():
        say(console, f": {measure.title} ({measure.unit}; {better[measure.better]})", measure.id)
        say(console, f"  {measure.definition}")
        say(console, f"  after: {measure.source}")


def _where(place: Place, service: Service) -> str:
    units: dict[str, Site | Locality] = {**place.sites, **place.localities}
    weights = service.by_site or service.by_locality or {}
    total = sum(weights.values())
    capacity = service.capacity
    lines = []
    for unit, weight in weights.items():
        part = "unlimited" if isinstance(capacity, str) else _written(round(capacity * weight / total, 1))
        lines.append(f"{units[unit].title} {part}")
    beside = ", ".join(f"{units[unit].title} {_written(amount)}" for unit, amount in service.neighbours.items())
    return ", ".join(lines) + (f"; neighbours' own: {beside}" if beside else "")


def _accepts(place: Place, service: Service) -> str:
    hours = "always" if service.calendar == ALWAYS else calendar_words(place.calendars[service.calendar])
    quota = {} if service.quota is None else service.quota.model_dump(exclude_none=True)
    days = {"week": "a week", "weekday": "on a weekday", "saturday": "on a Saturday", "sunday": "on a Sunday"}
    limits = ", ".join(f"{_written(amount)} {days[day]}" for day, amount in quota.items())
    return f"accepts: {hours}" + (f"; at most {limits}" if limits else "")


def calendar_words(calendar: Calendar) -> str:
    """A calendar's hours in one line, e.g. ``weekday 09:00-17:00, weekend closed``."""
    return ", ".join(f"{day.replace('_', ' ')} {text}" for day in HOURS if (text := getattr(calendar, day)) is not None)


def _cost(service: Service) -> str:
    if service.cost is None:
        return ""
    per = {
        "day": "a day of each of the staff" if service.role == "staff" else "a day of each unit in use",
        "hour_of_care": "an hour of care",
        "unit_a_day": "a unit and day, used or not",
        "unit_a_week": "a unit and week, used or not",
        "hour_of_staff": "an opening hour of each of the staff",
        "start": "a task" if service.role == "staff" else "a start",
    }
    return f"costs: £{service.cost.amount:g} {per[service.cost.per]}, paid by: {_payers(service.cost.payers)}"


def _changes(service: Service, unit: str) -> Iterator[str]:
    """What changes how much there is of a service in the course of a run, a line each."""
    for name, block in service.blocks.items():
        per = " in all" if unit == "hours a week" and block.per == "total" else ""
        yield f"block: {block.title or name}, {block.add:+,g} {unit}{per}{_dates(block.from_date, block.last_day)}"
    for name, trend in service.trend.items():
        grows = f"{100 * trend.share:+.3g} % a {trend.per}{_dates(trend.from_date, trend.to_date)}"
        yield f"trend: {trend.title or name}, {grows}"
    for name, rule in service.escalation.items():
        more = _share(rule.share) if rule.share is not None else f"{rule.add:g}"
        queue = f"for {rule.watch}" if rule.watch else "for it"
        opens = f"{more} more while people queue {queue}: from {rule.open_at} of them down to {rule.close_at}"
        yield f"escalation: {rule.title or name}, {opens}{_dates(rule.from_date, rule.to_date)}"
    for name, shock in service.shocks.items():
        often = f"{shock.rate:g} a {shock.per} in each queue{_dates(shock.from_date, shock.to_date)}"
        yield f"shock: {shock.title or name}, {often}; lasts {_lasts(shock.lasts)}; {_harm(shock, unit)}"


def _dates(begins: dt.date | None, ends: dt.date | None) -> str:
    return ("" if begins is None else f" from {begins}") + ("" if ends is None else f" to {ends}")


def _share(share: float) -> str:
    return f"{100 * share:.3g} %"


def _lasts(drawn: Distribution) -> str:
    """A distribution in few words; one that belongs to no person has no tables by attribute."""
    part = getattr(drawn, drawn.kind)
    if isinstance(part, Table):
        return f"{part.leaf:g} {drawn.unit}"
    given = ((name, getattr(part, name)) for name in type(part).model_fields)
    words = ", ".join(f"{name} {value.leaf if isinstance(value, Table) else value:g}" for name, value in given if value)
    return f"{drawn.kind} with {words} {drawn.unit}"


def _harm(shock: Shock, unit: str) -> str:
    """What a shock does to the queue it comes to."""
    harms = []
    if shock.closes is not None:
        harms.append(
            f"closes {_share(shock.closes.share) if shock.closes.share else f'{-(shock.closes.add or 0):g} {unit}'}"
        )
    if shock.closes_to_new:
        harms.append("accepts nobody")
    if shock.closes_way_out:
        harms.append("lets nobody leave")
    if shock.puts_out is not None:
        harms.append(f"puts out {_share(shock.puts_out)} when it begins")
    return ", ".join(harms)


def _move_line(place: Place, move: Move) -> str:
    taken, given = place.kinds[move.take.service], place.kinds[move.give.service]
    much = "as many" if move.give.amount is None else _written(move.give.amount)
    same = " as cost the same" if move.give.amount is None else ""
    lag = f", {move.lag_days} days after they are taken" if move.lag_days else ""
    from_what = f"{_written(move.take.amount)} {taken.unit.replace('_', ' ')} of {taken.title}"
    to_what = f"{much} {given.unit.replace('_', ' ')} of {given.title}{same}"
    return f": {move.title or 'a move'}, {from_what} become {to_what}{_dates(move.from_date, move.to_date)}{lag}"


def _payers(shares: Mapping[str, float]) -> str:
    return ", ".join(payer if share == 1 else f"{payer} ({share:.0%})" for payer, share in shares.items())


def _cost_line(line: CostLine) -> str:
    per = "in all" if line.per == "total" else f"a {line.per}"
    dates = _dates(line.from_date, line.to_date)
    return f": {line.title}, costs: £{line.amount:,.0f} {per}{dates}, paid by: {_payers(line.payers)}"


def show_config(configuration: Mapping[str, Any]) -> None:
    """The composed configuration as YAML: every key that can be set, with its value now."""
    print(yaml.safe_dump(dict(configuration), sort_keys=False, allow_unicode=True, width=120), end="")


def show_evidence(table: pd.DataFrame, console: Console | None = None) -> None:
    """Every number with its source, grade, range and reason, from a table such as `Composition.evidence`."""
    console = console or Console()
    for row in table.to_dict("records"):
        unit = f" {row['unit']}" if row["dial"] and row["unit"] else ""
        reach = f"{row['low']} to {row['high']}{unit}" if row["low"] and row["high"] else ""
        together = f"moves with {row['dial']}" if row["dial"] not in ("", row["key"]) else ""
        no_range = f"no range: {row['no_range']}" if row["no_range"] else ""
        known = "; ".join(text for text in (row["quantity"], reach, together, no_range, row["why"]) if text)
        grade = f", grade {row['grade']}" if row["grade"] else ""
        say(console, f" = {_written(row['value'])}  [{row['source'] or 'no source'}{grade}] {known}", row["key"])
    unknown = int((table["source"] == "").sum())
    assumed = int(table["grade"].str.startswith("C").sum())
    say(
        console,
        f"{len(table)} numbers; {assumed} of them are assumptions (grade C), {unknown} have no source.",
    )


def _written(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)


class Setting(Protocol):
    """What is shown of a number of a place: its key, value and unit, the titles of what it belongs to, its source, the
    range it may have, and what to type to set it; all as text, empty where there is none."""

    @property
    def key(self) -> str: ...
    @property
    def value(self) -> str: ...
    @property
    def titles(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def range(self) -> str: ...
    @property
    def type(self) -> str: ...


SETTINGS_SHOWN = 12
"""As many fit a screen; the rest is counted."""


def show_settings(settings: Sequence[Setting], topic: str, console: Console | None = None) -> None:
    """Each setting of a topic: what it is of, its value now with unit, source and range, and what to type."""
    console = console or Console()
    for one in settings[:SETTINGS_SHOWN]:
        say(console, f": {one.titles}" if one.titles else "", one.key)
        within = f"; range {one.range}" if one.range else ""
        say(console, f"  now {one.value}{f' {one.unit}' if one.unit else ''} [{one.source}]{within}")
        say(console, f"  to change it: {one.type}")
    more = len(settings) - SETTINGS_SHOWN
    if more > 0:
        say(console, f"{more} more fit {topic!r}; another word narrows it. A part more or less: KEY=+3%, KEY=*1.03")
