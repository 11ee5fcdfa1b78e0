"""`flowsim run`: run one scenario, or with -m one for each combination of values."""

from __future__ import annotations

import datetime as dt
import re
import warnings
from pathlib import Path

from flowsim.cli.common import DETAIL, INTERRUPTED, PRECISION, Verb, as_arguments, no_words, report, take, take_detail
from flowsim.place import FlowsimNotice, PlaceError

HELP = """\
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
  charts=false         no pictures, a second sooner; charts=png without the SVG beside each
  executor=dask        on a Dask cluster: address=tcp://HOST:PORT, or jobs workers of this machine
  start_date=, days=, warm_up_days=, policy_start=, scale=
  census=FILE.csv      start from who is there on start_date, as counted; no warm-up
  config=FILE          run a config/<scenario>.yaml of an earlier run again
  precision=5%         replications until the 95 % interval is within 5 % of the mean (0.5: within 0.5 units)
  precision_of=[A,B]   of these headline measures (default delayed_patients)
  budget=30min, most=N ... but no longer than this (default 30min), and no more replications (default 500)
  place.KEY=VALUE      any number of the place; see `flowsim show config`
  detail=all           print everything, not the answer alone
  -m                   values with commas are run one by one, each in a folder of its own

Examples:
  flowsim run scenario=seven_day_working replications=20 seed=1 jobs=2 out=outputs/mine
  flowsim run scenario=seven_day_working scenario.seven_day_working.parts.assessment.active=false
  flowsim run precision=5% 'precision_of=[delayed_patients,boarding_hours_mean]' budget=10min
  flowsim run -m scenario=baseline,seven_day_working seed=1,2
  flowsim run census=my_census.csv start_date=2024-12-02 days=56
"""


def do(words: list[str]) -> int:
    overrides = [word for word in words if word not in ("-m", "--multirun")]
    no_words(overrides)
    if len(overrides) < len(words):
        return _run_each(overrides)
    return _run_one(overrides)


def _run_one(overrides: list[str], out: Path | None = None) -> int:
    """One run, of a scenario or of an earlier run's configuration."""
    from flowsim.declare.composition import compose, load_settings
    from flowsim.declare.settings import CONFIGURED
    from flowsim.folder.configuration import read_config

    detail, overrides = take_detail(overrides)
    keys, rest = take(overrides, "config", *PRECISION)
    until = {key: keys[key] for key in PRECISION if key in keys}
    if "config" in keys:
        for text in rest:
            if text.split("=")[0].lstrip("+~") not in CONFIGURED:
                raise PlaceError(f"{text!r} was given; allowed beside config=: {', '.join(CONFIGURED)}.")
        place, settings = read_config(str(keys["config"])), load_settings(*rest)
    else:
        composed = compose(*rest)
        place, settings = composed.read(), composed.settings

    from flowsim.api import run

    return report(run(place, **as_arguments(settings, out), **until), detail)


def _run_each(overrides: list[str]) -> int:
    """One run for each combination, in folders of their own; all are checked before the first begins."""
    from flowsim.declare.composition import compose
    from flowsim.declare.overrides import parse, sweep

    detail, overrides = take_detail(overrides)
    keys, rest = take(overrides, "out")
    until = [text for text, one in zip(rest, parse(rest), strict=True) if one.key_or_group in PRECISION]
    rest = [text for text in rest if text not in until]
    swept = {one.key_or_group for one in parse(rest, several=True) if one.is_sweep_override()}
    combinations = sweep(rest)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FlowsimNotice)  # each run tells its own
        for combination in combinations:
            compose(*(text for text in combination if not text.startswith("config="))).read()
    now = dt.datetime.now()
    folder = Path(keys["out"]) if keys.get("out") else Path("multirun") / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S}"
    codes = []
    for number, combination in enumerate(combinations):
        named = ",".join(text for text in combination if text.split("=")[0].lstrip("+") in swept)
        out = folder / f"{number}-{re.sub(r'[^A-Za-z0-9=,.+_-]', '_', named)[:80]}".rstrip("-.")
        print(f"[{number + 1}/{len(combinations)}] {named}")
        codes.append(_run_one([*combination, *until, f"{DETAIL}={detail}"], out))
        if codes[-1] == INTERRUPTED:
            break
    return max(codes)


VERB = Verb(
    do,
    "run one scenario (with -m: one run for each combination of values)",
    HELP,
    keys=(DETAIL, "config", *PRECISION),
    refused=("scenarios",),
    flags=("-m", "--multirun"),
)
