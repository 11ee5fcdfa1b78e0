"""The national set, past and present: what the Better Care Fund and the social care outcomes framework ask for.

Rates are per 100,000 of the population that the place declares (`metrics`), and count the place's own residents only:
people whose locality is no neighbour's. Where a place does not say how many live there, or who counts, there is no row;
`missing` tells which and why. Shares and means are of everybody in the place's hospitals, by site, and of the residents
where there are neighbours. What waiting does to people is by published evidence: a measure, never fed back.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flowsim.engine.stamps import DIED
from flowsim.measures.definition import ALL, BCF, READY_DATE, WHOLE, YEAR_DAYS, Measure, Value, computes
from flowsim.measures.ratios import mean, percent, ratio
from flowsim.measures.who import at_home, has_level, in_slots, shares
from flowsim.measures.window import Window
from flowsim.model.calendar import DAY
from flowsim.model.tables import NUMBERS_A_PERSON
from flowsim.place import Place, Table

DTOC = "NHS England delayed transfers of care (to 2020); Better Care Fund 2014-20"
PER = 100_000
MONTHS_A_YEAR, QUARTERS_A_YEAR = 12, 4
AFTER_REABLEMENT = 91 * DAY
SIX_MONTHS = 182 * DAY
LONG_STAYS = (14, 21)
"""Days from which a stay is long; the share of beds held for 21 days or more is a headline measure."""

HELD = (6 * 60, 8 * 60)
"""Minutes from arrival: held for more than the first of these, and for more than the second."""
ONE_DEATH_IN = (82, 72)
"""Admitted people held so long for each that dies within 30 days (Jones and others, EMJ 2022;39:168: HA-01, HA-02)."""
EXCESS = 0.16
"""Their standardised mortality after 8 to 12 hours is 1.16 (HA-10) ..."""
EVIDENCE = {"low end of the evidence": 0.12, "high end of the evidence": 0.21}
"""... with a 95 % interval from 1.12 to 1.21; for 6 to 8 hours it is taken to be as wide (ASM-154)."""

NEEDED: dict[str, tuple[str, ...]] = {
    "dtoc_days_a_month": ("population.adults",),
    "dtoc_days_a_quarter": ("population.adults",),
    "dtoc_beds": ("population.adults",),
    "avoidable_admissions": ("population.adults", "avoidable"),
    "emergency_admissions_65": ("population.aged_65_and_over", "aged_65_and_over"),
    "falls_admissions_65": ("population.aged_65_and_over", "aged_65_and_over", "falls"),
    "residential_admissions_65": ("population.aged_65_and_over", "aged_65_and_over"),
    "home_at_91_days_share": ("aged_65_and_over",),
}
"""What of `metrics` a place has to declare for a measure to be made."""


def missing(place: Place) -> dict[str, tuple[str, ...]]:
    """The national measures that this place does not declare enough for, and what of `metrics` it would have to."""
    undeclared = {name: tuple(key for key in keys if _declared(place, key) is None) for name, keys in NEEDED.items()}
    return {name: keys for name, keys in undeclared.items() if keys}


def _declared(place: Place, key: str) -> float | Table | None:
    of, _, name = key.rpartition(".")
    value: float | Table | None = getattr(place.metrics.population if of else place.metrics, name)
    return value


def _rate(window: Window, name: str, weight: float, of: str, times_a_year: float = 1) -> Iterator[Value]:
    """So many in the window as a rate per 100,000 and year (or month), where the place declares what it needs."""
    place = window.history.place
    population = _declared(place, f"population.{of}")
    if name not in missing(place) and isinstance(population, (int, float)):
        people = population * place.run.scale
        yield name, ALL, WHOLE, weight / window.length * YEAR_DAYS / times_a_year / people * PER


def _counted(window: Window, measure: str, spell: np.ndarray) -> np.ndarray:
    """The share of each of these people that counts by a table of `metrics`, nothing where there is none: (n,)."""
    table = _declared(window.history.place, measure)
    return shares(window.history, table, spell) if isinstance(table, Table) else np.zeros(len(spell))


def _nights(window: Window, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Nights of the window (23:59) between two minutes."""
    days = window.start // DAY, window.end // DAY
    return np.maximum(np.clip(last // DAY, *days) - np.clip(first // DAY, *days), 0)


def _first_of_each(group: np.ndarray) -> np.ndarray:
    """Positions of the first entry of each run of equal numbers."""
    return np.flatnonzero(np.append(True, group[1:] != group[:-1])[: len(group)])


# ---------------------------------------------------------------------------------------------------------------------
# Delay and long stays


@computes(
    Measure(
        "dtoc_days_a_month", "Delayed transfers of care, days a month", "days per 100,000 adults",
        "Nights (23:59) that residents of the place spent in acute beds recognised as not meeting the "
        "criteria to reside, a month (a twelfth of 365 days), per 100,000 adult residents; the old count began "
        "later, when the move was agreed, and found about one in 2.7 of these.",
        f"{DTOC} (DL-31)", -1, theme="Delay",
    ),
    Measure(
        "dtoc_days_a_quarter", "Delayed transfers of care, days a quarter", "days per 100,000 adults",
        "The same, a quarter (a fourth of 365 days).",
        f"{DTOC} (DL-31)", -1, theme="Delay",
    ),
    Measure(
        "dtoc_beds", "Delayed transfers of care, beds on a mean night", "beds per 100,000 adults",
        "The same, on a mean night: the delayed beds of residents per 100,000 adult residents.",
        "Adult social care outcomes framework 2C (to 2020) (DL-31)", -1, theme="Delay",
    ),
    needs=("ward",),
)  # fmt: skip
def delayed_transfers(window: Window) -> Iterator[Value]:
    """The old count of nights, of residents."""
    history = window.history
    rows = window.delayed[np.flatnonzero(window.lives_here[history.spell[window.delayed]])]
    nights = float(_nights(window, history.stamps.recognised[rows], history.left[rows]).sum())
    yield from _rate(window, "dtoc_days_a_month", nights, "adults", MONTHS_A_YEAR)
    yield from _rate(window, "dtoc_days_a_quarter", nights, "adults", QUARTERS_A_YEAR)
    yield from _rate(window, "dtoc_beds", nights, "adults", YEAR_DAYS)


@computes(
    Measure(
        "drd_days_mean", "Days from discharge ready date", "days",
        "Date of leaving less date of recognition, mean over all live discharges after at least one night, "
        "those without delay counted as nought.",
        f"{READY_DATE}; {BCF} 2025/26 (DL-12)", -1, theme="Delay",
    ),
    Measure(
        "drd_on_day_share", "Discharged on the discharge ready date", "%",
        "Of live discharges after at least one night, those that left on the date they were recognised as "
        "ready.",
        f"{READY_DATE}; {BCF} 2025/26 (DL-13)", 1, theme="Delay",
    ),
    needs=("ward",),
)  # fmt: skip
def ready_date(window: Window) -> Iterator[Value]:
    """Of live discharges after at least one night."""
    live = window.live
    overnight = live.nights >= 1
    for where, here in [*window.live_everywhere, *window.residents(live.spell)]:
        counted = here & overnight
        yield "drd_days_mean", where, WHOLE, mean(window.days_late[counted])
        yield "drd_on_day_share", where, WHOLE, percent(window.days_late == 0, counted)


@computes(
    Measure(
        "los_14_plus_share", "Beds held for 14 days or more", "%",
        "People in acute beds at 23:59 who came 14 or more days before, as a share of all in acute beds "
        "then.",
        f"NHS England long length of stay reporting; {BCF} 2021/22 (AC-21)", -1, theme="Long stays",
    ),
    Measure(
        "los_14_plus_discharges", "Discharged after 14 days or more", "%",
        "Of live discharges from acute beds after at least one night, those after 14 nights or more.",
        f"{BCF} 2021/22 (AC-21)", -1, theme="Long stays",
    ),
    Measure(
        "los_21_plus_discharges", "Discharged after 21 days or more", "%",
        "Of live discharges from acute beds after at least one night, those after 21 nights or more.",
        f"{BCF} 2021/22 (AC-20)", -1, theme="Long stays",
    ),
    needs=("ward",),
)  # fmt: skip
def long_stays(window: Window) -> Iterator[Value]:
    """Beds held long, and discharges after long stays."""
    ward, live = window.ward, window.live
    nights = _nights(window, ward.started, ward.left)
    long = _nights(window, (ward.started // DAY + LONG_STAYS[0]) * DAY, ward.left)
    for where, here in [*window.everywhere(ward.last), *window.residents(ward.spell)]:
        yield "los_14_plus_share", where, WHOLE, 100 * ratio(float(long @ here), float(nights @ here))
    overnight = live.nights >= 1
    for where, here in [*window.live_everywhere, *window.residents(live.spell)]:
        for days in LONG_STAYS:
            yield f"los_{days}_plus_discharges", where, WHOLE, percent(live.nights >= days, here & overnight)


# ---------------------------------------------------------------------------------------------------------------------
# Admissions


@computes(
    Measure(
        "avoidable_admissions", "Avoidable admissions", "per 100,000 adults a year",
        "Emergency admissions of residents to acute beds and same-day units that the place counts as "
        "avoidable (metrics.avoidable), not age-standardised, per 100,000 adult residents.",
        f"{BCF} 2014-25: ambulatory care sensitive conditions (SD-01, SD-02, AE-36)", -1, theme="Admissions",
    ),
    Measure(
        "emergency_admissions_65", "Emergency admissions at 65 and over", "per 100,000 aged 65+ a year",
        "Emergency admissions to acute beds and same-day units of residents whom the place counts as 65 or "
        "over (metrics.aged_65_and_over), readmissions included, per 100,000 residents of that age.",
        f"{BCF} 2025/26", -1, theme="Admissions",
    ),
    Measure(
        "falls_admissions_65", "Emergency admissions for falls at 65 and over", "per 100,000 aged 65+ a year",
        "Of the emergency admissions at 65 and over, those that the place counts as due to a fall "
        "(metrics.falls), not age-standardised, per 100,000 residents of that age.",
        f"{BCF} 2023-25 (SD-03)", -1, theme="Admissions",
    ),
    needs=("ward or same_day",),
)  # fmt: skip
def admissions(window: Window) -> Iterator[Value]:
    """Emergencies among the residents."""
    history = window.history
    came = window.stays.of(history.rows_with("ward", "same_day"))
    first, spell = history.by_time(came.first)
    one = _first_of_each(spell)  # a day in same-day care that ends in a bed is one admission
    first, spell = first.take(one), spell.take(one)
    counts = window.inside(history.stamps.started.take(first)) & ~history.initial.take(first)
    spell = spell[np.flatnonzero(counts & window.is_emergency.take(spell) & window.lives_here.take(spell))]
    older = _counted(window, "aged_65_and_over", spell)
    avoidable, falls = _counted(window, "avoidable", spell), _counted(window, "falls", spell)
    yield from _rate(window, "avoidable_admissions", float(avoidable.sum()), "adults")
    yield from _rate(window, "emergency_admissions_65", float(older.sum()), "aged_65_and_over")
    yield from _rate(window, "falls_admissions_65", float((older * falls).sum()), "aged_65_and_over")


@computes(
    Measure(
        "residential_admissions_65", "Long-term admissions to care homes at 65 and over",
        "per 100,000 aged 65+ a year",
        "Residents counted as 65 or over who come to a care home to stay and did not live in one, whoever "
        "pays (the national count has only those a council supports), per 100,000 residents of that age.",
        f"Adult social care outcomes framework 2A; {BCF} 2014-26 (CH-13)", -1, theme="Where people live afterwards",
        matters=10,  # of some 600
    ),
)  # fmt: skip
def residential_admissions(window: Window) -> Iterator[Value]:
    """Nobody is admitted twice: who comes back from hospital to a care home comes home."""
    history = window.history
    homes = window.stays.of(history.rows_with("care_home"))
    first, spell = history.by_time(homes.first)
    one = _first_of_each(history.journeys.spells.number[spell] // NUMBERS_A_PERSON)
    first, spell = first[one], spell[one]
    counts = window.inside(history.stamps.started[first]) & ~history.initial[first]
    counts &= window.lives_here[spell] & ~has_level(history, "care_home_resident", "yes")[spell]
    spell = spell[np.flatnonzero(counts)]
    older = float(_counted(window, "aged_65_and_over", spell).sum())
    yield from _rate(window, "residential_admissions_65", older, "aged_65_and_over")


# ---------------------------------------------------------------------------------------------------------------------
# Afterwards


@computes(
    Measure(
        "home_at_91_days_share", "At home 91 days after discharge into reablement", "%",
        "Of people counted as 65 or over who went from an acute bed into a service with slots, those 91 "
        "days later neither dead nor in an acute bed, a community bed or a care home; deaths at home after the "
        "last service are not in the model; discharges of the window's last 91 days are left out.",
        f"Adult social care outcomes framework 2B; {BCF} 2014-25 (IC-30)", 1, theme="Where people live afterwards",
    ),
    needs=("ward",),
)  # fmt: skip
def home_after_reablement(window: Window) -> Iterator[Value]:
    """Of those who went from a ward into a service with slots."""
    history, live = window.history, window.live
    if "home_at_91_days_share" in missing(history.place):
        return
    to_reablement = (live.after >= 0) & in_slots(history)[history.service[live.after]]
    cases = live[to_reablement & (live.left < window.end - AFTER_REABLEMENT)]
    home = at_home(history, cases.spell, cases.left + AFTER_REABLEMENT)
    weight = _counted(window, "aged_65_and_over", cases.spell)
    for where, here in [*window.everywhere(cases.last), *window.residents(cases.spell)]:
        share = ratio(float(weight @ (here & home)), float(weight @ here))
        yield "home_at_91_days_share", where, WHOLE, 100 * share


@computes(
    Measure(
        "readmission_6_month_share", "Readmitted within six months", "%",
        "Of live discharges from acute beds, those followed by a readmission within 182 days, of those the "
        "model makes: after the gap its stages declare and not by chance later, so it is below any published rate; "
        "the window's last 182 days of discharges are left out.",
        "Sefton's Better Care Fund plan 2014 (AC-28, IC-06)", -1, theme="Coming back",
    ),
    needs=("ward",),
)  # fmt: skip
def coming_back(window: Window) -> Iterator[Value]:
    """Of live discharges."""
    live = window.live
    back = window.history.returned[live.spell]
    again = (back >= live.left) & (back - live.left <= SIX_MONTHS)
    followed = live.left < window.end - SIX_MONTHS
    for where, here in [*window.live_everywhere, *window.residents(live.spell)]:
        yield "readmission_6_month_share", where, WHOLE, percent(again, here & followed)


@computes(
    Measure(
        "deaths_share_of_discharges", "Discharges that are deaths", "%",
        "Of stays in acute beds that ended, those that ended in death; the share of all deaths that happen in "
        "hospital cannot be given, since most deaths elsewhere are not in the model.",
        "NHS Digital hospital episode statistics: method of discharge (AC-24, AC-25)", -1, theme="Deaths",
    ),
    needs=("ward",),
)  # fmt: skip
def deaths(window: Window) -> Iterator[Value]:
    """Of stays in acute beds that ended."""
    over = window.ward[window.inside(window.ward.left)]
    died = window.history.stamps.ended[over.last] == DIED
    for where, here in [*window.everywhere(over.last), *window.residents(over.spell)]:
        yield "deaths_share_of_discharges", where, WHOLE, percent(died, here)


@computes(
    Measure(
        "expected_extra_deaths_of_waiting", "Deaths expected of long waits for a bed", "people",
        "One for every 82 people admitted from the emergency department after more than 6 and up to 8 hours "
        "from arrival, and one for every 72 after longer (8 to 12 hours in the study), within 30 days: an association "
        "of published evidence, with the ends of its own 95 % interval beside it; nobody in the model dies of it.",
        "Jones and others, Emergency Medicine Journal 2022;39:168 (HA-01, HA-02, HA-10, ASM-154)", -1, adds_up=True,
        headline=True, theme="Deaths",
        matters=10,  # in a year, as deaths in hospital
    ),
    needs=("ward or ed",),
)  # fmt: skip
def deaths_of_waiting(window: Window) -> Iterator[Value]:
    """Extra deaths of those admitted, by how long they were held in the emergency department."""
    minutes = window.ed_minutes.take(window.admitted)
    longest = minutes > HELD[1]
    long = (minutes > HELD[0]) & ~longest
    for where, here in window.everywhere(window.out_of_ed.last.take(window.admitted)):
        held, held_longest = np.count_nonzero(long & here), np.count_nonzero(longest & here)
        deaths = held / ONE_DEATH_IN[0] + held_longest / ONE_DEATH_IN[1]
        yield "expected_extra_deaths_of_waiting", where, WHOLE, float(deaths)
        if where == ALL:
            for name, excess in EVIDENCE.items():
                yield "expected_extra_deaths_of_waiting", ALL, name, float(deaths * excess / EXCESS)
