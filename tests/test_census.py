"""Starting from a census: what the file may say, who is picked, what remains of their stays, and the weeks ahead."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from acceptance import DAY, PLACES, small_place
from scipy import integrate, stats

from flowsim.cells.about import open_capacities
from flowsim.cli import main as cli
from flowsim.declare.composition import load
from flowsim.declare.reading import read_place
from flowsim.engine import compiled, reference
from flowsim.engine.stamps import GAVE_UP, differing
from flowsim.folder.configuration import plain
from flowsim.measures.flow import measure
from flowsim.model.cohort import Cohort
from flowsim.model.network import build_network
from flowsim.model.plan import CAME_EARLIER, plan
from flowsim.model.tables import NONE, Journeys
from flowsim.place import FlowsimNotice, Place, PlaceError
from flowsim.questions.census_template import census_template
from flowsim.questions.forecast import BEDS, BOARDING, DELAYED, open_beds, weekly

RUN = ("start_date=2024-04-15", "days=28")
HEAD = "service,where,state,stage,waiting_for,days,people,hours_a_week,pathway"
pytestmark = pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")


@pytest.fixture
def counted(tmp_path: Path):
    """A place of the tests as a census of these lines finds it; `before` by overrides of a policy."""

    def made(*lines: str, head: str = HEAD, overrides: tuple[str, ...] = (), policy: tuple[str, ...] = ()) -> Place:
        file = tmp_path / "counted.csv"
        file.write_text("\n".join((head, *lines)) + "\n", encoding="utf-8")
        same = (*RUN, f"census={file}", *overrides)
        before = small_place("two_ways_out", *same)
        if not policy:
            return before
        return small_place("two_ways_out", *same, *policy).model_copy(update={"before": before})

    return made


def planned(place: Place, replication: int = 0) -> Journeys:
    cohort = Cohort(3, replication)
    return plan(place, cohort, build_network(place, cohort))


def first_rows(journeys: Journeys, stage: str) -> np.ndarray:
    """The first rows of people found in a stage at the start, in the order of their numbers."""
    rows = journeys.spells.first_row[journeys.spells.initial == 1]
    return rows[journeys.rows.stage[rows] == journeys.stages.index(stage)]


def stays(place: Place, stage: str = "ward", replications: int = 1) -> np.ndarray:
    """What remains of the stays found in a stage, in days."""
    found = []
    for k in range(replications):
        j = planned(place, k)
        found.append(j.rows.duration[first_rows(j, stage)] / DAY)
    return np.concatenate(found)


# --------------------------------------------------------------------------------------------------------------------
# What remains of a stay


def test_what_remains_of_a_fixed_stay_is_exact(counted) -> None:
    fixed = "place.stages.ward.duration={fixed: 10, lognormal: null, unit: days}"
    place = counted(
        "ward,,in stage,,,4,3,,", "ward,,in stage,,,12,2,,", "ward,,in stage,,,6 to 8,4,,", overrides=(fixed,)
    )
    assert sorted(np.rint(stays(place) * DAY)) == sorted(
        [*[6 * DAY] * 3, 1, 1, *np.rint([2.25 * DAY, 2.75 * DAY, 3.25 * DAY, 3.75 * DAY])]
    )


def test_an_exponential_stay_remembers_nothing(counted) -> None:
    exponential = "place.stages.ward.duration={exponential: {mean: 5}, lognormal: null, unit: days}"
    place = counted("ward,,in stage,,,40,2000,,", overrides=(exponential,))
    assert stats.kstest(stays(place), "expon", args=(0, 5)).pvalue > 1e-6


def test_a_lognormal_stay_given_how_long_it_has_lasted(counted) -> None:
    """The mean residual against a numeric integral of the survival function; also far out in the tail."""
    for elapsed in (3, 15, 60, 4000):
        place = counted(f"ward,,in stage,,,{elapsed},4000,,", overrides=("place.choices.dies.chance=0",))
        found = stays(place)
        known = stats.lognorm(s=1, scale=6 * np.exp(-0.5))
        assert (found > 0).all()
        if elapsed < 1000:
            expected = integrate.quad(lambda x, k=known: k.sf(x), elapsed, np.inf)[0] / known.sf(elapsed)
            assert abs(found.mean() - expected) < 4.5 * found.std() / np.sqrt(len(found))
        medians = known.isf(known.sf(elapsed) / 2) - elapsed if elapsed < 1000 else np.median(found)
        assert abs(np.median(found) - medians) < 0.15 * medians


def test_a_stay_of_unknown_age_is_one_found_in_the_long_run(counted) -> None:
    found = stays(counted("ward,,in stage,,,,4000,,"))
    expected = 6 * np.exp(1) / 2  # E[S^2] / 2 E[S] of a lognormal with mean 6 and sigma 1
    assert abs(found.mean() - expected) < 4.5 * found.std() / np.sqrt(len(found))


def test_limits_and_additions_count(counted) -> None:
    most = "place.stages.ward.duration.most=9"
    assert stays(counted("ward,,in stage,,,8,500,,", overrides=(f"+{most}",))).max() <= 1
    least = stays(counted("ward,,in stage,,,1,500,,", overrides=("+place.stages.ward.duration.least=4",)))
    assert least.min() == 3
    assert (least == 3).mean() > 0.3
    added = stays(counted("ward,,in stage,,,1,500,,", overrides=("+place.stages.ward.duration.add=2",)))
    assert added.min() > 1


# --------------------------------------------------------------------------------------------------------------------
# Who is picked


LONG_AND_SHORT = (
    "place.stages.ward.duration={fixed: {by: pathway, pathway_1: 30, other: 10}, lognormal: null, unit: days}"
)


def pathway_1(place: Place) -> float:
    j = planned(place)
    spells = j.rows.spell[first_rows(j, "ward")]
    return float((j.attributes["pathway"][spells] == j.levels["pathway"].index("pathway_1")).mean())


def test_who_stays_longer_is_likelier_to_be_found(counted) -> None:
    """30 % of those who come are on pathway 1 and stay three times as long as the others."""
    straight = "place.streams.emergency.first=ward"
    as_found = pathway_1(counted("ward,,in stage,,,,3000,,", overrides=(LONG_AND_SHORT, straight)))
    assert abs(as_found - 0.3 * 30 / (0.3 * 30 + 0.7 * 10)) < 0.04
    assert pathway_1(counted("ward,,in stage,,,15,300,,", overrides=(LONG_AND_SHORT, straight))) == 1
    early = pathway_1(counted("ward,,in stage,,,5,3000,,", overrides=(LONG_AND_SHORT, straight)))
    assert abs(early - 0.3) < 0.04


def test_people_are_as_they_were_counted(counted) -> None:
    place = counted(
        "ward,,waiting,,support,3,40,,pathway_2", "ward,,waiting,,leave,1,7,,", "support,north,in stage,,,5,20,,",
        "support,south,in stage,,,5,9,,pathway_1", "ward,,in stage,,,2,30,,pathway_3",
    )  # fmt: skip
    j = planned(place)
    ward, support = first_rows(j, "ward"), first_rows(j, "support")
    pathway = np.array(j.levels["pathway"])[j.attributes["pathway"][j.rows.spell]]
    waiting = ward[j.rows.duration[ward] == 1]
    assert len(waiting) == 47
    after = j.rows.next[waiting]
    to_support = waiting[after != NONE]
    assert len(to_support) == 40
    assert set(pathway[to_support]) == {"pathway_2"}
    assert {j.stages[s] for s in j.rows.stage[j.rows.next[to_support]]} == {"support"}
    assert (pathway[ward[j.rows.duration[ward] > 1]] == "pathway_3").sum() >= 30
    where = np.array([*j.levels["locality"], "none"])[j.attributes["locality"][j.rows.spell[support]]]
    assert {(name, int((where == name).sum())) for name in ("north", "south")} == {("north", 20), ("south", 9)}
    assert (where == "elsewhere").any()  # the neighbour has no line and keeps the place's own caseload


def test_hours_of_care_become_packages(counted) -> None:
    j = planned(counted("home_care,,in stage,home_care,,,,150,"))
    units = j.rows.units[first_rows(j, "home_care")]
    assert 150 * 60 - 40 * 60 < units.sum() <= 150 * 60


def test_the_same_people_in_every_scenario_and_its_rules_from_day_one(counted) -> None:
    lines = ("ward,,in stage,,,4,30,,", "ward,,waiting,,support,4,30,,")
    shorter = "place.stages.ward.duration.lognormal.mean=3"
    weekends = "place.stages.ward.after.transport.takes.lognormal.mean=9"
    plain_one, changed = counted(*lines), counted(*lines, policy=(shorter, weekends))
    a, b = planned(plain_one), planned(changed)
    assert np.array_equal(a.spells.number[a.spells.initial == 1], b.spells.number[b.spells.initial == 1])
    of = [first_rows(j, "ward") for j in (a, b)]
    codes = [j.attributes["locality"][j.rows.spell[rows]] for j, rows in zip((a, b), of, strict=True)]
    assert np.array_equal(*codes)
    left = [j.rows.duration[rows] for j, rows in zip((a, b), of, strict=True)]
    assert (left[1] <= left[0]).all()
    assert (left[1] < left[0]).sum() == 30
    task = [j.tasks.minutes[j.rows.first_task[rows]] for j, rows in zip((a, b), of, strict=True)]
    assert (task[1] >= task[0]).all()
    assert (task[1] > 2 * task[0]).any()


def test_readmissions_of_who_left_before_the_census(counted) -> None:
    """As many a day as in the long run of the same place: 20 % of those who leave the ward alive come back."""
    came = []
    for k in range(6):
        j = planned(counted("ward,,in stage,,,2,10,,"), k)
        back = j.spells.number >= CAME_EARLIER
        assert len(np.unique(j.spells.number)) == len(j.spells.number)
        came.append((back & (j.spells.arrival >= 0) & (j.spells.arrival < 5 * DAY)).sum())
    a_day = (12 * 0.5 + 2) * 0.97 * 0.2
    expected = a_day * 9 * (1 - np.exp(-5 / 9))  # gaps are exponential with mean 9 days
    assert abs(np.mean(came) - expected) < 4.5 * np.sqrt(expected / 6)
    none = planned(counted("ward,,in stage,,,2,10,,", overrides=("place.stages.ward.readmission.chance=0",)))
    assert not (none.spells.number >= CAME_EARLIER).any()


# --------------------------------------------------------------------------------------------------------------------
# Waiting already


def test_tasks_that_are_done_patience_that_is_used_up(counted) -> None:
    tasks = "+place.stages.ward.before.brokerage={takes: {fixed: 60, unit: minutes}, order: 1}"
    place = counted(
        "ward,,waiting,,support,4,20,,", "ward,,waiting,,support,12,10,,", "ward,,ready,,support,4,10,,",
        "ward,,in stage,,,1,10,,pathway_1", overrides=(tasks,),
    )  # fmt: skip
    j = planned(place)
    rows = first_rows(j, "ward")
    done = rows[j.rows.n_before[rows] == 0]
    died = j.rows.died[rows] == 1
    broker = rows[(j.rows.n_before[rows] == 1) & ~died]
    assert len(broker) == 10  # ready: recognised, the brokerage still to be done
    assert (j.rows.recognition[broker] == 0).all()
    waiting = done[j.rows.next[done] != NONE]
    assert len(waiting) == 30
    patience = j.rows.patience[j.rows.next[waiting]]
    assert sorted(np.unique(patience)) == [1, 6 * DAY]
    assert (patience == 1).sum() == 10
    assert set(j.rows.patience[j.rows.next[broker]]) == {10 * DAY}


def test_decline_counts_the_days_before(counted) -> None:
    decline = "+place.stages.support.decline={after: {fixed: 7, unit: days}, share: 1, duration_factor: 1.5}"
    j = planned(counted("ward,,waiting,,support,3,5,,", "ward,,waiting,,support,9,5,,", overrides=(decline,)))
    after = j.rows.decline_after[j.rows.next[first_rows(j, "ward")]]
    assert sorted(after) == [0] * 5 + [4 * DAY] * 5


def test_who_has_waited_longest_is_first_and_waiting_is_delay_from_day_one(counted) -> None:
    """Two slots, eight people who queue for them in the same minute: those of the longer wait, named last, get them."""
    slots = [f"place.services.support.{key}" for key in ("capacity=3", "quota=null", "calendar=always")]
    lines = ("ward,,waiting,,support,2,4,,pathway_1,north", "ward,,waiting,,support,8,4,,pathway_1,north")
    nobody = ("support,north,in stage,,,,0,,,", "support,south,in stage,,,,0,,,")
    place = counted(*lines, *nobody, head=f"{HEAD},locality", overrides=tuple(slots))
    cohort = Cohort(3, 0)
    network = build_network(place, cohort)
    j = plan(place, cohort, network)
    s = compiled.run(j, network)
    rows = first_rows(j, "ward")
    asked = j.rows.next[rows]
    waited_long = j.rows.patience[asked] == 2 * DAY  # ten days of patience, eight of them used up
    assert waited_long.sum() == 4
    assert (s.recognised[rows] == 1).all()
    assert (s.joined[asked] == 1).all()
    assert ((s.accepted[asked] == 1) & waited_long).sum() == (s.accepted[asked] == 1).sum() == 2
    assert (s.ended[asked[waited_long]] == GAVE_UP).sum() == 2
    found = measure(place, network, j, s)
    night = found.nights.query("where == 'all' and of == 'pathway_1' and state == 'delayed'")["count"]
    assert night.iloc[0] >= 6
    checks = found.results[found.results["measure"].str.startswith("check_")].set_index("measure")["value"]
    assert not checks.drop("check_overloaded").any()


def test_both_engines_go_on_from_a_census(counted) -> None:
    place = counted("ward,,in stage,,,1 to 20,60,,", "ward,,waiting,,support,0 to 12,15,,", "ward,,ready,,,2,5,,",
                    "ed,,in stage,,,0.1,5,,", "support,north,in stage,,,,50,,", "home_care,,in stage,home_care,,,,200,",
                    policy=("place.services.support.calendar=seven_days",))  # fmt: skip
    cohort = Cohort(3, 0)
    network = build_network(place, cohort)
    journeys = plan(place, cohort, network)
    assert not differing(reference.run(journeys, network), compiled.run(journeys, network))


# --------------------------------------------------------------------------------------------------------------------
# The file


def test_a_file_as_spreadsheets_write_it(tmp_path: Path) -> None:
    """With a byte order mark, semicolons, decimal commas, blank lines and titles; or in the code page of Windows."""
    rows = [
        "service,where,state,stage,waiting_for,days,people",
        "ward,,waiting,,support,1.5,4",
        "support,north,in stage,,,,9",
    ]
    told = [
        "Service;Where;State;Stage;Waiting for;Days;People",
        ";;;;;;",
        "Wards;;Waiting;;Support;1,5;4",
        "Support at home;North;;;;;9",
    ]
    plain_file, spreadsheet, windows = (tmp_path / f"{name}.csv" for name in "abc")
    plain_file.write_text("\n".join(rows), encoding="utf-8")
    spreadsheet.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(told).replace("Support;1", "support;1").encode())
    windows.write_bytes("\r\n".join([*told[:3], "", "support;north;in\xa0stage;;;;9"]).encode("cp1252"))
    read = [small_place("two_ways_out", *RUN, f"census={file}").services for file in (plain_file, spreadsheet, windows)]
    kept = [
        {k: [i.model_copy(update={"title": ""}) for i in s.initial.values()] for k, s in one.items()} for one in read
    ]
    assert kept[0] == kept[1] == kept[2]
    assert sorted(read[0]["ward"].initial) == ["line_2"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("wart,,in stage,,,,3,,", "line 2, column service: 'wart' was given; allowed: a service:.*mean 'ward'"),
        ("ward,north,in stage,,,,3,,", "column where: 'north' was given; allowed: nothing, for ward is not split"),
        ("support,nroth,in stage,,,,3,,", "column where: 'nroth'.*did you mean 'north'"),
        ("support,,in stage,,,,3,,", "column where: '' was given; allowed: a locality of support: north, south"),
        ("ward,,sitting,,,,3,,", "column state: 'sitting' was given; allowed: one of in stage, ready, waiting"),
        ("ward,,,support,,,3,,", "column stage: 'support' was given; allowed: a stage in ward: ward"),
        ("home_care,,,,,,3,,", "column stage: '' was given; allowed: a stage in home_care: home_care, home_care_in"),
        ("ward,,in stage,,support,,3,,", "column waiting_for: 'support' was given; allowed: nothing for people in"),
        ("ward,,waiting,,ed,,3,,", "column waiting_for: 'ed' was given; allowed: what follows ward: leave, support"),
        ("ward,,in stage,,,soon,3,,", "column days: 'soon' was given; allowed: days so far.*7 to 14"),
        ("ward,,in stage,,,9 to 4,3,,", "column days: '9 to 4'"),
        ("ward,,in stage,,,,some,,", "column people: 'some' was given; allowed: a whole number"),
        ("ward,,in stage,,,,-3,,", "column people: '-3' was given; allowed: a whole number, 0 or more"),
        ("ward,,in stage,,,,,,", "column people: '' was given; allowed: a whole number"),
        ("ward,,in stage,,,,,80,", "column hours_a_week: '80' was given"),
        ("home_care,,waiting,home_care,,,,80,", "column hours_a_week: '80'.*people in stage"),
        ("ward,,in stage,,,,3,,pathway_9", "column pathway: 'pathway_9'.*did you mean"),
        ("ward,,in stage,,,,3,,,extra", "line 2: 10 columns were given; allowed: the 9"),
        ("", "counts nobody"),
    ],
)  # fmt: skip
def test_a_bad_line_is_told(counted, line: str, told: str) -> None:
    with pytest.raises(PlaceError, match=f"counted.csv.*{told}"):
        counted(line)


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (HEAD.replace("people", "peeple"), "line 1: 'peeple' was given; allowed: .*did you mean 'people'"),
        (HEAD.replace("pathway", "people"), "the column 'people' is there twice"),
        (HEAD.replace("service", ""), "there is no column 'service'"),
    ],
)
def test_a_bad_heading_is_told(counted, head: str, told: str) -> None:
    with pytest.raises(PlaceError, match=told):
        counted("ward,,in stage,,,,3,,", head=head)


def test_what_nobody_is_and_does_is_told(counted) -> None:
    place = counted("ward,,waiting,,leave,,3,,pathway_2")
    with pytest.raises(PlaceError, match=r"ward\.initial\.line_2: .*pathway_2.*'leave'.*at least one in 4096"):
        planned(place)


def test_a_census_has_no_warm_up_and_a_date(counted, tmp_path: Path) -> None:
    place = counted("ward,,in stage,,,,3,,")
    assert (place.run.warm_up_days, str(place.run.first_date)) == (0, "2024-04-15")
    file = tmp_path / "counted.csv"
    with pytest.raises(PlaceError, match="warm_up_days=7 were given; allowed: warm_up_days=0 with a census"):
        small_place("two_ways_out", f"census={file}", "warm_up_days=7")
    with pytest.warns(FlowsimNotice, match="the census counts for 2024-04-01; start_date="):
        small_place("two_ways_out", f"census={file}")
    with pytest.raises(PlaceError, match=r"census: 'nowhere.csv' was given.*census-template"):
        small_place("two_ways_out", "census=nowhere.csv")


def test_what_no_line_counts_is_told(counted) -> None:
    with pytest.warns(FlowsimNotice) as told:
        counted("support,north,in stage,,,,90,,")
    words = " ".join(str(one.message) for one in told)
    assert "no line counts ward, home_care, which so start empty" in words
    assert "no line counts support/south, which so start with the place's own caseload" in words
    assert "90 are counted in support/north, which has 67 slots" in words


def test_at_start_is_replaced_by_what_is_counted(counted) -> None:
    at_start = "+place.streams.planned.at_start=5"
    assert counted("support,north,in stage,,,,3,,", overrides=(at_start,)).streams["planned"].at_start == 5
    assert counted("ward,,in stage,,,,3,,", overrides=(at_start,)).streams["planned"].at_start is None


def test_a_configuration_needs_the_file_no_more(counted, tmp_path: Path) -> None:
    place = counted(
        "ward,,waiting,,support,2 to 5,9,,pathway_1", "home_care,,in stage,home_care,,,,150,", "support,north,,,,,9,,"
    )
    (tmp_path / "counted.csv").unlink()
    again = read_place(plain(place))
    assert plain(again) == plain(place)
    a, b = planned(place), planned(again)
    assert all(np.array_equal(getattr(a.rows, name), getattr(b.rows, name)) for name in vars(a.rows))


# --------------------------------------------------------------------------------------------------------------------
# From a template to the weeks ahead


def test_the_template_runs_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    import flowsim

    monkeypatch.chdir(tmp_path)
    assert cli.main(["new", "place", "my_county"]) == 0
    assert cli.main(["show", "census-template", "place=my_county", "out=my_census.csv"]) == 0
    assert cli.main(["show", "census-template", "place=my_county", "out=my_census.csv"]) == cli.MISTAKE
    capsys.readouterr()
    assert cli.main(["show", "census-template", "place=my_county"]) == 0
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "my_census.csv").read_bytes().decode("utf-8-sig")
    assert not any(line.startswith("#") for line in printed.splitlines())
    words = [
        "place=my_county",
        "census=my_census.csv",
        "start_date=2024-04-01",
        "days=21",
        "replications=3",
        "jobs=1",
        "out=ahead",
    ]
    assert cli.main(["run", *words, "detail=all"]) == 0
    told = capsys.readouterr().out
    assert "The weeks ahead. Delayed patients" in told
    assert "15 April" in told
    assert "A projection from what the census counted" in told
    assert (tmp_path / "ahead" / "charts" / "forecast.png").stat().st_size > 10_000
    result = flowsim.read("ahead")
    bands = weekly(result)
    assert set(bands["n"]) == {3}
    assert (bands[["low_10", "low_25", "median", "high_75", "high_90"]].diff(axis=1).iloc[:, 1:] >= -1e-9).all(
        axis=None
    )
    delayed = bands[bands["series"] == DELAYED]
    assert delayed["week"].astype(str).tolist() == ["2024-04-01", "2024-04-08", "2024-04-15"]
    nightly = result.nights_of(states=["delayed"], where=["all"], of=[""])
    first_week = nightly[nightly["date"] < "2024-04-08"].groupby("replication")["count"].mean()
    assert delayed["median"].iloc[0] == pytest.approx(first_week.median())
    place = load("place=my_county", "days=21")
    beds = result.nights[(result.nights["where"] == "general") & (result.nights["state"] == "occupied")]
    assert 0.6 < beds["count"].iloc[0] / place.services["acute_beds"].capacity < 1.2
    assert set(bands.loc[bands["series"] == BEDS, "open"]) == {place.services["acute_beds"].capacity}
    assert bands.loc[bands["series"] != BEDS, "open"].isna().all()
    boarding = result.nights[(result.nights["state"] == "boarding") & (result.nights["date"] < "2024-04-08")]
    first = bands[bands["series"] == BOARDING].iloc[0]
    assert first["median"] == pytest.approx((boarding.groupby("replication")["count"].sum() / 7).median())
    assert "3 replications are too few for a band" in told


def test_open_beds_have_blocks_in_them_but_no_chance() -> None:
    block = "+place.services.acute_beds.blocks={ward: {from: 2024-04-10, to: 2024-04-14, add: 20}}"
    shock = (
        "+place.services.acute_beds.shocks={infection: {rate: 30, per: month, closes: {add: -12}, "
        "lasts: {uniform: {low: 7, high: 28}, unit: days}}}"
    )
    place = load("days=21", "warm_up_days=0", block, shock)
    found = open_beds(place, open_capacities("baseline", place))
    titles = [site.title for site in place.sites.values()]
    assert list(found) == [f"{BEDS}, {title}" for title in titles]
    total = sum(found.values())
    assert [total[day] - total[0] for day in (8, 9, 13, 14)] == [0, 20, 20, 0]
    assert total[0] == place.services["acute_beds"].capacity


def test_a_comparison_from_a_census(counted, tmp_path: Path) -> None:
    import flowsim

    counted("ward,,in stage,,,1 to 9,50,,", "ward,,waiting,,support,3,9,,")
    file = tmp_path / "counted.csv"
    change = ("scenarios=[baseline,more_support]", "place=small", f"census={tmp_path / 'small.csv'}", "days=14")
    (tmp_path / "small.csv").write_text("service,where,state,people\nwards,general,in stage,40\n", encoding="utf-8")
    from flowsim.declare.composition import load_scenarios

    places = load_scenarios(*change, scenarios_dir=PLACES)
    result = flowsim.compare(places, 2, jobs=1, out=tmp_path / "both", progress=False)
    assert not result.failures
    assert file.exists()
    assert (tmp_path / "both" / "charts" / "forecast.png").exists()
    told = (tmp_path / "both" / "summary.md").read_text(encoding="utf-8")
    assert "The weeks ahead" in told
    what_changes = told.split("## What changes")[1].split("\n## ")[0]
    assert "without a warm-up: they cannot be set beside those of a run without a census" in what_changes
    assert told.index("charts/differences.png") < told.index("charts/forecast.png") < told.index("charts/delayed.png")


def test_a_first_week_of_nobody_is_a_row_and_a_series_of_nobody_is_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    import pandas as pd
    from presenting import in_words

    from flowsim.present.pages import forecast
    from flowsim.questions.forecast import BANDS

    weeks = pd.to_datetime(["2024-04-01", "2024-04-08"]).to_numpy()
    counts = {"Delayed": (0, 4), "Nobody": (0, 0)}
    rows = [
        ("baseline", title, week, 3, *[value] * len(BANDS))
        for title, values in counts.items()
        for week, value in zip(weeks, values, strict=True)
    ]
    bands = pd.DataFrame(rows, columns=["scenario", "series", "week", "n", *BANDS])
    monkeypatch.setattr(forecast, "weekly", lambda result: bands)
    monkeypatch.setattr(forecast, "is_forecast", lambda result: True)
    only, worth = forecast.sections(SimpleNamespace(places={"baseline": None}))  # type: ignore[arg-type]
    assert "Delayed" in only.heading
    assert [row[:2] for row in in_words(only)] == [("1 April", "0"), ("8 April", "4.00")]
    assert worth.sentences


# -- what is missing, and what a planner has at eight in the morning --------------------------------------------------


def told_of(*overrides: str) -> str:
    return " | ".join(load(*overrides).scenario.notices)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sefton's short form, as it is written."""
    path = tmp_path_factory.mktemp("short") / "short.csv"
    assert cli.main(["show", "census-template", "form=short", f"out={path}"]) == 0
    return path


