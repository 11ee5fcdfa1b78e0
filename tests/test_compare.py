"""Paired differences, what can be told from them, what breaks next and what a released bed-day costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import flowsim
from flowsim.declare.composition import load, load_scenarios
from flowsim.declare.settings import Settings
from flowsim.place import PlaceError
from flowsim.present.pages import answer_compare, parts
from flowsim.present.words import number, signed
from flowsim.questions.compare import (
    MONEY_SPENT,
    NO_CLEAR_CHANGE,
    NO_INTERVAL,
    SERVICE_LOAD,
    SERVICE_WAIT,
    Comparison,
    Stack,
    against_the_sum,
    compare,
    cost_of_released_bed_days,
    name_places,
    paired_differences,
    stacks,
    what_breaks_next,
)
from flowsim.statistics.intervals import mean_interval, ratio_interval, smallest_detectable

PLACES = Path(__file__).parent / "places"


def tidy(scenario: str, measure: str, values: list[float], of: str = "", where: str = "all") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "scenario": scenario,
            "replication": range(len(values)),
            "measure": measure,
            "where": where,
            "of": of,
            "unit": "people",
            "value": values,
        }
    )


def test_the_interval_is_that_of_the_paired_t_test() -> None:
    random = np.random.default_rng(3)
    before = random.normal(100, 20, 12)
    after = before - 5 + random.normal(0, 2, 12)
    results = pd.concat([tidy("a", "x", before.tolist()), tidy("b", "x", after.tolist())])
    row = paired_differences(results, "a", ("b",)).iloc[0]
    expected = stats.ttest_rel(after, before).confidence_interval(0.95)
    assert row["low"] == pytest.approx(expected.low)
    assert row["high"] == pytest.approx(expected.high)
    assert row["n"] == 12
    assert row["baseline"] == pytest.approx(before.mean())
    assert row["change"] == "less"


def test_the_smallest_difference_is_found_four_times_in_five() -> None:
    n, sd = 10, 3.0
    true = float(smallest_detectable(np.array([n]), np.array([sd]))[0])
    assert true == pytest.approx((stats.t.ppf(0.975, 9) + stats.t.ppf(0.8, 9)) * sd / np.sqrt(n))
    samples = np.random.default_rng(8).normal(true, sd, (4000, n))
    low = samples.mean(axis=1) - stats.t.ppf(0.975, n - 1) * samples.std(axis=1, ddof=1) / np.sqrt(n)
    assert 0.77 <= (low > 0).mean() <= 0.86


def test_what_is_said_of_a_difference() -> None:
    frames = [tidy("a", name, [1.0, 2.0, 3.0]) for name in ("rises", "falls", "unclear", "equal")]
    frames += [
        tidy("b", "rises", [2.0, 3.1, 4.0]),
        tidy("b", "falls", [0.0, 1.1, 2.0]),
        tidy("b", "unclear", [2.0, 1.0, 3.5]),
        tidy("b", "equal", [1.0, 2.0, 3.0]),
    ]
    found = paired_differences(pd.concat(frames), "a", ("b",)).set_index("measure")["change"]
    assert found.to_dict() == {"rises": "more", "falls": "less", "unclear": NO_CLEAR_CHANGE, "equal": "no change"}


def test_one_replication_has_no_interval() -> None:
    results = pd.concat([tidy("a", "x", [1.0]), tidy("b", "x", [3.0])])
    row = paired_differences(results, "a", ("b",)).iloc[0]
    assert row["difference"] == 2
    assert np.isnan(row["low"])
    assert np.isnan(row["smallest_detectable"])
    assert row["change"] == NO_INTERVAL
    assert np.isnan(mean_interval(results, ["a", "b"])["low"]).all()


def test_what_counts_and_is_absent_is_nought_and_what_is_a_mean_is_left_out() -> None:
    results = pd.concat(
        [
            tidy("a", "delayed_bed_days_by_cause", [10.0, 12.0], "capacity: reablement"),
            tidy("b", "delayed_bed_days_by_cause", [4.0, 5.0], "task: assessment"),
            tidy("a", "service_wait_days_mean", [1.0, 2.0], "reablement"),
            tidy("b", "service_wait_days_mean", [1.0, 2.0], "step_down_flats"),
        ]
    )
    found = paired_differences(results, "a", ("b",)).set_index(["measure", "of"])["difference"]
    assert found.to_dict() == {
        ("delayed_bed_days_by_cause", "capacity: reablement"): -11.0,
        ("delayed_bed_days_by_cause", "task: assessment"): 4.5,
    }


@pytest.mark.parametrize("measure", ["discharged_by_17_share", "discharges_by_weekday", "pathway_share"])
def test_a_share_or_an_index_that_is_not_known_is_not_nought(measure: str) -> None:
    results = pd.concat([tidy("a", measure, [0.2, 0.4], "north"), tidy("b", measure, [0.3], "north")])
    both = pd.concat([results, tidy("b", "x", [1.0, 1.0]), tidy("a", "x", [1.0, 1.0])])
    row = paired_differences(both, "a", ("b",)).set_index("measure").loc[measure]
    assert (row["n"], row["difference"]) == (1, pytest.approx(0.1))


@pytest.mark.parametrize("measure", ["cost_total", "cost_by_service", "delayed_bed_days_by_pathway"])
def test_a_sum_without_a_row_is_nought(measure: str) -> None:
    results = pd.concat([tidy("a", measure, [7.0, 8.0], "council"), tidy("a", "x", [1.0]), tidy("b", "x", [1.0, 1.0])])
    row = paired_differences(results, "a", ("b",)).set_index("measure").loc[measure]
    assert (row["n"], row["difference"]) == (2, -7.5)


def test_only_replications_that_both_have_are_compared() -> None:
    results = pd.concat([tidy("a", "x", [1.0, 2.0, 9.0]), tidy("b", "x", [2.0, 3.0])])
    row = paired_differences(results, "a", ("b",)).iloc[0]
    assert (row["n"], row["difference"], row["baseline"]) == (2, 1.0, 1.5)


def test_services_are_ranked_by_load_and_wait() -> None:
    frames = []
    for service, load_rise, wait_rise in (("calm", 0.0, 0.0), ("first", 0.3, 4.0), ("second", 0.1, 1.0)):
        for measure, start, rise in ((SERVICE_LOAD, 0.8, load_rise), (SERVICE_WAIT, 2.0, wait_rise)):
            frames.append(tidy("a", measure, [start, start + 0.1], service))
            frames.append(tidy("b", measure, [start + rise, start + 0.101 + rise], service))
            frames.append(tidy("a", measure, [start, start + 0.1], service, "north"))
            frames.append(tidy("b", measure, [9.0, 9.0], service, "north"))
    found = what_breaks_next(paired_differences(pd.concat(frames), "a", ("b",)))
    assert found["service"].tolist() == ["first", "second", "calm"]
    assert found.iloc[0]["wait_difference"] == pytest.approx(4.0005)


def test_a_service_that_closes_or_opens_is_not_lost() -> None:
    never, inf = [np.nan, np.nan], [np.inf, np.inf]
    loads = {"closes": ([0.8, 0.9], inf), "opens": (inf, [0.8, 0.9]), "shut": (inf, inf), "calm": ([0.5, 0.5],) * 2}
    loads["none"] = (never, never)
    frames = []
    for service, (before, after) in loads.items():
        frames += [tidy("a", SERVICE_LOAD, before, service), tidy("b", SERVICE_LOAD, after, service)]
        frames += [tidy("a", SERVICE_WAIT, [2.0, 2.1], service), tidy("b", SERVICE_WAIT, [2.0, 2.1], service)]
    results = pd.concat(frames)
    differences = paired_differences(results, "a", ("b",))
    load = differences[differences["measure"] == SERVICE_LOAD].set_index("of")
    assert load["change"].to_dict() == {"closes": "more", "opens": "less", "shut": "no change", "calm": "no change"}
    assert load.loc["closes", "baseline"] == load.loc["opens", "value"] == pytest.approx(0.85)
    assert load.loc["closes", ["value", "difference"]].tolist() == [np.inf, np.inf]
    assert what_breaks_next(differences)["service"].iloc[0] == "closes"
    means = mean_interval(results, ["b"]).set_index(["measure", "of"])["mean"]
    assert means[SERVICE_LOAD, "closes"] == np.inf
    assert means[SERVICE_LOAD, "opens"] == pytest.approx(0.85)
    assert np.isnan(means[SERVICE_LOAD, "none"])


def test_a_ratio_has_fiellers_interval() -> None:
    random = np.random.default_rng(11)
    covered = 0
    for _ in range(1000):
        below = random.normal(50, 10, 10)
        above = 2 * below + random.normal(0, 20, 10)
        _, low, high = ratio_interval(above, below)
        covered += low <= 2 <= high
    assert 0.93 <= covered / 1000 <= 0.97
    assert np.isnan(ratio_interval(np.array([1.0, 2.0, 3.0]), np.array([-1.0, 1.0, 0.2]))[1])
    assert np.isnan(ratio_interval(np.array([4.0]), np.array([2.0]))[1])


def test_a_released_bed_day_costs_the_money_spent_and_needs_a_clear_release() -> None:
    frames = [
        tidy("a", "delayed_bed_days", [1000.0, 1100.0, 1050.0]),
        tidy("b", "delayed_bed_days", [900.0, 1001.0, 949.0]),
        tidy("c", "delayed_bed_days", [900.0, 1300.0, 1050.0]),
    ]
    for share, site in ((0.25, "north"), (0.75, "south")):  # parts of the whole, which must not count again
        parts = [frame.assign(where=site, value=share * frame["value"]) for frame in frames[:3]]
        frames += parts
    for name, cost in (("a", 0.0), ("b", 5000.0), ("c", 5000.0)):
        frames.append(tidy(name, MONEY_SPENT, [cost, cost, cost]))
        frames.append(tidy(name, MONEY_SPENT, [9 * cost] * 3, "NHS"))  # a part of the whole, which must not count again
    found = cost_of_released_bed_days(pd.concat(frames), "a", ("b", "c")).set_index("scenario")
    assert found.loc["b", "released"] == pytest.approx(100)
    assert found.loc["b", "ratio"] == pytest.approx(50)
    assert found.loc["b", "low"] < 50 < found.loc["b", "high"]
    assert not found.loc["c", "released_clear"]
    assert np.isnan(found.loc["c", "ratio"])


def test_places_are_named_by_their_scenarios() -> None:
    base = load("place=small", scenarios_dir=PLACES)
    more = load("place=small", "scenario=more_support", scenarios_dir=PLACES)
    assert list(name_places([base, more, base])) == ["baseline", "more_support", "baseline_2"]


def test_places_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    base = load("place=small", "days=20", scenarios_dir=PLACES)
    longer = load("place=small", "days=21", scenarios_dir=PLACES)
    with pytest.raises(PlaceError, match="at least two"):
        compare([base], Settings(out=tmp_path / "out", progress=False))
    with pytest.raises(PlaceError, match="longer and base have different start, days"):
        compare({"base": base, "longer": longer}, Settings(out=tmp_path / "out", progress=False))


def test_the_same_people_come_so_an_unused_change_changes_nothing(tmp_path: Path) -> None:
    base = load(
        "place=small", "days=28", "warm_up_days=14", "place.services.support.capacity=500", scenarios_dir=PLACES
    )
    endless = load(
        "place=small", "days=28", "warm_up_days=14", "place.services.support.capacity=5000", scenarios_dir=PLACES
    )
    comparison = compare(
        {"base": base, "endless": endless}, Settings(replications=2, jobs=1, out=tmp_path / "out", progress=False)
    )
    found = comparison.differences
    people = found[~found["measure"].str.startswith(("service_", "check_"))]
    assert (people["change"] == "no change").all()
    assert Comparison.read(tmp_path / "out").table()["title"].iloc[0] == "Delayed patients"


def test_settings_of_the_run_are_taken_and_others_refused_in_one_sentence() -> None:
    with pytest.raises(PlaceError, match=r"setting: 'dayz' was given.*did you mean 'days'"):
        flowsim.compare(["baseline", "seven_day_working"], dayz=20)
    with pytest.raises(PlaceError, match="days=20 was given beside places"):
        flowsim.compare([flowsim.load(), flowsim.load("scenario=seven_day_working")], days=20)


# -- any two of them, and the sum of the parts -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """A base, two scenarios, a stack of them by a file and one by a plus sign; four replications."""
    chosen = "scenarios=[baseline,more_support,less_support,both]"
    places = load_scenarios(chosen, "place=small", "days=40", "warm_up_days=20", scenarios_dir=PLACES)
    out = tmp_path_factory.mktemp("several") / "out"
    return compare(places, Settings(replications=4, jobs=1, out=out, progress=False))


def test_any_two_are_compared_as_if_they_alone_had_been_run(several: Comparison, tmp_path: Path) -> None:
    pair = Comparison.read(several.out).between("more_support", "less_support")
    places = {name: several.places[name] for name in ("more_support", "less_support")}
    alone = compare(places, Settings(replications=4, jobs=1, out=tmp_path / "out", progress=False))
    pd.testing.assert_frame_equal(pair.differences, alone.differences)
    pd.testing.assert_frame_equal(pair.table(), alone.table())
    assert set(pair.results["scenario"].astype(str)) == set(pair.nights["scenario"].astype(str)) == set(pair.places)
    row = pair.table().set_index("measure").loc["delayed_patients"]
    assert row["low"] <= row["difference"] <= row["high"]
    assert row["change"] == "more"
    assert pair.is_part
    assert not several.is_part


def test_two_that_are_not_there_or_one_twice(several: Comparison) -> None:
    with pytest.raises(PlaceError, match=r"pair: 'mor_support' was given.*did you mean 'more_support'"):
        several.between("baseline", "mor_support")
    with pytest.raises(PlaceError, match="'both' was given twice"):
        several.between("both", "both")


def test_a_whole_less_the_sum_of_its_parts_is_paired() -> None:
    random = np.random.default_rng(5)
    base = random.normal(100, 20, 12)
    noise = [random.normal(0, 1, 12) for _ in range(4)]
    values = {"base": base, "a": base - 10 + noise[0], "b": base - 5 + noise[1], "c": base - 2 + noise[2]}
    values["abc"] = base - 13 + noise[3]
    results = pd.concat([tidy(name, "delayed_patients", list(each)) for name, each in values.items()])
    stack = Stack(("a", "b", "c"), ("a", "b", "c"))
    row = against_the_sum(results, "base", {"abc": stack}).set_index("measure").loc["delayed_patients"]
    parts = sum(values[name] - base for name in "abc")
    expected = stats.ttest_rel(values["abc"] - base, parts).confidence_interval(0.95)
    assert row["together"] == pytest.approx((values["abc"] - base).mean())
    assert row["parts"] == pytest.approx(parts.mean())
    assert row["difference"] == pytest.approx(row["together"] - row["parts"])
    assert (row["low"], row["high"]) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert row["change"] == "more"
    missing = Stack(("a", "b", "c"), ("a", "b", None))
    assert against_the_sum(results, "base", {"abc": missing}).empty


def test_what_is_a_stack_of_what() -> None:
    def named(*scenarios: str, place: str = "small", folder: Path | None = PLACES) -> dict[str, Stack]:
        given = ("days=400", "start_date=2024-04-01") if folder is None else ()
        chosen = f"scenarios=[{','.join(scenarios)}]"
        return stacks(name_places(load_scenarios(chosen, f"place={place}", *given, scenarios_dir=folder)))

    both = Stack(("more_support", "less_support"), ("more_support", "less_support"))
    assert named("baseline", "more_support", "less_support", "both") == {"both": both}
    one = {"both": Stack(both.names, ("more_support", None))}
    assert named("baseline", "more_support", "both") == one
    assert named("more_support", "more_support+less_support") == {}  # what the first has is no part
    # seven-day working with another switch is another scenario, though the file is the same
    weekends = ("weekend_hospital_only", "home_first")
    stacked = "+".join(weekends)
    found = named("baseline", "seven_day_working", "home_first", stacked, place="sefton", folder=None)
    assert found == {stacked: Stack(weekends, (None, "home_first"))}
    found = named("baseline", *weekends, stacked, place="sefton", folder=None)
    assert found == {stacked: Stack(weekends, weekends)}
    assert named("baseline", "winter_normal", "winter_severe", place="sefton", folder=None) == {}


def test_the_screen_sets_the_whole_against_its_parts(several: Comparison) -> None:
    rows = several.parts().set_index("measure")
    row = rows.loc["delayed_patients"]
    assert row["change"] == "more"
    said = answer_compare.section(several).sentences
    (sentence,) = (one for one in said if "its parts add up to" in one)
    assert f"Both at once {signed(row['together'])} people" in sentence
    limits = f"({number(row['low'])} to {number(row['high'])})"
    assert f"its parts add up to {signed(row['parts'])}: {number(row['difference'])} above it {limits}" in sentence
    (table,) = parts.sections(several, brief=True)
    assert table.rows[0][:2] == ("Both at once", "Delayed patients (people)")
    assert [cell.value for cell in table.rows[0][2:]] == [row["together"], row["parts"], row["difference"]]


@pytest.mark.parametrize(
    ("sizes", "spread", "words"),
    [
        ((-10.0, -5.0, -12.0), 1.0, "its parts add up to -15.0: they overlap by 3.00 (1.70 to 4.30)"),
        ((-10.0, -5.0, -18.0), 1.0, "its parts add up to -15.0: together it is more by 3.00 (1.70 to 4.30)"),
        ((-10.0, -5.0, -14.0), 1.0, "its parts add up to -15.0: no clear difference from the sum"),
        ((-10.0, -5.0, -14.5), 0.1, "its parts add up to -15.0: no difference that matters from the sum"),
        ((-10.0, -5.0, -15.0), 0.0, "its parts add up to -15.0: no difference from the sum"),
        ((-10.0, 10.0, 3.0), 1.0, "its parts add up to 0: 3.00 above it (1.70 to 4.30)"),
    ],
)
def test_what_lies_between_a_whole_and_its_sum_in_words(
    several: Comparison, sizes: tuple[float, float, float], spread: float, words: str
) -> None:
    base = np.array([100.0, 130.0, 90.0, 105.0])
    values = {"baseline": base, "more_support": base + sizes[0], "less_support": base + sizes[1]}
    values["both"] = base + sizes[2] + spread * np.array([0.6, -0.6, 0.8, -0.8])
    changed = Comparison(several.out, several.places)
    changed.__dict__["results"] = pd.concat(
        [tidy(name, "delayed_patients", each.tolist()) for name, each in values.items()]
    )
    assert parts.against_the_sum(changed, "delayed_patients") == {"both": words}


def test_a_part_that_is_missing_is_named_with_what_to_type(several: Comparison, tmp_path: Path) -> None:
    places = {name: place for name, place in several.places.items() if name != "less_support"}
    without = compare(places, Settings(replications=2, jobs=1, out=tmp_path / "out", progress=False))
    typed = "'scenarios=[baseline,more_support,less_support,both]'"
    said = answer_compare.section(without).sentences
    assert any(f"for the sum of its parts: the same command with {typed}" in sentence for sentence in said)
    (section,) = parts.sections(without, brief=True)
    assert section.rows == ()
    assert f"the same command with {typed} and out={tmp_path / 'out'}" in section.sentences[0]
    assert list(parts.sections(several.between("baseline", "both"), brief=True)) == []
