"""What every stage needs and names."""

from __future__ import annotations

import math
from itertools import combinations

from flowsim.declare.rules.facts import Facts, must_be_one_of
from flowsim.declare.rules.tables import (
    check_conditions,
    check_distribution,
    check_settings,
    check_stage_names,
    check_table,
    check_time,
    values_of,
)
from flowsim.place import LEAVE, Conditions, PlaceError, Stage, Task, refuse
from flowsim.place.before import services_emptied
from flowsim.place.queues import capacities
from flowsim.place.ways import leaves_of, ways_on


def check_stages(facts: Facts) -> None:
    """Every stage has what it needs, and names what is there."""
    for name, stage in facts.place.stages.items():
        key = f"place.stages.{name}"
        for needed in ("service", "duration", "next"):
            if getattr(stage, needed) is None:
                raise PlaceError(f"{key}.{needed}: this key is needed and was not given.")
        must_be_one_of(f"{key}.service", stage.service, "a service:", facts.place.services)
        for way, targets in ways_on(stage).items():
            check_stage_names(facts, f"{key}.{way}", targets)
        who: Conditions = {"stream": facts.streams_at[name]}
        _use(facts, key, name, stage, who)
        _ways_out(facts, key, name, stage, who)
        _end(facts, key, stage, who)
        for phase in ("before", "after"):
            for task_name, task in getattr(stage, phase).items():
                _task(facts, f"{key}.{phase}.{task_name}", task, who)
    _check_put_out(facts)


def _use(facts: Facts, key: str, name: str, stage: Stage, who: Conditions) -> None:
    """Who is taken first, how long it takes, how much of the service it needs, and where it leads."""
    for part in ("priority", "next", "usual_residence"):
        check_table(facts, f"{key}.{part}", getattr(stage, part), list(facts.levels), who)
    for part in ("duration", "death_while_waiting", "kept_on_readmission"):
        check_time(facts, f"{key}.{part}", getattr(stage, part), who)
    if stage.units is not None:
        check_distribution(facts, f"{key}.units", stage.units, who)
        if stage.units.unit is not None:
            raise refuse(f"{key}.units.unit", stage.units.unit, "nothing: units are counted as the service counts them")
        _whole_units(facts, f"{key}.units.fixed", stage, who)
        _never_fits(facts, f"{key}.units.fixed", stage, who)
    if stage.sized_as is not None:
        sized = [n for n, other in facts.place.stages.items() if other.units is not None and n != name]
        must_be_one_of(f"{key}.sized_as", stage.sized_as, "another stage that has units:", sized)


def _ways_out(facts: Facts, key: str, name: str, stage: Stage, who: Conditions) -> None:
    """Who gives up, becomes unfit to leave, or needs more while waiting."""
    everything = list(facts.levels)
    for reason, valve in stage.patience.items():
        check_conditions(facts, f"{key}.patience.{reason}.when", valve.when, everything)
        check_table(facts, f"{key}.patience.{reason}.to", valve.to, everything, {**who, **valve.when})
        check_time(facts, f"{key}.patience.{reason}.after", valve.after, {**who, **valve.when})
        check_table(facts, f"{key}.patience.{reason}.clock", valve.clock, everything, {**who, **valve.when})
        for calendar in leaves_of(valve.clock):
            must_be_one_of(f"{key}.patience.{reason}.clock", calendar, "a calendar:", facts.calendars)
    _one_clock(f"{key}.patience", stage)
    if stage.unfit is not None:
        check_conditions(facts, f"{key}.unfit.when", stage.unfit.when, everything)
        check_time(facts, f"{key}.unfit.after", stage.unfit.after, {**who, **stage.unfit.when})
        resumed = facts.place.stages.get(stage.unfit.to)
        if resumed is None or resumed.service != stage.service:
            here = [n for n, s in facts.place.stages.items() if s.service == stage.service and n != name]
            raise refuse(f"{key}.unfit.to", stage.unfit.to, f"another stage in {stage.service}:", here)
    if stage.decline is not None:
        check_time(facts, f"{key}.decline.after", stage.decline.after, who)
        check_table(facts, f"{key}.decline.share", stage.decline.share, everything, who)


