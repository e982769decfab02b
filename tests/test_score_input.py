"""What scores do to their input, and what they say of input without a meaning."""

import math

import numpy as np
import pytest
from score_problems import PROBLEMS, SCORES, SEED, draw, measured, module, terms

from nctransfer.errors import DegenerateInputError
from nctransfer.transferability.evaluate import evaluate
from nctransfer.transferability.problem import Problem
from nctransfer.transferability.settings import ScoringSettings

# ---------------------------------------------------------------- what scores do to their input


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("sorted_labels", [True, False])
def test_scores_leave_their_input_alone(score, dtype, sorted_labels):
    features, labels, logits = draw(51, [10, 14, 12], 7, dtype=dtype)
    order = np.argsort(labels, kind="stable") if sorted_labels else np.arange(len(labels))
    features, labels, logits = features[order], labels[order], logits[order]
    arrays = (features, labels, logits)
    before = [array.tobytes() for array in arrays]
    problem = Problem.of(features, labels, logits)
    first = module(score).terms(problem)
    assert [array.tobytes() for array in arrays] == before
    assert module(score).terms(problem) == first  # nor do they leave anything in the problem
    assert module(score).terms(Problem.of(features, labels, logits)) == first


def test_read_only_input_is_welcome():
    arrays = draw(52, [10, 14, 12], 7)
    for array in arrays:
        array.flags.writeable = False
    found = evaluate(Problem.of(*arrays), {name: module(name) for name in SCORES}, NO_LIMITS)
    assert not [term for term in found if term.reason]


# ---------------------------------------------------------------- input without a meaning

NO_LIMITS = ScoringSettings(pair_samples=20_000, mixture_samples=None)


def refused(score, features, labels, logits=None):
    """Reasons that evaluate gives, by term; every value of the score is missing."""
    found = evaluate(Problem.of(features, labels, logits), {score: module(score)}, NO_LIMITS)
    assert [term.name for term in found] == list(module(score).TITLES)
    assert all(math.isnan(term.value) and term.score == score for term in found)
    return found[0].reason


def test_no_score_has_a_meaning_on_such_features():
    """Of features and labels alone, test_collapse.py has more."""
    features, labels, logits = draw(61, [8, 9, 7], 5)
    wild = logits.copy()
    wild[2, 2] = np.nan
    for arrays, message in (
        ((np.full_like(features, 3.0), labels), "features: all 24 rows are equal"),
        ((features, labels, logits[:-1]), r"logits have shape \(23, 7\), allowed is \(24, Z\)"),
        ((features, labels, logits[:, 0]), r"logits have shape \(24,\)"),
        ((features, labels, logits[:, :1]), r"logits have shape \(24, 1\)"),
        ((features, labels, wild), "logits hold NaN or infinity"),
        ((features, labels, np.where(logits < -1000, -np.inf, logits)), "logits hold NaN or infinity"),
    ):
        with pytest.raises(DegenerateInputError, match=message):
            Problem.of(*arrays)


@pytest.mark.parametrize("score", ["leep", "nce"])
def test_no_source_head_no_source_score(score):
    features, labels, _ = PROBLEMS["balanced"]
    reason = refused(score, features, labels)
    assert "features" in reason
    assert "source" in reason
    assert "classifier" in reason or "head" in reason
    assert module(score).NEEDS_HEAD


def test_a_missing_head_costs_the_other_scores_nothing():
    features, labels, _ = PROBLEMS["balanced"]
    found = evaluate(Problem.of(features, labels, seed=SEED), {n: module(n) for n in SCORES}, NO_LIMITS)
    assert {term.score for term in found if term.reason} == {"leep", "nce"}
    values = {term.name: term.value for term in found if not term.reason}
    for score in set(SCORES) - {"leep", "nce"}:
        for term, value in measured("balanced", score).items():
            assert values[term] == value
    assert all(math.isfinite(value) for value in values.values())


@pytest.mark.parametrize("score", ["gbc", "face"])
@pytest.mark.parametrize("copies", [1, 2, 3, 5, 7, 10])
def test_a_class_of_equal_rows_has_no_overlap(score, copies):
    features, labels, _ = draw(63, [9, 8, 7], 6)
    equal = np.concatenate([features, np.repeat(features[:1] + 1, copies, axis=0)])
    assert "class 5 has no variance" in refused(score, equal, np.append(labels, [5] * copies))


@pytest.mark.parametrize("score", ["sfda", "ncti"])
@pytest.mark.parametrize("offset", [0.0, 10.0])
def test_discriminant_analysis_refuses_classes_of_equal_rows(score, offset):
    means = np.random.default_rng(0).normal(size=(3, 6)) + offset
    labels = np.arange(30) % 3
    assert "all samples of every class are equal" in refused(score, means[labels], labels)
    spread = means[labels] + 1e-6 * np.random.default_rng(1).normal(size=(30, 6))
    assert all(math.isfinite(value) for value in terms(score, spread, labels).values())


def test_scores_that_say_why_they_have_none():
    features, labels, _ = draw(64, [9, 8], 6)
    assert "two classes" in refused("face", features, labels)
    assert "2 principal components" in refused("parc", features[:, :2], labels)
    wide, names, _ = draw(65, [6, 7, 5], 18)
    assert "18 samples of width 18" in refused("vci", wide, names)
    # With one sample more than dimensions the rank is still N - 1, and any labels look collapsed.
    assert "have rank 18" in refused("vci", *draw(65, [6, 8, 5], 18)[:2])
    more, others, _ = draw(65, [7, 8, 5], 18)
    assert -1 < terms("vci", more, others)["vci"] < -1e-3


def test_a_value_that_is_not_finite_is_refused_by_its_name():
    class Wild:
        TITLES = {"wild": "Wild", "tame": "Tame"}  # noqa: RUF012

        @staticmethod
        def terms(problem):
            return {"wild_one": math.inf, "tame": 1.0}

    features, labels, _ = PROBLEMS["balanced"]
    found = evaluate(Problem.of(features, labels, name="unit 3"), {"wild": Wild}, NO_LIMITS)
    assert [(term.name, term.reason) for term in found] == [
        (name, "unit 3: wild_one is inf") for name in ("wild", "tame")
    ]


def test_mistakes_that_are_no_degenerate_input_are_not_hidden():
    class Broken:
        TITLES = {"broken": "Broken"}  # noqa: RUF012

        @staticmethod
        def terms(problem):
            raise ZeroDivisionError("a mistake")

    features, labels, _ = PROBLEMS["balanced"]
    with pytest.raises(ZeroDivisionError):
        evaluate(Problem.of(features, labels), {"broken": Broken}, NO_LIMITS)


def test_titles_name_what_a_module_gives():
    for score in SCORES:
        found, given = measured("balanced", score), module(score)
        if not hasattr(given, "summands"):
            assert list(found) == list(given.TITLES), score
            continue
        shown = given.summands({term: np.array([0.0, 1.0]) for term in found})
        assert list(shown) == list(given.TITLES), score
        assert all(list(added) == list(given.TERMS) for added in shown.values()), score
        assert set(given.TERMS) == set(found), score
