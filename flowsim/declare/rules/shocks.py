"""Shocks that can happen and end, and trends of what has a capacity."""

from __future__ import annotations

import math

from flowsim.declare.rules.facts import Facts
from flowsim.declare.rules.tables import check_time, value_for
from flowsim.place import LONGEST_SHOCK_DAYS, UNIT_MINUTES, Distribution, PlaceError, Service, refuse


def check_shocks(facts: Facts) -> None:
    """What shocks close is there to be closed, and only what has a capacity has a trend."""
    for key, name, service in facts.services():
        _shocks(facts, key, name, service)
        for trend in service.trend if service.capacity == "unlimited" else ():
            raise PlaceError(
                f"{key}.trend.{trend}: an unlimited service was given; allowed: a service with a capacity."
            )


def _shocks(facts: Facts, key: str, name: str, service: Service) -> None:
    here = [stage for stage in facts.place.stages.values() if stage.service == name]
    for shock_name, shock in service.shocks.items():
        at = f"{key}.shocks.{shock_name}"
        _shock_lasts(facts, f"{at}.lasts", shock.lasts)
        if shock.closes is not None and service.capacity == "unlimited":
            raise PlaceError(f"{at}.closes: an unlimited service was given; allowed: a service with a capacity.")
        if shock.closes_way_out and not any(stage.hold for stage in here):
            raise PlaceError(
                f"{at}.closes_way_out: nobody in '{name}' could be kept in; allowed: in a service with a stage in "
                "which people stay until the next takes them."
            )


def _shock_lasts(facts: Facts, key: str, lasts: Distribution) -> None:
    for table in lasts.tables():
        for node in table.nodes():
            if node.by is not None:
                raise PlaceError(
                    f"{key}: a table by '{node.by}' was given; allowed: the same for all, since a shock belongs to "
                    "no person."
                )
    check_time(facts, key, lasts, {})
    if lasts.unit == "working_days":
        raise refuse(f"{key}.unit", lasts.unit, "minutes, hours, days or weeks")
    longest = math.inf
    ends = next((part.high for part in (lasts.uniform, lasts.triangular) if part is not None), lasts.fixed)
    longest_drawn = [value_for(ends, {})] if ends is not None else []
    longest_drawn += [max(leaf.values) for leaf in lasts.empirical.leaves()] if lasts.empirical is not None else []
    if longest_drawn:
        longest = longest_drawn[0] + (value_for(lasts.add, {}) if lasts.add is not None else 0)
    longest = min(longest, lasts.most or math.inf)
    days = longest * UNIT_MINUTES[lasts.unit or "days"] / UNIT_MINUTES["days"]
    if LONGEST_SHOCK_DAYS < days < math.inf:
        raise refuse(key, f"{days:g} days", f"at most {LONGEST_SHOCK_DAYS} days")
