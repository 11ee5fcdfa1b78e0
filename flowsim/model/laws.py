"""What a distribution means with its parameters known: quantiles, chances, means; exact and without any randomness.

A law holds a value of each parameter for each of n people (or one for all): arrays of shape (n,) or (1,). `u` is a
uniform in (0, 1) for each, (n,); what comes back has that shape. Everything is in the distribution's own unit, and
before its `add`, `least` and `most`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import (
    gamma,
    gammaincc,
    gammainccinv,
    gammaincinv,
    log_ndtr,
    ndtr,
    ndtri,
    ndtri_exp,
    pdtr,
    pdtrc,
    pdtrik,
)

from flowsim.place import Distribution, Empirical, Table

HALVINGS = 60
"""Of the interval in which a quantile is looked for where no formula gives it: as fine as a number can be told."""
FAR_OUT = 1e-250
"""The chance below which a tail is no longer told from nothing by the functions used here."""
Given = Callable[[Table], np.ndarray]
"""A table's number for each of some people, (n,) or (1,) float64; or, of a table of anything else, which of its leaves
it is for each, in whole numbers."""


class Law(ABC):
    """How a number of a kind falls: the four questions that stays, waits and sizes ask."""

    is_certain: ClassVar[bool] = False
    """Nothing is left to chance: `u` is not looked at."""

    @abstractmethod
    def quantile(self, u: np.ndarray) -> np.ndarray:
        """The number below which a share `u` of all fall."""

    @abstractmethod
    def survival(self, x: np.ndarray) -> np.ndarray:
        """The chance of more than `x` (not negative)."""

    @abstractmethod
    def beyond(self, u: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The u-quantile of those above `x`; at least `x`, also where there are none."""

    @abstractmethod
    def found(self, u: np.ndarray) -> np.ndarray:
        """The u-quantile of what is found at a moment: each number as often as it is long."""

    @abstractmethod
    def mean(self) -> np.ndarray:
        """The mean, (n,) or (1,)."""


