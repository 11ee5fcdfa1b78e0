"""The command line: verbs, parsing and calling; nothing is computed here. Heavy imports wait for the verb."""

from __future__ import annotations

import errno
import gc
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsim.cells.memory import end_quickly
from flowsim.place import FlowsimNotice, PlaceError, nearest, refuse

if TYPE_CHECKING:
    from flowsim.declare.settings import Configured
    from flowsim.folder.result import Result

MISTAKE = 2
"""Exit code of everything the user can put right: refused before anything ran."""
FAILED = 1
INTERRUPTED = 130
DISK = (errno.ENOSPC, errno.EFBIG, errno.EROFS, errno.EACCES, getattr(errno, "EDQUOT", errno.ENOSPC))
"""Trouble with a disk that comes while charts and summaries are written."""
LARGE = 50_000
"""New objects after which Python looks for garbage; its own 700 has it look through all that imports make, again and
again."""
PRECISION = ("precision", "precision_of", "budget", "most")

HELP = """\
flowsim: how people flow through hospitals and the services around them, and what would change that.

Usage: flowsim VERB key=value ...

  compare    run scenarios with the same people and compare them with the first
  run        run one scenario (with -m: one run for each combination of values)
  sweep      vary settings over lists, ranges, designs or a table, and see what each does
  select     find the best of several scenarios, with a stated probability of being right
  show       what there is: scenarios, services, measures, config, evidence, census-template
  trace      one person's way, in words and times, beside the same person's in the baseline
  results    ask a results folder, in SQL if you like; rebuild its catalogue
  new        a commented template for a place of your own
  verify     do both engines give the same tables for a place?

Examples:
  flowsim compare
  flowsim compare 'scenarios=[baseline,seven_day_working]' replications=5
  flowsim run scenario=all_three seed=2 place.services.reablement.capacity=140
  flowsim show scenarios

`flowsim VERB --help` tells more about a verb, `flowsim show config` shows every key that can be set.
"""

RUN_HELP = """\
Usage: flowsim run [-m] [scenario=NAME] [key=value ...]

Runs one scenario and writes a folder of results, whose path it prints at the end.

  scenario=NAME        the scenario; a+b stacks b on a (default baseline)
  place=NAME           the place (default sefton)
  replications=N       how often the period is lived through, each time with other people
  seed=N               the same seed brings the same people (default 1)
  jobs=N               processes at once (default: the machine's cores, fewer with less than 1.5 GiB each)
  engine=NAME          reference or compiled; both give the same tables
  out=FOLDER           where results go; the same command goes on where it stopped
  keep_spells=true     keep every stage of every person too
  window=during        measure only during (or after) the dated blocks and moves
  executor=dask        on a Dask cluster: address=tcp://HOST:PORT, or jobs workers of this machine
  start_date=, days=, warm_up_days=, policy_start=, scale=
  census=FILE.csv      start from who is there on start_date, as counted; no warm-up
  config=FILE          run a config/<scenario>.yaml of an earlier run again
  precision=5%         replications until the 95 % interval is within 5 % of the mean (0.5: within 0.5 units)
  precision_of=[A,B]   of these headline measures (default delayed_patients)
  budget=30min, most=N ... but no longer than this (default 30min), and no more replications (default 500)
  place.KEY=VALUE      any number of the place; see `flowsim show config`
  -m                   values with commas are run one by one, each in a folder of its own

Examples:
  flowsim run scenario=seven_day_working replications=20 seed=1 jobs=2 out=outputs/mine
  flowsim run scenario=seven_day_working scenario.seven_day_working.parts.assessment.active=false
  flowsim run precision=5% 'precision_of=[delayed_patients,boarding_hours_mean]' budget=10min
  flowsim run -m scenario=baseline,seven_day_working seed=1,2
  flowsim run census=my_census.csv start_date=2024-12-02 days=56
"""

