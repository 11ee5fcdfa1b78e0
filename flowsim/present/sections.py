"""What an experiment found, said piece by piece: tables and sentences, whoever writes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from flowsim.folder.result import Result
from flowsim.measures.national import EVIDENCE, missing
from flowsim.measures.registry import HEADLINE, MEASURES, NATIONAL
from flowsim.place import Place
from flowsim.present.words import (
    KEY_MEASURES,
    few_words,
    interval,
    number,
    possible,
    scaled,
    service_title,
    signed,
    titled,
    with_scaled_unit,
)
from flowsim.questions.compare import (
    NO_CLEAR_CHANGE,
    SAVING_COMES,
    SAVING_FAILS,
    SERVICE_LOAD,
    SERVICE_WAIT,
    Comparison,
    where_pairing_does_not_help,
)
from flowsim.questions.forecast import ENOUGH, is_forecast, weekly
from flowsim.questions.select import LEFT, Selection

WARNING_CHECKS = ("check_overloaded",)
"""Checks that warn about the place rather than fail the run."""
TOLERANCE = 1e-6
ENOUGH_FOR_VARIANCES = 30
"""Replications from which a ratio of variances is known to about a factor of two."""
MOST_SERVICES = 5
MOST_OVERLOADED = 8
MOST_FAILURES = 10
READ_TOGETHER = (
    "Read delay together with the hidden wait: earlier recognition can raise the measured delay while the stay falls."
)
MORE_THAN_FULL = (
    "Occupancy passes 100 % on nights when people still lie in beds that are closed: surge beds shut again, or a ward "
    "closed for infection."
)
FROM_A_CENSUS = (
    "These start from the census and cover only the days from it, without a warm-up: they cannot be set beside those "
    "of a run without a census, such as a baseline's year."
)
IN_THE_EMERGENCY_DEPARTMENT = ("boarding_hours_mean", "trolley_12_hour_count", "ed_12_hour_share")
"""Measures that show people who wait in the emergency department and so cannot be delayed on a ward."""
COMING_BACK = (
    "Readmitted within six months can be below within 30 days: they are shares of different discharges, those of the "
    "last 182 days being left out of the one and those of the last 30 days of the other, and later readmissions are "
    "made only where a place declares them."
)
DEATHS = "deaths_in_hospital"
DEATHS_MOVE = (
    "No effect on deaths is built in: a scenario moves them only by who is in hospital, for how long, and whose stay "
    "ends within the time measured."
)
FORECAST_BANDS = (("low_25", "high_75"), ("low_10", "high_90"))
FORECAST_WARNINGS = (
    "A projection from what the census counted and from assumed stays, arrivals and rules; what is not in them "
    "(a closed home, an outbreak, a strike) is not in the bands.",
    "Bands show chance alone: the middle half and the middle 80 % of replications, as if every number of the place "
    "were right.",
    "Measured stays and delays count from the first day, not from before. Those who left hospital in the months before "
    "and come back as readmissions are drawn from a usual quarter, not from the census.",
)


@dataclass(frozen=True)
class Section:
    """A heading with a table, sentences, or both; `loud` sections are warnings."""

    heading: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    sentences: tuple[str, ...] = ()
    loud: bool = False


def forecast(result: Result) -> Iterator[Section]:
    """The weeks ahead of a census: a table of bands for each thing that is followed."""
    bands = weekly(result)
    for title, rows in bands.groupby("series", sort=False):
        if not rows["high_90"].any():
            continue
        by_scenario = {name: own.set_index("week") for name, own in rows.groupby("scenario", sort=False)}
        weeks = list(dict.fromkeys(rows["week"]))
        if len(result.places) > 1:
            columns = ("week from", *(f"{titled(result, str(name))}: median (10 to 90 %)" for name in by_scenario))
            cells = [tuple(_in_brief(own, week) for own in by_scenario.values()) for week in weeks]
        else:
            columns = ("week from", "median", "25 to 75 %", "10 to 90 %")
            cells = [_band(own.loc[week]) for own in by_scenario.values() for week in weeks]
        lines = [(f"{week.day} {week:%B}", *cell) for week, cell in zip(weeks, cells, strict=True)]
        yield Section(f"The weeks ahead. {title} (people, each week's mean night)", columns, tuple(lines))
    n = int(bands["n"].max())
    few = (few_words(n),) if 1 < n < ENOUGH else ()
    yield Section("What this projection is worth", sentences=(*few, *FORECAST_WARNINGS))


def _in_brief(bands: pd.DataFrame, week: Any) -> str:
    middle, _, outer = _band(bands.loc[week])
    return f"{middle} ({outer})" if outer else middle


def _band(row: Any) -> tuple[str, str, str]:
    """Median, the middle half and the middle 80 % of replications; one replication has no bands."""
    if row["n"] < 2:
        return number(float(row["median"])), "", ""
    inner, outer = (interval(float(row[low]), float(row[high])) for low, high in FORECAST_BANDS)
    return number(float(row["median"])), inner, outer


def trouble(result: Result) -> Iterator[Section]:
    """What failed, first of all, and what is to be noticed."""
    failed = [f"{f.scenario}, replication {f.replication} (seed {f.seed}): {f.error}" for f in result.failures]
    if failed:
        more = len(failed) - MOST_FAILURES
        rest = [f"... and {more} more, told in manifest.json."] if more > 0 else []
        again = f"The same command with out={result.out} tries them again."
        sentences = (*failed[:MOST_FAILURES], *rest, again)
        yield Section(f"{len(failed)} cells failed and are left out", sentences=sentences, loud=True)
    broken = tuple(failed_checks(result))
    if broken:
        yield Section("Trust checks that failed: do not use these results", sentences=broken, loud=True)
    notices = (*result.notices, *_unpaired(result))
    if notices:
        yield Section("Notices", sentences=notices, loud=False)


def failed_checks(result: Result) -> Iterator[str]:
    """One sentence a trust check that is not nought in some replication."""
    checks = result.results[result.results["measure"].str.startswith("check_")]
    checks = checks[~checks["measure"].isin(WARNING_CHECKS) & (checks["value"].abs() > TOLERANCE)]
    for (scenario, measure), rows in checks.groupby(["scenario", "measure"], sort=True):
        worst = rows.iloc[int(rows["value"].abs().to_numpy().argmax())]
        yield (
            f"{MEASURES[str(measure)].title} ({scenario}): {worst['value']:g} {worst['unit']} in "
            f"replication {worst['replication']}; {len(rows)} numbers are not nought."
        )


def differences(result: Comparison, brief: bool) -> Section:
    """Every headline measure: its mean in the first scenario, and what each other changes; `brief` has the key ones."""
    summary = result.summary()
    first = summary[summary["scenario"] == result.baseline].set_index("measure")
    table = result.table().set_index(["measure", "scenario"])
    rows = []
    for name in KEY_MEASURES if brief else HEADLINE:
        if name not in first.index:
            continue
        measure = HEADLINE[name]
        cells = [
            difference_text(table.loc[(name, scenario)], measure.unit, brief)
            if (name, scenario) in table.index
            else "-"
            for scenario in result.others
        ]
        rows.append((with_scaled_unit(name, result), _mean_text(first.loc[name], name), *cells))
    columns = ("", titled(result, result.baseline), *(titled(result, name) for name in result.others))
    heading = f"What changes, compared with {titled(result, result.baseline)}"
    deaths_move = not brief and result.table().query("measure == @DEATHS")["change"].isin(["more", "less"]).any()
    sentences = (
        *_waiting_elsewhere(result),
        _how_to_read(result, brief),
        READ_TOGETHER,
        *([DEATHS_MOVE] if deaths_move else []),
        *([MORE_THAN_FULL] if _more_than_full(result) else []),
        *([FROM_A_CENSUS] if is_forecast(result) else []),
    )
    return Section(heading, columns, tuple(rows), sentences)


def _more_than_full(result: Result) -> bool:
    """Is the mean or the interval of some scenario's occupancy above 100 %?"""
    summary = result.summary()
    return bool((summary.loc[summary["measure"] == "acute_occupancy", ["mean", "high"]] > 100).any(axis=None))


