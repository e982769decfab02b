"""How well scores rank models, on how many samples they are computed, and what a new score takes."""

import csv
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from project import Project
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
        with (ROOT / "config" / "published" / name).open(newline="") as file:
            return {
                row["model"]: float(row[value]) for row in csv.DictReader(file) if row["dataset"] == "cifar10"
            }

    scores, accuracies = column("ncti-cifar10.csv", "score"), column("finetuned-supervised.csv", "accuracy")
    assert scores.keys() == accuracies.keys()
    return np.array(list(scores.values())), np.array([accuracies[model] for model in scores])


def brute_tau(first, second):
    """Hyperbolic weights by rank of decreasing value, mean over the rankings by first and by second."""
    found = []
    for ranked, other in ((first, second), (second, first)):
        order = sorted(range(len(first)), key=lambda i: (-ranked[i], -other[i]))
        rank = {i: place for place, i in enumerate(order)}
        top = bottom_one = bottom_two = 0.0
        for i in range(len(first)):
            for j in range(len(first)):
                if i != j:
                    weight = 1 / (rank[i] + 1) + 1 / (rank[j] + 1)
                    signs = np.sign(first[i] - first[j]), np.sign(second[i] - second[j])
                    top += weight * signs[0] * signs[1]
                    bottom_one += weight * signs[0] ** 2
                    bottom_two += weight * signs[1] ** 2
        found.append(top / math.sqrt(bottom_one * bottom_two))
    return sum(found) / 2


@pytest.mark.parametrize("points", [2, 3, 8, 11, 40])
def test_tau_agrees_with_its_definition_and_with_scipy(points):
    rng = np.random.default_rng(points)
    for _ in range(5):
        score, accuracy = rng.normal(size=(2, points))
        assert weighted_tau(score, accuracy) == pytest.approx(brute_tau(score, accuracy), abs=1e-12)
        assert weighted_tau(score, accuracy) == stats.weightedtau(score, accuracy).statistic
        assert weighted_tau(score, score) == pytest.approx(1)


def test_the_published_tau_of_ncti_reproduces():
    scores, accuracies = published()
    assert len(scores) == 11
    assert weighted_tau(scores, accuracies) == pytest.approx(0.8426, abs=5e-5)
    found = agreement(scores, accuracies)
    assert (found.points, found.tau) == (11, weighted_tau(scores, accuracies))
    assert found.tau_low < 0.6 < found.tau < found.tau_high < 0.99
    assert (-found.tau_null_low, found.tau_null_high) == (pytest.approx(0.5, abs=0.06),) * 2


def test_published_taus_of_cifar10_stand_beside_ours_in_the_docs():
    with (ROOT / "config/published/tau-supervised.csv").open(newline="") as file:
        rows = [
            (row["method"], float(row["tau_w"]))
            for row in csv.DictReader(file)
            if row["dataset"] == "cifar10"
        ]
    assert dict(rows)["FaCe"] == 0.81
    lines = (ROOT / "docs/ranking.md").read_text().splitlines()
    shown = [line.split("|")[1:3] for line in lines if line.startswith("| ") and line.count("|") == 4]
    listed = {score.strip().replace("-", ""): value.strip() for score, value in shown}
    assert {method: listed[method] for method, _ in rows} == {method: f"{tau:g}" for method, tau in rows}


def test_the_null_is_what_random_orders_reach():
    for points in (5, 11):
        rng = np.random.default_rng(points)
        order = np.arange(float(points))
        drawn = [stats.weightedtau(rng.permutation(order), order).statistic for _ in range(2000)]
        expected = np.percentile(drawn, [2.5, 97.5])
        np.testing.assert_allclose(tau_null(points), expected, atol=0.06)
    assert tau_null(11)[1] < tau_null(5)[1]
    assert math.isnan(tau_null(1)[0])


def test_a_negated_score_is_no_negated_tau():
    scores, accuracies = published()
    turned = weighted_tau(-scores, accuracies)
    assert turned < 0
    assert abs(turned + weighted_tau(scores, accuracies)) > 0.02


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


# ---------------------------------------------------------------- a new score

