"""Features without full rank in every dtype and scale: a direction of rounding must not count as one of theirs."""

from functools import cache

import numpy as np
import pytest
import torch
from scipy import linalg
from score_problems import SCORES, draw, terms

from nctransfer.collapse.class_statistics import class_statistics
from nctransfer.collapse.measure import measure
from nctransfer.collapse.nc1 import cdnv, nc1, numerical_rank
from nctransfer.collapse.rows import SMALL
from nctransfer.errors import DegenerateInputError
from nctransfer.transferability.pool import min_max, scaled_ranks
from nctransfer.transferability.problem import Problem

TOLERANCE = {np.float64: 1e-6, np.float32: 1e-3, np.float16: 3e-2}
SCALES = {np.float64: (1e-6, 1.0, 1e6), np.float32: (1e-6, 1.0, 1e6), np.float16: (1e-2, 1.0, 1e2)}
# Terms that read the width or the place of the origin: they are compared with the same features in float64.
OWN = {"h_score_shrunk", "sfda", "logme", "numerical_rank", "etran_energy"}


def turned(points, width):
    """Points (N, r) in a space of more dimensions, along none of its axes."""
    basis = np.linalg.qr(np.random.default_rng(5).normal(size=(width, width)))[0]
    return points @ basis[: points.shape[1]]


def guesses(classes, width):
    """One-hot rows, of which 60 % name the class."""
    rng = np.random.default_rng(7)
    labels = np.arange(60 * classes) % classes
    named = np.where(rng.random(len(labels)) < 0.6, labels % width, rng.integers(0, width, len(labels)))
    return np.eye(width)[named], labels


def posteriors(classes, width):
    """Rows of a softmax, which sum to 1."""
    rng = np.random.default_rng(8)
    labels = np.arange(60 * classes) % classes
    powers = np.exp(2 * rng.normal(size=(classes, width))[labels] + rng.normal(size=(len(labels), width)))
    return powers / powers.sum(1, keepdims=True), labels


def degenerate():
    """Features, the same in coordinates of full rank (up to a shift), and labels."""
    points, labels, _ = draw(42, [30, 40, 35, 25], 6, noise=2.0, scale=1.0)
    few, of_few, _ = draw(43, [7, 9, 8], 6, noise=2.0, scale=1.0)
    narrow, of_narrow, _ = draw(44, [12] * 9, 5, noise=2.0, scale=1.0)
    problems = {
        "turned": (turned(points, 20), points, labels),
        "duplicated columns": (np.concatenate([points, points], 1) / np.sqrt(2), points, labels),
        "constant columns": (np.concatenate([points, np.full((130, 14), 0.1)], 1), points, labels),
        "zero columns": (np.concatenate([points, np.zeros((130, 9))], 1), points, labels),
        "fewer samples than dims": (turned(few, 40), few, of_few),
        "more classes than dims": (turned(narrow, 12), narrow, of_narrow),
    }
    for rows in (guesses, posteriors):
        for classes, width in ((5, 5), (10, 10), (16, 10)):
            features, names = rows(classes, width)
            free = features @ linalg.helmert(width).T
            problems[f"{rows.__name__} of {width} for {classes} classes"] = (features, free, names)
    return problems


DEGENERATE = degenerate()
CASES = [(name, dtype, scale) for name in DEGENERATE for dtype in SCALES for scale in SCALES[dtype]]


@cache
def in_float64(name, scale, free):
    """What is found of a problem's features, or of the same in coordinates of full rank; the same for all dtypes."""
    features, coordinates, labels = DEGENERATE[name]
    return found(scale * (coordinates if free else features), labels)


def found(features, labels):
    """Every term and metric that features alone determine."""
    measured = measure(features, labels)
    values = {"rank": measured.rank} | measured.values
    for score in set(SCORES) - {"leep", "nce", "nleep"}:
        try:
            values |= {f"score {name}": value for name, value in terms(score, features, labels).items()}
        except DegenerateInputError as error:
            values[score] = str(error)
    return values


@pytest.mark.parametrize(("name", "dtype", "scale"), CASES)
def test_directions_of_rounding_do_not_count(name, dtype, scale):
    features, _, labels = DEGENERATE[name]
    measured = found((scale * features).astype(dtype), labels)
    expected, own = in_float64(name, scale, free=True), in_float64(name, scale, free=False)
    assert measured.keys() == expected.keys()
    for key, value in measured.items():
        term = key.removeprefix("score ")
        truth = own[key] if term in OWN else expected[key]
        if dtype is np.float16 and (term, scale > 1) in {
            ("transrate", True),
            ("sfda", True),
            ("sfda", False),
        }:
            continue  # their epsilon and shrinkage can be smaller than the rounding of float16
        if term == "parc" and name.startswith("guesses"):
            continue  # two classes of equal counts can be exchanged: a component without a definite sign
        tolerance = max(TOLERANCE[dtype], 1e-4 if term == "ncti_seli" and scale < 1 else 0)
        if term in ("nc1_over_null", "nc1_shuffled"):
            tolerance *= 10  # with K near d the means of shuffled labels are almost of lower rank
        assert value == pytest.approx(truth, rel=tolerance, abs=1e-12), key


