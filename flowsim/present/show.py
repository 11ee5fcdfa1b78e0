"""What there is, for people: scenarios, services, the composed configuration, the evidence of every number."""

from __future__ import annotations

import datetime as dt
import shlex
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.text import Text

from flowsim.declare.composition import NO_SCENARIO, Composition, compose
from flowsim.declare.yaml_and_csv import options
from flowsim.measures.registry import MEASURES
from flowsim.place import (
    ALWAYS,
    WEEKDAYS,
    Calendar,
    CostLine,
    Distribution,
    FlowsimNotice,
    Locality,
    Move,
    Place,
    PlaceError,
    Service,
    Shock,
    Site,
    Table,
    refuse,
)

HOURS = ("every_day", "weekday", "weekend", *WEEKDAYS, "bank_holiday")


def show_scenarios(overrides: Sequence[str], names: Sequence[str] = (), console: Console | None = None) -> None:
    """Every scenario in a line, in groups by the users whom each is for first; those that are named in full.

    Named in `names` or by ``scenario=``, stacked with a plus sign if you like. Raises PlaceError for a name that is
    none.
    """
    console = console or Console()
    named = [text for text in overrides if text.split("=")[0] == "scenario"]
    rest = [text for text in overrides if text not in named]
    if names or named:
        _refuse_unknown(names)
        for text in (*(f"scenario={name}" for name in names), *named):
            _show_scenario(_composed(text, *rest), console)
            console.print()
        return
    groups: dict[str, list[tuple[str, str]]] = {}
    for name in sorted(options("scenario")):
        try:
            one = _composed(f"scenario={name}", *rest)
        except PlaceError as mistake:
            groups.setdefault("", []).append((name, str(mistake)))
        else:
            groups.setdefault(_first_user(one), []).append((name, one.scenario.title))
    for user in sorted(groups, key=lambda user: (not user, user != _FOR_EVERYONE, user)):
        _print(console, "", f"-- {_heading(user)} --")
        for name, told in groups[user]:
            _print(console, f": {told}", name)
        console.print()
    _print(console, "What one changes, and why: flowsim show scenarios NAME")


