"""Every kind of distribution against theory: what is drawn, what remains of it, what is found in the long run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from acceptance import DAY, small_place
from scipy import integrate, stats
from test_model import place_of, planned, rows_of

from flowsim.declare.composition import compose
from flowsim.engine import compiled, reference
from flowsim.model.cohort import Cohort
from flowsim.model.laws import law_of
from flowsim.model.network import build_network
from flowsim.model.plan import plan
from flowsim.place import Distribution, PlaceError, Table

ONE = np.array([1.0])
U = (np.arange(200_000) + 0.5) / 200_000
"""Evenly over (0, 1): what is drawn with these has the moments of the distribution itself."""


def truncated(mean: float, sd: float, least: float = 0.0) -> stats.rv_continuous:
    return stats.truncnorm((least - mean) / sd, np.inf, mean, sd)


CONTINUOUS = {
    "exponential: {mean: 8}": stats.expon(scale=8),
    "uniform: {low: 4, high: 12}": stats.uniform(4, 8),
    "lognormal: {mean: 8, sigma: 0.8}": stats.lognorm(0.8, scale=8 * np.exp(-0.32)),
    "gamma: {mean: 8, shape: 2.5}": stats.gamma(2.5, scale=8 / 2.5),
    "gamma: {mean: 8, sd: 10}": stats.gamma(0.64, scale=12.5),
    "weibull: {scale: 9, shape: 1.7}": stats.weibull_min(1.7, scale=9),
    "weibull: {mean: 8, shape: 0.8}": stats.weibull_min(0.8, scale=8 / stats.weibull_min(0.8).mean()),
    "normal: {mean: 8, sd: 2}": truncated(8, 2),
    "normal: {mean: 3, sd: 4}": truncated(3, 4),
    "normal: {mean: 3, sd: 4}, least: 2": truncated(3, 4, 2),
    "triangular: {low: 2, mode: 5, high: 14}": stats.triang(3 / 12, 2, 12),
    "triangular: {low: 2, mode: 2, high: 14}": stats.triang(0, 2, 12),
    "triangular: {low: 2, mode: 14, high: 14}": stats.triang(1, 2, 12),
}


def parsed(text: str) -> Distribution:
    import yaml

    return Distribution.model_validate(yaml.safe_load("{" + text + ", unit: days}"))


def law(text: str):
    def given(table: Table) -> np.ndarray:
        return np.array([table.leaf if isinstance(table.leaf, float) else 0.0])

    return law_of(parsed(text), given)


@pytest.mark.parametrize("text", CONTINUOUS)
def test_what_is_drawn_survives_and_has_a_mean_as_theory_says(text: str) -> None:
    known, here = CONTINUOUS[text], law(text)
    u = np.linspace(0.001, 0.999, 333)
    assert here.quantile(u) == pytest.approx(known.ppf(u), rel=1e-8)
    x = known.ppf(u)
    assert np.broadcast_to(here.survival(x), u.shape) == pytest.approx(1 - u, abs=1e-9)
    assert here.mean() == pytest.approx([known.mean()], rel=1e-9)


@pytest.mark.parametrize("text", CONTINUOUS)
def test_a_time_known_to_have_lasted_goes_on_as_theory_says(text: str) -> None:
    known, here = CONTINUOUS[text], law(text)
    u = np.linspace(0.01, 0.99, 99)
    for elapsed in (0.5, 5.0, 11.0, 30.0):
        if known.sf(elapsed) > 1e-6:
            expected = known.isf(known.sf(elapsed) * (1 - u))
            assert here.beyond(u, np.full(99, elapsed)) == pytest.approx(expected, rel=1e-7)
    far = here.beyond(u, np.full(99, 1e5))
    assert np.isfinite(far).all()
    assert (far >= 1e5).all()


@pytest.mark.parametrize("text", CONTINUOUS)
def test_what_is_found_is_as_often_as_it_is_long(text: str) -> None:
    """The mean of what is found is E[S^2] / E[S], and its distribution that of x f(x) / E[S]."""
    known, here = CONTINUOUS[text], law(text)
    assert here.found(U).mean() == pytest.approx((known.var() + known.mean() ** 2) / known.mean(), rel=2e-3)
    for u in (0.1, 0.5, 0.9):
        x = float(here.found(np.array([u]))[0])
        share = integrate.quad(lambda y: y * known.pdf(y), max(known.support()[0], 0), x, points=[known.mean()])[0]
        assert share / known.mean() == pytest.approx(u, abs=1e-6)


def test_poisson_numbers() -> None:
    known, here = stats.poisson(3.2), law("poisson: {mean: 3.2}")
    assert (here.quantile(U) == known.ppf(U)).all()
    x = np.array([0.0, 0.5, 1, 3, 7.9])
    assert here.survival(x) == pytest.approx(known.sf(x))
    assert here.mean() == pytest.approx([3.2])
    more = here.beyond(U, np.full(len(U), 4.0))
    assert more.min() == 5
    assert more.mean() == pytest.approx(sum(k * known.pmf(k) for k in range(5, 60)) / known.sf(4), rel=1e-4)
    assert here.found(U).mean() == pytest.approx((3.2 + 3.2**2) / 3.2, rel=1e-3)
    assert here.beyond(U[:3], np.full(3, 500.0)).tolist() == [501] * 3


def test_values_by_their_weights() -> None:
    here = law("empirical: {values: [7, 1, 2, 1], weights: [2, 1, 4, 3]}")  # 1, 2 and 7 with 0.4, 0.4 and 0.2
    assert [(here.quantile(U) == x).mean() for x in (1, 2, 7)] == pytest.approx([0.4, 0.4, 0.2], abs=1e-4)
    assert here.survival(np.array([0, 1, 1.5, 2, 7])) == pytest.approx([1, 0.6, 0.6, 0.2, 0])
    assert here.mean() == pytest.approx([2.6])
    more = here.beyond(U, np.full(len(U), 1.0))
    assert [(more == x).mean() for x in (1, 2, 7)] == pytest.approx([0, 2 / 3, 1 / 3], abs=1e-4)
    assert here.beyond(U[:2], np.full(2, 9.0)).tolist() == [9, 9]
    assert here.found(U).mean() == pytest.approx((0.4 + 1.6 + 9.8) / 2.6, rel=1e-3)


# -- through the whole program -----------------------------------------------------------------------------------------

STAYS = [*CONTINUOUS, "poisson: {mean: 8}", "empirical: {values: [3, 20], weights: [3, 1]}"]


@pytest.mark.parametrize("text", STAYS)
def test_a_caseload_has_the_mean_residual_of_renewal_theory(text: str) -> None:
    caseload = "{stage: support, people: {north: 4000}, set: {pathway: pathway_1}}"
    j = planned(
        place_of(
            "place.stages.support.duration={" + text + ", unit: days}",
            f"place.services.support.initial.caseload={caseload}",
        )
    )
    rows = rows_of(j, "support")
    left = j.rows.duration[rows][j.spells.initial[j.rows.spell[rows]] == 1] / DAY
    found = law(text).found(U)
    assert abs(left.mean() - found.mean() / 2) < 4.5 * left.std() / np.sqrt(len(left))


def test_what_is_added_is_as_likely_to_be_found_as_it_is_long() -> None:
    """A stay of 10 days and a half-day or 60 days more: E[S^2] / 2 E[S]."""
    caseload = "{stage: support, people: {north: 6000}, set: {pathway: pathway_1}}"
    values = "{empirical: {values: [0.5, 60], weights: [3, 1]}, add: 10, unit: days}"
    j = planned(
        place_of(f"place.stages.support.duration={values}", f"place.services.support.initial.caseload={caseload}")
    )
    rows = rows_of(j, "support")
    left = j.rows.duration[rows][j.spells.initial[j.rows.spell[rows]] == 1] / DAY
    stays, shares = np.array([10.5, 70]), np.array([0.75, 0.25])
    assert abs(left.mean() - stays**2 @ shares / (2 * (stays @ shares))) < 4.5 * left.std() / np.sqrt(len(left))


@pytest.mark.parametrize("elapsed", ["gamma: {mean: 3, shape: 2}", "empirical: {values: [1, 4], weights: [1, 3]}"])
@pytest.mark.parametrize("size", ["people: 2000", "utilisation: 1"])
def test_how_long_so_far_may_be_any_of_them(elapsed: str, size: str) -> None:
    """Of a fixed stay of 30 days what remains is 30 less what has passed."""
    of_whom = "" if size.startswith("utilisation") else "streams: [emergency], "
    beds = "{stage: ward, " + of_whom + size + ", elapsed: {" + elapsed + ", unit: days}}"
    j = planned(
        small_place(
            "two_ways_out",
            "place.services.ward.capacity=2000",
            "place.stages.ward.duration={fixed: 30, unit: days}",
            f"+place.services.ward.initial.beds={beds}",
        )
    )
    rows = rows_of(j, "ward")
    left = j.rows.duration[rows][j.spells.initial[j.rows.spell[rows]] == 1] / DAY
    assert len(left) == 2000
    known = law(elapsed).mean()[0]
    assert abs(30 - left.mean() - known) < 4.5 * left.std() / np.sqrt(2000)


def test_both_engines_draw_the_same_of_all_kinds() -> None:
    kinds = [
        "gamma: {mean: {by: locality, north: 20, other: 30}, sd: 15}", "weibull: {mean: 20, shape: 0.8}",
        "normal: {mean: 20, sd: 10}", "triangular: {low: 5, mode: 10, high: 40}", "poisson: {mean: 14}",
        "empirical: {by: locality, north: {values: [5, 9, 40]}, other: {values: [10, 20], weights: [1, 2]}}",
    ]  # fmt: skip
    for kind in kinds:
        place = place_of("place.stages.support.duration={" + kind + ", unit: days}")
        cohort = Cohort(3, 0)
        network = build_network(place, cohort)
        journeys = plan(place, cohort, network)
        one, other = compiled.run(journeys, network), reference.run(journeys, network)
        assert (one.left == other.left).all()
        assert (one.left > 0).any()


def test_a_table_of_values_by_attribute() -> None:
    by = "{by: locality, north: {values: [5]}, other: {values: [10, 20], weights: [1, 3]}}"
    j = planned(place_of("place.stages.support.duration={empirical: " + by + ", unit: days}"))
    rows = rows_of(j, "support")
    rows = rows[j.spells.initial[j.rows.spell[rows]] == 0]
    north = j.attributes["locality"][j.rows.spell[rows]] == j.levels["locality"].index("north")
    assert set(j.rows.duration[rows][north] // DAY) == {5}
    assert set(j.rows.duration[rows][~north] // DAY) == {10, 20}


# -- a file of values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["value,weight\n1,3\n9.5,1\n", "Value;Weight\r\n1;3\r\n9.5;1\r\n"])
def test_values_from_a_file_beside_the_place(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "place"
    folder.mkdir()
    (folder / "stays.csv").write_text(text, encoding="utf-8")
    source = Path(__file__).parent / "places" / "place" / "two_ways_out.yaml"
    of_ward = "duration: {lognormal: {mean: 6, sigma: 1}, unit: days}"
    place = source.read_text(encoding="utf-8")
    assert of_ward in place
    place = place.replace(of_ward, "duration: {empirical: {file: stays.csv}, unit: days}")
    (folder / "mine.yaml").write_text(place, encoding="utf-8")
    composed = compose("place=mine", scenarios_dir=tmp_path)
    assert composed.place["stages"]["ward"]["duration"]["empirical"] == {"values": [1, 9.5], "weights": [3, 1]}
    j = planned(composed.read())
    assert set(j.rows.duration[rows_of(j, "ward")]) == {DAY, 9.5 * DAY}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "a CSV file in"),
        ("days\n1\n", "allowed: 'value' or 'value,weight'"),
        ("value\n", "a line for each value"),
        ("value,weight\n1,3\n2,many\n", "line 3, column weight: 'many' was given"),
        ("value\n-1\n", "line 2, column value: '-1' was given; allowed: a number, not negative"),
    ],
)
def test_a_file_that_will_not_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, told: str) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "stays.csv").write_text(text, encoding="utf-8")
    with pytest.raises(PlaceError, match=told):
        place_of("place.stages.ward.duration={empirical: {file: stays.csv}, unit: days}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("gamma: {mean: 3}", "a gamma takes mean"),
        ("gamma: {mean: 3, shape: 0}", "a shape above 0"),
        ("weibull: {shape: 3}", "a weibull takes mean"),
        ("normal: {mean: 3, sd: 0}", "an? sd above 0"),
        ("triangular: {low: 3, mode: 2, high: 5}", "low up to the mode"),
        ("triangular: {low: 3, mode: 6, high: 5}", "a mode up to high"),
        ("poisson: {mean: 0}", "a mean or median above 0"),
        ("empirical: {values: []}", "values"),
        ("empirical: {values: [1, -2]}", "values"),
        ("empirical: {values: [1, 2], weights: [1]}", "2 values have 1 weights"),
        ("empirical: {values: [1, 2], weights: [0, 0]}", "the weights are all nought"),
        ("empirical: {value: [1, 2]}", "unknown key 'value'"),
        ("empirical: {times: {a: {values: [1]}}}", "'times' multiplies numbers"),
        ("gama: {mean: 3}", "did you mean 'gamma'"),
    ],
)
def test_what_is_refused(text: str, told: str) -> None:
    with pytest.raises(PlaceError, match=told):
        place_of("place.stages.ward.duration={" + text + ", lognormal: null, unit: days}")
