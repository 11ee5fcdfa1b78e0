"""Dates without a year, such as `12-02`: which year a run makes of them.

Something that lasts (`from` and `to`, or `weeks`) is the first one that is not over on the first day that counts,
`to` being the first such day from `from` on, and the last of it (what lasts longer than a year has to say which year);
a `date`, or a `from` without an end, is the first on or after that day, and so is a `to` alone. The levels of a period
are not meant: without a year they hold each year.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator

from flowsim.place.refusals import refuse

if TYPE_CHECKING:
    from flowsim.place.configuration import Place, Run

LONGEST_WEEKS = 520
"""What is so many weeks long is not longer."""
BEGINNINGS = ("from", "weeks_from", "date")
"""Keys of a first day."""
OF_A_SERVICE = ("blocks", "escalation", "displacements", "shocks", "trend")
"""Keys of a service or pool under which things have dates."""
_MONTH_DAY = re.compile(r"^(\d\d?)-(\d\d?)$")
YEARS = range(1900, 2101)
"""In which dates lie; a place may say less by its bank holidays (`declare/rules/names.py`)."""
_SPREADSHEETS_FIRST = dt.date(1899, 12, 30)
"""The day that a spreadsheet counts as 0."""
_LONGEST_YEAR = 366
_DAY = dt.timedelta(days=1)
_YEAR = dt.timedelta(days=364)

Path = tuple[str, ...]
MonthDay = tuple[int, int]


def as_date(given: Any, allowed: str = "a date such as 2024-04-01") -> dt.date:
    """A date as people write it: 2026-11-30, or 30/11/2026 where the first number is no month.

    Raises ValueError, with what is allowed, for all else: a number (of a spreadsheet, which counts days), and what
    could be read two ways.
    """
    if isinstance(given, dt.datetime) or not isinstance(given, dt.date | str | int | float) or isinstance(given, bool):
        raise ValueError(f"allowed: {allowed}")
    if isinstance(given, dt.date):
        return _within(given)
    text = str(given).strip()
    if re.fullmatch(r"\d{5}(\.\d+)?", text):
        day = _SPREADSHEETS_FIRST + dt.timedelta(days=int(float(text)))
        raise ValueError(f"allowed: {allowed}; a spreadsheet counts days and means {day} by {text}")
    if match := re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)", text):
        return _within(_day(match.groups(), allowed))
    if match := re.fullmatch(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})", text):
        first, second, year = map(int, match.groups())
        if first > 12 or first == second:
            return _within(_day((year, second, first), allowed))
        american = _day((year, first, second), allowed)
        if second > 12:
            raise ValueError(f"allowed: {american}")
        british = _day((year, second, first), allowed)
        raise ValueError(f"allowed: {british} or {american}, for it could be read two ways")
    if match := re.fullmatch(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})", text):
        raise ValueError(f"allowed: {allowed}, here {_day(match.groups(), allowed)}")
    raise ValueError(f"allowed: {allowed}")


def _day(parts: Iterable[int | str], allowed: str) -> dt.date:
    year, month, day = map(int, parts)
    try:
        return dt.date(year, month, day)
    except ValueError:
        raise ValueError(f"allowed: {allowed}, a day that there is") from None


def _within(date: dt.date) -> dt.date:
    if date.year not in YEARS:
        raise ValueError(f"allowed: a date from {YEARS[0]} to {YEARS[-1]}")
    return date


Date = Annotated[dt.date, BeforeValidator(as_date)]
"""A date in a place or a run."""


def weeks_later(date: dt.date, weeks: float) -> dt.date:
    """The date so many weeks later, to the nearest day."""
    return date + dt.timedelta(days=round(weeks * 7))


def with_years(raw: dict[str, Any], run: Run) -> tuple[dict[str, Any], list[str]]:
    """A place's mapping with full dates, as a run has them.

    What is back only after the run, where something that it overlapped the year before is still under way, is the one
    that is over: in the last weeks of a winter some of its measures are over, and nobody means the next winter. It is
    left out where not even the warm-up has a day of it.

    Returns:
        The mapping, a new one where anything changed, and what the user is to be told, a clause each.

    Raises PlaceError for a day that not every year has, such as 13-45 or 02-29.
    """
    yearly = []
    for path, said in _declared(raw):
        one = _yearly(path, said, run.start_date)
        if one is not None:
            yearly.append(one)
        # days are counted from the first that the warm-up has; all else that has no end begins in what counts
        start = run.start_date if path[0] != "streams" or path[-1] != "daily" else run.first_date - _YEAR
        dates = _single(path, said, start) if one is None else one.dates
        if dates:
            raw = _changed(raw, path, dates)
    under_way = [one.span for one in yearly if one.span.begins < run.start_date]
    later = [one.a_year(-1) for one in yearly if one.span.begins >= run.end_date]
    over = [one for one in later if any(other.begins < one.span.ends for other in under_way)]
    for one in over:
        is_in_run = one.span.ends > run.first_date or one.path[0] == "periods"  # which tables need even so
        raw = _changed(raw, one.path, one.dates if is_in_run else None)
    again = [one for one in yearly if one.a_year(1).span.begins < run.end_date]
    return raw, [*_told_over(over, run.start_date), *_told_again(again)]


# ---------------------------------------------------------------------------------------------------------------------
# The rule


@dataclass(frozen=True)
class _Span:
    """The days from one up to, and without, another."""

    begins: dt.date
    ends: dt.date

    def __str__(self) -> str:
        last = self.ends - _DAY
        return f"{self.begins}" if last == self.begins else f"{self.begins} to {last}"


@dataclass(frozen=True)
class _Yearly:
    """What begins on a day of each year, and lasts until another or for so many weeks; and which of them is meant.

    Attributes:
        path: where the place declares it.
        first: the key of its first day.
        begins: that day.
        ends: its last day, or weeks.
        year: in which the one begins that is meant.
    """

    path: Path
    first: str
    begins: MonthDay
    ends: MonthDay | float
    year: int

    def a_year(self, later: int) -> _Yearly:
        """The one so many years later."""
        return replace(self, year=self.year + later)

    @property
    def span(self) -> _Span:
        """Its days."""
        begins = dt.date(self.year, *self.begins)
        ends = weeks_later(begins, self.ends) if isinstance(self.ends, float) else _next(self.ends, begins) + _DAY
        return _Span(begins, ends)

    @property
    def dates(self) -> dict[str, str]:
        """Its dates by key."""
        bounds = {self.first: str(self.span.begins)}
        return bounds if isinstance(self.ends, float) else {**bounds, "to": str(self.span.ends - _DAY)}

    def __str__(self) -> str:
        return f"{'.'.join(('place', *self.path))}: {self.span}"


def _yearly(path: Path, said: Mapping[str, Any], start: dt.date) -> _Yearly | None:
    """What lasts: the first one that is not over on a date. None where it has a year, or no beginning or end."""
    first = _first_key(said)
    begins, ends = _month_day(path, said, first), _month_day(path, said, "to")
    length = ends or (_length(said) if said.get("to") is None else None)
    if begins is None or length is None:
        return None
    one = _Yearly(path, first, begins, length, start.year - 1)
    if isinstance(length, float) and length * 7 > _LONGEST_YEAR:
        said_by = f"{said[first]} for {length:g} weeks"
        allowed = f"{first} with its year, such as {one.a_year(1).span.begins}, for it could be any of several"
        raise refuse(".".join(("place", *path, first)), said_by, allowed)
    while one.span.ends <= start:
        one = one.a_year(1)
    return one


def _single(path: Path, said: Mapping[str, Any], start: dt.date) -> dict[str, str]:
    """Full dates by key where the other day has a year, or there is no other."""
    first = _first_key(said)
    begins, ends = _month_day(path, said, first), _month_day(path, said, "to")
    if begins is not None:
        last = _full(said.get("to"))
        return {first: str(_next(begins, start) if last is None else _last_before(begins, last + _DAY))}
    if ends is not None:
        return {"to": str(_next(ends, _full(said.get(first)) or start))}
    return {}


def _next(day: MonthDay, date: dt.date) -> dt.date:
    """The first such day on or after a date."""
    this_year = dt.date(date.year, *day)
    return this_year if this_year >= date else dt.date(date.year + 1, *day)


def _last_before(day: MonthDay, date: dt.date) -> dt.date:
    """The last such day before a date."""
    this_year = dt.date(date.year, *day)
    return this_year if this_year < date else dt.date(date.year - 1, *day)


# ---------------------------------------------------------------------------------------------------------------------
# What a mapping says: anything may stand in it, and what cannot be is refused when it is read as a place


def _declared(raw: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Path and mapping of everything that may have dates."""
    for kind in ("pools", "services"):
        for name, service in _mappings(raw, kind):
            for section in OF_A_SERVICE:
                yield from (((kind, name, section, one), said) for one, said in _mappings(service, section))
    for section in ("moves", "costs"):
        yield from (((section, one), said) for one, said in _mappings(raw, section))
    yield from ((("periods", one), said) for one, said in _mappings(raw, "periods") if "weeks_from" in said)
    for name, stream in _mappings(raw, "streams"):
        yield from ((("streams", name, "schedule", one), said) for one, said in _mappings(stream, "schedule"))
        if isinstance(stream.get("daily"), Mapping):
            yield ("streams", name, "daily"), stream["daily"]


