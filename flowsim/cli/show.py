"""`flowsim show`: what there is."""

from __future__ import annotations

from flowsim.cli.common import Verb, is_override, no_words
from flowsim.place import refuse

HELP = """\
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


def do(words: list[str]) -> int:
    plain = [word for word in words if not is_override(word)]
    overrides = [word for word in words if is_override(word)]
    allowed = ("scenarios", "services", "measures", "config", "evidence", "census-template")
    what, *names = plain or [""]
    if what not in allowed:
        raise refuse("show", what, "one of", allowed)
    if what != "scenarios":
        no_words(names)
    from flowsim.present import show

    if what == "scenarios":
        show.show_scenarios(overrides, names)
    else:
        getattr(show, f"show_{what.replace('-', '_')}")(overrides)
    return 0


VERB = Verb(do, "what there is: scenarios, services, measures, config, evidence, census-template", HELP)
