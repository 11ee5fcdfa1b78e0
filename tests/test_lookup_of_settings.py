"""`flowsim show settings`: a key found by topic, with today's value."""

from __future__ import annotations

import pytest

from flowsim.cli import main as cli
from flowsim.declare.composition import compose, load
from flowsim.declare.lookup import settings_about
from flowsim.place import PlaceError


def about(*topic: str):
    return settings_about(compose(), topic)


def test_the_key_of_a_topic_comes_first_with_what_is_known_of_it() -> None:
    first = about("reablement", "days")[0]
    assert first.key == "place.stages.reablement.duration.lognormal.mean"
    assert (first.value, first.unit) == ("27", "days")
    assert first.range == "21.6 to 32.4"
    assert "ASM-50" in first.source
    assert first.type == f"{first.key}=27"
    assert load(first.type.replace("=27", "=24")).stages["reablement"].duration.lognormal.mean.leaf == 24


def test_words_may_be_of_a_title_or_begin_a_word() -> None:
    assert about("emergency", "rate")[0].key == "place.streams.emergency.rate.aintree"
    assert about("slots")[0].titles.startswith("Reablement")
    assert any("acute_beds" in one.key for one in about("hospital", "beds"))


def test_what_cannot_be_typed_by_itself_is_typed_with_its_table() -> None:
    one = next(one for one in about("care_home_resident", "chance") if one.key.endswith("85+"))
    assert one.type == "place.choices.care_home_resident.chance.85+=0.18"
    load(one.type.strip("'"))


def test_a_word_that_is_nowhere_is_refused_with_near_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PlaceError, match=r"did you mean .*'reablement'"):
        about("reablment")
    assert cli.main(["show", "settings"]) == cli.MISTAKE
    assert "a topic, such as reablement days" in capsys.readouterr().err


def test_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", "settings", "reablement", "days"]) == 0
    told = capsys.readouterr().out
    assert "now 27 days [ASM-50, grade C (assumption)]; range 21.6 to 32.4" in told
    assert "to change it: place.stages.reablement.duration.lognormal.mean=27" in told
