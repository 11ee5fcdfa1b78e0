"""What a person is told: their settings and the notices beside the results, what a folder still holds, and why not."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from presenting import figure_of, summary_of
from test_cli import ROOT, SHORT, folder, told  # noqa: F401

import flowsim
from flowsim.cells.replicate import simulate
from flowsim.cli import main as cli
from flowsim.declare.composition import load, load_scenarios
from flowsim.declare.settings import Settings
from flowsim.measures.registry import HEADLINE, NATIONAL
from flowsim.place import FlowsimNotice, PlaceError
from flowsim.present import answer
from flowsim.present.pages import national, run
from flowsim.present.pictures import registry, style
from flowsim.present.pictures.picture import Data
from flowsim.present.titles import settings_words, titled
from flowsim.present.trace import story, why_the_same
from flowsim.present.writers.terminal import in_parts
from flowsim.questions import precision as precise
from flowsim.questions.compare import compare
from flowsim.questions.select import unit_of_difference
from flowsim.questions.ways import way_of

PLACES = ROOT / "tests" / "places"
TWO = "scenarios=[baseline,more_support]"
SMALL = ("place=small", "days=20", "warm_up_days=10")
QUICK: dict[str, Any] = {"replications": 1, "jobs": 1, "progress": False}

pytestmark = pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")


def lines(*overrides: str) -> list[str]:
    return load("place=small", *overrides, scenarios_dir=PLACES).scenario.settings


def manifest(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "manifest.json").read_text(encoding="utf-8")))


# -- the user's own settings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (("place.services.support.capacity=25",), ["place.services.support.capacity=25 (20 in the place)"]),
        (("place.services.support.capacity=20",), []),
        (("scenario=more_support", "place.services.support.capacity=30"), []),
        (
            ("scenario=more_support", "place.services.support.capacity=20"),
            ["place.services.support.capacity=20 (30 in the scenario)"],
        ),
        (
            ("scenario=more_support", "scenario.more_support.parts.block.active=true"),
            ["scenario.more_support.parts.block.active=true (false in the scenario)"],
        ),
        (
            ("scenario=more_support", "scenario.more_support.parts.weekends.active=false"),
            ["scenario.more_support.parts.weekends.active=false (true in the scenario)"],
        ),
        (("+place.published={x: []}",), ['place.published={"x": []} (nothing in the place)']),
        (("~place.bank_holidays",), ["~place.bank_holidays (GB-ENG in the place)"]),
        (("scale=2", "days=30"), ["days=30 (365 otherwise)", "scale=2 (1 otherwise)"]),
        (("days=365", "replications=3", "out=there", "jobs=1"), []),
        (
            ("days=100", "policy_start=2024-05-21"),
            ["days=100 (365 otherwise)", "policy_start=2024-05-21 (scenarios hold on 50 of the 100 days measured)"],
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_place_knows_what_was_set(overrides: tuple[str, ...], told: list[str]) -> None:
    assert lines(*overrides) == told


def test_settings_stand_above_the_results(capsys: pytest.CaptureFixture[str], folder: Path) -> None:  # noqa: F811
    words = ("place.services.support.capacity=25", "policy_start=2024-04-11", "seed=7")
    printed = told(capsys, "compare", TWO, *SMALL, *words, "replications=1", "jobs=1", "out=set", "detail=all")
    set_all = "place.services.support.capacity=25 (20 in the place) in As things are, with your settings"
    for text in (printed, (folder / "set" / "summary.md").read_text(encoding="utf-8")):
        (line,) = (line for line in text.splitlines() if line.startswith("Your settings: "))
        assert set_all in line
        assert "place.services.support.capacity=25 (30 in the scenario) in More support" in line
        assert "policy_start=2024-04-11 (scenarios hold on 10 of the 20 days measured)" in line
        assert "seed=7 (1 otherwise)." in line
        assert "out" not in line
        assert text.index("Your settings") < text.index("What changes")
    assert set_all in settings_words(flowsim.read(folder / "set"))


def test_as_things_are_is_not_said_where_the_user_sets_a_number_for_all(
    capsys: pytest.CaptureFixture[str],
    folder: Path,  # noqa: F811
) -> None:
    """Not on the terminal, not in the summary, not under a picture; and of a point that is varied its name is said."""
    words = ("place.services.wards.capacity=38", "replications=1", "jobs=1", "out=set", "detail=all")
    printed = told(capsys, "compare", TWO, *SMALL, *words)
    result = flowsim.read(folder / "set")
    assert titled(result, "baseline") == "As things are, with your settings"
    assert titled(result, "more_support") == "More support"
    summary = (folder / "set" / "summary.md").read_text(encoding="utf-8")
    for text in (printed, summary):
        assert "compared with As things are, with your settings" in " ".join(text.split())
    assert not re.search("As things are(?!, with your settings)", summary)
    data = registry.picture("differences", "compare").data(result)
    assert data.baseline == "As things are, with your settings"
    assert load("place=small", "days=20", scenarios_dir=PLACES).scenario.title == "As things are"
    (folder / "one.csv").write_text("name,place.services.support.capacity\nfive more,25\n", encoding="utf-8")
    told(capsys, "sweep", "table=one.csv", *SMALL, "replications=1", "jobs=1", "out=swept")
    point = flowsim.read(folder / "swept")
    assert [titled(point, name) for name in point.scenarios] == ["As things are", "five more"]


def test_settings_stand_below_every_picture(tmp_path: Path) -> None:
    place = load(*SMALL, "place.services.support.capacity=25", scenarios_dir=PLACES)
    done = flowsim.run(place, out=tmp_path / "out", **QUICK)
    line = "Your settings: place.services.support.capacity=25 (20 in the place)"
    for kind in (one.name for one in registry.pictures_of("run")):
        with contextlib.suppress(PlaceError):
            words = " ".join(text.get_text() for text in figure_of(done, kind).texts)
            assert line in " ".join(words.split()), kind


def test_a_legend_stands_above_however_many_lines_of_a_caption() -> None:
    for words in ("short", "long " * 200):
        figure = Figure(figsize=(8, 6))
        line = figure.subplots().plot([0, 1])[0]
        bottom = style.legend_below(figure, [line], ["one"])
        style.finish(figure, Data(frame=pd.DataFrame(), title="title", caption=words), bottom=bottom)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        (caption,) = (text for text in figure.texts if text.get_text().startswith(words[:5]))
        assert caption.get_window_extent().y1 < figure.legends[0].get_window_extent().y0


def test_a_setting_of_one_scenario_alone_says_so(tmp_path: Path) -> None:
    block = "scenario.more_support.parts.weekends.active=false"
    places = load_scenarios(TWO, *SMALL, block, "place.services.wards.capacity=31", scenarios_dir=PLACES)
    found = settings_words(flowsim.compare(places, out=tmp_path / "out", **QUICK))
    assert f"{block} (true in the scenario) in More support" in found
    assert re.search(r"place\.services\.wards\.capacity=31 \([\d.]+ in the place\), ", found)


def test_as_things_are_has_no_line(tmp_path: Path) -> None:
    place = load("place=small", scenarios_dir=PLACES)
    place = place.model_copy(update={"run": place.run.model_copy(update={"days": 20, "warm_up_days": 10})})
    done = flowsim.run(place, out=tmp_path / "out", **QUICK)
    assert settings_words(done) == ""
    assert "Your settings" not in summary_of(done)


# -- notices -----------------------------------------------------------------------------------------------------------


def test_what_was_told_of_a_place_stays_with_its_results(
    capsys: pytest.CaptureFixture[str],
    folder: Path,  # noqa: F811
) -> None:
    place = folder / "scenarios" / "place" / "small.yaml"
    period = "\nperiods:\n  bad_week: {peak: {from: 2030-01-01, to: 2030-01-07}}\n"
    place.write_text(place.read_text(encoding="utf-8") + period, encoding="utf-8")
    (folder / "counted.csv").write_text("service,where,people\nwards,general,5000\n", encoding="utf-8")
    words = ("place=small", "days=20", "census=counted.csv", "start_date=2024-04-15", "replications=1", "jobs=1")
    assert cli.main(["compare", TWO, *words, "out=out"]) == 0
    err = capsys.readouterr().err
    summary = (folder / "out" / "summary.md").read_text(encoding="utf-8")
    for part in ("5,000 are counted in wards/general", "bad_week changes nothing"):
        (sentence,) = (one for one in manifest(folder / "out")["notices"] if part in one)
        assert sentence.endswith(".")
        assert err.count(part) == summary.count(sentence) == 1
    assert summary.index("## Notices") < summary.index("5,000 are counted")


def test_a_notice_is_kept_and_told_all_the_same() -> None:
    with pytest.warns(FlowsimNotice, match="partly outside the run"):
        place = load(
            *("place=small", "scenario=more_support", "days=190"), "scenario.more_support.parts.block.active=true",
            scenarios_dir=PLACES,
        )  # fmt: skip
    assert len(place.scenario.notices) == 1
    assert "partly outside the run" in place.scenario.notices[0]
    assert load("place=small", "days=190", scenarios_dir=PLACES).scenario.notices == []


# -- a folder that was used for something else -------------------------------------------------------------------------


def test_what_belongs_to_an_earlier_question_is_set_apart(
    capsys: pytest.CaptureFixture[str],
    folder: Path,  # noqa: F811
) -> None:
    same = (*SMALL, "replications=1", "jobs=1", "out=out")
    told(capsys, "compare", TWO, *same)
    drawn = sorted(path.name for path in (folder / "out" / "charts").iterdir())
    summary = (folder / "out" / "summary.md").read_bytes()
    told(capsys, "compare", TWO, *same[:-2], "jobs=1", "out=out", "replications=2")
    assert not (folder / "out" / "earlier").exists()
    summary = (folder / "out" / "summary.md").read_bytes()

    printed = told(capsys, "sweep", "place.services.support.capacity=15,25", *same, "detail=all")
    sentence = "summary.md, comparison.csv of the command before stand in earlier/1-compare now; nothing of it is lost."
    assert sentence in " ".join(printed.split())
    earlier = folder / "out" / "earlier" / "1-compare"
    assert sorted(path.name for path in (earlier / "charts").iterdir()) == drawn
    assert (earlier / "summary.md").read_bytes() == summary
    assert manifest(earlier)["verb"] == "compare"
    assert {path.stem for path in (folder / "out" / "charts").iterdir()} == {"sweep"}
    assert {path.name for path in (folder / "out").glob("*.csv")} == {"points.csv", "sweep.csv"}

    told(capsys, "run", *same)
    assert (folder / "out" / "earlier" / "2-sweep" / "points.csv").is_file()
    assert not list((folder / "out").glob("*.csv"))

    shutil.rmtree(earlier)  # a user may tidy up
    told(capsys, "compare", TWO, *same)
    assert (folder / "out" / "earlier" / "3-run").is_dir()


def test_rounds_of_a_precision_are_those_of_the_command(tmp_path: Path) -> None:
    place = load(*SMALL, scenarios_dir=PLACES)
    flowsim.run(place, precision=1000, most=2, jobs=1, progress=False, out=tmp_path / "out")
    assert (tmp_path / "out" / "precision.csv").is_file()
    flowsim.run(place, out=tmp_path / "out", **QUICK)
    assert not (tmp_path / "out" / "precision.csv").exists()
    assert (tmp_path / "out" / "earlier" / "1-run" / "precision.csv").is_file()


# -- one person --------------------------------------------------------------------------------------------------------


def test_why_two_columns_are_the_same() -> None:
    place = load(
        *("place=small", "scenario=more_support", "days=30", "warm_up_days=30"), "policy_start=2024-04-11",
        scenarios_dir=PLACES,
    )  # fmt: skip
    assert place.before is not None
    before, after = (simulate(one, 1, 0) for one in (place.before, place))
    said = set()
    for number in after.journeys.spells.number[::7]:
        was, now = (story(one, way_of(done, int(number))) for one, done in ((place.before, before), (place, after)))
        if was.events == now.events:
            early = now.events[-1].minute < place.run.switch
            assert ("they left before the scenario began, on Thu 11 Apr 2024" in why_the_same(now, place.run)) == early
            said.add(early)
    assert said == {True, False}


# -- words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mean", "may_be_nought"), [(125.0, False), (0.4, True), (-0.4, True)])
def test_only_what_may_be_nought_is_called_so(mean: float, may_be_nought: bool) -> None:
    asked = precise.Precision.read("0.0001%", None, None, 12)
    samples = mean + pd.Series(range(12)).sub(5.5).to_numpy()[None, :]
    found = precise._round(1, 12, pd.DataFrame(samples, index=_index()), asked)
    told = precise.sentences(precise.Rounds(found, "replications"), asked)[-1]
    assert "it needs more than 1,200 replications" in told
    assert ("may be nought" in told) == may_be_nought


def _index() -> pd.MultiIndex:
    names = ["scenario", "measure", "unit"]
    return pd.MultiIndex.from_tuples([("baseline", "delayed_patients", "people")], names=names)


@pytest.mark.parametrize("file", ["counted.csv", "scenarios/scenario/more_support.yaml"])
def test_a_file_that_cannot_be_read_is_not_one_that_cannot_be_written(
    file: str,
    folder: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (folder / "counted.csv").write_text("service,people\nwards,5\n", encoding="utf-8")
    forbidden = (folder / file).resolve()
    for name in ("read_bytes", "read_text"):
        plain = getattr(Path, name)

        def read(path: Path, *words: Any, plain: Any = plain, **given: Any) -> Any:
            if path.resolve() == forbidden:
                raise PermissionError(13, "Permission denied", str(path))
            return plain(path, *words, **given)

        monkeypatch.setattr(Path, name, read)
    words = ["run", "place=small", "scenario=more_support", "start_date=2024-04-15", "days=20"]
    assert cli.main([*words, *(["census=counted.csv"] if "csv" in file else [])]) == cli.MISTAKE
    err = capsys.readouterr().err
    assert re.search(rf"{Path(file).name}: this file cannot be read \(Permission denied\)\.", err)
    assert "written" not in err


def test_a_run_in_python_takes_the_settings_of_a_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowsim.api.load", lambda *words: load(*SMALL, *words, scenarios_dir=PLACES))
    done = flowsim.run("more_support", days=25, out=tmp_path / "out", **QUICK)
    assert done.places["more_support"].run.days == 25
    with pytest.raises(PlaceError, match=r"days=30 was given beside places; allowed: load\('days=30', ...\)"):
        flowsim.run(load(*SMALL, scenarios_dir=PLACES), days=30)
    with pytest.raises(PlaceError, match="days=30 was given beside places"):
        flowsim.run("config/baseline.yaml", days=30)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("seven_day_working", ", such as scenario=seven_day_working."),
        ("baseline+all_three", ", such as scenario=baseline+all_three."),
        ("sefton", ", such as place=sefton."),
        ("days", "key=value."),
    ],
)
def test_a_word_that_is_no_setting(text: str, meant: str) -> None:
    with pytest.raises(PlaceError) as refused:
        load(text)
    assert str(refused.value).startswith(f"{text!r} was given; allowed: key=value")
    assert str(refused.value).endswith(meant)


def test_a_difference_of_a_share_is_in_points() -> None:
    with pytest.raises(PlaceError, match="worth finding, in percentage points"):
        flowsim.select(["baseline"], "acute_occupancy")
    assert unit_of_difference("acute_occupancy", 1) == "percentage point"
    assert unit_of_difference("delayed_patients", 1) == HEADLINE["delayed_patients"].unit


def test_payers_come_before_their_sum(tmp_path: Path) -> None:
    cost = "+place.services.support.cost={amount: 50, per: day, payer: council}"
    done = flowsim.run(load(*SMALL, cost, scenarios_dir=PLACES), out=tmp_path / "out", **QUICK)
    (found,) = run.payers(done)
    assert [row[0] for row in found.rows][-1] == "all payers"
    assert "all" not in {row[0] for row in found.rows}


def test_two_shares_of_readmissions_are_told_apart(tmp_path: Path) -> None:
    done = flowsim.run(load(*SMALL, scenarios_dir=PLACES), out=tmp_path / "out", **QUICK)
    shown = national.COMING_BACK in national.section(done).sentences
    assert shown == (set(NATIONAL["Coming back"]) <= set(done.results["measure"]))


# -- what a verb says when it is done, or has begun --------------------------------------------------------------------


def test_an_answer_that_is_written_says_where(capsys: pytest.CaptureFixture[str], folder: Path) -> None:  # noqa: F811
    told(capsys, "run", "place=small", *SHORT, "out=out")
    sql = "select * from totals where measure = 'delayed_patients'"
    assert told(capsys, "results", "out", sql, "to=x.csv") == "Written: x.csv (1 row)\n"


def test_verify_says_that_it_has_begun(capsys: pytest.CaptureFixture[str], folder: Path) -> None:  # noqa: F811
    assert cli.main(["verify", "engines", *SMALL]) == 0
    found = capsys.readouterr()
    assert found.err.startswith("Running 1 replication of ")
    assert found.out.endswith("equal\n")


def test_a_template_is_followed_by_a_command_for_the_same_place(
    capsys: pytest.CaptureFixture[str],
    folder: Path,  # noqa: F811
) -> None:
    told(capsys, "new", "place", "my_county")
    words = ("place=my_county", "place.services.reablement.capacity=80", "warm_up_days=20")
    printed = told(capsys, "show", "census-template", *words, "out=mine.csv")
    again = printed.strip().rpartition("then: ")[2]
    same = "place=my_county place.services.reablement.capacity=80"
    assert again == f"flowsim run census=mine.csv {same} start_date=2024-04-01 days=56"
    told(capsys, *again.split()[1:], "replications=1", "jobs=1", "out=out")


def test_a_new_place_has_a_scenario_to_compare(capsys: pytest.CaptureFixture[str], folder: Path) -> None:  # noqa: F811
    printed = told(capsys, "new", "place", "my_county")
    compared = next(line for line in printed.splitlines() if "flowsim compare" in line)
    words = [word.strip("'") for word in compared.split()[1:]]
    told(capsys, *words[:-1], *SHORT, "out=out")
    assert set(manifest(folder / "out")["cells"]) == {"baseline", "my_county_more_reablement"}
    assert cli.main(["compare", "place=my_county"]) == cli.MISTAKE
    assert "`flowsim show scenarios place=my_county` tells which do" in capsys.readouterr().err
    shown = told(capsys, "show", "scenarios", "place=my_county")
    fitting = shown.partition("Not for this place")[0]
    assert "my_county_more_reablement: Ten more reablement slots" in fitting
    assert "seven_day_working" not in fitting


# -- tables that fit ---------------------------------------------------------------------------------------------------


def test_a_table_comes_in_parts_that_fit() -> None:
    rows = [[f"p{at}", *["12.3 (1.2 to 4.5)"] * 7] for at in range(3)]
    table = [["name", *(f"a measure with words {n}" for n in range(7))], *rows]
    assert list(in_parts(table, 400)) == [table]
    parts = list(in_parts(table, 60))
    assert len(parts) > 1
    assert [word for head, *_ in parts for word in head[1:]] == table[0][1:]
    assert all([row[0] for row in part] == ["name", "p0", "p1", "p2"] for part in parts)
    assert all(len(" | ".join(line)) <= 60 for part in parts for line in part[1:])


def test_many_scenarios_stand_below_each_other(tmp_path: Path) -> None:
    place = load(*SMALL, scenarios_dir=PLACES)
    places = {f"point_{n}": place for n in range(answer.MOST_ACROSS + 1)}
    done = compare(places, Settings(out=tmp_path / "out", **QUICK))
    found = answer.headline(done)
    assert list(found.iloc[:, 0]) == list(done.scenarios)
    assert found.columns[0] == "scenario"
