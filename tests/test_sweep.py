"""Sweeps: Hydra's grammar, designs, tables, names; each point the same as a run of its own; what they end in."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from presenting import figure_of, in_words, summary_of
from presenting import named as named_picture

import flowsim
from flowsim.cli import main as cli
from flowsim.declare import hydra
from flowsim.declare.overrides import Dimension, dimensions, sweep
from flowsim.measures.registry import HEADLINE
from flowsim.place import PlaceError
from flowsim.present.pages import answer_sweep
from flowsim.present.pages import sweep as page_of_sweep
from flowsim.present.pages.answer_sweep import message, message_of_path, year_words
from flowsim.present.pages.page import Cell
from flowsim.present.pages.registry import page_of
from flowsim.present.pages.sweep import best_points, what_matters
from flowsim.present.pictures import heat, parallel, style, sweeps
from flowsim.questions.design import choose, named, read_table, short_keys
from flowsim.questions.sweep import POINT, compose_sweep
from flowsim.statistics.importance import rank_settings, unrankable
from flowsim.statistics.intervals import whole

PLACES = Path(__file__).parent / "places"
SMALL = ("place=small", "days=14", "warm_up_days=14")
SUPPORT = "place.services.support.capacity"
WARDS = "place.services.wards.capacity"


# -- grammar -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("k=60,80", ("60", "80")),
        ("k=choice(60,80)", ("60", "80")),
        ("k=range(80,161,20)", ("80", "100", "120", "140", "160")),
        ("k=range(0.1,0.45,0.1)", ("0.1", "0.2", "0.3", "0.4")),
        ("k=sort(3,1,2)", ("1", "2", "3")),
        ("k=[1,2],[3,4]", ("[1,2]", "[3,4]")),
        ("scenario=glob(*support)", ("less_support", "more_support")),
        ("scenario=glob(*,exclude=*support)", ("all_three", "baseline", "both")),
    ],
)
def test_what_is_varied_in_hydras_grammar(text: str, values: tuple[str, ...]) -> None:
    (one,), fixed = dimensions(["days=3", text], PLACES)
    assert fixed == ("days=3",)
    found = one.values
    assert tuple(v for v in found if v in values) == values
    if "glob" not in text:
        assert found == values


def test_intervals_say_whether_they_are_whole() -> None:
    found = [
        dimensions([f"k={text}"])[0][0] for text in ("interval(80,160)", "interval(80.0,160)", "int(interval(0,9))")
    ]
    assert [(one.ends, one.whole) for one in found] == [((80, 160), None), ((80, 160), False), ((0, 9), True)]


@pytest.mark.parametrize("text", ["k=interval(9,1)", "k=range(5,5)", "scenario=glob(nothing*)"])
def test_what_has_no_values_is_refused(text: str) -> None:
    with pytest.raises(PlaceError):
        dimensions([text], PLACES)


def test_run_of_each_and_sweep_read_the_same_grammar() -> None:
    assert sweep(["scenario=glob(*_support)", "days=3"], PLACES) == [
        ("scenario=less_support", "days=3"),
        ("scenario=more_support", "days=3"),
    ]
    with pytest.raises(PlaceError, match="allowed: values with commas"):
        sweep(["seed=interval(1,3)"])


# -- designs -----------------------------------------------------------------------------------------------------------

BEDS, SHARE, WHO = (
    Dimension("place.services.beds.capacity", ends=(11, 20), whole=True),
    Dimension("place.choices.c.chance", ends=(0.0, 1.0), whole=False),
    Dimension("scenario", ("a", "b")),
)


def test_a_grid_is_complete_and_the_last_runs_fastest() -> None:
    found = choose([Dimension("place.services.x.capacity", ("1", "2")), WHO])
    assert list(found.settings) == ["x=1,a", "x=1,b", "x=2,a", "x=2,b"]


def test_a_latin_hypercube_has_one_point_in_each_slice() -> None:
    found = choose([BEDS, SHARE, WHO], "lhs", 10, seed=3)
    points = pd.DataFrame(found.settings.values())
    assert sorted(points[BEDS.key].astype(int)) == list(range(11, 21))
    assert sorted((points[SHARE.key].astype(float) * 10).astype(int)) == list(range(10))
    assert points["scenario"].value_counts().to_dict() == {"a": 5, "b": 5}
    assert choose([BEDS, SHARE, WHO], "lhs", 10, seed=3) == found != choose([BEDS, SHARE, WHO], "lhs", 10, seed=4)


def test_sobol_points_are_balanced() -> None:
    found = choose([BEDS, SHARE], "sobol", 16)
    shares = pd.DataFrame(found.settings.values())[SHARE.key].astype(float)
    assert np.histogram(shares, bins=16, range=(0, 1))[0].tolist() == [1] * 16
    with pytest.raises(PlaceError, match="points: 20 was given; allowed: a power of two with design=sobol, such as 16"):
        choose([BEDS, SHARE], "sobol", 20)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (([BEDS], "grid", None), "an interval was given; a grid has no values of it"),
        (([WHO], "grid", 5), "points: 5 was given; allowed: with design=lhs"),
        (([BEDS], "lsh", 5), "did you mean 'lhs'"),
        (([BEDS], "lhs", None), "points: it is needed with design=lhs and was not given; allowed: a whole num"),
        (([], "grid", None), "nothing is varied"),
        (([WHO, WHO], "grid", None), "scenario: this is given twice"),
    ],
)
def test_a_design_that_cannot_be_is_refused(given: tuple, told: str) -> None:
    with pytest.raises(PlaceError, match=told):
        choose(*given)


# -- names -------------------------------------------------------------------------------------------------------------


def test_names_are_short_and_tell_points_apart() -> None:
    keys = ["place.services.a.capacity", "place.services.b.capacity", "place.services.b.quota.week", "scenario"]
    assert list(short_keys(keys).values()) == ["a", "b", "b.quota.week", "scenario"]
    same = short_keys(["place.services.a.capacity", "place.pools.a.capacity"])
    assert len(set(same.values())) == 2
    long = {f"place.services.{'x' * 20}_{at}.capacity": "1" for at in range(6)}
    assert list(named([long, {}])) == ["point_1", "as it is"]
    assert list(named([{"scenario": "a"}, {"scenario": "a"}])) == ["a", "a_2"]


# -- tables ------------------------------------------------------------------------------------------------------------


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "mine.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(("separator", "encoding"), [(",", "utf-8"), (";", "utf-8-sig"), ("\t", "cp1252")])
def test_a_table_as_spreadsheets_write_it(tmp_path: Path, separator: str, encoding: str) -> None:
    lines = [f"name,{SUPPORT},{WARDS},scenario,", "été,25,,more_support", "", ",,35,", ",26,35,,,"]
    text = "\r\n".join(line.replace(",", separator) for line in lines)
    found = read_table(written(tmp_path, text, encoding))
    assert list(found.settings) == ["été", "wards=35", "support=26,wards=35"]
    assert found.settings["été"] == {SUPPORT: "25", "scenario": "more_support"}
    assert found.lines["wards=35"].endswith("mine.csv, line 4")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{SUPPORT}\n20\nmany\n", rf"mine.csv, line 3, column '{SUPPORT}': .*'many' was given"),
        (f'{SUPPORT}\n"1,200"\n', rf"line 2, column '{SUPPORT}': '1,200' was given; allowed: one value, such as 1200"),
        (f'{SUPPORT}\n"130,5"\n', rf"line 2, column '{SUPPORT}': '130,5' was given; allowed: one value, such as 130.5"),
        (
            "place.services.suport.capacity\n20\n",
            "line 2, column 'place.services.suport.capacity': .*did you mean 'support'",
        ),
        (f"{SUPPORT},{SUPPORT}\n1,2\n", "line 1, column 2: .* is there twice"),
        (f"{SUPPORT},,{WARDS}\n1,2,3\n", "line 1, column 2: this column has no setting"),
        (f"Name,{SUPPORT}\na,2\n", "line 1, column 1: 'Name' was given; allowed: 'name'"),
        (f"name,{SUPPORT}\na,2\na,3\n", "line 3, column 'name': 'a' is there already"),
        (f"name,{SUPPORT}\na,2,3\n", "line 2: 3 cells, but there are 2 columns"),
        ("seed\n1\n2\n", "line 1: seed: this cannot be varied in a sweep"),
        ("scenario\nbasline\n", "line 2, column 'scenario': .*did you mean 'baseline'"),
        (f"{SUPPORT}\n", "this table has no rows"),
        ("", "this table is empty"),
    ],
)
def test_a_mistake_in_a_table_is_told_with_line_and_column(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(PlaceError, match=told):
        compose_sweep(SMALL, table=written(tmp_path, text), scenarios_dir=PLACES)


# -- composing ---------------------------------------------------------------------------------------------------------


def test_points_are_laid_over_the_place_and_the_base_comes_first() -> None:
    places, frame = compose_sweep([*SMALL, f"{SUPPORT}=10,30", f"{WARDS}=33"], scenarios_dir=PLACES)
    assert [(name, p.services["support"].capacity, p.services["wards"].capacity) for name, p in places.items()] == [
        ("baseline", 20, 33),
        ("support=10", 10, 33),
        ("support=30", 30, 33),
    ]
    assert frame.to_dict("list") == {POINT: ["baseline", "support=10", "support=30"], SUPPORT: [20, 10, 30]}


def test_scenarios_are_crossed_with_the_points() -> None:
    words = [*SMALL, f"{WARDS}=30,35"]
    places, frame = compose_sweep(words, scenarios=["more_support", "baseline"], scenarios_dir=PLACES)
    assert list(places) == [
        "more_support", "more_support,wards=30", "more_support,wards=35", "baseline,wards=30", "baseline,wards=35",
    ]  # fmt: skip
    assert [place.services["support"].capacity for place in places.values()] == [30, 30, 30, 20, 20]
    assert frame["scenario"].tolist() == ["more_support"] * 3 + ["baseline"] * 2


def test_whole_numbers_where_the_setting_is_one() -> None:
    words = [*SMALL, f"{SUPPORT}=interval(10,30)", "place.streams.emergencies.rate.general=interval(3.0,6)"]
    _, frame = compose_sweep(words, design="lhs", points=8, scenarios_dir=PLACES)
    assert (frame[SUPPORT] % 1 == 0).all()
    assert (frame["place.streams.emergencies.rate.general"][1:] % 1 > 0).any()


def test_hydra_composes_once_for_all_points() -> None:
    hydra._composed_by_hydra.cache_clear()
    compose_sweep([*SMALL, f"{SUPPORT}=range(1,41)"], scenarios_dir=PLACES)
    assert hydra._composed_by_hydra.cache_info().misses == 1


def test_a_changed_file_is_composed_anew(tmp_path: Path) -> None:
    (tmp_path / "scenario").mkdir()
    path = tmp_path / "scenario" / "mine.yaml"
    for slots in (41, 42):
        path.write_text(f"title: Mine\nplace: {{services: {{reablement: {{capacity: {slots}}}}}}}\n", encoding="utf-8")
        assert flowsim.load("scenario=mine", scenarios_dir=tmp_path).services["reablement"].capacity == slots


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["seed=1,2"], "seed: this cannot be varied in a sweep.*run -m"),
        (["place.services.suport.capacity=1,2"], "did you mean 'support'"),
        ([f"{SUPPORT}=3,-1"], "support=-1: .*at least 0"),
    ],
)
def test_what_cannot_be_swept_is_refused(words: list[str], told: str) -> None:
    with pytest.raises(PlaceError, match=told):
        compose_sweep([*SMALL, *words], scenarios_dir=PLACES)


# -- which settings matter ---------------------------------------------------------------------------------------------


def test_the_variance_is_shared_out_as_it_was_made() -> None:
    """y = 2 a + b with uniform a and b: a explains 80 %, b 20 %, c nothing."""
    points = pd.DataFrame(np.random.default_rng(5).uniform(size=(2000, 3)), columns=["a", "b", "c"])
    found = rank_settings(points, 2 * points["a"] + points["b"]).set_index("setting")
    assert list(found.index) == ["a", "b", "c"]
    assert found["share"].tolist() == pytest.approx([80, 20, 0], abs=3)
    assert found.loc["a", "lowest_at"] < 0.1 < 0.9 < found.loc["a", "highest_at"]
    grid = pd.DataFrame([(a, b) for a in range(4) for b in ("x", "y", "z")], columns=["a", "b"])
    told = rank_settings(grid, grid["a"] * 10.0).set_index("setting")
    assert told.loc["a", ["share", "lowest_at", "highest_at"]].tolist() == [100, 0, 3]
    assert told.loc["b", "share"] == 0
    both = rank_settings(grid, grid["a"] * 10.0 + 5 * (grid["b"] == "z")).set_index("setting")
    assert both["share"].sum() == pytest.approx(100)  # a grid without chance and without joint effects
    assert both.loc["b", "share"] > 0


def test_settings_that_happen_to_go_together_share_what_is_their_own() -> None:
    """Twenty points in which c goes up with a, though only a and b do anything: it explains nothing."""
    rng = np.random.default_rng(7)
    for _ in range(20):
        a, b = rng.uniform(size=20), rng.uniform(size=20)
        points = pd.DataFrame({"a": a, "b": b, "c": 0.5 * a + 0.5 * rng.uniform(size=20)})
        values = 2 * points["a"] + points["b"]
        found = rank_settings(points, values).set_index("setting")
        assert found.loc["c", "share"] < 1e-6
        assert found["share"].sum() == pytest.approx(100)
        assert found.loc["b", "highest"] - found.loc["b", "lowest"] == pytest.approx(np.ptp(b))
    noise = [rank_settings(points, pd.Series(rng.normal(size=20)))["share"].sum() for _ in range(50)]
    assert np.mean(noise) < 15  # of chance the fit explains a third


@pytest.mark.parametrize(
    ("points", "told"),
    [
        (6, "6 points are too few to say which of 3 settings matter: it takes 10 or more, and 30 tell it well."),
        (10, ""),
    ],
)
def test_too_few_points_rank_nothing(points: int, told: str) -> None:
    design = choose([Dimension(f"place.services.{name}.capacity", ends=(1, 99)) for name in "abc"], "lhs", points, 1)
    frame = pd.DataFrame(design.settings.values()).astype(float)
    assert unrankable(frame) == told
    found = rank_settings(frame, frame.iloc[:, 0])
    assert len(found) == (0 if told else 3)
    if not told:
        assert found["share"].tolist() == pytest.approx([100, 0, 0])


def test_without_a_point_that_has_results_nothing_is_ranked() -> None:
    nothing = pd.DataFrame({"a": [], "b": []})
    assert "No point has results" in unrankable(nothing)
    assert rank_settings(nothing, pd.Series(dtype=float)).empty


def test_settings_that_go_up_and_down_together_rank_nothing() -> None:
    a = np.arange(20.0)
    together = pd.DataFrame({"a": a, "b": a + (a % 2) / 10})
    assert "go up and down together" in unrankable(together)
    assert rank_settings(together, pd.Series(a)).empty


def test_names_and_settings_left_as_they_are_have_shares() -> None:
    points = pd.DataFrame({"who": ["x", "y", None, "x", "y", None, "x"] * 2, "n": np.arange(14.0)})
    found = rank_settings(points, pd.Series(np.where(points["who"] == "y", 5.0, 1.0))).set_index("setting")
    assert found.loc["who", "share"] == pytest.approx(100)
    assert found.loc["who", ["lowest", "highest", "highest_at"]].tolist() == pytest.approx([1, 5, "y"])


# -- the whole of it ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> flowsim.Sweep:
    out = tmp_path_factory.mktemp("swept") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(out.parent)
        (out.parent / "scenarios").symlink_to(PLACES)
        words = (*SMALL, f"{SUPPORT}=10,30", f"{WARDS}=range(30,46,5)")
        return flowsim.sweep(*words, replications=3, jobs=1, out=out, progress=False)


def test_a_point_is_the_same_as_a_run_of_its_own(swept: flowsim.Sweep, tmp_path: Path) -> None:
    place = flowsim.load(*SMALL, f"{SUPPORT}=10", f"{WARDS}=35", scenarios_dir=PLACES)
    alone = flowsim.run(place, replications=3, jobs=1, out=tmp_path / "out", progress=False).results
    alone = whole(alone[alone["measure"].isin(swept.results["measure"])])
    own = whole(swept.results[swept.results["scenario"] == "support=10,wards=35"])
    columns = ["replication", "measure", "value"]
    by = ["replication", "measure"]
    told = [frame[columns].sort_values(by).reset_index(drop=True) for frame in (own, alone)]
    told = [frame[~frame["measure"].str.startswith("check_")].reset_index(drop=True) for frame in told]
    pd.testing.assert_frame_equal(*told)


def test_the_table_has_a_row_a_point_and_measure(swept: flowsim.Sweep) -> None:
    table = swept.table("delayed_patients").set_index(POINT)
    assert len(table) == 9
    assert table.loc["support=10,wards=35", [SUPPORT, WARDS]].tolist() == [10, 35]
    values = whole(swept.results[swept.results["measure"] == "delayed_patients"])
    wide = values.pivot(index="scenario", columns="replication", values="value")
    expected = (wide.loc["support=10,wards=35"] - wide.loc["baseline"]).mean()
    assert table.loc["support=10,wards=35", "difference"] == pytest.approx(expected)
    assert np.isnan(table.loc["baseline", "difference"])
    assert swept.best()["mean"].is_monotonic_increasing
    assert swept.best("acute_occupancy")["mean"].is_monotonic_increasing
    for name, again in (("sweep.csv", pd.read_csv), ("sweep.parquet", pd.read_parquet)):
        pd.testing.assert_frame_equal(again(swept.out / name).fillna({"worse": ""}), swept.table(), check_dtype=False)
    assert set(swept.ranking()["setting"]) == {SUPPORT, WARDS}


def test_it_can_be_read_again(swept: flowsim.Sweep) -> None:
    again = flowsim.read(swept.out)
    assert isinstance(again, flowsim.Sweep)
    pd.testing.assert_frame_equal(again.table(), swept.table())
    told = (swept.out / "summary.md").read_text(encoding="utf-8")
    assert "charts/sweep.png" in told
    assert "Which settings matter to delayed patients" in told
    with pytest.raises(PlaceError, match="did you mean 'delayed_patients'"):
        again.table("delayed_patient")


def test_points_have_names_and_say_where_nothing_clearly_changes(swept: flowsim.Sweep) -> None:
    brief, whole = (best_points(swept, one) for one in (True, False))
    assert brief.columns[0] == "point"
    assert brief.rows[0][0] == "As things are (nothing varied)"  # a point may be called baseline
    assert [row[0] for row in brief.rows[1:3]] == [
        f"{n}: {p.replace(',', ', ')}" for n, p in enumerate(best(swept)[:2], start=1)
    ]
    assert len(brief.rows) == len(whole.rows) == 9
    changes = swept.table("acute_occupancy").set_index(POINT)["change"]
    at = next(n for n, column in enumerate(whole.columns) if column.startswith("Acute bed occupancy"))
    for row, point in zip(in_words(whole)[1:], best(swept), strict=True):
        assert ("no clear change" in row[at]) == (changes[point] == "no clear change")
    assert "e+" not in summary_of(swept)


def test_a_sweep_says_why_it_cannot_say_what_matters(swept: flowsim.Sweep) -> None:
    few = flowsim.Sweep(swept.out, swept.places)
    kept = [swept.base, *[str(point) for point in swept.points[POINT][1:7]]]
    few.__dict__["points"] = swept.points[swept.points[POINT].isin(kept)]
    few.__dict__["_table"] = swept.table()[swept.table()[POINT].isin(kept)]
    (matters,) = what_matters(few)
    assert matters.rows == ()
    assert matters.sentences == (few.unrankable,)
    assert "too few" in few.unrankable
    (matters,) = what_matters(swept)
    assert len(matters.rows) == 2
    assert page_of_sweep.FITTED not in matters.sentences[0]


def by_name(swept: flowsim.Sweep, names: Sequence[str | None]) -> flowsim.Sweep:
    """The same sweep with its second setting replaced by words, one a point."""
    other = flowsim.Sweep(swept.out, swept.places)
    words = dict(zip(swept.points[POINT], [None, *names], strict=True))
    for key, frame in (("points", swept.points), ("_table", swept.table())):
        other.__dict__[key] = frame.assign(**{swept.settings[1]: frame[POINT].map(words)})
    return other


@pytest.mark.parametrize("long", ["{home_first:{from:pathway_2,to:pathway_1,share:0.2}}", "home_first"])
def test_a_panel_has_room_beside_its_words(swept: flowsim.Sweep, long: str) -> None:
    """A value of 50 letters left panels of two millimetres; one that was left as it is had no place at all."""
    shown = by_name(swept, [long, None] * 4)
    with style.in_style():
        figure = figure_of(shown, "heat", measures=["delayed_patients", "acute_occupancy"])
        style.laid_out(figure)
    panels = [axes for axes in figure.axes if axes.get_xlabel()]
    assert len(panels) == 2
    for axes in panels:
        assert axes.get_position().width * figure.get_figwidth() > 2
        assert [label.get_text() for label in axes.get_yticklabels()][1] == "as it is"
        low, high = axes.get_ylim()
        assert low < 0 < 1 < high
    assert sweeps.labels([long, "x"])[0].count("\n") <= 1
    alike = [f"{long} {'and so on ' * 4}{n}" for n in range(2)]
    assert len(set(sweeps.labels(alike))) == 2


def test_bands_are_paired_as_the_table_is_and_hold_only_what_can_be(swept: flowsim.Sweep) -> None:
    shown = by_name(swept, [f"name_{n}" for n in range(8)])
    shown.__dict__["points"] = shown.points.drop(columns=swept.settings[0])
    table = shown.table().assign(difference_low=lambda rows: rows["difference"] - 500)
    shown.__dict__["_table"] = table
    figure = figure_of(shown, "lines", measures=["delayed_patients", "money_spent"])
    rows = table[(table["measure"] == "delayed_patients")].set_index(POINT)
    now = rows.loc[shown.base, "mean"]
    drawn = [path.vertices[:, 1].tolist() for path in figure.axes[0].collections[0].get_paths()]
    expected = [[0.0, now + high] for high in rows["difference_high"].iloc[1:]]
    assert np.ravel(drawn) == pytest.approx(np.ravel(expected))
    (line,) = (line for line in figure.axes[0].lines if len(line.get_xdata()) == 8)
    assert line.get_linestyle() == "None"  # nothing lies between two names
    assert figure.axes[0].lines[0].get_linestyle() == ":"
    costs = [path.vertices[:, 1].min() for path in figure.axes[1].collections[0].get_paths()]
    assert min(costs) < table.loc[table["measure"] == "money_spent", "mean"].min() - 400


def test_thin_lines_of_points_are_dark_enough_to_be_seen(swept: flowsim.Sweep) -> None:
    figure = figure_of(swept, "parallel")
    for lines in figure.axes[0].collections:
        colours = lines.get_colors()[:, :3]
        assert (colours @ [0.2126, 0.7152, 0.0722]).max() < 0.8


def best(swept: flowsim.Sweep) -> list[str]:
    return [str(point) for point in swept.best()[POINT]]


def test_parallel_lines_name_the_best_point(swept: flowsim.Sweep) -> None:
    figure = figure_of(swept, "parallel")
    first = best(swept)[0].replace(",", ", ")
    assert any(f"1: {first}" in " ".join(text.get_text().split()) for text in figure.texts)
    assert [text.get_text() for text in figure.axes[0].texts].count("1") == 1


@pytest.mark.parametrize("kind", [None, "heat", "parallel"])
def test_pictures_are_the_same_twice(swept: flowsim.Sweep, kind: str | None, tmp_path: Path) -> None:
    one, two = (swept.chart(tmp_path / f"{name}.png", kind).read_bytes() for name in ("one", "two"))
    assert one == two
    with pytest.raises(PlaceError, match="did you mean 'heat'"):
        swept.chart(tmp_path / "one.png", "heath")


def test_a_sweep_that_was_killed_is_put_together_from_its_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its points are is there before the first cell; `flowsim results OUT rebuild` does the rest."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenarios").symlink_to(PLACES)

    def killed(*given: object) -> None:
        raise SystemExit(9)

    monkeypatch.setattr("flowsim.cells.making.assemble", killed)
    with pytest.raises(SystemExit):
        flowsim.sweep(*SMALL, f"{SUPPORT}=10,30", replications=2, jobs=1, out="out", progress=False)
    there = sorted(path.name for path in Path("out").iterdir())
    assert there == ["about", "cells", "config", "manifest.json", "points.csv"]
    assert cli.main(["results", "out", "rebuild"]) == 0
    found = flowsim.read("out")
    assert isinstance(found, flowsim.Sweep)
    assert found.table("delayed_patients")[[POINT, SUPPORT, "n"]].to_numpy().tolist() == [
        ["baseline", 20, 2],
        ["support=10", 10, 2],
        ["support=30", 30, 2],
    ]


def test_lines_of_one_setting_and_words_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("scenarios").symlink_to(PLACES)
    for at, words in enumerate(
        ([f"{SUPPORT}=10,30"], ["scenario=more_support,less_support"], [f"{SUPPORT}=interval(9,30)"])
    ):
        design = {"design": "lhs", "points": 3} if "interval" in words[0] else {}
        found = flowsim.sweep(*SMALL, *words, replications=2, jobs=1, out=f"{at}", progress=False, **design)  # type: ignore[arg-type]
        assert (found.out / "charts" / "sweep.svg").is_file()
        assert found.chart("lines.png", "lines").is_file()


def test_what_a_point_leaves_as_it_is_stands_at_the_bases_value_in_pictures(swept: flowsim.Sweep) -> None:
    first, second = swept.settings
    points = swept.points.copy()
    points.loc[points[POINT] != swept.base, second] = None
    shown = sweeps.points_of(SimpleNamespace(points=points, base=swept.base))  # type: ignore[arg-type]
    assert set(shown[second]) == set(points.loc[points[POINT] == swept.base, second])
    assert shown[first].tolist() == swept.points.loc[swept.points[POINT] != swept.base, first].tolist()


def test_one_replication_has_no_interval_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("scenarios").symlink_to(PLACES)
    found = flowsim.sweep(*SMALL, f"{SUPPORT}=10,30", replications=1, jobs=1, out="out", progress=False)
    assert np.isnan(found.table("delayed_patients")["low"]).all()


def test_a_place_without_wards_is_swept_by_who_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was ranked by people delayed on wards, which it has not, and so refused after all of it had run."""
    monkeypatch.chdir(tmp_path)
    Path("scenarios").symlink_to(PLACES)
    words = ("place=ipacs", "days=28", "warm_up_days=0", "place.services.beds.capacity=*0.9,*1.1")
    found = flowsim.sweep(*words, replications=2, jobs=1, out="out", progress=False)
    assert found.asked_measures == ("care_queue_mean", "care_wait_days_mean")
    assert best(found)[0] == "beds=*1.1"
    assert "by waiting for care outside acute beds (least first)" in summary_of(found)
    assert (found.out / "charts" / "sweep.png").is_file()


