"""The two engines return the same tables, every column of every row; and a test that this test would notice.

Random crowded places (`engine_places.random_case`) go through both engines. Then the test is tested: each rule of
docs/engine-rules.md is turned round once in the kernel's source, which then runs as plain Python, and at least one of
the random places must come out different.
"""
# Patches of source text are read best on one line, and rows as dict(service=...).
# ruff: noqa: C408, E501

from __future__ import annotations

import csv
import functools
import os
import shutil
import signal
import subprocess
import sys
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

from flowsim.engine import cache, compiled, layout, reference
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


# ------------------------------------------------------------------------------------------ the code kept on disk


def test_every_source_of_the_engine_counts_for_the_cache(tmp_path: Path) -> None:
    package = tmp_path / "flowsim"
    shutil.copytree(Path(compiled.__file__).parents[1], package, ignore=shutil.ignore_patterns("__pycache__"))
    before = cache.source_hash(package)
    assert cache.source_hash(package) == before
    for name in (
        "engine/kernel.py",
        "engine/layout.py",
        "engine/carry.py",
        "engine/stamps.py",
        "model/tables.py",
        "model/calendar.py",
    ):
        with (package / name).open("a") as source:
            source.write("# changed\n")
        after = cache.source_hash(package)
        assert after != before, name
        before = after


def test_a_new_process_finds_the_compiled_code_and_one_without_says_that_it_compiles(tmp_path: Path) -> None:
    compiled.run(*case(0))  # compiled by now, if it was not before
    assert any(cache.cache_folder().rglob("*advance*.nbi")), "Numba kept the kernel elsewhere"
    code = "from flowsim.engine import cache, compiled; compiled.load_kernel(); print(cache.cache_folder())"

    def new_process(**more: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | more
        return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)

    found = new_process()
    assert "compiling" not in found.stderr
    assert Path(found.stdout.strip()) == cache.cache_folder()
    assert new_process(XDG_CACHE_HOME=str(tmp_path), LOCALAPPDATA=str(tmp_path)).stderr.count("compiling") == 1


def test_without_a_folder_to_write_to_the_cache_goes_to_temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "a file, not a folder"
    blocked.touch()
    monkeypatch.setenv("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME", str(blocked))
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path))
    assert tmp_path in cache.cache_folder().parents


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


def as_python(*changes: tuple[str, str], extra: str = "") -> ModuleType:
    """The kernel as plain Python, with its text changed so."""
    text = SOURCE
    for old, new in changes:
        assert text.count(old) == 1, f"{text.count(old)} times in kernel.py: {old}"
        text = text.replace(old, new)
    module = ModuleType("mutant")
    before = numba.config.DISABLE_JIT
    numba.config.DISABLE_JIT = True
    try:
        exec(compile(text + extra, "mutant.py", "exec"), vars(module))
        vars(module)["fetch"] = lambda *_: None  # machine code; this changes nothing
        vars(module)["index"] = int
        vars(module)["lowest_bit"] = lambda word: (int(word) & -int(word)).bit_length() - 1
    finally:
        numba.config.DISABLE_JIT = before
    return module


def run_as(kernel: ModuleType, seed: int, monkeypatch: pytest.MonkeyPatch) -> Stamps | None:
    """A case in such a kernel; none if it broke down, which is noticed too."""
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
BEGINNING = "    for t in range(begin, end):\n"
KIND_ORDER = "DEATH, READMISSION, UNFIT, PATIENCE_ENDS, DECLINE, RELEASE, MAIN, WAKE = ("

