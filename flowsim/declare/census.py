"""A census as a user counts it: a CSV file of who is there on the first day, turned into the language of a place.

Each line becomes an `initial` caseload of its service, which so is part of the place: a configuration that was written
with a run makes the same run again without the file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowsim.declare.yaml_and_csv import read_csv
from flowsim.place import INITIAL, LEAVE, Initial, Place, PlaceError, Service, counted, nearest, notice
from flowsim.place.refusals import listed
from flowsim.place.ways import attribute_levels, leaves_of, plain_way, streams_at

SERVICE, WHERE, STATE, STAGE = "service", "where", "state", "stage"
WAITING_FOR, DAYS, PEOPLE, HOURS = "waiting_for", "days", "people", "hours_a_week"
COLUMNS = (SERVICE, WHERE, STATE, STAGE, WAITING_FOR, DAYS, PEOPLE, HOURS)
"""What a census may say of its lines; beside these, any attribute of people may be a column."""
ASSUMED = "assumed"
"""A column that says of a line what of it was not counted."""
SPREAD, USUAL = "spread by usual shares", "usual number"
"""It is part of a number that was counted; it is the place's own number."""
IN_STAGE, READY, WAITING = "in stage", "ready", "waiting"
STATES = {IN_STAGE: "in_stage", READY: "ready", WAITING: "waiting"}
"""The states as a file says them, and as a place does."""
WAYS_TO_COME = {"rate", "daily", "schedule"}
LONG_STAY = ("ward", "community", "home_care", "care_home")
"""Roles of services that nobody would expect to be empty on the first day."""
_NUMBER = re.compile(r"^\d+(\.\d+)?$")
_RANGE = re.compile(r"^(\d+(?:\.\d+)?)\s*(?:-|\u2013|to)\s*(\d+(?:\.\d+)?)$")


@dataclass(frozen=True)
class Census:
    """What a file says of a place.

    Attributes:
        initial: service -> name (`line_7`) -> an initial caseload as a place declares it.
        named: service -> the sites or localities that have lines of their own; None for a service without.
        delayed: the same of lines of people ready or waiting, though they count nobody.
        assumed: how many people were not counted, in how many lines, and how many lines spread what was.
        without_at_start: streams whose people at the start the file counts.
    """

    initial: dict[str, dict[str, dict[str, Any]]]
    named: dict[str, set[str | None]]
    without_at_start: tuple[str, ...]
    delayed: dict[str, set[str | None]] = field(default_factory=dict)
    assumed: tuple[int, int, int] = (0, 0, 0)

    def laid_over(self, raw: Mapping[str, Any], place: Place) -> dict[str, Any]:
        """A place's mapping with the census in it: where it says something, nothing else is there at the start."""
        services = dict(raw["services"])
        for name, lines in self.initial.items():
            rest = [unit for unit in units_of(place.services[name]) if unit not in self.named[name]]
            declared = services[name].get("initial") or {}
            kept = {k: {**v, "where": rest} for k, v in declared.items() if isinstance(v, Mapping)} if rest else {}
            services[name] = {**services[name], "initial": {**kept, **lines}}
        streams = {
            name: {**({} if WAYS_TO_COME & set(stream) else {"rate": 0}), **stream, "at_start": None}
            if name in self.without_at_start
            else stream
            for name, stream in raw["streams"].items()
        }
        return {**raw, "services": services, "streams": streams}


def read_census(path: str | Path, place: Place) -> Census:
    """A census of this place, from a CSV file as spreadsheets write them.

    Commas, semicolons or tabs between columns; UTF-8 with or without a byte order mark, or the code page of Windows;
    blank lines are passed over. Raises PlaceError that names file, line and column.
    """
    reader = _Reader(Path(path), place)
    census = reader.census()
    for words in reader.notices(census):
        notice(words)
    return census


def units_of(service: Service) -> list[str | None]:
    """The sites or localities of a service; ``[None]`` where it is one for all."""
    return (
        [None] if service.split_by is None else [*(service.by_site or service.by_locality or {}), *service.neighbours]
    )


