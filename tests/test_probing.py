"""Probes: the recipe against torch's own loop, the exact solver against scikit-learn, bad input."""

import logging
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from nctransfer.data.keyed_random import Stream, stream_seed
from nctransfer.errors import ConfigError, DataError, DegenerateInputError
from nctransfer.probing.probes import Probe, objective_gaps, score, train_probes
from nctransfer.probing.settings import ProbeSettings
from nctransfer.probing.solvers.sgd import epoch_order, initial

SHORT = ProbeSettings(epochs=6, batch_size=64)
EXACT = ProbeSettings(solver="lbfgs")


def problem(
    samples: int = 300, width: int = 12, classes: int = 4, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Overlapping classes on a decaying spectrum, through a ReLU; float64."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(samples) % classes
    means = torch.randn(classes, width, generator=generator, dtype=torch.float64)
    noise = torch.randn(samples, width, generator=generator, dtype=torch.float64)
    scale = torch.arange(1, width + 1).double().rsqrt()
    return torch.relu((0.6 * means[labels] + noise) * scale + 0.2), labels


def torch_loop(
    features: torch.Tensor, labels: torch.Tensor, settings: ProbeSettings, classes: int, unit: str = "unit"
) -> nn.Linear:
    """The recipe as anyone would write it, weights and batches drawn from the seed."""
    torch.manual_seed(stream_seed(settings.seed, Stream.PROBE, unit))
    probe = nn.Linear(features.shape[1], classes, dtype=features.dtype)
    optimiser = torch.optim.SGD(
        probe.parameters(),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimiser, settings.epochs, eta_min=settings.final_learning_rate
    )
    for epoch in range(settings.epochs):
        assert settings.learning_rate_at(epoch) == pytest.approx(schedule.get_last_lr()[0], rel=1e-9)
        draw = torch.Generator().manual_seed(stream_seed(settings.seed, Stream.ORDER, epoch))
        for rows in torch.randperm(len(labels), generator=draw).split(settings.batch_size):
            optimiser.zero_grad()
            nn.functional.cross_entropy(probe(features[rows]), labels[rows]).backward()
            optimiser.step()
        schedule.step()
    return probe


def autograd_objective(probe: Probe, features: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """The objective and the norm of its gradient, by autograd."""
    weights, bias = probe.weights.clone().requires_grad_(), probe.bias.clone().requires_grad_()
    loss = nn.functional.cross_entropy(features @ weights + bias, labels)
    loss = loss + probe.settings.weight_decay / 2 * (weights.square().sum() + bias.square().sum())
    loss.backward()
    assert weights.grad is not None
    assert bias.grad is not None
    return loss.item(), (weights.grad.square().sum() + bias.grad.square().sum()).sqrt().item()


@pytest.mark.parametrize(
    "settings",
    [
        SHORT,
        replace(SHORT, seed=3, learning_rate=0.02, weight_decay=5e-2),
        replace(SHORT, batch_size=300, momentum=0.0),
        replace(SHORT, batch_size=1000, weight_decay=0.0),
    ],
    ids=["paper", "other-rates", "whole-batch", "batch-above-n"],
)
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, (1e-9, 1e-11)), (torch.float32, (1e-4, 1e-5))])
def test_sgd_is_torch_optim_sgd(
    settings: ProbeSettings, dtype: torch.dtype, close: tuple[float, float]
) -> None:
    features, labels = problem()
    expected = torch_loop(features.to(dtype), labels, settings, classes=4)
    probe = train_probes({"unit": features}, labels, [settings], dtype=dtype)[0]
    torch.testing.assert_close(probe.weights, expected.weight.detach().T, rtol=close[0], atol=close[1])
    torch.testing.assert_close(probe.bias, expected.bias.detach(), rtol=close[0], atol=close[1])


