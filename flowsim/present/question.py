"""Which question a result answers: what chooses its page and its pictures, in one place."""

from __future__ import annotations

from flowsim.folder.result import Result
from flowsim.questions.compare import Comparison
from flowsim.questions.select import Selection
from flowsim.questions.sweep import Sweep

QUESTIONS: dict[type[Result], str] = {Sweep: "sweep", Selection: "select", Comparison: "compare", Result: "run"}


def question_of(result: Result) -> str:
    """The verb whose question a result answers: run, compare, select or sweep."""
    return next(QUESTIONS[kind] for kind in type(result).__mro__ if kind in QUESTIONS)