def _one_clock(key: str, stage: Stage) -> None:
    """Nobody has two reasons to give up of which one alone has a clock, or another: which of them is the first would
    depend on when the person joins the queue, and is planned before anybody does."""
    for (first, one), (second, other) in combinations(stage.patience.items(), 2):
        apart = any(
            name in other.when and not set(_levels(one.when[name])) & set(_levels(other.when[name]))
            for name in one.when
        )
        if one.clock != other.clock and not apart:
            raise PlaceError(
                f"{key}: '{first}' and '{second}' may both be somebody's, and have not the same clock; allowed: the "
                "same 'clock' in both, or a 'when' in each so that nobody has both."
            )


def _levels(wanted: str | list[str]) -> list[str]:
    return [wanted] if isinstance(wanted, str) else wanted


def _end(facts: Facts, key: str, stage: Stage, who: Conditions) -> None:
    """Who dies, who comes back, and who goes home."""
    if stage.dies is not None:
        yes_no = [n for n, c in facts.place.choices.items() if set(c.options) == {"yes", "no"}]
        must_be_one_of(f"{key}.dies", stage.dies, "a choice of yes or no:", yes_no)
    if stage.readmission is not None:
        check_table(facts, f"{key}.readmission.chance", stage.readmission.chance, list(facts.levels), who)
        check_time(facts, f"{key}.readmission.gap", stage.readmission.gap, who)
        must_be_one_of(f"{key}.readmission.to", stage.readmission.to, "a stage:", facts.place.stages)
        check_settings(facts, f"{key}.readmission.set", stage.readmission.set)
    for leaf in leaves_of(stage.usual_residence):
        must_be_one_of(f"{key}.usual_residence", leaf, "one of", ("yes", "no"))


def _whole_units(facts: Facts, key: str, stage: Stage, who: Conditions) -> None:
    """What somebody takes of a service is not less than it counts, nor a part of what it counts."""
    assert stage.units is not None
    if stage.units.fixed is None or stage.units.add is not None:
        return
    each = facts.place.services[str(stage.service)].units_each
    for taken in values_of(facts, stage.units.fixed, who):
        is_whole = abs(taken - round(taken)) < 1e-9
        if not math.isnan(taken) and (round(taken * each) < 1 or (each == 1 and not is_whole)):
            raise refuse(
                key, taken, "a whole number, at least 1" if each == 1 else f"at least {1 / each:.2g} hours a week"
            )


def _never_fits(facts: Facts, key: str, stage: Stage, who: Conditions) -> None:
    """What somebody takes is there to be had: no part of the service is ever so large, and who waits for it holds up
    everybody behind them for good."""
    assert stage.units is not None
    service = facts.place.services[str(stage.service)]
    grows = service.blocks or service.escalation or service.trend or facts.place.moves
    if stage.units.fixed is None or stage.units.add is not None or service.capacity == "unlimited" or grows:
        return
    most = max(capacities(service, facts.place.run.scale).values()) / service.units_each
    for taken in values_of(facts, stage.units.fixed, who):
        if 0 < most < taken:
            raise refuse(key, taken, f"at most {most:g}, the most that place.services.{stage.service} has in one queue")


def _task(facts: Facts, key: str, task: Task, who: Conditions) -> None:
    everything = list(facts.levels)
    check_conditions(facts, f"{key}.when", task.when, everything)
    check_table(facts, f"{key}.calendar", task.calendar, everything, {**who, **task.when})
    for calendar in leaves_of(task.calendar):
        must_be_one_of(f"{key}.calendar", calendar, "a calendar:", facts.calendars)
    if task.pool is not None:
        must_be_one_of(f"{key}.pool", task.pool, "a pool:", facts.place.pools)
    check_time(facts, f"{key}.takes", task.takes, {**who, **task.when})


def _check_put_out(facts: Facts) -> None:
    """Whoever may be put out of a service has somewhere to go, or is said to leave."""
    for service, way in services_emptied(facts.place).items():
        here = {name: stage for name, stage in facts.place.stages.items() if stage.service == service}
        if not here or facts.place.kinds[service].capacity == "unlimited":
            raise PlaceError(
                f"{way}: it puts people out of '{service}'; allowed: in a service with a capacity and people in it."
            )
        for name, stage in here.items():
            if stage.displaced_to is None:
                raise PlaceError(
                    f"place.stages.{name}.displaced_to: this key is needed and was not given, for {way} puts "
                    f"people out of '{service}'; allowed: a later stage, or '{LEAVE}'."
                )