COMPARE_HELP = """\
Usage: flowsim compare ['scenarios=[a,b,c+d]'] [key=value ...]

Runs every scenario with the same people, compares each with the first, and writes a folder of results.
Scenarios stack with a plus sign, later ones on top. All keys of `flowsim run` but scenario= can be set; precision= is
of the paired differences to the first scenario.

Examples:
  flowsim compare
  flowsim compare 'scenarios=[baseline,dom_care_400_hours]' window=during
  flowsim compare 'scenarios=[baseline,seven_day_working+discharge_to_assess]' replications=5 days=90
  flowsim compare 'scenarios=[baseline,seven_day_working]' precision=2 most=100
"""

SWEEP_HELP = """\
Usage: flowsim sweep 'KEY=VALUES' ... [design=grid|lhs|sobol] [points=N] [key=value ...]
       flowsim sweep table=FILE.csv [key=value ...]

Runs every combination of values with the same people, compares each with the place as it is, and writes a folder of
results with sweep.csv (a row a point and measure) and a picture. Quote what has brackets or commas.

  KEY=60,80            these values; KEY is a place.KEY, scenario or policy_start
  KEY=range(80,161,20) from 80, in steps of 20, below 161; also choice(a,b) and scenario=glob(*)
  KEY=interval(80,160) between these, for a design: whole numbers where the setting is one now
  design=lhs           points=N of a Latin hypercube over intervals; design=sobol: of a Sobol sequence, N a power of two
  table=FILE.csv       one row a scenario, one column a setting, and a column `name` if you like
  'scenarios=[a,b]'    each point in each of these; the first is compared with
  measure=NAME         what is drawn, one or several in a list; the first says which points are best
  replications=, seed=, jobs=, out= ... as for `flowsim run`

Examples:
  flowsim sweep 'place.services.reablement.capacity=range(80,161,20)' 'place.services.community_beds.capacity=60,80'
  flowsim sweep 'place.services.reablement.capacity=interval(80,160)' design=lhs points=50 replications=5
  flowsim sweep table=my_scenarios.csv measure=cost_total
"""

SELECT_HELP = """\
Usage: flowsim select 'scenarios=[a,b,c]' indifference=D [measure=NAME] [probability=0.95] [key=value ...]
       flowsim select 'KEY=VALUES' indifference=D ...

Finds the best of several scenarios, or of several values as in `flowsim sweep`, with no more replications than it takes
(procedure KN of Kim and Nelson 2001). Whoever falls clearly behind gets no more.

  measure=NAME         a headline measure (default delayed_patients)
  indifference=D       the smallest difference worth finding, in the measure's unit; needed
  probability=0.95     of naming the best, where it is better than each other by D or more
  budget=30min, most=N stop undecided after this long, or so many replications of one scenario (default 500)

Examples:
  flowsim select 'scenarios=[seven_day_working,dom_care_400_hours,discharge_to_assess]' indifference=5
  flowsim select 'place.services.reablement.capacity=100,120,140' measure=cost_total indifference=100000
"""

SHOW_HELP = """\
Usage: flowsim show scenarios [NAME ...] | services | measures | config | evidence | census-template [key=value ...]

  scenarios    every scenario in a line; with NAME what that one changes, and why (a+b: b on top of a)
  services     every service: how much there is of it, where, when it accepts people, what it costs and what changes it
  config       every key that can be set, as composed from files and overrides
  measures     every measure: its title, unit and definition
  evidence     every number with its source and grade (out=FILE.csv writes a table)
  census-template  a CSV to fill in with who is there today, for census=FILE.csv; the model's own numbers stand in it

Examples:
  flowsim show scenarios
  flowsim show scenarios seven_day_working
  flowsim show config scenario=all_three
  flowsim show evidence out=evidence.csv
  flowsim show census-template place=sefton out=my_census.csv
"""

TRACE_HELP = """\
Usage: flowsim trace [spell=N] [scenario=NAME] [replication=N] [key=value ...]

One person's way in words and times, and the same person's in the baseline beside it. Replications count from 0.
Without spell= it names the people who waited longest.

Examples:
  flowsim trace spell=108429360 scenario=all_three replication=3
  flowsim trace scenario=seven_day_working days=60
"""

