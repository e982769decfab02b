"""How well scores rank models, and on how many samples they are computed."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from nctransfer import variants
from nctransfer.errors import DegenerateInputError
from nctransfer.transferability import scores as score_modules
from nctransfer.transferability.agreement import agreement, tau_null, weighted_tau
from nctransfer.transferability.evaluate import evaluate
from nctransfer.transferability.problem import Problem, stratified
from nctransfer.transferability.settings import ScoringSettings

ROOT = Path(__file__).resolve().parents[1]

# ---------------------------------------------------------------- agreement


def published():
    """Scores of NCTI and accuracies on CIFAR-10 of the same eleven models."""

    def column(name, value):
        table = pd.read_csv(ROOT / "config/published" / name)
        return table[table["dataset"] == "cifar10"].set_index("model")[value]

    scores, accuracies = column("ncti-cifar10.csv", "score"), column("finetuned-supervised.csv", "accuracy")
    assert set(scores.index) == set(accuracies.index)
    return scores.to_numpy(), accuracies[scores.index].to_numpy()


def test_the_published_tau_of_ncti_reproduces():
    scores, accuracies = published()
    assert len(scores) == 11
    assert weighted_tau(scores, accuracies) == pytest.approx(0.8426, abs=5e-5)
    assert weighted_tau(scores, scores) == pytest.approx(1)
    found = agreement(scores, accuracies)
    assert (found.points, found.tau) == (11, weighted_tau(scores, accuracies))
    assert found.tau_low < 0.6 < found.tau < found.tau_high < 0.99
    assert (-found.tau_null_low, found.tau_null_high) == (pytest.approx(0.5, abs=0.06),) * 2


def test_published_taus_of_cifar10_stand_beside_ours_in_the_docs():
    table = pd.read_csv(ROOT / "config/published/tau-supervised.csv")
    taus = table[table["dataset"] == "cifar10"].set_index("method")["tau_w"]
    assert taus["FaCe"] == 0.81
    lines = (ROOT / "docs/ranking.md").read_text().splitlines()
    shown = [line.split("|")[1:3] for line in lines if line.startswith("| ") and line.count("|") == 4]
    listed = {score.strip().replace("-", ""): value.strip() for score, value in shown}
    assert {method: listed[method] for method in taus.index} == taus.map("{:g}".format).to_dict()


def test_the_null_is_what_random_orders_reach():
    for points in (5, 11):
        rng = np.random.default_rng(points)
        order = np.arange(float(points))
        drawn = [stats.weightedtau(rng.permutation(order), order).statistic for _ in range(2000)]
        expected = np.percentile(drawn, [2.5, 97.5])
        np.testing.assert_allclose(tau_null(points), expected, atol=0.06)
    assert tau_null(11)[1] < tau_null(5)[1]
    assert math.isnan(tau_null(1)[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(value):
    scores, accuracies = published()
    holed = scores.copy()
    holed[4] = value
    for pair in ((holed, accuracies), (accuracies, holed)):
        with pytest.raises(DegenerateInputError, match="must be finite"):
            weighted_tau(*pair)
        with pytest.raises(DegenerateInputError, match="must be finite"):
            agreement(*pair)


def test_a_constant_has_no_correlation():
    scores, accuracies = published()
    for pair in ((np.ones(11), accuracies), (scores, np.ones(11))):
        found = agreement(*pair)
        assert all(math.isnan(value) for value in (found.tau, found.spearman, found.pearson))
        assert all(math.isnan(value) for value in (found.tau_low, found.spearman_high, found.pearson_low))
    assert math.isnan(weighted_tau(np.array([1.0]), np.array([2.0])))


def test_spearman_and_pearson_agree_with_scipy():
    rng = np.random.default_rng(1)
    accuracies = rng.normal(size=20)
    scores = np.round(accuracies + rng.normal(size=20), 0)  # ties
    found = agreement(scores, accuracies)
    assert found.spearman == pytest.approx(stats.spearmanr(scores, accuracies).statistic, rel=1e-12)
    assert found.pearson == pytest.approx(stats.pearsonr(scores, accuracies).statistic, rel=1e-12)
    for name in ("tau", "spearman", "pearson"):
        low, value, high = (getattr(found, name + end) for end in ("_low", "", "_high"))
        assert low < value < high
    # Fisher's interval
    half = 1.96 / math.sqrt(17)
    fisher = np.tanh(np.arctanh(found.pearson) + np.array([-half, half]))
    assert [found.pearson_low, found.pearson_high] == pytest.approx(fisher, abs=1e-4)


@pytest.mark.parametrize("points", [0, 1, 2])
def test_few_points_have_no_interval(points):
    scores, accuracies = (column[:points] for column in published())
    found = agreement(scores, accuracies)
    assert found.points == points
    for name in ("tau", "spearman", "pearson"):
        assert math.isnan(getattr(found, f"{name}_low"))
        assert math.isnan(getattr(found, f"{name}_high"))
        assert math.isnan(getattr(found, name)) == (points < 2)


# ---------------------------------------------------------------- subsamples

SHAPES = {
    "even": [50] * 6,
    "uneven": [3, 120, 40, 7, 80],
    "one-large": [1000] + [3] * 20,
    "singletons": [40] + [1] * 20,
}


@pytest.mark.parametrize("limit", [1, 4, 20, 33, 59])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_subsample_keeps_the_shares_of_the_classes(shape, limit):
    counts = np.array(SHAPES[shape])
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    rows = stratified(torch.from_numpy(labels), limit, seed=4)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert len(rows) == limit
    assert 0 <= int(rows[0]) <= int(rows[-1]) < len(labels)
    drawn = np.bincount(labels[rows.numpy()], minlength=len(counts))
    assert np.abs(drawn - limit * counts / counts.sum()).max() < 1


def test_a_subsample_is_drawn_by_its_seed_and_within_classes_by_chance():
    labels = torch.from_numpy(np.random.default_rng(0).permutation(np.repeat(np.arange(3), [40, 60, 20])))
    first, again, other = (stratified(labels, 30, seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
    assert stratified(labels, 120, 0).tolist() == list(range(120))
    seen = torch.cat([stratified(labels, 30, seed) for seed in range(60)]).bincount(minlength=120)
    assert pytest.approx(float(seen.double().mean())) == 15
    assert int(seen.min()) > 3
    assert int(seen.max()) < 30


def drawn_problem(samples=90):
    rng = np.random.default_rng(3)
    labels = rng.permutation(np.repeat([0, 1, 3], [samples // 2, samples // 3, samples // 6]))
    features = rng.normal(size=(4, 6))[labels] + rng.normal(size=(samples, 6))
    return features, labels, rng.normal(size=(samples, 5))


def test_a_problem_is_subsampled_with_its_logits():
    features, labels, logits = drawn_problem()
    problem = Problem.of(features, labels, logits, classes=4, seed=8, name="unit 2")
    assert problem.subsample(None) is problem
    assert problem.subsample(90) is problem
    few = problem.subsample(30)
    rows = stratified(torch.from_numpy(labels), 30, 8).numpy()
    np.testing.assert_array_equal(few.features.numpy(), features[rows])
    np.testing.assert_array_equal(few.logits.numpy(), logits[rows])
    assert few.targets.tolist() == [{0: 0, 1: 1, 3: 2}[label] for label in labels[rows]]
    assert (few.seed, few.name, few.counts.tolist()) == (8, "unit 2, 30 samples", [15, 10, 5])


def test_limits_bound_the_scores_that_name_them_and_are_recorded():
    features, labels, logits = drawn_problem()
    problem = Problem.of(features, labels, logits, seed=8)
    scores = {name: variants.load(score_modules, name) for name in ("nc1", "parc", "nleep", "leep")}
    found = evaluate(problem, scores, ScoringSettings(pair_samples=30, mixture_samples=60, samples=5))
    assert {term.score: term.samples for term in found} == {"nc1": 90, "parc": 30, "nleep": 60, "leep": 90}
    values = {term.name: term.value for term in found}
    assert [term.score for term in found] == ["nc1", "nc1", "parc", "nleep", "leep"]
    rows = stratified(torch.from_numpy(labels), 30, 8).numpy()
    alone = scores["parc"].terms(Problem.of(features[rows], labels[rows], seed=8))
    assert values["parc"] == alone["parc"]
    whole = evaluate(problem, scores, ScoringSettings(pair_samples=1000, mixture_samples=None))
    assert {term.samples for term in whole} == {90}
    assert next(term.value for term in whole if term.name == "parc") != values["parc"]


def test_a_subsample_without_a_meaning_gives_no_value():
    features, labels, _ = drawn_problem()
    parc = {"parc": variants.load(score_modules, "parc")}
    limits = ScoringSettings().model_copy(update={"pair_samples": 1})  # fewer than the settings allow
    (term,) = evaluate(Problem.of(features, labels), parc, limits)
    assert math.isnan(term.value)
    assert "1 samples" in term.reason
