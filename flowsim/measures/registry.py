"""The measures: what each is called, what it means, where its definition comes from and which way is better."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        id: its name in every table.
        title: its name on screen.
        unit: of its values.
        definition: one sentence.
        source: where the definition comes from.
        better: 1 when more is better, -1 when less is, 0 when neither can be said.
        adds_up: it is a sum, so where a scenario has no row (a cause, a payer) there was none of it. A mean, a share or
            an index without a row is not known.
    """

    id: str
    title: str
    unit: str
    definition: str
    source: str
    better: int
    adds_up: bool = False


_SITREP = "NHS England acute discharge situation report: no criteria to reside, remaining in hospital"
_DRD = "NHS England discharge ready date collection"
_AE = "NHS England A&E attendances and emergency admissions monthly statistics"
_FLOWSIM = "flowsim"
_HES = "NHS Digital hospital episode statistics: nights in hospital"

_HEADLINE = (
    Measure(
        "delayed_patients", "Delayed patients", "people",
        "Mean number of people in acute beds at 23:59 who are recognised as not meeting the criteria to "
        "reside.",
        _SITREP, -1,
    ),
    Measure(
        "nctr_share", "Beds held by people with no criteria to reside", "%",
        "Delayed patients at 23:59 as a share of the people in acute beds then.",
        _SITREP, -1,
    ),
    Measure(
        "delayed_bed_days", "Delayed bed-days", "bed-days a year",
        "Time between recognition that the criteria to reside are not met and leaving the acute bed, "
        "counted by the minute and scaled to 365 days; more than the delayed patients of each night add up to, since "
        "hours by day count too.",
        _FLOWSIM, -1, adds_up=True,
    ),
    Measure(
        "delayed_bed_days_by_cause", "Delayed bed-days by cause", "bed-days a year",
        "Delayed bed-days with every minute charged to exactly one cause: a task, staff, a closed "
        "calendar, the capacity of a service, or transport.",
        _FLOWSIM + ", after the five groups of NHS England's delay reasons", -1, adds_up=True,
    ),
    Measure(
        "delayed_bed_days_by_pathway", "Delayed bed-days by pathway", "bed-days a year",
        "Delayed bed-days of the people on each discharge pathway.",
        "DHSC hospital discharge and community support guidance: pathways 0 to 3", -1, adds_up=True,
    ),
    Measure(
        "delayed_share", "Discharges delayed a day or more", "%",
        "Of live discharges after at least one night, those that left on a later date than they were "
        "recognised as ready.",
        _DRD, -1,
    ),
    Measure(
        "delay_days_mean", "Mean delay of the delayed", "days",
        "Date of leaving less date of recognition, mean over the delayed live discharges after at least "
        "one night.",
        _DRD, -1,
    ),
    Measure(
        "hidden_wait_days_mean", "Hidden wait before recognition", "days",
        "Time from being clinically ready to leave until this is recognised, mean over live discharges "
        "after at least one night.",
        _FLOWSIM, -1,
    ),
    Measure(
        "los_days_mean", "Mean length of stay", "days",
        "Mean nights in acute beds of emergency stays of at least one night that ended, deaths included.",
        _HES, -1,
    ),
    Measure(
        "los_days_median", "Median length of stay", "days",
        "Median nights in acute beds of emergency stays of at least one night that ended, deaths "
        "included.",
        _HES, -1,
    ),
    Measure(
        "los_21_plus_share", "Beds held for 21 days or more", "%",
        "People in acute beds at 23:59 who came 21 or more days before, as a share of all in acute beds "
        "then.",
        "NHS England long length of stay reporting", -1,
    ),
    Measure(
        "acute_occupancy", "Acute bed occupancy", "%",
        "People in acute beds at 23:59 as a share of the beds open then, surge beds included. It passes 100 on nights "
        "when people still lie in beds that are closed: surge beds shut again, or a ward closed for infection.",
        "NHS England urgent and emergency care daily situation report", -1,
    ),
    Measure(
        "discharges_by_weekday", "Discharges by weekday", "index",
        "Live discharges from acute beds on each weekday, a day, with a mean of one over the seven.",
        "NHS England acute discharge situation report", 0,
    ),
    Measure(
        "ed_four_hour_share", "Within four hours in the emergency department", "%",
        "Of people leaving the emergency department (type 1), those who do within 240 minutes of "
        "arriving.",
        _AE, 1,
    ),
    Measure(
        "boarding_hours_mean", "Wait in the emergency department for a bed", "hours",
        "Time from the decision to admit until leaving the emergency department, mean over all admitted "
        "from there.",
        _FLOWSIM, -1,
    ),
    Measure(
        "trolley_12_hour_count", "Waits for a bed over 12 hours", "people a year",
        "People admitted more than 12 hours after the decision to admit, scaled to 365 days.",
        _AE, -1, adds_up=True,
    ),
    Measure(
        "ed_12_hour_share", "Over 12 hours in the emergency department", "%",
        "Of people leaving the emergency department, those who do more than 12 hours after arriving.",
        _AE, -1,
    ),
    Measure(
        "usual_residence_share", "Discharged to the usual place of residence", "%",
        "Of live discharges from acute beds, those going back to where they lived, with or without "
        "support, care-home residents to their home included.",
        "Better Care Fund metric: discharge to usual place of residence", 1,
    ),
    Measure(
        "readmission_30_day_share", "Readmitted within 30 days", "%",
        "Of live discharges from acute beds, those followed by an emergency readmission within 30 days; "
        "the window's last 30 days of discharges are left out.",
        "NHS Digital emergency readmissions within 30 days of discharge", -1,
    ),
    Measure(
        "deaths_in_hospital", "Deaths in hospital", "people a year",
        "Deaths in acute beds, emergency departments and same-day units, scaled to 365 days.",
        _FLOWSIM, -1, adds_up=True,
    ),
    Measure(
        "cost_total", "Cost", "£ a year",
        "Unit costs times what was in use (or, for staff and blocks paid whether used or not, what was "
        "there), scaled to 365 days, neighbours' own services left out.",
        _FLOWSIM + "; unit costs as each place's sources say", -1, adds_up=True,
    ),
)  # fmt: skip