RESULTS_HELP = """\
Usage: flowsim results OUT ['SQL'] [to=FILE.csv|FILE.parquet]
       flowsim results OUT rebuild

Asks a results folder. Without SQL: the headline measures of every scenario. In SQL (DuckDB's) there are the views

  totals       scenario, replication, measure, "where", "of", unit, value: what holds of the whole place
  results      the same, and beside it each site and locality ("where"), service, pathway, cause and so on ("of")
  nights       scenario, replication, date, "where", "of", state, count
  cells        every finished or failed cell: scenario, replication, state, seed, engine, window, key, file, error
  scenarios    scenario, key, replications, title, changes
  settings     scenario, key, value: every number of every place

`where` is a word of SQL, so the column needs its quotes. rebuild makes manifest and tables anew from the cells alone
and sets aside those that are damaged.

Examples:
  flowsim results outputs/mine
  flowsim results outputs/mine "select scenario, avg(value) from totals where measure='delayed_patients' group by 1"
  flowsim results outputs/mine "select * from cells where state = 'failed'" to=failed.csv
  flowsim results outputs/mine rebuild
"""

NEW_HELP = """\
Usage: flowsim new place NAME

Writes scenarios/place/NAME.yaml in the current folder, a commented template for another health system, and a first
scenario for it, scenarios/scenario/NAME_more_reablement.yaml. They run as written.

Example:
  flowsim new place my_county
  flowsim run place=my_county replications=3
  flowsim compare place=my_county 'scenarios=[baseline,my_county_more_reablement]' replications=3
"""


VERIFY_HELP = """\
Usage: flowsim verify engines [key=value ...]

Runs a place with the reference and with the compiled engine and compares every column of every row. Exit code 1 and the
first minute in which they part when they differ. replications= says how often (default 1).

Examples:
  flowsim verify engines scenario=all_three
  flowsim verify engines place=my_county replications=3
"""


@dataclass(frozen=True)
class Verb:
    """What a verb does with its words and overrides; `keys` it has besides those of config.yaml, `refused` of those."""

    do: Callable[[list[str]], int]
    help: str
    keys: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code: 0, 1 when replications failed, 2 for a mistake, 130 for Ctrl-C."""
    if arguments is None:
        travel_light()
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", FlowsimNotice)
            warnings.showwarning = _notices()
            return _dispatch(words)
    except PlaceError as mistake:
        print(f"flowsim: {mistake}", file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt as stopped:
        print(f"flowsim: stopped{f'; {stopped}' if str(stopped) else ''}.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as trouble:
        if trouble.errno not in DISK:
            raise
        where = f"{trouble.filename}: " if trouble.filename else ""
        told = "what is finished is kept, and the same command goes on when it is mended"
        print(f"flowsim: {where}cannot be written ({trouble.strerror}); {told}.", file=sys.stderr)
        return MISTAKE


def travel_light() -> None:
    """Leave out of this process, which is flowsim's own, what costs time and does nothing for it."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # else threads are started, and wait at full speed
    gc.set_threshold(max(LARGE, gc.get_threshold()[0]))
    end_quickly()


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP)
        return 0
    if words[0] in ("-V", "--version"):
        from flowsim import __version__

        print(f"flowsim {__version__}")
        return 0
    name, *rest = words
    if name not in VERBS:
        raise refuse("verb", name, "one of", VERBS)
    verb = VERBS[name]
    if any(word in ("-h", "--help") for word in rest):
        print(verb.help)
        return 0
    if unknown := [
        word for word in rest if word.startswith("-") and not (name == "run" and word in ("-m", "--multirun"))
    ]:
        allowed = "-m, --help" if name == "run" else "--help"
        raise PlaceError(f"{unknown[0]!r} was given; allowed: {allowed} and key=value.")
    if name not in ("new", "results"):
        _refuse_foreign(name, verb, [word for word in rest if "=" in word or word.startswith("~")])
    return verb.do(rest)