# -- options that somebody named ---------------------------------------------------------------------------------------

OPTIONS = (
    ("Ten fewer, and let the wards wait for what there is until somebody asks in June why they do", 10),
    ("Ten more", 30),
    ("As many as now, written anew", 20),
    *((f"Option {n}, one of a dozen, with {n} places of support for both towns", n) for n in range(21, 30)),
)


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> flowsim.Sweep:
    """A dozen options with names of up to 90 letters."""
    home = tmp_path_factory.mktemp("options")
    lines = [f'"{name}",{support}' for name, support in OPTIONS]
    table = written(home, "\n".join([f"name,{SUPPORT}", *lines]))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        (home / "scenarios").symlink_to(PLACES)
        return flowsim.sweep(*SMALL, table=table, replications=4, jobs=1, out=home / "out", progress=False)


def test_options_are_drawn_with_a_dot_and_an_interval_each_the_best_first(options: flowsim.Sweep) -> None:
    """Two options of a table that changed two settings were two dots of colour on a plane."""
    assert sweeps.fitting(options) == "options"
    shown = named_picture("options").data(options)
    rows = shown.frame[shown.frame["measure"] == "delayed_patients"]
    table = options.best()
    assert rows["scenario"].tolist() == table[POINT].tolist() == list(shown.scenarios)
    for drawn, column in (("difference", "difference"), ("low", "difference_low"), ("high", "difference_high")):
        assert rows[drawn].tolist() == pytest.approx(table[column].tolist())
    assert shown.title.startswith("Delayed patients: ")
    assert table[POINT][0] in shown.title
    assert (options.out / "charts" / "sweep.png").is_file()


