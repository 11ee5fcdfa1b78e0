"""The two engines return the same tables, every column of every row; and a test that this test would notice.

Random crowded places (`engine_places.random_case`) go through both engines. Then the test is tested: each rule of
docs/engine-rules.md is turned round once in the kernel's source, at a line marked with it, which then runs as plain Python, and at least one of
the random places must come out different.
"""
# Mutations are read best on one line, and rows as dict(service=...).
# ruff: noqa: C408, E501

from __future__ import annotations

import csv
import functools
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numba
import numpy as np
import pytest
from engine_places import Builder, random_case
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_edits import (
    Edit,
    MarkError,
    also_if,
    always,
    backwards,
    drop,
    exchange,
    inside,
    marked,
    never,
    only,
    only_if,
    plus,
    put,
    sign,
    swap,
    turned,
)

from flowsim.engine import compiled, layout, reference
from flowsim.engine.layout import Tables
from flowsim.engine.stamps import Stamps, differing, first_difference
from flowsim.engine.standstill import Standstill
from flowsim.model.tables import Journeys, Network

KERNEL = Path(compiled.__file__).with_name("kernel.py")


def assert_same(journeys: Journeys, network: Network) -> None:
    expected = reference.run(journeys, network)
    found = compiled.run(journeys, network)
    if differing(expected, found):
        pytest.fail("reference against compiled, " + first_difference(expected, found, journeys))


@pytest.mark.parametrize("block", range(8))
def test_random_places_come_out_the_same(block: int) -> None:
    for seed in range(40 * block, 40 * block + 40):
        assert_same(*case(seed))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32 - 1),
    spells=st.integers(1, 120),
    services=st.integers(2, 6),
    pools=st.integers(0, 3),
    days=st.integers(1, 9),
    odd=st.sampled_from([0.0, 0.1, 1.0]),
)
def test_places_of_any_shape_come_out_the_same(
    seed: int, spells: int, services: int, pools: int, days: int, odd: float
) -> None:
    assert_same(*random_case(seed, spells=spells, services=services, pools=pools, days=days, odd=odd))


@pytest.mark.parametrize("seed", [1, 2])
def test_long_queues_come_out_the_same(seed: int) -> None:
    assert_same(*random_case(seed, spells=1200, services=4, pools=2, days=6))


def test_a_run_in_slices_is_the_same_run() -> None:
    journeys, network = case(3)
    told: list[int] = []
    in_slices = compiled.run(journeys, network, on_progress=told.append)
    assert not differing(in_slices, compiled.run(journeys, network))
    assert told == sorted(told)
    assert told[-1] == network.horizon
    assert len(told) > 3