def test_gbc_of_one_hot_features_is_that_of_their_four_dimensions():
    features, free, labels = DEGENERATE["guesses of 5 for 5 classes"]
    plain = terms("gbc", free, labels)["gbc"]
    for copies in (1, 10, 100):
        many = np.tile(features, (copies, 1)), np.tile(labels, copies)
        assert Problem.of(*many).principal(64).points.shape[1] == 4
        assert terms("gbc", *many)["gbc"] == pytest.approx(plain, rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_small_variances_that_are_not_rounding_count(dtype):
    """A deviation above what rounding makes of a direction is kept, and one far below it is not."""
    generator = torch.Generator().manual_seed(0)
    # float64's is in the sums: eigenvalues have an absolute error, so that small deviations lose half their digits
    level = 1e-6 if dtype == torch.float64 else 3 * torch.finfo(dtype).eps
    labels = torch.arange(400) % 4
    rows = torch.randn(400, 6, dtype=torch.float64, generator=generator) + 3
    rows += torch.randn(4, 6, dtype=torch.float64, generator=generator)[labels]
    turn = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64, generator=generator))[0]
    for factor, rank in ((5.0, 6), (0.02, 5)):
        flat = torch.cat([rows[:, :5], factor * level * rows[:, 5:]], 1)
        assert class_statistics((flat @ turn).to(dtype), labels).covariance.spectrum.rank == rank


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e2])
def test_means_and_classes_that_differ_by_rounding_are_equal(dtype, scale):
    features, labels, _ = draw(66, [9, 8, 8], 6)
    same = features.copy()
    same[labels == 2] += same[labels == 1].mean(0) - same[labels == 2].mean(0)
    with pytest.raises(DegenerateInputError, match="classes 1 and 2 have the same mean"):
        terms("cdnv", (scale * same).astype(dtype), labels)
    assert np.isfinite(terms("cdnv", (scale * features).astype(dtype), labels)["cdnv"])

    unit = np.finfo(dtype).eps
    trembling = features.copy()
    trembling[labels == 1] = trembling[0] * (1 + 0.2 * unit * np.random.default_rng(0).normal(size=(8, 6)))
    for score in ("gbc", "face"):
        with pytest.raises(DegenerateInputError, match="class 1 has no variance"):
            terms(score, (scale * trembling).astype(dtype), labels)
        terms(score, (scale * features).astype(dtype), labels)

    means = np.array([features[labels == label].mean(0) for label in range(3)])[labels]
    flat = means * (1 + 0.2 * unit * np.random.default_rng(0).normal(size=means.shape))
    for score in ("sfda", "ncti"):
        with pytest.raises(DegenerateInputError, match="all samples of every class are equal"):
            terms(score, (scale * flat).astype(dtype), labels)
        terms(score, (scale * features).astype(dtype), labels)


def test_a_class_near_the_origin_keeps_its_small_variance():
    """What rounding can do to a class depends on its own size, not on that of the others."""
    features, labels, _ = draw(67, [30, 30, 30], 5)
    features[labels == 0] *= 1e-6
    features[labels > 0] += 1000 * labels[labels > 0][:, None]
    expected = terms("gbc", features, labels)["gbc"]
    assert terms("gbc", features.astype(np.float32), labels)["gbc"] == pytest.approx(expected, rel=1e-3)


def test_terms_of_a_pool_that_differ_by_rounding_are_equal():
    values = 1 - np.array([0, 1, 3, 2]) * np.finfo(float).eps
    assert min_max(values).tolist() == [0, 0, 0, 0]
    assert scaled_ranks(values).tolist() == [0, 0, 0, 0]
    assert min_max(1 + 1e-9 * np.array([0, 1, 4])).tolist() == pytest.approx([0, 0.25, 1], rel=1e-6)


# ---------------------------------------------------------------- sums in float64


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("samples", "width", "classes"), [(30, 5, 3), (2000, 512, 10), (5000, 512, 100)])
def test_metrics_are_those_of_the_same_numbers_in_float64(samples, width, classes, dtype):
    generator = torch.Generator().manual_seed(samples)
    labels = torch.arange(samples) % classes
    means = torch.randn(classes, width, generator=generator)
    rows = (means[labels] + torch.randn(samples, width, generator=generator) + 1).relu().to(dtype)
    tolerance = 1e-13 if rows.numel() <= SMALL else 5e-8
    for metric in (nc1, cdnv, numerical_rank):
        exact = metric(class_statistics(rows.double(), labels))
        assert metric(class_statistics(rows, labels)) == pytest.approx(exact, rel=tolerance)
