"""`flowsim verify`: do both engines agree?"""

from __future__ import annotations

import sys

from flowsim.cli.common import FAILED, Verb, no_words
from flowsim.place import counted, refuse

HELP = """\
Usage: flowsim verify engines [key=value ...]

Runs a place with the reference and with the compiled engine and compares every column of every row. Exit code 1 and the
first minute in which they part when they differ. replications= says how often (default 1).

Examples:
  flowsim verify engines scenario=all_three
  flowsim verify engines place=my_county replications=3
"""


def do(words: list[str]) -> int:
    if not words or words[0] != "engines":
        raise refuse("verify", " ".join(words), "engines")
    no_words(words[1:])
    from flowsim.declare.composition import compose
    from flowsim.questions.verify import verify_engines

    composed = compose(*words[1:])
    place, settings = composed.read(), composed.settings
    replications = settings.replications or 1
    announced = f"Running {counted(replications, 'replication')} of {place.title} with both engines"
    print(f"{announced}; the reference takes some 8 s for a Sefton year.", file=sys.stderr, flush=True)
    different = False
    for verdict in verify_engines(place, settings.seed, replications):
        outcome = f"they part: {verdict.difference}" if verdict.difference else "equal"
        print(f"replication {verdict.replication}: {verdict.rows:,} rows, {outcome}", flush=True)
        different |= bool(verdict.difference)
    return FAILED if different else 0


VERB = Verb(
    do,
    "do both engines give the same tables for a place?",
    HELP,
    refused=("scenarios", "engine", "out", "keep_spells", "window", "charts", "jobs", "executor", "address"),
)
