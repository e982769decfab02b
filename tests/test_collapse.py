"""Collapse metrics against their definitions, their invariances, and input that has no collapse."""

import json
import re

import numpy as np
import pytest
import score_references as reference
import torch

from nctransfer.collapse import rows as rows_module
from nctransfer.collapse.class_statistics import class_statistics
from nctransfer.collapse.measure import measure, measure_classifier
from nctransfer.collapse.nc1 import cdnv, nc1, numerical_rank, shuffled_nc1, vci
from nctransfer.collapse.nc2_to_nc4 import (
    centre_disagreement,
    equiangle,
    equinorm,
    etf_distance,
    self_duality,
)
from nctransfer.errors import DegenerateInputError


def problem(seed, classes, width, largest=12, smallest=1):
    """Gaussian classes of random sizes, with uneven scatter, rows in random order."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(smallest, largest + 1, classes)
    counts[rng.integers(classes)] = max(2, largest)
    labels = rng.permutation(np.repeat(np.arange(classes), counts))
    scales = rng.uniform(0.2, 2.0, width)
    means = rng.normal(size=(classes, width)) + rng.normal(size=width)
    return means[labels] + scales * rng.normal(size=(len(labels), width)), labels


def fifty_problems():
    """K 2-100, d 2-2,048, log-uniform, with the corners; every second one is balanced."""
    rng = np.random.default_rng(0)
    shapes = [(2, 2), (2, 2048), (30, 2048), (100, 2), (100, 99), (100, 300), (3, 1), (8, 7), (50, 10)]
    while len(shapes) < 50:
        shapes.append((int(2 * 50 ** rng.uniform()), int(2 * 256 ** rng.uniform())))
    return [
        pytest.param(seed, classes, width, 1 if seed % 2 else 6, id=f"K{classes}-d{width}-{seed}")
        for seed, (classes, width) in enumerate(shapes)
    ]


# ---------------------------------------------------------------- agreement with the definitions


@pytest.mark.parametrize(("seed", "classes", "width", "smallest"), fifty_problems())
def test_agrees_with_the_definition(seed, classes, width, smallest):
    features, labels = problem(seed, classes, width, largest=6, smallest=smallest)
    for dtype, tolerance in ((np.float64, 1e-8), (np.float32, 1e-4)):
        rows = features.astype(dtype)
        statistics = class_statistics(rows, labels)
        for metric in (nc1, cdnv, numerical_rank):
            expected = getattr(reference, metric.__name__)(rows.astype(float), labels)
            assert 0 <= metric(statistics) == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize(("classes", "width", "largest"), [(4, 12, 40), (20, 6, 20), (2, 1, 9)])
def test_vci_agrees_with_the_definition(classes, width, largest):
    features, labels = problem(3, classes, width, largest)
    assert vci(class_statistics(features, labels)) == pytest.approx(reference.vci(features, labels), rel=1e-8)
    single = features.astype(np.float32)
    assert vci(class_statistics(single, labels)) == pytest.approx(
        reference.vci(single.astype(float), labels), rel=1e-4
    )


PROBLEMS = ("balanced", "imbalanced", "more_classes_than_dims", "fewer_samples_than_dims")


@pytest.mark.parametrize("name", PROBLEMS)
def test_published_vectors_reproduce(vectors, name):
    expected = json.loads((vectors / "metrics.json").read_text())[name]
    arrays = np.load(vectors / "metrics.npz")
    measured = measure(arrays[f"{name}_features"], arrays[f"{name}_labels"])
    assert (measured.samples, measured.classes, measured.width) == (
        expected["N"],
        expected["K"],
        expected["d"],
    )
    assert (measured.rank, measured.dropped_classes) == (expected["rank"], 0)
    for metric in ("nc1", "cdnv", "numerical_rank", "nc2_equinorm", "nc2_equiangle", "nc2_etf"):
        assert measured.values[metric] == pytest.approx(expected[metric], rel=1e-9), metric
    if name == "fewer_samples_than_dims":
        assert "needs two samples more than dimensions" in measured.undefined["vci"]
    else:
        assert measured.values["vci"] == pytest.approx(1 - expected["h_score"] / expected["rank"], rel=1e-9)


# ---------------------------------------------------------------- precision


@pytest.mark.parametrize("offset", [1e3, 1e6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_large_common_offset_costs_no_digits(dtype, offset):
    features, labels = problem(5, 10, 64, largest=50)
    shifted = (features + offset).astype(dtype)
    statistics = class_statistics(shifted, labels)
    tolerance = 1e-4 if dtype == np.float32 else 1e-8
    assert nc1(statistics) == pytest.approx(reference.nc1(shifted.astype(float), labels), rel=tolerance)
    assert cdnv(statistics) == pytest.approx(reference.cdnv(shifted.astype(float), labels), rel=tolerance)


def test_strong_collapse_is_measured_in_float32():
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 5, 400)
    features = rng.normal(size=(5, 40))[labels] + 1e-4 * rng.normal(size=(400, 40))
    features = features.astype(np.float32)
    value = nc1(class_statistics(features, labels))
    assert value < 1e-7
    exact = features.astype(float)
    assert value == pytest.approx(reference.nc1(exact, labels), rel=1e-4)
    assert cdnv(class_statistics(features, labels)) == pytest.approx(reference.cdnv(exact, labels), rel=1e-4)


@pytest.mark.parametrize("scale", [1e-28, 1e28])
def test_extreme_scales_neither_vanish_nor_overflow(scale):
    features, labels = problem(8, 4, 16, largest=20)
    usual, extreme = (
        measure((features * factor).astype(np.float32), labels).values for factor in (1.0, scale)
    )
    assert usual == pytest.approx(extreme, rel=1e-4)


def test_blocks_that_cut_classes_add_up(monkeypatch):
    features, labels = problem(9, 7, 24, largest=30)
    whole = measure(features, labels).values
    monkeypatch.setitem(rows_module.BLOCK_BYTES, "cpu", 24 * 8 * 5)
    assert measure(features, labels).values == pytest.approx(whole, rel=1e-10)


# ---------------------------------------------------------------- invariances

FREE_OF_ORIGIN = ("nc1", "nc1_shuffled", "vci", "cdnv", "nc2_equinorm", "nc2_equiangle", "nc2_etf")


def test_rotation_and_scaling_change_nothing():
    features, labels = problem(10, 6, 20, largest=30)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 20)))[0]
    moved = measure(37.0 * features @ rotation, labels).values
    assert moved == pytest.approx(measure(features, labels).values, rel=1e-9)


def test_a_shift_changes_the_uncentred_rank_only():
    features, labels = problem(11, 6, 20, largest=30)
    plain, moved = measure(features, labels).values, measure(features + 5.0, labels).values
    for metric in FREE_OF_ORIGIN:
        assert moved[metric] == pytest.approx(plain[metric], rel=1e-9), metric
    assert moved["numerical_rank"] < 0.9 * plain["numerical_rank"]


def test_nc1_and_vci_ignore_invertible_maps_when_means_span_the_space():
    features, labels = problem(12, 12, 9, largest=20)
    mapped = features @ np.random.default_rng(1).normal(size=(9, 9))
    plain, moved = class_statistics(features, labels), class_statistics(mapped, labels)
    assert nc1(moved) == pytest.approx(nc1(plain), rel=1e-9)
    assert vci(moved) == pytest.approx(vci(plain), rel=1e-9)
    assert abs(cdnv(moved) / cdnv(plain) - 1) > 0.01


def test_order_of_rows_and_of_classes_does_not_matter():
    features, labels = problem(13, 8, 16, largest=20)
    rng = np.random.default_rng(2)
    order, names = rng.permutation(len(labels)), rng.permutation(8)
    plain = measure(features, labels).values
    by_row = measure(features[order], labels[order]).values
    by_class = measure(features, names[labels]).values
    by_sorting = measure(features[np.argsort(labels)], np.sort(labels)).values
    for metric in plain.keys() - {"nc1_shuffled"}:
        for other in (by_row, by_class, by_sorting):
            assert other[metric] == pytest.approx(plain[metric], rel=1e-10), metric


# ---------------------------------------------------------------- the null


def test_shuffled_labels_of_noise_give_the_textbook_level():
    classes, per_class, width = 10, 50, 2048
    features = np.random.default_rng(14).normal(size=(classes * per_class, width)).astype(np.float32)
    labels = np.arange(len(features)) % classes
    statistics = class_statistics(features, labels)
    expected = per_class * (classes - 1) / width
    assert shuffled_nc1(statistics) == pytest.approx(expected, rel=0.1)
    assert nc1(statistics) == pytest.approx(expected, rel=0.1)


def test_the_null_is_reproducible_and_does_not_depend_on_the_true_labels():
    features, labels = problem(15, 5, 12, largest=40, smallest=40)
    statistics = class_statistics(features, labels)
    assert shuffled_nc1(statistics, seed=3) == shuffled_nc1(statistics, seed=3)
    assert shuffled_nc1(statistics, seed=3) != shuffled_nc1(statistics, seed=4)
    assert shuffled_nc1(statistics) > 10 * nc1(statistics)
    with pytest.raises(ValueError, match="permutations is 0"):
        shuffled_nc1(statistics, permutations=0)


# ---------------------------------------------------------------- geometry and classifiers


def simplex(classes, width):
    """Vertices of a simplex equiangular tight frame, (K, d), around a common offset."""
    vertices = np.eye(classes) - 1 / classes
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(width, classes)))[0]
    return 4 * vertices @ basis.T


def symmetric_problem(classes=5, width=11):
    means = simplex(classes, width) + 0.7
    labels = np.tile(np.arange(classes), 6)
    noise = np.random.default_rng(1).normal(scale=0.05, size=(3 * classes, width))
    return means[labels] + np.concatenate([noise, -noise[np.arange(3 * classes)]]), labels


def test_a_simplex_has_no_geometric_deviation_and_a_stretched_one_has():
    features, labels = symmetric_problem()
    statistics = class_statistics(features, labels)
    for metric in (equinorm, equiangle, etf_distance):
        assert metric(statistics) < 1e-9
    stretched = class_statistics(features * np.linspace(0.2, 3, 11), labels)
    for metric in (equinorm, equiangle, etf_distance):
        assert metric(stretched) > 0.02


def test_the_nearest_centre_classifier_is_self_dual_and_agrees_with_the_centres():
    features, labels = symmetric_problem()
    statistics = class_statistics(features, labels)
    weight, bias = statistics.centred_means.numpy(), -0.5 * (statistics.means.numpy() ** 2).sum(1)
    values = measure_classifier(features, labels, 3 * weight, 3 * bias).values
    assert values == pytest.approx({"nc3": 0, "nc4": 0}, abs=1e-9)
    swap = [1, 0, 2, 3, 4]
    values = measure_classifier(features, labels, weight[swap], bias[swap]).values
    assert values["nc3"] > 0.5
    assert values["nc4"] == pytest.approx(2 / 5)


def test_nc3_and_nc4_agree_with_their_definitions():
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 6, 2000)
    # Means at uneven distances from their centre, and many samples between them.
    features = rng.normal(size=(2000, 10)) + 0.05 * (labels**2)[:, None]
    weight, bias = rng.normal(size=(6, 10)), 3 * rng.normal(size=6)
    means = np.stack([group.mean(0) for group in reference.groups_of(features, labels)])
    product = weight @ (means - means.mean(0)).T
    target = (np.eye(6) - 1 / 6) / np.sqrt(5)
    distances = ((features[:, None] - means) ** 2).sum(2)
    votes = (features @ weight.T + bias).argmax(1)
    for dtype in (np.float64, np.float32):
        values = measure_classifier(features.astype(dtype), labels, weight, bias).values
        assert values["nc3"] == pytest.approx(
            np.linalg.norm(product / np.linalg.norm(product) - target), rel=1e-6
        )
        assert values["nc4"] == (votes != distances.argmin(1)).mean()
    without = measure_classifier(features, labels, weight, None).values["nc4"]
    assert without == ((features @ weight.T).argmax(1) != distances.argmin(1)).mean()
    assert without != values["nc4"]


def test_a_classifier_may_know_classes_without_samples():
    features, labels = problem(17, 4, 8, largest=20)
    present = np.array([0, 2, 3, 6])
    weight = np.random.default_rng(0).normal(size=(7, 8))
    sparse = measure_classifier(features, present[labels], weight, None, classes=7)
    dense = measure_classifier(features, labels, weight[present], None)
    assert sparse.dropped_classes == 3
    assert sparse.values["nc3"] == pytest.approx(dense.values["nc3"], rel=1e-12)
    means = np.stack([group.mean(0) for group in reference.groups_of(features, labels)])
    nearest = present[((features[:, None] - means) ** 2).sum(2).argmin(1)]
    votes = (features @ weight.T).argmax(1)
    assert sparse.values["nc4"] == (votes != nearest).mean()
    assert 0 < (votes != nearest).mean() < 1


@pytest.mark.parametrize(
    ("weight", "bias", "message"),
    [
        (np.ones((3, 5)), None, "weights have shape (3, 5)"),
        (np.ones((2, 8)), None, "weights have shape (2, 8)"),
        (np.full((3, 8), np.nan), None, "weights hold NaN or infinity"),
        (np.ones((3, 8)), np.ones(4), "bias has shape (4,)"),
        (np.ones((3, 8)), np.array([0, np.inf, 0]), "bias hold NaN or infinity"),
    ],
)
def test_classifiers_that_do_not_fit_are_named(weight, bias, message):
    features, labels = problem(18, 3, 8, largest=10)
    statistics = class_statistics(features, labels, name="unit 2 (block)")
    with pytest.raises(DegenerateInputError, match=r"unit 2 \(block\).*" + re.escape(message)):
        centre_disagreement(statistics, weight, bias)


def test_weights_orthogonal_to_all_means_have_no_duality():
    features, labels = problem(19, 3, 8, largest=10)
    statistics = class_statistics(features, labels)
    with pytest.raises(DegenerateInputError, match="NC3 has no value"):
        self_duality(statistics, np.zeros((3, 8)))


# ---------------------------------------------------------------- degenerate input


def rows_and_labels():
    return problem(20, 4, 6, largest=5, smallest=5)


def degenerate_cases():
    features, labels = rows_and_labels()
    one_each = np.arange(len(features))
    holes = features.copy()
    holes[[7, 9], 2] = np.nan, np.inf
    cancelling = features.copy()
    cancelling[3, 0], cancelling[4, 0] = np.inf, -np.inf
    mirrored = np.repeat(features[:5], 2, axis=0)
    noise = np.random.default_rng(0).normal(size=features.shape)
    far = labels.copy()
    far[11] = 4
    negative = labels.copy()
    negative[2] = -1
    return [
        pytest.param(features, np.full(20, 3), "all 20 samples are of class 3", id="one class"),
        pytest.param(features, one_each, "one sample", id="one sample a class"),
        pytest.param(np.full((20, 6), 0.1), labels, "all 20 rows are equal", id="constant"),
        pytest.param(np.zeros((20, 6), np.float32), labels, "all 20 rows are equal", id="zero"),
        pytest.param(
            (0.1 * (1 + 3e-8 * noise)).astype(np.float32),
            labels,
            "up to the rounding of float32",
            id="constant up to rounding",
        ),
        pytest.param(mirrored, np.tile([0, 1], 5), "means of all 2 classes", id="equal means"),
        pytest.param(
            holes, labels, f"2 of 20 rows hold NaN or infinity, first row 7 (class {labels[7]})", id="NaN"
        ),
        pytest.param(cancelling, labels, "2 of 20 rows hold NaN", id="infinities that cancel"),
        pytest.param(
            features, far, "1 labels out of range, first 4 in row 11, allowed is 0 to 3", id="range"
        ),
        pytest.param(features, negative, "first -1 in row 2", id="negative"),
        pytest.param(features, labels[:-1], "allowed is one label a row, shape (20,)", id="length"),
        pytest.param(features, labels[:, None], "allowed is one label a row", id="label matrix"),
        pytest.param(features, labels.astype(float), "allowed are integers", id="float labels"),
        pytest.param(features[:, :0], labels, "are empty", id="no width"),
        pytest.param(features[:0], labels[:0], "are empty", id="no rows"),
        pytest.param(features[0], labels, "allowed is (N, d)", id="a vector"),
        pytest.param(features.astype(np.int64), labels, "features are torch.int64", id="integers"),
    ]


@pytest.mark.parametrize(("features", "labels", "message"), degenerate_cases())
def test_degenerate_input_is_named(features, labels, message):
    classes = None if "one sample" in message else 4
    with pytest.raises(DegenerateInputError, match=re.escape(message)) as caught:
        measure(features, labels, classes=classes, name="unit 3 (layer1.2)")
    assert str(caught.value).startswith("unit 3 (layer1.2): ")


def test_classes_without_samples_are_dropped_and_counted():
    features, labels = rows_and_labels()
    plain, gaps = measure(features, labels), measure(features, 2 * labels, classes=9)
    assert (gaps.classes, gaps.dropped_classes, plain.dropped_classes) == (4, 5, 0)
    assert gaps.values == plain.values
    assert measure(features, 2 * labels).dropped_classes == 3


def test_two_equal_means_leave_the_other_metrics():
    features, labels = rows_and_labels()
    features[labels == 2] = features[labels == 1]
    measured = measure(features, labels)
    assert "classes 1 and 2 have the same mean" in measured.undefined["cdnv"]
    assert measured.values["nc1"] > 0
    assert all(np.isfinite(value) for value in measured.values.values())


def test_two_classes_have_no_nc2():
    features, labels = problem(21, 2, 6, largest=20)
    measured = measure(features, labels)
    for metric in ("nc2_equinorm", "nc2_equiangle", "nc2_etf"):
        assert "simplex by construction" in measured.undefined[metric]
    assert set(measured.values) == {"nc1", "nc1_shuffled", "vci", "cdnv", "numerical_rank"}


def test_a_mean_in_the_centre_has_no_angle():
    features, labels = problem(22, 3, 4, largest=6, smallest=6)
    means = np.array([[0, 0, 0, 0], [1, 2, 0, 0], [-1, -2, 0, 0]], dtype=float)
    residual = features - np.stack([features[labels == label].mean(0) for label in range(3)])[labels]
    with pytest.raises(DegenerateInputError, match="mean of class 0 is the mean of all class means"):
        equiangle(class_statistics(means[labels] + 0.1 * residual, labels))


def test_a_class_of_zeros_has_no_numerical_rank():
    features, labels = rows_and_labels()
    features[labels == 3] = 0
    measured = measure(features, labels)
    assert "all features of class 3 are zero" in measured.undefined["numerical_rank"]
    assert "nc1" in measured.values


def test_a_shuffle_that_makes_all_means_equal_is_no_null():
    features, labels = np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([0, 0, 1, 1])
    measured = measure(features, labels, permutations=20)
    assert measured.values["nc1"] == 0
    assert "shuffle" in measured.undefined["nc1_shuffled"]


# ---------------------------------------------------------------- what comes in


def test_arrays_tensors_maps_and_views_give_the_same(tmp_path):
    features, labels = problem(23, 5, 16, largest=20)
    np.save(tmp_path / "features.npy", features)
    expected = measure(features, labels).values
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    assert measure(mapped, labels.astype(np.int32)).values == expected
    assert measure(torch.from_numpy(features), torch.from_numpy(labels)).values == expected
    twice = np.concatenate([features, features], axis=1)
    assert measure(twice[:, :16], labels).values == pytest.approx(expected, rel=1e-12)
    weighted = torch.from_numpy(features).requires_grad_()
    assert measure(weighted, labels).values == expected


def test_the_input_is_not_modified():
    features, labels = problem(24, 5, 16, largest=20)
    for order in (np.arange(len(labels)), np.argsort(labels)):
        rows, targets = features[order], labels[order]
        before = rows.copy(), targets.copy()
        measure(rows, targets)
        measure_classifier(rows, targets, np.ones((5, 16)), np.zeros(5))
        np.testing.assert_array_equal(rows, before[0])
        np.testing.assert_array_equal(targets, before[1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_same():
    features, labels = problem(25, 20, 64, largest=40)
    here = measure(features, labels)
    there = measure(torch.from_numpy(features).cuda(), torch.from_numpy(labels).cuda())
    assert there.values == pytest.approx(here.values, rel=1e-8)
    assert nc1(class_statistics(torch.from_numpy(features).float().cuda(), labels)) == pytest.approx(
        here.values["nc1"], rel=1e-4
    )
