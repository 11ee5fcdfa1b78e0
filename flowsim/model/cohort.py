"""Who would come, whatever the scenario: all randomness of flowsim lives here.

Every number has a named purpose. A purpose's uniform for a spell is a pure function of (seed, replication, purpose,
spell number), so it is the same in every scenario, adding a purpose moves no other, and nothing has to be stored.
Arrivals come in three layers, each a Poisson process at the reference rate (or evenly spaced, or as a schedule says);
a person of layer l carries a mark in [l, l + 1) and comes when the mark is below the scenario's demand (1 is the
reference). Demand may so rise to three times the reference without moving anybody who came before.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from flowsim.model.calendar import DAY
from flowsim.model.days import bank_holidays, dates_of
from flowsim.place import LARGEST_DEMAND, OperatingList, Place, Stream, parse_hours

LAYERS = LARGEST_DEMAND
"""One for each time the reference rate that demand can reach."""
GROUPS = 256
"""Person k of arrival group g has index ``k * GROUPS + g``: a name that no other group can move."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIXES = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_LAST_SHIFT, _TO_52_BITS = np.uint64(31), np.uint64(12)
_ONE = np.uint64(0x3FF0000000000000)
"""The bits of 1.0."""


def _key(*name: object) -> int:
    """64 bits for a named stream of random numbers."""
    return int.from_bytes(hashlib.blake2b("|".join(map(str, name)).encode(), digest_size=8).digest(), "little")


@dataclass(frozen=True)
class Arrivals:
    """One group of people who would come.

    Attributes:
        minute: (n,) int64; the days are in order, the minutes of a day are not.
        mark: (n,) float64, below the demand of those scenarios in which the person comes.
        person: (n,) int64, indices of the people.
    """

    minute: np.ndarray
    mark: np.ndarray
    person: np.ndarray


class Cohort:
    """The people of one replication and one uniform for every choice about each of them.

    Args:
        seed: the experiment's seed; replication: counts from 0. Equal pairs give equal people.
    """

    def __init__(self, seed: int, replication: int) -> None:
        self.seed = seed
        self.replication = replication
        self._name: tuple[object, ...] = (seed, replication)
        self._groups: dict[tuple[object, ...], Arrivals] = {}
        self._keys: dict[str, np.uint64] = {}  # by purpose
        self.kept: Any = None  # what the planner keeps of one scenario for the next (plan.py)

    def branch(self, name: str) -> Cohort:
        """Other people, drawn apart from these: the same for equal seed, replication and name."""
        other = Cohort(self.seed, self.replication)
        other._name = (*self._name, name)
        return other

    def uniform(self, purpose: str, number: np.ndarray) -> np.ndarray:
        """One uniform in (0, 1) for each spell number: float64, the same wherever it is asked for.

        SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) with the spell number as its counter: random access is what
        makes a uniform belong to a person rather than to a position in a sequence.
        """
        if purpose not in self._keys:
            self._keys[purpose] = np.uint64(_key(*self._name, purpose))
        x = number.astype(np.int64, copy=False).view(np.uint64) * _GOLDEN
        x += self._keys[purpose]
        shifted = np.empty_like(x)
        for bits, factor in _MIXES:
            x ^= np.right_shift(x, bits, out=shifted)
            x *= factor
        x ^= np.right_shift(x, _LAST_SHIFT, out=shifted)
        x >>= _TO_52_BITS
        x |= _ONE  # the bits of a number from 1 up to 2
        uniform = x.view(np.float64)
        uniform -= 1 - 2.0**-53  # exact, and half a step above 0
        return uniform

    def arrivals(self, place: Place, name: str, unit: str, group: int, layer: int) -> Arrivals:
        """The people of stream `name` at site or locality `unit` in one layer, at the reference rate of `place`.

        A longer run has the same people and more after them.
        """
        run = place.run
        memory = (name, unit, group, layer, run.first_date, run.all_days, run.scale, place.bank_holidays)
        stream = place.streams[name]
        if (known := self._groups.get((*memory, _shape(stream, unit)))) is not None:
            return known
        purpose = (*self._name, "arrivals", name, unit, layer)
        minute = self._minutes(place, stream, unit, layer, purpose)
        if layer == 0 and (at_start := _at_start(place, stream, unit)):
            minute = np.concatenate([np.zeros(at_start, dtype=np.int64), minute])
        # the k-th person is the k-th drawn, not the k-th to arrive, so that days to come cannot rename anybody
        person = np.arange(len(minute)) * GROUPS + group * LAYERS + layer
        mark = layer + np.random.default_rng(_key(*purpose, "mark")).random(len(minute))
        people = Arrivals(minute, mark, person)
        self._groups[(*memory, _shape(stream, unit))] = people
        return people

    def _minutes(self, place: Place, stream: Stream, unit: str, layer: int, purpose: tuple[object, ...]) -> np.ndarray:
        """When the people of one layer come: (n,) int64, the days in order."""
        if stream.schedule is not None:
            return _scheduled(place, stream.schedule, unit)
        expected = _expected_by_day(place, stream, unit)
        if stream.arrivals == "regular":
            return _evenly(stream, expected, layer)
        counts = np.random.default_rng(_key(*purpose, "count")).poisson(expected)
        day = np.repeat(np.arange(len(counts)), counts)
        within = np.random.default_rng(_key(*purpose, "time")).random(len(day))
        return day * DAY + _minute_of_day(stream, within)

    def moments(self, purpose: str, back: int, days: int, a_day: float) -> tuple[np.ndarray, np.ndarray]:
        """Moments that come at random, `a_day` of them on average, from `back` days before minute 0 to `days` after it.

        Returns their minutes, (n,) int64 sorted, and the number by which `uniform` knows each, (n,) int64. Both are the
        same however long the run is.
        """
        halves = []
        for side, n in enumerate((days, back)):
            key = _key(*self._name, "moments", purpose, side)
            day = np.repeat(np.arange(n), np.random.default_rng(key).poisson(a_day, n))
            halves.append((day if side == 0 else -1 - day, np.arange(len(day)) * 2 + side))
        day, number = (np.concatenate(part) for part in zip(*halves, strict=True))
        minute = day * DAY + (self.uniform(f"{purpose}/minute", number) * DAY).astype(np.int64)
        order = np.lexsort((number, minute))
        return minute[order], number[order]


