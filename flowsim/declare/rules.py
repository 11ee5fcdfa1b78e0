"""The rules across a place's keys: every name exists, every way ends, nothing waits in a circle."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise, product
from typing import NamedTuple

from flowsim.place import (
    ALWAYS,
    LARGEST_DEMAND,
    LEAVE,
    LONGEST_SHOCK_DAYS,
    NOT_APPLICABLE,
    OTHER,
    SITE_MARK,
    UNIT_MINUTES,
    Choice,
    Conditions,
    Distribution,
    Given,
    Move,
    Place,
    PlaceError,
    Run,
    Service,
    Stage,
    Stream,
    Table,
    Taken,
    Task,
    levels_on,
    notice,
    period_levels,
    refuse,
)
from flowsim.place.ways import GIVEN, attribute_levels, leaves_of, settings_of, streams_at, ways_on

DAY = dt.timedelta(days=1)
KEPT = ("sites", "localities", "calendars", "pools", "services", "choices", "stages")
"""Parts of a place from which a scenario takes nothing away: who came before it starts still needs them."""
PROFILES = ("at", "per", "daily", "at_start", "hours", "weekdays", "months")
"""Keys of a stream that belong to the place: the same people come whatever the scenario."""


def check_names(place: Place) -> None:
    """Raises PlaceError for the first rule that is broken; warns with FlowsimNotice of dates that are clipped."""
    rules = _Rules(place)
    rules.names()
    rules.services()
    rules.metrics()
    rules.people()
    rules.stages()
    rules.moves()
    rules.ways()
    rules.dates()


def check_scenario(place: Place) -> None:
    """Raises PlaceError where a scenario changes what has to be as in the place before it (`place.before`)."""
    before = place.before
    if before is None:
        return
    for part in KEPT:
        for name in getattr(before, part):
            if name not in getattr(place, part):
                raise PlaceError(
                    f"place.{part}.{name}: a scenario took this away; allowed: to keep it, for those who came before "
                    "the scenario starts."
                )
    for part in ("pools", "services"):
        for name, service in getattr(before, part).items():
            if getattr(place, part)[name].split_by != service.split_by:
                given = f"by {getattr(place, part)[name].split_by or 'nothing'}"
                raise refuse(
                    f"place.{part}.{name}", given, f"by {service.split_by or 'nothing'}, as before the scenario"
                )
    for service, way in services_emptied(place).items():
        for name, stage in before.stages.items():
            if stage.service == service and stage.displaced_to is None:
                raise PlaceError(
                    f"place.stages.{name}.displaced_to: the place says nothing, and {way} puts people out of "
                    f"'{service}' who came before the scenario; allowed: a later stage or '{LEAVE}' in the place's own "
                    f"file, or '+place.stages.{name}.displaced_to={LEAVE}' as a setting."
                )
    for name, stream in before.streams.items():
        for key in PROFILES if name in place.streams else ():
            if getattr(place.streams[name], key) != getattr(stream, key):
                raise PlaceError(
                    f"place.streams.{name}.{key}: a scenario changed this; allowed: changes of 'rate' and 'demand', "
                    "for a stream's profile belongs to the place."
                )


def services_emptied(place: Place) -> dict[str, str]:
    """The services and pools that people may be put out of, each with the first key that does it."""
    found: dict[str, str] = {}
    for kind, services in (("pools", place.pools), ("services", place.services)):
        for name, service in services.items():
            ways = [f"displacements.{event}" for event in service.displacements]
            ways += [f"shocks.{n}" for n, shock in service.shocks.items() if shock.puts_out is not None]
            handed_back = (n for n, block in service.blocks.items() if block.at_end == "hand_back" and block.add > 0)
            ways += [f"blocks.{block}" for block in handed_back]
            if ways:
                found[name] = f"place.{kind}.{name}.{ways[0]}"
    return found


class _Dated(NamedTuple):
    """What lasts from a date until another, by its key."""

    key: str
    begins: dt.date
    ends: dt.date


class _Rules:
    def __init__(self, place: Place) -> None:
        self.place = place
        self.levels = attribute_levels(place)
        self.settled = {name for settings in settings_of(place) for name in settings}
        self.streams_at = streams_at(place)
        self.calendars = [ALWAYS, *place.calendars]
        self.destinations = [*place.stages, LEAVE]

    # names and services ----------------------------------------------------------------------------------------------

    def names(self) -> None:
        """Names that mean something else, and names used twice."""
        place = self.place
        for kind, given, kept in (
            ("calendars", place.calendars, (ALWAYS,)),
            ("stages", place.stages, (LEAVE,)),
            ("choices", place.choices, ("stream", *place.periods)),
            ("periods", place.periods, GIVEN),
            ("services", place.services, tuple(place.pools)),
        ):
            for name in given:
                if name in kept:
                    raise PlaceError(f"place.{kind}.{name}: this name is taken; allowed: any other name.")
        for told in place.published:
            measure, of_site, site = told.partition(SITE_MARK)
            if of_site:
                allowed = f"'{measure}', or '{measure}{SITE_MARK}' and a site:"
                self._known(f"place.published.{told}", site, allowed, place.sites)
        for kind, given in (("services", place.services), ("pools", place.pools)):
            for name in given:
                if "/" in name:
                    raise PlaceError(f"place.{kind}.{name}: {name!r} was given; allowed: a name without '/'.")
        if not place.streams:
            raise PlaceError("place.streams: nobody comes; allowed: at least one stream.")
        if place.bank_holidays is not None:
            _check_holidays(place.bank_holidays, place.run)

    def services(self) -> None:
        """Splits, calendars, blocks, caseloads and costs of every service and pool."""
        for kind, services in (("pools", self.place.pools), ("services", self.place.services)):
            for name, service in services.items():
                self._service(f"place.{kind}.{name}", name, service)

    def _service(self, key: str, name: str, service: Service) -> None:
        self._known(f"{key}.calendar", service.calendar, "a calendar:", self.calendars)
        units = [*(service.by_site or service.by_locality or {}), *service.neighbours]
        if service.split_by is not None:
            for unit in service.by_site or service.by_locality or {}:
                self._known(
                    f"{key}.by_{service.split_by}", unit, f"a {service.split_by}:", self.levels[service.split_by]
                )
            for unit in service.neighbours:
                self._known(f"{key}.neighbours", unit, "a locality:", self.place.localities)
                if unit in (service.by_locality or {}):
                    raise PlaceError(
                        f"{key}.neighbours.{unit}: this locality is in by_locality too; allowed: one of the two."
                    )
                if not self.place.localities[unit].neighbour:
                    raise PlaceError(
                        f"{key}.neighbours.{unit}: this locality is no neighbour; allowed: it in by_locality, or "
                        f"'neighbour: true' in place.localities.{unit}."
                    )
            for unit in service.by_locality or {}:
                if self.place.localities[unit].neighbour:
                    raise PlaceError(
                        f"{key}.by_locality.{unit}: this locality is a neighbour; allowed: its capacity in "
                        f"'neighbours', or no 'neighbour: true' in place.localities.{unit}."
                    )
        if service.split_by == "locality":
            for locality in self.place.localities:
                if locality not in units:
                    raise PlaceError(
                        f"{key}: the locality '{locality}' has no part; allowed: every locality in by_locality or "
                        "neighbours (0 for none)."
                    )
        for block_name, block in service.blocks.items():
            for unit in block.split or {}:
                self._known(
                    f"{key}.blocks.{block_name}.split", unit, "one of", service.by_site or service.by_locality or {}
                )
        for event_name, event in service.displacements.items():
            for unit in event.where or ():
                self._known(f"{key}.displacements.{event_name}.where", unit, "one of", units)
        for initial_name, initial in service.initial.items():
            at = f"{key}.initial.{initial_name}"
            self._known(f"{at}.stage", initial.stage, "a stage:", self.place.stages)
            if self.place.stages[initial.stage].service != name:
                here = [s for s, stage in self.place.stages.items() if stage.service == name]
                raise refuse(f"{at}.stage", initial.stage, f"a stage in {name}:", here)
            if initial.utilisation is not None and service.capacity == "unlimited":
                raise PlaceError(f"{at}.utilisation: an unlimited service was given; allowed: 'people' instead.")
            for part in ("people", "units"):
                for unit in amounts if isinstance(amounts := getattr(initial, part), dict) else ():
                    self._known(f"{at}.{part}", unit, "one of", units)
            for unit in initial.where or ():
                self._known(f"{at}.where", unit, "one of", units)
            if isinstance(initial.units, float) and units:
                raise refuse(f"{at}.units", initial.units, f"a number for each {service.split_by}:", units)
            if initial.waiting_for is not None:
                targets = leaves_of(self.place.stages[initial.stage].next)
                self._known(f"{at}.waiting_for", initial.waiting_for, f"what follows {initial.stage}:", targets)
            self._conditions(f"{at}.who", initial.who, self.levels)
            for stream in initial.streams or ():
                self._known(f"{at}.streams", stream, "a stream:", self.place.streams)
            own = service.by_site or service.by_locality or {}
            if isinstance(initial.people, int) and own and not sum(own.values()):
                raise refuse(f"{at}.people", initial.people, f"a number for each {service.split_by}:", own)
            self._settings(f"{at}.set", initial.set)
        for rule_name, rule in service.escalation.items():
            if rule.watch is not None:
                self._watch(f"{key}.escalation.{rule_name}.watch", rule.watch, service)
        if service.cost is not None:
            pool, care = name in self.place.pools, service.unit == "hours_a_week"
            hourly = ["hour_of_staff"] if pool else ["hour_of_care"] if care else []
            if service.cost.per not in ("day", "start", *hourly):
                raise refuse(f"{key}.cost.per", service.cost.per, f"for {service.unit}:", ["day", "start", *hourly])

    def _watch(self, key: str, watch: str, service: Service) -> None:
        """Each queue of a service can find the queue it watches."""
        self._known(key, watch, "a service or pool:", self.place.kinds)
        watched = self.place.kinds[watch]
        if watched.split_by is None:
            return
        fits = [name for name, other in self.place.kinds.items() if other.split_by in (None, service.split_by)]
        if watched.split_by != service.split_by:
            too = f"split by {service.split_by}, or " if service.split_by else ""
            raise refuse(key, watch, f"one that is {too}not split:", fits)
        for unit in service.by_site or service.by_locality or {}:
            if unit not in (watched.by_site or watched.by_locality or {}):
                raise PlaceError(
                    f"{key}: {watch!r} was given, which has no queue in '{unit}'; allowed: one with a queue wherever "
                    "there is more to open."
                )

    def metrics(self) -> None:
        """Who counts in the national measures, and what schemes cost."""
        for name in ("aged_65_and_over", "avoidable", "falls"):
            table = getattr(self.place.metrics, name)
            key = f"place.metrics.{name}"
            self._table(key, table, list(self.levels), {})
            for leaf in table.leaves() if table is not None else ():
                if leaf > 1:
                    raise refuse(key, leaf, "a share from 0 to 1")
        for name in self.place.costs:
            key = f"place.costs.{name}"
            if name in self.place.services or name in self.place.pools or "/" in name:
                raise refuse(key, name, "a name without '/' that no service or pool has")

    # people ----------------------------------------------------------------------------------------------------------

    def people(self) -> None:
        """Streams, and choices that only ask for what is known by then."""
        for name, stream in self.place.streams.items():
            self._stream(f"place.streams.{name}", name, stream)
        for name, period in self.place.periods.items():
            for level in period_levels(period):
                if level in (NOT_APPLICABLE, OTHER, "by"):
                    raise PlaceError(f"place.periods.{name}.{level}: this name is taken; allowed: any other name.")
        known = [*(a for a in GIVEN if a not in self.place.choices), *self.place.periods]
        for name, choice in self.place.choices.items():
            key = f"place.choices.{name}"
            asked = [*known, *(a for a in GIVEN if a not in known and a != name)]
            self._conditions(f"{key}.when", choice.when, asked)
            for part in ("shares", "chance"):
                self._table(f"{key}.{part}", getattr(choice, part), asked, choice.when)
            for leaf in choice.chance.leaves() if choice.chance is not None and not _has_times(choice.chance) else ():
                if leaf > 1:
                    raise refuse(f"{key}.chance", leaf, "a number from 0 to 1")
            if choice.planned is not None:
                self._planned(key, choice, asked)
            if name in GIVEN:
                for option in choice.options:
                    self._known(f"{key}.shares", option, f"a {name}:", self.levels[name])
            moved: dict[str, float] = {}
            for shift_name, shift in choice.shift.items():
                moved[shift.from_option] = moved.get(shift.from_option, 0) + shift.share
                if moved[shift.from_option] > 1 + 1e-9:
                    given = f"{moved[shift.from_option]:g}"
                    raise refuse(
                        f"{key}.shift.{shift_name}.share", given, f"shifts from {shift.from_option} of 1 together"
                    )
            known.append(name)

    def _planned(self, key: str, choice: Choice, known: list[str]) -> None:
        """A planned stay is known once everything its duration depends on has been decided."""
        assert choice.planned is not None
        self._known(f"{key}.planned.stage", choice.planned.stage, "a stage:", self.place.stages)
        self._time(f"{key}.planned.below", choice.planned.below, choice.when)
        for table in choice.planned.below.tables():
            self._table(f"{key}.planned.below", table, known, choice.when)
        duration = self.place.stages[choice.planned.stage].duration
        if duration is None:
            return  # refused where the stage is checked
        tables = list(duration.tables())
        for node in (node for table in tables for node in table.nodes()):
            if node.by is not None and node.by not in known:
                raise PlaceError(
                    f"{key}.planned.stage: {choice.planned.stage!r} was given, whose duration depends on '{node.by}'; "
                    f"allowed: this choice written after '{node.by}'."
                )
        for table in tables:
            self._table(f"{key}.planned (the duration of {choice.planned.stage})", table, known, choice.when)

    def _stream(self, key: str, name: str, stream: Stream) -> None:
        units = {"site": list(self.place.sites), "locality": list(self.place.localities), "place": [""]}[stream.at]
        for part in ("rate", "daily", "at_start"):
            given = getattr(stream, part)
            for unit in given if isinstance(given, Mapping) else ():
                if stream.at == "place" and part == "rate":
                    raise PlaceError(
                        f"{key}.rate: a mapping was given; allowed: one number, or 'at: site' or 'at: locality'."
                    )
                self._known(f"{key}.{part}", unit, f"a {stream.at}:", units)
        these: Conditions = {"stream": [name], **({stream.at: units} if stream.at != "place" else {}), **stream.set}
        for part, table in (("first", stream.first), *((f"demand.{n}", t) for n, t in stream.demand.items())):
            self._table(f"{key}.{part}", table, list(self.levels), these)
        self._stage_names(f"{key}.first", leaves_of(stream.first))
        for factor, table in stream.demand.items():
            for leaf in table.leaves():
                if not 0 <= leaf <= LARGEST_DEMAND:
                    raise refuse(f"{key}.demand.{factor}", leaf, f"a factor from 0 to {LARGEST_DEMAND}")
        self._settings(f"{key}.set", stream.set)

    def _settings(self, key: str, settings: Mapping[str, str]) -> None:
        for name, level in settings.items():
            self._known(key, name, "an attribute:", self.levels)
            self._known(f"{key}.{name}", level, "one of", [*self.levels[name], NOT_APPLICABLE])

    def _conditions(self, key: str, conditions: Conditions, known: Iterable[str]) -> None:
        for name, wanted in conditions.items():
            self._known(key, name, "what is known of a person by then:", known)
            for level in [wanted] if isinstance(wanted, str) else wanted:
                self._known(f"{key}.{name}", level, "one of", [*self.levels[name], NOT_APPLICABLE])

    def _table(self, key: str, table: Table | None, known: list[str], when: Conditions) -> None:
        """A table asks for what is known, and has an entry for everybody."""
        if table is None:
            return
        for name, factor in table.times.items():
            self._table(f"{key}.times.{name}", factor, known, when)
        if table.by is None:
            return
        self._known(f"{key}.by", table.by, "what is known of a person by then:", known)
        levels = self._possible(table.by, when)
        for level in table.cells:
            self._known(key, level, f"a level of {table.by}:", [*self.levels[table.by], NOT_APPLICABLE, OTHER])
        missing = [level for level in levels if level not in table.cells]
        if missing and OTHER not in table.cells:
            raise PlaceError(
                f"{key}: this table by {table.by} has no entry for '{missing[0]}'; allowed: all of {', '.join(levels)} "
                f"or '{OTHER}'."
            )
        for level, cell in table.cells.items():
            inner = {**when, table.by: [x for x in levels if x not in table.cells] if level == OTHER else level}
            self._table(f"{key}.{level}", cell, known, inner)

    def _possible(self, name: str, when: Conditions) -> list[str]:
        """The levels an attribute can have among people who meet the conditions, and the conditions of those."""
        possible = self.levels[name]
        asked = dict(when)
        done: set[str] = set()
        while asked:
            attribute, wanted = asked.popitem()
            wanted = [wanted] if isinstance(wanted, str) else wanted
            if attribute == name:
                possible = [level for level in possible if level in wanted]
            choice = self.place.choices.get(attribute)
            if choice is not None and attribute not in self.settled | done and NOT_APPLICABLE not in wanted:
                done.add(attribute)
                for inner, levels in choice.when.items():
                    if inner == name:
                        possible = [level for level in possible if level in levels or level == levels]
                    else:
                        asked.setdefault(inner, levels)
        return possible

    # stages ----------------------------------------------------------------------------------------------------------

    def stages(self) -> None:
        """What every stage needs and names."""
        for name, stage in self.place.stages.items():
            key = f"place.stages.{name}"
            for needed in ("service", "duration", "next"):
                if getattr(stage, needed) is None:
                    raise PlaceError(f"{key}.{needed}: this key is needed and was not given.")
            self._known(f"{key}.service", stage.service, "a service:", self.place.services)
            for way, targets in ways_on(stage).items():
                self._stage_names(f"{key}.{way}", targets)
            who: Conditions = {"stream": self.streams_at[name]}
            self._stage_parts(key, name, stage, who)
            for phase in ("before", "after"):
                for task_name, task in getattr(stage, phase).items():
                    self._task(f"{key}.{phase}.{task_name}", task, who)
        self._put_out()

    def _stage_parts(self, key: str, name: str, stage: Stage, who: Conditions) -> None:
        everything = list(self.levels)
        for part, table in (
            ("priority", stage.priority),
            ("next", stage.next),
            ("usual_residence", stage.usual_residence),
        ):
            self._table(f"{key}.{part}", table, everything, who)
        for part in ("duration", "death_while_waiting", "kept_on_readmission"):
            self._time(f"{key}.{part}", getattr(stage, part), who)
        if stage.units is not None:
            self._distribution(f"{key}.units", stage.units, who)
            if stage.units.unit is not None:
                raise refuse(
                    f"{key}.units.unit", stage.units.unit, "nothing: units are counted as the service counts them"
                )
        if stage.sized_as is not None:
            sized = [n for n, other in self.place.stages.items() if other.units is not None and n != name]
            self._known(f"{key}.sized_as", stage.sized_as, "another stage that has units:", sized)
        for reason, valve in stage.patience.items():
            self._conditions(f"{key}.patience.{reason}.when", valve.when, everything)
            self._table(f"{key}.patience.{reason}.to", valve.to, everything, {**who, **valve.when})
            self._time(f"{key}.patience.{reason}.after", valve.after, {**who, **valve.when})
        if stage.unfit is not None:
            self._conditions(f"{key}.unfit.when", stage.unfit.when, everything)
            self._time(f"{key}.unfit.after", stage.unfit.after, {**who, **stage.unfit.when})
            resumed = self.place.stages.get(stage.unfit.to)
            if resumed is None or resumed.service != stage.service:
                here = [n for n, s in self.place.stages.items() if s.service == stage.service and n != name]
                raise refuse(f"{key}.unfit.to", stage.unfit.to, f"another stage in {stage.service}:", here)
        if stage.decline is not None:
            self._time(f"{key}.decline.after", stage.decline.after, who)
            self._table(f"{key}.decline.share", stage.decline.share, everything, who)
        if stage.dies is not None:
            yes_no = [n for n, c in self.place.choices.items() if set(c.options) == {"yes", "no"}]
            self._known(f"{key}.dies", stage.dies, "a choice of yes or no:", yes_no)
        if stage.readmission is not None:
            self._table(f"{key}.readmission.chance", stage.readmission.chance, everything, who)
            self._time(f"{key}.readmission.gap", stage.readmission.gap, who)
            self._known(f"{key}.readmission.to", stage.readmission.to, "a stage:", self.place.stages)
            self._settings(f"{key}.readmission.set", stage.readmission.set)
        for leaf in leaves_of(stage.usual_residence):
            self._known(f"{key}.usual_residence", leaf, "one of", ("yes", "no"))

    def _put_out(self) -> None:
        """Whoever may be put out of a service has somewhere to go, or is said to leave."""
        for service, way in services_emptied(self.place).items():
            here = {name: stage for name, stage in self.place.stages.items() if stage.service == service}
            if not here or self.place.kinds[service].capacity == "unlimited":
                raise PlaceError(
                    f"{way}: it puts people out of '{service}'; allowed: in a service with a capacity and people in it."
                )
            for name, stage in here.items():
                if stage.displaced_to is None:
                    raise PlaceError(
                        f"place.stages.{name}.displaced_to: this key is needed and was not given, for {way} puts "
                        f"people out of '{service}'; allowed: a later stage, or '{LEAVE}'."
                    )

    def _shocks(self, key: str, name: str, service: Service) -> None:
        here = [stage for stage in self.place.stages.values() if stage.service == name]
        for shock_name, shock in service.shocks.items():
            at = f"{key}.shocks.{shock_name}"
            self._shock_lasts(f"{at}.lasts", shock.lasts)
            if shock.closes is not None and service.capacity == "unlimited":
                raise PlaceError(f"{at}.closes: an unlimited service was given; allowed: a service with a capacity.")
            if shock.closes_way_out and not any(stage.hold for stage in here):
                raise PlaceError(
                    f"{at}.closes_way_out: nobody in '{name}' could be kept in; allowed: in a service with a stage in "
                    "which people stay until the next takes them."
                )

    def _shock_lasts(self, key: str, lasts: Distribution) -> None:
        for table in lasts.tables():
            for node in table.nodes():
                if node.by is not None:
                    raise PlaceError(
                        f"{key}: a table by '{node.by}' was given; allowed: the same for all, since a shock belongs to "
                        "no person."
                    )
        self._time(key, lasts, {})
        if lasts.unit == "working_days":
            raise refuse(f"{key}.unit", lasts.unit, "minutes, hours, days or weeks")
        longest = math.inf
        ends = lasts.fixed if lasts.uniform is None else lasts.uniform.high
        if ends is not None:
            longest = _value(ends, {}) + (_value(lasts.add, {}) if lasts.add is not None else 0)
        longest = min(longest, lasts.most or math.inf)
        days = longest * UNIT_MINUTES[lasts.unit or "days"] / UNIT_MINUTES["days"]
        if LONGEST_SHOCK_DAYS < days < math.inf:
            raise refuse(key, f"{days:g} days", f"at most {LONGEST_SHOCK_DAYS} days")

    def _task(self, key: str, task: Task, who: Conditions) -> None:
        everything = list(self.levels)
        self._conditions(f"{key}.when", task.when, everything)
        self._table(f"{key}.calendar", task.calendar, everything, {**who, **task.when})
        for calendar in leaves_of(task.calendar):
            self._known(f"{key}.calendar", calendar, "a calendar:", self.calendars)
        if task.pool is not None:
            self._known(f"{key}.pool", task.pool, "a pool:", self.place.pools)
        self._time(f"{key}.takes", task.takes, {**who, **task.when})

    def _time(self, key: str, what: Distribution | None, when: Conditions) -> None:
        if what is not None:
            if what.unit is None:
                raise PlaceError(
                    f"{key}.unit: this key is needed and was not given; allowed: {', '.join(UNIT_MINUTES)}."
                )
            self._distribution(key, what, when)

    def _distribution(self, key: str, what: Distribution, when: Conditions) -> None:
        for table in what.tables():
            self._table(key, table, list(self.levels), when)
        positive = () if what.lognormal is None else (what.lognormal.mean, what.lognormal.median)
        for table in (*positive, None if what.exponential is None else what.exponential.mean):
            for leaf in table.leaves() if table is not None else ():
                if leaf <= 0:
                    raise refuse(key, leaf, "a mean or median above 0")
        pairs = []
        if what.uniform is not None:
            pairs.append((what.uniform.low, what.uniform.high, "low up to high"))
        if what.lognormal is not None and what.lognormal.mean is not None and what.lognormal.median is not None:
            pairs.append((what.lognormal.median, what.lognormal.mean, "a median up to the mean"))
        for low, high, allowed in pairs:
            for below, above in self._pairs_of(low, high, when):
                if below > above:
                    raise refuse(key, f"{below:g} and {above:g}", allowed)

    def _pairs_of(self, low: Table, high: Table, when: Conditions) -> Iterator[tuple[float, float]]:
        """The values two tables have for the same person, whatever that person is."""
        attributes = dict.fromkeys(node.by for table in (low, high) for node in table.nodes() if node.by is not None)
        for levels in product(*(self._possible(name, when) for name in attributes)):
            person = dict(zip(attributes, levels, strict=True))
            yield _value(low, person), _value(high, person)

    def _stage_names(self, key: str, given: Iterable[str]) -> None:
        for name in given:
            self._known(key, name, "a stage or 'leave':", self.destinations)

    @staticmethod
    def _known(key: str, given: object, what: str, names: Iterable[str]) -> None:
        names = list(names)
        if given not in names:
            raise refuse(key, given, what, names)

    # moves and chance ------------------------------------------------------------------------------------------------

    def moves(self) -> None:
        """What moves take is there, and what they give has a price where it goes by pounds; shocks and trends."""
        for kind, services in (("pools", self.place.pools), ("services", self.place.services)):
            for name, service in services.items():
                self._shocks(f"place.{kind}.{name}", name, service)
                for trend in service.trend if service.capacity == "unlimited" else ():
                    at = f"place.{kind}.{name}.trend.{trend}"
                    raise PlaceError(f"{at}: an unlimited service was given; allowed: a service with a capacity.")
        for name, move in self.place.moves.items():
            key = f"place.moves.{name}"
            for side, part in (("take", move.take), ("give", move.give)):
                self._moved(f"{key}.{side}", part)
            if move.take.service == move.give.service and (move.take.split is None or move.give.split is None):
                raise PlaceError(
                    f"{key}.give.service: {move.give.service!r} was given, from which it is taken; allowed: another, "
                    "or the same with a 'split' of both what is taken and what is given."
                )
            for part in (move.take, move.give) if move.give.exchange is not None else ():
                cost = self.place.kinds[part.service].cost
                if cost is None or not cost.a_week:
                    told = "no cost" if cost is None else f"a cost of {cost.amount:g} per {cost.per}"
                    raise PlaceError(
                        f"{key}.give.exchange: '{part.service}' has {told}; allowed: pounds between services with a "
                        "cost above 0 per day or hour_of_care, else 'amount'."
                    )
            begins, ends = self._moved_between(move)
            if move.to_date is not None and move.lag_days >= (ends - begins).days:
                raise refuse(f"{key}.lag_days", move.lag_days, f"fewer days than there are from {begins} to {ends}")
            self._enough(f"{key}.take.amount", move)

    def _moved(self, key: str, part: Taken | Given) -> None:
        self._known(f"{key}.service", part.service, "a service or pool:", self.place.kinds)
        service = self.place.kinds[part.service]
        if service.capacity == "unlimited":
            raise PlaceError(f"{key}.service: '{part.service}' is unlimited; allowed: a service with a capacity.")
        for unit in part.split or {}:
            self._known(f"{key}.split", unit, "one of", service.by_site or service.by_locality or {})

    def _moved_between(self, move: Move) -> tuple[dt.date, dt.date]:
        run = self.place.run
        begins = move.from_date or run.switch_date
        return begins, move.to_date or run.end_date

    def _enough(self, key: str, move: Move) -> None:
        """On the day of a move, nothing is taken that other moves have taken already, or that never was there."""
        name, day = move.take.service, self._moved_between(move)[0]
        service = self.place.kinds[name]
        assert service.capacity != "unlimited"
        own = service.by_site or service.by_locality or {"": 1.0}
        left = {unit: service.capacity * weight / sum(own.values()) for unit, weight in own.items()}
        taken = dict.fromkeys(own, 0.0)
        for other in self.place.moves.values():
            begins, ends = self._moved_between(other)
            weights = (other.take.split if service.split_by else None) or own
            if other.take.service == name and begins <= day < ends:
                for unit, weight in weights.items():
                    taken[unit] += other.take.amount * weight / sum(weights.values())
        for unit, amount in taken.items():
            if amount > left[unit] * (1 + 1e-9):
                where = f" in '{unit}'" if unit else ""
                had = f"at most the {left[unit]:g} that '{name}' has{where}, less what other moves take"
                raise refuse(key, move.take.amount, had)

    # ways ------------------------------------------------------------------------------------------------------------

    def ways(self) -> None:
        """Every way ends, references look the right way, and no services hold for each other in a circle."""
        leads = {n: {t for ts in ways_on(s).values() for t in ts if t != LEAVE} for n, s in self.place.stages.items()}
        circle = _circle(leads)
        if circle:
            raise PlaceError(
                f"place.stages.{circle[0]}: {' -> '.join(circle)} was given; allowed: a way that ends in 'leave' and "
                "enters no stage twice."
            )
        later = _reachable(leads)
        for name, stage in self.place.stages.items():
            if stage.keep is not None and stage.keep not in later[name]:
                raise refuse(
                    f"place.stages.{name}.keep", stage.keep, f"a stage that follows {name}:", sorted(later[name])
                )
            if stage.since is not None and name not in later.get(stage.since, ()):
                earlier = [n for n in self.place.stages if name in later[n]]
                raise refuse(f"place.stages.{name}.since", stage.since, f"a stage that leads to {name}:", earlier)
        self._circle_of_services()

    def _circle_of_services(self) -> None:
        waits: dict[str, dict[str, str]] = {name: {} for name in self.place.services}
        for name, stage in self.place.stages.items():
            if stage.hold:
                for target in self._waited_for(stage, set()):
                    waits[str(stage.service)].setdefault(str(self.place.stages[target].service), f"{name} -> {target}")
        circle = _circle({name: set(targets) for name, targets in waits.items()})
        if circle:
            stages = ", ".join(waits[a][b] for a, b in pairwise(circle))
            raise PlaceError(
                f"place.stages: the services {' -> '.join(circle)} hold for each other in a circle (stages {stages}), "
                "and when all are full nobody ever moves; allowed: a circle with patience, hold: false or an ED in it."
            )

    def _waited_for(self, holder: Stage, seen: set[str]) -> Iterator[str]:
        """The stages for which somebody may wait without end while holding a place."""
        queue = leaves_of(holder.next)
        while queue:
            name = queue.pop()
            if name == LEAVE or name in seen:
                continue
            seen.add(name)
            target = self.place.stages[name]
            queue += [to for valve in target.patience.values() for to in leaves_of(valve.to)]
            service = self.place.services[str(target.service)]
            endless = not target.patience and service.role != "ed" and service.capacity != "unlimited"
            if endless and target.service != holder.service:
                yield name

    # dates -----------------------------------------------------------------------------------------------------------

    def dates(self) -> None:
        """Dates lie in the run: wholly outside is refused, partly outside is clipped with a notice."""
        run = self.place.run
        days = [run.first_date + dt.timedelta(days=day) for day in range(run.all_days)] if self.place.periods else []
        for name, period in self.place.periods.items():
            held = [(date, levels_on(period, date)) for date in days]
            for date, levels in held:
                if len(levels) > 1:
                    raise PlaceError(
                        f"place.periods.{name}.{levels[1]}: {date} is in '{levels[0]}' and in '{levels[1]}'; allowed: "
                        "each day in one of them ('to' is the first day without it)."
                    )
            if not any(levels for _, levels in held):
                told = f"place.periods.{name}: no day of the run, {run.first_date} to {days[-1]}, lies in it"
                notice(f"{told}; what is said by {name} changes nothing")
        if run.policy_start is not None and not run.first_date <= run.policy_start < run.end_date:
            last = run.end_date - DAY
            raise refuse("policy_start", str(run.policy_start), f"a date in the run, {run.first_date} to {last}")
        self._within(list(self._dated()))
        for name, move in self.place.moves.items():
            begins, _ = self._moved_between(move)
            if begins + dt.timedelta(days=move.lag_days) >= run.end_date:
                told = f"place.moves.{name}: what it gives comes {move.lag_days} days after {begins}, after the run"
                notice(told)

    def _dated(self) -> Iterator[_Dated]:
        """What has a beginning and an end, with the run's own where it does not say."""
        run = self.place.run
        if run.policy_start is not None:
            yield _Dated("policy_start", run.policy_start, run.policy_start + DAY)
        for kind, services in (("pools", self.place.pools), ("services", self.place.services)):
            for name, service in services.items():
                key = f"place.{kind}.{name}"
                for event_name, event in service.displacements.items():
                    yield _Dated(f"{key}.displacements.{event_name}.date", event.date, event.date + DAY)
                for block_name, block in service.blocks.items():
                    yield _Dated(f"{key}.blocks.{block_name}", block.from_date, block.end)
                for rule_name, rule in service.escalation.items():
                    begins, ends = rule.from_date or run.first_date, rule.to_date or run.end_date
                    yield _Dated(f"{key}.escalation.{rule_name}", begins, ends)
                for shock_name, shock in service.shocks.items():
                    begins, ends = shock.from_date or run.first_date, shock.to_date or run.end_date
                    yield _Dated(f"{key}.shocks.{shock_name}", begins, ends)
                for trend_name, trend in service.trend.items():
                    begins, ends = trend.from_date or run.start_date, trend.to_date or run.end_date
                    yield _Dated(f"{key}.trend.{trend_name}", begins, ends)
        for name, move in self.place.moves.items():
            yield _Dated(f"place.moves.{name}", *self._moved_between(move))
        for name, line in self.place.costs.items():
            yield _Dated(f"place.costs.{name}", line.from_date or run.first_date, line.to_date or run.end_date)

    def _within(self, every: Sequence[_Dated]) -> None:
        """Refuse what is wholly outside the run, with a run that would hold it; tell in one notice what is clipped."""
        run = self.place.run
        last = run.end_date - DAY
        outside = [one for one in every if one.ends <= run.first_date or one.begins >= run.end_date]
        if outside:
            begins, ends = zip(*(self._days_needed(one) for one in every if not self._as_the_run(one)), strict=True)
            longer = f"start_date={min(begins)} days={(max(ends) - min(begins)).days} would hold them"
            other = f"{longer}; or move them, or leave their scenario out"
            within = f"dates in the run, {run.first_date} to {last} ({other})"
            raise refuse(outside[0].key, self._told(outside[0]), within)
        clipped = [one for one in every if one.begins < run.first_date or one.ends > run.end_date]
        if clipped:
            named = ", ".join(f"{one.key}: {self._told(one)}" for one in clipped)
            is_ = "is" if len(clipped) == 1 else "are"
            told = f"{named} {is_} partly outside the run: only the days from {run.first_date} to {last} count"
            notice(told)

    def _told(self, one: _Dated) -> str:
        """Its dates in words: one, of a single day and of what has no end."""
        endless = one.begins >= self.place.run.end_date == one.ends
        return f"{one.begins}" if endless or one.ends == one.begins + DAY else f"{one.begins} to {one.ends}"

    def _as_the_run(self, one: _Dated) -> bool:
        """Has it no dates of its own, so that it goes with the run?"""
        run = self.place.run
        return one.begins in (run.first_date, run.start_date) and one.ends == run.end_date

    def _days_needed(self, one: _Dated) -> tuple[dt.date, dt.date]:
        """First date and first date after of a run that would hold it: as much of it as this one does, or, where it
        lies outside this one, all of it, in a run no shorter."""
        run = self.place.run
        length = dt.timedelta(days=run.days)
        if one.begins >= run.end_date:
            return one.begins, max(one.ends, one.begins + length)
        if one.ends <= run.first_date:
            return min(one.begins, one.ends - length), one.ends
        first = run.start_date if one.ends > run.start_date else run.first_date
        return max(one.begins, first), min(one.ends, run.end_date)