_FURTHER = (
    Measure(
        "bed_days_lost_share", "Bed-days lost to delay", "%",
        "Days between the date of recognition and the date of leaving, over live discharges after at "
        "least one night, as a share of occupied bed-days.",
        _DRD, -1,
    ),
    Measure(
        "discharged_by_17_share", "Discharged by 17:00", "%",
        "Of live discharges from acute beds, those that left at or before 17:00.",
        "NHS England acute discharge situation report", 1,
    ),
    Measure(
        "pathway_share", "Discharges by pathway", "%",
        "Live discharges from acute beds on each pathway, as a share of those that have one.",
        "DHSC hospital discharge and community support guidance", 0,
    ),
    Measure(
        "live_discharges_a_day", "Live discharges a day", "people a day",
        "People leaving acute beds alive.",
        "NHS England acute discharge situation report", 0,
    ),
    Measure(
        "admissions_a_day", "Admissions to acute beds a day", "people a day",
        "Stays in acute beds that began.",
        _FLOWSIM, 0,
    ),
    Measure(
        "ed_attendances_a_day", "Attendances a day", "people a day",
        "Arrivals at the emergency department, readmissions included.",
        _AE, 0,
    ),
    Measure(
        "ed_admissions_a_day", "Admissions from the emergency department a day", "people a day",
        "People who left the emergency department for an acute bed; same-day admissions are not in it.",
        _AE, 0,
    ),
    Measure(
        "in_hospital_death_share", "Emergency stays that end in death", "%",
        "Of emergency stays in acute beds that ended, those that ended in death.",
        "Mohammed and others, BMC Health Services Research 2012", -1,
    ),
    Measure(
        "no_long_term_care_share", "Leaving reablement without long-term care", "%",
        "Of people whose stay in a community service with slots ended alive and not by readmission, those "
        "who did not go on to home care or a care home.",
        "ASCOF 2D: outcome of short-term services", 1,
    ),
    Measure(
        "service_capacity", "Capacity", "units",
        "Mean capacity open, in the service's own unit.",
        _FLOWSIM, 0,
    ),
    Measure(
        "service_occupancy", "Occupancy", "%",
        "What was in use, from acceptance until freed, as a share of capacity; staff pools: time at work "
        "in opening hours.",
        _FLOWSIM, 0,
    ),
    Measure(
        "service_queue_mean", "People waiting", "people",
        "Mean number of people in the queue.",
        _FLOWSIM, -1,
    ),
    Measure(
        "service_wait_days_mean", "Mean wait", "days",
        "Time from joining the queue to acceptance, mean over those accepted.",
        _FLOWSIM, -1,
    ),
    Measure(
        "service_wait_days_p90", "Wait of nine in ten at most", "days",
        "The 90th percentile of the time from joining the queue to acceptance, of those accepted.",
        _FLOWSIM, -1,
    ),
    Measure(
        "service_gave_up_share", "Left the queue without a place", "%",
        "Of people leaving the queue, those who gave up, were turned away, fell ill, died or were "
        "readmitted.",
        _FLOWSIM, -1,
    ),
    Measure(
        "service_starts_a_week", "Starts a week", "people a week",
        "People who came to the service; a change of size within it does not count.",
        _FLOWSIM, 0,
    ),
    Measure(
        "service_stay_days_mean", "Mean stay", "days",
        "Time from coming to leaving, waiting for what follows included, mean over stays that ended.",
        _FLOWSIM, 0,
    ),
    Measure(
        "service_stay_days_median", "Median stay", "days",
        "Median time from coming to leaving, waiting for what follows included, of stays that ended.",
        _FLOWSIM, 0,
    ),
    Measure(
        "service_effective_stay_days", "Effective stay", "days",
        "Time a place is in use for one person, from acceptance until freed: the planned stay of those "
        "who asked, with the mean of what holding and breaking off add to or take from the stays that "
        "ended.",
        _FLOWSIM, 0,
    ),
    Measure(
        "service_offered_load", "Offered load", "ratio",
        "What was asked for in units times effective stay, as a share of capacity: at or above one the "
        "queue grows or people give up.",
        _FLOWSIM, -1,
    ),
    Measure(
        "cost_by_service", "Cost by service", "£ a year",
        "The part of the cost that each kind of service makes.",
        _FLOWSIM, -1, adds_up=True,
    ),
    Measure(
        "check_causes", "Check: causes add up", "minutes",
        "Delayed minutes less the minutes charged to causes, added up over people without sign; must be "
        "nought.",
        _FLOWSIM, 0,
    ),
    Measure(
        "check_conservation", "Check: nobody is lost", "people",
        "Arrivals less those who left, died, were readmitted or are still in, the largest difference in "
        "any minute of the run; must be nought.",
        _FLOWSIM, 0,
    ),
    Measure(
        "check_littles_law", "Check: Little's law", "people",
        "The largest difference, over queues, between the mean number waiting and arrivals times wait, "
        "residuals at both ends of the window counted; must be nought.",
        _FLOWSIM, 0,
    ),
    Measure(
        "check_log", "Check: stamps and capacity log agree", "units",
        "The largest difference, over the log, between what it says is in use or queueing and what the "
        "stamps say; must be nought.",
        _FLOWSIM, 0,
    ),
    Measure(
        "check_capacity", "Check: nobody above capacity", "times",
        "How often more than the capacity was in use just after an acceptance; must be nought.",
        _FLOWSIM, 0,
    ),
    Measure(
        "check_overloaded", "Check: services offered more than they can do", "queues",
        "Queues with an offered load at or above one.",
        _FLOWSIM, 0,
    ),
)  # fmt: skip

