"""The rules across a place's keys: every name exists, every way ends, nothing waits in a circle."""

from __future__ import annotations

import datetime as dt
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise, product

from flowsim.place import (
    ALWAYS,
    INITIAL,
    LARGEST_DEMAND,
    LEAVE,
    NOT_APPLICABLE,
    OTHER,
    UNIT_MINUTES,
    Conditions,
    Distribution,
    FlowsimNotice,
    Place,
    PlaceError,
    Service,
    Stage,
    Stream,
    Table,
    Task,
    refuse,
)

GIVEN = ("stream", "site", "locality")
"""Attributes that nobody has to choose."""
KEPT = ("sites", "localities", "calendars", "pools", "services", "choices", "stages")
"""Parts of a place from which a scenario takes nothing away: who came before it starts still needs them."""
PROFILES = ("at", "per", "daily", "at_start", "hours", "weekdays", "months")
"""Keys of a stream that belong to the place: the same people come whatever the scenario."""


def check_names(place: Place) -> None:
    """Raises PlaceError for the first rule that is broken; warns with FlowsimNotice of dates that are clipped."""
    rules = _Rules(place)
    rules.names()
    rules.services()
    rules.people()
    rules.stages()
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
    for name, stream in before.streams.items():
        for key in PROFILES if name in place.streams else ():
            if getattr(place.streams[name], key) != getattr(stream, key):
                raise PlaceError(
                    f"place.streams.{name}.{key}: a scenario changed this; allowed: changes of 'rate' and 'demand', "
                    "for a stream's profile belongs to the place."
                )


def ways_on(stage: Stage) -> dict[str, list[str]]:
    """The stages a stage leads to, `leave` included, by the key that names them."""
    found = {"next": _leaves(stage.next)}
    found |= {f"patience.{reason}.to": _leaves(valve.to) for reason, valve in stage.patience.items()}
    if stage.unfit is not None:
        found["unfit.to"] = [stage.unfit.to]
    if stage.displaced_to is not None:
        found["displaced_to"] = [stage.displaced_to]
    return found


def _leaves(table: Table | None) -> list[str]:
    return [] if table is None else list(dict.fromkeys(str(leaf) for leaf in table.leaves()))