def _composed(*overrides: str) -> Composition:
    """What a scenario makes of the place, which it suits. Raises PlaceError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FlowsimNotice)
        composed = compose(*overrides)
        composed.read()
    return composed


def _refuse_unknown(names: Sequence[str]) -> None:
    known = sorted(options("scenario"))
    for name in (part for stacked in names for part in stacked.split("+")):
        if name not in known:
            raise refuse("show scenarios", name, "one of", known)


_FOR_EVERYONE = "everyone"


def _first_user(composed: Composition) -> str:
    """Whom a scenario is for first, in small letters; everyone where it does not say."""
    told = [
        composed.scenarios[name].for_whom for name in composed.scenario.name.split("+") if name in composed.scenarios
    ]
    first = next((text for text in told if text), "")
    return first.replace(";", ",").split(",")[0].strip().lower() or _FOR_EVERYONE


def _heading(user: str) -> str:
    return f"For {user}" if user else "Not for this place or these dates"


def _print(console: Console, text: str, bold: str = "") -> None:
    """Text as it is, after a bold beginning."""
    console.print(Text.assemble((bold, "bold"), text), soft_wrap=not console.is_terminal)


def _show_scenario(composed: Composition, console: Console) -> None:
    info = composed.scenario
    _print(console, f": {info.title}", info.name)
    told = [composed.scenarios[name] for name in info.name.split("+") if name in composed.scenarios]
    for text in (info.rationale.strip(), *dict.fromkeys(f"For: {one.for_whom}" for one in told if one.for_whom)):
        if text:
            _print(console, text)
    for name, scenario in composed.scenarios.items():
        for part_name, part in scenario.parts.items():
            switch = f"scenario.{name}.parts.{part_name}.active={str(not part.active).lower()}"
            _print(
                console, f"  part {'on' if part.active else 'off'}: {part.title or part_name} (the other way: {switch})"
            )
    for source, text in info.evidence.items():
        _print(console, f"  evidence {source}: {text.strip()}")
    for key, (before, after) in info.changes.items():
        _print(console, f"  place.{key}: {_told(before)} -> {_told(after)}")
    if not info.changes and info.name != NO_SCENARIO:
        _print(console, "  It changes nothing in this place.")


def show_services(overrides: Sequence[str], console: Console | None = None) -> None:
    """Every service and staff pool: how much, where, when it accepts people, what it costs, what changes it; moves."""
    console = console or Console()
    place = compose(*overrides).read()
    for name, service in {**place.services, **place.pools}.items():
        unit = service.unit.replace("_", " ")
        _print(console, f": {service.title}, {_told(service.capacity)} {unit}", name)
        for told in (_where(place, service), _accepts(place, service), _cost(service), *_changes(service, unit)):
            if told:
                _print(console, f"  {told}")
    for name, move in place.moves.items():
        _print(console, _move_line(place, move), name)
    for name, line in place.costs.items():
        _print(console, _cost_line(line), name)


def show_measures(overrides: Sequence[str], console: Console | None = None) -> None:
    """Every measure: what it is called in the tables, its title and unit, which way is better, its definition."""
    if overrides:
        raise refuse("show measures", " ".join(overrides), "nothing after it")
    console = console or Console()
    better = {1: "more is better", -1: "less is better", 0: "neither way is better"}
    for measure in MEASURES.values():
        _print(console, f": {measure.title} ({measure.unit}; {better[measure.better]})", measure.id)
        _print(console, f"  {measure.definition}")
        _print(console, f"  after: {measure.source}")


def _where(place: Place, service: Service) -> str:
    units: dict[str, Site | Locality] = {**place.sites, **place.localities}
    own = service.by_site or service.by_locality or {}
    total = sum(own.values())
    capacity = service.capacity
    lines = []
    for unit, weight in own.items():
        part = "unlimited" if isinstance(capacity, str) else _told(round(capacity * weight / total, 1))
        lines.append(f"{units[unit].title} {part}")
    beside = ", ".join(f"{units[unit].title} {_told(amount)}" for unit, amount in service.neighbours.items())
    return ", ".join(lines) + (f"; neighbours' own: {beside}" if beside else "")


def _accepts(place: Place, service: Service) -> str:
    hours = "always" if service.calendar == ALWAYS else calendar_words(place.calendars[service.calendar])
    quota = {} if service.quota is None else service.quota.model_dump(exclude_none=True)
    days = {"week": "a week", "weekday": "on a weekday", "saturday": "on a Saturday", "sunday": "on a Sunday"}
    limits = ", ".join(f"{_told(amount)} {days[day]}" for day, amount in quota.items())
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
        "hour_of_staff": "an opening hour of each of the staff",
        "start": "a task" if service.role == "staff" else "a start",
    }
    return f"costs: £{service.cost.amount:g} {per[service.cost.per]}, paid by: {_payers(service.cost.payers)}"


def _changes(service: Service, unit: str) -> Iterator[str]:
    """What changes how much there is of a service in the course of a run, a line each."""
    for name, block in service.blocks.items():
        per = " in all" if unit == "hours a week" and block.per == "total" else ""
        yield f"block: {block.title or name}, {block.add:+,g} {unit}{per}{_dates(block.from_date, block.end)}"
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
    return ("" if begins is None else f" from {begins}") + ("" if ends is None else f" until {ends}")


def _share(share: float) -> str:
    return f"{100 * share:.3g} %"


def _lasts(drawn: Distribution) -> str:
    """A distribution in few words; one that belongs to no person has no tables by attribute."""
    part = getattr(drawn, drawn.kind)
    if isinstance(part, Table):
        return f"{part.leaf:g} {drawn.unit}"
    given = ((name, getattr(part, name)) for name in type(part).model_fields)
    told = ", ".join(f"{name} {value.leaf if isinstance(value, Table) else value:g}" for name, value in given if value)
    return f"{drawn.kind} with {told} {drawn.unit}"


def _harm(shock: Shock, unit: str) -> str:
    """What a shock does to the queue it comes to."""
    told = []
    if shock.closes is not None:
        told.append(
            f"closes {_share(shock.closes.share) if shock.closes.share else f'{-(shock.closes.add or 0):g} {unit}'}"
        )
    if shock.closes_to_new:
        told.append("accepts nobody")
    if shock.closes_way_out:
        told.append("lets nobody leave")
    if shock.puts_out is not None:
        told.append(f"puts out {_share(shock.puts_out)} when it begins")
    return ", ".join(told)


def _move_line(place: Place, move: Move) -> str:
    taken, given = place.kinds[move.take.service], place.kinds[move.give.service]
    much = "as many" if move.give.amount is None else _told(move.give.amount)
    same = " as cost the same" if move.give.amount is None else ""
    lag = f", {move.lag_days} days after they are taken" if move.lag_days else ""
    told = f"{_told(move.take.amount)} {taken.unit.replace('_', ' ')} of {taken.title} become"
    told = f"{told} {much} {given.unit.replace('_', ' ')} of {given.title}{same}"
    return f": {move.title or 'a move'}, {told}{_dates(move.from_date, move.to_date)}{lag}"


def _payers(shares: Mapping[str, float]) -> str:
    return ", ".join(payer if share == 1 else f"{payer} ({share:.0%})" for payer, share in shares.items())


def _cost_line(line: CostLine) -> str:
    per = "in all" if line.per == "total" else f"a {line.per}"
    dates = _dates(line.from_date, line.to_date)
    return f": {line.title}, costs: £{line.amount:,.0f} {per}{dates}, paid by: {_payers(line.payers)}"


def show_config(overrides: Sequence[str], console: Console | None = None) -> None:
    """The composed configuration as YAML: every key that can be set, with its value now."""
    composed = compose(*overrides)
    composed.read()  # what cannot be read is not shown
    settings = {**composed.settings.model_dump(), **composed.run.model_dump()}
    settings["scenarios"] = list(composed.settings.scenarios)
    shown = {**{k: str(v) if hasattr(v, "isoformat") else v for k, v in settings.items()}, "place": composed.place}
    if any(scenario.parts for scenario in composed.scenarios.values()):
        parts = {n: {p: {"active": part.active} for p, part in s.parts.items()} for n, s in composed.scenarios.items()}
        shown["scenario"] = {name: {"parts": switches} for name, switches in parts.items() if switches}
    print(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=120), end="")


def show_evidence(overrides: Sequence[str], console: Console | None = None) -> None:
    """Every number with its source, grade, range and reason; with ``out=FILE.csv`` as a table in a file."""
    console = console or Console()
    composed = compose(*overrides)
    composed.read()
    table = composed.evidence()
    out = composed.settings.out
    if out is not None:
        if Path(out).suffix != ".csv":
            raise PlaceError(f"out: {out!r} was given; allowed: a name that ends in .csv.")
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(out, index=False, lineterminator="\n")
        _print(console, f"Written: {out} ({len(table)} numbers)")
        return
    for row in table.to_dict("records"):
        unit = f" {row['unit']}" if row["dial"] and row["unit"] else ""
        reach = f"{row['low']} to {row['high']}{unit}" if row["low"] and row["high"] else ""
        together = f"moves with {row['dial']}" if row["dial"] not in ("", row["key"]) else ""
        no_range = f"no range: {row['no_range']}" if row["no_range"] else ""
        known = "; ".join(text for text in (row["quantity"], reach, together, no_range, row["why"]) if text)
        grade = f", grade {row['grade']}" if row["grade"] else ""
        _print(console, f" = {_told(row['value'])}  [{row['source'] or 'no source'}{grade}] {known}", row["key"])
    unknown = int((table["source"] == "").sum())
    assumed = int(table["grade"].str.startswith("C").sum())
    _print(
        console,
        f"{len(table)} numbers; {assumed} of them are assumptions (grade C), {unknown} have no source.",
    )


def show_census_template(overrides: Sequence[str], console: Console | None = None) -> None:
    """A census of the place on its first day as CSV, with the model's own numbers; ``out=FILE.csv`` writes it there."""
    from flowsim.questions.census_template import census_template

    composed = compose(*overrides)
    text = census_template(composed.read(), composed.settings.seed)
    out = composed.settings.out
    if out is None:
        print(text, end="")
        return
    if Path(out).suffix != ".csv":
        raise PlaceError(f"out: {out!r} was given; allowed: a name that ends in .csv.")
    if Path(out).exists():
        raise PlaceError(f"out: {out!r} is there already; allowed: another name.")
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Path(out).write_text(text, encoding="utf-8-sig", newline="")
    again = shlex.join(["flowsim", "run", f"census={out}", *_for_the_run(overrides, composed.run.start_date)])
    told = f"Written: {out}. Write your own numbers over it, then: {again}"
    _print(console or Console(), told)


def _for_the_run(overrides: Sequence[str], start_date: dt.date) -> Iterator[str]:
    """What is typed beside a census so that the run is of the same place; it has a date, weeks ahead and no warm-up."""
    given = {text.split("=")[0]: text for text in overrides}
    yield from (text for key, text in given.items() if key not in ("out", "start_date", "days", "warm_up_days"))
    yield f"start_date={start_date}"
    yield given.get("days", "days=56")


def _told(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)
