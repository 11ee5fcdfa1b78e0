"""Closing beds leaves fewer beds to be delayed in, and is no answer: what makes a guard clearly worse is never best."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import flowsim
from flowsim.cli import main as cli
from flowsim.place import PlaceError
from flowsim.questions.guards import as_guards, clearly_worse
from flowsim.questions.select import GUARDED, Question, choose
from flowsim.statistics.intervals import replications_to_tell

BEDS = "place.services.acute_beds.capacity"
RUN = ("place=county", "days=28", "warm_up_days=28")
CLOSED, MORE = "acute_beds=165", "acute_beds=200"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the template's county stands: one hospital of 190 beds, with an emergency department."""
    path = tmp_path_factory.mktemp("county")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        assert cli.main(["new", "place", "county"]) == 0
    return path


def test_a_sweep_does_not_recommend_closing_beds(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    swept = flowsim.sweep(*RUN, f"{BEDS}=165,200", replications=4, out="sweep", jobs=1, progress=False, charts=False)
    means = swept.table("delayed_patients").set_index("point")["mean"]
    assert means[CLOSED] == means.min()  # by the measure alone it would be the best
    assert swept.best()["point"].tolist() == [MORE, CLOSED]
    assert "boarding_hours_mean" in swept.worse[CLOSED]
    assert swept.worse[MORE] == ()
    written = pd.read_csv(swept.out / "sweep.csv").set_index("point")["worse"].fillna("")
    assert (written[CLOSED] == " ".join(swept.worse[CLOSED])).all()
    assert (written[MORE] == "").all()
    page = (swept.out / "summary.md").read_text(encoding="utf-8")
    assert "not ranked: acute beds=165" in page
    assert "Guards: no point is called best" in page
    assert "wait in the emergency department for a bed" in page


def test_without_guards_it_is_as_the_measure_has_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    words = ["sweep", *RUN, f"{BEDS}=165,200", "replications=4", "out=free", "jobs=1", "charts=false", "guards=[]"]
    assert cli.main(words) == 0
    assert flowsim.read("free").best()["point"].tolist() == [CLOSED, MORE]
    assert "No guards" in Path("free/summary.md").read_text(encoding="utf-8")


def test_select_does_not_select_closed_beds(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(home)
    words = ["select", *RUN, f"{BEDS}=150,165", "indifference=0.5", "most=30", "out=select", "jobs=1"]
    words += ["charts=false", "detail=all"]
    assert cli.main(words) == 0
    found = flowsim.read("select")
    table = found.ranking.set_index("scenario")
    assert found.asked["best"] == found.baseline
    assert (table.loc[["acute_beds=150", CLOSED], "ended"] == GUARDED).all()
    written = pd.read_csv("select/selection.csv").set_index("scenario")["worse"]
    assert "boarding_hours_mean" in written[CLOSED]
    said = " ".join(capsys.readouterr().out.split())
    assert "with which they are compared, is what is left" in said


def test_whoever_was_behind_a_place_that_fails_a_guard_is_in_again() -> None:
    """The best by the measure fails a guard from the second round on; the next best is selected, not the base."""
    random = np.random.default_rng(3)
    every = {name: mean + random.normal(0, 1, 500) for name, mean in (("base", 10), ("closed", 5), ("good", 7))}
    rounds: list[Mapping[str, int]] = []

    def run(counts: dict[str, int]) -> Mapping[str, np.ndarray]:
        rounds.append(counts)
        return {name: every[name][:n] for name, n in counts.items()}

    asked = Question("delayed_patients", 0.5)
    chosen = choose(tuple(every), asked, run, worse=lambda: {"closed": ("boarding_hours_mean",), "good": ()})
    assert chosen.standing.still_in == ("good",)
    assert dict(chosen.worse) == {"closed": ("boarding_hours_mean",)}
    alone = choose(tuple(every), asked, run, worse=lambda: {"closed": ("x",), "good": ("x",)})
    assert (alone.standing.still_in, alone.ended) == (("base",), "decided")


def test_clearly_worse_is_beyond_chance_and_matters() -> None:
    rows = pd.DataFrame(
        [
            ("boarding_hours_mean", 9.0, 2.0, 1.0, 3.0, True),
            ("boarding_hours_mean", 9.0, 2.0, -1.0, 5.0, False),  # may be chance
            ("boarding_hours_mean", 9.0, 0.001, 0.0005, 0.0015, False),  # too small to matter
            ("boarding_hours_mean", 9.0, 2.0, np.nan, np.nan, False),  # one replication
            ("boarding_hours_mean", 9.0, -2.0, -3.0, -1.0, False),  # better
            ("ed_four_hour_share", 70.0, -4.0, -6.0, -2.0, True),
            ("ed_four_hour_share", 70.0, 4.0, 2.0, 6.0, False),
        ],
        columns=["measure", "baseline", "difference", "low", "high", "worse"],
    )
    assert clearly_worse(rows, 365).tolist() == rows["worse"].tolist()


def test_unmet_need_has_to_rise_by_a_tenth_and_deaths_by_what_the_end_of_a_run_moves() -> None:
    """Who is sent on sooner gives up elsewhere in proportion; who dies just after the end is no effect on deaths."""
    rows = pd.DataFrame(
        [
            ("unmet_need_people", 44.0, 4.0, 1.0, 7.0, False),  # of 44, while more are discharged
            ("unmet_need_people", 44.0, 5.0, 1.0, 9.0, True),
            ("unmet_need_people", 0.0, 4.0, 1.0, 7.0, True),  # where nobody did: more than ten a year
            ("unmet_need_people", 5.0, 2.0, 1.0, 3.0, False),  # fewer than that
            ("deaths_in_hospital", 640.0, 5.7, 3.0, 8.3, False),  # in a quarter of a year as in a year
            ("deaths_in_hospital", 640.0, 11.0, 3.0, 19.0, True),
        ],
        columns=["measure", "baseline", "difference", "low", "high", "worse"],
    )
    assert clearly_worse(rows, 91).tolist() == rows["worse"].tolist()


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        (("sweep", "replications=1"), "from one run no guard can fail, so nothing was guarded"),
        (("select", "indifference=0.5", "most=3"), "from 3 runs a guard fails only where the harm is gross"),
        (("select", "indifference=0.5", "most=5"), ""),
    ],
)
def test_too_few_replications_for_the_guards_are_told(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(home)
    out = f"few_{'_'.join(verb)}"
    words = [*verb, *RUN, "place.services.reablement.capacity=80,90", "jobs=1", "charts=false", f"out={out}"]
    assert cli.main(words) == 0
    screen, page = capsys.readouterr().out, (home / out / "summary.md").read_text(encoding="utf-8")
    for text in (screen, page.partition("\nGuards: ")[2] or page.partition("- Guards: ")[2]):
        assert said in " ".join(text.split())
        assert said or "a guard fails" not in text


def test_schemes_ranked_by_money_are_all_shown_with_what_is_freed_apart(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All nine on one screen, the closed beds last."""
    monkeypatch.chdir(home)
    folder = home / "scenarios" / "scenario"
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(8):
        text = f"title: Scheme {n}\nplace: {{services: {{acute_beds: {{capacity: {191 + n}}}}}}}\n"
        (folder / f"scheme_{n}.yaml").write_text(text, encoding="utf-8")
    text = "title: Beds shut\nplace: {services: {acute_beds: {capacity: 150}}}\n"
    (folder / "shut.yaml").write_text(text, encoding="utf-8")
    names = ",".join(["baseline", *(f"scheme_{n}" for n in range(8)), "shut"])
    words = ["select", *RUN, f"scenarios=[{names}]", "measure=money_spent", "indifference=1", "most=6"]
    assert cli.main([*words, "jobs=1", "charts=false", "out=nine"]) == 0
    screen = capsys.readouterr().out
    table = [line.split("│") for line in screen.splitlines() if re.match("│ .: ", line)]
    assert len(table) == 10
    assert "more rows in the summary" not in screen
    ranked = [row[1].strip() for row in table]
    assert ranked[0] == "1: As things"  # and on the next line "are"
    assert ranked[1:9] == [f"{n + 2}: Scheme {n}" for n in range(8)]  # each a bed dearer than the last
    assert ranked[9] == "-: Beds shut"
    spent, freed = ([row[at].strip() for row in table] for at in (2, 3))
    assert spent[1].startswith("+£")
    assert (spent[9], freed[9][0]) == ("none", "-")  # closed beds are paid for, and not freed


def test_guards_that_cannot_be_are_refused() -> None:
    with pytest.raises(PlaceError, match="did you mean 'boarding_hours_mean'"):
        as_guards(["boarding_hours_men"])
    assert as_guards([]) == ()
    assert as_guards(None) is None


@pytest.mark.parametrize(
    ("difference", "sd", "needed"),
    [(0.5, 1.0, 34), (-0.5, 1.0, 34), (1.0, 1.0, 10), (1.0, 0.0, 2), (0.0, 1.0, np.inf)],
)
def test_how_many_replications_would_tell(difference: float, sd: float, needed: float) -> None:
    """34 and 10 pairs: a paired t test with 80 % power at effect sizes of 0.5 and 1.0, as published tables have it."""
    assert replications_to_tell(difference, sd) == pytest.approx(needed, abs=1)
    assert np.isnan(replications_to_tell(np.nan, sd))


def test_the_first_screens_of_sweep_and_select_tell_of_the_guards(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The screen goes by the same guards as the ranking, and what is promised stands under How sure."""
    monkeypatch.chdir(home)
    short = [*RUN, "jobs=1", "charts=false"]
    assert cli.main(["sweep", *short, f"{BEDS}=150,165", "replications=4", "out=swept"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "NO POINT IS BEST" in said
    assert "Not to be made worse: " in said
    assert "not called best: acute beds=150 and acute beds=165" in said
    assert cli.main(["sweep", *short, f"{BEDS}=150,165", "replications=4", "out=swept", "guards=[]"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    first = str(flowsim.read("swept").best().iloc[0]["point"]).replace("_", " ")
    assert f"{first} comes first (no difference that matters" in said
    assert "NO POINT IS BEST" not in said
    assert "nothing is guarded (guards=[])" in said
    # more delayed than as things are, and nothing else worse: it is the nearest of those asked, and not the best
    more = [*RUN, "jobs=1", "charts=false", f"{BEDS}=160", "place.services.reablement.capacity=20,26"]
    assert cli.main(["sweep", *more, "replications=4", "out=worse", "guards=[]"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "NOTHING HERE IS BETTER THAN THE PLACE AS IT IS" in said
    assert "is best" not in said
    words = ["select", *short, f"{BEDS}=150,165", "indifference=0.5", "most=30", "out=selected"]
    assert cli.main(words) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "How sure: Where the best of these is better than each other by 0.5 people or more" in said
    assert "not called best: acute beds=150 and acute beds=165" in said
