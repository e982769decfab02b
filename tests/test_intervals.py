"""Intervals: against scipy, and how often they cover; docs/statistics.md has more samples of each."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nctransfer import intervals


def test_accuracies_have_wilsons_interval():
    for right, images in ((0, 10), (7, 10), (10, 10), (8123, 10_000)):
        known = stats.binomtest(right, images).proportion_ci(method="wilson")
        low, high = intervals.accuracy_interval(100 * right / images, images)
        assert (float(low), float(high)) == pytest.approx((100 * known.low, 100 * known.high), abs=1e-9)
    for images in range(1, 2000):  # rounding leaves no end on the wrong side
        assert intervals.accuracy_interval(100.0, images)[1] >= 100
        assert intervals.accuracy_interval(0.0, images)[0] <= 0
    table = intervals.with_intervals(pd.DataFrame({"accuracy": [50.0, 90.0], "samples": [100, 0]}))
    assert table["accuracy_low"][0] == pytest.approx(40.4, abs=0.05)
    assert np.isnan(table["accuracy_high"][1])  # of no images


def test_correlations_have_fishers_interval():
    x, y = np.random.default_rng(0).normal(size=(2, 9))
    found = stats.pearsonr(x, y)
    known = found.confidence_interval(0.95)
    assert intervals.pearson_interval(found.statistic, 9) == pytest.approx((known.low, known.high))
    assert intervals.pearson_interval(0.9, 3) == (-1.0, 1.0)
    assert np.isnan(intervals.pearson_interval(0.9, 2)).all()


def test_r2_has_that_of_its_root():
    low, high = intervals.pearson_interval(-0.8, 12)
    assert intervals.r2_interval(-0.8, 12) == pytest.approx((high**2, low**2))
    low, high = intervals.r2_interval(0.1, 12)  # r may be negative
    assert low == 0
    assert high == pytest.approx(max(np.square(intervals.pearson_interval(0.1, 12))))


def test_ranks_of_many_rows_are_scipys():
    x, y = np.random.default_rng(1).normal(size=(2, 5, 9))
    rho, tau = intervals.rank_correlations(np.take_along_axis(y, (-x).argsort(1), 1))
    for row in range(5):
        assert rho[row] == pytest.approx(stats.spearmanr(x[row], y[row]).statistic)
        assert tau[row] == pytest.approx(stats.weightedtau(x[row], y[row]).statistic)


@pytest.mark.parametrize("interval", [intervals.spearman_interval, intervals.weighted_tau_interval])
def test_a_perfect_order_of_few_leaves_much_open(interval):
    low, high = interval(1.0, 5)
    assert high == 1
    assert 0 < low < 0.5
    for points in (20, 40, 120):
        assert interval(1.0, points)[0] > 0.9
        assert interval(-1.0, points)[0] == -1
    assert np.isnan(interval(1.0, 3)).all()
    assert np.isnan(interval(float("nan"), 9)).all()


KINDS = {
    "r": (lambda x, y: stats.pearsonr(x, y).statistic, intervals.pearson_interval),
    "r2": (lambda x, y: stats.pearsonr(x, y).statistic, intervals.r2_interval),
    "rho": (lambda x, y: stats.spearmanr(x, y).statistic, intervals.spearman_interval),
    "tau": (lambda x, y: stats.weightedtau(x, y).statistic, intervals.weighted_tau_interval),
}


@pytest.mark.parametrize(
    ("kind", "points", "correlation"),
    # so few points have few orders, of which hardly any refutes a rank correlation
    [("r", 4, -0.8), *((kind, *size) for kind in KINDS for size in ((7, 0.0), (10, 0.8), (15, 0.95)))],
)
def test_intervals_cover_as_often_as_they_say(kind, points, correlation):
    """Of 400 samples of two normals 380 are expected, with a standard deviation of 4.4."""
    coefficient, interval = KINDS[kind]
    generator = np.random.default_rng(0)
    samples = generator.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], (400, points))
    found = [coefficient(*sample.T) for sample in samples]
    truth = {
        "r": correlation, "r2": correlation**2, "rho": 6 / np.pi * np.arcsin(correlation / 2),
        "tau": float(np.mean(found)),  # at this number of points
    }[kind]  # fmt: skip
    covered = sum(low <= truth <= high for low, high in (interval(value, points) for value in found))
    assert 365 <= covered <= 393


def test_means_have_students_interval():
    values = np.random.default_rng(0).normal(60, 8, 40)
    known = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert intervals.mean_interval(values) == pytest.approx((known.low, known.high), rel=1e-12)
    assert intervals.mean_interval(np.full(5, 50.0)) == (50, 50)
    assert np.isnan(intervals.mean_interval(values[:1])).all()
