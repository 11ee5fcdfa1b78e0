"""The command line from a person's side: help, what there is, one person's way, a place of one's own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from flowsim.cells.replicate import simulate
from flowsim.cli import main as cli
from flowsim.declare.composition import load
from flowsim.present.trace import moment, span, story
from flowsim.questions.ways import way_of

ROOT = Path(__file__).parents[1]
SHORT = ("days=20", "warm_up_days=10", "replications=1", "jobs=1")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder with the small place's files in ./scenarios, as a user would have them."""
    for group in ("place", "scenario"):
        (tmp_path / "scenarios" / group).mkdir(parents=True)
    for name in ("place/small.yaml", "scenario/more_support.yaml", "scenario/less_support.yaml"):
        text = (ROOT / "tests" / "places" / name).read_text(encoding="utf-8")
        (tmp_path / "scenarios" / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(capsys, *words):
    code = cli.main(words)
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return printed.out


@pytest.mark.parametrize("words", [("--help",), (), *((verb, "--help") for verb in cli.VERBS)])
def test_help_has_examples(words, capsys):
    out = told(capsys, *words)
    assert "Usage: flowsim" in out
    assert "Example" in out


def test_help_loads_little_and_nothing_heavy():
    code = (
        "import sys; before = set(sys.modules); from flowsim.cli.main import main; main(['--help']); "
        "after = set(sys.modules) - before; names = {name.partition('.')[0] for name in after}; "
        "print(len(after), *sorted(names - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    number, *packages = done.stdout.splitlines()[-1].split()
    light = {"flowsim", "pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"}
    assert {name for name in packages if not name.startswith("_")} <= light
    assert int(number) < 300  # some two hundred today, of which a tenth is flowsim's own; pandas alone is six hundred


def test_version(capsys):
    assert told(capsys, "--version").startswith("flowsim ")


def test_show_scenarios_has_a_line_for_each(capsys, folder):
    out = told(capsys, "show", "scenarios", "place=small")
    assert "\nmore_support: More support\n" in out
    assert "place.services" not in out.split("-- Not for this place or these dates --")[0]
    assert "\nseven_day_working: " in out.split("-- Not for this place or these dates --")[1]
    assert out.endswith("flowsim show scenarios NAME\n")


@pytest.mark.parametrize("name", ["more_support", "scenario=more_support"])
def test_show_a_scenario_tells_all_of_it(capsys, folder, name):
    out = told(capsys, "show", "scenarios", name, "place=small")
    assert "more_support: More support" in out
    assert "place.services.support.capacity: 20 -> 30" in out
    assert "Ten more slots" in out
    assert "part off: A block of slots in winter" in out
    assert "less_support" not in out
    assert "show scenarios NAME" not in out


def test_show_scenarios_stacked_and_several(capsys, folder):
    out = told(capsys, "show", "scenarios", "more_support+less_support", "less_support", "place=small")
    assert "more_support+less_support: " in out
    assert "\nless_support: " in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("scenarios", "seven_day_workin"), "show scenarios: 'seven_day_workin'.*did you mean 'seven_day_working'"),
        (("scenarios", "baseline+hom_first"), "show scenarios: 'hom_first'.*did you mean 'home_first'"),
        (("services", "reablement"), "'reablement' was given; allowed: key=value"),
        (("scenario",), "show: 'scenario' was given.*did you mean 'scenarios'"),
    ],
)
def test_show_of_what_is_not_there(capsys, words, sentence):
    assert cli.main(["show", *words]) == cli.MISTAKE
    assert re.search(sentence, capsys.readouterr().err)


def test_show_shipped_scenarios(capsys):
    out = told(capsys, "show", "scenarios")
    for name in ("baseline", "seven_day_working", "dom_care_400_hours", "discharge_to_assess", "all_three"):
        assert f"{name}: " in out
    assert len(out.splitlines()) < 70
    assert "Not for this place" not in out
    assert "evidence EV-01" in told(capsys, "show", "scenarios", "seven_day_working")