_DTOC = "NHS England delayed transfers of care (to 2020); Better Care Fund 2014-20"
_BCF = "Better Care Fund"

_NATIONAL = (
    Measure(
        "dtoc_days_a_month", "Delayed transfers of care, days a month", "days per 100,000 adults",
        "Nights (23:59) that residents of the place spent in acute beds recognised as not meeting the "
        "criteria to reside, a month (a twelfth of 365 days), per 100,000 adult residents; the old count began "
        "later, when the move was agreed, and found about one in 2.7 of these.",
        f"{_DTOC} (DL-31)", -1,
    ),
    Measure(
        "dtoc_days_a_quarter", "Delayed transfers of care, days a quarter", "days per 100,000 adults",
        "The same, a quarter (a fourth of 365 days).",
        f"{_DTOC} (DL-31)", -1,
    ),
    Measure(
        "dtoc_beds", "Delayed transfers of care, beds on a mean night", "beds per 100,000 adults",
        "The same, on a mean night: the delayed beds of residents per 100,000 adult residents.",
        "Adult social care outcomes framework 2C (to 2020) (DL-31)", -1,
    ),
    Measure(
        "drd_days_mean", "Days from discharge ready date", "days",
        "Date of leaving less date of recognition, mean over all live discharges after at least one night, "
        "those without delay counted as nought.",
        f"{_DRD}; {_BCF} 2025/26 (DL-12)", -1,
    ),
    Measure(
        "drd_on_day_share", "Discharged on the discharge ready date", "%",
        "Of live discharges after at least one night, those that left on the date they were recognised as "
        "ready.",
        f"{_DRD}; {_BCF} 2025/26 (DL-13)", 1,
    ),
    Measure(
        "los_14_plus_share", "Beds held for 14 days or more", "%",
        "People in acute beds at 23:59 who came 14 or more days before, as a share of all in acute beds "
        "then.",
        f"NHS England long length of stay reporting; {_BCF} 2021/22 (AC-21)", -1,
    ),
    Measure(
        "los_14_plus_discharges", "Discharged after 14 days or more", "%",
        "Of live discharges from acute beds after at least one night, those after 14 nights or more.",
        f"{_BCF} 2021/22 (AC-21)", -1,
    ),
    Measure(
        "los_21_plus_discharges", "Discharged after 21 days or more", "%",
        "Of live discharges from acute beds after at least one night, those after 21 nights or more.",
        f"{_BCF} 2021/22 (AC-20)", -1,
    ),
    Measure(
        "avoidable_admissions", "Avoidable admissions", "per 100,000 adults a year",
        "Emergency admissions of residents to acute beds and same-day units that the place counts as "
        "avoidable (metrics.avoidable), not age-standardised, per 100,000 adult residents.",
        f"{_BCF} 2014-25: ambulatory care sensitive conditions (SD-01, SD-02, AE-36)", -1,
    ),
    Measure(
        "emergency_admissions_65", "Emergency admissions at 65 and over", "per 100,000 aged 65+ a year",
        "Emergency admissions to acute beds and same-day units of residents whom the place counts as 65 or "
        "over (metrics.aged_65_and_over), readmissions included, per 100,000 residents of that age.",
        f"{_BCF} 2025/26", -1,
    ),
    Measure(
        "falls_admissions_65", "Emergency admissions for falls at 65 and over", "per 100,000 aged 65+ a year",
        "Of the emergency admissions at 65 and over, those that the place counts as due to a fall "
        "(metrics.falls), not age-standardised, per 100,000 residents of that age.",
        f"{_BCF} 2023-25 (SD-03)", -1,
    ),
    Measure(
        "residential_admissions_65", "Long-term admissions to care homes at 65 and over",
        "per 100,000 aged 65+ a year",
        "Residents counted as 65 or over who come to a care home to stay and did not live in one, whoever "
        "pays (the national count has only those a council supports), per 100,000 residents of that age.",
        f"Adult social care outcomes framework 2A; {_BCF} 2014-26 (CH-13)", -1,
    ),
    Measure(
        "home_at_91_days_share", "At home 91 days after discharge into reablement", "%",
        "Of people counted as 65 or over who went from an acute bed into a service with slots, those 91 "
        "days later neither dead nor in an acute bed, a community bed or a care home; deaths at home after the "
        "last service are not in the model; discharges of the window's last 91 days are left out.",
        f"Adult social care outcomes framework 2B; {_BCF} 2014-25 (IC-30)", 1,
    ),
    Measure(
        "readmission_6_month_share", "Readmitted within six months", "%",
        "Of live discharges from acute beds, those followed by a readmission within 182 days, of those the "
        "model makes: after the gap its stages declare and not by chance later, so it is below any published rate; "
        "the window's last 182 days of discharges are left out.",
        "Sefton's Better Care Fund plan 2014 (AC-28, IC-06)", -1,
    ),
    Measure(
        "deaths_share_of_discharges", "Discharges that are deaths", "%",
        "Of stays in acute beds that ended, those that ended in death; the share of all deaths that happen in "
        "hospital cannot be given, since most deaths elsewhere are not in the model.",
        "NHS Digital hospital episode statistics: method of discharge (AC-24, AC-25)", -1,
    ),
    Measure(
        "expected_extra_deaths_of_waiting", "Deaths expected of long waits for a bed", "people a year",
        "One for every 82 people admitted from the emergency department after more than 6 and up to 8 hours "
        "from arrival, and one for every 72 after longer (8 to 12 hours in the study), within 30 days and scaled to "
        "365 days: an association of published evidence, with the ends of its own 95 % interval beside it; nobody in "
        "the model dies of it.",
        "Jones and others, Emergency Medicine Journal 2022;39:168 (HA-01, HA-02, HA-10, ASM-154)", -1, adds_up=True,
    ),
)  # fmt: skip

HEADLINE: dict[str, Measure] = {m.id: m for m in _HEADLINE}
"""The measures every comparison shows, by id, in order."""
MEASURES: dict[str, Measure] = HEADLINE | {m.id: m for m in (*_FURTHER, *_NATIONAL)}
"""Every measure there is, by id, in order."""
NATIONAL: dict[str, tuple[str, ...]] = {
    "Delay": (
        "drd_days_mean", "delay_days_mean", "drd_on_day_share", "dtoc_days_a_month", "dtoc_days_a_quarter", "dtoc_beds",
    ),
    "Long stays": ("los_14_plus_share", "los_21_plus_share", "los_14_plus_discharges", "los_21_plus_discharges"),
    "Admissions": ("emergency_admissions_65", "avoidable_admissions", "falls_admissions_65"),
    "Where people live afterwards": ("usual_residence_share", "residential_admissions_65", "home_at_91_days_share"),
    "Coming back": ("readmission_30_day_share", "readmission_6_month_share"),
    "Deaths": ("deaths_in_hospital", "deaths_share_of_discharges", "expected_extra_deaths_of_waiting"),
}  # fmt: skip
"""The national set, past and present, by theme: ids of measures, some of them headline measures."""