@dataclass(frozen=True)
class Fixed(Law):
    value: np.ndarray
    is_certain: ClassVar[bool] = True

    def quantile(self, u: np.ndarray) -> np.ndarray:
        return self.value

    def survival(self, x: np.ndarray) -> np.ndarray:
        return (self.value > x).astype(np.float64)

    def beyond(self, u: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.maximum(self.value, x)

    def found(self, u: np.ndarray) -> np.ndarray:
        return self.value

    def mean(self) -> np.ndarray:
        return self.value


@dataclass(frozen=True)
class Exponential(Law):
    average: np.ndarray

    def quantile(self, u: np.ndarray) -> np.ndarray:
        return -self.average * np.log1p(-u)

    def survival(self, x: np.ndarray) -> np.ndarray:
        return np.exp(-x / self.average)

    def beyond(self, u: np.ndarray, x: np.ndarray) -> np.ndarray:
        return x + self.quantile(u)

    def found(self, u: np.ndarray) -> np.ndarray:
        return self.average * gammaincinv(2.0, u)

    def mean(self) -> np.ndarray:
        return self.average


@dataclass(frozen=True)
class Uniform(Law):
    low: np.ndarray
    high: np.ndarray

    def quantile(self, u: np.ndarray) -> np.ndarray:
        return self.low + (self.high - self.low) * u

    def survival(self, x: np.ndarray) -> np.ndarray:
        wide = self.high > self.low
        return np.where(wide, np.clip((self.high - x) / (self.high - self.low), 0, 1), self.high > x)

    def beyond(self, u: np.ndarray, x: np.ndarray) -> np.ndarray:
        low = np.maximum(self.low, x)
        return low + np.maximum(self.high - low, 0) * u

    def found(self, u: np.ndarray) -> np.ndarray:
        return np.sqrt(self.low**2 + (self.high**2 - self.low**2) * u)

    def mean(self) -> np.ndarray:
        return (self.low + self.high) / 2


@dataclass(frozen=True)
class Lognormal(Law):
    """`mu` and `sigma` of the logarithm."""

    mu: np.ndarray
    sigma: np.ndarray

    def quantile(self, u: np.ndarray) -> np.ndarray:
        z = ndtri(u)
        z *= self.sigma
        z += self.mu
        return np.exp(z, out=z)

    def survival(self, x: np.ndarray) -> np.ndarray:
        return np.exp(log_ndtr(-(np.log(x) - self.mu) / self.sigma))

    def beyond(self, u: np.ndarray, x: np.ndarray) -> np.ndarray:
        surely = (np.log(x) - self.mu) / self.sigma
        # by the logarithm of the survival function, which is exact however far out in the tail
        z = -ndtri_exp(np.log1p(-u) + log_ndtr(-surely))
        return np.maximum(np.exp(self.mu + self.sigma * z), x)

    def found(self, u: np.ndarray) -> np.ndarray:
        return np.exp(self.mu + self.sigma**2 + self.sigma * ndtri(u))

    def mean(self) -> np.ndarray:
        return np.exp(self.mu + self.sigma**2 / 2)


@dataclass(frozen=True)
class Gamma(Law):
    shape: np.ndarray
    scale: np.ndarray

    def quantile(self, u: np.ndarray) -> np.ndarray:
        return self.scale * gammaincinv(self.shape, u)

    def survival(self, x: np.ndarray) -> np.ndarray:
        return gammaincc(self.shape, x / self.scale)

    def beyond(self, u: np.ndarray, x: np.ndarray) -> np.ndarray:
        chance = self.survival(x)
        # where nothing can be told from that tail any more, it falls as an exponential of the same scale does
        far = x - self.scale * np.log1p(-u)
        near = self.scale * gammainccinv(self.shape, np.maximum(chance, FAR_OUT) * (1 - u))
        return np.maximum(np.where(chance > FAR_OUT, near, far), x)

    def found(self, u: np.ndarray) -> np.ndarray:
        return self.scale * gammaincinv(self.shape + 1, u)

    def mean(self) -> np.ndarray:
        return self.shape * self.scale


@dataclass(frozen=True)
class Weibull(Law):
    shape: np.ndarray
    scale: np.ndarray

    def quantile(self, u: np.ndarray) -> np.ndarray:
        return self.scale * (-np.log1p(-u)) ** (1 / self.shape)

    def survival(self, x: np.ndarray) -> np.ndarray:
        return np.exp(-((x / self.scale) ** self.shape))

    def beyond(self, u: np.ndarray, x: np.ndarray) -> np.ndarray:
        hazard = (x / self.scale) ** self.shape - np.log1p(-u)
        return np.maximum(self.scale * hazard ** (1 / self.shape), x)

    def found(self, u: np.ndarray) -> np.ndarray:
        # the power that makes it exponential makes what is found a gamma
        return self.scale * gammaincinv(1 + 1 / self.shape, u) ** (1 / self.shape)

    def mean(self) -> np.ndarray:
        return self.scale * gamma(1 + 1 / self.shape)


@dataclass(frozen=True)
class Normal(Law):
    """A normal of which what is below `least` is cut off and the rest counts in proportion."""

    centre: np.ndarray
    spread: np.ndarray
    least: np.ndarray

    def quantile(self, u: np.ndarray) -> np.ndarray:
        return self._above(u, self.least)

    def survival(self, x: np.ndarray) -> np.ndarray:
        above = log_ndtr(-self._z(np.maximum(x, self.least)))
        return np.exp(above - log_ndtr(-self._z(self.least)))

    def beyond(self, u: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.maximum(self._above(u, np.maximum(x, self.least)), x)

    def found(self, u: np.ndarray) -> np.ndarray:
        first = self._z(self.least)

        def below(x: np.ndarray) -> np.ndarray:
            z = self._z(x)
            return self.centre * (ndtr(z) - ndtr(first)) - self.spread * (_density(z) - _density(first))

        high = np.maximum(self.centre, self.least) + 40 * self.spread
        return _where_it_reaches(below, u * below(high), self.least, high)

    def mean(self) -> np.ndarray:
        first = self._z(self.least)
        return self.centre + self.spread * _density(first) / ndtr(-first)

    def _z(self, x: np.ndarray) -> np.ndarray:
        return (x - self.centre) / self.spread

    def _above(self, u: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.maximum(self.centre - self.spread * ndtri_exp(np.log1p(-u) + log_ndtr(-self._z(x))), x)


@dataclass(frozen=True)
class Triangular(Law):
    low: np.ndarray
    mode: np.ndarray
    high: np.ndarray

    def quantile(self, u: np.ndarray) -> np.ndarray:
        rising = self.low + np.sqrt(u * self._width * (self.mode - self.low))
        falling = self.high - np.sqrt((1 - u) * self._width * (self.high - self.mode))
        return np.where(u * self._width < self.mode - self.low, rising, falling)

    def survival(self, x: np.ndarray) -> np.ndarray:
        inside = np.clip(x, self.low, self.high)
        with np.errstate(divide="ignore", invalid="ignore"):  # of a side that is upright only the other is asked
            below = (inside - self.low) ** 2 / (self._width * (self.mode - self.low))
            above = (self.high - inside) ** 2 / (self._width * (self.high - self.mode))
        chance = np.where(inside < self.mode, 1 - below, above)
        return np.where(self._width > 0, np.where(inside >= self.high, 0.0, chance), self.high > x)

    def beyond(self, u: np.ndarray, x: np.ndarray) -> np.ndarray:
        chance = self.survival(x)
        falling = self.high - np.sqrt((1 - u) * chance * self._width * (self.high - self.mode))
        rising = self.low + np.sqrt(np.maximum(1 - (1 - u) * chance, 0) * self._width * (self.mode - self.low))
        past_mode = (1 - u) * chance * self._width <= self.high - self.mode
        return np.maximum(np.where(past_mode, falling, rising), x)

    def found(self, u: np.ndarray) -> np.ndarray:
        def below(x: np.ndarray) -> np.ndarray:
            """Of x times twice the density, the integral up to x."""
            one, other = np.minimum(x, self.mode), np.maximum(x, self.mode)
            with np.errstate(divide="ignore", invalid="ignore"):
                rising = ((one**3 - self.low**3) / 3 - self.low * (one**2 - self.low**2) / 2) / (self.mode - self.low)
                falling = self.high * (other**2 - self.mode**2) / 2 - (other**3 - self.mode**3) / 3
                falling = falling / (self.high - self.mode)
            return np.where(self.mode > self.low, rising, 0) + np.where(self.high > self.mode, falling, 0)

        return _where_it_reaches(below, u * below(self.high), self.low, self.high)

    def mean(self) -> np.ndarray:
        return (self.low + self.mode + self.high) / 3

    @property
    def _width(self) -> np.ndarray:
        return self.high - self.low


@dataclass(frozen=True)
class Poisson(Law):
    """Whole numbers, nought included."""

    average: np.ndarray

    def quantile(self, u: np.ndarray) -> np.ndarray:
        return self._whole(u)

    def survival(self, x: np.ndarray) -> np.ndarray:
        return pdtrc(np.floor(x), self.average)

    def beyond(self, u: np.ndarray, x: np.ndarray) -> np.ndarray:
        first = np.floor(x)
        below = pdtr(first, self.average)
        # beyond what can be told from certainty, the next whole number is as good as sure
        return np.where(below < 1 - 1e-13, np.maximum(self._whole(below + u * (1 - below)), first + 1), first + 1)

    def found(self, u: np.ndarray) -> np.ndarray:
        return 1 + self._whole(u)

    def mean(self) -> np.ndarray:
        return self.average

    def _whole(self, u: np.ndarray) -> np.ndarray:
        """The smallest whole number up to which at least `u` fall."""
        number = np.ceil(pdtrik(u, self.average))
        number = np.maximum(np.where(np.isnan(number), 0, number), 0)
        less = np.maximum(number - 1, 0)
        return np.where(pdtr(less, self.average) >= u, less, number)


class Values:
    """Values by their weights, as they are looked up.

    Args:
        values: in any order; weights: how likely each is, (values,) any scale.
    """

    def __init__(self, values: np.ndarray, weights: np.ndarray) -> None:
        self.values, alike = np.unique(values, return_inverse=True)
        weights = np.bincount(alike, weights)
        self.mean = float(self.values @ weights / weights.sum())
        self._share = np.cumsum(weights) / weights.sum()  # of all up to each value
        self._share[np.flatnonzero(weights)[-1] :] = 1  # sums of shares may come to a little less
        self._weights = weights

    @classmethod
    def of(cls, counted: Empirical) -> Values:
        values = np.array(counted.values)
        return cls(values, np.ones(len(values)) if counted.weights is None else np.array(counted.weights))

    @property
    def by_length(self) -> Values:
        """Each as likely as its weight times itself: as they are found at a moment."""
        return Values(self.values, self.values * self._weights) if self.mean > 0 else self

    def at(self, u: np.ndarray) -> np.ndarray:
        """The value up to which a share `u` of all fall: (n,) from 0 to 1 in, (n,) float64 out."""
        return self.values[np.searchsorted(self._share, u)]

    def share_above(self, x: np.ndarray) -> np.ndarray:
        """The share of all above `x`: (n,) float64."""
        return 1 - np.append(0.0, self._share)[np.searchsorted(self.values, x, side="right")]


@dataclass(frozen=True)
class Counted(Law):
    """Values by their weights: several such lists, and which of them is each person's."""

    lists: list[Values]
    which: np.ndarray

    def quantile(self, u: np.ndarray) -> np.ndarray:
        return self._each(lambda one, u: one.at(u), u)

    def survival(self, x: np.ndarray) -> np.ndarray:
        return self._each(lambda one, x: one.share_above(x), x)

    def beyond(self, u: np.ndarray, x: np.ndarray) -> np.ndarray:
        def above(one: Values, u: np.ndarray, x: np.ndarray) -> np.ndarray:
            left = one.share_above(x)
            return np.where(left > 0, np.maximum(one.at(1 - left * (1 - u)), x), x)

        return self._each(above, u, x)

    def found(self, u: np.ndarray) -> np.ndarray:
        return self._each(lambda one, u: one.by_length.at(u), u)

    def mean(self) -> np.ndarray:
        return np.array([one.mean for one in self.lists])[self.which]

    def _each(self, answer: Callable[..., np.ndarray], *asked: np.ndarray) -> np.ndarray:
        *parts, which = np.broadcast_arrays(*asked, self.which)
        found = np.empty(which.shape)
        for code, one in enumerate(self.lists):
            here = which == code
            if here.any():
                found[here] = answer(one, *(part[here] for part in parts))
        return found


def law_of(what: Distribution, given: Given) -> Law:
    """The law of a declared distribution, by what its tables give to each of some people."""
    if what.fixed is not None:
        return Fixed(given(what.fixed))
    if what.exponential is not None:
        return Exponential(given(what.exponential.mean))
    if what.uniform is not None:
        return Uniform(given(what.uniform.low), given(what.uniform.high))
    if what.lognormal is not None:
        return _lognormal(what, given)
    if what.gamma is not None:
        mean, sd = given(what.gamma.mean), what.gamma.sd
        shape = _there(what.gamma.shape, given) if sd is None else (mean / given(sd)) ** 2
        return Gamma(shape, mean / shape)
    if what.weibull is not None:
        shape = given(what.weibull.shape)
        if what.weibull.scale is not None:
            return Weibull(shape, given(what.weibull.scale))
        return Weibull(shape, _there(what.weibull.mean, given) / gamma(1 + 1 / shape))
    if what.normal is not None:
        least = np.array([what.least or 0.0])
        least = least if what.add is None else np.maximum(least - given(what.add), 0)
        return Normal(given(what.normal.mean), given(what.normal.sd), least)
    if what.triangular is not None:
        triangle = what.triangular
        return Triangular(given(triangle.low), given(triangle.mode), given(triangle.high))
    if what.poisson is not None:
        return Poisson(given(what.poisson.mean))
    assert what.empirical is not None
    return Counted([Values.of(leaf) for leaf in what.empirical.leaves()], given(what.empirical).astype(np.intp))


def _lognormal(what: Distribution, given: Given) -> Lognormal:
    said = what.lognormal
    assert said is not None
    mean = None if said.mean is None else given(said.mean)
    if said.sigma is not None:
        sigma = given(said.sigma)
    elif said.sd is not None:
        assert mean is not None
        sigma = np.sqrt(np.log1p((given(said.sd) / mean) ** 2))
    else:
        assert mean is not None
        sigma = np.sqrt(2 * np.log(mean / _there(said.median, given)))
    if said.median is not None:
        return Lognormal(np.log(given(said.median)), sigma)
    assert mean is not None
    return Lognormal(np.log(mean) - sigma**2 / 2, sigma)


def _there(table: Table | None, given: Given) -> np.ndarray:
    assert table is not None
    return given(table)


def _density(z: np.ndarray) -> np.ndarray:
    """Of the standard normal."""
    return np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def _where_it_reaches(
    below: Callable[[np.ndarray], np.ndarray], wanted: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Where something that rises from `low` to `high` reaches what is wanted, by halving: in the shape of `wanted`."""
    low, high = (np.array(np.broadcast_to(end, wanted.shape), dtype=np.float64) for end in (low, high))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        short = below(middle) < wanted
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return (low + high) / 2