def test_tables_copied_between_two_minutes_carry_on_alike() -> None:
    journeys, network = case(5)
    kernel = compiled.load_kernel()
    tables = compiled.lay_out(journeys, network)
    kernel.advance(*tables, 0, network.horizon // 3)
    branch = Tables(*(table.copy() for table in tables))
    for t in (tables, branch):
        kernel.advance(*t, network.horizon // 3, network.horizon)
        assert not differing(compiled.collect(*t.happened), compiled.run(journeys, network))


def test_everybody_in_a_queue_is_found_from_the_roots() -> None:
    kernel = compiled.load_kernel()
    most = 0
    for seed in range(10):
        journeys, network = case(seed)
        tables = compiled.lay_out(journeys, network)
        kernel.advance(*tables, 0, network.horizon // 2)
        spells, services = tables.spells[: len(journeys.spells.number)], tables.services
        queueing = np.flatnonzero(spells[:, layout.QUEUE] >= 0)
        assert compiled._queueing(spells, services).tolist() == queueing.tolist()
        most = max(most, len(queueing))
    assert most > 5


def test_nobody_comes() -> None:
    b = Builder(days=2)
    b.service("ward", 3, steps=[(100, 5)])
    assert_same(*b.build())


def test_priorities_far_apart_keep_their_order_and_too_many_are_refused() -> None:
    journeys, network = case(7)
    spread = replace(journeys, rows=replace(journeys.rows, priority=journeys.rows.priority * 10**9 - 10**8))
    assert not differing(compiled.run(spread, network), compiled.run(journeys, network))
    n = len(journeys.rows.priority)
    far = replace(network, calendars=replace(network.calendars, horizon=2**31 // max(n - 1, 1)))
    each = replace(journeys, rows=replace(journeys.rows, priority=np.arange(n)))
    with pytest.raises(ValueError, match="different priorities"):
        compiled.run(each, far)


@pytest.mark.parametrize("engine", [reference, compiled])
def test_people_waiting_for_each_other_without_end_are_found(engine: ModuleType) -> None:
    def build(**more: int) -> tuple[Journeys, Network]:
        b = Builder(days=2)
        b.service("ward", 1)
        b.service("flat", 1)
        b.spell(0, [dict(service="ward", duration=10), dict(service="flat", duration=10)])
        b.spell(0, [dict(service="flat", duration=10), dict(service="ward", duration=10, **more)])
        return b.build()

    with pytest.raises(Standstill, match="flat, ward"):
        engine.run(*build())
    engine.run(*build(patience=9999))


def test_first_difference_names_the_row_and_the_minute() -> None:
    journeys, network = case(0)
    a = compiled.run(journeys, network)
    assert first_difference(a, a, journeys) == ""
    k = int(np.flatnonzero(a.left >= 0)[-1])
    left = a.left.copy()
    left[k] += 1
    told = first_difference(a, replace(a, left=left), journeys)
    assert f"minute {a.left[k]} " in told
    assert f"left of row {k} " in told
    assert str(journeys.spells.number[journeys.rows.spell[k]]) in told
    assert "log" in first_difference(a, replace(a, log_queue=a.log_queue + 1), journeys)


# ---------------------------------------------------------------------------------------------- the test of the test

SOURCE = KERNEL.read_text()


@functools.cache
def case(seed: int) -> tuple[Journeys, Network]:
    """A random place; those below 0 are made by hand, for what random places do too seldom."""
    return BY_HAND[-seed - 1]() if seed < 0 else random_case(seed)


def an_acceptance_frees_units_in_the_same_service() -> tuple[Journeys, Network]:
    """Two who need two pass each other when the one between them, who needs one, lets go of kept units."""
    b = Builder(days=4)
    b.service("care", 4, first_fit=True)
    b.service("ward", 1)
    b.spell(0, [dict(service="care", duration=3000)])
    b.spell(650, [dict(service="care", units=2, duration=500)])
    care = dict(service="care", units=2, duration=600, keep=1)
    b.spell(0, [care, dict(service="ward", duration=120), dict(service="care", duration=60)])
    b.spell(720, [dict(service="care", units=2, duration=500)])
    return b.build()


def two_are_turned_away_in_one_minute() -> tuple[Journeys, Network]:
    """Whoever wants elsewhere first, the more urgent of the two gets the bed."""
    b = Builder(days=2)
    b.service("clinic", 0)
    for bed, priorities in (("a", (1, 0)), ("b", (0, 1))):
        b.service(bed, 1)
        for priority in priorities:
            b.spell(60, [dict(service="clinic", patience=0, otherwise=1),
                         dict(service=bed, priority=priority, duration=300)])  # fmt: skip
    return b.build()


def a_reservation_ends_in_the_minute_it_is_asked_for() -> tuple[Journeys, Network]:
    """The units go to whoever has waited for them, not to the readmitted person."""
    b = Builder(days=4)
    b.service("ed", 9)
    b.service("care", 2)
    child = [dict(service="ed", duration=300), dict(service="care", units=2, duration=60)]
    care = dict(service="care", units=2, duration=5000, kept_on_readmission=300)
    b.spell(0, [dict(service="ed", duration=60, readmission_gap=600, child=child), care])
    b.spell(100, [dict(service="care", units=2, duration=60)])
    return b.build()


def death_and_readmission_in_one_minute() -> tuple[Journeys, Network]:
    """The dead are not readmitted."""
    b = Builder(days=2)
    b.service("ed", 9)
    b.service("ward", 9)
    b.service("flat", 0)
    ed = dict(service="ed", duration=60, readmission_gap=500, child=[dict(service="ed", duration=60)])
    b.spell(0, [ed, dict(service="ward", duration=100, death_after=400), dict(service="flat")])
    return b.build()


def a_look_opens_a_bed_for_a_try_now() -> tuple[Journeys, Network]:
    """It is taken in the rounds after the look, before try-nows are turned away."""
    b = Builder(days=2)
    b.service("clinic", 0)
    b.rule("clinic", "clinic", 1, opens=1, closes=0, looks=[600])
    b.spell(600, [dict(service="clinic", patience=0, duration=60)])
    return b.build()


BY_HAND = [
    an_acceptance_frees_units_in_the_same_service,
    two_are_turned_away_in_one_minute,
    a_reservation_ends_in_the_minute_it_is_asked_for,
    death_and_readmission_in_one_minute,
    a_look_opens_a_bed_for_a_try_now,
]


@pytest.mark.parametrize("k", range(1, len(BY_HAND) + 1))
def test_places_made_by_hand_come_out_the_same(k: int) -> None:
    assert_same(*case(-k))


@functools.cache
def expected(seed: int) -> Stamps:
    return compiled.run(*case(seed))


def as_python(changes: dict[str, Edit] | None = None, source: str = SOURCE) -> ModuleType:
    """The kernel as plain Python, its marked lines changed so."""
    tree = turned(source, changes or {})
    module = ModuleType("mutant")
    before = numba.config.DISABLE_JIT
    numba.config.DISABLE_JIT = True
    try:
        exec(compile(tree, "mutant.py", "exec"), vars(module))
        vars(module)["fetch"] = lambda *_: None  # machine code; this changes nothing
        vars(module)["index"] = int
        vars(module)["lowest_bit"] = lambda word: (int(word) & -int(word)).bit_length() - 1
    finally:
        numba.config.DISABLE_JIT = before
    return module


def run_as(kernel: ModuleType, seed: int, monkeypatch: pytest.MonkeyPatch) -> Stamps | None:
    """A case in such a kernel; none if it broke down, which is noticed too.

    Only by what wrong numbers can bring about: a name that the kernel has no more (NameError, AttributeError) or a call
    it does not take (TypeError) is an edit that fits no longer, and fails the test.
    """
    journeys, network = case(seed)
    with monkeypatch.context() as m:
        m.setattr(compiled, "load_kernel", lambda: kernel)
        try:
            with at_most(4):  # whole cases take a fifth of a second at most
                return compiled.run(journeys, network)
        except (Standstill, ArithmeticError, LookupError, ValueError, TimeoutError):
            return None


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """A mutant may turn in a circle: of a processor's time, which nobody else at work on the machine takes away.

    Where there is no such alarm, as on Windows, it then does so for ever.
    """

    def stop(*_: object) -> None:
        raise TimeoutError

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def test_the_kernel_is_the_same_as_plain_python(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = as_python()
    for seed in range(25):
        found = run_as(kernel, seed, monkeypatch)
        assert found is not None
        assert not differing(found, expected(seed))


ROUNDS = (
    "rounds(rows, rare, tasks, stamps, spells, services, heads, asks, openings, first, run, quota_day, quota_week, t)"
)
LOOK = "look(services, run, looks, rules, t)"
ORDER = "a minute, order"

Mutation = tuple[dict[str, Edit], str] | dict[str, Edit]
"""What becomes of each marked line, and code that runs beside the kernel's before each case."""

MUTATIONS: dict[str, Mutation] = {
    # Queues
    "last come, first served": {"want, key": sign("+", "-")},
    "ties by spell number the other way": {"want, ties": sign("<", ">")},
    "priority ignored": {"want, key": only("right", "+")},
    "staff queue without the priority of the row held": {"task, key": only("right", "+")},
    "since ignored": {"want, since": never},
    "a fallback keeps the minute of its first queue": (
        {"want, minute of joining": put("...\nASKED[n] = t\njoined = FALLEN.pop(n, t)"),
         "patience ends, in the queue": put("...\nFALLEN[n] = ASKED[n]")},
        "ASKED, FALLEN = {}, {}",
    ),
    "first fit waits for the head": {"decision 2, first fit": never},
    "first fit does not look again from the head": (
        {"decision 2, first fit": swap("first_that_fits(spells, services, s, free)", "next_behind(spells, run, s, free, passed)"),
         "decision 2, all it can": put("passed = (-1, -1)\n..."),
         "decision 2, accepted": put("passed = (spells[n, KEY], n)\n...")},
        "def next_behind(spells, run, s, free, passed):\n"
        "    import numpy as np\n"
        "    queueing = np.flatnonzero(spells[: run[N_SPELLS], QUEUE] == s)\n"
        "    q = [(spells[n, KEY], n) for n in queueing if spells[n, NEED] <= free]\n"
        "    return min((n for n in q if n > passed), default=(0, -1))[1]",
    ),
    # Calendars and quotas
    "n open minutes end with the n-th, not one later": {"task, open minutes": plus(-1)},
    "the next open minute is never now": {
        "task, end": swap("next_open(openings, first, calendar, t)", "next_open(openings, first, calendar, t + (calendar >= 0))"),
    },
    "a service opens one minute late": {
        "decision 2, calendar": put(
            "...\n"
            "if opens == t and t > 0 and next_open(openings, first, int64(services[s, CALENDAR]), t - 1) == t:\n"
            "    opens = t + 1"
        ),
    },
    "nobody is woken when a service opens": {"decision is due, opened": drop},
    "nobody is woken when a quota is reset": {"decision is due, quota": drop},
    "a week begins on the first day of the run": {"decision 2, week": only("left", "+")},
    "what is left of a day's quota is carried over": {"decision 2, quota of the day": drop},
    "staff are granted while closed": {"decision 2, may accept": only_if("spells[n, PHASE] == QUEUES")},
    # The decision
    "services in falling order": (
        {"decision 2, index order": swap("next_touched(run, 0)", "last_touched(run, 31)"),
         "decision 2, the next service": swap("next_touched(run, s + 1)", "last_touched(run, s - 1)"),
         "decision 2, the next round": swap("next_touched(run, 0)", "last_touched(run, 31)")},
        "def last_touched(run, s):\n    return max((k for k in range(s + 1) if run[DIRTY] >> k & 1), default=-1)",
    ),
    "one acceptance a service and round": (
        {"decision 2, all it can": inside(
            "...\n"
            "if next_touched(run, 0) != s or next_touched(run, s + 1) >= 0:\n"
            "    MORE_LATER.append(s)\n"
            "    break"
         ),
         "decision 2, the next service": put("while MORE_LATER:\n    touch(run, MORE_LATER.pop())\n...")},
        "MORE_LATER = []",
    ),
    "escalation looks before the rounds": {"decision 2, then 3": put(f"if first_pass and fixed:\n    {LOOK}\n...")},
    "escalation opens one person late": {"decision 3, opens": sign(">=", ">")},
    "escalation closes one person late": {"decision 3, closes": sign("<=", "<")},
    "the last look does not close": {"decision 3, closes": only("right", "or")},
    "no rounds after the look": {"decision 3, then rounds again": put("...\nbreak")},
    "try-nows are turned away one by one": {"decision 4, want elsewhere": inside(f"{ROUNDS}\n...")},
    "patience does not wait for its clock": {"want, patience until a clock": drop},
    "patience counts the open minutes of its clock": {
        "want, patience until a clock": swap(
            "next_open(openings, first, int64(rare[more, PATIENCE_CALENDAR]), t)",
            "plus_open(openings, first, int64(rare[more, PATIENCE_CALENDAR]), t - rows[j, PATIENCE], rows[j, PATIENCE])",
        ),
    },
    "a try-now waits a minute": {"try now": put("...\nif patience == 0:\n    patience = 1")},
    "displacement in the other order": {"displacement, order": backwards},
    "displacement after the rounds": {"decision 1": inside(f"{ROUNDS}\n...")},
    # Accepting and moving
    "units are in use only from the start": (
        {"accepted, in use": put("LATER[n] = services, s, need - handed"),
         "start, started": put("...\nif n in LATER:\n    services, s, units = LATER.pop(n)\n    services[s, IN_USE] += units")},
        "LATER = {}",
    ),
    "what is freed is seen in the next minute only": {"decision is due, freed": never},
    "a move within a service queues": {"want, nothing needed": never},
    "a move within a service needs all its units": {"want, less the units held": never},
    "kept units count towards the next row": {"want, not those kept": only("left", "and")},
    "units are not kept": {"leave, kept": never},
    "kept units are freed with the spell only": {"leave, kept until": only("left", "or")},
    "a place is held though it is let go": {"leave, hold": never},
    "tasks before asking are done again after a refusal": {
        "patience ends, want otherwise": put(
            "...\n"
            "i = spells[n, ROW]\n"
            "if i >= 0 and rows[j, OTHERWISE] >= 0:\n"
            "    rows[i, NEXT] = rows[j, OTHERWISE]\n"
            "    spells[n, PHASE] = BEFORE\n"
            "    spells[n, TASK] = rows[i, FIRST_TASK]\n"
            "    spells[n, LAST_TASK] = rows[i, FIRST_TASK] + rows[i, N_BEFORE]"
        ),
        "a minute, on": also_if("kind == PATIENCE_ENDS and spells[n, PHASE] == BEFORE"),
        "decision 4, want elsewhere": also_if("spells[n, PHASE] == BEFORE"),
    },
    "recognition one task late": {"ready, recognition": only("left", "+")},
    "tasks are done though a package is kept": {"task, skip if kept": never},
    "the last task has no staff to free": {"task, unit free again": never},
    # Timers
    "patience loses to an acceptance in the same minute": (
        {"patience ends": put("if first_pass:\n    LATE.append(n)\nelse:\n    ..."),
         "decision is due": only_if("not LATE"),
         "decision 4, all together": put(
            "while LATE:\n"
            "    n = LATE.pop()\n"
            "    if spells[n, PHASE] == QUEUES:\n"
            "        schedule(spells, heads, run, PATIENCE_ENDS, n, t)\n"
            "..."
         )},
        "LATE = []",
    ),
    "patience counts from `since`": {
        "want, patience": swap("t + patience", "max(spells[n, KEY] % run[HORIZON] + patience, t + 1)"),
    },
    "a need declines one minute early": {"want, declined": plus(-1)},
    "decline counts from joining": {"want, declined": swap("int64(spells[n, BASE])", "t")},
    "decline counts from arrival after displacement too": {"displacement, base": drop},
    "a declined need goes to the end of the queue": {
        "want, the key stays": put("...\nkey = key // run[HORIZON] * run[HORIZON] + run[HORIZON] - 1"),
    },
    "a declined need takes no longer": {"start, declined": never},
    "readmission before death": {ORDER: exchange("DEATH", "READMISSION")},
    "unfit again before death": {ORDER: exchange("DEATH", "UNFIT")},
    "patience before unfit again": {ORDER: exchange("UNFIT", "PATIENCE_ENDS")},
    "the main event before unfit again": {ORDER: exchange("UNFIT", "MAIN")},
    "the main event before death": {ORDER: exchange("DEATH", "MAIN")},
    "the main event before readmission": {ORDER: exchange("READMISSION", "MAIN")},
    "the main event before release": {ORDER: exchange("RELEASE", "MAIN")},
    "no death after acceptance": {"accepted, timers end": put("...\ncancel(spells, heads, DEATH, n)")},
    "unfit again after acceptance": {"accepted, timers end": drop},
    "unfit again keeps the surplus": {"unfit again, surplus": drop},
    # Readmission
    "going home cancels a readmission": {"readmission, of the dead": also_if("phase == GONE")},
    "death does not cancel a readmission": {"readmission, of the dead": never},
    "nothing is reserved for the readmitted": {"readmission, reserved": never},
    "a reservation is never released": {"readmission, release": drop},
    "a reservation does not lessen the need": {"want, less what is reserved": drop},
    "a lost reservation does not add to the need": {"readmission, released": never},
    "a reservation outlives the spell": {"readmission, not taken over": never},
    "readmission counts from ready": {"leave, readmission": swap("t", "int64(stamps[i, ROW_READY])")},
    # The log
    "escalation gives no reason": {"capacity log, reason": swap("ESCALATED + 1", "max(services[s, CHANGED], 1)")},
    "every change is logged": {"capacity log, changed": always},
}  # fmt: skip


SEEDS = int(os.environ.get("FLOWSIM_MUTATION_SEEDS", "200"))
NOTICED = Path(__file__).with_name("mutations.csv")
"""Of each mutation the case that noticed it when it was last searched for, which is tried first."""


def noticed() -> dict[str, int]:
    with NOTICED.open(encoding="utf-8", newline="") as file:
        return {row["rule"]: int(row["case"]) for row in csv.DictReader(file)}


def write_noticed(by: dict[str, int]) -> None:
    with NOTICED.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(("rule", "case"))
        lines.writerows((rule, by[rule]) for rule in MUTATIONS if rule in by)


@pytest.mark.parametrize("rule", MUTATIONS)
def test_a_rule_turned_round_is_noticed(
    rule: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    mutation = MUTATIONS[rule]
    changes, beside = mutation if isinstance(mutation, tuple) else (mutation, "")
    mutant = as_python(changes)
    anew = request.config.getoption("--refresh-mutations")
    before = [] if anew else [seed for of, seed in noticed().items() if of == rule]
    for seed in (*before, *range(-len(BY_HAND), SEEDS)):
        exec(beside, vars(mutant))  # each case anew, lest one be noticed by what is left of another
        found = run_as(mutant, seed, monkeypatch)
        if found is None or differing(found, expected(seed)):
            if anew:
                write_noticed(noticed() | {rule: seed})
            return
    pytest.fail(f"{SEEDS} random places come out the same with: {rule}")


def test_each_mark_of_the_kernel_is_turned_and_names_a_rule() -> None:
    marks = marked(SOURCE)
    turned_marks = {
        mark for mutation in MUTATIONS.values() for mark in (mutation[0] if isinstance(mutation, tuple) else mutation)
    }
    assert set(marks) == turned_marks
    rules = (KERNEL.parents[2] / "docs" / "engine-rules.md").read_text(encoding="utf-8").lower()
    assert not [mark for mark in marks if mark.split(",")[0].rstrip(" 1234") not in rules]


def test_a_mark_that_is_missing_or_stands_twice_is_said() -> None:
    mark = "  # rule: want, ties"
    with pytest.raises(MarkError, match="The mark `# rule: want, ties` is missing from the source"):
        as_python({"want, ties": drop}, source=SOURCE.replace(mark, ""))
    with pytest.raises(MarkError, match="The mark `# rule: want, ties` stands 2 times in the source"):
        as_python({"want, ties": drop}, source=SOURCE.replace(mark, mark + "\n" + mark))
    with pytest.raises(MarkError, match="At the mark `# rule: want, ties`, `return a < b`: the sign >= is there 0 ti"):
        as_python({"want, ties": sign(">=", ">")})


def test_names_and_layout_may_change_and_a_name_that_is_gone_is_not_taken_for_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = SOURCE.replace("return a < b  #", "return (\n        one < b\n    )  #")
    other = other.replace("comes_before(spells, a, b)", "comes_before(spells, one, b)").replace(
        "[a, KEY]", "[one, KEY]"
    )
    mutant = run_as(as_python({"want, ties": sign("<", ">")}, source=other), 0, monkeypatch)
    assert mutant is None or differing(mutant, expected(0))
    with pytest.raises(NameError, match="no_more"):
        run_as(as_python({"want, key": put("key = no_more")}), 0, monkeypatch)


def test_a_case_is_remembered_for_each_mutation_and_for_no_other() -> None:
    assert list(noticed()) == list(MUTATIONS), "pytest tests/test_identity.py --refresh-mutations"