def test_the_short_form_is_what_a_planner_has(short: Path, capsys) -> None:
    head, *lines = short.read_text(encoding="utf-8-sig").splitlines()
    assert head == "count,service,where,pathway,people,hours_a_week"
    assert len(lines) < 30
    kinds = {line.split(",")[0] for line in lines}
    assert kinds == {
        "beds occupied", "no criteria to reside", "in the emergency department", "of these waiting for a bed",
        "caseload",
    }  # fmt: skip


def test_what_was_counted_counts_and_the_rest_is_usual_and_marked(short: Path, tmp_path: Path, capsys) -> None:
    from flowsim.declare.yaml_and_csv import read_csv

    lines = short.read_text(encoding="utf-8-sig").splitlines()
    mine = tmp_path / "mine.csv"
    beds = ["beds occupied,acute_beds,aintree,,700,", "no criteria to reside,acute_beds,aintree,pathway_1,50,"]
    mine.write_text("\n".join([lines[0], *beds]), encoding="utf-8")
    full = tmp_path / "full.csv"
    assert cli.main(["show", "census-template", f"counts={mine}", f"out={full}"]) == 0
    _, ((_, head), *rows) = read_csv(full)
    table = [dict(zip(head, cells, strict=True)) for _, cells in rows]
    here = [row for row in table if row["service"] == "acute_beds" and row["where"] == "aintree"]
    assert sum(int(row["people"]) for row in here) == 700
    delayed = [row for row in here if row["state"] != "in stage"]
    assert sum(int(row["people"]) for row in delayed if row["pathway"] == "pathway_1") == 50
    assert sum(int(row["people"]) for row in delayed if row["pathway"] == "pathway_3") > 20  # the usual share
    marks = {row["assumed"] for row in here}
    assert marks == {"spread by usual shares", "usual number"}
    assert {row["assumed"] for row in table if row["service"] == "reablement"} == {"usual number"}
    told = told_of(f"census={full}", "start_date=2024-12-02", "days=28")
    assert "are usual numbers of the place, not counted" in told
    assert "no criteria to reside" not in told
    without = tmp_path / "without.csv"
    kept = [line for line in full.read_text(encoding="utf-8-sig").splitlines() if ",ready," not in line]
    without.write_text("\n".join(line for line in kept if ",waiting," not in line), encoding="utf-8")
    told = told_of(f"census={without}", "start_date=2024-12-02", "days=28")
    assert "no line counts people with no criteria to reside (state ready or waiting) in acute_beds/aintree, " in told
    assert "acute_beds/southport_ormskirk, so that nobody there is delayed on the first day" in told