class _Rules:
    def __init__(self, place: Place) -> None:
        self.place = place
        self.levels: dict[str, list[str]] = {
            "stream": [*place.streams, *([INITIAL] if any(s.initial for s in place.services.values()) else [])],
            "site": list(place.sites),
            "locality": list(place.localities),
        }
        for name, choice in place.choices.items():
            if name not in GIVEN:
                self.levels[name] = list(choice.options)
        self.settled = {name for settings in settings_of(place) for name in settings}
        self.streams_at = _streams_at(place)
        self.calendars = [ALWAYS, *place.calendars]
        self.destinations = [*place.stages, LEAVE]

    # names and services ----------------------------------------------------------------------------------------------

    def names(self) -> None:
        """Names that mean something else, and names used twice."""
        place = self.place
        for kind, given, kept in (
            ("calendars", place.calendars, (ALWAYS,)),
            ("stages", place.stages, (LEAVE,)),
            ("choices", place.choices, ("stream",)),
            ("services", place.services, tuple(place.pools)),
        ):
            for name in given:
                if name in kept:
                    raise PlaceError(f"place.{kind}.{name}: this name is taken; allowed: any other name.")
        for kind, given in (("services", place.services), ("pools", place.pools)):
            for name in given:
                if "/" in name:
                    raise PlaceError(f"place.{kind}.{name}: {name!r} was given; allowed: a name without '/'.")
        if not place.streams:
            raise PlaceError("place.streams: nobody comes; allowed: at least one stream.")
        if place.bank_holidays is not None:
            _check_holidays(place.bank_holidays)

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
        for initial_name, initial in service.initial.items():
            at = f"{key}.initial.{initial_name}"
            self._known(f"{at}.stage", initial.stage, "a stage:", self.place.stages)
            if self.place.stages[initial.stage].service != name:
                here = [s for s, stage in self.place.stages.items() if stage.service == name]
                raise refuse(f"{at}.stage", initial.stage, f"a stage in {name}:", here)
            if initial.utilisation is not None and service.capacity == "unlimited":
                raise PlaceError(f"{at}.utilisation: an unlimited service was given; allowed: 'people' instead.")
            for unit in initial.people if isinstance(initial.people, dict) else ():
                self._known(f"{at}.people", unit, "one of", units)
            own = service.by_site or service.by_locality or {}
            if isinstance(initial.people, int) and own and not sum(own.values()):
                raise refuse(f"{at}.people", initial.people, f"a number for each {service.split_by}:", own)
            self._settings(f"{at}.set", initial.set)
        hours = service.unit == "hours_a_week" and name not in self.place.pools
        if service.cost is not None and service.cost.per == "hour_of_care" and not hours:
            raise refuse(f"{key}.cost.per", service.cost.per, f"for {service.unit}: day or start")

    # people ----------------------------------------------------------------------------------------------------------

    def people(self) -> None:
        """Streams, and choices that only ask for what is known by then."""
        for name, stream in self.place.streams.items():
            self._stream(f"place.streams.{name}", name, stream)
        known = [a for a in GIVEN if a not in self.place.choices]
        for name, choice in self.place.choices.items():
            key = f"place.choices.{name}"
            asked = [*known, *(a for a in GIVEN if a not in known and a != name)]
            self._conditions(f"{key}.when", choice.when, asked)
            for part in ("shares", "chance"):
                self._table(f"{key}.{part}", getattr(choice, part), asked, choice.when)
            for leaf in choice.chance.leaves() if choice.chance is not None and not _has_times(choice.chance) else ():
                if leaf > 1:
                    raise refuse(f"{key}.chance", leaf, "a number from 0 to 1")
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
        self._stage_names(f"{key}.first", _leaves(stream.first))
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
        for leaf in _leaves(stage.usual_residence):
            self._known(f"{key}.usual_residence", leaf, "one of", ("yes", "no"))

    def _task(self, key: str, task: Task, who: Conditions) -> None:
        everything = list(self.levels)
        self._conditions(f"{key}.when", task.when, everything)
        self._table(f"{key}.calendar", task.calendar, everything, {**who, **task.when})
        for calendar in _leaves(task.calendar):
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
        queue = _leaves(holder.next)
        while queue:
            name = queue.pop()
            if name == LEAVE or name in seen:
                continue
            seen.add(name)
            target = self.place.stages[name]
            queue += [to for valve in target.patience.values() for to in _leaves(valve.to)]
            service = self.place.services[str(target.service)]
            endless = not target.patience and service.role != "ed" and service.capacity != "unlimited"
            if endless and target.service != holder.service:
                yield name

    # dates -----------------------------------------------------------------------------------------------------------

    def dates(self) -> None:
        """Dates lie in the run: wholly outside is refused, partly outside is clipped with a notice."""
        run = self.place.run
        if run.policy_start is not None:
            self._date("policy_start", run.policy_start)
        for kind, services in (("pools", self.place.pools), ("services", self.place.services)):
            for name, service in services.items():
                key = f"place.{kind}.{name}"
                for block_name, block in service.blocks.items():
                    self._period(f"{key}.blocks.{block_name}", block.from_date, block.end)
                for rule_name, rule in service.escalation.items():
                    begins, ends = rule.from_date or run.first_date, rule.to_date or run.end_date
                    self._period(f"{key}.escalation.{rule_name}", begins, ends)
                for event_name, event in service.displacements.items():
                    self._date(f"{key}.displacements.{event_name}.date", event.date)

    def _date(self, key: str, date: dt.date) -> None:
        run = self.place.run
        if not run.first_date <= date < run.end_date:
            raise refuse(
                key, str(date), f"a date in the run, {run.first_date} to {run.end_date - dt.timedelta(days=1)}"
            )

    def _period(self, key: str, begins: dt.date, ends: dt.date) -> None:
        run = self.place.run
        last = run.end_date - dt.timedelta(days=1)
        if ends <= run.first_date or begins >= run.end_date:
            within = f"dates in the run, {run.first_date} to {last} (move them, or leave their scenario out)"
            raise refuse(key, f"{begins} to {ends}", within)
        if begins < run.first_date or ends > run.end_date:
            kept = f"{max(begins, run.first_date)} to {min(ends - dt.timedelta(days=1), last)}"
            told = f"{key}: {begins} to {ends} is partly outside the run and is clipped to {kept}"
            warnings.warn(told, FlowsimNotice, stacklevel=2)


def settings_of(place: Place) -> list[dict[str, str]]:
    """What is settled about people by where they come from."""
    found = [stream.set for stream in place.streams.values()]
    found += [initial.set for service in place.services.values() for initial in service.initial.values()]
    return found + [stage.readmission.set for stage in place.stages.values() if stage.readmission is not None]


def _streams_at(place: Place) -> dict[str, list[str]]:
    """The streams whose people may come to each stage, readmissions included."""
    found: dict[str, set[str]] = {name: set() for name in place.stages}
    arrived = [(stage, name) for name, stream in place.streams.items() for stage in _leaves(stream.first)]
    arrived += [(i.stage, INITIAL) for service in place.services.values() for i in service.initial.values()]
    while arrived:
        name, stream = arrived.pop()
        if name not in found or stream in found[name]:
            continue
        found[name].add(stream)
        stage = place.stages[name]
        arrived += [(target, stream) for targets in ways_on(stage).values() for target in targets]
        if stage.readmission is not None:
            arrived.append((stage.readmission.to, stage.readmission.set.get("stream", stream)))
    return {name: sorted(streams) for name, streams in found.items()}


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


def _check_holidays(name: str) -> None:
    import holidays

    country, _, part = name.partition("-")
    try:
        holidays.country_holidays(country, subdiv=part or None)
    except NotImplementedError:
        raise refuse("place.bank_holidays", name, 'a country, or country and part, such as "GB-ENG"') from None


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