SEPARATION = '''"""Separation, a score of the tests: distance of the class means over what is left."""

from nctransfer.transferability.problem import Problem

TITLES = {"separation": "Separation"}


def terms(problem: Problem) -> dict[str, float]:
    """Squared length of the centred class means over the scatter a sample."""
    statistics = problem.statistics
    return {"separation": float(statistics.centred_means.square().sum() * statistics.samples / statistics.scatter.sum())}
'''
OVERLAY = "study: added\nrank: {datasets: [digits59], models: [tiny], scores: [%s]}\n"
READ = """
import json, sys
from pathlib import Path
from nctransfer.config.load import load
from nctransfer.dag.plan import Plan
from nctransfer.errors import ConfigError

answers = {}
for overlay in sys.argv[1:]:
    try:
        plan = Plan(load(Path("config.yaml"), [Path("tiny.yaml"), Path(overlay)]), Path("."))
    except ConfigError as error:
        answers[overlay] = str(error)
        continue
    view = plan.view("tiny", "digits59").key
    answers[overlay] = [plan.scores("tiny", view).stamp.digest, plan.ranking("digits59").stamp.digest]
print(json.dumps(answers))
"""
RUN = """
import json
import numpy as np
from nctransfer import variants
from nctransfer.transferability import scores as package
from nctransfer.transferability.evaluate import evaluate
from nctransfer.transferability.problem import Problem
from nctransfer.transferability.settings import ScoringSettings

rng = np.random.default_rng(0)
features, labels = rng.normal(size=(30, 4)), np.arange(30) % 3
scores = {name: variants.load(package, name) for name in ("nc1", "separation")}
found = evaluate(Problem.of(features, labels), scores, ScoringSettings())
print(json.dumps([variants.__file__, [[term.score, term.name, term.value, term.reason] for term in found]]))
"""


def in_copy(project, code, *arguments):
    """What Python prints that knows no other package than the copy's."""
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_a_new_score_is_one_file_and_one_line(tmp_path):
    project = Project.fresh(tmp_path / "p")
    (project.folder / "old.yaml").write_text(OVERLAY % "nc1, h_score")
    (project.folder / "new.yaml").write_text(OVERLAY % "nc1, h_score, separation")
    before = in_copy(project, READ, "old.yaml", "new.yaml")
    assert "no 'separation' in scores" in before["new.yaml"]
    assert "rank.scores" in before["new.yaml"]

    file = project.folder / "nctransfer" / "transferability" / "scores" / "separation.py"
    file.write_text(SEPARATION)
    added = in_copy(project, READ, "old.yaml", "new.yaml")
    assert added["old.yaml"] == before["old.yaml"]
    assert isinstance(added["new.yaml"], list)
    assert set(added["new.yaml"]).isdisjoint(added["old.yaml"])

    file.write_text(SEPARATION.replace("statistics.samples /", "2 * statistics.samples /"))
    edited = in_copy(project, READ, "old.yaml", "new.yaml")
    assert edited["old.yaml"] == before["old.yaml"]
    assert set(edited["new.yaml"]).isdisjoint(added["new.yaml"])

    file.write_text(SEPARATION)
    where, found = in_copy(project, RUN)
    assert Path(where).is_relative_to(project.folder)
    assert [(score, name) for score, name, _, _ in found] == [
        ("nc1", "nc1"),
        ("nc1", "nc1_over_null"),
        ("separation", "separation"),
    ]
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(30, 4)), np.arange(30) % 3
    means = np.array([features[labels == label].mean(0) for label in range(3)])
    expected = 30 * ((means - means.mean(0)) ** 2).sum() / ((features - means[labels]) ** 2).sum()
    assert found[-1][2] == pytest.approx(expected)
    assert found[-1][3] == ""


def test_the_workflow_plans_a_new_score(tmp_path):
    project = Project.fresh(tmp_path / "p")
    scores = project.folder / "nctransfer" / "transferability" / "scores"
    (scores / "separation.py").write_text(SEPARATION)
    overlay = (project.folder / "tiny.yaml").read_text()
    line = "rank: {datasets: [digits59], models: [tiny], scores: [separation]}\n"
    (project.folder / "tiny.yaml").write_text(overlay + line)
    planned = project.planned("figures/tiny/rank-digits59.pdf")
    assert planned["scores"] == 1