def test_nobody_delayed_can_be_said(counted) -> None:
    told = " | ".join(counted("ward,,in stage,ward,,,20,,").scenario.notices)
    assert "no line counts people with no criteria to reside (state ready or waiting) in ward, so" in told
    told = " | ".join(counted("ward,,in stage,ward,,,20,,", "ward,,ready,ward,,,0,,").scenario.notices)
    assert "no criteria to reside" not in told


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("beds taken,acute_beds,aintree,,700,", "column count: 'beds taken' was given; allowed: one of beds occupied"),
        ("beds occupied,acute_bed,aintree,,700,", "did you mean 'acute_beds'"),
        ("beds occupied,acute_beds,aintre,,700,", "did you mean 'aintree'"),
        ("beds occupied,acute_beds,aintree,,many,", "a number, 0 or more, or nothing where it was not counted"),
        ("no criteria to reside,acute_beds,aintree,pathway_9,5,", "nobody is there usually"),
        (
            "beds occupied,acute_beds,aintree,,20,\nno criteria to reside,acute_beds,aintree,pathway_1,50,",
            "at least as",
        ),
    ],
)
def test_a_short_form_that_cannot_be_is_refused(line: str, why: str, short: Path, tmp_path: Path, capsys) -> None:
    mine = tmp_path / "mine.csv"
    head = short.read_text(encoding="utf-8-sig").splitlines()[0]
    mine.write_text(f"{head}\n{line}\n", encoding="utf-8")
    assert cli.main(["show", "census-template", f"counts={mine}"]) == cli.MISTAKE
    assert why in capsys.readouterr().err


def test_a_place_without_pathways_has_a_template(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "plain.yaml").write_text(
        "title: A department and a ward\n"
        "sites: {general: {title: General Hospital}}\n"
        "streams: {emergency: {title: People, at: site, rate: {general: 60}, first: ed}}\n"
        "services:\n"
        "  ed: {title: Department, role: ed, unit: cubicles, capacity: 40, by_site: {general: 40}}\n"
        "  beds: {title: Beds, role: ward, unit: beds, capacity: 50, by_site: {general: 50}}\n"
        "stages:\n"
        "  ed: {title: In the department, service: ed, duration: {fixed: 3, unit: hours}, next: ward}\n"
        "  ward: {title: In a bed, service: beds, duration: {exponential: {mean: 2}, unit: days}, next: leave}\n",
        encoding="utf-8",
    )
    place = load("place=plain", "days=7", "warm_up_days=7", scenarios_dir=tmp_path)
    written = pd.read_csv(io.StringIO(census_template(place)))
    assert "pathway" not in written.columns
    waiting = written[written["waiting_for"] == "ward"]
    assert waiting["people"].sum() > 0  # whose lines have a pathway, which is empty