@dataclass(frozen=True)
class _Line:
    """One line of the file: what stands in each column, trimmed; blank ones are left out."""

    file: str
    number: int
    cells: dict[str, str]

    def get(self, column: str) -> str:
        return self.cells.get(column, "")

    def wrong(self, column: str, allowed: str, names: Iterable[str] = (), given: str | None = None) -> PlaceError:
        names, given = list(names), self.get(column) if given is None else given
        told = f"{allowed} {listed(names)}" if names else allowed
        where = f"{self.file}, line {self.number}, column {column}"
        return PlaceError(f"{where}: {given!r} was given; allowed: {told}{nearest(given, names)}.")

    def word(self, column: str, names: Mapping[str, str], allowed: str) -> str:
        """The id that a cell names: as it stands, or by its title, in large or small letters."""
        name = names.get(_plain(self.get(column)))
        if name is None:
            raise self.wrong(column, allowed, dict.fromkeys(names.values()))
        return name


def _plain(text: str) -> str:
    return " ".join(text.replace("_", " ").casefold().split())


def _known(names: Mapping[str, Any] | Iterable[str]) -> dict[str, str]:
    """Ids by themselves and by their titles, as plain words."""
    by_title: dict[str, str] = {}
    for name in names:
        title = getattr(names[name], "title", "") if isinstance(names, Mapping) else ""
        by_title |= {_plain(title): name} if title else {}
    return by_title | {_plain(name): name for name in names}


