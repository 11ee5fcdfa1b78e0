"""Which settings of a sweep matter: how much of the variance of a measure over the points each explains by itself.

Of a full grid that is read off: the other settings are the same at each value of one, so the variance between the means
of its values is its own, the first-order index of a two-way table. In any other design a mean at one value of a setting
is also made by what else happened to be there. There a curve of every setting is fitted at once by least squares, and a
setting's share is the variance of its own curve, freed of what chance alone adds to it, in that of all curves and of
what is left: squared standardised regression coefficients (A. Saltelli et al. 2008, Global Sensitivity Analysis: The
Primer, section 1.2.5), of curves and names as well as of straight lines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

COLUMNS = ["setting", "share", "lowest", "highest", "lowest_at", "highest_at"]
AS_IT_IS = "as it is"
"""The value of a setting that a point leaves alone."""
POINTS_A_TERM = 3
"""Points that each term of a fit needs beside the mean: with fewer it follows chance."""
WELL_KNOWN = 10
"""Points a setting that tell it well (J. L. Loeppky, J. Sacks and W. J. Welch 2009, Technometrics 51(4))."""
MOST_TOGETHER = 0.1
"""Least eigenvalue of the terms' correlations: below it settings go up and down together and cannot be told apart."""


def rank_settings(settings: pd.DataFrame, values: pd.Series) -> pd.DataFrame:
    """Settings by how much of the variance of a measure each explains by itself, most first.

    Takes settings, one row a point and one column a setting (numbers or words; NaN where a point leaves it as it is),
    and the measure at each point. Returns columns setting, share (%), lowest and highest (the measure at the value of
    the setting where it is least and most, the others being as they are on average), lowest_at and highest_at (these
    values). No rows where `unrankable` says why.
    """
    if unrankable(settings):
        return pd.DataFrame(columns=COLUMNS)
    effects = _of_grid(settings, values) if is_full_grid(settings) else _of_fit(settings, values)
    rows = []
    for name, (share, effect) in effects.items():
        ends = [int(effect.to_numpy().argmin()), int(effect.to_numpy().argmax())]
        rows.append([name, 100 * share, *effect.to_numpy()[ends], *effect.index[ends]])
    found = pd.DataFrame(rows, columns=COLUMNS)
    return found.sort_values("share", ascending=False, kind="stable", ignore_index=True)


def is_full_grid(settings: pd.DataFrame) -> bool:
    """Is every combination of the settings' values a point, once?"""
    return len(settings) == settings.nunique(dropna=False).prod() and not settings.duplicated().any()


def unrankable(settings: pd.DataFrame) -> str:
    """Why it cannot be said which settings matter, in one sentence; empty where it can."""
    if not len(settings):
        return "No point has results yet, so it cannot be said which settings matter."
    if is_full_grid(settings):
        return ""
    terms = _fitting_terms(settings)
    least = _least_points(terms)
    if len(settings) < least:
        return (
            f"{len(settings)} points are too few to say which of {len(settings.columns)} settings matter: it takes "
            f"{least} or more, and {WELL_KNOWN * len(settings.columns)} tell it well."
        )
    if _go_together(terms):
        return "Some settings go up and down together in these points, so it cannot be said which of them matters."
    return ""


Effect = tuple[float, pd.Series]
"""The share of the variance that a setting explains, and the measure by the setting's value."""


def _of_grid(settings: pd.DataFrame, values: pd.Series) -> dict[str, Effect]:
    total = float(((values - values.mean()) ** 2).sum())
    found = {}
    for name in settings:
        groups = _in_words(settings[name])
        within = float(((values - values.groupby(groups).transform("mean")) ** 2).sum())
        found[str(name)] = (1 - within / total if total else 0.0), values.groupby(groups, sort=False).mean()
    return found


def _of_fit(settings: pd.DataFrame, values: pd.Series) -> dict[str, Effect]:
    terms = _fitting_terms(settings)
    mean = float(values.mean())
    away = values.to_numpy(dtype=float) - mean
    columns = np.hstack([term.columns for term in terms])
    inverse = np.linalg.inv(columns.T @ columns)
    weights = inverse @ columns.T @ away
    left = float(((away - columns @ weights) ** 2).sum()) / (len(away) - 1 - len(weights))
    own, effects, first = {}, {}, 0
    for term in terms:
        these = slice(first, first + term.columns.shape[1])
        first = these.stop
        chance = left * float(np.trace(inverse[these, these]))
        own[term.setting] = max(0.0, float((weights[these] ** 2).sum()) - chance)
        effects[term.setting] = pd.Series(term.columns @ weights[these] + mean, _in_words(settings[term.setting]))
    total = sum(own.values()) + left * (len(away) - 1)
    return {name: (own[name] / total if total else 0.0, effect) for name, effect in effects.items()}


@dataclass(frozen=True)
class _Term:
    """What a setting adds to a fit: columns (points, terms) of mean nought, at right angles and of length one."""

    setting: str
    columns: np.ndarray


def _fitting_terms(settings: pd.DataFrame) -> list[_Term]:
    """Curves where the points can tell them, else straight lines; words have a term for each but one."""
    curved = _terms(settings, curved=True)
    told = len(settings) >= _least_points(curved) and not _go_together(curved)
    return curved if told else _terms(settings, curved=False)


def _least_points(terms: list[_Term]) -> int:
    return POINTS_A_TERM * sum(term.columns.shape[1] for term in terms) + 1


def _go_together(terms: list[_Term]) -> bool:
    columns = np.hstack([term.columns for term in terms])
    return bool(np.linalg.eigvalsh(columns.T @ columns).min(initial=1.0) < MOST_TOGETHER)


def _terms(settings: pd.DataFrame, curved: bool) -> list[_Term]:
    found = []
    for name in settings:
        column = settings[name]
        if pd.api.types.is_numeric_dtype(column) and column.notna().all():
            scaled = column.to_numpy(dtype=float)
            scaled = (scaled - scaled.mean()) / (np.ptp(scaled) or 1.0)
            raw = np.column_stack([scaled, scaled**2] if curved and column.nunique() > 2 else [scaled])
        else:
            raw = pd.get_dummies(_in_words(column)).to_numpy(dtype=float)
        found.append(_Term(str(name), _at_right_angles(raw - raw.mean(axis=0))))
    return found


def _at_right_angles(columns: np.ndarray) -> np.ndarray:
    """The same space in columns at right angles and of length one; (points, its dimension)."""
    turned, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(turned[:, sizes > 1e-9 * max(1.0, float(sizes.max(initial=0.0)))])


def _in_words(column: pd.Series) -> pd.Series:
    """A setting's values; a word for those that are left as they are."""
    return column.astype(object).where(column.notna(), AS_IT_IS)
