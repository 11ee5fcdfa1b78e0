"""`flowsim show`: what there is."""

from __future__ import annotations

import datetime as dt
import shlex
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flowsim.cli.common import Verb, is_override, no_words, take
from flowsim.place import FlowsimNotice, PlaceError, refuse

if TYPE_CHECKING:
    from flowsim.declare.composition import Composition

OF_TEMPLATE = ("form", "counts")

HELP = """\
Usage: flowsim show scenarios [NAME ...] | settings TOPIC ... | services | measures | config | evidence |
                    census-template [key=value ...]

  scenarios    every scenario in a line; with NAME what that one changes, and why (a+b: b on top of a)
  services     every service: how much there is of it, where, when it accepts people, what it costs and what changes it
  settings     the numbers of a topic: each with its key, today's value, source and range, and what to type to change it
  config       every key that can be set, as composed from files and overrides
  measures     every measure: its title, unit and definition
  evidence     every number with its source and grade (out=FILE.csv writes a table)
  census-template  a CSV to fill in with who is there today, for census=FILE.csv; the model's own numbers stand in it
               form=short: what a planner has at eight in the morning; counts=FILE.csv completes it by usual shares

Examples:
  flowsim show scenarios
  flowsim show scenarios seven_day_working
  flowsim show settings reablement days
  flowsim show config scenario=all_three
  flowsim show evidence out=evidence.csv
  flowsim show census-template place=sefton out=my_census.csv
"""


def do(words: list[str]) -> int:
    plain = [word for word in words if not is_override(word)]
    overrides = [word for word in words if is_override(word)]
    what, *names = plain or [""]
    if what not in SHOWN:
        raise refuse("show", what, "one of", SHOWN)
    if what not in ("scenarios", "settings"):
        no_words(names)
    foreign = [text for text in overrides if text.split("=")[0] in OF_TEMPLATE]
    if foreign and what != "census-template":
        raise refuse(f"show {what}", foreign[0], "form= and counts= of a census-template only")
    SHOWN[what](overrides, names)
    return 0


def _scenarios(overrides: list[str], names: list[str]) -> None:
    """All in a line each; those named by a word or by ``scenario=``, stacked with a plus sign if you like, in full."""
    from flowsim.declare.yaml_and_csv import options
    from flowsim.present import show

    known = sorted(options("scenario"))
    given = [text for text in overrides if text.split("=")[0] == "scenario"]
    rest = [text for text in overrides if text not in given]
    for name in (part for stacked in names for part in stacked.split("+")):
        if name not in known:
            raise refuse("show scenarios", name, "one of", known)
    for text in (*(f"scenario={name}" for name in names), *given):
        show.show_scenario(_composed(text, *rest))
        print()
    if names or given:
        return
    scenarios: dict[str, Composition | PlaceError] = {}
    for name in known:
        try:
            scenarios[name] = _composed(f"scenario={name}", *rest)
        except PlaceError as mistake:
            scenarios[name] = mistake
    show.show_scenarios(scenarios)


def _composed(*overrides: str) -> Composition:
    """What a scenario makes of the place, which it suits. Raises PlaceError."""
    from flowsim.declare.composition import compose

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FlowsimNotice)
        composed = compose(*overrides)
        composed.read()
    return composed


def _settings(overrides: list[str], names: list[str]) -> None:
    from flowsim.declare.composition import compose
    from flowsim.declare.lookup import settings_about
    from flowsim.present import show

    composed = compose(*overrides)
    composed.read()
    show.show_settings(settings_about(composed, names), " ".join(names))


def _services(overrides: list[str], _: list[str]) -> None:
    from flowsim.declare.composition import compose
    from flowsim.present import show

    show.show_services(compose(*overrides).read())


def _measures(overrides: list[str], _: list[str]) -> None:
    if overrides:
        raise refuse("show measures", " ".join(overrides), "nothing after it")
    from flowsim.present import show

    show.show_measures()


