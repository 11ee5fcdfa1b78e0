"""Runs that are the same until a minute share the run up to it (compiled engine only).

The run of one scenario is stopped between two minutes and what happened so far is kept: the *trunk*. Another scenario
lays out tables of its own and takes over, in its own numbering, all that happened; from that minute on it is on its
own. That both are the same so far is not believed but looked up, in everything that a run of its own would have read by
then: who came, what was planned for them, capacities, quotas, calendars, looks and displacements. Where anything
differs, the scenario is run from the beginning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flowsim.engine import compiled, layout
from flowsim.engine.layout import Tables
from flowsim.engine.stamps import Stamps
from flowsim.model.calendar import ALWAYS_OPEN, DAY, Calendars
from flowsim.model.compared import ByOpenings, ByService, InOrder, InWhole, NotAtAll, Until, Way, ways_of_comparing
from flowsim.model.tables import Journeys, Network

LEAST_SHARE = 1 / 3
"""A smaller part of a run is not shared: to keep it and to look whether it is the same would take as long."""

WAYS = ways_of_comparing(Network)
"""How each field of a network is compared, as it declares itself."""


@dataclass(frozen=True)
class Trunk:
    """All that happened before a minute to those who came by then, k spells with r rows and t tasks.

    Attributes:
        minute: the first that is not in it.
        network: of the scenario that was run.
        came: who came: number, minute of arrival and whether they were there at the start, (3, n).
        number: (N,) of all spells of that scenario.
        who: (k,) which of them came, or will be readmitted; first: (k,) the first row of each.
        begin: (k + 1,) where the rows of each begin among the r; task_begin: (r,) the same of tasks among the t.
        order: (2, r) priority and displacement mark of the rows, as planned.
        spells, rows, tasks, stamps, rare, services, rules, log: tables of the kernel.
        events: (k, 7) the minutes of all events to come, -1 for none.
    """

    minute: int
    network: Network
    came: np.ndarray
    number: np.ndarray
    who: np.ndarray
    first: np.ndarray
    begin: np.ndarray
    task_begin: np.ndarray
    order: np.ndarray
    spells: np.ndarray
    rows: np.ndarray
    tasks: np.ndarray
    stamps: np.ndarray
    rare: np.ndarray
    services: np.ndarray
    rules: np.ndarray
    log: np.ndarray
    events: np.ndarray


def pays(minute: int, horizon: int) -> bool:
    """Is so much of a run worth being shared?"""
    return LEAST_SHARE * horizon <= minute < horizon


def run_to_share(journeys: Journeys, network: Network, minute: int) -> tuple[Stamps, Trunk]:
    """`compiled.run`, and its trunk up to a minute (0 < minute < horizon)."""
    kernel = compiled.load_kernel()
    tables = compiled.lay_out(journeys, network)
    # The kernel stops between two minutes: nothing is half done, and all there is stands in the tables.
    kernel.advance(*tables, 0, minute)
    trunk = _cut(tables, journeys, network, minute)
    return _run_on(tables, journeys, network, minute), trunk


def run_from(trunk: Trunk, journeys: Journeys, network: Network) -> tuple[Stamps, bool]:
    """`compiled.run`, and whether the trunk could be taken over; if not, the run is a whole one."""
    tables = compiled.lay_out(journeys, network)
    renamed = _renamed(trunk.network, network)
    shared = _same_services(trunk, network, renamed) and _taken_over(trunk, journeys, network, renamed, tables)
    return _run_on(tables, journeys, network, trunk.minute if shared else 0), shared


def _run_on(tables: Tables, journeys: Journeys, network: Network, begin: int) -> Stamps:
    compiled.load_kernel().advance(*tables, begin, network.horizon)
    compiled.refuse_standstill(tables, journeys, network)
    return compiled.collect(*tables.happened)


# ---------------------------------------------------------------------------------------------------------------------
# Keeping


def _cut(tables: Tables, journeys: Journeys, network: Network, minute: int) -> Trunk:
    k = compiled.load_kernel()
    rows, tasks, spells = tables.rows, tables.tasks, tables.spells
    n = len(journeys.spells.number)
    # Who has not come yet is as planned, except for a readmission that is due: its parent's leaving has set its minute.
    waits = spells[:n, layout.MARKS] & (1 << int(k.READMISSION)) != 0
    touched = (spells[:n, layout.PHASE] != layout.AWAY) | waits
    who = np.flatnonzero(touched)
    events = np.empty((len(who), int(k.MAIN) + 1), dtype=np.int64)
    compiled.load_carry().minutes_of_events(spells, who, events)

    first = _first_rows(journeys)
    touched_rows = np.flatnonzero(touched[journeys.rows.spell])
    counts = (rows[touched_rows, layout.N_BEFORE] + rows[touched_rows, layout.N_AFTER]).astype(np.int64)
    task_begin = np.cumsum(counts) - counts
    touched_tasks = np.repeat(rows[touched_rows, layout.FIRST_TASK] - task_begin, counts) + np.arange(counts.sum())
    return Trunk(
        minute=minute,
        network=network,
        came=_came(journeys, minute),
        number=journeys.spells.number,
        who=who,
        first=first[who],
        begin=np.concatenate([[0], np.cumsum(first[who + 1] - first[who])]),
        task_begin=task_begin,
        order=_order(journeys, touched_rows),
        spells=spells[who],
        rows=rows[touched_rows],
        tasks=tasks[touched_tasks],
        stamps=tables.stamps[touched_rows],
        rare=tables.rare,
        services=tables.services.copy(),
        rules=tables.rules.copy(),
        log=tables.log[: tables.run[layout.N_LOG]].copy(),
        events=events,
    )


def _came(journeys: Journeys, minute: int) -> np.ndarray:
    spells = journeys.spells
    came = np.flatnonzero((spells.initial != 0) | ((spells.arrival >= 0) & (spells.arrival < minute)))
    return np.stack(
        [spells.number[came], np.where(spells.initial[came], 0, spells.arrival[came]), spells.initial[came]]
    )


def _first_rows(journeys: Journeys) -> np.ndarray:
    """The first row of each spell, and one behind the last: (N + 1,)."""
    n = len(journeys.spells.number)
    return np.concatenate([[0], np.cumsum(np.bincount(journeys.rows.spell, minlength=n))])


def _order(journeys: Journeys, rows: np.ndarray) -> np.ndarray:
    return np.stack([journeys.rows.priority[rows], journeys.rows.displacement_mark[rows]])


# ---------------------------------------------------------------------------------------------------------------------
# Looking whether it is the same


def _renamed(old: Network, new: Network) -> np.ndarray:
    """The index that each service of the one network has in the other, -1 for none."""
    index = {name: s for s, name in enumerate(new.names)}
    return np.array([index.get(name, -1) for name in old.names], dtype=np.int64)


def _same_services(trunk: Trunk, new: Network, renamed: np.ndarray) -> bool:
    """Were all services that both have the same so far, and those that one has alone of no consequence?"""
    both = np.flatnonzero(renamed >= 0)
    classes = _classes(trunk.network.calendars, new.calendars, trunk.minute)
    one = _SoFar(trunk.network, trunk.minute, both, renamed, classes[0])
    other = _SoFar(new, trunk.minute, renamed[both], np.arange(len(new.names)), classes[1])
    return all(np.array_equal(one.of(name, way), other.of(name, way)) for name, way in WAYS.items())


@dataclass(frozen=True)
class _SoFar:
    """What a run has read of a network before a minute, in the words of the run that would take over.

    Attributes:
        services: (n,) those that both runs have, by their index in this network and in one order for both.
        renamed: (S,) the index that each service has in the network of the run that would take over, -1 for none.
        classes: (C + 1,) as of `_classes`.
    """

    network: Network
    minute: int
    services: np.ndarray
    renamed: np.ndarray
    classes: np.ndarray

    def of(self, name: str, way: Way) -> np.ndarray:
        """That part of a field that has to be the same in both."""
        field = getattr(self.network, name)
        match way:
            case InWhole(part):
                return np.asarray(getattr(field, part) if part else field)
            case InOrder():
                return np.argsort(self.services)
            case ByService(each):
                return field[self.services][:, : self._begun(each)] if each else field[self.services]
            case ByOpenings():
                return self.classes[field[self.services]]
            case Until():
                return self._happened(field, way)
            case NotAtAll():
                return np.zeros(0)

    def _begun(self, each: str) -> int:
        """How many days or weeks have begun before the minute."""
        days = (self.minute - 1) // DAY + 1
        return days if each == "day" else (days - 1 + self.network.first_weekday) // 7 + 1

    def _happened(self, column: np.ndarray, way: Until) -> np.ndarray:
        early = getattr(self.network, way.minute) < self.minute
        if way.only:
            early &= np.isin(getattr(self.network, way.only), self.services)
        entries = column[getattr(self.network, way.through)[early]] if way.through else column[early]
        # A service that the other run has not is -1 here and never there, so an entry which names it stops sharing.
        return self.renamed[entries] if way.names_service else entries


def _classes(old: Calendars, new: Calendars, end: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers for the calendars of two runs, the same for those that are open in the same minutes before `end`.

    The last number of each is that of the calendar -1, which is always open.
    """
    known = {old.before(ALWAYS_OPEN, end).tobytes(): 0}
    numbered = []
    for calendars in (old, new):
        openings = [
            calendars.before(calendar, end).tobytes() for calendar in (*range(len(calendars.names)), ALWAYS_OPEN)
        ]
        numbered.append(np.array([known.setdefault(one, len(known)) for one in openings], dtype=np.int64))
    return numbered[0], numbered[1]