def _waiting_elsewhere(result: Comparison) -> Iterator[str]:
    """One sentence a scenario whose delayed patients do not rise, but clearly more wait in the emergency department."""
    table = result.table()
    for scenario in result.others:
        rows = table[(table["scenario"] == scenario) & (table["change"] == "more")]
        clearly_more = dict(zip(rows["measure"], rows["difference"], strict=True))
        told = "; ".join(
            f"{HEADLINE[name].title.lower()} {signed(clearly_more[name])} {_spoken(HEADLINE[name].unit)}"
            for name in IN_THE_EMERGENCY_DEPARTMENT
            if name in clearly_more
        )
        if told and "delayed_patients" not in clearly_more:
            yield (
                f"{titled(result, scenario)}: the delayed patients hide part of the waiting. Clearly more people wait "
                f"in the emergency department ({told}), and who has no bed yet is not counted as delayed in one."
            )


def _spoken(unit: str) -> str:
    """The unit of a difference: of a share it is points."""
    return "points" if unit == "%" else unit


def _how_to_read(result: Result, brief: bool) -> str:
    if result.results["replication"].nunique() < 2:
        return "One replication: no interval, so no difference here can be told from chance."
    unclear = (
        "no clear change"
        if brief
        else "no clear change, and the smallest difference these replications would have shown"
    )
    return f"Each cell: the mean paired difference and its 95 % interval; where that includes no change: {unclear}."


