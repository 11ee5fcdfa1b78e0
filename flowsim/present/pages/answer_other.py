"""The answers of a run, a selection, and of the weeks ahead of a census."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from flowsim.folder.result import Result
from flowsim.present.pages import answer
from flowsim.present.pages.answer import Said, in_words, level, plain
from flowsim.present.pages.cells import mean_cell
from flowsim.present.pages.page import Cell, Section
from flowsim.present.titles import point_words, service_title, titled
from flowsim.present.words import number
from flowsim.questions.compare import SERVICE_LOAD
from flowsim.questions.forecast import BOARDING, DELAYED, TO_BE_SEEN, is_forecast, weekly
from flowsim.questions.guards import guards_of
from flowsim.questions.select import GUARDED, Selection
from flowsim.questions.sweep import Sweep

MOST_POINTS = 6
MOST_WEEKS = 12
SHORT = {DELAYED: "ready to leave, in hospital", BOARDING: "in A&E for a bed", TO_BE_SEEN: "to be seen in A&E"}


def of_run(result: Result) -> Section:
    """What there is, how sure, what it costs, what is fullest, what to doubt."""
    if is_forecast(result):
        return of_forecast(result)
    summary: Any = result.summary().set_index("measure")
    names = answer.shown_measures(result)
    levels = [f"{plain(name)} {_level(summary.loc[name], name)}" for name in names if name in summary.index]
    said = [*answer.range_broken(result), Said("What there is", "; ".join(levels[:3]))]
    said += [answer.how_sure(result), Said("Fullest", fullest(result)), answer.doubts(result)]
    shown = [
        n
        for n in dict.fromkeys((*names, "acute_occupancy", "los_days_mean", "deaths_in_hospital"))
        if n in summary.index
    ]
    rows = [(answer.plain_and_unit(n, result), mean_cell(summary.loc[n], n)) for n in shown]
    return _in_a_line(answer.section(said, ("", "mean (range)"), rows))


def _level(row: Any, measure: str) -> str:
    cell = mean_cell(row, measure)
    return level(measure, float(row["mean"]), cell.low, cell.high)


def fullest(result: Result) -> str:
    """The services that are asked for most of what they can do."""
    table = result.summary(headline=False)
    load = table[(table["measure"] == SERVICE_LOAD) & (table["where"] == "all")]
    highest = load.groupby("of")["mean"].max().sort_values(ascending=False, kind="stable")
    named = [f"{service_title(result, str(name))} {100 * value:.0f} %" for name, value in highest.items() if value > 0]
    return f"asked for, of what they can do: {in_words(named)}" if named else "no service has a limit"


def guarded(result: Sweep | Selection, worse: Mapping[str, Sequence[str]]) -> str:
    """What must not become clearly worse, and which scenarios or points make something so."""
    names = guards_of(result)
    if not names:
        return "nothing is guarded (guards=[])"
    failing = [point_words(name) for name, measures in worse.items() if measures]
    said = f"not called best: {in_words(failing)}" if failing else "nothing shown here makes any of it clearly worse"
    return f"{', '.join(map(plain, names))} (guards=); {said}"


def of_selection(result: Selection) -> Section:
    """Which was selected, with what promise, and who waits at the door in each."""
    names = [name for name in answer.shown_measures(result) if name != result.asked["measure"]][:3]
    summary: Any = result.summary().set_index(["scenario", "measure"])
    said = [*answer.range_broken(result), Said("Which is best", _in_titles(result, result.outcome))]
    said += [Said("How sure", result.promise)] if result.promise is not None else []
    said += [Said("Not to be made worse", guarded(result, result.asked["worse"])), answer.doubts(result)]
    rows = [
        (
            f"{'-' if row['ended'] == GUARDED else row['rank']}: {titled(result, row['scenario'])}",
            mean_cell(row, result.asked["measure"]),
            *(
                mean_cell(summary.loc[(row["scenario"], name)], name)
                if (row["scenario"], name) in summary.index
                else "-"
                for name in names
            ),
        )
        for row in result.ranking.head(MOST_POINTS).to_dict("records")
    ]
    columns = ("", *(answer.plain_and_unit(name, result) for name in (result.asked["measure"], *names)))
    return answer.section(said, columns, rows)


def _in_titles(result: Selection, sentence: str) -> str:
    best = result.asked["best"]
    return sentence if best is None else sentence.replace(str(best), titled(result, str(best)), 1)


# ---------------------------------------------------------------------------------------------------------------------
# The weeks ahead


def of_forecast(result: Result) -> Section:
    """The worst week with its range, what opens when, who waits outside; a row a week. Of the first scenario."""
    bands = weekly(result)
    scenario = result.scenarios[0]
    bands = bands[(bands["scenario"] == scenario) & bands["series"].isin(list(SHORT))]
    wide = {str(title): rows.set_index("week") for title, rows in bands.groupby("series", sort=False)}
    wide = {title: wide[title] for title in SHORT if title in wide and wide[title]["high_90"].any()}
    said = [*answer.range_broken(result), Said("The worst weeks", "; ".join(_peak(*one) for one in wide.items()))]
    if opens := list(what_opens(result, scenario)):
        said.append(Said("Planned beds", in_words(opens)))
    said.append(_bands_of(int(bands["n"].max()) if len(bands) else 0))
    said.append(answer.doubts(result))
    weeks = list(dict.fromkeys(bands["week"]))
    rows = [(_day(week), *(_band(rows, week) for rows in wide.values())) for week in weeks[:MOST_WEEKS]]
    columns = ("week from", *(SHORT[title] for title in wide))
    return _in_a_line(answer.section(said, columns, rows))


def _bands_of(n: int) -> Said:
    if n < 2:
        return Said("How sure", "one run only, so no range")
    return Said("How sure", f"ranges hold eight of ten of the {n} runs made, as if every number set were right")


def _peak(title: str, rows: pd.DataFrame) -> str:
    week: Any = rows["median"].idxmax()
    top = rows.loc[week]
    limits = f" ({number(float(top['low_10']))} to {number(float(top['high_90']))})" if top["n"] > 1 else ""
    return f"{SHORT[title]} {number(float(top['median']))}{limits} in the week from {_day(week)}"


def _band(rows: pd.DataFrame, week: Any) -> str | Cell:
    if week not in rows.index:
        return "-"
    row: Any = rows.loc[week]
    limits = (float(row["low_10"]), float(row["high_90"])) if row["n"] > 1 else (float("nan"), float("nan"))
    return Cell(float(row["median"]), *limits)


def what_opens(result: Result, scenario: str) -> Iterator[str]:
    """Beds on wards that open or close by plan within the time measured, each with its date."""
    place = result.places[scenario]
    table = result.capacities[result.capacities["scenario"] == scenario]
    wards = [name for name, service in place.services.items() if service.role == "ward"]
    table = table[table["of"].isin(wards)].sort_values("date", kind="stable")
    steps = table.assign(step=table.groupby(["where", "of"])["open"].diff())
    for date, step in steps.groupby("date")["step"].sum().items():
        if step and abs(step) >= 1:
            yield f"{abs(step):,.0f} {'open' if step > 0 else 'close'} on {_day(date)}"


def _day(date: Any) -> str:
    return f"{date.day} {date:%B}"


def _in_a_line(section: Section) -> Section:
    return Section(section.heading, section.columns, section.rows, section.sentences, section.loud, in_a_line=True)