@dataclass
class _Reader:
    path: Path
    place: Place
    levels: dict[str, list[str]] = field(init=False)

    def __post_init__(self) -> None:
        self.levels = attribute_levels(self.place)
        self.streams_at = streams_at(self.place)

    # the file --------------------------------------------------------------------------------------------------------

    def _lines(self) -> Iterator[_Line]:
        if not self.path.is_file():
            raise PlaceError(
                f"census: {str(self.path)!r} was given; allowed: a CSV file that is there "
                "(`flowsim show census-template out=my_census.csv` writes one to fill in)."
            )
        self.separator, rows = read_csv(self.path)
        columns: list[str] | None = None
        for number, cells in rows:
            if columns is None:
                columns = [_plain(cell).replace(" ", "_") for cell in cells]
                self._check_columns(columns, number)
                continue
            if any(cells[len(columns) :]):
                raise PlaceError(
                    f"{self.path}, line {number}: {len(cells)} columns were given; allowed: the {len(columns)} of the "
                    "first line."
                )
            named = dict(zip([self._attribute(c) or c for c in columns], cells, strict=False))
            yield _Line(str(self.path), number, {c: cell for c, cell in named.items() if c and cell})

    def _attribute(self, column: str) -> str | None:
        return _known(self.levels).get(_plain(column)) if column not in (*COLUMNS, ASSUMED) else None

    def _check_columns(self, columns: list[str], line: int) -> None:
        allowed = [*COLUMNS, *self.levels]
        for column in columns:
            if column and column not in (*COLUMNS, ASSUMED) and self._attribute(column) is None:
                listed = f"{', '.join(allowed)}{nearest(column, allowed)}"
                raise PlaceError(f"{self.path}, line {line}: {column!r} was given; allowed: {listed}.")
            if column and columns.count(column) > 1:
                raise PlaceError(f"{self.path}, line {line}: the column {column!r} is there twice; allowed: once.")
        if SERVICE not in columns:
            raise PlaceError(f"{self.path}, line {line}: there is no column 'service'; allowed: {', '.join(allowed)}.")

    # what it says ----------------------------------------------------------------------------------------------------

    def census(self) -> Census:
        initial: dict[str, dict[str, dict[str, Any]]] = {}
        named: dict[str, set[str | None]] = {}
        delayed: dict[str, set[str | None]] = {}
        assumed = Counter[str]()
        for line in self._lines():
            service = line.word(SERVICE, _known(self.place.services), "a service:")
            unit = self._where(line, service)
            entry = self._entry(line, service, unit)
            named.setdefault(service, set()).add(unit)
            if line.get(STATE) and line.word(STATE, _known(list(STATES)), "one of") != IN_STAGE:
                delayed.setdefault(service, set()).add(unit)
            if line.get(ASSUMED):
                spread = line.get(ASSUMED) == SPREAD
                people = 0 if spread else int(float(line.get(PEOPLE) or 0))
                assumed += Counter(spread=int(spread), lines=int(not spread), people=people)
            lines = initial.setdefault(service, {})
            if entry is not None:
                lines[f"line_{line.number}"] = entry
        if not named:
            raise PlaceError(f"{self.path}: this census counts nobody; allowed: at least one line below the first.")
        counted_streams = self._counted_streams(named)
        return Census(
            initial, named, counted_streams, delayed, (assumed["people"], assumed["lines"], assumed["spread"])
        )

    def _where(self, line: _Line, service: str) -> str | None:
        split_by = self.place.services[service].split_by
        if split_by is None:
            if line.get(WHERE):
                raise line.wrong(WHERE, f"nothing, for {service} is not split by site or locality")
            return None
        titles: Mapping[str, Any] = self.place.sites if split_by == "site" else self.place.localities
        units = {u: titles[u] for u in units_of(self.place.services[service]) if u is not None}
        return line.word(WHERE, _known(units), f"a {split_by} of {service}:")

    def _entry(self, line: _Line, service: str, unit: str | None) -> dict[str, Any] | None:
        """The line as an initial caseload; None where it counts nobody."""
        stage = self._stage(line, service)
        state = IN_STAGE
        if line.get(STATE):
            state = line.word(STATE, _known(list(STATES)), "one of")
        amount = self._amount(line, service, state)
        entry: dict[str, Any] = {"stage": stage, **{k: {unit: n} if unit else n for k, n in amount.items()}}
        if state != IN_STAGE:
            entry["state"] = STATES[state]
        elif PEOPLE in amount:
            entry["mix"] = "present"
        if line.get(WAITING_FOR):
            if state == IN_STAGE:
                raise line.wrong(WAITING_FOR, "nothing for people in stage; a next stage for those ready or waiting")
            targets = leaves_of(self.place.stages[stage].next)
            titled = {t: self.place.stages.get(t) for t in targets}
            entry["waiting_for"] = line.word(WAITING_FOR, _known(titled), f"what follows {stage}:")
        if line.get(DAYS):
            entry["elapsed"] = self._days(line, ranges=PEOPLE in amount)
        entry |= self._attributes(line, service, stage, picked=PEOPLE in amount)
        return entry if any(amount.values()) else None

    def _stage(self, line: _Line, service: str) -> str:
        here = {name: stage for name, stage in self.place.stages.items() if stage.service == service}
        if line.get(STAGE):
            return line.word(STAGE, _known(here), f"a stage in {service}:")
        declared = [initial.stage for initial in self.place.services[service].initial.values()]
        meant = list(dict.fromkeys(declared)) or list(here)
        if len(meant) != 1:
            raise line.wrong(STAGE, f"a stage in {service}:", here)
        return meant[0]

    def _amount(self, line: _Line, service: str, state: str) -> dict[str, float]:
        people, hours = line.get(PEOPLE), line.get(HOURS)
        in_hours = self.place.services[service].unit == "hours_a_week"
        if hours and (people or not in_hours or state != IN_STAGE):
            raise line.wrong(HOURS, "nothing beside people; hours a week only for home care of people in stage")
        if hours:
            return {"units": self._number(line, HOURS, "hours a week, such as 350 or 350.5")}
        if not re.fullmatch(r"\d+(\.0+)?", people):
            raise line.wrong(PEOPLE, f"a whole number, 0 or more{' (or hours_a_week instead)' if in_hours else ''}")
        return {"people": int(float(people))}

    def _number(self, line: _Line, column: str, allowed: str) -> float:
        text = self._decimal(line.get(column))
        if not _NUMBER.match(text):
            raise line.wrong(column, allowed)
        return float(text)

    def _decimal(self, text: str) -> str:
        """A comma is a decimal point where it does not part the columns."""
        return text.replace(",", ".") if self.separator != "," else text

    def _days(self, line: _Line, ranges: bool) -> dict[str, Any]:
        text = self._decimal(line.get(DAYS))
        match = _RANGE.match(text)
        if match is not None and ranges and float(match[1]) < float(match[2]):
            return {"uniform": {"low": float(match[1]), "high": float(match[2])}, "unit": "days"}
        allowed = "days so far, such as 3 or 0.5" + (", a range such as 7 to 14" if ranges else "")
        return {"fixed": self._number(line, DAYS, f"{allowed}, or nothing where it is not known"), "unit": "days"}

    def _attributes(self, line: _Line, service: str, stage: str, picked: bool) -> dict[str, Any]:
        """What the people are: settled where such people are declared so, else looked for among those who come."""
        split_by = self.place.services[service].split_by
        declared = [initial.set for initial in self.place.services[service].initial.values() if initial.stage == stage]
        settled = dict(declared[0]) if declared else {}
        who: dict[str, str] = {}
        for name, levels in self.levels.items():
            if not line.get(name):
                continue
            level = line.word(name, _known(levels), "one of")
            if name == split_by:
                raise line.wrong(name, f"nothing: {service} is split by {name}, which stands in the column {WHERE}")
            chosen = name in self.place.choices and picked
            into = who if chosen and name not in settled else settled
            into[name] = level
        streams = self._bringing(stage) if picked and not declared and "stream" not in settled else []
        return {key: value for key, value in (("set", settled), ("who", who), ("streams", streams)) if value}

    def _bringing(self, stage: str) -> list[str]:
        """The streams that bring people to a stage: by the plain way, or else by any."""
        plain = [name for name in self.place.streams if stage in plain_way(self.place, name)]
        return plain or [name for name in self.streams_at[stage] if name != INITIAL]

    def _counted_streams(self, named: Mapping[str, Any]) -> tuple[str, ...]:
        """Streams whose `at_start` the census replaces: it has lines for the service they begin in."""
        return tuple(
            name
            for name, stream in self.place.streams.items()
            if stream.at_start is not None
            and any(s != LEAVE and self.place.stages[s].service in named for s in leaves_of(stream.first))
        )

    # what a user should know -----------------------------------------------------------------------------------------

    def notices(self, census: Census) -> Iterator[str]:
        empty: list[str] = []
        usual: list[str] = []
        for name, service in self.place.services.items():
            if service.role not in LONG_STAY:
                continue
            for unit in units_of(service):
                if unit in service.neighbours or unit in census.named.get(name, set()):
                    continue
                (usual if service.initial else empty).append(name if unit is None else f"{name}/{unit}")
        if empty:
            yield f"{self.path}: no line counts {', '.join(empty)}, which so start empty"
        if usual:
            yield f"{self.path}: no line counts {', '.join(usual)}, which so start with the place's own caseload"
        if missing := self._without_delayed(census):
            yield (
                f"{self.path}: no line counts people with no criteria to reside (state ready or waiting) in "
                f"{', '.join(missing)}, so that nobody there is delayed on the first day and the first weeks look "
                "better than they will be; `flowsim show census-template form=short` takes the beds occupied and "
                "fills in usual shares"
            )
        if doors := [name for name, service in self.place.services.items() if service.role == "ed"
                     and name not in census.named]:  # fmt: skip
            named = ", ".join(doors)
            yield f"{self.path}: no line counts {named}, so that nobody waits there for a bed on the first day"
        people, not_counted, spread = census.assumed
        if not_counted or spread:
            yield (
                f"{self.path}: {people:,} people in {counted(not_counted, 'line')} are usual numbers of the place, not "
                f"counted; {counted(spread, 'line')} spread what was counted by usual shares"
            )
        for name, lines in census.initial.items():
            yield from self._above_capacity(name, [Initial.model_validate(line) for line in lines.values()])

    def _without_delayed(self, census: Census) -> list[str]:
        """Wards with people of whom none is said to be ready or waiting, though people are delayed there at times."""
        missing = []
        for name, units in census.named.items():
            stages = [stage for stage in self.place.stages.values() if stage.service == name]
            onward = any(target != LEAVE for stage in stages for target in leaves_of(stage.next))
            if self.place.services[name].role != "ward" or not onward:
                continue
            own = [
                unit for unit in units_of(self.place.services[name]) if unit in units - census.delayed.get(name, set())
            ]
            missing += [name if unit is None else f"{name}/{unit}" for unit in own]
        return missing

    def _above_capacity(self, name: str, lines: list[Initial]) -> Iterator[str]:
        service = self.place.services[name]
        if isinstance(service.capacity, str):
            return
        weights = dict(service.by_site or service.by_locality or {})
        for unit in units_of(service):
            surge = sum(rule.share or 0.0 for rule in service.escalation.values())
            share = 1.0 if unit is None else weights.get(unit, 0.0) / (sum(weights.values()) or 1.0)
            capacity = service.neighbours[unit] if unit in service.neighbours else service.capacity * share
            amounts = [line.units if service.unit == "hours_a_week" else line.people for line in lines]
            counted = sum((a.get(str(unit), 0.0) if isinstance(a, dict) else float(a or 0)) for a in amounts)
            if counted > capacity * (1 + surge):
                where = name if unit is None else f"{name}/{unit}"
                words = service.unit.replace("_", " ")
                too_many = f"{counted:,.6g} are counted in {where}, which has {capacity:,.6g} {words}"
                yield f"{self.path}: {too_many}; it takes nobody new until it fits"
