"""What docs/experiments.md tells people to do works: its commands and snippets in a small form, on one small place."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from test_readme import SMALL, blocks, lines, small

import flowsim
from flowsim.cli import main as cli

PAGE = Path(__file__).resolve().parent.parent / "docs" / "experiments.md"
COMMANDS = [line for line in lines(PAGE, "bash") if line.startswith("flowsim ")]

pytestmark = pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, table in zip(("my_scenarios", "twenty_slots"), blocks(PAGE, "csv"), strict=True):
        (tmp_path / f"{name}.csv").write_text(table, encoding="utf-8")
    (scenario,) = blocks(PAGE, "yaml")
    (tmp_path / "scenarios" / "scenario").mkdir(parents=True)
    (tmp_path / "scenarios" / "scenario" / "southport_closes_20_beds.yaml").write_text(scenario, encoding="utf-8")
    return tmp_path


def test_every_verb_is_shown() -> None:
    assert {shlex.split(line)[1] for line in COMMANDS} == {"sweep", "run", "compare", "select", "results"}


@pytest.mark.parametrize("line", [line for line in COMMANDS if not line.startswith("flowsim results ")])
def test_a_command_of_the_page(line: str, folder: Path) -> None:
    words = [word for word in small(line) if not word.startswith("out=")]
    assert cli.main([*words, "out=out"]) == 0
    assert (folder / "out" / "summary.md").is_file()


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("flowsim results ")])
def test_what_is_asked_of_a_folder_that_the_command_above_left(line: str, folder: Path) -> None:
    above = COMMANDS[COMMANDS.index(line) - 1]
    assert cli.main(small(above)) == cli.main(small(line)) == 0
    if "against=" in line:
        assert (folder / "filling" / "charts" / "against.png").is_file()


@pytest.mark.parametrize("snippet", blocks(PAGE, "python"))
def test_a_snippet_of_the_page(snippet: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep, select, compare = flowsim.sweep, flowsim.select, flowsim.compare

    def quick_sweep(*words: str, replications: int) -> flowsim.Sweep:
        return sweep(*words, *SMALL, replications=1, jobs=1, progress=False)

    def quick_select(*given: object, **settings: object) -> flowsim.Selection:
        return select(*given, **settings, overrides=SMALL, most=4, jobs=1, progress=False)  # type: ignore[arg-type]

    def quick_compare(scenarios: list[str], replications: int) -> flowsim.Comparison:
        return compare(scenarios, 2, overrides=SMALL, jobs=1, progress=False)

    monkeypatch.setattr("flowsim.api.sweep", quick_sweep)
    monkeypatch.setattr("flowsim.api.compare", quick_compare)
    monkeypatch.setattr("flowsim.api.select", quick_select)
    exec(snippet, {})


def test_the_hospital_that_closes_beds_has_its_own_figures_for_those_weeks(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = (line for line in COMMANDS if "southport_closes_20_beds" in line)
    words = [*shlex.split(line)[1:], "warm_up_days=42", "replications=3", "jobs=1", "charts=false", "out=out"]
    assert cli.main(words) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Measured from 1 January 2025 to 31 January 2025" in said
    assert "hospitals or areas differ: Southport closes twenty beds in January, " in said
    assert "Aintree University Hospital no more that matters and Southport & Ormskirk +" in said