def test_long_names_of_options_stand_in_full_and_apart(options: flowsim.Sweep) -> None:
    with style.in_style():
        figure = figure_of(options, "options", measures=["delayed_patients", "acute_occupancy"])
        canvas = style.laid_out(figure)
        canvas.draw()
        labels = [label for label in figure.axes[0].get_yticklabels() if label.get_text()]
        words = {" ".join(label.get_text().split()).removesuffix(" (not ranked)") for label in labels}
        assert words == {name for name, _ in OPTIONS}
        boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.y0)
        assert all(below.y1 <= above.y0 + 1 for below, above in pairwise(boxes))
        assert boxes[0].x0 >= 0
        (title,) = (text for text in figure.texts if text.get_text() == figure.get_suptitle())
        box = title.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width
    assert box.y0 > max(axes.title.get_window_extent().y1 for axes in figure.axes if axes.get_visible())


def test_the_screen_lists_each_option_with_its_interval(options: flowsim.Sweep) -> None:
    answer = page_of(options).answer
    assert answer is not None
    assert len(answer.rows) == 1 + len(OPTIONS)
    table = options.best().set_index(POINT)
    for (name, cell, *_), point in zip(answer.rows[1:], table.index, strict=True):
        assert isinstance(name, str)
        assert str(point).startswith(name.removesuffix("..."))
        assert isinstance(cell, Cell)
        assert (cell.value, cell.low, cell.high) == pytest.approx(
            tuple(table.loc[point, ["difference", "difference_low", "difference_high"]])
        )
    assert any(sentence.startswith("Which is best: ") for sentence in answer.sentences)


