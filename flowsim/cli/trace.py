"""`flowsim trace`: one person's way."""

from __future__ import annotations

from flowsim.cli.common import Verb, no_words, take, whole

HELP = """\
Usage: flowsim trace [spell=N] [scenario=NAME] [replication=N] [key=value ...]

One person's way in words and times, and the same person's in the baseline beside it. Replications count from 0.
Without spell= it names the people who waited longest.

Examples:
  flowsim trace spell=108429360 scenario=all_three replication=3
  flowsim trace scenario=seven_day_working days=60
"""


def do(words: list[str]) -> int:
    no_words(words)
    keys, rest = take(words, "spell", "replication")
    replication = whole("replication", keys.get("replication", 0))
    spell = None if keys.get("spell") is None else whole("spell", keys["spell"])
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


VERB = Verb(
    do,
    "one person's way, in words and times, beside the same person's in the baseline",
    HELP,
    keys=("spell", "replication"),
    refused=("scenarios", "replications", "out", "keep_spells", "window", "charts", "jobs", "executor", "address"),
)
