"""Who waits longest, and why: a table by age, pathway, locality, days and cause, of a place whose answer is known."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from presenting import in_words, summary_of

import flowsim
from flowsim.cli import main as cli
from flowsim.declare.composition import load
from flowsim.present.pages import who_waits

SLOT = {"title": "Support at home", "role": "community", "unit": "slots", "capacity": 1}
PLACE = {
    "title": "One slot",
    "bank_holidays": "GB-ENG",
    "localities": {"north": {"title": "North"}, "south": {"title": "South"}},
    "services": {
        "wards": {"title": "Wards", "role": "ward", "unit": "beds", "capacity": 20},
        "support": SLOT,
        "home": {"title": "At home", "role": "outside", "unit": "people", "capacity": "unlimited"},
    },
    "streams": {
        "first": {"title": "First", "first": "ward",
                  "schedule": {"one": {"dates": ["2024-04-02"], "times": "08:00", "people": 1}}},
        "later": {"title": "Later", "first": "ward",
                  "schedule": {"three": {"dates": ["2024-04-02"], "times": "09:00", "people": 3}}},
    },
    "choices": {
        "age": {"shares": {"by": "stream", "first": {"18-34": 1, "85+": 0}, "later": {"18-34": 0, "85+": 1}}},
        "locality": {"shares": {"by": "stream", "first": {"north": 1, "south": 0}, "later": {"north": 0, "south": 1}}},
    },
    "stages": {
        "ward": {"service": "wards", "duration": {"fixed": 1, "unit": "days"}, "next": "support"},
        "support": {"service": "support", "duration": {"fixed": 10, "unit": "days"}, "next": "leave"},
    },
}  # fmt: skip
"""Ready on 3 April; the slot is taken by the first, then free on the 13th, the 23rd and after the run of 30 days."""


@pytest.fixture(scope="module")
def waits(tmp_path_factory: pytest.TempPathFactory) -> flowsim.Result:
    home = tmp_path_factory.mktemp("waits")
    (home / "scenarios" / "place").mkdir(parents=True)
    (home / "scenarios" / "place" / "slot.yaml").write_text(yaml.safe_dump(PLACE, sort_keys=False), encoding="utf-8")
    words = ("place=slot", "start_date=2024-04-01", "days=30", "warm_up_days=0")
    place = load(*words, scenarios_dir=home / "scenarios")
    return flowsim.run(place, 2, jobs=1, out=home / "out", progress=False)


def test_who_waits_longest_and_why(waits: flowsim.Result) -> None:
    (section,) = who_waits.sections(waits)
    assert section.sentences[0] == (
        "Half of the delayed days (83 %) are those of 2 people delayed 14 days or more, of 3 delayed; the largest "
        "cause of theirs is full: Support at home, 100 %."
    )
    rows = {row[0]: row[1:] for row in in_words(section)}
    days = 9 + 23 / 24, 19 + 23 / 24, 27 + 15 / 24  # of the third to the end of the 30th
    everybody = ("3.00", "1.00", "19.3", f"{sum(days):.1f}")
    assert [cell.split("\n")[0].split(" ")[0] for cell in rows["85+"][:4]] == list(everybody)
    assert rows["85+"][4] == rows["South"][4] == "full: Support at home, 100 %"
    assert rows["South"][:4] == rows["85+"][:4]
    assert "18-34" not in rows  # never delayed
    assert "North" not in rows
    still = {name: rows[name][1] for name in ("7-13 days", "14-20 days", "21+ days")}
    assert still == {"7-13 days": "0", "14-20 days": "0", "21+ days": "1.00"}
    assert rows["21+ days"][2].startswith("28.0")
    assert rows["full: Support at home"][0].startswith("3.00")
    assert rows["full: Support at home"][2].startswith(f"{sum(days) / 3:.1f}")


def test_it_stands_in_the_summary_its_answer_first_and_on_the_terminal(waits: flowsim.Result, capsys) -> None:
    text = summary_of(waits).split("## Who waits longest, and why\n")[1].split("## ")[0]
    assert text.startswith("- Half of the delayed days (83 %)")
    assert "| BY LOCALITY |" in text
    assert cli.main(["results", str(waits.out), "who"]) == 0
    first = capsys.readouterr().out
    assert first.startswith("Half of the delayed days (83 %)")
    assert cli.main(["results", str(waits.out), f"who={waits.scenarios[0]}"]) == 0
    assert capsys.readouterr().out == first
    assert cli.main(["results", str(waits.out), "who=nobody"]) == cli.MISTAKE
    assert "who: 'nobody' was given" in capsys.readouterr().err


def test_a_place_without_wards_has_nobody_who_waits_in_them(tmp_path: Path, waits: flowsim.Result, capsys) -> None:
    without = flowsim.Result(waits.out, waits.places)
    without.__dict__["results"] = waits.results[~waits.results["measure"].str.startswith("delayed_patients")]
    assert list(who_waits.sections(without)) == []