def _notices() -> Callable[..., None]:
    """How warnings are shown: notices as one line each, only once; anything else as Python shows it."""
    plain = warnings.showwarning
    told: set[str] = set()

    def show(message: Warning | str, category: type[Warning], filename: str, lineno: int, *rest: Any) -> None:
        if not issubclass(category, FlowsimNotice):
            plain(message, category, filename, lineno, *rest)
        elif str(message) not in told:
            told.add(str(message))
            print(f"Notice: {message}.", file=sys.stderr)

    return show


def _refuse_foreign(name: str, verb: Verb, overrides: list[str]) -> None:
    """Keys that mean nothing to this verb."""
    from flowsim.declare.overrides import parse
    from flowsim.declare.yaml_and_csv import setting_names

    known = [*verb.keys, *(key for key in setting_names() if key not in verb.refused)]
    for one in parse(overrides):
        key = one.key_or_group
        if key in verb.refused:
            listed = f"{', '.join(known)}{nearest(key, known)}"
            raise PlaceError(f"{key}: {one.input_line!r} was given; allowed with `flowsim {name}`: {listed}.")
        if key.split(".")[0] not in (*known, "scenario"):
            raise refuse(key, one.input_line, "a setting, such as", known)


def _take(overrides: list[str], *names: str) -> tuple[dict[str, Any], list[str]]:
    """The values of a verb's own keys, and the other overrides."""
    from flowsim.declare.overrides import parse, single_value

    taken = {one.key_or_group: single_value(one) for one in parse(overrides) if one.key_or_group in names}
    rest = [text for text, one in zip(overrides, parse(overrides), strict=True) if one.key_or_group not in names]
    return taken, rest


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise refuse(name, value, "a whole number, at least 0")
    return value


def _listed(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _no_words(words: list[str]) -> None:
    for word in words:
        if "=" not in word and not word.startswith("~"):
            raise PlaceError(f"{word!r} was given; allowed: key=value.")


def _settings(settings: Configured, out: str | Path | None = None) -> dict[str, Any]:
    return settings.model_dump(exclude={"scenarios"}) | ({} if out is None else {"out": out})


def _code(result: Result) -> int:
    return INTERRUPTED if result.interrupted else FAILED if result.failures else 0


# ---------------------------------------------------------------------------------------------------------------------
# Verbs


def _run(words: list[str]) -> int:
    overrides = [word for word in words if word not in ("-m", "--multirun")]
    _no_words(overrides)
    if len(overrides) < len(words):
        return _run_each(overrides)
    return _run_one(overrides)


def _run_one(overrides: list[str], out: Path | None = None) -> int:
    from flowsim.declare.composition import compose, load_settings
    from flowsim.declare.settings import CONFIGURED
    from flowsim.folder.configuration import read_config

    own, rest = _take(overrides, "config", *PRECISION)
    until = {key: own[key] for key in PRECISION if key in own}
    if "config" in own:
        for text in rest:
            if text.split("=")[0].lstrip("+~") not in CONFIGURED:
                raise PlaceError(f"{text!r} was given; allowed beside config=: {', '.join(CONFIGURED)}.")
        place, settings = read_config(str(own["config"])), load_settings(*rest)
    else:
        composed = compose(*rest)
        place, settings = composed.read(), composed.settings

    from flowsim.api import run

    result = run(place, **_settings(settings, out), **until)
    result.show()
    return _code(result)


def _run_each(overrides: list[str]) -> int:
    """One run for each combination, in folders of their own; all are checked before the first begins."""
    import datetime as dt

    from flowsim.declare.composition import compose
    from flowsim.declare.overrides import parse, sweep

    own, rest = _take(overrides, "out")
    until = [text for text, one in zip(rest, parse(rest), strict=True) if one.key_or_group in PRECISION]
    rest = [text for text in rest if text not in until]
    swept = {one.key_or_group for one in parse(rest, several=True) if one.is_sweep_override()}
    combinations = sweep(rest)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FlowsimNotice)  # each run tells its own
        for combination in combinations:
            compose(*(text for text in combination if not text.startswith("config="))).read()
    now = dt.datetime.now()
    folder = Path(own["out"]) if own.get("out") else Path("multirun") / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S}"
    codes = []
    for number, combination in enumerate(combinations):
        named = ",".join(text for text in combination if text.split("=")[0].lstrip("+") in swept)
        out = folder / f"{number}-{re.sub(r'[^A-Za-z0-9=,.+_-]', '_', named)[:80]}".rstrip("-.")
        print(f"[{number + 1}/{len(combinations)}] {named}")
        codes.append(_run_one([*combination, *until], out))
        if codes[-1] == INTERRUPTED:
            break
    return max(codes)


