"""One measure against another: where the second becomes worse fastest, and that this is said only where it is clear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import flowsim
from flowsim.cli import main as cli
from flowsim.place import PlaceError
from flowsim.present.pages.against import in_words, sentence
from flowsim.questions.against import against, steepest

PLACES = Path(__file__).parent / "places"
SMALL = ("place=small", "days=14", "warm_up_days=14")
FULL, FOUR, BOARDING = "acute_occupancy", "ed_four_hour_share", "boarding_hours_mean"

pytestmark = pytest.mark.filterwarnings("ignore::flowsim.place.FlowsimNotice")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> flowsim.Sweep:
    home = tmp_path_factory.mktemp("against")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        (home / "scenarios").symlink_to(PLACES)
        words = (*SMALL, "place.services.wards.capacity=30,36,50")
        return flowsim.sweep(*words, replications=4, jobs=1, out=home / "out", progress=False, charts=False)


def with_numbers(
    swept: flowsim.Sweep, measure: str, x: list[float], y: list[float], noise: float, n: int = 4
) -> flowsim.Sweep:
    """The same sweep with these means of two measures at its four points; what differs in the replications alternates
    from point to point, so that all of it is in the differences, and is half as much across."""
    rows = []
    for at, (point, full, other) in enumerate(zip(swept.scenarios, x, y, strict=True)):
        for replication in range(n):
            apart = (-1) ** (at + replication) * noise
            for name, value in ((FULL, full + apart / 100), (measure, other + apart)):
                rows.append((point, replication, name, "all", "", "%", value))
    columns = ["scenario", "replication", "measure", "where", "of", "unit", "value"]
    made = flowsim.Sweep(swept.out, swept.places)
    made.__dict__["results"] = pd.DataFrame(rows, columns=columns)
    return made


def test_the_steepest_step_is_that_of_most_a_unit(swept: flowsim.Sweep) -> None:
    """From 80 to 90 % it falls by 12 points, 1.2 for each; from 95 to 97 % by 6, 3 for each: that is steeper."""
    made = with_numbers(swept, FOUR, [95, 80, 97, 90], [70, 85, 64, 73], noise=0.01)
    table = against(made, FULL, FOUR)
    assert table["point"].tolist() == [made.scenarios[at] for at in (1, 3, 0, 2)]
    assert table["x"].tolist() == pytest.approx([80, 90, 95, 97])
    assert table["up"].tolist()[1:] == pytest.approx([-12, -3, -6])
    assert table["slope"].tolist()[1:] == pytest.approx([-1.2, -0.6, -3])
    assert steepest(table, FOUR) == 3
    assert table["clear"].tolist() == [False, True, True, True]
    said = sentence(table, FULL, FOUR)
    assert "this falls steepest between acute bed occupancy of 95.0 and 97.0 %, from 70.0 to 64.0 %" in said
    assert "that is -3.00 points" in said
    assert said.endswith("elsewhere at most -1.20.")


def test_of_a_measure_that_should_be_low_a_rise_is_looked_for(swept: flowsim.Sweep) -> None:
    made = with_numbers(swept, BOARDING, [80, 90, 95, 97], [9, 2, 4, 5], noise=0.001)
    table = against(made, FULL, BOARDING)
    assert steepest(table, BOARDING) == 3  # 0.5 hours a point, before it 0.4; the steep fall at first is no loss
    assert "this rises steepest between acute bed occupancy of 95.0 and 97.0 %, from 4.00 to 5.00" in sentence(
        table, FULL, BOARDING
    )


def test_a_step_that_chance_may_make_is_not_called_clear(swept: flowsim.Sweep) -> None:
    """By itself the last step excludes nought; as the steepest of three it does not."""
    made = with_numbers(swept, FOUR, [80, 90, 95, 97], [85, 84.5, 84, 78], noise=1.5)
    table = against(made, FULL, FOUR)
    last = table.iloc[-1]
    assert last["up_high"] < 0
    assert steepest(table, FOUR) == 3
    assert not table["clear"].any()
    said = sentence(table, FULL, FOUR)
    assert "it is not clear where this becomes worse" in said
    assert "not clear as the steepest of 3 steps" in said
    quiet = against(with_numbers(swept, FOUR, [80, 90, 95, 97], [85, 84.5, 84, 78], noise=0.9), FULL, FOUR)
    assert quiet["clear"].tolist() == [False, False, False, True]


def test_nothing_is_said_of_neighbours_that_are_not_told_apart_across(swept: flowsim.Sweep) -> None:
    made = with_numbers(swept, FOUR, [80, 80.001, 80.002, 80.003], [85, 80, 75, 70], noise=1.0)
    table = against(made, FULL, FOUR)
    assert table["slope"].isna().all()
    assert "no two neighbours differ clearly in acute bed occupancy" in sentence(table, FULL, FOUR)
    better = against(with_numbers(swept, FOUR, [80, 90, 95, 97], [70, 75, 80, 85], noise=0.01), FULL, FOUR)
    assert steepest(better, FOUR) is None
    assert "worse nowhere" in sentence(better, FULL, FOUR)


def test_one_replication_has_no_interval_and_nothing_is_clear(swept: flowsim.Sweep) -> None:
    made = with_numbers(swept, FOUR, [80, 90, 95, 97], [85, 84, 83, 40], noise=0.01, n=1)
    table = against(made, FULL, FOUR)
    assert not table["clear"].any()
    assert np.isnan(table["x_low"]).all()
    assert "not clear" in sentence(table, FULL, FOUR)


def test_its_means_and_intervals_are_those_of_the_sweep(swept: flowsim.Sweep) -> None:
    table = swept.against(FULL, "delayed_patients").set_index("point")
    for name, axis in ((FULL, "x"), ("delayed_patients", "y")):
        own = swept.table(name).set_index("point").loc[table.index]
        for ours, theirs in ((axis, "mean"), (f"{axis}_low", "low"), (f"{axis}_high", "high")):
            assert table[ours].tolist() == pytest.approx(own[theirs].tolist())
    assert table["x"].is_monotonic_increasing
    words = in_words(swept, table.reset_index(), FULL, "delayed_patients")
    assert set(words["point"]) == {"As things are", "wards=30", "wards=36", "wards=50"}


def test_from_the_command_line(swept: flowsim.Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["results", str(swept.out), f"against={FULL},delayed_patients"]
    assert cli.main(asked) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0] == sentence(swept.against(FULL, "delayed_patients"), FULL, "delayed_patients")
    assert "wards=36" in said
    assert (swept.out / "charts" / "against.png").is_file()
    assert cli.main([*asked, f"to={tmp_path / 'a.csv'}"]) == 0
    written = pd.read_csv(tmp_path / "a.csv")
    pd.testing.assert_frame_equal(written, swept.against(FULL, "delayed_patients"), check_dtype=False)
    assert cli.main([*asked, f"to={tmp_path / 'a.svg'}"]) == 0
    assert (tmp_path / "a.svg").is_file()
    capsys.readouterr()
    for pair, told in (
        (FULL, "two measures with a comma"),
        (f"{FULL},delayed", "did you mean 'delayed_share'"),
        (f"{FULL},{FULL}", "was given twice"),
    ):
        assert cli.main(["results", str(swept.out), f"against={pair}"]) == cli.MISTAKE
        assert told in capsys.readouterr().err


def test_a_run_has_nothing_to_be_held_against(tmp_path: Path) -> None:
    place = flowsim.load(*SMALL, scenarios_dir=PLACES)
    alone = flowsim.run(place, 2, out=tmp_path / "out", jobs=1, progress=False, charts=False)
    with pytest.raises(PlaceError, match="fewer than two points"):
        against(alone, FULL, "delayed_patients")
