"""The command line: verbs, parsing and calling; nothing is computed here. Heavy imports wait for the verb."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsim.place import FlowsimNotice, PlaceError, refuse

if TYPE_CHECKING:
    from flowsim.api import Comparison, Result
    from flowsim.compose import Settings

MISTAKE = 2
"""Exit code of everything the user can put right: refused before anything ran."""
FAILED = 1
INTERRUPTED = 130
RUN_SETTINGS = ("replications", "seed", "jobs", "engine", "out", "keep_spells", "window")

HELP = """\
flowsim: how people flow through hospitals and the services around them, and what would change that.

Usage: flowsim VERB key=value ...

  compare    run scenarios with the same people and compare them with the first
  run        run one scenario (with -m: one run for each combination of values)
  show       what there is: scenarios, services, config, evidence
  trace      one person's way, in words and times, beside the same person's in the baseline
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
  window=during        measure only during (or after) the dated blocks
  start_date=, days=, warm_up_days=, policy_start=, scale=
  config=FILE          run a config/<scenario>.yaml of an earlier run again
  place.KEY=VALUE      any number of the place; see `flowsim show config`
  -m                   values with commas are run one by one, each in a folder of its own

Examples:
  flowsim run scenario=seven_day_working replications=20 seed=1 jobs=2 out=outputs/mine
  flowsim run scenario=seven_day_working scenario.seven_day_working.parts.assessment.active=false
  flowsim run -m scenario=baseline,seven_day_working seed=1,2
"""

COMPARE_HELP = """\
Usage: flowsim compare ['scenarios=[a,b,c+d]'] [key=value ...]

Runs every scenario with the same people, compares each with the first, and writes a folder of results.
Scenarios stack with a plus sign, later ones on top. All keys of `flowsim run` but scenario= can be set.

Examples:
  flowsim compare
  flowsim compare 'scenarios=[baseline,dom_care_400_hours]' window=during
  flowsim compare 'scenarios=[baseline,seven_day_working+discharge_to_assess]' replications=5 days=90
"""

SHOW_HELP = """\
Usage: flowsim show scenarios | services | config | evidence [key=value ...]

  scenarios    every scenario: what it changes, and why (scenario=NAME shows only that one)
  services     every service: how much there is of it, where, when it accepts people, what it costs
  config       every key that can be set, as composed from files and overrides
  evidence     every number with its source and grade (out=FILE.csv writes a table)

Examples:
  flowsim show scenarios scenario=seven_day_working
  flowsim show config scenario=all_three
  flowsim show evidence out=evidence.csv
"""

TRACE_HELP = """\
Usage: flowsim trace [spell=N] [scenario=NAME] [replication=N] [key=value ...]

One person's way in words and times, and the same person's in the baseline beside it. Replications count from 0.
Without spell= it names the people who waited longest.

Examples:
  flowsim trace spell=12288 scenario=all_three replication=3
  flowsim trace scenario=seven_day_working days=60
"""

NEW_HELP = """\
Usage: flowsim new place NAME

Writes scenarios/place/NAME.yaml in the current folder: a commented template for another health
system. It runs as written.

Example:
  flowsim new place my_county
  flowsim run place=my_county replications=3
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
    except KeyboardInterrupt:
        print("flowsim: stopped.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0


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
    if name != "new":
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
    from flowsim.compose import parse, setting_names

    known = [*verb.keys, *(key for key in setting_names() if key not in verb.refused)]
    for one in parse(overrides):
        key = one.key_or_group
        if key in verb.refused:
            raise refuse(key, one.input_line, f"with `flowsim {name}`:", known)
        if key.split(".")[0] not in (*known, "scenario"):
            raise refuse(key, one.input_line, "a setting, such as", known)


def _take(overrides: list[str], *names: str) -> tuple[dict[str, Any], list[str]]:
    """The values of a verb's own keys, and the other overrides."""
    from flowsim.compose import parse, single_value

    taken = {one.key_or_group: single_value(one) for one in parse(overrides) if one.key_or_group in names}
    rest = [text for text, one in zip(overrides, parse(overrides), strict=True) if one.key_or_group not in names]
    return taken, rest


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise refuse(name, value, "a whole number, at least 0")
    return value


def _no_words(words: list[str]) -> None:
    for word in words:
        if "=" not in word and not word.startswith("~"):
            raise PlaceError(f"{word!r} was given; allowed: key=value.")


def _settings(settings: Settings, out: str | Path | None = None) -> dict[str, Any]:
    chosen = {name: getattr(settings, name) for name in RUN_SETTINGS}
    return chosen | ({} if out is None else {"out": out})


def _code(result: Result | Comparison) -> int:
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
    from flowsim.compose import compose, load_settings
    from flowsim.experiment.store import read_config

    own, rest = _take(overrides, "config")
    if "config" in own:
        for text in rest:
            if text.split("=")[0].lstrip("+~") not in RUN_SETTINGS:
                raise PlaceError(f"{text!r} was given; allowed beside config=: {', '.join(RUN_SETTINGS)}.")
        place, settings = read_config(str(own["config"])), load_settings(*rest)
    else:
        composed = compose(*rest)
        place, settings = composed.read(), composed.settings

    from flowsim.api import run

    result = run(place, **_settings(settings, out))
    result.show()
    return _code(result)


def _run_each(overrides: list[str]) -> int:
    """One run for each combination, in folders of their own; all are checked before the first begins."""
    import datetime as dt

    from flowsim.compose import compose, parse, sweep

    own, rest = _take(overrides, "out")
    swept = {one.key_or_group for one in parse(rest) if one.is_sweep_override()}
    combinations = sweep(rest)
    for combination in combinations:
        compose(*(text for text in combination if not text.startswith("config="))).read()
    now = dt.datetime.now()
    folder = Path(own["out"]) if own.get("out") else Path("multirun") / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S}"
    codes = []
    for number, combination in enumerate(combinations):
        named = ",".join(text for text in combination if text.split("=")[0].lstrip("+") in swept)
        out = folder / f"{number}-{re.sub(r'[^A-Za-z0-9=,.+_-]', '_', named)[:80]}".rstrip("-.")
        print(f"[{number + 1}/{len(combinations)}] {named}")
        codes.append(_run_one(list(combination), out))
        if codes[-1] == INTERRUPTED:
            break
    return max(codes)


