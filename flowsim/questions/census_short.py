"""What a planner has at eight in the morning: a census in a few lines, and its completion by the place's usual shares.

The long form (`census_template.py`), which `census=` reads, says of everybody how long they have been there and what
they wait for. Nobody has all of that by eight. The short form counts a hospital's occupied beds, people with no
criteria to reside by pathway, people in the emergency department and of these waiting for a bed, and the caseload of
each community service. How these are spread is taken from mornings of the model, and each line says so.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flowsim.declare.census import ASSUMED, COLUMNS, HOURS, IN_STAGE, PEOPLE, SERVICE, SPREAD, STATE, USUAL, WHERE
from flowsim.declare.yaml_and_csv import read_csv
from flowsim.place import Place, PlaceError, apportion, refuse
from flowsim.questions.census_template import EXTRA, usual_lines

FORMS = ("long", "short")
COUNT, PATHWAY = "count", "pathway"
OCCUPIED, NO_CRITERIA = "beds occupied", "no criteria to reside"
IN_THE_ED, FOR_A_BED, CASELOAD = "in the emergency department", "of these waiting for a bed", "caseload"
SHORT_COLUMNS = (COUNT, SERVICE, WHERE, PATHWAY, PEOPLE, HOURS)
MORNINGS = 3
"""Of so many mornings the mean is usual: a pathway at a small hospital has a handful of people on any one of them."""

Line = dict[str, object]


@dataclass(frozen=True)
class _Group:
    """Lines of the long form that one line of the short form counts together."""

    count: str
    service: str
    where: str
    pathway: str

    def __str__(self) -> str:
        return ", ".join(part for part in (self.count, self.service, self.where, self.pathway) if part)


def short_template(place: Place, seed: int = 1) -> str:
    """CSV to be filled in, with the model's own usual numbers in it. Columns `SHORT_COLUMNS`."""
    usual = list(usual_lines(place, seed, MORNINGS))
    totals = {group: _total(lines) for group, lines in _grouped(place, usual).items() if group.count != FOR_A_BED}
    waiting = {group: _total(lines) for group, lines in _grouped(place, usual).items() if group.count == FOR_A_BED}
    rows: list[Line] = []
    for group, total in totals.items():
        of_these = [
            (other, n) for other, n in waiting.items() if (other.service, other.where) == (group.service, group.where)
        ]
        if group.count == OCCUPIED:  # beds are counted full, whoever is in them
            total += sum(n for other, n in totals.items() if other.count == NO_CRITERIA and _beside(group, other))
        rows.append(_row(place, group, total + sum(n for _, n in of_these)))
        rows += [_row(place, other, n) for other, n in of_these]
    return _text(SHORT_COLUMNS, rows)


def completed(place: Place, path: str | Path, seed: int = 1) -> str:
    """A filled-in short form as a census in the long form, every line marked in the column ``assumed``.

    Raises PlaceError, with file and line, for what the place has not, and for parts that are more than their whole.
    """
    counted = _read_short(Path(path), place)
    usual = list(usual_lines(place, seed, MORNINGS))
    groups = _grouped(place, usual)
    rows: list[Line] = []
    for group in dict.fromkeys((*groups, *counted)):
        lines = groups.get(group) or _borrowed(group, groups)
        if not lines and counted.get(group):
            raise PlaceError(
                f"{path}: {group}: {counted[group]:g} were given; allowed: 0, for nobody is there usually."
            )
        total = _meant(group, counted, groups, path)
        mark = SPREAD if group in counted or (group.count == OCCUPIED and total is not None) else USUAL
        rows += [{**line, ASSUMED: mark} for line in _scaled(lines, total)]
    rows += [{**line, ASSUMED: USUAL} for line in usual if _group(place, line) is None]
    order = {str(line[SERVICE]): at for at, line in reversed(list(enumerate(usual)))}
    rows.sort(key=lambda line: (order.get(str(line[SERVICE]), len(order)), str(line[WHERE])))
    return _text((*COLUMNS, *(name for name in EXTRA if any(row.get(name) for row in rows)), ASSUMED), rows)


def _meant(
    group: _Group, counted: dict[_Group, float], groups: dict[_Group, list[Line]], path: str | Path
) -> float | None:
    """To how many the lines of a group come; None for as many as usual. Of those with no criteria to reside who are not
    counted there are as many as usual for the beds that are occupied."""
    whole = {OCCUPIED: NO_CRITERIA, IN_THE_ED: FOR_A_BED}
    if group.count in whole:
        parts = [
            one for one in dict.fromkeys((*groups, *counted)) if one.count == whole[group.count] and _beside(group, one)
        ]
        if group not in counted:
            return None
        used = sum(_rest_of(part, counted, groups) for part in parts)
        if used > counted[group]:
            given = f"{counted[group]:g} are counted, and {used:g} of them as {whole[group.count]}"
            raise PlaceError(f"{path}: {group}: {given}; allowed: at least as many in all.")
        return counted[group] - used
    return _rest_of(group, counted, groups) if group.count in (NO_CRITERIA, FOR_A_BED) else counted.get(group)