def difference_text(row: Any, unit: str, brief: bool = False) -> str:
    """A paired difference in a cell: the number and its interval, or that there is no clear change."""
    limits = interval(float(row["low"]), float(row["high"]), unit, sign=True)
    if row["change"] == "no change":
        return "no change"
    if row["change"] == NO_CLEAR_CHANGE:
        would_show = "" if brief else f"\n({number(float(row['smallest_detectable']), unit)} would show)"
        return f"{NO_CLEAR_CHANGE}\n{limits}{would_show}"
    text = f"{signed(float(row['difference']), unit)}{' points' if unit == '%' else ''}"
    return f"{text}\n{limits}" if limits else f"{text}\n(no interval)"


def _mean_text(row: Any, measure: str) -> str:
    unit = MEASURES[measure].unit
    low, high = np.clip([row["low"], row["high"]], *possible(measure))
    limits = interval(float(low), float(high), unit)
    return f"{number(float(row['mean']), unit)}\n{limits}" if limits else number(float(row["mean"]), unit)


def breaks_next(result: Comparison) -> Iterator[Section]:
    """The services that each scenario loads more."""
    ranked = result.what_breaks_next()
    clear = (ranked["load_change"] == "more") | (ranked["wait_change"] == "more")
    rows = []
    for scenario in result.others:
        name = titled(result, scenario)
        own = ranked[ranked["scenario"] == scenario]
        rises = clear[own.index]
        own = own[rises].head(MOST_SERVICES) if rises.any() else own.head(1)
        for row in own.to_dict("records"):
            load = f"{number(row['load'])} ({_clear(row['load_difference'], row['load_change'])})"
            wait = f"{number(row['wait'])} {row['wait_unit']} ({_clear(row['wait_difference'], row['wait_change'])})"
            rows.append((name, service_title(result, row["service"]), load, wait))
            name = ""
    columns = ("scenario", "service", "offered load (change)", "mean wait (change)")
    sentence = (
        "Services whose load or wait clearly rises (where none does, the one nearest to it), ranked by both together; "
        "with an offered load at or above 1 the queue grows until people give up."
    )
    if len(ranked):
        yield Section("What breaks next", columns, tuple(rows), (sentence,))


def _clear(difference: float, change: str) -> str:
    return change if change in (NO_CLEAR_CHANGE, "no change") else signed(difference)


