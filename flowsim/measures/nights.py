"""Every night at 23:59: who is in acute beds, who of them is delayed, what each queue has in use and waiting, and which
beds are open because people queued for one."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd

from flowsim.measures.definition import ALL, WHOLE
from flowsim.measures.steps import count_each_day
from flowsim.measures.window import NO_PATHWAY, Window

_Series = list[tuple[str, str, str, np.ndarray]]
"""(where, of, state, (days,) counts)"""


def nights(window: Window) -> pd.DataFrame:
    """Every day of the run: columns as `Measured.nights` says."""
    history, days = window.history, window.history.days
    first = np.datetime64(history.place.run.first_date, "s")
    dates = first + np.arange(days) * np.timedelta64(1, "D").astype("timedelta64[s]")
    series = [*_in_beds(window), *_in_queues(window)]
    where, of, state, counts = zip(*series, strict=True)
    return pd.DataFrame(
        {"date": np.tile(dates, len(series)), "where": _each_day(where, days), "of": _each_day(of, days),
         "state": _each_day(state, days), "count": np.concatenate(counts)}
    )  # fmt: skip


def _in_beds(window: Window) -> _Series:
    """Of everybody and of each site."""
    series: _Series = []
    for i, where in enumerate([ALL, *window.sites]):
        pick = slice(None) if where == ALL else slice(i - 1, i)
        late = window.late[pick].sum(axis=0)
        series.append((where, WHOLE, "occupied", window.occupied[pick].sum(axis=0)))
        series.append((where, WHOLE, "delayed", late.sum(axis=0)))
        series += [(where, name, "delayed", late[p]) for p, name in enumerate([*window.pathways, NO_PATHWAY])]
    return series


def _in_queues(window: Window) -> _Series:
    """Of each queue."""
    history, series = window.history, []
    in_use, queueing, boarding = history.use.each_day(), history.queue_length.each_day(), _boarding(window)
    is_ed = history.queues_with("ed")
    extra = np.maximum(history.capacity.each_day() - history.planned_capacity.each_day(), 0)
    may_open = history.queues_with("ward") & np.isin(history.kind, _with_escalation(window))
    for q, kind in enumerate(history.kind):
        where, service = history.unit_name[q] or ALL, history.kind_names[kind]
        series.append((where, service, "in use", in_use[q] / history.service_of(service).units_each))
        series.append((where, service, "waiting", queueing[q]))
        if is_ed[q]:
            series.append((where, service, "boarding", boarding[q]))
        if may_open[q]:
            series.append((where, service, "extra beds", extra[q] / history.service_of(service).units_each))
    return series


def _with_escalation(window: Window) -> list[int]:
    """The kinds of services that open more when people queue, before the scenario or with it."""
    history = window.history
    places = [place for place in (history.place, history.place.before) if place is not None]
    names = {name for place in places for name, service in place.services.items() if service.escalation}
    return [number for number, kind in enumerate(history.kind_names) if kind in names]


def _boarding(window: Window) -> np.ndarray:
    """People in each emergency department whose admission was decided: (S, days)."""
    history, s = window.history, window.history.stamps
    wanted = np.flatnonzero(window.in_ward & (s.joined >= 0))
    asking = history.previous.take(wanted)
    from_ed = (asking >= 0) & window.in_ed.take(asking) & (history.journeys.rows.next.take(asking) == wanted)
    boards = asking.take(np.flatnonzero(from_ed))
    after = history.following.take(boards)
    leaves = (after < 0) | ~window.in_ed.take(after)
    boards = boards[leaves & (s.ready.take(boards) >= 0)]
    ready = s.ready.take(boards)
    end = np.maximum(history.left.take(boards), ready)
    return count_each_day(history.service.take(boards), history.n_queues, ready, end, history.days)


@lru_cache(maxsize=8)
def _each_day(words: tuple[str, ...], days: int) -> pd.Categorical[str]:
    """Each word once a day, all days of one behind the other: (words x days,). Kept: a place's are always the same."""
    return pd.Categorical(words).repeat(days)