def _compare(words: list[str]) -> int:
    _no_words(words)
    from flowsim.compose import load_scenarios, load_settings

    settings, places = load_settings(*words), load_scenarios(*words)

    from flowsim.api import compare

    comparison = compare(places, **_settings(settings))
    comparison.show()
    return _code(comparison)


def _show(words: list[str]) -> int:
    named = [word for word in words if "=" not in word and not word.startswith("~")]
    allowed = ("scenarios", "services", "config", "evidence")
    if len(named) != 1 or named[0] not in allowed:
        raise refuse("show", " ".join(named), "one of", allowed)
    from flowsim.present import show

    getattr(show, f"show_{named[0]}")([word for word in words if word != named[0]])
    return 0


def _trace(words: list[str]) -> int:
    _no_words(words)
    own, rest = _take(words, "spell", "replication")
    replication = _whole("replication", own.get("replication", 0))
    spell = None if own.get("spell") is None else _whole("spell", own["spell"])
    from flowsim.compose import compose
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


def _new(words: list[str]) -> int:
    if len(words) != 2 or words[0] != "place":
        raise PlaceError(f"new: {' '.join(words)!r} was given; allowed: flowsim new place NAME.")
    name = words[1]
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise refuse("new place", name, "a name of small letters, digits and _, beginning with a letter")
    from flowsim.files import shipped_folder

    if (shipped_folder() / "place" / f"{name}.yaml").exists():
        raise PlaceError(f"new place: {name!r} was given, a place that comes with flowsim; allowed: another name.")
    path = Path("scenarios") / "place" / f"{name}.yaml"
    if path.exists():
        raise PlaceError(f"new place: {path} is there already; allowed: another name.")
    template = (shipped_folder() / "template" / "place.yaml").read_text(encoding="utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(template.replace("NAME", name), encoding="utf-8", newline="\n")
    print(f"Written: {path}\nTry it:  flowsim run place={name} replications=3")
    return 0


def _verify(words: list[str]) -> int:
    if not words or words[0] != "engines":
        raise refuse("verify", " ".join(words), "engines")
    _no_words(words[1:])
    from flowsim.compose import compose
    from flowsim.experiment.verify import verify_engines

    composed = compose(*words[1:])
    settings = composed.settings
    different = False
    for verdict in verify_engines(composed.read(), settings.seed, settings.replications or 1):
        told = f"they part: {verdict.difference}" if verdict.difference else "equal"
        print(f"replication {verdict.replication}: {verdict.rows:,} rows, {told}")
        different |= bool(verdict.difference)
    return FAILED if different else 0


VERBS: dict[str, Verb] = {
    "run": Verb(_run, RUN_HELP, keys=("config",), refused=("scenarios",)),
    "compare": Verb(_compare, COMPARE_HELP, refused=("scenario",)),
    "show": Verb(_show, SHOW_HELP),
    "trace": Verb(
        _trace,
        TRACE_HELP,
        keys=("spell", "replication"),
        refused=("scenarios", "replications", "out", "keep_spells", "window", "jobs"),
    ),
    "new": Verb(_new, NEW_HELP),
    "verify": Verb(
        _verify, VERIFY_HELP, refused=("scenarios", "engine", "out", "keep_spells", "window", "jobs")
    ),
}


if __name__ == "__main__":
    sys.exit(main())