def test_show_services(capsys):
    out = told(capsys, "show", "services", "place.services.reablement.capacity=59")
    assert "reablement: Reablement (pathway 1), 59 slots" in out
    assert "South Sefton 32" in out
    quotas = {"weekday": 7, "saturday": 3, "week": 30}
    out = told(capsys, "show", "services", *(f"place.services.reablement.quota.{day}={n}" for day, n in quotas.items()))
    assert "at most 7 on a weekday, 3 on a Saturday, 2 on a Sunday, 30 a week" in out


def test_show_services_tells_what_changes_them(capsys, tmp_path, monkeypatch):
    (tmp_path / "scenarios").symlink_to(ROOT / "tests" / "places")
    monkeypatch.chdir(tmp_path)
    out = told(capsys, "show", "services", "place=shocks")
    for line in (
        "  block: spring, +60 hours a week from 2024-04-10 to 2024-05-21\n",
        "  trend: attrition, -24 % a year\n",
        "  escalation: trolleys, 10 % more while people queue for ed: from 4 of them down to 1\n",
        "  shock: norovirus, 2 a month in each queue; lasts uniform with low 3, high 9 days; closes 6 beds, "
        "lets nobody leave\n",
        "beds_to_home: a move, 4 beds of Wards become as many hours a week of Home care as cost the same from "
        "2024-04-20 to 2024-06-19, 5 days after they are taken\n",
    ):
        assert line in out


def test_show_config_can_be_read_back(capsys, folder):
    shown = yaml.safe_load(told(capsys, "show", "config", "place=small", "scenario=more_support", "days=100"))
    assert shown["days"] == 100
    assert shown["place"]["services"]["support"]["capacity"] == 30
    assert shown["scenario"]["more_support"]["parts"]["weekends"]["active"] is True


def test_show_evidence(capsys, folder):
    out = told(capsys, "show", "evidence", "place=small", "place.services.wards.capacity=3")
    assert "place.services.wards.capacity = 3  [set by user]" in out
    assert "[ASM-02, grade C (assumption)]" in out
    told(capsys, "show", "evidence", "place=small", "out=tables/evidence.csv")
    table = pd.read_csv(folder / "tables" / "evidence.csv")
    assert list(table.columns)[:4] == ["key", "value", "source", "grade"]


def test_run_of_each_combination(capsys, folder):
    code = cli.main(["run", "-m", "place=small", "scenario=more_support,less_support", "seed=1,2", *SHORT, "out=each"])
    assert code == 0, capsys.readouterr().err
    names = sorted(path.name for path in (folder / "each").iterdir())
    assert names == [
        "0-scenario=more_support,seed=1",
        "1-scenario=more_support,seed=2",
        "2-scenario=less_support,seed=1",
        "3-scenario=less_support,seed=2",
    ]
    for name in names:
        assert (folder / "each" / name / "results.parquet").is_file()


def test_a_mistake_in_one_combination_stops_all(capsys, folder):
    assert cli.main(["run", "-m", "place=small", "seed=1,none", *SHORT, "out=each"]) == cli.MISTAKE
    assert not (folder / "each").exists()


def test_a_run_can_be_run_again_from_its_configuration(capsys, folder):
    words = ("run", "place=small", "scenario=more_support", *SHORT)
    told(capsys, *words, "out=first")
    config = "config=first/config/more_support.yaml"
    told(capsys, "run", config, "replications=1", "jobs=1", "out=again")
    first, again = (pd.read_parquet(folder / out / "results.parquet") for out in ("first", "again"))
    pd.testing.assert_frame_equal(first, again)


def test_new_place_runs_as_written(capsys, folder):
    out = told(capsys, "new", "place", "my_county")
    assert "flowsim run place=my_county" in out
    text = (folder / "scenarios" / "place" / "my_county.yaml").read_text(encoding="utf-8")
    assert "NAME" not in text
    told(capsys, "run", "place=my_county", *SHORT, "out=mine")
    assert (folder / "mine" / "results.parquet").is_file()
    assert cli.main(["new", "place", "my_county"]) == cli.MISTAKE
    assert "is there already" in capsys.readouterr().err


