"""The measures of one run: delays, stays, waits, costs and the daily census, from the journeys and the stamps alone.

What counts is what happened in the window [start, end). Numbers of people and of units are means over time, clipped to
the window; people who left are counted by when they left, people who came by when they came. A ward stay is a person's
consecutive rows in services of role `ward`; it is recognised when its last row is, so that becoming unfit again stops
the clock. What nothing defines (the mean delay of nobody) is NaN.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd

from flowsim.engine.stamps import DIED, MOVED_ON, Stamps
from flowsim.measures import checks, cost
from flowsim.measures.causes import TRANSPORT, Charges, charge
from flowsim.measures.harm import expected_extra_deaths
from flowsim.measures.history import History, count_each_day
from flowsim.measures.national import National
from flowsim.measures.registry import MEASURES
from flowsim.measures.services import ALL, WHOLE, Services, Value, mean, percent, quantile, ratio
from flowsim.measures.stays import EveryStay, Stays, has_level, went_home
from flowsim.model.calendar import ALWAYS_OPEN
from flowsim.model.tables import WAY_OUT, Journeys, Network
from flowsim.place import WEEKDAYS, Place

NO_PATHWAY = "no pathway"
READMISSION_WINDOW = 30 * 1440
YEAR_DAYS = 365


@dataclass(frozen=True)
class Measured:
    """What was measured in one run.

    Attributes:
        results: columns measure, where, of, unit, value; the order depends on the place alone. `where` is the whole
            place ("all"), a site, a locality or "residents"; `of` is what is counted there, in one language a measure
            (a service, a cause, a pathway, a weekday, an age band, a payer), and empty where it is everything.
        nights: columns date, where, of and state (categories) and count; at 23:59 of every day of the run, warm-up
            included. Of a site or of all: occupied and delayed, in all (`of` is empty) and by pathway; of each queue of
            a service: in use (in the service's own unit), waiting (people) and, for emergency departments, boarding.
        warnings: sentences about what should not be trusted.
    """

    results: pd.DataFrame
    nights: pd.DataFrame
    warnings: tuple[str, ...] = ()


def measure(
    place: Place, network: Network, journeys: Journeys, stamps: Stamps, window: tuple[int, int] | None = None
) -> Measured:
    """Measure one run.

    Args:
        place, network, journeys: what was run.
        stamps: what an engine returned for them.
        window: minutes [start, end) that count; default from `run.measured_from` to the end.

    Raises:
        ValueError: the window is empty or not within the run.
    """
    start, end = (place.run.measured_from, network.horizon) if window is None else window
    if not 0 <= start < end <= network.horizon:
        raise ValueError(f"window {start} to {end}; allowed: within 0 to {network.horizon}, not empty")
    history = History(place, network, journeys, stamps)
    return _Measuring(history, start, end).all()


class _Measuring:
    """One run's measures; each method gives (measure, where, of, value) in a fixed order."""

    def __init__(self, history: History, start: int, end: int) -> None:
        self.history, self.start, self.end = history, start, end
        self.window_days = (end - start) / 1440
        self.year = YEAR_DAYS / self.window_days
        self.sites = list(history.place.sites)
        self.pathways = [*history.journeys.levels.get("pathway", ())]
        self.stays = EveryStay(history)
        self.in_ward, self.in_ed = history.rows_with("ward"), history.rows_with("ed")
        self.ward = self.stays.of(self.in_ward)
        self.delayed = np.flatnonzero(self.in_ward & (history.stamps.recognised >= 0) & (history.stamps.started >= 0))
        self.is_emergency = self._emergencies()
        self.days = slice(start // 1440, end // 1440)

    def all(self) -> Measured:
        charges = charge(self.history, self.delayed, self.start, self.end)
        services = Services(self.history, self.stays, self.start, self.end)
        values = [
            *self._delay(charges),
            *self._discharges(),
            *self._stays(),
            *self._beds(),
            *self._emergency_department(),
            *self._outcomes(),
            *self._after_reablement(),
            *self._national(),
            *self._costs(),
            *services.values(),
        ]
        overloaded = services.overloaded()
        values += self._checks(charges, len(overloaded))
        rank = {name: i for i, name in enumerate(MEASURES)}
        values.sort(key=lambda value: rank[value[0]])
        names, where, of, numbers = zip(*values, strict=True)
        units = [self._unit(measure, service) for measure, service in zip(names, of, strict=True)]
        results = pd.DataFrame(
            {"measure": names, "where": where, "of": of, "unit": units, "value": np.array(numbers, dtype=np.float64)}
        )
        return Measured(results, self._nights(), tuple(self._warnings(values, overloaded)))

    def _unit(self, name: str, of: str) -> str:
        """A measure's unit; a capacity has its service's."""
        if name != "service_capacity":
            return MEASURES[name].unit
        return self.history.service_of(of).unit.replace("_", " ")

    def _warnings(self, values: list[Value], overloaded: list[tuple[str, float]]) -> Iterator[str]:
        for name, load in overloaded:
            yield f"{name} is offered {load:.2f} times what it can take (effective stay): queues grow or people give up"
        for name, _, _, value in values:
            if name.startswith("check_") and name != "check_overloaded" and abs(value) > 1e-6:
                what = MEASURES[name].title.removeprefix("Check: ")
                yield f"a trust check failed: {what} ({value:g} {MEASURES[name].unit})"

    # who is who ------------------------------------------------------------------------------------------------------

    def _emergencies(self) -> np.ndarray:
        """(N,) bool: the spells of the stream `emergency`; all where there is no such stream."""
        if "emergency" in self.history.journeys.levels.get("stream", ()):
            return has_level(self.history, "stream", "emergency")
        return np.ones(len(self.history.journeys.spells.number), dtype=bool)

    @cached_property
    def _site(self) -> np.ndarray:
        """(R,) int8, the site of every row in hospital, an index into `sites`, one more for none.

        It is its queue's, or else the person's.
        """
        history, none = self.history, len(self.sites)
        number = {name: i for i, name in enumerate(self.sites)}
        by_queue = np.array([number.get(unit, none) for unit in history.unit_name], dtype=np.int8)
        found = by_queue.take(history.service)
        persons = history.queues_with("ward", "ed", "same_day") & (by_queue == none)
        if "site" in history.journeys.attributes and persons.any():
            words = (*history.journeys.levels["site"], "")  # the last is code -1
            by_level = np.array([number.get(word, none) for word in words], dtype=np.int8)
            rest = np.flatnonzero(persons.take(history.service))
            found[rest] = by_level[history.journeys.attributes["site"][history.spell[rest]]]
        return found

    def _pathway_of(self, spell: np.ndarray) -> np.ndarray:
        """Index into `pathways`, one more for those who have none."""
        if not self.pathways:
            return np.zeros(len(spell), dtype=np.int64)
        codes = self.history.journeys.attributes["pathway"][spell].astype(np.int64)
        return np.where(codes >= 0, codes, len(self.pathways))

    def _everywhere(self, row: np.ndarray) -> list[tuple[str, np.ndarray]]:
        """("all", everybody), then each site with its mask."""
        site = self._site.take(row)
        return [(ALL, np.ones(len(row), dtype=bool)), *((name, site == i) for i, name in enumerate(self.sites))]

    def _inside(self, minute: np.ndarray) -> np.ndarray:
        return (minute >= self.start) & (minute < self.end)

    @cached_property
    def live(self) -> Stays:
        """Live discharges from wards in the window."""
        return self.ward[self.ward.alive & self._inside(self.ward.left)]

    @cached_property
    def home(self) -> np.ndarray:
        """(n,) bool: which of these people went back to where they lived."""
        return went_home(self.live)

    # delay -----------------------------------------------------------------------------------------------------------

    def _delay(self, charges: Charges) -> Iterator[Value]:
        scale = self.year / 1440
        n, n_pathways = len(charges.names), len(self.pathways) + 1
        site, pathway = self._site.take(charges.row), self._pathway_of(self.history.spell.take(charges.row))
        by_cause = self._by_site(site.take(charges.case), charges.cause, n, charges.minutes)
        by_pathway = self._by_site(site, pathway, n_pathways, charges.total)
        shown = np.flatnonzero(self._can_hold_up(charges.names) | (by_cause[0] > 0))
        for i, where in enumerate([ALL, *self.sites]):
            yield "delayed_bed_days", where, WHOLE, float(by_cause[i].sum()) * scale
            for cause in shown:
                yield "delayed_bed_days_by_cause", where, charges.names[cause], float(by_cause[i, cause]) * scale
            for name, minutes in zip([*self.pathways, NO_PATHWAY], by_pathway[i], strict=True):
                yield "delayed_bed_days_by_pathway", where, name, float(minutes) * scale

    def _by_site(self, site: np.ndarray, group: np.ndarray, n: int, minutes: np.ndarray) -> np.ndarray:
        """(1 + sites, n) minutes of everybody and of each site, by group."""
        n_sites = len(self.sites) + 1  # one more for none
        code = site.astype(np.int64) * n + group
        by_site = np.bincount(code, weights=minutes, minlength=n_sites * n).reshape(n_sites, n)
        return np.vstack([by_site.sum(axis=0), by_site[:-1]])

    def _can_hold_up(self, causes: tuple[str, ...]) -> np.ndarray:
        """(C,) bool: which causes can delay people in wards; the others are shown only where they did."""
        place = self.history.place
        stages = {**(place.before.stages if place.before else {}), **place.stages}
        tasks, pools = set(), set()
        for stage in stages.values():
            if stage.service in place.services and place.services[stage.service].role == "ward":
                for name, task in (*stage.before.items(), *stage.after.items()):
                    if not task.transport:
                        tasks.add(name)
                        pools.add(task.pool)
        services = {k for k, s in place.services.items() if s.role not in ("ed", "same_day", "ward", "outside")}
        has_calendar = self.history.kind[self.history.network.calendar != ALWAYS_OPEN]
        shut = {self.history.kind_names[k] for k in has_calendar} & (services | pools)
        shocks = [shock for p in (place, place.before) if p for s in p.services.values() if s.role == "ward"
                  for shock in s.shocks.values()]  # fmt: skip
        shut |= {WAY_OUT} if any(shock.closes_way_out for shock in shocks) else set()
        able = {
            *(f"task: {t}" for t in tasks),
            *(f"calendar: {n}" for n in tasks | shut),
            *(f"capacity: {s}" for s in services),
            *(f"staff: {p}" for p in pools),
            TRANSPORT,
        }
        return np.array([name in able for name in causes])

    def _discharges(self) -> Iterator[Value]:
        live = self.live
        recognised = self.history.stamps.recognised[live.last]
        ready = self.history.stamps.ready[live.last]
        day = live.left // 1440
        weekday = (day + self.history.network.first_weekday) % 7
        late = np.where(recognised >= 0, day - recognised // 1440, 0)
        overnight, by_17 = live.nights >= 1, live.left % 1440 <= 17 * 60
        occupied = self.occupied[:, self.days]
        for i, (where, here) in enumerate(self._everywhere(live.last)):
            counted = np.flatnonzero(here & overnight)
            delays = late.take(counted)
            yield "delayed_share", where, WHOLE, 100 * mean(delays >= 1)
            yield "delay_days_mean", where, WHOLE, mean(delays[delays >= 1])
            nights = occupied.sum() if where == ALL else occupied[i - 1].sum()
            yield "bed_days_lost_share", where, WHOLE, 100 * ratio(float(delays.sum()), float(nights))
            waits = (recognised - ready).take(counted)[recognised.take(counted) >= 0]
            yield "hidden_wait_days_mean", where, WHOLE, mean(waits) / 1440
            yield "discharged_by_17_share", where, WHOLE, percent(by_17, here)
            yield "live_discharges_a_day", where, WHOLE, np.count_nonzero(here) / self.window_days
            yield from self._by_weekday(where, weekday[here])
        yield from self._pathway_shares(live)

    def _by_weekday(self, where: str, weekday: np.ndarray) -> Iterator[Value]:
        first = self.history.network.first_weekday
        days = np.bincount((np.arange(self.days.start, self.days.stop) + first) % 7, minlength=7)
        there = days > 0
        per_day = np.divide(np.bincount(weekday, minlength=7), days, out=np.full(7, np.nan), where=there)
        index = per_day / per_day[there].mean() if per_day[there].sum() > 0 else np.full(7, np.nan)
        for name, value in zip(WEEKDAYS, index, strict=True):
            yield "discharges_by_weekday", where, name, float(value)

    def _pathway_shares(self, live: Stays) -> Iterator[Value]:
        pathway = self._pathway_of(live.spell)
        n = len(self.pathways)
        for where, here in self._everywhere(live.last):
            counts = np.bincount(pathway[here], minlength=n + 1)[:n]
            for name, count in zip(self.pathways, counts, strict=True):
                yield "pathway_share", where, name, 100 * ratio(count, counts.sum())

    # stays and beds --------------------------------------------------------------------------------------------------

    def _stays(self) -> Iterator[Value]:
        over = self.ward[self._inside(self.ward.left)]
        emergency = self.is_emergency.take(over.spell)
        counted = np.flatnonzero(emergency & (over.nights >= 1))
        nights = over.nights.take(counted)
        groups = [(where, WHOLE, here) for where, here in self._everywhere(over.last)]
        for level in self.history.journeys.levels.get("age", ()):
            groups.append((ALL, f"age {level}", has_level(self.history, "age", level)[over.spell]))
        died = self.history.stamps.ended[over.last] == DIED
        for where, of, here in groups:
            stay = nights[here.take(counted)]
            yield "los_days_mean", where, of, mean(stay)
            yield "los_days_median", where, of, quantile(stay, 0.5)
            yield "in_hospital_death_share", where, of, percent(died, emergency & here)
        came = self.ward[self._inside(self.ward.started)]
        came = came[~self.history.initial[came.first]]
        for where, here in self._everywhere(came.first):
            yield "admissions_a_day", where, WHOLE, np.count_nonzero(here) / self.window_days

    @cached_property
    def occupied(self) -> np.ndarray:
        """(sites and one more for none, days) people in wards at 23:59."""
        history, n = self.history, len(self.sites) + 1
        row = np.flatnonzero(self.in_ward & (history.stamps.started >= 0))
        started, left = history.stamps.started.take(row), history.left.take(row)
        return count_each_day(self._site.take(row), n, started, left, history.days)

    @cached_property
    def late(self) -> np.ndarray:
        """(sites and one more for none, pathways and one more for none, days) people delayed in wards at 23:59."""
        history, row = self.history, self.delayed
        n, n_pathways = len(self.sites) + 1, len(self.pathways) + 1
        group = self._site.take(row).astype(np.int64) * n_pathways + self._pathway_of(history.spell.take(row))
        recognised = history.stamps.recognised.take(row)
        end = np.maximum(history.left.take(row), recognised)
        return count_each_day(group, n * n_pathways, recognised, end, history.days).reshape(n, n_pathways, -1)

    def _beds(self) -> Iterator[Value]:
        history, days = self.history, self.history.days
        n = len(self.sites) + 1
        occupied, delayed = self.occupied[:, self.days], self.late.sum(axis=1)[:, self.days]
        site = self._site[self.ward.last]
        from_day_21 = (self.ward.started // 1440 + 21) * 1440
        long = count_each_day(site, n, from_day_21, np.maximum(self.ward.left, from_day_21), days)[:, self.days]
        queues = np.flatnonzero(history.queues_with("ward"))
        midnight = np.arange(self.days.start, self.days.stop) * 1440 + 1439
        beds = {q: history.capacity.at(np.full(len(midnight), q), midnight).sum() for q in queues}
        for i, where in enumerate([ALL, *self.sites]):
            pick = slice(None) if where == ALL else slice(i - 1, i)
            here = [q for q in queues if where == ALL or history.unit_name[q] == where]
            full, late = float(occupied[pick].sum()), float(delayed[pick].sum())
            open_beds = float(sum(beds[q] for q in here)) if history.is_limited[here].all() else float("nan")
            yield "delayed_patients", where, WHOLE, late / max(len(midnight), 1)
            yield "nctr_share", where, WHOLE, 100 * ratio(late, full)
            yield "los_21_plus_share", where, WHOLE, 100 * ratio(float(long[pick].sum()), full)
            yield "acute_occupancy", where, WHOLE, 100 * ratio(full, open_beds)

    # emergency department --------------------------------------------------------------------------------------------

    def _emergency_department(self) -> Iterator[Value]:
        history, s = self.history, self.history.stamps
        came = self.in_ed & self._inside(s.joined) & ~history.initial & (history.previous < 0)
        for where, here in self._everywhere(np.flatnonzero(came)):
            yield "ed_attendances_a_day", where, WHOLE, np.count_nonzero(here) / self.window_days
        out = self.stays.of(self.in_ed & self._inside(history.left))
        whole = out.left - s.joined.take(out.first)
        to_bed = self._admitted(out)
        boarding = out.left.take(to_bed) - s.ready.take(out.last.take(to_bed))
        held: list[tuple[str, np.ndarray]] = []
        for where, here in self._everywhere(out.last):
            yield "ed_four_hour_share", where, WHOLE, percent(whole <= 240, here)
            yield "ed_12_hour_share", where, WHOLE, percent(whole > 720, here)
            these = np.flatnonzero(here.take(to_bed))
            waits = boarding.take(these)
            held.append((where, whole.take(to_bed.take(these))))
            yield "boarding_hours_mean", where, WHOLE, mean(waits) / 60
            yield "trolley_12_hour_count", where, WHOLE, float((waits > 720).sum()) * self.year
            yield "ed_admissions_a_day", where, WHOLE, len(waits) / self.window_days
        yield from expected_extra_deaths(held, self.year)

    def _admitted(self, stays: Stays) -> np.ndarray:
        """Which of these stays ended in going to a ward: their places among them."""
        some = np.flatnonzero(stays.after >= 0)
        moved = self.history.stamps.ended.take(stays.last.take(some)) == MOVED_ON
        return some[moved & self.in_ward.take(stays.after.take(some))]

    # outcomes --------------------------------------------------------------------------------------------------------

    def _outcomes(self) -> Iterator[Value]:
        live, home = self.live, self.home
        back = self.history.returned[live.spell]
        again = (back >= live.left) & (back - live.left <= READMISSION_WINDOW)
        followed = live.left < self.end - READMISSION_WINDOW
        pathway = self._pathway_of(live.spell)
        for where, here in self._everywhere(live.last):
            yield "usual_residence_share", where, WHOLE, percent(home, here)
            yield "readmission_30_day_share", where, WHOLE, percent(again, here & followed)
        for i, name in enumerate(self.pathways):
            yield "readmission_30_day_share", ALL, name, percent(again, followed & (pathway == i))
        if len(self.pathways) > 1:
            supported = followed & (pathway > 0) & (pathway < len(self.pathways))
            yield "readmission_30_day_share", ALL, "after intermediate care", percent(again, supported)
        s = self.history.stamps
        dead = np.flatnonzero((s.ended == DIED) & self._inside(s.left))
        dead = dead[self.history.queues_with("ward", "ed", "same_day")[self.history.service[dead]]]
        for where, here in self._everywhere(dead):
            yield "deaths_in_hospital", where, WHOLE, np.count_nonzero(here) * self.year

    def _after_reablement(self) -> Iterator[Value]:
        """Of those who left a community service with slots, who needed no long-term care."""
        history = self.history
        over = self.stays.of(history.rows_with("community") & self._inside(history.left))
        over = over[over.alive]
        kind = history.kind[over.service]
        long_term = history.queues_with("home_care", "care_home")
        needs = (over.after >= 0) & long_term[history.service[over.after]]
        for k, name in enumerate(history.kind_names):
            service = history.service_of(name)
            if service.role == "community" and service.unit == "slots":
                yield "no_long_term_care_share", ALL, name, percent(~needs, kind == k)

    def _national(self) -> Iterator[Value]:
        found = National(
            self.history, self.stays, self.ward, self.delayed, self.home, self.is_emergency, self._everywhere,
            self.start, self.end,
        )  # fmt: skip
        return found.values()

    # costs and checks ------------------------------------------------------------------------------------------------

    def _costs(self) -> Iterator[Value]:
        spent = cost.costs(self.history, self.start, self.end)
        for payer, pounds in cost.by_payer(spent).items():
            yield "cost_total", ALL, WHOLE if payer == ALL else payer, pounds * self.year
        for name, pounds in cost.by_name(spent).items():
            yield "cost_by_service", ALL, name, pounds * self.year

    def _checks(self, charges: Charges, overloaded: int) -> Iterator[Value]:
        history = self.history
        left_over = checks.unexplained_delay(history, charges, self.delayed, self.start, self.end)
        yield "check_causes", ALL, WHOLE, float(left_over)
        yield "check_conservation", ALL, WHOLE, float(checks.lost_people(history))
        yield "check_littles_law", ALL, WHOLE, checks.littles_law_gap(history, self.start, self.end)
        yield "check_log", ALL, WHOLE, float(checks.log_gap(history))
        yield "check_capacity", ALL, WHOLE, float(checks.above_capacity(history))
        yield "check_overloaded", ALL, WHOLE, float(overloaded)

    # the nights ------------------------------------------------------------------------------------------------------

    def _nights(self) -> pd.DataFrame:
        history, days = self.history, self.history.days
        series: list[tuple[str, str, str, np.ndarray]] = []
        for i, where in enumerate([ALL, *self.sites]):
            pick = slice(None) if where == ALL else slice(i - 1, i)
            late = self.late[pick].sum(axis=0)
            series.append((where, WHOLE, "occupied", self.occupied[pick].sum(axis=0)))
            series.append((where, WHOLE, "delayed", late.sum(axis=0)))
            series += [(where, name, "delayed", late[p]) for p, name in enumerate([*self.pathways, NO_PATHWAY])]
        in_use, queueing = history.use.each_day(), history.queue_length.each_day()
        boarding = self._boarding()
        is_ed = history.queues_with("ed")
        for q, kind in enumerate(history.kind):
            where, service = history.unit_name[q] or ALL, history.kind_names[kind]
            units_each = history.service_of(service).units_each
            series.append((where, service, "in use", in_use[q] / units_each))
            series.append((where, service, "waiting", queueing[q]))
            if is_ed[q]:
                series.append((where, service, "boarding", boarding[q]))
        first = np.datetime64(history.place.run.first_date, "s")
        dates = first + np.arange(days) * np.timedelta64(1, "D").astype("timedelta64[s]")
        where, of, state, counts = zip(*series, strict=True)
        return pd.DataFrame(
            {"date": np.tile(dates, len(series)), "where": _each_day(where, days), "of": _each_day(of, days),
             "state": _each_day(state, days), "count": np.concatenate(counts)}
        )  # fmt: skip

    def _boarding(self) -> np.ndarray:
        """People in each emergency department whose admission was decided: (S, days)."""
        history, s = self.history, self.history.stamps
        wanted = np.flatnonzero(self.in_ward & (s.joined >= 0))
        asking = history.previous.take(wanted)
        from_ed = (asking >= 0) & self.in_ed.take(asking) & (history.journeys.rows.next.take(asking) == wanted)
        boards = asking.take(np.flatnonzero(from_ed))
        after = history.following.take(boards)
        leaves = (after < 0) | ~self.in_ed.take(after)
        boards = boards[leaves & (s.ready.take(boards) >= 0)]
        ready = s.ready.take(boards)
        end = np.maximum(history.left.take(boards), ready)
        return count_each_day(history.service.take(boards), history.n_queues, ready, end, history.days)


@lru_cache(maxsize=8)
def _each_day(words: tuple[str, ...], days: int) -> pd.Categorical[str]:
    """Each word once a day, all days of one behind the other: (words x days,). Kept: a place's are always the same."""
    return pd.Categorical(words).repeat(days)
