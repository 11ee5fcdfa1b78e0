"""What the services and the schemes cost by what is used of them, and who pays; what is paid is told by `money`.

`per: day` pays each unit for every day in use, `hour_of_care` for every hour delivered (a package of so many hours a
week, for as long as it is in use), `start` for every person who came. Staff are paid for being there, not for being at
work: by the day, or by the opening hour of their calendar; per start they are paid for each task. A block that is
`paid_whether_used` is taken to be used last: what of it nobody used is paid for as well. The lines of `costs` are paid
whatever happens. Neighbours' own services are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np

from flowsim.measures.definition import ALL, FLOWSIM, WHOLE, Measure, Value, computes
from flowsim.measures.history import History
from flowsim.measures.window import Window
from flowsim.model.calendar import DAY
from flowsim.place import CostLine, Payer, Place, Service
from flowsim.place.queues import block_amount, queue_name, split

PAYERS: tuple[str, ...] = get_args(Payer)
HOUR, WEEK, YEAR = 60, 7 * DAY, 365 * DAY
"""Minutes; a year of money is 365 days of it."""


@dataclass(frozen=True)
class Spent:
    """Pounds spent on a service, a staff pool or a line of `costs`, and the share of them that each payer pays."""

    name: str
    pounds: float
    payers: Mapping[str, float]


@computes(
    Measure(
        "cost_total", "Cost of what is used", "£",
        "Unit costs times what was in use (or, for staff and blocks paid whether used or not, what was "
        "there), neighbours' own services left out: a reckoning of use, not what is paid (see money_spent).",
        FLOWSIM + "; unit costs as each place's sources say", -1, adds_up=True,
    ),
    Measure(
        "cost_by_service", "Cost of what is used, by service", "£",
        "The part of the cost of what is used that each kind of service makes.",
        FLOWSIM, -1, adds_up=True,
    ),
)  # fmt: skip
def cost(window: Window) -> Iterator[Value]:
    """What was spent, by who pays and by what for."""
    spent = costs(window.history, window.start, window.end)
    for payer, pounds in by_payer(spent).items():
        yield "cost_total", ALL, WHOLE if payer == ALL else payer, pounds
    for name, pounds in by_name(spent).items():
        yield "cost_by_service", ALL, name, pounds


def costs(history: History, start: int, end: int) -> list[Spent]:
    """What was spent within [start, end): services and pools in the network's order, then schemes; those without a
    cost are left out."""
    use = history.use.area(start, end)
    spent = []
    for k, kind in enumerate(history.kind_names):
        service = history.service_of(kind)
        if service.cost is not None:
            ours = np.flatnonzero((history.kind == k) & ~history.is_neighbour)
            pounds = service.cost.amount * _paid_for(history, kind, service, ours, use, start, end)
            spent.append(Spent(kind, pounds, service.cost.payers))
    return [*spent, *lines(history.place, start, end)]


def lines(place: Place, start: int, end: int) -> Iterator[Spent]:
    """What the lines of `costs` come to within [start, end); until the policy starts, those of the place before it.

    The names depend on the place alone: a line that costs nothing in the window is there.
    """
    run = place.run
    begins = run.measured_from if run.policy_start is None else run.switch
    spans = [(place, 0, run.horizon)]
    if place.before is not None:
        spans = [(place.before, 0, begins), (place, begins, run.horizon)]
    for declared, first, last in spans:
        for name, line in declared.costs.items():
            minutes = _minutes_within(line, place, max(first, start), min(last, end))
            yield Spent(name, line.amount * run.scale * minutes / _minutes_each(line), line.payers)


def by_name(spent: list[Spent]) -> dict[str, float]:
    """Pounds by service, pool or scheme."""
    pounds: dict[str, float] = {}
    for one in spent:
        pounds[one.name] = pounds.get(one.name, 0.0) + one.pounds
    return pounds


def by_payer(spent: list[Spent]) -> dict[str, float]:
    """Pounds by payer: "all", then NHS, council, person."""
    pounds = {ALL: sum(one.pounds for one in spent)} | dict.fromkeys(PAYERS, 0.0)
    for one in spent:
        for payer, share in one.payers.items():
            pounds[payer] += share * one.pounds
    return pounds


def _minutes_within(line: CostLine, place: Place, start: int, end: int) -> int:
    run = place.run
    first = 0 if line.from_date is None else run.minute_of(line.from_date)
    last = run.horizon if line.end is None else run.minute_of(line.end)
    return max(min(last, end) - max(first, start), 0)


def _minutes_each(line: CostLine) -> int:
    """The minutes that a line's amount is for."""
    if line.from_date is not None and line.end is not None and line.per == "total":
        return (line.end - line.from_date).days * DAY
    return YEAR if line.per == "year" else WEEK


def _paid_for(
    history: History, kind: str, service: Service, queues: np.ndarray, use: np.ndarray, start: int, end: int
) -> float:
    """How often the amount of a service's cost is paid within [start, end): starts, unit-days or hours."""
    assert service.cost is not None
    pool = kind in history.place.pools
    if service.cost.per == "start":
        return tasks_of(history, queues, start, end) if pool else int(history.starts(start, end)[queues].sum())
    if service.cost.per == "hour_of_staff":
        return sum(_open_minutes(history, int(q), start, end) for q in queues) / HOUR
    if pool or service.cost.per in ("unit_a_day", "unit_a_week"):  # for being there
        there = float(history.capacity.area(start, end)[queues].sum())
        return there / (WEEK if service.cost.per == "unit_a_week" else DAY) / service.units_each
    unused = sum(_unused_blocks(history, kind, service, int(q), start, end) for q in queues)
    minutes_each = DAY if service.cost.per == "day" else WEEK
    return (float(use[queues].sum()) + unused) / minutes_each / service.units_each


def tasks_of(history: History, pools: np.ndarray, start: int, end: int) -> int:
    """How many tasks these pools began within [start, end)."""
    granted = history.staffed.granted
    return int(((granted >= start) & (granted < end) & np.isin(history.staffed.pool, pools)).sum())


def _open_minutes(history: History, pool: int, start: int, end: int) -> float:
    """Staff-minutes in which a pool was open within [start, end)."""
    minute, level = history.capacity.of(pool)
    first = np.clip(minute, start, end)
    last = np.append(first[1:], end)
    opened = history.network.calendars.open_between(int(history.network.calendar[pool]), first, last)
    return float((level * opened).sum())


def _unused_blocks(history: History, kind: str, service: Service, queue: int, start: int, end: int) -> float:
    """Unit-minutes of blocks paid whether used or not that nobody used in this queue."""
    run = history.place.run
    blocks = []
    for block in service.blocks.values():
        if block.paid_whether_used and block.add > 0:
            units = split(service, block_amount(block) * run.scale, block.split)
            paid = sum(n for unit, n in units.items() if queue_name(kind, unit) == history.network.names[queue])
            blocks.append((run.minute_of(block.from_date), run.minute_of(block.end), paid))
    if not blocks:
        return 0.0
    edges = [np.array([start, end, *(edge for first, last, _ in blocks for edge in (first, last))])]
    edges += [steps.of(queue)[0] for steps in (history.capacity, history.use)]
    minute = np.unique(np.clip(np.concatenate(edges), start, end))
    paid_for = np.zeros(len(minute))
    for first, last, units_paid in blocks:
        paid_for += units_paid * ((minute >= first) & (minute < last))
    here = np.full(len(minute), queue)
    unused = np.maximum(history.capacity.at(here, minute) - history.use.at(here, minute), 0)
    return float((np.minimum(paid_for, unused)[:-1] * np.diff(minute)).sum())
