"""What stands on the screens of runs and comparisons, held against the numbers that it is made of."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from presenting import in_words

import flowsim
from flowsim.declare.composition import load
from flowsim.measures.registry import HEADLINE, MEASURES
from flowsim.place import Place
from flowsim.present.pages import answer, answer_compare, answer_other, compare, national, run
from flowsim.present.pages.page import Cell, Section
from flowsim.present.pages.unfinished import NOT_A_TRIFLE, still_there
from flowsim.present.words import NO_MATTER, entry_words, number, signed
from flowsim.questions.compare import NO_CLEAR_CHANGE, NO_INTERVAL
from flowsim.questions.forecast import DELAYED, weekly
from flowsim.statistics.intervals import smallest_detectable, whole

PLACES = Path(__file__).parent / "places"
AINTREE, SOUTHPORT = "aintree", "southport_ormskirk"
BEYOND = "NOT TO BE BELIEVED AS IT STANDS"

pytestmark = pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")


def named(place: Place, name: str, title: str) -> Place:
    return place.model_copy(update={"scenario": place.scenario.model_copy(update={"name": name, "title": title})})


@pytest.fixture(scope="module")
def closing(tmp_path_factory: pytest.TempPathFactory) -> flowsim.Comparison:
    """A fifth of Sefton for four weeks: as it is, the same again, and with beds closed at one of its two hospitals."""
    short = ("scale=0.2", "days=28", "warm_up_days=28")
    base = load(*short)
    beds = base.services["acute_beds"].by_site
    assert beds is not None
    left = round(0.85 * beds[SOUTHPORT])
    keys = (f"by_site.{SOUTHPORT}={left}", f"capacity={beds[AINTREE] + left:g}")
    fewer = load(*short, *(f"place.services.acute_beds.{key}" for key in keys))
    places = {"base": base, "same": named(base, "same", "The same"), "fewer": named(fewer, "fewer", "Fewer beds")}
    out = tmp_path_factory.mktemp("closing") / "out"
    return flowsim.compare(places, 4, jobs=1, out=out, progress=False, charts=False)


@pytest.fixture(scope="module")
def roomy(tmp_path_factory: pytest.TempPathFactory) -> flowsim.Comparison:
    """The small place with beds enough, and with more support."""
    words = ("place=small", "days=28", "warm_up_days=28", "place.services.wards.capacity=80")
    places = {name: load(*words, f"scenario={name}", scenarios_dir=PLACES) for name in ("baseline", "more_support")}
    out = tmp_path_factory.mktemp("roomy") / "out"
    return flowsim.compare(places, 4, jobs=1, out=out, progress=False, charts=False)


def with_results(result: flowsim.Comparison, results: pd.DataFrame) -> flowsim.Comparison:
    """The same comparison with other numbers."""
    other = flowsim.Comparison(result.out, result.places)
    other.__dict__["results"] = results
    return other


def with_values(result: flowsim.Comparison, measure: str, **values: list[float]) -> flowsim.Comparison:
    """With so much of a measure of the whole place in each scenario and replication."""
    others = result.results[(result.results["measure"] != measure) | (result.results["where"] != "all")]
    rows = [
        (scenario, replication, measure, "all", "", MEASURES[measure].unit, value)
        for scenario, each in values.items()
        for replication, value in enumerate(each)
    ]
    return with_results(result, pd.concat([others, pd.DataFrame(rows, columns=list(others.columns))]))


def said_of(section: Section, about: str) -> str:
    """The sentence of an answer on this."""
    (sentence,) = (one for one in section.sentences if one.startswith(f"{about}: "))
    return sentence


def paired(result: flowsim.Comparison) -> Any:
    return whole(result.differences).set_index(["scenario", "measure"])


# -- one hospital and the other ----------------------------------------------------------------------------------------


def test_hospitals_that_move_differently_have_a_table(closing: flowsim.Comparison) -> None:
    (section,) = answer_compare.where_it_differs(closing)
    titles = [closing.places["base"].sites[site].title for site in (AINTREE, SOUTHPORT)]
    assert section.columns == ("scenario", "measure", *titles)
    assert {row[0] for row in section.rows} == {"Fewer beds"}  # the same as before moves nowhere
    moved = {str(row[1]): row[2:] for row in section.rows}
    every: Any = closing.differences[closing.differences["of"] == ""].set_index(["scenario", "measure", "where"])
    for measure in ("boarding_hours_mean", "ed_queue_mean"):
        cells = moved[HEADLINE[measure].title]
        for cell, site in zip(cells, (AINTREE, SOUTHPORT), strict=True):
            assert isinstance(cell, Cell)
            assert cell.value == every.loc[("fewer", measure, site), "difference"]
        here, there = cells
        assert here.change != "more"
        assert there.change == "more"
        assert there.low > here.high
    assert section in list(compare.sections(closing, brief=True))
    rise = every.loc[("fewer", "boarding_hours_mean", SOUTHPORT), "difference"]
    said = said_of(answer_compare.section(closing), "What changes")
    assert "hospitals or areas differ: Fewer beds, " in said
    assert f"{titles[1]} {signed(rise)} hours" in said


def test_hospitals_that_move_alike_have_none(closing: flowsim.Comparison) -> None:
    numbers = closing.results
    aintree = numbers[numbers["where"] == AINTREE]
    alike = pd.concat([numbers[numbers["where"] != SOUTHPORT], aintree.assign(where=SOUTHPORT)])
    alike = alike[alike["where"].isin(["all", AINTREE, SOUTHPORT])]
    assert list(answer_compare.where_it_differs(with_results(closing, alike))) == []
    assert "areas differ" not in said_of(answer_compare.section(with_results(closing, alike)), "What changes")


# -- who waits where nobody looks --------------------------------------------------------------------------------------


def test_a_fall_that_hides_a_queue_says_so_in_the_same_sentence(closing: flowsim.Comparison) -> None:
    row = paired(closing).loc[("fewer", "delayed_patients")]
    queue = paired(closing).loc[("fewer", "ed_queue_mean")]
    assert row["change"] == "less"
    assert queue["change"] == "more"
    said = said_of(answer_compare.section(closing), "What changes")
    hidden = f"BUT MORE WAIT IN A&E (waiting to be seen in A&E {signed(queue['difference'])} people"
    assert f"Fewer beds {signed(row['difference'])} people, {hidden}" in said
    assert said.count("BUT MORE WAIT") == 1
    assert answer_compare.hidden_queue(closing, closing.table(), "same") == ""


@pytest.mark.parametrize(
    ("size", "words"), [([-3.0, 4.0, -2.0, 3.0], NO_CLEAR_CHANGE), ([0.5, 0.51, 0.49, 0.5], NO_MATTER)]
)
def test_what_hides_a_queue_and_is_not_clear_is_not_called_small(
    closing: flowsim.Comparison, size: list[float], words: str
) -> None:
    values = {"base": [40.0] * 4, "same": [40.0] * 4, "fewer": [40.0 + each for each in size]}
    said = said_of(answer_compare.section(with_values(closing, "delayed_patients", **values)), "What changes")
    assert f"Fewer beds {words}, BUT MORE WAIT IN A&E" in said


# -- what is beyond belief ---------------------------------------------------------------------------------------------


def test_a_run_that_leaves_its_range_says_so_before_all_else(closing: flowsim.Comparison) -> None:
    first, *others = answer_compare.section(closing).sentences
    assert first.startswith(f"{BEYOND}: queues grow without end or A&E is offered more than it can do")
    assert "Emergency department, Southport & Ormskirk" in first
    assert "assumptions" in first  # what to doubt ends with the rest
    assert others[0].startswith("What changes: ")


def test_one_that_stays_in_it_has_no_warning(roomy: flowsim.Comparison) -> None:
    assert not list(answer.range_broken(roomy))
    assert said_of(answer_compare.section(roomy), "What to doubt")


def test_the_warning_names_the_scenario_and_is_quieter_of_some_runs(roomy: flowsim.Comparison) -> None:
    broken = with_values(roomy, answer.OUT_OF_RANGE, baseline=[0.0] * 4, more_support=[1.0] * 4)
    (said,) = answer.range_broken(broken)
    assert said.about == BEYOND
    assert "in More support" in said.words
    some = with_values(roomy, answer.OUT_OF_RANGE, baseline=[0.0] * 4, more_support=[1.0, 0.0, 0.0, 0.0])
    (said,) = answer.range_broken(some)
    assert said.about == "TAKE CARE, IN 1 OF 4 RUNS"
    # one run with many queues is one run
    many = with_values(roomy, answer.OUT_OF_RANGE, baseline=[0.0] * 4, more_support=[8.0, 0.0, 0.0, 0.0])
    assert next(answer.range_broken(many)).about == "TAKE CARE, IN 1 OF 4 RUNS"
    both = with_values(roomy, answer.OUT_OF_RANGE, baseline=[1.0] * 4, more_support=[1.0] * 4)
    (said,) = answer.range_broken(both)
    assert "More support" not in said.words


# -- who is still there ------------------------------------------------------------------------------------------------


def test_who_is_still_there_stands_beside_what_they_could_turn(closing: flowsim.Comparison) -> None:
    means = whole(closing.summary(headline=False)).set_index(["scenario", "measure"])["mean"]
    admitted = means["base", "admissions_a_day"] * closing.days
    share = means["base", "hospital_still_people"] / (means["base", "hospital_still_people"] + admitted)
    assert share > NOT_A_TRIFLE
    section = compare.differences(closing, brief=True)
    (row,) = (row for row in section.rows if str(row[0]).startswith("Mean length of stay"))
    for scenario, cell in zip(closing.scenarios, row[1:], strict=True):
        still = f"{number(means[scenario, 'hospital_still_people'])} still in hospital at the end"
        assert entry_words(cell).endswith(f"\n{still}")
    assert compare.STILL_THERE in section.sentences
    alone = flowsim.Result(closing.out, {"base": closing.places["base"]})
    still = f"{number(means['base', 'hospital_still_people'])} still in hospital at the end"
    for told in (run.measures(alone), answer_other.of_run(alone)):
        (words,) = (row[-1] for row in in_words(told) if row[0] in ("Mean length of stay", "days in hospital, days"))
        assert words.endswith(f", {still}")


def test_those_who_are_still_delayed_are_held_against_those_who_left(roomy: flowsim.Comparison) -> None:
    """A twentieth of both together is told, in both scenarios though it is reached in one; less is a trifle."""
    bands = roomy.results[roomy.results["measure"] == "delay_band_people"]
    late = bands[(bands["where"] == "all") & (bands["of"] != "0 days") & (bands["scenario"] == "more_support")]
    left = late.groupby("replication")["value"].sum().mean()
    enough = left * NOT_A_TRIFLE / (1 - NOT_A_TRIFLE)
    for times, told in ((1.01, True), (0.99, False)):
        values = {"baseline": [0.0] * 4, "more_support": [times * enough] * 4}
        found = still_there(with_values(roomy, "delayed_still_people", **values))
        assert (("more_support", "delay_days_mean") in found) == told
        assert (("baseline", "delay_days_mean") in found) == told
    assert found.get(("baseline", "los_days_mean")) is not None


def test_a_wait_says_who_still_waits(closing: flowsim.Comparison) -> None:
    means = closing.summary(headline=False)
    means = means[means["scenario"] == "base"].set_index(["measure", "where", "of"])["mean"]
    (section,) = run.services(flowsim.Result(closing.out, {"base": closing.places["base"]}))
    title = f"Emergency department, {closing.places['base'].sites[SOUTHPORT].title}"
    (row,) = (row for row in section.rows if row[0] == title)
    assert isinstance(row[-1], Cell)
    assert row[-1].beside == f"{number(means['service_still_waiting', SOUTHPORT, 'ed'])} still waiting at the end"
    told = {row[1]: row[3] for part in compare.breaks_next(closing) for row in part.rows if row[0] == "Fewer beds"}
    assert "still waiting at the end" in entry_words(told["Emergency department"], in_a_line=True)


# -- deaths ------------------------------------------------------------------------------------------------------------


def test_deaths_are_never_shown_without_those_expected_of_waiting(closing: flowsim.Comparison) -> None:
    counted, expected = "deaths_in_hospital", "expected_extra_deaths_of_waiting"
    order = list(HEADLINE)
    assert order.index(expected) == order.index(counted) + 1
    section = compare.differences(closing, brief=False)
    labels = [str(row[0]).partition(" (")[0] for row in section.rows]
    assert labels[labels.index(HEADLINE[counted].title) + 1] == HEADLINE[expected].title
    first = answer_other.of_run(flowsim.Result(closing.out, {"base": closing.places["base"]}))
    words = [str(row[0]) for row in first.rows]
    (at,) = (i for i, row in enumerate(words) if row.startswith("deaths in hospital"))
    assert words[at + 1].startswith("deaths expected of long waits")
    rows = closing.table().set_index(["scenario", "measure"])
    assert rows.loc[("fewer", counted), "change"] not in ("more", "less")
    assert rows.loc[("fewer", expected), "change"] in ("more", "less")
    assert compare.DEATHS_MOVE in section.sentences
    same = with_results(closing, closing.results[closing.results["scenario"] != "fewer"])
    calm = flowsim.Comparison(same.out, {name: same.places[name] for name in ("base", "same")})
    calm.__dict__["results"] = same.results
    assert compare.DEATHS_MOVE not in compare.differences(calm, brief=False).sentences


# -- what is too small to matter ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rise", "words"), [(0.3, f"{NO_MATTER}\n"), (0.7, "+0.7")])
def test_national_measures_are_judged_by_what_matters(roomy: flowsim.Comparison, rise: float, words: str) -> None:
    values = {
        "baseline": [80.0, 81.0, 82.0, 83.0],
        "more_support": [80.0 + rise, 81.01 + rise, 82.0 + rise, 83.0 + rise],
    }
    changed = with_values(roomy, "usual_residence_share", **values)
    section = national.section(changed, changed.differences)
    (row,) = (row for row in in_words(section) if row[1].startswith(HEADLINE["usual_residence_share"].title))
    assert row[3].startswith(words)


# -- how many runs would tell ------------------------------------------------------------------------------------------


def test_an_unclear_difference_says_how_many_runs_would_tell(roomy: flowsim.Comparison) -> None:
    base, rises = [10.0, 12.0, 11.0, 13.0], [3.0, -1.0, 2.5, 0.5]
    values = {"baseline": base, "more_support": [b + r for b, r in zip(base, rises, strict=True)]}
    unclear = with_values(roomy, "delayed_patients", **values)
    row = paired(unclear).loc[("more_support", "delayed_patients")]
    assert row["change"] == NO_CLEAR_CHANGE
    needed = answer.runs_to_tell({**row, "measure": "delayed_patients"}, unclear)
    sd, size = np.std(rises, ddof=1), np.mean(rises)
    assert smallest_detectable(np.array(needed), sd) <= size < smallest_detectable(np.array(needed - 1), sd)
    said = said_of(answer_compare.section(unclear), "How sure")
    assert said.endswith(f"to tell a change this small, More support would take about {needed} runs.")
    clear = with_values(roomy, "delayed_patients", baseline=base, more_support=[b - 5 for b in base])
    assert "would take" not in said_of(answer_compare.section(clear), "How sure")


def test_one_run_tells_of_no_number_of_runs(closing: flowsim.Comparison) -> None:
    row = {"difference": 2.0, "sd": np.nan, "measure": "delayed_patients", "n": 1, "change": NO_INTERVAL}
    assert answer.runs_to_tell(row, closing) == 0


# -- the weeks ahead of a census ---------------------------------------------------------------------------------------


def test_a_comparison_from_a_census_names_the_worst_week_of_each(tmp_path: Path) -> None:
    counted = tmp_path / "counted.csv"
    counted.write_text("service,where,people\nwards,general,38\nsupport,north,12\nsupport,south,8\n", encoding="utf-8")
    words = ("place=small", "days=28", f"census={counted}", "start_date=2024-04-15")
    places = {name: load(*words, f"scenario={name}", scenarios_dir=PLACES) for name in ("baseline", "less_support")}
    ahead = flowsim.compare(places, 4, jobs=1, out=tmp_path / "out", progress=False, charts=False)
    bands = weekly(ahead)
    said = said_of(answer_compare.section(ahead), "What changes")
    assert "; worst week, ready to leave, in hospital, eight runs in ten: As things are " in said
    for scenario, title in (("baseline", "As things are"), ("less_support", "Less support")):
        weeks = bands[(bands["scenario"] == scenario) & (bands["series"] == DELAYED)]
        worst = weeks.loc[weeks["median"].idxmax()]
        limits = f"({number(worst['low_10'])} to {number(worst['high_90'])})"
        day = f"{worst['week'].day} {worst['week']:%B}"
        assert f"{title} {number(worst['median'])} {limits} in the week from {day}" in said
    assert len(answer_compare.section(ahead).sentences) <= answer.MOST_SENTENCES


def test_a_comparison_without_a_census_has_no_worst_week(roomy: flowsim.Comparison) -> None:
    assert not re.search("worst week", " ".join(answer_compare.section(roomy).sentences))