def test_what_cannot_be_told_from_the_best_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("scenarios").symlink_to(PLACES)
    table = written(tmp_path, f"name,{SUPPORT},{WARDS}\nLess of all,5,40\nMore,40,\nAs much more,40,\n")
    found = flowsim.sweep(*SMALL, table=table, replications=4, jobs=1, out="out", progress=False, guards=[])
    assert found.best()[POINT].tolist() == ["More", "As much more", "Less of all"]
    assert found.not_told_apart() == ("As much more",)
    assert message(found, "delayed").startswith("delayed: More ")
    assert message(found, "delayed").endswith("; not told apart from it: As much more")


# -- a path year by year ----------------------------------------------------------------------------------------------

BY_AGE = "+place.streams.emergency.demand.over_85s"


def test_a_path_is_compounded_year_by_year() -> None:
    (one,), _ = dimensions(["place.streams.emergency.rate=path(+3%,5)"])
    assert one.by_year
    assert [float(value.removeprefix("*")) for value in one.values] == pytest.approx([1.03**n for n in range(1, 6)])
    assert one.values[1] == "*1.0609"
    (one,), _ = dimensions([f"{BY_AGE}={{by: age, 85+: path(-10%, 2), other: 1}}"])
    assert one.key == BY_AGE
    assert one.values == ("{by: age, 85+: 0.9, other: 1}", "{by: age, 85+: 0.81, other: 1}")


