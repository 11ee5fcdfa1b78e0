"""The answer first: what each verb prints fits a screen of 80 x 40, in five plain sentences."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from test_cli import ROOT, SHORT, folder, told  # noqa: F401

import flowsim
from flowsim.cli import main as cli
from flowsim.declare.composition import load_scenarios
from flowsim.measures.definition import Measure
from flowsim.present.pages.cells import difference_cell
from flowsim.present.pages.registry import page_of
from flowsim.present.words import NO_MATTER, entry_words
from flowsim.present.writers import markdown

WIDTH, LINES, MOST = 80, 40, 5
JARGON = re.compile(r"MSER|Fieller|\bspell|offered load|replication|paired|variance|quantile|\bcohort|censored", re.I)
VERBS = {
    "run": ("run", "place=small"),
    "compare": ("compare", "place=small", "scenarios=[baseline,more_support,less_support]"),
    "sweep": ("sweep", "place=small", "place.services.support.capacity=10,20,30,40,50,60"),
    "select": ("select", "place=small", "scenarios=[more_support,less_support]", "indifference=2", "most=4"),
}

pytestmark = pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")


@pytest.fixture(autouse=True)
def screen(monkeypatch):
    monkeypatch.setenv("COLUMNS", str(WIDTH))


def words_of(verb: str) -> tuple[str, ...]:
    short = [word for word in SHORT if not (verb == "select" and word.startswith("replications"))]
    return (*VERBS[verb], *short, "charts=false", "out=mine")


@pytest.mark.parametrize("verb", VERBS)
def test_the_first_screen_is_the_answer(verb, capsys, folder):  # noqa: F811
    lines = told(capsys, *words_of(verb)).splitlines()
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= WIDTH
    text = "\n".join(lines)
    answer = page_of(flowsim.read("mine")).answer
    assert answer is not None
    first = next(at for at, line in enumerate(lines) if line.startswith(answer.sentences[0][:20]))
    assert not JARGON.search("\n".join(lines[first:])), text  # above are the title and the user's settings
    assert 1 <= len(answer.sentences) <= MOST
    assert all(sentence.endswith(".") for sentence in answer.sentences)
    first = answer.sentences[0].split(":")[0]
    assert any(line.startswith(first) for line in lines[:7])
    assert "detail=all" in text
    assert Path("mine/summary.md").read_text(encoding="utf-8").split("## ")[1].startswith("The answer")


def test_all_of_it_is_printed_when_asked_for(capsys, folder):  # noqa: F811
    short = told(capsys, *words_of("compare"))
    whole = told(capsys, *words_of("compare"), "detail=all")
    assert len(whole.splitlines()) > len(short.splitlines())
    assert "What breaks next" in whole or "What changes, compared with" in whole
    assert cli.main([*words_of("compare"), "detail=some"]) == cli.MISTAKE
    assert "detail: 'some' was given; allowed" in capsys.readouterr().err


def test_the_answer_stands_before_all_else_in_the_summary(capsys, folder):  # noqa: F811
    told(capsys, *words_of("compare"))
    page = page_of(flowsim.read("mine"))
    text = markdown.text(page)
    assert page.answer is not None
    assert text.index(page.answer.sentences[0]) < text.index(f"## {page.sections[0].heading}")
    without = markdown.text(dataclasses.replace(page, answer=None))
    assert "## The answer" not in without


def test_a_trifle_is_said_to_be_one():
    row = {"difference": 0.2, "low": 0.1, "high": 0.3, "smallest_detectable": 0.1, "change": "more"}
    measure = Measure("m", "M", "people", "m.", "flowsim", -1)
    assert measure.matters == 1
    assert entry_words(difference_cell(row, "people", True, measure.matters)).startswith(NO_MATTER)
    row["difference"] = 2.0
    assert entry_words(difference_cell(row, "people", True, measure.matters)).startswith("+2.00")


SHUT = """
title: Six places closed
place:
  services: {support: {blocks: {shut: {from: 2024-04-11, to: 2024-04-20, add: -6}}}}
"""


def test_what_closes_by_date_says_on_how_many_days_and_that_nobody_is_moved(tmp_path, capsys):
    """Beside the number on the first screen, and below the table; a comparison of those days alone says so too."""
    for kind in ("place", "scenario"):
        (tmp_path / kind).mkdir()
        for file in (ROOT / "tests" / "places" / kind).glob("*.yaml"):
            (tmp_path / kind / file.name).write_bytes(file.read_bytes())
    (tmp_path / "scenario" / "shut.yaml").write_text(f"# @package scenario.shut{SHUT}", encoding="utf-8")
    words = ("place=small", "days=40", "warm_up_days=10", "start_date=2024-04-01")
    for window, beside, over in (
        ("all", "(in force on 10 of the 40 days measured)", "it holds on 10 of the 40 days measured"),
        ("during", "", "it holds on all of the 10 days measured"),
        ("after", "(after it has ended or before it begins)", "it holds on 0 of the 20 days measured"),
    ):
        places = load_scenarios("scenarios=[baseline,shut]", *words, scenarios_dir=tmp_path)
        result = flowsim.compare(places, 2, out=tmp_path / window, window=window, jobs=1, charts=False, progress=False)
        summary = (result.out / "summary.md").read_text(encoding="utf-8")
        answer, rest = summary.split("## What changes, compared with")
        assert beside in answer
        assert beside or "in force on" not in answer
        assert over in rest
        assert "from 11 April 2024 to 20 April 2024" in rest
        assert "NOBODY IS MOVED out of Home support in Six places closed: who is there stays" in answer