def _mappings(raw: Mapping[str, Any], key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    inner = raw.get(key)
    for name, said in inner.items() if isinstance(inner, Mapping) else ():
        if isinstance(said, Mapping):
            yield name, said


def _first_key(said: Mapping[str, Any]) -> str:
    return next((key for key in BEGINNINGS if said.get(key) is not None), BEGINNINGS[0])


def _length(said: Mapping[str, Any]) -> float | None:
    """How many weeks something lasts; a `date` is a day."""
    weeks = 1 / 7 if "date" in said else said.get("weeks")
    if isinstance(weeks, bool) or not isinstance(weeks, int | float) or not 0 < weeks <= LONGEST_WEEKS:
        return None
    return float(weeks)


def _month_day(path: Path, said: Mapping[str, Any], key: str) -> MonthDay | None:
    match = _MONTH_DAY.match(given) if isinstance(given := said.get(key), str) else None
    if match is None:
        return None
    month, day = int(match[1]), int(match[2])
    try:
        dt.date(2023, month, day)  # a year without 29 February
    except ValueError:
        allowed = "a month and a day that every year has, such as 12-02 for 2 December, or a full date: 2024-12-02"
        raise refuse(".".join(("place", *path, key)), given, allowed) from None
    return month, day


def _full(given: Any) -> dt.date | None:
    try:
        return None if given is None else as_date(given)
    except ValueError:
        return None


def _changed(raw: Mapping[str, Any], path: Path, changes: Mapping[str, Any] | None) -> dict[str, Any]:
    """A mapping in which one that lies within it is changed, or left out."""
    name, *rest = path
    if rest:
        return {**raw, name: _changed(raw[name], tuple(rest), changes)}
    if changes is None:
        return {key: value for key, value in raw.items() if key != name}
    return {**raw, name: {**raw[name], **changes}}


# ---------------------------------------------------------------------------------------------------------------------
# What is told


def _told_over(over: Sequence[_Yearly], start: dt.date) -> Iterator[str]:
    if over:
        is_ = "is" if len(over) == 1 else "are"
        yield f"{', '.join(map(str, over))} {is_} over on {start}, the first day that counts"


def _told_again(again: Sequence[_Yearly]) -> Iterator[str]:
    if again:
        comes = "comes" if len(again) == 1 else "come"
        yield f"{', '.join(map(str, again))} {comes} only once, though the run reaches the same days a year later"


def dates_of_changes(places: Iterable[Place]) -> list[tuple[dt.date, dt.date]]:
    """First date and first date after of each dated block and move that tells these places apart (or that all have)."""
    first, *others = list(places)
    reference = _dated(first if others or first.before is None else first.before)
    every = set.union(*(_dated(place) for place in (first, *others)))
    return sorted({(begin, end) for *_, begin, end in (every - reference or every)})


def dates_of_its_own(place: Place, first: Place) -> list[tuple[dt.date, dt.date]]:
    """First date and first date after of each dated block and move that a place has and the first has not."""
    return sorted({(begin, end) for *_, begin, end in _dated(place) - _dated(first)})


def _dated(place: Place) -> set[tuple[str, str, dt.date, dt.date]]:
    """Blocks and moves with their dates; a move that is never undone lasts to the end of the run."""
    run = place.run
    blocks = {(s, b, k.from_date, k.end) for s, service in place.kinds.items() for b, k in service.blocks.items()}
    moves = {
        (m, "move", move.from_date or run.switch_date, move.end or run.end_date) for m, move in place.moves.items()
    }
    return blocks | moves
