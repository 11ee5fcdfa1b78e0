"""Who people are and where they are at home: by what the place declares and by the attributes of their spells."""

from __future__ import annotations

import numpy as np

from flowsim.engine.stamps import DIED
from flowsim.measures.every_stay import Stays
from flowsim.measures.history import History
from flowsim.model.tables import NUMBERS_A_PERSON
from flowsim.place import NOT_APPLICABLE, OTHER, Place, Table

CARE = ("community", "home_care", "care_home")
"""Roles of what people wait for when they leave hospital, or at home."""


def lives_here(history: History) -> np.ndarray:
    """(N,) bool: whose spell is of somebody who lives in the place under study; everybody where nothing says."""
    words = history.journeys.levels.get("locality", ())
    localities = history.place.localities
    elsewhere = [i for i, word in enumerate(words) if word in localities and localities[word].neighbour]
    if not elsewhere or "locality" not in history.journeys.attributes:
        return np.ones(len(history.journeys.spells.number), dtype=bool)
    lives_in = history.journeys.attributes["locality"]
    return np.isin(lives_in, np.array(elsewhere, dtype=lives_in.dtype), invert=True, kind="sort")


def shares(history: History, table: Table, spell: np.ndarray) -> np.ndarray:
    """What a table of `metrics` says of each spell's person: (n,) float64; 0 where it says nothing."""
    if table.times:
        return np.prod([shares(history, factor, spell) for factor in table.times.values()], axis=0)
    if table.by is None:
        return np.full(len(spell), float(table.leaf))
    if table.by not in history.journeys.attributes:
        return np.zeros(len(spell))
    words = (*history.journeys.levels[table.by], NOT_APPLICABLE)  # the last is code -1
    codes = history.journeys.attributes[table.by][spell]
    cells = [table.cells.get(word, table.cells.get(OTHER)) for word in words]
    if all(cell is None or (cell.by is None and not cell.times) for cell in cells):
        return np.array([0.0 if cell is None else float(cell.leaf) for cell in cells])[codes]
    share = np.zeros(len(spell))
    for code, cell in enumerate(cells):
        here = np.flatnonzero(codes == (code if code < len(words) - 1 else -1))
        if cell is not None and len(here):
            share[here] = shares(history, cell, spell[here])
    return share


def went_home(stays: Stays) -> np.ndarray:
    """(n,) bool: did these people, leaving a ward alive, go back to where they lived?

    What the place says (`usual_residence` of the stage they went to or, for leaving the system, of the stage they left)
    holds. Where it says nothing: leaving the system, home care, slots in the community and the world outside are home;
    places and beds in the community are not; a care home is for those who came from one (`care_home_resident` is yes).
    """
    history, after = stays.history, stays.after
    journeys = history.journeys
    goes_on = after >= 0
    queue = history.service.take(after)
    home = ~goes_on | counts_as_home(history)[queue]
    back = goes_on & history.queues_with("care_home")[queue]
    home[back] = has_level(history, "care_home_resident", "yes")[stays.spell[back]]
    deciding = journeys.rows.stage[np.where(goes_on, after, stays.last)]
    for code, stage in enumerate(journeys.stages):
        table = _usual_residence(history.place, stage)
        if table is not None:
            here = np.flatnonzero(deciding == code)
            home[here] = _says_yes(table, history, stays.spell[here], home[here])
    return home


def in_slots(history: History) -> np.ndarray:
    """(S,) bool: which queues are of short-term services that come to people's homes."""
    slots = np.array([history.service_of(kind).unit == "slots" for kind in history.kind_names])
    return history.queues_with("community") & slots[history.kind]


def counts_as_home(history: History) -> np.ndarray:
    """(S,) bool: in which queues people are at home, or on the way back there from a few hours in hospital."""
    return history.queues_with("home_care", "outside", "ed", "same_day") | in_slots(history)


def has_level(history: History, attribute: str, level: str) -> np.ndarray:
    """(N,) bool: which spells have this level of an attribute; none where there is no such level."""
    words = history.journeys.levels.get(attribute, ())
    if attribute not in history.journeys.attributes or level not in words:
        return np.zeros(len(history.journeys.spells.number), dtype=bool)
    return history.journeys.attributes[attribute] == words.index(level)


def _usual_residence(place: Place, stage: str) -> Table | None:
    for p in (place, place.before):
        if p is not None and stage in p.stages:
            return p.stages[stage].usual_residence
    return None


def _says_yes(table: Table, history: History, spell: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """What a table of yes and no says of each spell; `otherwise` where it has no entry."""
    if table.by is None:
        return np.full(len(spell), table.leaf == "yes")
    says, rest = otherwise.copy(), np.ones(len(spell), dtype=bool)
    for level, cell in table.cells.items():
        if level != OTHER:
            here = has_level(history, table.by, level)[spell]
            says[here] = _says_yes(cell, history, spell[here], otherwise[here])
            rest &= ~here
    if OTHER in table.cells:
        says[rest] = _says_yes(table.cells[OTHER], history, spell[rest], otherwise[rest])
    return says


def at_home(history: History, spell: np.ndarray, minute: np.ndarray) -> np.ndarray:
    """(n,) bool: was each spell's person at home at that minute, with or without care, readmissions looked through?

    Not at home are those in an acute bed, a community bed or a care home, who left a care home, and the dead. The
    spells must have started a row by then.
    """
    stamps, number = history.stamps, history.journeys.spells.number
    last_spell = np.searchsorted(number, (number[spell] // NUMBERS_A_PERSON + 1) * NUMBERS_A_PERSON) - 1
    now = history.row_at(spell, last_spell, minute)
    service = history.service[now]
    gone = (stamps.left[now] >= 0) & (stamps.left[now] <= minute)
    home = counts_as_home(history)
    left_for_home = (stamps.ended[now] != DIED) & ~history.queues_with("care_home")[service]
    return np.where(gone, left_for_home, home[service])
