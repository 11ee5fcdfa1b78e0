"""`policy_start=warm_up`: the scenario holds from the first minute on, with caseloads of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_model import place_of, planned, rows_of, steps

from flowsim.cells.runner import run_all
from flowsim.declare.settings import Settings
from flowsim.engine import compiled, reference
from flowsim.measures.cost import lines
from flowsim.model.cohort import Cohort
from flowsim.model.network import build_network
from flowsim.model.plan import plan
from flowsim.model.tables import Journeys, columns
from flowsim.place import Place, PlaceError
from flowsim.statistics.settling import still_moving

RUN = ("start_date=2024-04-15", "days=40", "warm_up_days=20")
SETTLED = (*RUN, "policy_start=warm_up")
POLICY = (
    "place.services.support.capacity=202",
    "place.services.support.quota=null",
    "place.stages.support.duration={fixed: 10, lognormal: null, unit: days}",
    "place.streams.emergency.demand={less: 0.8}",
    "+place.services.ward.initial.beds={stage: ward, people: 30}",
    "+place.costs.scheme={title: A scheme, amount: 700, per: week, payer: NHS}",
)
WITHOUT_ANOTHER_CASELOAD = (*POLICY[:4], *POLICY[5:])
"""A caseload that only the scenario has takes people whom none of the place's own caseloads has."""


def there(j: Journeys, stage: str) -> np.ndarray:
    rows = rows_of(j, stage)
    return rows[j.spells.initial[j.rows.spell[rows]] == 1]


def alone() -> Place:
    """A place in which nothing else ever held."""
    return place_of(*WITHOUT_ANOTHER_CASELOAD, run=RUN)


def test_it_is_a_run_of_the_scenario_alone() -> None:
    """Capacities, quotas, hours, caseloads, rules: every table is that of a place which always was so; only who comes
    is shared with the place before it, which here is the same."""
    settled, always = place_of(policy=WITHOUT_ANOTHER_CASELOAD, run=SETTLED), alone()
    network, other = (build_network(place, Cohort(1, 0)) for place in (settled, always))
    assert steps(network, "support/north") == steps(other, "support/north") == [(0, 134, "start")]
    assert (network.quota_day == other.quota_day).all()
    one, same = planned(settled), planned(always)
    for part in ("spells", "rows", "tasks"):
        for name, column in columns(getattr(one, part)).items():
            assert (column == columns(getattr(same, part))[name]).all(), name


def test_the_caseload_is_that_of_the_scenario_and_its_people_are_the_same() -> None:
    """Twice the places are filled to the same share; whoever was there is there; they stay as the scenario has it."""
    old = planned(place_of(policy=POLICY, run=RUN))
    new = planned(place_of(policy=POLICY, run=SETTLED))
    before, after = (set(j.spells.number[j.rows.spell[there(j, "support")]].tolist()) for j in (old, new))
    assert len(after) == pytest.approx(2 * len(before), abs=3)
    assert before < after
    assert new.rows.duration[there(new, "support")].max() <= 10 * 1440
    assert old.rows.duration[there(old, "support")].max() > 10 * 1440
    assert len(there(new, "ward")) == 30
    assert len(there(old, "ward")) == 0


def test_people_who_come_are_the_same_from_the_first_minute() -> None:
    """Of the emergencies four in five come, warm-up included: those whose marks are below 0.8."""
    plain, settled = planned(place_of(run=RUN)), planned(place_of(policy=POLICY[3:4], run=SETTLED))

    def emergencies(j: Journeys) -> set[int]:
        of_stream = j.attributes["stream"] == j.levels["stream"].index("emergency")
        return set(j.spells.number[of_stream & (j.spells.arrival >= 0) & (j.spells.arrival < 20 * 1440)].tolist())

    assert emergencies(settled) < emergencies(plain)
    assert len(emergencies(settled)) / len(emergencies(plain)) == pytest.approx(0.8, abs=0.1)


def test_both_engines_run_it() -> None:
    place = place_of(policy=POLICY, run=SETTLED)
    cohort = Cohort(3, 0)
    network = build_network(place, cohort)
    journeys = plan(place, cohort, network)
    one, other = compiled.run(journeys, network), reference.run(journeys, network)
    for name, column in columns(one).items():
        assert (column == columns(other)[name]).all(), name


def test_a_steady_place_stays_what_it_was_where_the_scenario_changes_nothing() -> None:
    plain = planned(place_of(run=RUN))
    same = planned(place_of(policy=("place.title=Another",), run=SETTLED))
    assert (plain.spells.number == same.spells.number).all()
    assert (plain.rows.duration == same.rows.duration).all()


def test_costs_of_a_scheme_run_from_the_first_minute() -> None:
    place = place_of(policy=POLICY, run=SETTLED)
    (spent,) = lines(place, 0, place.run.measured_from)
    assert spent.pounds == pytest.approx(700 * 20 / 7)


def test_any_other_word_is_refused() -> None:
    with pytest.raises(PlaceError, match=r"policy_start: 'warmup' was given; allowed: a date such as .* or warm_up"):
        place_of(run=(*RUN, "policy_start=warmup"))


# -- is what is compared a way there? ----------------------------------------------------------------------------------


def test_what_still_moves_is_told_from_what_has_settled() -> None:
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 2, (10, 200))
    grows = still_moving(np.linspace(0, 40, 200) + noise)
    assert grows is not None
    assert grows == pytest.approx((25, 35), abs=1)
    for settled in (noise, 20 + noise, np.minimum(np.linspace(0, 160, 200), 40) + noise):
        assert still_moving(settled) is None
    assert still_moving(np.linspace(0, 40, 200) + noise[:3]) is None
    assert still_moving(np.linspace(0, 40, 50) + noise[:, :50]) is None


def test_a_comparison_says_that_it_has_not_settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stays three times as long fill ten times the places slowly; from the warm-up on, with caseloads of its own, or
    with a block that has dates, nothing is said."""
    monkeypatch.chdir(tmp_path)
    stays = "place.stages.support.duration={fixed: 300, lognormal: null, unit: days}"
    more = ("place.services.support.capacity=900", "place.services.support.quota=null", stays)
    run = ("start_date=2024-04-15", "days=80", "warm_up_days=20")
    base = place_of(run=run)

    def told(*overrides: str, run: tuple[str, ...] = run) -> list[str]:
        changed = place_of(policy=overrides, run=run)
        info = changed.scenario.model_copy(update={"name": "more", "changes": {"place": [1, 2]}})
        places = {"baseline": base, "more": changed.model_copy(update={"scenario": info})}
        settings = Settings(replications=5, jobs=1, out=str(tmp_path / str(len(list(tmp_path.iterdir())))))
        return [notice for notice in run_all(places, settings, verb="compare").notices if "not settled" in notice]

    (sentence,) = told(*more)
    assert sentence.startswith("more has not settled: Support at home, in use differs from baseline by +")
    assert sentence.endswith("policy_start=warm_up compares what has settled.")
    assert told(*more, "+place.services.ward.blocks.b={from: 2024-05-01, weeks: 2, add: 1}") == []
    assert told(*more, run=(*run, "policy_start=warm_up")) == []