def costs(result: Comparison, brief: bool) -> Iterator[Section]:
    """What each scenario costs more or less, by payer, and what a released bed-day costs."""
    net = result.net_cost()
    if net.empty:
        return
    released = result.released_bed_days().set_index("scenario")
    moved = net.groupby("payer", sort=False)["difference"].any()
    payers = ["all", *(payer for payer in moved.index if payer != "all" and (moved[payer] or not brief))]
    found: Any = net.set_index(["scenario", "case", "payer"])
    unit = HEADLINE["cost_total"].unit
    cases = {SAVING_COMES: SAVING_COMES, SAVING_FAILS: SAVING_FAILS}
    if not net["beds"].any():
        cases = {SAVING_COMES: "cost as before"}
    rows = []
    for scenario in result.others:
        name, price = titled(result, scenario), released_text(released, scenario)
        for case, words in cases.items():
            keys = [(scenario, case, payer) for payer in payers]
            cells = [difference_text(found.loc[key], unit, brief) if key in found.index else "-" for key in keys]
            rows.append((name, words, *cells, price))
            name, price = "", ""
    columns = ("scenario", "in acute beds", "all payers", *payers[1:], "a released bed-day")
    saved = sorted(net.loc[net["case"] == SAVING_FAILS, "cashable"].unique())
    shares = "nothing" if saved == [0] else " or ".join(f"{share:.0%}" for share in saved)
    sentences = [
        "The saving comes: every acute bed-day used less or more counts as money. It does not come: beds are staffed "
        f"whether in use or not, and {shares} of that counts (place.metrics.cashable).",
        "A released bed-day is priced by what everything but acute beds costs more, over the delayed bed-days that "
        "fall away (Fieller's 95 % interval).",
    ]
    if longer := [name for name in result.others if _changes_hours(result.places[name])]:
        named = ", ".join(titled(result, name) for name in longer)
        sentences.append(f"{named}: the staff for longer hours are not in these costs, since no source gives theirs.")
    yield Section(f"What it costs ({scaled(unit, result)}, difference)", columns, tuple(rows), tuple(sentences))


def _changes_hours(place: Place) -> bool:
    """Does the scenario change when people work, whose cost is not known?"""
    return any(key.startswith("calendars.") for key in place.scenario.changes)


def released_text(released: pd.DataFrame, scenario: str) -> str:
    """What a released bed-day costs, or why that cannot be said."""
    if scenario not in released.index:
        return "-"
    row: Any = released.loc[scenario]
    if not row["released_clear"]:
        return "no clear release of bed-days"
    if row["ratio"] < 0:  # told as a saving: the interval is turned with it
        return f"saves {number(-row['ratio'], '£')}\n{interval(-row['high'], -row['low'], '£')}"
    return f"costs {number(row['ratio'], '£')}\n{interval(row['low'], row['high'], '£')}"


def payers(result: Result) -> Iterator[Section]:
    """The cost by payer."""
    summary = result.summary(headline=False)
    cost = summary[summary["measure"] == "cost_total"]
    if len(cost):
        cost = cost.sort_values("of", key=lambda payer: payer == "", kind="stable")
        named = cost["of"].replace("", "all payers")
        told = (_mean_text(row, "cost_total") for row in cost.to_dict("records"))
        rows = tuple(zip(named, told, strict=True))
        yield Section("What it costs", ("payer", scaled(str(cost["unit"].iloc[0]), result)), rows)


def measures(result: Result) -> Section:
    """The headline measures of one scenario."""
    summary = result.summary().set_index("measure")
    rows = tuple(
        (
            measure.title,
            scaled(measure.unit, result),
            _mean_text(summary.loc[name], name).replace("\n", " (") + _closing(summary.loc[name]),
        )
        for name, measure in HEADLINE.items()
        if name in summary.index
    )
    sentences = (
        *([MORE_THAN_FULL] if _more_than_full(result) else []),
        *([FROM_A_CENSUS] if is_forecast(result) else []),
    )
    return Section("Headline measures", ("", "unit", "mean (95 % interval)"), rows, sentences)


def _closing(row: Any) -> str:
    return ")" if np.isfinite(row["low"]) else ""


