"""Tables and distributions in which people are looked up: they ask for what is known, and answer for everybody."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import product

from flowsim.declare.rules.facts import Facts, must_be_one_of
from flowsim.place import NOT_APPLICABLE, OTHER, UNIT_MINUTES, Conditions, Distribution, PlaceError, Table, refuse


def check_table(facts: Facts, key: str, table: Table | None, known: list[str], when: Conditions) -> None:
    """A table asks for what is known, and has an entry for everybody."""
    if table is None:
        return
    for name, factor in table.times.items():
        check_table(facts, f"{key}.times.{name}", factor, known, when)
    if table.by is None:
        return
    must_be_one_of(f"{key}.by", table.by, "what is known of a person by then:", known)
    levels = possible_levels(facts, table.by, when)
    for level in table.cells:
        must_be_one_of(key, level, f"a level of {table.by}:", [*facts.levels[table.by], NOT_APPLICABLE, OTHER])
    missing = [level for level in levels if level not in table.cells]
    if missing and OTHER not in table.cells:
        raise PlaceError(
            f"{key}: this table by {table.by} has no entry for '{missing[0]}'; allowed: all of {', '.join(levels)} "
            f"or '{OTHER}'."
        )
    for level, cell in table.cells.items():
        inner = {**when, table.by: [x for x in levels if x not in table.cells] if level == OTHER else level}
        check_table(facts, f"{key}.{level}", cell, known, inner)


def possible_levels(facts: Facts, name: str, when: Conditions) -> list[str]:
    """The levels an attribute can have among people who meet the conditions, and the conditions of those."""
    possible = facts.levels[name]
    asked = dict(when)
    done: set[str] = set()
    while asked:
        attribute, wanted = asked.popitem()
        wanted = [wanted] if isinstance(wanted, str) else wanted
        if attribute == name:
            possible = [level for level in possible if level in wanted]
        choice = facts.place.choices.get(attribute)
        if choice is not None and attribute not in facts.settled | done and NOT_APPLICABLE not in wanted:
            done.add(attribute)
            for inner, levels in choice.when.items():
                if inner == name:
                    possible = [level for level in possible if level in levels or level == levels]
                else:
                    asked.setdefault(inner, levels)
    return possible


def check_conditions(facts: Facts, key: str, conditions: Conditions, known: Iterable[str]) -> None:
    """Conditions ask for what is known by then, and for levels that there are."""
    for name, wanted in conditions.items():
        must_be_one_of(key, name, "what is known of a person by then:", known)
        for level in [wanted] if isinstance(wanted, str) else wanted:
            must_be_one_of(f"{key}.{name}", level, "one of", [*facts.levels[name], NOT_APPLICABLE])


def check_settings(facts: Facts, key: str, settings: Mapping[str, str]) -> None:
    """What is settled of people is an attribute, and one of its levels."""
    for name, level in settings.items():
        must_be_one_of(key, name, "an attribute:", facts.levels)
        must_be_one_of(f"{key}.{name}", level, "one of", [*facts.levels[name], NOT_APPLICABLE])


def check_stage_names(facts: Facts, key: str, given: Iterable[str]) -> None:
    """What people are sent to is a stage, or out."""
    for name in given:
        must_be_one_of(key, name, "a stage or 'leave':", facts.destinations)


def check_time(facts: Facts, key: str, what: Distribution | None, when: Conditions) -> None:
    """A time has a unit, and is a distribution."""
    if what is not None:
        if what.unit is None:
            raise PlaceError(f"{key}.unit: this key is needed and was not given; allowed: {', '.join(UNIT_MINUTES)}.")
        check_distribution(facts, key, what, when)


def check_distribution(facts: Facts, key: str, what: Distribution, when: Conditions) -> None:
    """The parameters of a distribution are there for everybody, and in an order that can be."""
    for table in what.tables():
        check_table(facts, key, table, list(facts.levels), when)
    for table, allowed in _above_nought(what):
        for leaf in table.leaves():
            if leaf <= 0:
                raise refuse(key, leaf, f"{allowed} above 0")
    pairs = []
    if what.uniform is not None:
        pairs.append((what.uniform.low, what.uniform.high, "low up to high"))
    if what.triangular is not None:
        pairs.append((what.triangular.low, what.triangular.mode, "low up to the mode"))
        pairs.append((what.triangular.mode, what.triangular.high, "a mode up to high"))
    if what.lognormal is not None and what.lognormal.mean is not None and what.lognormal.median is not None:
        pairs.append((what.lognormal.median, what.lognormal.mean, "a median up to the mean"))
    for low, high, allowed in pairs:
        for below, above in _pairs_of(facts, low, high, when):
            if below > above:
                raise refuse(key, f"{below:g} and {above:g}", allowed)


def _above_nought(what: Distribution) -> Iterator[tuple[Table, str]]:
    """The tables of a distribution that may not say 0, and what they are."""
    named: list[tuple[object, tuple[str, ...]]] = [(what.lognormal, ("mean", "median"))]
    named += [(what.exponential, ("mean",)), (what.gamma, ("mean", "shape", "sd"))]
    named += [(what.weibull, ("mean", "shape", "scale")), (what.normal, ("sd",)), (what.poisson, ("mean",))]
    for part, names in named:
        for name in names:
            table = getattr(part, name, None)
            if table is not None:
                yield table, "a mean or median" if name in ("mean", "median") else f"a {name}"


def _pairs_of(facts: Facts, low: Table, high: Table, when: Conditions) -> Iterator[tuple[float, float]]:
    """The values two tables have for the same person, whatever that person is."""
    attributes = dict.fromkeys(node.by for table in (low, high) for node in table.nodes() if node.by is not None)
    for levels in product(*(possible_levels(facts, name, when) for name in attributes)):
        person = dict(zip(attributes, levels, strict=True))
        yield value_for(low, person), value_for(high, person)


def values_of(facts: Facts, table: Table, when: Conditions) -> Iterator[float]:
    """The numbers of a table for everybody who meets the conditions; not a number where there can be nobody."""
    return (value for value, _ in _pairs_of(facts, table, table, when))


def value_for(table: Table, person: Mapping[str, str]) -> float:
    """A table's number for a person with these levels; not a number where there can be no such person."""
    if table.times:
        return math.prod(value_for(factor, person) for factor in table.times.values())
    if table.by is None:
        return float(table.leaf)
    cell = table.cells.get(person[table.by], table.cells.get(OTHER))
    return math.nan if cell is None else value_for(cell, person)


def has_times(table: Table) -> bool:
    """Is a table, or one inside it, a product of others?"""
    return any(node.times for node in table.nodes())
