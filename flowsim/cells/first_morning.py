"""Who is where on the first morning that counts, in one simulated run of a place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from flowsim.cells.replicate import simulate
from flowsim.declare.census import DAYS, HOURS, IN_STAGE, READY, SERVICE, STAGE, STATE, WAITING, WAITING_FOR, WHERE
from flowsim.measures.history import History
from flowsim.model.tables import NONE
from flowsim.place import LEAVE, Place


def first_morning(place: Place, seed: int, attributes: Sequence[str]) -> pd.DataFrame:
    """Everybody who is somewhere at the first minute that counts, before any scenario: one row a person.

    Columns as in a census file (`declare.census`), DAYS being those so far in the stage or waiting, and these
    attributes (empty where a person or the place has none).
    """
    plain = place.before or place
    warm_up = plain.run.model_copy(update={"days": 1, "census": None})
    done = simulate(plain.model_copy(update={"run": warm_up}), seed, 0)
    history = History(plain, done.network, done.journeys, done.stamps)
    rows, s, now = done.journeys.rows, done.stamps, warm_up.measured_from
    row = np.flatnonzero((s.started >= 0) & (s.started <= now) & ((s.left < 0) | (s.left > now)))
    after = rows.next[row]
    asked = (after != NONE) & (s.joined[after] >= 0) & (s.joined[after] <= now)
    recognised = (s.recognised[row] >= 0) & (s.recognised[row] <= now)
    since = np.where(asked, s.joined[after], np.where(recognised, s.recognised[row], s.started[row]))
    stages = np.array([*done.journeys.stages, LEAVE], dtype=object)
    frame = pd.DataFrame(
        {
            SERVICE: np.array(history.kind_names, dtype=object)[history.kind[rows.service[row]]],
            WHERE: np.array(history.unit_name, dtype=object)[rows.service[row]],
            STATE: np.where(asked, WAITING, np.where(recognised, READY, IN_STAGE)),
            STAGE: stages[rows.stage[row]],
            WAITING_FOR: np.where(asked | recognised, stages[np.where(after == NONE, -1, rows.stage[after])], ""),
            DAYS: (now - since) / 1440,
            HOURS: s.units[row] / 60,
        }
    )
    for name in attributes:
        words = np.array([*done.journeys.levels.get(name, ()), ""], dtype=object)
        codes = done.journeys.attributes.get(name, np.full(len(done.journeys.spells.number), NONE))
        frame[name] = words[codes[rows.spell[row]]]
    return frame
