"""`flowsim new`: a template for a place of one's own."""

from __future__ import annotations

import re
from pathlib import Path

from flowsim.cli.common import Verb
from flowsim.place import PlaceError, refuse

HELP = """\
Usage: flowsim new place NAME

Writes scenarios/place/NAME.yaml in the current folder, a commented template for another health system, and a first
scenario for it, scenarios/scenario/NAME_more_reablement.yaml. They run as written.

Example:
  flowsim new place my_county
  flowsim run place=my_county replications=3
  flowsim compare place=my_county 'scenarios=[baseline,my_county_more_reablement]' replications=3
"""


def do(words: list[str]) -> int:
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


VERB = Verb(do, "a commented template for a place of your own", HELP, overrides=False)
