"""The days of a run as a place knows them: their dates, and which of them are bank holidays."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from flowsim.place import Place


def dates_of(place: Place) -> list[dt.date]:
    """The date of each day of the run, warm-up included."""
    return [place.run.first_date + dt.timedelta(days=day) for day in range(place.run.all_days)]


def bank_holidays(place: Place, dates: Sequence[dt.date]) -> set[dt.date]:
    """The bank holidays of the place on these dates, in order."""
    if not place.bank_holidays or not dates:
        return set()
    import holidays

    country, _, part = place.bank_holidays.partition("-")
    years = range(dates[0].year, dates[-1].year + 1)
    return set(holidays.country_holidays(country, subdiv=part or None, years=years)) & set(dates)