def test_trace_beside_the_baseline(capsys, folder):
    words = ("place=small", "scenario=more_support", "days=20", "warm_up_days=30")
    listed = told(capsys, "trace", *words)
    spell = next(word for word in listed.split() if word.isdigit() and len(word) > 3)
    out = told(capsys, "trace", f"spell={spell}", *words)
    assert "As things are" in out
    assert "More support" in out
    assert "joined the" in out
    assert cli.main(["trace", "spell=7", *words]) == cli.MISTAKE
    assert "spell: 7 was given" in capsys.readouterr().err


def test_a_story_is_in_order_and_ends():
    place = load("place=small", "days=30", "warm_up_days=30", scenarios_dir=ROOT / "tests" / "places")
    done = simulate(place, 1, 0)
    for number in done.journeys.spells.number[::37]:
        tale = story(place, way_of(done, int(number)))
        minutes = [event.minute for event in tale.events]
        assert minutes == sorted(minutes)
        assert "came straight to Wards" in tale.events[0].text or "joined the queue for Wards" in tale.events[0].text
    assert story(place, way_of(done, 1)).events == ()


def test_times_in_words():
    run = load("place=small", "warm_up_days=65", scenarios_dir=ROOT / "tests" / "places").run
    assert moment(0, run) == "Sat 27 Jan 2024 00:00"
    assert moment(run.measured_from + 65, run) == "Mon  1 Apr 2024 01:05"
    assert [span(m) for m in (0, 40, 125, 1440, 4560, 2880)] == [
        "0 min",
        "40 min",
        "2 h 5 min",
        "1 day",
        "3 days 4 h",
        "2 days",
    ]


def test_ctrl_c_and_failures_have_codes(monkeypatch, capsys, folder):
    def interrupted(*words, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("flowsim.api.run", interrupted)
    assert cli.main(["run", "place=small", *SHORT]) == cli.INTERRUPTED
    assert "stopped" in capsys.readouterr().err


def test_a_disk_that_is_full_when_charts_are_drawn_is_one_sentence(monkeypatch, capsys, folder):
    def full(*words, **settings):
        raise OSError(28, "No space left on device", "out/charts/delayed.png")

    monkeypatch.setattr("flowsim.api.run", full)
    assert cli.main(["run", "place=small", *SHORT]) == cli.MISTAKE
    told = capsys.readouterr().err
    assert told.startswith("flowsim: out/charts/delayed.png: cannot be written (No space left on device); what")


def test_notices_are_told_once(capsys, folder):
    assert cli.main(["show", "config", "place=small", "scenario=more_support+less_support"]) == 0
    err = capsys.readouterr().err
    assert err.count("Notice: place.services.support.capacity is 30") == 1
    assert "Warning" not in err


TOY = """
from flowsim.cli.common import Verb

VERB = Verb(lambda words: print("toy of", *words) or 0, "a verb for a test", "Usage: flowsim toy", keys=("colour",))
"""


def test_a_verb_is_one_file_and_its_name_in_a_list(tmp_path):
    """A copy of the package, a file more in cli/, a name more in VERBS: it is in the help, runs, and refuses keys."""
    shutil.copytree(ROOT / "flowsim", tmp_path / "flowsim", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "scenarios").symlink_to(ROOT / "scenarios")
    (tmp_path / "flowsim" / "cli" / "toy.py").write_text(TOY, encoding="utf-8")
    main = tmp_path / "flowsim" / "cli" / "main.py"
    text = main.read_text(encoding="utf-8")
    main.write_text(text.replace('VERBS = ("compare", ', 'VERBS = ("compare", "toy", '), encoding="utf-8")

    def toy(*words):
        command = [sys.executable, "-m", "flowsim.cli", *words]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert "\n  toy        a verb for a test\n" in toy("--help").stdout
    assert toy("toy", "--help").stdout.startswith("Usage: flowsim toy")
    assert toy("toy", "colour=red").stdout == "toy of colour=red\n"
    wrong = toy("toy", "color=red")
    assert wrong.returncode == cli.MISTAKE
    assert "did you mean 'colour'" in wrong.stderr


def test_every_file_of_the_command_line_is_a_verb_or_shared():
    files = {path.stem for path in (ROOT / "flowsim" / "cli").glob("*.py")}
    assert files == {"__init__", "__main__", "main", "common", *cli.VERBS}
