"""Names that mean something else or are used twice, and those of the national measures and of costs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from flowsim.declare.rules.facts import Facts, must_be_one_of
from flowsim.declare.rules.tables import check_table
from flowsim.place import ALWAYS, INITIAL, LEAVE, NOT_APPLICABLE, OTHER, SITE_MARK, PlaceError, Run, refuse
from flowsim.place.ways import GIVEN

NO_LEVEL = (NOT_APPLICABLE, OTHER, "by")
"""What tables by an attribute say of those who have no level of their own, and their own word."""
NO_NAME = (NOT_APPLICABLE, "by")
"""Of these no site, locality, stream or option may have: in a table `other` may be a name, for it then stands for that
one and all who are not named, as it reads."""


def check_taken_names(facts: Facts) -> None:
    """Names that mean something else, and names used twice."""
    place = facts.place
    names: tuple[tuple[str, Iterable[str], tuple[str, ...]], ...] = (
        ("calendars", place.calendars, (ALWAYS,)),
        ("stages", place.stages, (LEAVE,)),
        ("choices", place.choices, ("stream", *place.periods)),
        ("periods", place.periods, GIVEN),
        ("streams", place.streams, (INITIAL, *NO_NAME)),
        ("sites", place.sites, NO_NAME),
        ("localities", place.localities, NO_NAME),
        *((f"choices.{name}", choice.options, NO_NAME) for name, choice in place.choices.items()),
        ("services", place.services, tuple(place.pools)),
    )
    for kind, given, kept in names:
        for name in given:
            if name in kept:
                raise PlaceError(f"place.{kind}.{name}: this name is taken; allowed: any other name.")
    for published in place.published:
        measure, of_site, site = published.partition(SITE_MARK)
        if of_site:
            allowed = f"'{measure}', or '{measure}{SITE_MARK}' and a site:"
            must_be_one_of(f"place.published.{published}", site, allowed, place.sites)
    for kind, given in (("services", place.services), ("pools", place.pools)):
        for name in given:
            if "/" in name:
                raise PlaceError(f"place.{kind}.{name}: {name!r} was given; allowed: a name without '/'.")
    if not place.streams:
        raise PlaceError("place.streams: nobody comes; allowed: at least one stream.")
    if place.bank_holidays is not None:
        _check_holidays(place.bank_holidays, place.run)


def _check_holidays(name: str, run: Run) -> None:
    import holidays

    country, _, part = name.partition("-")
    try:
        if not (country.isascii() and country.isalpha() and len(country) <= 3):
            raise NotImplementedError
        known = holidays.country_holidays(country, subdiv=part or None)
    except (NotImplementedError, TypeError, AttributeError):  # it looks a name up among its own, whatever that is
        raise refuse("place.bank_holidays", name, 'a country, or country and part, such as "GB-ENG"') from None
    if run.first_date.year < known.start_year or (run.end_date - dt.timedelta(days=1)).year > known.end_year:
        within = f"a run, with its warm-up, from {known.start_year} to {known.end_year}"
        raise refuse("start_date", str(run.start_date), f"{within}, of which the bank holidays of {name} are known")


def check_measured(facts: Facts) -> None:
    """Who counts in the national measures, and what schemes cost."""
    for name in ("aged_65_and_over", "avoidable", "falls"):
        table = getattr(facts.place.metrics, name)
        key = f"place.metrics.{name}"
        check_table(facts, key, table, list(facts.levels), {})
        for leaf in table.leaves() if table is not None else ():
            if leaf > 1:
                raise refuse(key, leaf, "a share from 0 to 1")
    for name in facts.place.costs:
        key = f"place.costs.{name}"
        if name in facts.place.services or name in facts.place.pools or "/" in name:
            raise refuse(key, name, "a name without '/' that no service or pool has")