def _compare(words: list[str]) -> int:
    _no_words(words)
    from flowsim.declare.composition import load_scenarios, load_settings

    until, words = _take(words, *PRECISION)
    settings, places = load_settings(*words), load_scenarios(*words)

    from flowsim.api import compare

    comparison = compare(places, **_settings(settings), **until)
    comparison.show()
    return _code(comparison)


def _sweep(words: list[str]) -> int:
    _no_words(words)
    from flowsim.declare.composition import load_settings
    from flowsim.declare.overrides import dimensions

    own, rest = _take(words, "design", "points", "table", "measure", "scenarios")
    settings = load_settings(*dimensions(rest)[1])

    from flowsim.api import sweep

    scenarios, measures = _listed(own.pop("scenarios", [])), own.pop("measure", ())
    result = sweep(*rest, scenarios=scenarios, measures=measures, **_settings(settings), **own)
    result.show()
    return _code(result)


def _select(words: list[str]) -> int:
    _no_words(words)
    from flowsim.declare.composition import load_scenarios, load_settings
    from flowsim.declare.overrides import dimensions

    own, rest = _take(words, "measure", "indifference", "probability", "budget", "most")
    varied, fixed = dimensions(rest)
    settings = load_settings(*fixed)
    if varied:
        from flowsim.questions.sweep import compose_sweep

        named, rest = _take(rest, "scenarios")
        _, *points = compose_sweep(rest, scenarios=_listed(named.get("scenarios", [])))[0].items()

    from flowsim.api import select

    places: Any = dict(points) if varied else load_scenarios(*rest)

    selection = select(places, **_settings(settings), **own)
    selection.show()
    return _code(selection)


def _show(words: list[str]) -> int:
    plain = [word for word in words if "=" not in word and not word.startswith("~")]
    overrides = [word for word in words if word not in plain]
    allowed = ("scenarios", "services", "measures", "config", "evidence", "census-template")
    what, *names = plain or [""]
    if what not in allowed:
        raise refuse("show", what, "one of", allowed)
    if what != "scenarios":
        _no_words(names)
    from flowsim.present import show

    if what == "scenarios":
        show.show_scenarios(overrides, names)
    else:
        getattr(show, f"show_{what.replace('-', '_')}")(overrides)
    return 0


def _trace(words: list[str]) -> int:
    _no_words(words)
    own, rest = _take(words, "spell", "replication")
    replication = _whole("replication", own.get("replication", 0))
    spell = None if own.get("spell") is None else _whole("spell", own["spell"])
    from flowsim.declare.composition import compose
    from flowsim.engine import usable
    from flowsim.present.trace import show_longest, show_trace

    composed = compose(*rest)
    place, settings = composed.read(), composed.settings
    engine = usable(settings.engine)
    if spell is None:
        show_longest(place, settings.seed, replication, engine)
    else:
        show_trace(place, settings.seed, replication, engine, spell)
    return 0