def test_units_seeds_and_the_order_of_batches_have_random_numbers_of_their_own() -> None:
    """No two units of a width begin alike, and no order is drawn from the numbers of the weights."""
    first = {
        (unit, seed): initial(unit, 9, 4, seed, torch.float64)[0]
        for unit in ("layer1", "layer2")
        for seed in (0, 1)
    }
    for one, other in combinations(first.values(), 2):
        assert not torch.isclose(one, other).any()
    assert torch.equal(first["layer1", 0], initial("layer1", 9, 4, 0, torch.float64)[0])
    orders = {tuple(epoch_order(20, seed, epoch).tolist()) for seed in (0, 1) for epoch in range(3)}
    assert len(orders) == 6
    for unit, seed in first:
        begun = torch.Generator().manual_seed(stream_seed(seed, Stream.PROBE, unit))
        assert tuple(torch.randperm(20, generator=begun).tolist()) not in orders


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_probe_is_the_same_alone_and_in_company(dtype: torch.dtype) -> None:
    labels = problem()[1]
    features = {f"u{i}": problem(width=width, seed=i)[0] for i, width in enumerate((9, 5, 9, 14, 5))}
    settings = [
        SHORT,
        replace(SHORT, learning_rate=0.01, seed=1),
        replace(SHORT, weight_decay=1e-2),
        replace(EXACT, weight_decay=1e-2),
        replace(SHORT, seed=2),
        replace(SHORT, batch_size=50, epochs=4, momentum=0.5),
        replace(SHORT, learning_rate=0.3, seed=1),
    ]
    together = train_probes(features, labels, settings, dtype=dtype)
    assert [(p.unit, p.settings) for p in together] == [(u, s) for u in features for s in settings]
    tolerance = 1e-10 if dtype == torch.float64 else 2e-4
    for probe in together:
        unit = {probe.unit: features[probe.unit]}
        alone = train_probes(unit, labels, [probe.settings], dtype=dtype)[0]
        torch.testing.assert_close(probe.weights, alone.weights, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(probe.bias, alone.bias, rtol=tolerance, atol=tolerance)
        assert probe.objective == pytest.approx(alone.objective, rel=tolerance)


@pytest.mark.parametrize("settings", [SHORT, EXACT], ids=["sgd", "lbfgs"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_same_call_same_bits(settings: ProbeSettings, dtype: torch.dtype) -> None:
    features, labels = problem()
    features = features.to(dtype)
    torch.manual_seed(1)
    first = train_probes({"a": features, "b": features[:, :5]}, labels, [settings])
    torch.manual_seed(2)
    second = train_probes({"a": features, "b": features[:, :5]}, labels, [settings])
    assert torch.equal(features, problem()[0].to(dtype))  # left as they were
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.weights, other.weights)
        assert torch.equal(one.bias, other.bias)


@pytest.mark.parametrize("decay", [1e-4, 1e-2, 1.0])
def test_lbfgs_finds_the_stationary_point(decay: float) -> None:
    features, labels = problem()
    settings = replace(EXACT, weight_decay=decay)
    probe = train_probes({"unit": features}, labels, [settings], dtype=torch.float64)[0]
    objective, steepness = autograd_objective(probe, features, labels)
    assert probe.objective == pytest.approx(objective, rel=1e-10)
    assert steepness < 1e-6


def test_lbfgs_agrees_with_scikit_learn() -> None:
    features, labels = problem()
    decay = 1e-3
    # The recipe decays the bias too, so scikit-learn gets it as one more feature.
    padded = torch.cat([features, torch.ones(len(features), 1, dtype=features.dtype)], dim=1).numpy()
    reference = LogisticRegression(C=1 / (decay * len(labels)), fit_intercept=False, tol=1e-10, max_iter=5000)
    reference.fit(padded, labels.numpy())
    settings = replace(EXACT, weight_decay=decay)
    probe = train_probes({"unit": features}, labels, [settings], dtype=torch.float64)[0]
    found = torch.cat([probe.weights, probe.bias[None]]).T.numpy()
    np.testing.assert_allclose(found, reference.coef_, rtol=1e-4, atol=1e-5)
    assert probe.train_accuracy == pytest.approx(100 * reference.score(padded, labels.numpy()))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_lbfgs_in_float32_reaches_the_minimum_on_any_scale(
    scale: float, caplog: pytest.LogCaptureFixture
) -> None:
    features, labels = problem(samples=600, width=40)
    features = features * torch.logspace(0, -3, 40, dtype=torch.float64) * scale + scale
    with caplog.at_level(logging.WARNING):
        single = train_probes({"unit": features}, labels, [EXACT])[0]
    double = train_probes({"unit": features}, labels, [EXACT], dtype=torch.float64)[0]
    assert single.objective == pytest.approx(double.objective, abs=1e-5)
    assert not caplog.records


def test_sgd_comes_down_to_the_minimum_and_not_below() -> None:
    features, labels = problem(samples=1000)
    recipe = replace(SHORT, epochs=200)
    sgd, exact = train_probes({"unit": features}, labels, [recipe, EXACT], dtype=torch.float64)
    assert exact.objective <= sgd.objective <= exact.objective + 2e-3
    assert sgd.train_accuracy == pytest.approx(exact.train_accuracy, abs=0.5)


def test_arrays_memory_maps_and_tensors_are_alike(tmp_path) -> None:
    features, labels = problem(samples=20_000)
    half = features.to(torch.float16)
    np.save(tmp_path / "unit.npy", half.numpy())
    mapped = np.load(tmp_path / "unit.npy", mmap_mode="r")
    given = [half, half.numpy(), mapped, half.float()]
    settings = [replace(SHORT, epochs=1)]
    probes = [train_probes({"unit": array}, labels.numpy(), settings)[0] for array in given]
    assert all(torch.equal(probe.weights, probes[0].weights) for probe in probes)


def test_accuracy_and_cross_entropy_by_hand() -> None:
    weights, bias = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), torch.tensor([0.0, 0.0, 0.5])
    probe = Probe("unit", SHORT, weights, bias, 80.0, 0.4, 0.5, gap=0.0, unconverged=False)
    features = np.array([[2.0, 0.0], [0.0, 2.0], [0.1, 0.2], [3.0, 2.0]])
    labels = np.array([0, 1, 2, 1])
    assert probe.accuracy(features, labels) == 75.0
    logits = torch.from_numpy(features).float() @ weights + bias
    expected = nn.functional.cross_entropy(logits, torch.from_numpy(labels)).item()
    [found] = score([probe], {"unit": features}, labels)
    assert found.accuracy == 75.0
    assert found.cross_entropy == pytest.approx(expected, rel=1e-6)


def test_scores_keep_the_order_of_the_probes() -> None:
    labels = problem()[1]
    features = {"a": problem(seed=1)[0], "b": problem(seed=2)[0]}
    probes = train_probes(features, labels, [SHORT, EXACT])
    mixed = [probes[3], probes[0], probes[2], probes[1]]
    accuracies = [found.accuracy for found in score(mixed, features, labels)]
    assert accuracies == [probe.train_accuracy for probe in mixed]
    assert len(set(accuracies)) > 1


def test_a_class_of_the_list_without_samples_is_allowed() -> None:
    features, labels = problem()
    for solver in ("sgd", "lbfgs"):
        settings = replace(SHORT, solver=solver)
        probe = train_probes({"unit": features}, labels, [settings], class_count=6)[0]
        assert probe.weights.shape == (12, 6)
        assert probe.train_accuracy > 50


FEATURES, LABELS = problem()


def with_value(value: float) -> torch.Tensor:
    features = FEATURES.clone()
    features[17, 3] = value
    return features


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        ({"good": FEATURES, "layer3.1": with_value(np.nan)}, LABELS, r"layer3\.1.*NaN"),
        ({"good": FEATURES, "layer3.1": with_value(np.inf)}, LABELS, r"layer3\.1.*infinity"),
        ({"good": FEATURES, "layer3.1": with_value(1e300)}, LABELS, r"layer3\.1.*infinity"),
        ({"layer3.1": with_value(np.nan).float()}, LABELS, r"layer3\.1.*NaN"),
        ({"layer3.1": FEATURES}, torch.full_like(LABELS, 2), r"class 2"),
        ({"layer3.1": FEATURES}, LABELS - 1, r"-1"),
        ({"layer3.1": FEATURES}, LABELS + 1, r"4 found, allowed are 0 to 3"),
        ({"layer3.1": FEATURES}, LABELS.double(), r"float64"),
        ({"layer3.1": FEATURES}, LABELS[:, None], r"shape \(300, 1\)"),
        ({"good": FEATURES, "layer3.1": FEATURES[:-1]}, LABELS, r"layer3\.1: 299 .* 300 labels"),
        ({"layer3.1": FEATURES[:0]}, LABELS[:0], r"labels: shape \(0,\)"),
        ({"layer3.1": FEATURES[:, :0]}, LABELS, r"layer3\.1.*\(300, 0\)"),
        ({"layer3.1": FEATURES[:, 0]}, LABELS, r"layer3\.1.*\(300,\)"),
        ({}, LABELS, r"no units"),
    ],
    ids=[
        "nan", "inf", "overflow", "nan-in-place", "one-class", "negative", "above", "float-labels",
        "label-matrix", "length", "empty", "no-columns", "vector", "no-units",
    ],
)  # fmt: skip
@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_bad_input_is_named(features, labels, message: str, solver: str) -> None:
    with pytest.raises(DegenerateInputError, match=message):
        train_probes(features, labels, [replace(SHORT, solver=solver)], class_count=4)


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_only_the_unit_that_fails_is_named(solver: str) -> None:
    features = {"calm": FEATURES, "wild": FEATURES * 1e30, "small": FEATURES * 1e-6}
    with pytest.raises(DegenerateInputError, match="wild") as caught:
        train_probes(features, LABELS, [replace(SHORT, solver=solver)])
    assert "calm" not in str(caught.value)
    assert "small" not in str(caught.value)