def _shape(stream: Stream, unit: str) -> tuple[object, ...]:
    """Everything of a stream that its arrivals depend on."""
    profiles = (tuple(p) if p else None for p in (stream.hours, stream.weekdays, stream.months))
    told = (str(stream.daily), str(stream.schedule), stream.arrivals, str(stream.at_start))
    return (rate_of(stream, unit), stream.per, stream.at, *told, *profiles)


def rate_of(stream: Stream, unit: str) -> float:
    """Expected arrivals per `per` at a site or locality; a single rate of a split stream holds for each. Nought of a
    stream without a rate."""
    return stream.rate.get(unit, 0.0) if isinstance(stream.rate, dict) else stream.rate or 0.0


def people_a_day(place: Place, name: str, unit: str | None = None) -> float:
    """Expected arrivals a day of a stream, at one of its sites or localities or at all that are named; of one without a
    rate, on average over the run."""
    stream = place.streams[name]
    if stream.has_rate:
        all_rates = sum(stream.rate.values()) if isinstance(stream.rate, dict) else stream.rate or 0.0
        return (all_rates if unit is None else rate_of(stream, unit)) / (7 if stream.per == "week" else 1)
    units = {"site": list(place.sites), "locality": list(place.localities), "place": [""]}[stream.at]
    days, here = place.run.all_days, units if unit is None else [unit]
    if stream.schedule is not None:
        return sum(len(_scheduled(place, stream.schedule, one)) for one in here) / days
    return sum(float(_expected_by_day(place, stream, one).sum()) for one in here) / days


def _at_start(place: Place, stream: Stream, unit: str) -> int:
    n = stream.at_start.get(unit, 0) if isinstance(stream.at_start, dict) else stream.at_start
    return round((n or 0) * place.run.scale)


def _expected_by_day(place: Place, stream: Stream, unit: str) -> np.ndarray:
    """Expected arrivals on each day of the run, (days,) float64."""
    run = place.run
    if stream.daily is not None:
        given = np.array(stream.daily.lists.get(unit) or [0.0])  # that it reaches over the run is a rule of reading
        begins = stream.daily.from_date or run.first_date
        day = (run.first_date - begins).days + np.arange(run.all_days)
        return given[day % len(given)] * run.scale
    base = rate_of(stream, unit) / (7 if stream.per == "week" else 1) * run.scale
    dates = np.datetime64(run.first_date) + np.arange(run.all_days)
    expected = np.full(run.all_days, base)
    if stream.weekdays:
        weekday = (dates.astype("datetime64[D]").astype(int) + 3) % 7  # 1 January 1970 was a Thursday
        expected *= (np.asarray(stream.weekdays) / np.mean(stream.weekdays))[weekday]
    if stream.months:
        month = dates.astype("datetime64[M]").astype(int) % 12
        expected *= (np.asarray(stream.months) / np.mean(stream.months))[month]
    return expected


def _scheduled(place: Place, schedule: dict[str, OperatingList], unit: str) -> np.ndarray:
    """The minutes for which people are listed at a site or locality, each as often as people are: (n,) int64 sorted."""
    dates = dates_of(place)
    free = bank_holidays(place, dates)
    times = [(one, [begin for begin, _ in parse_hours(one.times)]) for one in schedule.values()]
    minutes = []
    for day, date in enumerate(dates):
        for one, listed in times:
            if one.is_on(date, date in free):
                minutes += [day * DAY + minute for minute in listed] * round(one.number(unit) * place.run.scale)
    return np.sort(np.array(minutes, dtype=np.int64))


def _evenly(stream: Stream, expected: np.ndarray, layer: int) -> np.ndarray:
    """Minutes between which equally many are expected, (n,) int64; each layer stands between the others' people."""
    so_far = np.cumsum(expected)
    phase = (0.5 + layer / LAYERS) % 1
    number = phase + np.arange(max(int(np.ceil(so_far[-1] - phase)), 0))
    day = np.searchsorted(so_far, number, side="right")
    day, number = day[day < len(expected)], number[day < len(expected)]
    within = (number - (so_far - expected)[day]) / expected[day]
    return day * DAY + _minute_of_day(stream, np.clip(within, 0, 1 - 2.0**-53))


def _minute_of_day(stream: Stream, uniform: np.ndarray) -> np.ndarray:
    """Minutes of the day with the stream's profile by hour, by inverse CDF."""
    hours = np.asarray(stream.hours or [1.0] * 24)
    edges = np.concatenate([[0.0], np.cumsum(hours) / hours.sum()])
    hour = np.zeros(len(uniform), dtype=np.int8)
    for edge in edges[1:-1]:  # three times as fast as np.interp, which searches for each
        hour += uniform >= edge
    np.minimum(hour, np.flatnonzero(hours)[-1], out=hour)  # shares may add up to a little less than one
    with np.errstate(divide="ignore"):  # an hour in which nobody comes
        minutes_each = 60.0 / np.diff(edges)
    minute = minutes_each.take(hour) * (uniform - edges.take(hour)) + hour * 60.0
    return np.minimum(minute.astype(np.int64), DAY - 1)
