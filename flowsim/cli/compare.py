"""`flowsim compare`: run scenarios with the same people and compare each with the first."""

from __future__ import annotations

from flowsim.cli.common import DETAIL, PRECISION, Verb, as_arguments, no_words, report, take, take_detail

HELP = """\
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


def do(words: list[str]) -> int:
    no_words(words)
    detail, words = take_detail(words)
    from flowsim.declare.composition import load_scenarios, load_settings

    until, words = take(words, *PRECISION)
    settings, places = load_settings(*words), load_scenarios(*words)

    from flowsim.api import compare

    return report(compare(places, **as_arguments(settings), **until), detail)


VERB = Verb(
    do,
    "run scenarios with the same people and compare them with the first",
    HELP,
    keys=(DETAIL, *PRECISION),
    refused=("scenario",),
)