def services(result: Result) -> Iterator[Section]:
    """Every queue with its load, occupancy and wait."""
    shown = (SERVICE_LOAD, "service_occupancy", "service_queue_mean", SERVICE_WAIT)
    table = result.summary(headline=False)
    wide = table[table["measure"].isin(shown)].pivot(index=["where", "of"], columns="measure", values="mean")
    wide = wide.reindex(columns=list(shown)).sort_values(SERVICE_LOAD, ascending=False, kind="stable")
    wide = wide[wide[SERVICE_LOAD].notna()]
    rows = tuple(
        (service_title(result, of, where), *(number(float(value)) for value in values))
        for (where, of), values in zip(wide.index, wide.to_numpy(), strict=True)
    )
    if rows:
        columns = ("service", "offered load", "occupancy %", "people waiting", "mean wait, days")
        yield Section("Services, the most heavily loaded first", columns, rows)


def evidence(result: Comparison) -> Iterator[Section]:
    """What the scenarios say is known about effects like these."""
    told: dict[str, list[str]] = {}
    for scenario in result.others:
        for source, text in result.places[scenario].scenario.evidence.items():
            told.setdefault(f"{text} ({source})", []).append(titled(result, scenario))
    if told:
        sentences = tuple(f"{', '.join(names)}: {text}" for text, names in told.items())
        yield Section("What the evidence says about sizes like these", sentences=sentences)


def worth(result: Result, assumptions: str) -> Iterator[Section]:
    """Assumptions, and services offered more than they can do."""
    sentences = [assumptions] if assumptions else []
    place = next(iter(result.places.values()))
    theirs = {name for name, locality in place.localities.items() if locality.neighbour}
    overloaded = _overloaded(result)
    own = [(where, of) for where, of in overloaded.index if where not in theirs]
    if own:
        named = "; ".join(
            f"{service_title(result, of, where)} ({number(overloaded[where, of])})"
            for where, of in own[:MOST_OVERLOADED]
        )
        more = len(overloaded) - len(own[:MOST_OVERLOADED])
        rest = f"; and {more} more, neighbours' own included" if more else ""
        sentences.append(f"Offered more than they can do (load at or above 1 in at least one scenario): {named}{rest}.")
    if sentences:
        yield Section("What the numbers are worth", sentences=tuple(sentences))


def _overloaded(result: Result) -> pd.Series:
    """Queues with an offered load at or above one in some scenario (its mean over replications), highest first."""
    load = result.results[result.results["measure"] == SERVICE_LOAD]
    highest = load.groupby(["scenario", "where", "of"])["value"].mean().groupby(["where", "of"]).max()
    split = {of for where, of in highest.index if where != "all"}
    highest = highest[[where != "all" or of not in split for where, of in highest.index]]
    return highest[highest >= 1].sort_values(ascending=False, kind="stable")


def detectable(result: Comparison) -> Section:
    """The smallest difference of each measure that so many replications would find."""
    table = result.table().pivot(index="measure", columns="scenario", values="smallest_detectable")
    rows = tuple(
        (
            with_scaled_unit(name, result),
            *(number(float(table[s].get(name, np.nan)), HEADLINE[name].unit) for s in result.others),
        )
        for name in HEADLINE
        if name in table.index
    )
    columns = ("", *(titled(result, name) for name in result.others))
    sentence = (
        "The true difference that four comparisons in five with this many replications would find to be clear: "
        "(t(0.975) + t(0.80)) x sd of the paired differences / square root of n."
    )
    return Section("The smallest difference that would have shown", columns, rows, (sentence,))


def pairing(result: Comparison) -> Iterator[Section]:
    """How many times more replications other people in each scenario would take."""
    gain = result.pairing_gain()
    if gain.empty:
        return
    table = gain.pivot(index="measure", columns="scenario", values="ratio")
    rows = tuple(
        (HEADLINE[name].title, *(_times(float(table[s].get(name, np.nan))) for s in result.others if s in table))
        for name in HEADLINE
        if name in table.index
    )
    columns = ("", *(titled(result, name) for name in result.others if name in table))
    sentence = (
        "How many times more replications it would take to know a difference as well if other people came in each "
        "scenario: the variance of the unpaired difference over that of the paired."
    )
    n = int(gain["n"].max())
    rough = f"From {n} replications these are rough estimates: more may well give half or twice as much."
    sentences = (sentence, rough) if n < ENOUGH_FOR_VARIANCES else (sentence,)
    yield Section("What it gains that the same people come", columns, rows, sentences)