@pytest.mark.parametrize(
    "text", ["path(+3%)", "path(3,5)", "path(+3%,0)", "path(+3%,51)", "path(+3%,2.5)", "path(+3%,-1)", "path(,5)"]
)
def test_a_path_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(PlaceError, match=r"path\(\+3%,5\), a change such as"):
        dimensions([f"{SUPPORT}={text}"])


def test_paths_go_in_step_and_alone() -> None:
    both, _ = dimensions([f"{SUPPORT}=path(+10%,3)", f"{WARDS}=path(+1%,3)"])
    points = choose(both)
    assert list(points.settings) == ["year_1", "year_2", "year_3"]
    assert points.settings["year_2"] == {SUPPORT: "*1.21", WARDS: "*1.0201"}
    assert list(points.years.values()) == [1, 2, 3]
    for words in ([f"{SUPPORT}=path(+10%,3)", f"{WARDS}=1,2"], [f"{SUPPORT}=path(+10%,3)", f"{WARDS}=path(+1%,2)"]):
        with pytest.raises(PlaceError, match="allowed: paths of as many years"):
            choose(dimensions(words)[0])
    with pytest.raises(PlaceError, match="allowed: paths of as many years"):
        choose(both, "lhs", 4)
    with pytest.raises(PlaceError, match="allowed: a path with `flowsim sweep`"):
        flowsim.load("place=small", f"{SUPPORT}=path(+3%,5)", scenarios_dir=PLACES)