def _rest_of(part: _Group, counted: dict[_Group, float], groups: dict[_Group, list[Line]]) -> float:
    """How many a part of a counted whole has: counted itself, or the usual share of the whole."""
    if part in counted:
        return counted[part]
    usual = _total(groups.get(part, []))
    whole = next((one for one in groups if one.count in (OCCUPIED, IN_THE_ED) and _beside(one, part)), None)
    if whole is None or whole not in counted:
        return usual
    beside = sum(_total(lines) for one, lines in groups.items() if _beside(whole, one) or one == whole)
    return round(counted[whole] * usual / beside) if beside else usual


def _beside(whole: _Group, part: _Group) -> bool:
    return part.count in (NO_CRITERIA, FOR_A_BED) and (whole.service, whole.where) == (part.service, part.where)


def _group(place: Place, line: Line) -> _Group | None:
    """The line of the short form in which a line of the long one is counted; None for one that is in none."""
    service, where = str(line[SERVICE]), str(line[WHERE])
    role, moving = place.services[service].role, line[STATE] != IN_STAGE
    if role == "ward":
        pathway = str(line.get(PATHWAY) or "")
        return _Group(NO_CRITERIA, service, where, pathway) if moving else _Group(OCCUPIED, service, where, "")
    if role == "ed":
        return _Group(FOR_A_BED if moving else IN_THE_ED, service, where, "")
    return None if role in ("outside", "same_day") else _Group(CASELOAD, service, where, "")


def _grouped(place: Place, lines: Sequence[Line]) -> dict[_Group, list[Line]]:
    groups: dict[_Group, list[Line]] = {}
    for line in lines:
        group = _group(place, line)
        if group is not None:
            groups.setdefault(group, []).append(line)
    return groups


def _borrowed(group: _Group, groups: dict[_Group, list[Line]]) -> list[Line]:
    """The lines of the same group elsewhere, where a service has usually nobody of it."""
    same = [
        one for one in groups if (one.count, one.service, one.pathway) == (group.count, group.service, group.pathway)
    ]
    return [{**line, WHERE: group.where} for line in groups[same[0]]] if same else []


def _amount(line: Line) -> tuple[str, float]:
    column = HOURS if line.get(HOURS) not in (None, "") else PEOPLE
    return column, float(str(line[column]))


def _total(lines: Sequence[Line]) -> float:
    """Hours a week where the lines are of hours, else people; who waits with hours counts in neither."""
    amounts = [_amount(line) for line in lines]
    in_hours = any(column == HOURS for column, _ in amounts)
    return sum(amount for column, amount in amounts if (column == HOURS) == in_hours)


def _scaled(lines: Sequence[Line], total: float | None) -> Iterator[Line]:
    """Lines that come to a total in the proportion they have, in whole people; None leaves them."""
    usual = _total(lines)
    if total is None or not usual:
        yield from lines
        return
    in_hours = any(_amount(line)[0] == HOURS for line in lines)
    weights = {str(at): _amount(line)[1] for at, line in enumerate(lines) if (_amount(line)[0] == HOURS) == in_hours}
    parts = apportion(total, weights)
    for at, line in enumerate(lines):
        column, amount = _amount(line)
        made = parts[str(at)] if str(at) in parts else round(amount * total / usual)
        yield {**line, column: made}


def _row(place: Place, group: _Group, total: float) -> Line:
    in_hours = place.services[group.service].unit == "hours_a_week" and group.count == CASELOAD
    words = {COUNT: group.count, SERVICE: group.service, WHERE: group.where, PATHWAY: group.pathway}
    return {**words, HOURS if in_hours else PEOPLE: round(total)}


def _read_short(path: Path, place: Place) -> dict[_Group, float]:
    """What was counted, by group; a line without a number was not. Raises PlaceError."""
    if not path.is_file():
        raise PlaceError(
            f"counts: {str(path)!r} was given; allowed: a short form that `form=short` wrote and you filled in."
        )
    _, rows = read_csv(path)
    head = [cell.strip().lower().replace(" ", "_") for cell in rows[0][1]] if rows else []
    if missing := [name for name in (COUNT, SERVICE, PEOPLE) if name not in head]:
        raise PlaceError(f"{path}, line 1: there is no column {missing[0]!r}; allowed: {', '.join(SHORT_COLUMNS)}.")
    counted: dict[_Group, float] = {}
    for number, cells in rows[1:]:
        line = dict(zip(head, (cell.strip() for cell in cells), strict=False))
        text = line.get(HOURS) or line.get(PEOPLE, "")
        if not text:
            continue
        at = f"{path}, line {number}, column"
        counts = (OCCUPIED, NO_CRITERIA, IN_THE_ED, FOR_A_BED, CASELOAD)
        if line[COUNT] not in counts:
            raise refuse(f"{at} {COUNT}", line[COUNT], "one of", counts)
        if line[SERVICE] not in place.services:
            raise refuse(f"{at} {SERVICE}", line[SERVICE], "a service:", place.services)
        service = place.services[line[SERVICE]]
        own = list(service.by_site or service.by_locality or {"": 0})
        if line.get(WHERE, "") not in own:
            raise refuse(f"{at} {WHERE}", line.get(WHERE, ""), "one of", own)
        if not text.replace(".", "", 1).isdigit():
            raise refuse(f"{at} {PEOPLE}", text, "a number, 0 or more, or nothing where it was not counted")
        pathway = line.get(PATHWAY, "") if line[COUNT] == NO_CRITERIA else ""
        counted[_Group(line[COUNT], line[SERVICE], line.get(WHERE, ""), pathway)] = float(text)
    return counted


def _text(columns: Sequence[str], rows: Sequence[Line]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
