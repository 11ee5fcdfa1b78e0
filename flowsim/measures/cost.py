"""What the services cost, and who pays.

`per: day` pays each unit for every day in use, `hour_of_care` for every hour delivered (a package of so many hours a
week, for as long as it is in use), `start` for every person who came. Staff are paid for being there, not for being at
work: their capacity, by the day. A block that is `paid_whether_used` is taken to be
used last: what of it nobody used is paid for as well. Neighbours' own services are left out.
"""

from __future__ import annotations

import numpy as np

from flowsim.measures.history import History
from flowsim.model.capacity import block_amount, queue_name, split
from flowsim.place import Service


def costs(history: History, start: int, end: int) -> dict[str, float]:
    """Pounds within [start, end) by kind of service or staff pool; those without a unit cost are left out."""
    use = history.in_use.area(history.n_queues, start, end)
    open_units = history.capacity.area(history.n_queues, start, end)
    found = {}
    for k, kind in enumerate(history.kind_names):
        service = history.service_of(kind)
        if service.cost is None:
            continue
        ours = np.flatnonzero((history.kind == k) & ~history.is_neighbour)
        if service.cost.per == "start":
            found[kind] = service.cost.amount * _starts(history, ours, start, end)
        elif kind in history.place.pools:
            found[kind] = service.cost.amount * float(open_units[ours].sum()) / 1440  # for being there
        else:
            unused = sum(_unused_blocks(history, kind, service, int(q), start, end) for q in ours)
            found[kind] = _price(service) * (float(use[ours].sum()) + unused)
    return found


def by_payer(history: History, by_kind: dict[str, float]) -> dict[str, float]:
    """The same by payer: "all", then NHS, council, person."""
    found = {"all": sum(by_kind.values()), "NHS": 0.0, "council": 0.0, "person": 0.0}
    for kind, pounds in by_kind.items():
        cost = history.service_of(kind).cost
        assert cost is not None
        found[cost.payer] += pounds
    return found


def _price(service: Service) -> float:
    """Pounds for one engine unit in use for one minute."""
    cost = service.cost
    assert cost is not None
    if cost.per == "day":
        return cost.amount / 1440 / service.units_each
    return cost.amount / service.units_each / (7 * 1440)


def _starts(history: History, queues: np.ndarray, start: int, end: int) -> int:
    started = history.spells.started
    new = (started >= start) & (started < end) & ~history.continues & ~history.initial
    return int((new & np.isin(history.journeys.rows.service, queues)).sum())


def _unused_blocks(history: History, kind: str, service: Service, queue: int, start: int, end: int) -> float:
    """Unit-minutes of blocks paid whether used or not that nobody used in this queue."""
    run = history.place.run
    paid = np.zeros(history.horizon + 1)
    for block in service.blocks.values():
        if block.paid_whether_used and block.add > 0:
            for unit, units in split(service, block_amount(block) * run.scale, block.split).items():
                if queue_name(kind, unit) == history.network.names[queue]:
                    first, last = run.minute_of(block.from_date), run.minute_of(block.end)
                    paid[max(first, 0) : max(min(last, history.horizon), 0)] += units
    if not paid[start:end].any():
        return 0.0
    unused = _minute_by_minute(*history.capacity.of(queue), history.horizon)
    unused -= _minute_by_minute(*history.use.of(queue), history.horizon)
    return float(np.minimum(paid[:-1], np.maximum(unused, 0))[start:end].sum())


def _minute_by_minute(change: np.ndarray, level: np.ndarray, horizon: int) -> np.ndarray:
    """A step function's level when each minute of the run was over: (horizon,) int64; 0 before its first change."""
    ends = np.append(change, horizon)
    lengths = np.maximum(np.diff(np.minimum(ends, horizon)), 0)
    return np.concatenate([np.zeros(min(ends[0], horizon), dtype=np.int64), np.repeat(level, lengths)])
