"""The first screen of the weeks ahead, of a place whose answer is known; who waits outside, and runs out of range."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from presenting import in_words
from test_answer import JARGON, LINES, MOST, WIDTH

import flowsim
from flowsim.cli import main as cli
from flowsim.present.pages.registry import page_of

pytestmark = pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")

PLACE: dict[str, Any] = {
    "title": "One cubicle",
    "bank_holidays": "GB-ENG",
    "services": {
        "ed": {"title": "Emergency department", "role": "ed", "unit": "cubicles", "capacity": 1},
        "wards": {"title": "Wards", "role": "ward", "unit": "beds", "capacity": 2,
                  "escalation": {"extra": {"title": "extra", "add": 2, "open_at": 1, "close_at": 0, "looks": "08:00"}}},
        "support": {"title": "Support", "role": "community", "unit": "slots", "capacity": 1},
        "home": {"title": "At home", "role": "outside", "unit": "people", "capacity": "unlimited"},
    },
    "streams": {"four": {"title": "Four", "first": "seen",
                         "schedule": {"one": {"dates": ["2024-04-02"], "times": "08:00", "people": 4}}}},
    "stages": {
        "seen": {"service": "ed", "duration": {"fixed": 30, "unit": "minutes"}, "next": "ward"},
        "ward": {"service": "wards", "duration": {"fixed": 1, "unit": "days"}, "next": "support"},
        "support": {"service": "support", "duration": {"fixed": 10, "unit": "days"}, "next": "home"},
        "home": {"service": "home", "duration": {"fixed": 1, "unit": "days"}, "next": "leave"},
    },
}  # fmt: skip
"""Two are in bed by 09:00 on 2 April; the third holds the cubicle until the extra beds open at 08:00 on the 3rd; only
then the fourth is seen. The slot takes the first; the others are delayed until the 13th, the 23rd and later."""
FROM_TODAY = ("place=cubicle", "census=today.csv", "start_date=2024-04-01", "days=14")
SMALL = ("replications=2", "jobs=1", "charts=false", "out=out")


def write(home: Path, place: dict[str, Any]) -> None:
    (home / "scenarios" / "place").mkdir(parents=True)
    text = yaml.safe_dump(place, sort_keys=False)
    (home / "scenarios" / "place" / "cubicle.yaml").write_text(text, encoding="utf-8")
    (home / "today.csv").write_text("service,where,state,people\nhome,,in stage,1\n", encoding="utf-8")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    return tmp_path


def test_the_weeks_ahead_on_one_screen(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(home, PLACE)
    assert cli.main(["run", *FROM_TODAY, *SMALL]) == 0
    screen = capsys.readouterr().out.splitlines()
    assert len(screen) <= LINES
    assert max(map(len, screen)) <= WIDTH
    assert not JARGON.search("\n".join(screen[1:]).partition("The worst weeks")[2])
    answer = page_of(flowsim.read("out")).answer
    assert answer is not None
    assert len(answer.sentences) <= MOST
    worst, opens, sure, _ = answer.sentences
    assert worst.startswith("The worst weeks: ready to leave, in hospital 2.71")  # 3 on five nights, 2 on two
    assert "in the week from 8 April; in A&E for a bed 0.143" in worst  # one person, one night of seven
    assert "to be seen in A&E 0.143" in worst
    assert opens == "What opens when: up to 2 extra beds in Wards, from 3 April, open on 1 of 14 nights."
    assert sure.startswith("How sure: ranges hold eight of ten of the 2 runs made")
    assert [row[0] for row in in_words(answer)] == ["1 April", "8 April"]
    assert len(answer.columns) == 4  # the week, delayed, in A&E for a bed, to be seen


def test_beds_that_open_by_plan_have_their_dates(home: Path) -> None:
    place = copy.deepcopy(PLACE)
    wards = place["services"]["wards"]
    del wards["escalation"]
    wards["blocks"] = {"more": {"title": "More", "from": "2024-04-05", "to": "2024-04-09", "add": 3}}
    write(home, place)
    assert cli.main(["run", *FROM_TODAY, *SMALL]) == 0
    answer = page_of(flowsim.read("out")).answer
    assert answer is not None
    assert "What opens when: 3 beds open on 5 April; 3 beds close on 10 April." in answer.sentences


ASKED = {
    "run": ("run", "place=cubicle", "warm_up_days=0", "days=28"),
    "forecast": ("run", "place=cubicle", "census=today.csv", "start_date=2024-04-01", "days=28"),
    "sweep": ("sweep", "place=cubicle", "warm_up_days=0", "days=28", "place.services.wards.capacity=2,3"),
    "select": ("select", "place=cubicle", "warm_up_days=0", "days=28", "place.services.wards.capacity=2,3",
               "indifference=1", "most=4"),
}  # fmt: skip


@pytest.mark.parametrize("asked", ASKED)
def test_a_queue_at_the_door_and_a_run_out_of_range_stand_first(asked: str, home: Path, capsys) -> None:
    """Twenty a day for two beds: hardly anybody is delayed on a ward, and everybody stands at the door."""
    place = copy.deepcopy(PLACE)
    del place["services"]["wards"]["escalation"]
    place["streams"]["four"] = {"title": "Many", "first": "seen", "rate": 20}
    write(home, place)
    words = [word for word in SMALL if asked != "select" or not word.startswith("replications")]
    assert cli.main([*ASKED[asked], *words]) == 0
    screen = capsys.readouterr().out.splitlines()
    assert len(screen) <= LINES
    assert max(map(len, screen)) <= WIDTH
    answer = page_of(flowsim.read("out")).answer
    assert answer is not None
    first = answer.sentences[0]
    assert first.startswith("NOT TO BE BELIEVED AS IT STANDS: queues grow without end")
    if asked != "sweep":  # which keeps no numbers of single queues
        assert "Emergency department" in first
    said = " ".join((*answer.sentences, *answer.columns, *(str(row[0]) for row in answer.rows)))
    assert "to be seen" in said