def test_only_the_rate_that_diverges_is_named() -> None:
    unstable = replace(SHORT, learning_rate=1e30, weight_decay=1.0)
    with pytest.raises(DegenerateInputError, match=r"unit layer1 at learning rate 1e\+30") as caught:
        train_probes({"layer1": FEATURES}, LABELS, [replace(SHORT, learning_rate=0.25), unstable])
    assert "0.25" not in str(caught.value)


def test_scoring_on_other_features_is_refused() -> None:
    probe = train_probes({"unit": FEATURES}, LABELS, [SHORT])[0]
    with pytest.raises(DataError, match="unit unit: 5 features, its probe has 12"):
        probe.accuracy(FEATURES[:, :5], LABELS)
    with pytest.raises(DataError, match=r"unit unit: no features .* other"):
        score([probe], {"other": FEATURES}, LABELS)


@pytest.mark.parametrize(
    ("key", "value"),
    [("learning_rate", -0.1), ("weight_decay", float("nan")), ("epochs", 0), ("batch_size", 1.5)],
)
def test_impossible_settings_are_refused(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=key):
        ProbeSettings(**{key: value})


def test_unknown_solver_is_refused_with_the_closest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'lbfgs'"):
        train_probes({"unit": FEATURES}, LABELS, [ProbeSettings(solver="lbgfs")])