MUTATIONS: dict[str, tuple] = {
    # Queues
    "last come, first served": (("* run[HORIZON] + joined, need)", "* run[HORIZON] + run[HORIZON] - 1 - joined, need)"),),
    "ties by spell number the other way": (("    return a < b\n", "    return a > b\n"),),
    "priority ignored": (("int64(rows[j, PRIORITY]) * run[HORIZON] + joined", "joined"),),
    "staff queue without the priority of the row held": (("int64(rows[index(i), PRIORITY]) * run[HORIZON] + t", "t"),),
    "since ignored": (("        since = int64(rare[more, SINCE])\n", "        since = -1\n"),),
    "a fallback keeps the minute of its first queue": (
        ("    rows[j, ENDED] = ended\n    spells[n, TARGET] = rows[j, OTHERWISE]\n",
         "    rows[j, ENDED] = ended\n    FALLEN[n] = STAMPS[0][j, ROW_JOINED]\n    spells[n, TARGET] = rows[j, OTHERWISE]\n"),
        ("    joined = t\n", "    joined = FALLEN.pop(n, t)\n"),
        (BEGINNING, "    STAMPS[:] = [stamps]\n" + BEGINNING),
        ("FAR = 2**31 - 1\n", "FAR = 2**31 - 1\nFALLEN = {}\nSTAMPS = []\n"),
    ),
    "first fit waits for the head": (
        ("first_that_fits(spells, services, s, free) if services[s, FIRST_FIT] else index(services[s, HEAD])",
         "index(services[s, HEAD])"),
    ),
    "first fit does not look again from the head": (
        ("first_that_fits(spells, services, s, free) if", "next_behind(spells, s, free, passed) if"),
        ("        while services[s, WAITING] > 0:\n", "        passed = (-1, -1)\n        while services[s, WAITING] > 0:\n"),
        ("            quit_queue(spells, services, run, n)\n            if spells[n, PHASE] == QUEUES:\n",
         "            passed = (spells[n, KEY], n)\n            quit_queue(spells, services, run, n)\n            if spells[n, PHASE] == QUEUES:\n"),
        ("FAR = 2**31 - 1\n",
         "FAR = 2**31 - 1\n\n\ndef next_behind(spells, s, free, passed):\n    import numpy as np\n\n"
         "    q = [(spells[n, KEY], n) for n in np.flatnonzero(spells[:, QUEUE] == s) if spells[n, NEED] <= free]\n"
         "    return min((n for n in q if n > passed), default=(0, -1))[1]\n"),
    ),
    # Calendars and quotas
    "n open minutes end with the n-th, not one later": (("    return begin + n\n", "    return begin + n - 1\n"),),
    "the next open minute is never now": (("else next_open(openings, first, calendar, t)", "else next_open(openings, first, calendar, t + (calendar >= 0))"),),
    "a service opens one minute late": (
        ("int64(services[s, CALENDAR]), t)\n    if opens > t:\n        wake(spells, services, heads, run, s, opens)",
         "int64(services[s, CALENDAR]), max(t - 1, 0))\n"
         "    if opens > max(t - 1, 0):\n        wake(spells, services, heads, run, s, opens + 1)"),
    ),
    "nobody is woken when a service opens": (
        ("        wake(spells, services, heads, run, s, opens)\n", ""),
    ),
    "nobody is woken when a quota is reset": (("            wake(spells, services, heads, run, s, (day + 1) * DAY)\n", ""),),
    "a week begins on the first day of the run": (("(day + run[WEEKDAY]) // 7", "day // 7"),),
    "what is left of a day's quota is carried over": (("            services[s, USED_DAY] = 0\n", ""),),
    "staff are granted while closed": (("if not may_accept(", "if spells[n, PHASE] == QUEUES and not may_accept("),),
    # The decision
    "services in falling order": (
        ("    s = next_touched(run, 0)\n    while s >= 0:\n", "    s = last_touched(run, 31)\n    while s >= 0:\n"),
        ("        after = next_touched(run, s + 1)\n        s = after if after >= 0 else next_touched(run, 0)\n",
         "        after = last_touched(run, s - 1)\n        s = after if after >= 0 else last_touched(run, 31)\n"),
        ("FAR = 2**31 - 1\n",
         "FAR = 2**31 - 1\n\n\ndef last_touched(run, s):\n"
         "    return max((k for k in range(s + 1) if run[DIRTY] >> k & 1), default=-1)\n"),
    ),
    "one acceptance a service and round": (
        ("                grant(tasks, spells, heads, openings, first, run, n, t)\n        run[DIRTY",
         "                grant(tasks, spells, heads, openings, first, run, n, t)\n"
         "            if next_touched(run, 0) != s or next_touched(run, s + 1) >= 0:\n"
         "                MORE_LATER.append(s)\n                break\n        run[DIRTY"),
        ("        after = next_touched(run, s + 1)\n",
         "        while MORE_LATER:\n            touch(run, MORE_LATER.pop())\n        after = next_touched(run, s + 1)\n"),
        ("FAR = 2**31 - 1\n", "FAR = 2**31 - 1\nMORE_LATER = []\n"),
    ),
    "escalation looks before the rounds": (
        ("            while True:\n                rounds(",
         "            if first_pass and fixed:\n                look(services, run, looks, rules, t)\n"
         "            while True:\n                rounds("),
    ),
    "escalation opens one person late": (("elif queue >= rules[rule, RULE_OPEN]", "elif queue > rules[rule, RULE_OPEN]"),),
    "escalation closes one person late": (("queue <= rules[rule, RULE_CLOSE]", "queue < rules[rule, RULE_CLOSE]"),),
    "the last look does not close": (("if last or queue", "if queue"),),
    "no rounds after the look": (
        ("                look(services, run, looks, rules, t)  # and rounds again\n",
         "                look(services, run, looks, rules, t)\n                break\n"),
    ),
    "try-nows are turned away one by one": (
        ("                if spells[n, PHASE] == WANTS:\n                    proceed_rarely(",
         f"                if spells[n, PHASE] == WANTS:\n                    {ROUNDS}\n                    proceed_rarely("),
    ),
    "a try-now waits a minute": (
        ("    if patience > 0:\n        schedule(spells, heads, run, PATIENCE_ENDS, n, t + patience)\n",
         "    if patience >= 0:\n        schedule(spells, heads, run, PATIENCE_ENDS, n, t + max(patience, 1))\n"),
    ),
    "displacement in the other order": (
        ("for p in range(services[s, ORDER_FROM], services[s, ORDER_TO]):",
         "for p in range(services[s, ORDER_TO] - 1, services[s, ORDER_FROM] - 1, -1):"),
    ),
    "displacement after the rounds": (
        ("            if first_pass and fixed:\n                while (", f"            if first_pass and fixed:\n                {ROUNDS}\n                while ("),
    ),
    # Accepting and moving
    "units are in use only from the start": (
        ("    services[s, IN_USE] += need - handed\n", "    LATER[n] = need - handed\n"),
        ("    stamps[j, ROW_STARTED] = t\n",
         "    stamps[j, ROW_STARTED] = t\n    EVENTS_IN_USE(j, n)\n"),
        ("def start(rows, rare, stamps, spells, heads, run, n, j, t):\n",
         "def start(rows, rare, stamps, spells, heads, run, n, j, t):\n"
         "    EVENTS_IN_USE = lambda j, n: SERVICES[0].__setitem__((rows[j, SERVICE], IN_USE),\n"
         "        SERVICES[0][rows[j, SERVICE], IN_USE] + LATER.pop(n, 0))\n"),
        (BEGINNING, "    SERVICES[:] = [services]\n" + BEGINNING),
        ("FAR = 2**31 - 1\n", "FAR = 2**31 - 1\nLATER = {}\nSERVICES = []\n"),
    ),
    "what is freed is seen in the next minute only": (
        ("    services[s, IN_USE] -= units\n    if units > 0 and services[s, WAITING] > 0:\n        touch(run, s)\n",
         "    services[s, IN_USE] -= units\n"),
    ),
    "a move within a service queues": (("    if need <= 0:\n        return True\n", ""),),
    "a move within a service needs all its units": (
        ("    if spells[n, MARKS] & HOLDS:\n        i = index(spells[n, ROW])\n", "    if False:\n        i = int64(spells[n, ROW])\n"),
    ),
    "kept units count towards the next row": (("== s and keeps_for(rows, rare, i) < 0:", "== s:"),),
    "units are not kept": (("    if may_keep and keeps_for(rows, rare, i) >= 0:", "    if False:"),),
    "kept units are freed with the spell only": (("if ended < 0 or keeps_for(rows, rare, row) == ended:", "if ended < 0:"),),
    "a place is held though it is let go": (("        if not rare[more, HOLD]:\n", "        if False:\n"),),
    "tasks before asking are done again after a refusal": (
        ("    spells[n, TARGET] = rows[j, OTHERWISE]\n    spells[n, PHASE] = WANTS\n",
         "    spells[n, TARGET] = rows[j, OTHERWISE]\n    spells[n, PHASE] = WANTS\n"
         "    i = spells[n, ROW]\n"
         "    if i >= 0 and rows[j, OTHERWISE] >= 0:\n"
         "        rows[i, NEXT] = rows[j, OTHERWISE]\n"
         "        spells[n, PHASE] = BEFORE\n"
         "        spells[n, TASK] = rows[i, FIRST_TASK]\n"
         "        spells[n, LAST_TASK] = rows[i, FIRST_TASK] + rows[i, N_BEFORE]\n"),
        ("if spells[n, PHASE] == WANTS or (kind == MAIN", "if spells[n, PHASE] == WANTS or (kind in (MAIN, PATIENCE_ENDS)"),
        ("                if spells[n, PHASE] == WANTS:\n                    proceed_rarely(",
         "                if spells[n, PHASE] in (WANTS, BEFORE):\n                    proceed_rarely("),
    ),
    "recognition one task late": (("k - rows[i, FIRST_TASK] + 1 == rows", "k - rows[i, FIRST_TASK] == rows"),),
    "tasks are done though a package is kept": (("if tasks[k, TASK_SKIP] and", "if False and"),),
    "the last task has no staff to free": (("    if tasks[k, TASK_POOL] >= 0:\n        free_units(", "    if False:\n        free_units("),),
    # Timers
    "patience loses to an acceptance in the same minute": (
        ("                elif kind == PATIENCE_ENDS:\n",
         "                elif kind == PATIENCE_ENDS and first_pass:\n                    LATE.append(n)\n"
         "                elif kind == PATIENCE_ENDS:\n"),
        ("next_touched(run, 0) < 0 and run[ASKS] == 0:", "next_touched(run, 0) < 0 and run[ASKS] == 0 and not LATE:"),
        ("            # Of those still queueing",
         "            while LATE:\n                n = LATE.pop()\n                if spells[n, PHASE] == QUEUES:\n"
         "                    schedule(spells, heads, run, PATIENCE_ENDS, n, t)\n"
         "            # Of those still queueing"),
        ("FAR = 2**31 - 1\n", "FAR = 2**31 - 1\nLATE = []\n"),
    ),
    "patience counts from `since`": (
        ("schedule(spells, heads, run, PATIENCE_ENDS, n, t + patience)",
         "schedule(spells, heads, run, PATIENCE_ENDS, n, max(spells[n, KEY] % run[HORIZON] + patience, t + 1))"),
    ),
    "a need declines one minute early": (("int64(rare[more, DECLINE_AFTER]) + 1\n", "int64(rare[more, DECLINE_AFTER])\n"),),
    "decline counts from joining": (("int64(spells[n, BASE]) + int64(rare[more", "t + int64(rare[more"),),
    "decline counts from arrival after displacement too": (
        ("DISPLACED_TO] if more >= 0 else -1\n    spells[n, BASE] = t\n", "DISPLACED_TO] if more >= 0 else -1\n"),
    ),
    "a declined need goes to the end of the queue": (
        ("    key = int64(spells[n, KEY])\n", "    key = int64(spells[n, KEY]) // run[HORIZON] * run[HORIZON] + run[HORIZON] - 1\n"),
    ),
    "a declined need takes no longer": (("int64(rare[rows[j, RARE], DECLINED_DURATION])", "int64(rows[j, DURATION])"),),
    "readmission before death": ((KIND_ORDER, KIND_ORDER.replace("DEATH, READMISSION", "READMISSION, DEATH")),),
    "unfit again before death": ((KIND_ORDER, KIND_ORDER.replace("DEATH, READMISSION, UNFIT", "UNFIT, READMISSION, DEATH")),),
    "patience before unfit again": ((KIND_ORDER, KIND_ORDER.replace("UNFIT, PATIENCE_ENDS", "PATIENCE_ENDS, UNFIT")),),
    "the main event before unfit again": ((KIND_ORDER, "DEATH, READMISSION, MAIN, PATIENCE_ENDS, DECLINE, RELEASE, UNFIT, WAKE = ("),),
    "the main event before death": ((KIND_ORDER, "MAIN, READMISSION, UNFIT, PATIENCE_ENDS, DECLINE, RELEASE, DEATH, WAKE = ("),),
    "the main event before readmission": ((KIND_ORDER, "DEATH, MAIN, UNFIT, PATIENCE_ENDS, DECLINE, RELEASE, READMISSION, WAKE = ("),),
    "the main event before release": ((KIND_ORDER, KIND_ORDER.replace("RELEASE, MAIN", "MAIN, RELEASE")),),
    "no death after acceptance": (
        ("    cancel(spells, heads, UNFIT, n)\n    j = index(spells[n, TARGET])\n",
         "    cancel(spells, heads, UNFIT, n)\n    cancel(spells, heads, DEATH, n)\n    j = index(spells[n, TARGET])\n"),
    ),
    "unfit again after acceptance": (
        ("    cancel(spells, heads, UNFIT, n)\n    j = index(spells[n, TARGET])\n", "    j = index(spells[n, TARGET])\n"),
    ),
    "unfit again keeps the surplus": (("int64(rows[i, TAKEN]) - units)", "0)"),),
    # Readmission
    "going home cancels a readmission": (("    if phase == DEAD:\n", "    if phase == DEAD or phase == GONE:\n"),),
    "death does not cancel a readmission": (("    if phase == DEAD:\n", "    if phase == 99:\n"),),
    "nothing is reserved for the readmitted": (("heir >= 0 and kept_on_readmission(rows, rare, i) > 0", "False"),),
    "a reservation is never released": (("            schedule(spells, heads, run, RELEASE, n, t + kept)\n", ""),),
    "a reservation does not lessen the need": (("        need -= int64(rows[spells[n, RESERVED], TAKEN])\n", "        pass\n"),),
    "a lost reservation does not add to the need": (("    if spells[n, PHASE] == QUEUES and spells[n, QUEUE] == s:\n", "    if False:\n"),),
    "a reservation outlives the spell": (("    if spells[n, MARKS] & RESERVES:\n        free_reserved(", "    if False:\n        free_reserved("),),
    "readmission counts from ready": (("READMISSION, child, t + int64(", "READMISSION, child, int64(stamps[i, ROW_READY]) + int64("),),
    # The log
    "escalation gives no reason": (("            services[s, CHANGED] = ESCALATED + 1\n", "            services[s, CHANGED] = max(services[s, CHANGED], 1)\n"),),
    "every change is logged": (("            if capacity != services[s, LOGGED]:\n", "            if True:\n"),),
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
    mutant = as_python(*MUTATIONS[rule])
    anew = request.config.getoption("--refresh-mutations")
    before = [] if anew else [seed for of, seed in noticed().items() if of == rule]
    for seed in (*before, *range(-len(BY_HAND), SEEDS)):
        found = run_as(mutant, seed, monkeypatch)
        if found is None or differing(found, expected(seed)):
            if anew:
                write_noticed(noticed() | {rule: seed})
            return
    pytest.fail(f"{SEEDS} random places come out the same with: {rule}")


def test_a_case_is_remembered_for_each_mutation_and_for_no_other() -> None:
    assert list(noticed()) == list(MUTATIONS), "pytest tests/test_identity.py --refresh-mutations"