def _value(table: Table, person: Mapping[str, str]) -> float:
    """A table's number for a person with these levels; not a number where there can be no such person."""
    if table.times:
        return math.prod(_value(factor, person) for factor in table.times.values())
    if table.by is None:
        return float(table.leaf)
    cell = table.cells.get(person[table.by], table.cells.get(OTHER))
    return math.nan if cell is None else _value(cell, person)


def _has_times(table: Table) -> bool:
    return any(node.times for node in table.nodes())


def _check_holidays(name: str, run: Run) -> None:
    import holidays

    country, _, part = name.partition("-")
    try:
        known = holidays.country_holidays(country, subdiv=part or None)
    except NotImplementedError:
        raise refuse("place.bank_holidays", name, 'a country, or country and part, such as "GB-ENG"') from None
    if run.first_date.year < known.start_year or (run.end_date - DAY).year > known.end_year:
        within = f"a run, with its warm-up, from {known.start_year} to {known.end_year}"
        raise refuse("start_date", str(run.start_date), f"{within}, of which the bank holidays of {name} are known")


def _circle(leads: Mapping[str, set[str]]) -> list[str]:
    """One circle of a graph, its first name again at the end; empty when there is none."""
    try:
        TopologicalSorter({name: sorted(targets) for name, targets in leads.items()}).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def _reachable(leads: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Everything that follows each name in a graph without circles."""
    found: dict[str, set[str]] = {}
    for name in TopologicalSorter(leads).static_order():
        found[name] = set().union(*({t} | found[t] for t in leads.get(name, ())))
    return found