def _times(ratio: float) -> str:
    return "every difference equal" if np.isinf(ratio) else f"{number(ratio)} times" if np.isfinite(ratio) else "-"


def _unpaired(result: Result) -> Iterator[str]:
    """One sentence a scenario in whose differences pairing does not help."""
    if not isinstance(result, Comparison) or isinstance(result, Selection) or result.results.empty:
        return
    for scenario, rows in where_pairing_does_not_help(result.pairing_gain()).groupby("scenario", sort=False):
        named = ", ".join(f"{row['title']} ({number(row['ratio'])})" for row in rows.to_dict("records"))
        yield (
            f"In {titled(result, str(scenario))} it does not help that the same people come (unpaired over paired "
            f"variance at most 1): {named}."
        )


def selection(result: Selection) -> Section:
    """The ranking that a selection ended with."""
    asked, table = result.asked, result.ranking
    rows = tuple(
        (
            str(row["rank"]),
            titled(result, row["scenario"]),
            _mean_text(row, asked["measure"]).replace("\n", " (") + _closing(row),
            str(row["replications"]),
            f"left after {row['after']}" if row["ended"] == LEFT else str(row["ended"]),
        )
        for row in table.to_dict("records")
    )
    heading = f"Which is best: {with_scaled_unit(asked['measure'], result)}"
    columns = ("rank", "scenario", "mean (95 % interval)", "replications", "")
    return Section(heading, columns, rows, tuple(result.explanation()))


def national(result: Result) -> Section:
    """The national set by theme: of one scenario the means, of several the differences as well."""
    others = result.others if isinstance(result, Comparison) else ()
    first = result.scenarios[0]
    summary = result.summary(headline=False)
    means: Any = summary[summary["scenario"] == first].set_index(["measure", "where", "of"])
    changes: Any = means
    if isinstance(result, Comparison):
        changes = result.differences.set_index(["scenario", "measure", "where", "of"])
    rows: list[tuple[str, ...]] = []
    for theme, names in NATIONAL.items():
        shown = [(name, of) for name in names for of in ("", *EVIDENCE) if (name, "all", of) in means.index]
        for at, (name, of) in enumerate(shown):
            unit = MEASURES[name].unit
            title = with_scaled_unit(name, result) if not of else f"{MEASURES[name].title}: {of}"
            keys = [(scenario, name, "all", of) for scenario in others]
            cells = [difference_text(changes.loc[key], unit) if key in changes.index else "-" for key in keys]
            rows.append(("" if at else theme, title, _mean_text(means.loc[(name, "all", of)], name), *cells))
    sentences = [
        f"Not measured: {MEASURES[name].title}; the place would have to declare "
        f"{' and '.join(f'metrics.{key}' for key in keys)}."
        for name, keys in missing(result.places[first]).items()
    ]
    if set(NATIONAL["Coming back"]) <= set(means.index.get_level_values("measure")):
        sentences.append(COMING_BACK)
    columns = ("", "", *(titled(result, scenario) for scenario in (first, *others)))
    return Section("National measures, past and present", columns, tuple(rows), tuple(sentences))


def definitions(result: Result) -> Section:
    """Every measure shown, with its definition and source."""
    shown = set(result.results["measure"].unique())
    told = dict.fromkeys([*HEADLINE, *(name for names in NATIONAL.values() for name in names)])
    rows = tuple((m.title, m.unit, m.definition, m.source) for m in map(MEASURES.__getitem__, told) if m.id in shown)
    return Section("What is measured", ("measure", "unit", "definition", "after"), rows)


def assumptions_words(place: Place, grades: Sequence[str]) -> str:
    """``x of y default numbers are assumptions``, from the grades of a place's numbers; empty when there are none."""
    if not grades:
        return ""
    assumed = sum(grade.startswith("C") for grade in grades)
    return (
        f"{assumed} of {len(grades)} default numbers of {place.title} are assumptions (grade C), not published; "
        "'flowsim show evidence' lists them with their ranges and reasons."
    )