def _results(words: list[str]) -> int:
    to = [word.removeprefix("to=") for word in words if word.startswith("to=")]
    out, *rest = [word for word in words if not word.startswith("to=")] or [""]
    if not out or len(rest) > 1 or len(to) > 1:
        raise PlaceError(f"results: {' '.join(words)!r} was given; allowed: OUT, and SQL in quotes, and to=FILE.")
    if not Path(out).is_dir():
        raise PlaceError(
            f"results: {out!r} was given, where no folder is; allowed: one that run, compare, sweep or select wrote."
        )
    from flowsim.folder import catalogue
    from flowsim.folder.result import Result
    from flowsim.folder.store import Store
    from flowsim.present import answer

    store = Store(out)
    if rest == ["rebuild"]:
        done, notices = catalogue.rebuild(store)
        print(*notices, *(f"{name}: {cells} cells" for name, cells in done.items()), sep="\n")
        return 0
    found = catalogue.ask(store, rest[0]) if rest else answer.headline(Result.read(out))
    if rest and (said := answer.remark(rest[0], found, store)):
        print(said, file=sys.stderr)
    if to:
        catalogue.write(found, Path(to[0]))
        print(f"Written: {to[0]} ({len(found):,} row{'' if len(found) == 1 else 's'})")
    else:
        answer.show(found)
    return 0


def _new(words: list[str]) -> int:
    if len(words) != 2 or words[0] != "place":
        raise PlaceError(f"new: {' '.join(words)!r} was given; allowed: flowsim new place NAME.")
    name = words[1]
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise refuse("new place", name, "a name of small letters, digits and _, beginning with a letter")
    from flowsim.declare.yaml_and_csv import shipped_folder

    if (shipped_folder() / "place" / f"{name}.yaml").exists():
        raise PlaceError(f"new place: {name!r} was given, a place that comes with flowsim; allowed: another name.")
    scenario = f"{name}_more_reablement"
    written = {
        Path("scenarios") / "place" / f"{name}.yaml": "place.yaml",
        Path("scenarios") / "scenario" / f"{scenario}.yaml": "scenario.yaml",
    }
    for path in written:
        if path.exists():
            raise PlaceError(f"new place: {path} is there already; allowed: another name.")
    for path, template in written.items():
        text = (shipped_folder() / "template" / template).read_text(encoding="utf-8")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("NAME", name), encoding="utf-8", newline="\n")
        print(f"Written: {path}")
    print(f"Try it:  flowsim run place={name} replications=3")
    print(f"         flowsim compare place={name} 'scenarios=[baseline,{scenario}]' replications=3")
    return 0


def _verify(words: list[str]) -> int:
    if not words or words[0] != "engines":
        raise refuse("verify", " ".join(words), "engines")
    _no_words(words[1:])
    from flowsim.declare.composition import compose
    from flowsim.present.words import counted
    from flowsim.questions.verify import verify_engines

    composed = compose(*words[1:])
    place, settings = composed.read(), composed.settings
    replications = settings.replications or 1
    told = f"Running {counted(replications, 'replication')} of {place.title} with both engines"
    print(f"{told}; the reference takes some 8 s for a Sefton year.", file=sys.stderr, flush=True)
    different = False
    for verdict in verify_engines(place, settings.seed, replications):
        told = f"they part: {verdict.difference}" if verdict.difference else "equal"
        print(f"replication {verdict.replication}: {verdict.rows:,} rows, {told}", flush=True)
        different |= bool(verdict.difference)
    return FAILED if different else 0


VERBS: dict[str, Verb] = {
    "run": Verb(_run, RUN_HELP, keys=("config", *PRECISION), refused=("scenarios",)),
    "compare": Verb(_compare, COMPARE_HELP, keys=PRECISION, refused=("scenario",)),
    "sweep": Verb(_sweep, SWEEP_HELP, keys=("design", "points", "table", "measure")),
    "select": Verb(
        _select,
        SELECT_HELP,
        keys=("measure", "indifference", "probability", "budget", "most"),
    ),
    "show": Verb(_show, SHOW_HELP),
    "trace": Verb(
        _trace,
        TRACE_HELP,
        keys=("spell", "replication"),
        refused=("scenarios", "replications", "out", "keep_spells", "window", "jobs", "executor", "address"),
    ),
    "results": Verb(_results, RESULTS_HELP),
    "new": Verb(_new, NEW_HELP),
    "verify": Verb(
        _verify,
        VERIFY_HELP,
        refused=("scenarios", "engine", "out", "keep_spells", "window", "jobs", "executor", "address"),
    ),
}