def test_a_path_begins_today_in_each_scenario() -> None:
    words = [*SMALL, f"{SUPPORT}=path(-10%,2)"]
    places, frame = compose_sweep(words, scenarios=["baseline", "more_support"], scenarios_dir=PLACES)
    assert frame[POINT].tolist() == [
        "baseline", "baseline,year_1", "baseline,year_2",
        "more_support,today", "more_support,year_1", "more_support,year_2",
    ]  # fmt: skip
    assert frame["year"].tolist() == [0, 1, 2, 0, 1, 2]
    assert [place.services["support"].capacity for place in places.values()][:3] == [20, 18, 16]
    assert places["more_support,today"].services["support"].capacity > 20


def test_a_path_is_told_in_the_order_of_its_years(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer places of support each year: more wait on the wards; a year is told only where the table says so."""
    monkeypatch.chdir(tmp_path)
    Path("scenarios").symlink_to(PLACES)
    found = flowsim.sweep(*SMALL, f"{SUPPORT}=path(-30%,4)", replications=6, jobs=1, out="out", progress=False)
    again = flowsim.read("out")
    assert isinstance(again, flowsim.Sweep)
    assert again.is_path
    assert again.settings == (SUPPORT,)
    table = again.table("delayed_patients")
    assert table["year"].tolist() == [0, 1, 2, 3, 4]
    least = HEADLINE["delayed_patients"].matters_in(again.days)
    clear = (table["difference_low"] * table["difference_high"] > 0) & (table["difference"].abs() >= least)
    years = tuple(table.loc[clear, "year"])
    assert years
    assert found.years_that_matter("delayed_patients") == {"": years}
    said = message_of_path(again, "delayed_patients", "delayed")
    assert f"from year {years[0]} on" in said
    answer = page_of(again).answer
    assert answer is not None
    assert [row[0] for row in answer.rows] == ["As things are (today)", "year 1", "year 2", "year 3", "year 4"]
    cells = [row[1] for row in answer.rows[1:]]
    assert [cell.low for cell in cells if isinstance(cell, Cell)] == pytest.approx(table["difference_low"].tolist()[1:])
    drawn = named_picture("path").data(again).frame
    drawn = drawn[(drawn["measure"] == "delayed_patients") & ~drawn["base"]].sort_values("value")
    assert drawn["mean"].tolist() == pytest.approx(table["mean"].tolist())
    assert "## Year by year" in summary_of(again)


def test_years_without_a_clear_difference_are_named() -> None:
    words = [(), (1, 2, 3), (2, 4), (0, 2)]
    assert [year_words(years, 4) for years in words] == [
        "in none of the 4 years clearly and by enough to matter",
        "clearly and by enough to matter from year 1 on, but not in year 4",
        "clearly and by enough to matter from year 2 on, but not in year 3",
        "clearly and by enough to matter from today on, but not in year 1, 3 and 4",
    ]


# -- the command line --------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("scenarios").symlink_to(PLACES)
    return tmp_path


def test_sweep_from_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sweep", *SMALL, f"{SUPPORT}=10,30", "replications=2", "jobs=1", "out=out", "measure=acute_occupancy"]
    assert cli.main([*words, "detail=all"]) == 0
    assert "The best points" in capsys.readouterr().out
    table = written(folder, f"name,{SUPPORT}\nfew,10\nmany,30\n")
    assert cli.main(["sweep", f"table={table.name}", *SMALL, "replications=2", "jobs=1", "out=tabled"]) == 0
    both = [pd.read_csv(folder / out / "sweep.csv") for out in ("out", "tabled")]
    pd.testing.assert_series_equal(both[0]["mean"], both[1]["mean"])
    assert both[1][POINT].unique().tolist() == ["baseline", "few", "many"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["desing=lhs", f"{SUPPORT}=1,2"], "did you mean 'design'"),
        (["measure=delayed_patient", f"{SUPPORT}=1,2"], "did you mean 'delayed_patients'"),
        (["table=nowhere.csv"], "'nowhere.csv' was given; allowed: a CSV file that exists"),
        (["table=mine.csv", f"{SUPPORT}=1,2"], "table: place.services.support.capacity was given beside it"),
        (["seed=1,2"], "seed: this cannot be varied"),
        ([f"{SUPPORT}=interval(1,2)"], "a grid has no values of it"),
        ([], "nothing is varied"),
    ],
)
def test_mistakes_are_told_before_anything_runs(
    words: list[str], told: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["sweep", *SMALL, *words]) == cli.MISTAKE
    assert told in capsys.readouterr().err
    assert not (folder / "outputs").exists()


def test_the_picture_of_a_sweep_says_above_it_what_was_found(swept: flowsim.Sweep) -> None:
    first, *_ = swept.asked_measures
    found = answer_sweep.message(swept, HEADLINE[first].title)
    assert heat.data(swept).title == parallel.data(swept).title == found
    assert heat.data(swept, ("acute_occupancy",)).title.startswith("What ")  # by which the points are not ranked
