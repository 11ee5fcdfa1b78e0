"""Replications until they are enough, what pairing gains, and the warm-up: against sim-tools and on a small place."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import flowsim
from flowsim.cells import executors
from flowsim.cli import main as cli
from flowsim.declare.composition import load
from flowsim.declare.settings import Settings
from flowsim.place import PlaceError
from flowsim.questions.compare import pairing_gain, where_pairing_does_not_help
from flowsim.questions.precision import (
    Precision,
    half_widths,
    narrow,
    next_number,
    replications_needed,
    run_until,
    sentences,
)
from flowsim.questions.rounds import FIRST_ROUND, MOST, Counts
from flowsim.statistics.warm_up import batch_means, mser5, mser5_statistic

PLACES = Path(__file__).parent / "places"
SMALL = ("place=small", "days=14", "warm_up_days=14")


def asked(half_width: float, relative: bool = False, seconds: float = np.inf, most: int = MOST) -> Precision:
    return Precision(half_width, relative, ("delayed_patients",), seconds, most)


def rows(values: np.ndarray) -> pd.DataFrame:
    """One row a measure, as `samples_of` gives them."""
    index = pd.MultiIndex.from_tuples(
        [("a", "delayed_patients", f"unit {at}") for at in range(len(values))], names=["scenario", "measure", "unit"]
    )
    return pd.DataFrame(values, index=index)


# -- sim-tools as the oracle -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_intervals_are_those_of_sim_tools(seed: int) -> None:
    analysis = pytest.importorskip("sim_tools.output_analysis")
    values = np.random.default_rng(seed).gamma(4, 5, 30)
    for n in (3, 10, 30):
        theirs = analysis.OnlineStatistics(data=values[:n], alpha=0.05)
        mean, half = half_widths(values[None, :n])
        assert (mean[0], half[0]) == (pytest.approx(theirs.mean), pytest.approx(theirs.half_width))
        assert half[0] / mean[0] == pytest.approx(theirs.deviation)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.05, 0.1])
def test_looked_at_one_by_one_as_many_are_enough_as_sim_tools_says(seed: int, share: float) -> None:
    analysis = pytest.importorskip("sim_tools.output_analysis")
    values = np.random.default_rng(100 + seed).normal(50, 12, 400)
    theirs, _ = analysis.confidence_interval_method(list(values), alpha=0.05, desired_precision=share, min_rep=9)
    enough = (n for n in range(10, 401) if next_number(values[None, :n], asked(share, relative=True)) is None)
    assert next(enough) == theirs

    class Model:
        def single_run(self, number: int) -> dict[str, float]:
            return {"m": float(values[number])}

    algorithm = analysis.ReplicationsAlgorithm(half_width_precision=share, initial_replications=10, look_ahead=0)
    found, _ = algorithm.select(Model(), ["m"])
    assert found["m"] <= theirs  # it may go back to fewer than it began with


def test_how_many_are_needed_solves_the_inequality() -> None:
    values = np.random.default_rng(2).normal(10, 4, (20, 12))
    wanted = asked(1.0)
    sd = values.std(axis=1, ddof=1)
    for n, s in zip(replications_needed(values, wanted).astype(int), sd, strict=True):
        assert stats.t.ppf(0.975, n - 1) * s / np.sqrt(n) <= 1.0 < stats.t.ppf(0.975, n - 2) * s / np.sqrt(n - 1)
    assert np.isinf(replications_needed(np.array([[-1.0, 1.0, -1.0, 1.0]]), asked(0.05, relative=True))[0])
    assert replications_needed(np.ones((1, 4)), wanted)[0] == 2


# -- the rounds --------------------------------------------------------------------------------------------------------


def test_the_intervals_it_stops_at_hold_the_truth() -> None:
    """To stop when narrow enough costs a little of the 95 %, and no more than a little."""
    random = np.random.default_rng(7)
    wanted = asked(0.1, relative=True)
    held, looks = 0, 0
    for _ in range(600):
        values = random.normal(100, 25, (1, MOST))
        n: int | None = FIRST_ROUND
        while n is not None:
            looks += 1
            (mean,), (half,) = half_widths(values[:, :n])
            n = next_number(values[:, :n], wanted)
        assert half <= 0.1 * mean
        held += abs(mean - 100) <= half
    assert 0.92 <= held / 600 <= 0.97
    assert looks / 600 < 4


def test_rounds_grow_by_the_spread_and_at_most_twofold() -> None:
    values = np.random.default_rng(3).normal(100, 30, (2, MOST))
    counts: list[int] = []

    def run(asked_for: Counts) -> pd.DataFrame:
        n = asked_for["a"]
        counts.append(n)
        return rows(values[:, :n])

    found = narrow("a", asked(3.0), run)
    assert counts[0] == FIRST_ROUND
    assert all(before < after <= 2 * before for before, after in pairwise(counts))
    assert found.last["narrow"].all()
    assert counts[-1] == pytest.approx((1.96 * 30 / 3) ** 2, rel=0.25)


def test_it_stops_at_the_most_or_at_the_time() -> None:
    values = np.random.default_rng(4).normal(1, 50, (1, MOST))
    clock = [0.0]

    def run(asked_for: Counts) -> pd.DataFrame:
        n = asked_for["a"]
        clock[0] = 2.0 * n  # two seconds each
        return rows(values[:, :n])

    found = narrow("a", asked(0.5, most=37), run, lambda: clock[0])
    assert (found.ended, found.last["replications"].iloc[0]) == ("replications", 37)
    told = sentences(found, asked(0.5, most=37))
    assert "not reached after 37 replications" in told[0]
    assert "asked for 0.5; it needs" in told[1]
    clock[0] = 0.0
    late = narrow("a", asked(0.5, seconds=50), run, lambda: clock[0])
    assert (late.ended, late.last["replications"].iloc[0]) == ("time", 25)
    assert narrow("a", asked(0.5), lambda asked_for: None).ended == "stopped"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"precision": "5 percent"}, "precision: '5 percent' was given; allowed: a share"),
        ({"precision": 0}, "precision: 0 was given"),
        ({"precision": True}, "precision: True was given"),
        ({"precision": "5%", "precision_of": "delayed_patient"}, "did you mean 'delayed_patients'"),
        ({"precision": "5%", "budget": "30 moons"}, "budget: '30 moons' was given; allowed: a time such as"),
        ({"precision": "5%", "most": 1}, "most: 1 was given"),
    ],
)
def test_what_cannot_be_asked_is_refused(given: dict[str, object], told: str) -> None:
    with pytest.raises(PlaceError, match=told):
        Precision.read(**given)  # type: ignore[arg-type]


def test_what_can_be_asked() -> None:
    assert Precision.read("5%", ["los_days_mean"], "90s", 50) == Precision(0.05, True, ("los_days_mean",), 90, 50)
    assert Precision.read(0.5) == Precision(0.5, False, ("delayed_patients",), 1800, 500)
    assert [Precision.read(1, budget=time).seconds for time in ("2h", 10, "1.5min")] == [7200, 600, 90]


# -- on a place --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def precise(tmp_path_factory: pytest.TempPathFactory) -> flowsim.Comparison:
    return flowsim.compare(
        places(), precision=1.2, most=80, out=tmp_path_factory.mktemp("p") / "out", jobs=1, progress=False
    )


def places() -> dict[str, flowsim.Place]:
    return {
        name: load(*SMALL, f"place.services.support.capacity={slots}", scenarios_dir=PLACES)
        for name, slots in (("base", 20), ("more", 26))
    }


def test_a_comparison_until_its_difference_is_known(precise: flowsim.Comparison) -> None:
    row = precise.table().set_index("measure").loc["delayed_patients"]
    assert (row["high"] - row["low"]) / 2 <= 1.2
    rounds = pd.read_csv(precise.out / "precision.csv")
    last = rounds.iloc[-1]
    assert last["half_width"] == pytest.approx((row["high"] - row["low"]) / 2)
    assert (last["replications"], last["mean"]) == (row["n"], pytest.approx(row["difference"]))
    assert not rounds["narrow"].iloc[:-1].any()
    told = next(notice for notice in precise.notices if notice.startswith("Precision:"))
    assert f"{row['n']} replications" in told
    assert told in (precise.out / "summary.md").read_text(encoding="utf-8")
    assert told in flowsim.read(precise.out).notices


def test_the_same_out_goes_on_and_ends_with_the_same(precise: flowsim.Comparison) -> None:
    before = {path: path.read_bytes() for path in precise.out.rglob("*") if path.suffix in (".csv", ".parquet")}
    again = flowsim.compare(places(), precision=1.2, most=80, out=precise.out, jobs=1, progress=False)
    assert again.notices == precise.notices
    assert {path: path.read_bytes() for path in before} == before


def test_a_cluster_here_is_started_once_for_all_rounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    asked_for: list[str | None] = []

    @contextlib.contextmanager
    def cluster_here(processes: int) -> Iterator[str]:
        started.append(processes)
        yield "tcp://here:1"

    @contextlib.contextmanager
    def cluster(address: str | None, processes: int, engine: str) -> Iterator[None]:
        asked_for.append(address)
        yield

    monkeypatch.setattr(executors, "cluster_here", cluster_here)
    monkeypatch.setattr(executors, "cluster", cluster)
    monkeypatch.setattr(executors, "slots", lambda client: 1)
    monkeypatch.setattr(executors, "on_cluster", lambda jobs, client: executors.here(jobs))
    settings = Settings(out=tmp_path / "out", executor="dask", jobs=3, progress=False)
    found = run_until(places(), settings, verb="compare", precision=asked(1e-9, most=14))
    assert found.manifest.cells == {"base": 14, "more": 14}
    assert (started, asked_for) == ([3], ["tcp://here:1"] * 2)


def test_precision_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("scenarios").symlink_to(PLACES)
    words = ["run", *SMALL, "jobs=1", "out=out", "detail=all"]
    measures = "precision_of=[delayed_patients,los_days_mean]"
    assert cli.main([*words, "precision=20%", measures, "most=12", "budget=5min"]) == 0
    assert "Precision:" in capsys.readouterr().out
    assert pd.read_csv("out/precision.csv")["measure"].unique().tolist() == ["delayed_patients", "los_days_mean"]
    assert cli.main([*words, "precision=5%", "precision_of=boarding_hours_mean"]) == cli.MISTAKE
    assert "of which this place has no number" in capsys.readouterr().err
    assert cli.main([*words, "precison=5%"]) == cli.MISTAKE
    assert "did you mean 'precision'" in capsys.readouterr().err
    assert cli.main([*words, "most=5"]) == cli.MISTAKE
    assert "most: 5 was given; allowed: beside precision=" in capsys.readouterr().err
    assert cli.main([*words, "precision=5%", "replications=9"]) == cli.MISTAKE
    assert "allowed: most=N" in capsys.readouterr().err
    assert cli.main(["run", "-m", *SMALL, "seed=1,2", "precision=90%", "jobs=1", "out=each"]) == 0
    assert len(list(Path("each").glob("*/precision.csv"))) == 2


# -- what pairing gains ------------------------------------------------------------------------------------------------


def tidy(scenario: str, values: np.ndarray, measure: str = "delayed_patients") -> pd.DataFrame:
    found = pd.DataFrame({"scenario": scenario, "replication": range(len(values)), "measure": measure})
    return found.assign(where="all", of="", unit="people", value=values)


def test_the_gain_is_the_ratio_of_variances() -> None:
    random = np.random.default_rng(12)
    common, own = random.normal(0, 3, 4000), random.normal(0, 1, (3, 4000))
    frames = [tidy("base", common + own[0]), tidy("paired", common + own[1] + 2), tidy("against", own[2] - common)]
    frames.append(tidy("shifted", common + own[0] + 5))
    gain = pairing_gain(pd.concat(frames), "base", ("paired", "against", "shifted")).set_index("scenario")
    assert gain.loc["paired", "ratio"] == pytest.approx(20 / 2, rel=0.1)  # 2 (9 + 1) over 2 (1)
    assert gain.loc["paired", "correlation"] == pytest.approx(0.9, abs=0.02)
    assert gain.loc["against", "ratio"] == pytest.approx(20 / 38, rel=0.1)
    assert np.isinf(gain.loc["shifted", "ratio"])
    assert where_pairing_does_not_help(gain.reset_index())["scenario"].tolist() == ["against"]


def test_two_replications_are_too_few_to_say_that_pairing_does_not_help() -> None:
    values = np.array([1.0, 2.0])
    gain = pairing_gain(pd.concat([tidy("a", values), tidy("b", values[::-1])]), "a", ("b",))
    assert gain["ratio"].tolist() == [0.5]
    assert where_pairing_does_not_help(gain).empty
    assert pairing_gain(pd.concat([tidy("a", values[:1]), tidy("b", values[:1])]), "a", ("b",)).empty


def test_the_gain_is_reported_and_where_there_is_none_is_a_notice(precise: flowsim.Comparison, tmp_path: Path) -> None:
    gain = precise.pairing_gain().set_index("measure")
    assert gain.loc["delayed_patients", "ratio"] > 1
    told = (precise.out / "summary.md").read_text(encoding="utf-8")
    assert "What it gains that the same people come" in told
    assert "does not help" not in told.split("## What changes")[0]
    results = precise.results.copy()
    late = (results["scenario"] == "more") & (results["measure"] == "delayed_patients")
    results.loc[late, "value"] = 50 - results.loc[late, "value"]  # what is high in one is low in the other
    turned = flowsim.Comparison(tmp_path, precise.places)
    object.__setattr__(turned, "results", results)
    from flowsim.present.pages import compare

    section = next(iter(compare.sections(turned, brief=True)))
    assert "In more it does not help that the same people come" in section.sentences[-1]


# -- the warm-up -------------------------------------------------------------------------------------------------------


def test_mser5_leaves_out_the_start_up() -> None:
    random = np.random.default_rng(9)
    days = np.arange(300)
    series = 100 - 80 * np.exp(-days / 15) + random.normal(0, 3, 300)
    statistic = mser5_statistic(series)
    assert mser5(series) == 5 * statistic.argmin()
    assert 30 <= mser5(series) <= 100
    means = series.reshape(60, 5).mean(axis=1)
    assert batch_means(series) == pytest.approx(means)
    assert statistic[7] == pytest.approx(means[7:].var() / 53)
    assert len(statistic) == 31


def test_a_warm_up_picture_needs_a_place_without_a_scenario(tmp_path: Path) -> None:
    place = load(*SMALL, "scenario=more_support", scenarios_dir=PLACES)
    found = flowsim.run(place, replications=1, jobs=1, out=tmp_path / "out", progress=False)
    assert not (found.out / "charts" / "warm_up.png").exists()
    with pytest.raises(PlaceError, match="needs a place without a scenario"):
        found.chart(tmp_path / "warm_up.png", "warm_up")