# ---------------------------------------------------------------------------------------------------------------------
# Taking over


def _taken_over(trunk: Trunk, journeys: Journeys, network: Network, renamed: np.ndarray, tables: Tables) -> bool:
    """Put the trunk into the tables of a run that has not begun; False, and nothing done, where it is not the same."""
    compiled_carry = compiled.load_carry()
    number = journeys.spells.number
    if not np.array_equal(trunk.came, _came(journeys, trunk.minute)):
        return False
    wanted = trunk.number[trunk.who]
    new_of = np.searchsorted(number, wanted)
    if len(wanted) and (new_of[-1] >= len(number) or (number[new_of] != wanted).any()):
        return False
    # A child that waits to be readmitted has done nothing of its own plan, so that plan may differ.
    active = trunk.spells[:, layout.PHASE] != layout.AWAY
    first = _first_rows(journeys)
    if not compiled_carry.same_plans(
        trunk.rows, trunk.rare, trunk.tasks, trunk.begin, trunk.task_begin, trunk.first, trunk.number, active, new_of,
        tables.rows, tables.rare, tables.tasks, first, number, renamed,
        *_classes(trunk.network.calendars, network.calendars, trunk.minute),
    ):  # fmt: skip
        return False
    of_active = np.zeros(len(number), dtype=bool)
    of_active[new_of[active]] = True
    active_rows = np.flatnonzero(of_active[journeys.rows.spell])
    # Priorities are packed anew in each run (`_small_priorities`), so they are compared as they were planned.
    if not np.array_equal(trunk.order[:, np.repeat(active, np.diff(trunk.begin))], _order(journeys, active_rows)):
        return False

    at_of = np.full(len(trunk.number), -1, dtype=np.int64)
    at_of[trunk.who] = np.arange(len(trunk.who))
    compiled_carry.carry(
        trunk.rows, trunk.tasks, trunk.stamps, trunk.spells, trunk.events, trunk.begin, trunk.task_begin, trunk.first,
        at_of, active, new_of, first, renamed, tables.rows, tables.rare, tables.tasks, tables.stamps, tables.spells,
        tables.services, tables.heads, tables.openings, tables.first, tables.run, trunk.minute,
    )  # fmt: skip
    _services_taken_over(trunk, network, renamed, tables)
    return True


