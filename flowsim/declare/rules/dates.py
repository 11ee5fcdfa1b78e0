"""Dates lie in the run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from flowsim.declare.rules.facts import Facts
from flowsim.declare.rules.moves import moved_between
from flowsim.place import Place, PlaceError, Run, notice, refuse, spans_on
from flowsim.place.demand import DAY_MINUTES

DAY = dt.timedelta(days=1)


class _Dated(NamedTuple):
    """What lasts from a date until another, by its key."""

    key: str
    begins: dt.date
    ends: dt.date


def check_dates(facts: Facts) -> None:
    """Dates lie in the run: wholly outside is refused, partly outside is clipped with a notice."""
    run = facts.place.run
    _check_periods(facts.place)
    if not run.first_date <= run.switch_date < run.end_date:
        last = run.end_date - DAY
        raise refuse("policy_start", str(run.policy_start), f"a date in the run, {run.first_date} to {last}")
    _check_within(run, list(_dated(facts)))
    for name, move in facts.place.moves.items():
        begins, _ = moved_between(run, move)
        if begins + dt.timedelta(days=move.lag_days) >= run.end_date:
            notice(f"place.moves.{name}: what it gives comes {move.lag_days} days after {begins}, after the run")


def _check_periods(place: Place) -> None:
    """Each minute is in one level of a period at most."""
    run = place.run
    days = [run.first_date + dt.timedelta(days=day) for day in range(run.all_days)] if place.periods else []
    for name, period in place.periods.items():
        spans = [(date, spans_on(period, date)) for date in days]
        spans += [(date, spans_on(period, date, is_bank_holiday=True)) for date in days[:1]]
        for date, held in spans:
            in_order = sorted(held, key=lambda span: span[1:])
            for (level, _, ends), (other, begins, _) in pairwise(in_order):
                if begins < ends:
                    hours = "" if begins == 0 and ends == DAY_MINUTES else f" {begins // 60:02}:{begins % 60:02}"
                    raise PlaceError(
                        f"place.periods.{name}.{other}: {date}{hours} is in '{level}' and in '{other}'; allowed: each "
                        "day and minute in one of them ('to' is its last day)."
                    )
        if not any(held for _, held in spans):
            empty = f"place.periods.{name}: no day of the run, {run.first_date} to {days[-1]}, lies in it"
            notice(f"{empty}; what is said by {name} changes nothing")


def _dated(facts: Facts) -> Iterator[_Dated]:
    """What has a beginning and an end, with the run's own where it does not say."""
    run = facts.place.run
    if run.policy_start is not None:
        yield _Dated("policy_start", run.switch_date, run.switch_date + DAY)
    for key, _, service in facts.services():
        for event_name, event in service.displacements.items():
            yield _Dated(f"{key}.displacements.{event_name}.date", event.date, event.date + DAY)
        for block_name, block in service.blocks.items():
            yield _Dated(f"{key}.blocks.{block_name}", block.from_date, block.end)
        for rule_name, rule in service.escalation.items():
            begins, ends = rule.from_date or run.first_date, rule.end or run.end_date
            yield _Dated(f"{key}.escalation.{rule_name}", begins, ends)
        for shock_name, shock in service.shocks.items():
            begins, ends = shock.from_date or run.first_date, shock.end or run.end_date
            yield _Dated(f"{key}.shocks.{shock_name}", begins, ends)
        for trend_name, trend in service.trend.items():
            begins, ends = trend.from_date or run.start_date, trend.end or run.end_date
            yield _Dated(f"{key}.trend.{trend_name}", begins, ends)
    for stream_name, stream in facts.place.streams.items():
        for list_name, one in (stream.schedule or {}).items():
            begins, ends = one.from_date or run.first_date, one.end or run.end_date
            yield _Dated(f"place.streams.{stream_name}.schedule.{list_name}", begins, ends)
    for name, move in facts.place.moves.items():
        yield _Dated(f"place.moves.{name}", *moved_between(run, move))
    for name, line in facts.place.costs.items():
        yield _Dated(f"place.costs.{name}", line.from_date or run.first_date, line.end or run.end_date)


def _check_within(run: Run, every: Sequence[_Dated]) -> None:
    """Refuse what is wholly outside the run, with a run that would hold it; tell in one notice what is clipped."""
    last = run.end_date - DAY
    outside = [one for one in every if one.ends <= run.first_date or one.begins >= run.end_date]
    if outside:
        begins, ends = zip(*(_days_needed(run, one) for one in every if not _as_the_run(run, one)), strict=True)
        longer = f"start_date={min(begins)} days={(max(ends) - min(begins)).days} would hold them"
        other = f"{longer}; or move them, or leave their scenario out"
        within = f"dates in the run, {run.first_date} to {last} ({other})"
        raise refuse(outside[0].key, _in_words(run, outside[0]), within)
    clipped = [one for one in every if one.begins < run.first_date or one.ends > run.end_date]
    if clipped:
        named = ", ".join(f"{one.key}: {_in_words(run, one)}" for one in clipped)
        is_ = "is" if len(clipped) == 1 else "are"
        notice(f"{named} {is_} partly outside the run: only the days from {run.first_date} to {last} count")


def _in_words(run: Run, one: _Dated) -> str:
    """Its dates in words: one, of a single day and of what has no end."""
    endless = one.begins >= run.end_date == one.ends
    return f"{one.begins}" if endless or one.ends == one.begins + DAY else f"{one.begins} to {one.ends - DAY}"


def _as_the_run(run: Run, one: _Dated) -> bool:
    """Has it no dates of its own, so that it goes with the run?"""
    return one.begins in (run.first_date, run.start_date) and one.ends == run.end_date


def _days_needed(run: Run, one: _Dated) -> tuple[dt.date, dt.date]:
    """First date and first date after of a run that would hold it: as much of it as this one does, or, where it
    lies outside this one, all of it, in a run no shorter."""
    length = dt.timedelta(days=run.days)
    if one.begins >= run.end_date:
        return one.begins, max(one.ends, one.begins + length)
    if one.ends <= run.first_date:
        return min(one.begins, one.ends - length), one.ends
    first = run.start_date if one.ends > run.start_date else run.first_date
    return max(one.begins, first), min(one.ends, run.end_date)
