"""Splits, calendars, blocks, caseloads and costs of every service and pool."""

from __future__ import annotations

from flowsim.declare.rules.facts import Facts, must_be_one_of
from flowsim.declare.rules.tables import check_conditions, check_settings, check_time
from flowsim.place import Initial, PlaceError, Service, refuse
from flowsim.place.ways import leaves_of


def check_services(facts: Facts) -> None:
    """All that a service or pool says of itself is about what it has, and about people who may be there."""
    for key, name, service in facts.services():
        must_be_one_of(f"{key}.calendar", service.calendar, "a calendar:", facts.calendars)
        _split(facts, key, service)
        _whole_units(key, service)
        _dated_parts(key, service)
        for initial_name, initial in service.initial.items():
            _initial(facts, f"{key}.initial.{initial_name}", initial, name, service)
        for rule_name, rule in service.escalation.items():
            if rule.watch is not None:
                _watch(facts, f"{key}.escalation.{rule_name}.watch", rule.watch, service)
        _cost(facts, key, name, service)


def _whole_units(key: str, service: Service) -> None:
    """Beds, slots, places and staff are whole; hours may have parts, which are counted in minutes."""
    amounts: dict[str, float | str | None] = {"capacity": service.capacity}
    amounts |= {f"blocks.{name}.add": block.add for name, block in service.blocks.items()}
    amounts |= {f"escalation.{name}.add": rule.add for name, rule in service.escalation.items()}
    for where, amount in amounts.items():
        if service.units_each == 1 and isinstance(amount, float) and not amount.is_integer():
            allowed = f"a whole number of {service.unit}, such as {round(amount)}"
            raise refuse(f"{key}.{where}", amount, allowed)


def _parts(service: Service) -> dict[str, float]:
    """The capacity of each site or locality of a service; none where it is one for all."""
    return service.by_site or service.by_locality or {}


def _units(service: Service) -> list[str]:
    return [*_parts(service), *service.neighbours]


def _split(facts: Facts, key: str, service: Service) -> None:
    """A service is split by sites or localities that are there, neighbours apart from the place's own."""
    if service.split_by is None:
        return
    for unit in _parts(service):
        must_be_one_of(f"{key}.by_{service.split_by}", unit, f"a {service.split_by}:", facts.levels[service.split_by])
    localities = facts.place.localities
    for unit in service.neighbours:
        must_be_one_of(f"{key}.neighbours", unit, "a locality:", localities)
        if unit in (service.by_locality or {}):
            raise PlaceError(f"{key}.neighbours.{unit}: this locality is in by_locality too; allowed: one of the two.")
        if not localities[unit].neighbour:
            raise PlaceError(
                f"{key}.neighbours.{unit}: this locality is no neighbour; allowed: it in by_locality, or "
                f"'neighbour: true' in place.localities.{unit}."
            )
    for unit in service.by_locality or {}:
        if localities[unit].neighbour:
            raise PlaceError(
                f"{key}.by_locality.{unit}: this locality is a neighbour; allowed: its capacity in "
                f"'neighbours', or no 'neighbour: true' in place.localities.{unit}."
            )
    if service.split_by == "locality":
        for locality in localities:
            if locality not in _units(service):
                raise PlaceError(
                    f"{key}: the locality '{locality}' has no part; allowed: every locality in by_locality or "
                    "neighbours (0 for none)."
                )


def _dated_parts(key: str, service: Service) -> None:
    """Blocks and displacements are where the service is."""
    for block_name, block in service.blocks.items():
        for unit in block.split or {}:
            must_be_one_of(f"{key}.blocks.{block_name}.split", unit, "one of", _parts(service))
    for event_name, event in service.displacements.items():
        for unit in event.where or ():
            must_be_one_of(f"{key}.displacements.{event_name}.where", unit, "one of", _units(service))


def _initial(facts: Facts, key: str, initial: Initial, name: str, service: Service) -> None:
    """The caseload of the first day is in a stage of its service, where the service is, of people there can be."""
    stages, units, parts = facts.place.stages, _units(service), _parts(service)
    must_be_one_of(f"{key}.stage", initial.stage, "a stage:", stages)
    if stages[initial.stage].service != name:
        here = [s for s, stage in stages.items() if stage.service == name]
        raise refuse(f"{key}.stage", initial.stage, f"a stage in {name}:", here)
    if initial.utilisation is not None and service.capacity == "unlimited":
        raise PlaceError(f"{key}.utilisation: an unlimited service was given; allowed: 'people' instead.")
    for amount in ("people", "units"):
        for unit in amounts if isinstance(amounts := getattr(initial, amount), dict) else ():
            must_be_one_of(f"{key}.{amount}", unit, "one of", units)
    for unit in initial.where or ():
        must_be_one_of(f"{key}.where", unit, "one of", units)
    if isinstance(initial.units, float) and units:
        raise refuse(f"{key}.units", initial.units, f"a number for each {service.split_by}:", units)
    if initial.waiting_for is not None:
        targets = leaves_of(stages[initial.stage].next)
        must_be_one_of(f"{key}.waiting_for", initial.waiting_for, f"what follows {initial.stage}:", targets)
    check_conditions(facts, f"{key}.who", initial.who, facts.levels)
    for stream in initial.streams or ():
        must_be_one_of(f"{key}.streams", stream, "a stream:", facts.place.streams)
    if isinstance(initial.people, int) and parts and not sum(parts.values()):
        raise refuse(f"{key}.people", initial.people, f"a number for each {service.split_by}:", parts)
    check_time(facts, f"{key}.elapsed", initial.elapsed, {})
    check_settings(facts, f"{key}.set", initial.set)


def _cost(facts: Facts, key: str, name: str, service: Service) -> None:
    """A price is for what the service counts."""
    if service.cost is not None:
        pool, care = name in facts.place.pools, service.unit == "hours_a_week"
        hourly = ["hour_of_staff"] if pool else ["hour_of_care"] if care else []
        allowed = ["day", "start", *hourly, "unit_a_day", "unit_a_week"]
        if service.cost.per not in allowed:
            raise refuse(f"{key}.cost.per", service.cost.per, f"for {service.unit}:", allowed)
        if service.capacity == "unlimited" and service.cost.per.startswith("unit_"):
            raise refuse(f"{key}.cost.per", service.cost.per, "where the capacity is unlimited:", ["day", "start"])


def _watch(facts: Facts, key: str, watch: str, service: Service) -> None:
    """Each queue of a service can find the queue it watches."""
    must_be_one_of(key, watch, "a service or pool:", facts.place.kinds)
    watched = facts.place.kinds[watch]
    if watched.split_by is None:
        return
    fits = [name for name, other in facts.place.kinds.items() if other.split_by in (None, service.split_by)]
    if watched.split_by != service.split_by:
        too = f"split by {service.split_by}, or " if service.split_by else ""
        raise refuse(key, watch, f"one that is {too}not split:", fits)
    for unit in _parts(service):
        if unit not in _parts(watched):
            raise PlaceError(
                f"{key}: {watch!r} was given, which has no queue in '{unit}'; allowed: one with a queue wherever "
                "there is more to open."
            )