def _services_taken_over(trunk: Trunk, network: Network, renamed: np.ndarray, tables: Tables) -> None:
    """Services, rules, log, and how far the tables of fixed minutes are done with."""
    services, state, log = tables.services, tables.run, tables.log
    in_old = np.flatnonzero(renamed >= 0)
    for column in (
        layout.IN_USE, layout.CAPACITY, layout.ESCALATION, layout.QUOTA_DAY, layout.USED_DAY, layout.QUOTA_WEEK,
        layout.USED_WEEK, layout.LOGGED,
    ):  # fmt: skip
        services[renamed[in_old], column] = trunk.services[in_old, column]
    ours = trunk.log.copy()
    ours[:, layout.LOG_SERVICE] = renamed[trunk.log[:, layout.LOG_SERVICE]]
    entries = [*ours[ours[:, layout.LOG_SERVICE] >= 0].tolist()]

    others = np.ones(len(services), dtype=bool)  # that nobody has used so far
    others[renamed[in_old]] = False
    # A service that only this run has is not in the trunk: its steps so far, and what they wrote in the log, are made
    # up for.
    before = network.step_minute < trunk.minute
    for step in np.flatnonzero(before & others[network.step_service]):
        s, capacity = network.step_service[step], network.step_capacity[step]
        services[s, layout.CAPACITY] = capacity
        if capacity != services[s, layout.LOGGED]:
            services[s, layout.LOGGED] = capacity
            entries.append([network.step_minute[step], s, capacity, 0, 0, network.step_reason[step]])
    logged = np.array(entries, dtype=np.int64).reshape(len(entries), log.shape[1])
    log[: len(logged)] = logged[np.lexsort((logged[:, layout.LOG_SERVICE], logged[:, layout.LOG_MINUTE]))]

    # Escalation itself was carried in `services`; here whether each rule is open, else it would open twice.
    # Rules have been compared look by look, so the k-th look of the one run is by the same rule as that of the other.
    old_rule, rule = (n.look_rule[n.look_minute < trunk.minute] for n in (trunk.network, network))
    tables.rules[rule, layout.RULE_IS_OPEN] = trunk.rules[old_rule, layout.RULE_IS_OPEN]
    # Nothing needs a look but services with a queue, which `carry` has woken.
    state[layout.DIRTY :] = 0
    state[layout.N_LOG] = len(logged)
    to_come = [compiled.load_kernel().FAR]
    for cursor, column, minutes in (
        (layout.NEXT_STEP, layout.STEP_MINUTE, tables.steps),
        (layout.NEXT_LOOK, layout.LOOK_MINUTE, tables.looks),
        (layout.NEXT_DISPLACEMENT, layout.DISPLACEMENT_MINUTE, tables.displacements),
    ):
        state[cursor] = np.searchsorted(minutes[:, column], trunk.minute)
        to_come += minutes[state[cursor] : state[cursor] + 1, column].tolist()
    state[layout.NEXT_FIXED] = min(to_come)