def _config(overrides: list[str], _: list[str]) -> None:
    from flowsim.declare.composition import compose
    from flowsim.present import show

    composed = compose(*overrides)
    composed.read()  # what cannot be read is not shown
    settings = {**composed.settings.model_dump(), **composed.run.model_dump()}
    settings["scenarios"] = list(composed.settings.scenarios)
    shown = {**{k: str(v) if hasattr(v, "isoformat") else v for k, v in settings.items()}, "place": composed.place}
    if any(scenario.parts for scenario in composed.scenarios.values()):
        parts = {n: {p: {"active": part.active} for p, part in s.parts.items()} for n, s in composed.scenarios.items()}
        shown["scenario"] = {name: {"parts": switches} for name, switches in parts.items() if switches}
    show.show_config(shown)


def _evidence(overrides: list[str], _: list[str]) -> None:
    from flowsim.declare.composition import compose
    from flowsim.present import show

    composed = compose(*overrides)
    composed.read()
    table, out = composed.evidence(), composed.settings.out
    if out is None:
        show.show_evidence(table)
        return
    file = _csv_file(out)
    file.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(file, index=False, lineterminator="\n")
    _say(f"Written: {out} ({len(table)} numbers)")


def _census_template(overrides: list[str], _: list[str]) -> None:
    from flowsim.declare.composition import compose
    from flowsim.questions.census_short import FORMS, completed, short_template
    from flowsim.questions.census_template import census_template

    of_template, overrides = take(overrides, *OF_TEMPLATE)
    form, counts = of_template.get("form", FORMS[0]), of_template.get("counts")
    if form not in FORMS:
        raise refuse("form", form, "one of", FORMS)
    composed = compose(*overrides)
    place, seed = composed.read(), composed.settings.seed
    if counts is not None:
        text = completed(place, counts, seed)
    else:
        text = short_template(place, seed) if form == "short" else census_template(place, seed)
    out = composed.settings.out
    if out is None:
        print(text, end="")
        return
    file = _csv_file(out)
    if file.exists():
        raise PlaceError(f"out: {out!r} is there already; allowed: another name.")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8-sig", newline="")
    if form == "short" and counts is None:
        same = [one for one in overrides if not one.startswith("out=")]
        again = shlex.join(["flowsim", "show", "census-template", f"counts={out}", *same, "out=my_census.csv"])
        _say(f"Written: {out}. Write your own numbers over it, and nothing where you have none, then: {again}")
        return
    again = shlex.join(["flowsim", "run", f"census={out}", *_for_the_run(overrides, composed.run.start_date)])
    then = (
        "Write your own numbers over it, then" if counts is None else "What was not counted is marked as assumed. Then"
    )
    _say(f"Written: {out}. {then}: {again}")


def _csv_file(out: str | Path) -> Path:
    if Path(out).suffix != ".csv":
        raise PlaceError(f"out: {out!r} was given; allowed: a name that ends in .csv.")
    return Path(out)


def _say(text: str) -> None:
    from rich.console import Console

    from flowsim.present import show

    show.say(Console(), text)


def _for_the_run(overrides: Sequence[str], start_date: dt.date) -> Iterator[str]:
    """What is typed beside a census so that the run is of the same place; it has a date, weeks ahead and no warm-up."""
    given = {text.split("=")[0]: text for text in overrides}
    yield from (text for key, text in given.items() if key not in ("out", "start_date", "days", "warm_up_days"))
    yield f"start_date={start_date}"
    yield given.get("days", "days=56")


SHOWN: dict[str, Callable[[list[str], list[str]], None]] = {
    "scenarios": _scenarios,
    "services": _services,
    "settings": _settings,
    "measures": _measures,
    "config": _config,
    "evidence": _evidence,
    "census-template": _census_template,
}
"""What can be shown: each takes the overrides and the other words."""

VERB = Verb(
    do,
    "what there is: scenarios, services, settings, measures, config, evidence, census-template",
    HELP,
    keys=OF_TEMPLATE,
)
