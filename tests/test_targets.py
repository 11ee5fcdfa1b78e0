"""Targets: what is published is of a measure that there is, in a place that there is, and what charts show is of it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from flowsim.declare.composition import load
from flowsim.declare.evidence import read_register
from flowsim.declare.targets import COLUMNS, read_targets
from flowsim.declare.yaml_and_csv import shipped_folder
from flowsim.measures.registry import MEASURES
from flowsim.place import PlaceError

SHIPPED = (shipped_folder(),)
TARGETS = read_targets(SHIPPED)
GOLDEN = Path(__file__).parent / "golden" / "baseline.csv"


def test_a_target_is_of_a_measure_or_says_why_there_is_none():
    by_site_only = {"pathway_share"}  # there in all, not by hospital
    for target in TARGETS.values():
        if target.not_measured:
            assert target.measure not in MEASURES or target.measure in by_site_only, target.id
        else:
            assert target.measure in MEASURES, target.id
            assert target.unit == MEASURES[target.measure].unit.replace("people a day", "people"), target.id


def test_a_target_is_of_somewhere():
    place = load()
    assert {target.where for target in TARGETS.values()} <= {"all", *place.sites, *place.localities}


def test_what_is_measured_has_rows_like_it_in_a_run():
    with GOLDEN.open(encoding="utf-8", newline="") as file:
        rows = {(row["measure"], row["where"], row["of"]) for row in csv.DictReader(file)}
    of_a_site = {"discharges_by_weekday"}  # by site the golden run keeps no weekdays
    missing = [
        target.id
        for target in TARGETS.values()
        if not target.not_measured
        and (target.measure, target.where, target.of) not in rows
        and not (target.measure in of_a_site and (target.measure, "all", target.of) in rows)
    ]
    assert missing == []


def test_what_charts_show_as_published_is_among_the_targets():
    register = read_register(SHIPPED)
    for published, ids in load().published.items():
        measure, _, site = published.partition(" | ")
        for one in ids:
            values = [
                t.value for t in TARGETS.values() if (t.measure, t.where, t.source) == (measure, site or "all", one)
            ]
            assert values == [float(text) for text in register[one].value.split("/")]


ROW = dict.fromkeys(COLUMNS, "") | {
    "id": "X1", "measure": "acute_occupancy", "where": "all", "value": "95", "low": "94", "high": "96",
    "source": "AC-01",
}  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([ROW | {"low": "95.5"}], "line 2: 95 from 95.5 to 96; allowed: low <= value <= high"),
        ([ROW | {"high": "20 / 30"}], "could not convert string to float: '20 / 30'; allowed: numbers"),
        ([ROW | {"where": ""}], "a target has an id, a measure, a where and a source"),
        ([ROW, ROW], "'X1' is given twice; allowed: each id once"),
    ],
)
def test_a_row_that_is_no_target(tmp_path: Path, rows: list[dict[str, str]], message: str) -> None:
    write(tmp_path, rows)
    with pytest.raises(PlaceError, match=message):
        read_targets([tmp_path])


def test_a_folder_of_ones_own_wins(tmp_path: Path) -> None:
    write(tmp_path, [ROW | {"id": "A1"}])
    assert read_targets([tmp_path, *SHIPPED])["A1"].value == 95
    assert len(read_targets([tmp_path, *SHIPPED])) == len(TARGETS)


def write(folder: Path, rows: list[dict[str, str]]) -> None:
    (folder / "evidence").mkdir()
    with (folder / "evidence" / "targets.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