# --- convergence ------------------------------------------------------------------------


@pytest.mark.parametrize("epochs", [1, 5, 60])
@pytest.mark.parametrize("scale", [0.01, 1.0])
def test_the_gap_is_a_lower_bound_of_the_distance_to_the_minimum(epochs: int, scale: float) -> None:
    features, labels = problem()
    unit = {"unit": features.float() * scale}
    probe, exact = train_probes(unit, labels, [replace(SHORT, epochs=epochs), EXACT])
    assert 0 <= probe.gap <= probe.objective - exact.objective + 1e-6
    assert exact.gap < 1e-4
    assert not exact.unconverged


def test_the_gap_is_that_of_the_definition() -> None:
    """Against autograd's gradient and a bound of the Hessian written down as it stands."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 4, (40,), generator=generator)
    parameters = torch.randn(4, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    ones = torch.cat([features, torch.ones(40, 1, dtype=torch.float64)], dim=1)
    loss = nn.functional.cross_entropy(ones @ parameters, labels) + 0.05 * parameters.square().sum()
    (slope,) = torch.autograd.grad(loss, parameters)
    hessian = torch.kron(ones.T @ ones / 80, torch.eye(4)) + 0.1 * torch.eye(16)
    expected = slope.flatten() @ torch.linalg.solve(hessian, slope.flatten()) / 2
    weight, bias = parameters.detach()[:3].T[None], parameters.detach()[3][None]
    (found,), (of_bias,) = objective_gaps(features, labels, weight, bias, [0.1])
    assert of_bias == pytest.approx(float(slope[3].square().sum() / (2 * (0.5 + 0.1))), rel=1e-8)
    assert found == pytest.approx(float(expected) - of_bias, rel=1e-8)


@pytest.mark.parametrize(
    ("change", "learns"),
    [
        (lambda features: features, True),
        (lambda features: features * 0.001, False),
        (lambda features: features * 1e-5, False),
        (lambda features: features + 1e5, False),
        (lambda features: torch.randn(features.shape, generator=torch.Generator().manual_seed(1)), True),
    ],
)  # fmt: skip
def test_a_probe_that_learned_nothing_is_not_taken_for_one_that_did(change: Any, learns: bool) -> None:
    """Features far from the scale for which the recipe was chosen; noise is learned as far as it can be."""
    features, labels = problem()
    (probe,) = train_probes({"unit": change(features).float()}, labels, [replace(SHORT, epochs=60)])
    assert probe.unconverged is not learns


def test_constant_features_are_no_failure_of_the_probe() -> None:
    labels = torch.arange(60) % 3
    (probe,) = train_probes({"unit": torch.ones(60, 4)}, labels, [SHORT])
    assert not probe.unconverged


@pytest.mark.parametrize("settings", [replace(SHORT, epochs=2), EXACT], ids=["sgd", "lbfgs"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_features_too_large_for_a_copy_give_the_same(
    settings: ProbeSettings, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = problem()[1]
    features = {
        name: problem(width=width, seed=width)[0].to(dtype)
        for name, width in {"a": 9, "b": 5, "c": 9}.items()
    }
    copied = train_probes(features, labels, [settings])
    monkeypatch.setattr("nctransfer.probing.data.COPIED_BYTES", 0)
    for probe, other in zip(train_probes(features, labels, [settings]), copied, strict=True):
        torch.testing.assert_close(probe.weights, other.weights, rtol=1e-4, atol=1e-6)
        assert probe.accuracy(features[probe.unit], labels) == other.train_accuracy
    with pytest.raises(DegenerateInputError, match=r"unit b: .*NaN or infinity"):
        train_probes(features | {"b": features["b"] + np.inf}, labels, [settings])


@pytest.mark.parametrize(
    ("classes", "separation", "most"), [(10, 0.6, 45), (10, 0.1, 20), (397, 0.6, 60), (397, 0.1, 60)]
)
def test_lbfgs_needs_few_evaluations(
    classes: int, separation: float, most: int, caplog: pytest.LogCaptureFixture
) -> None:
    """With a curvature for few classes and without an end by the gradient it needs 52, 32, 105 and 117."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(3000) % classes
    means = separation * torch.randn(classes, 200, generator=generator)
    scale = 3 * torch.arange(1, 201).rsqrt()
    features = torch.relu((torch.randn(3000, 200, generator=generator) + means[labels]) * scale)
    with caplog.at_level(logging.INFO):
        single = train_probes({"unit": features}, labels, [EXACT])[0]
    [evaluations] = [record.args[3] for record in caplog.records if "evaluations" in record.msg]
    assert evaluations <= most
    assert single.gap < 1e-5
    if classes == 10:  # in float64 many classes take many seconds
        exact = train_probes({"unit": features}, labels, [EXACT], dtype=torch.float64)[0]
        assert exact.objective - 1e-7 <= single.objective <= exact.objective + 1e-5


def test_training_leaves_the_features_as_they_are() -> None:
    features, labels = problem()
    single = features.float()
    before = single.clone()
    train_probes({"unit": single}, labels, [SHORT, EXACT])
    assert torch.equal(single, before)
