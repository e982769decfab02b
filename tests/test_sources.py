"""How well models classify their source data: what the plan asks of them, and what pictures say of them."""

import numpy as np
import pandas as pd
import pytest
from project import ROOT

from nctransfer.config.load import load
from nctransfer.config.source_accuracy import must_reach, source_accuracy
from nctransfer.dag.plan import Plan
from nctransfer.reporting.sources import COLUMNS, with_sources
from nctransfer.settings import SourceAccuracySettings

STUDY = """{
  source: {source: digits, classes: ["0", "1", "2", "3", "4"]},
}"""
MODELS = """{
  plain: {source: pretraining, architecture: small/resnet18, size: 8, dataset: source},
  told: {source: pretraining, architecture: small/resnet18, size: 8, dataset: source,
         training: {usual_accuracy: 98, must_reach: {test: 90}, snapshot_every: 100}},
  bad: {source: pretraining, architecture: small/resnet18, size: 8, dataset: source,
        training: {usual_accuracy: 10}},
  first: {source: pretraining, architecture: small/resnet18, size: 8, dataset: source, training: {epochs: 0}},
  given: {source: local, architecture: torchvision/resnet18, weights: x.pt, source_accuracy: 71.5},
  unknown: {source: local, architecture: torchvision/resnet18, weights: x.pt},
}"""
FIGURE = (
    "{f: {kind: transfer, panels: [{dataset: cifar10, series: [{models: "
    "{a: plain, b: told, c: first, d: resnet18, e: told.epoch100, f: told.epoch200}}]}]}}"
)


@pytest.fixture(scope="module")
def plan() -> Plan:
    overrides = [f"datasets={STUDY}", f"models={MODELS}", f"figures={FIGURE}"]
    return Plan(load(ROOT / "config.yaml", [], [each.replace("\n", " ") for each in overrides]), ROOT)


@pytest.mark.parametrize(
    ("model", "least"),
    [
        ("plain", {"train": 60, "test": 60}),  # half of the way from one in five to all
        ("told", {"train": 59, "test": 90}),  # half of the way to the usual 98, or as told
        ("bad", {"train": 20, "test": 20}),  # no recipe is worse than chance
        ("first", {}),  # untrained on purpose
    ],
)
def test_a_source_model_must_come_half_of_the_way_to_its_usual_accuracy(plan, model, least):
    assert must_reach(plan.study, plan.trained(model)) == pytest.approx(least)


def test_a_figure_knows_where_each_source_accuracy_is_from(plan):
    job = plan.figure("f")
    known = {
        source.model: source for source in map(SourceAccuracySettings.read, job.settings.told()["sources"])
    }
    assert known["told"].must_reach == pytest.approx({"train": 59, "test": 90})
    assert known["told.epoch100"].epoch == 100
    assert known["told.epoch100"].must_reach == {}  # it is not finished
    assert known["told.epoch200"].must_reach == known["told"].must_reach  # this is
    assert known["first"].must_reach == {}
    assert (known["resnet18"].accuracy, known["resnet18"].history) == (69.758, None)  # torchvision's
    assert {path for path in job.inputs.values() if path.endswith("history.parquet")} == {
        f"results/pretraining/{model}/history.parquet" for model in ("plain", "told", "first")
    }


def test_what_it_must_reach_is_no_part_of_a_training(plan):
    other = load(
        ROOT / "config.yaml", [], [f"datasets={STUDY}".replace("\n", " "), f"models={MODELS}".replace("\n", " "),
                                   f"figures={FIGURE}", "training={must_reach: {train: 5}, usual_accuracy: 60}"]
    )  # fmt: skip
    changed = Plan(other, ROOT)
    assert changed.pretrain("plain").stamp.digest == plan.pretrain("plain").stamp.digest
    assert changed.figure("f").stamp.digest != plan.figure("f").stamp.digest


@pytest.mark.parametrize(
    ("model", "accuracy", "history"),
    [("given", 71.5, None), ("unknown", None, None), ("plain", None, "plain")],
)
def test_a_source_accuracy_is_given_or_measured(plan, model, accuracy, history):
    found = source_accuracy(plan.study, model)
    assert (found.accuracy, found.history) == (accuracy, history)


def history(train: float, test: float, epochs: int = 3) -> pd.DataFrame:
    rows = [
        {
            "epoch": epoch,
            "steps": 10 * epoch,
            "split": split,
            "images": images,
            "accuracy": test / (epochs - epoch + 1),
        }
        for epoch in range(1, epochs + 1)
        for split, images in (("train", "augmented"), ("test", "clean"), ("test", "adversarial"))
    ]
    rows.append(
        {"epoch": epochs, "steps": 10 * epochs, "split": "train", "images": "clean", "accuracy": train}
    )
    return pd.DataFrame(rows)


def of(model: str, **facts) -> SourceAccuracySettings:
    return SourceAccuracySettings(model=model, **facts)


def test_pictures_say_how_well_each_model_was_trained():
    least = {"train": 60.0, "test": 50.0}
    tables = {("history", "s", ""): history(99, 80), ("history", "t", ""): history(55, 20)}
    sources = [
        of("s", history="s", must_reach=least),
        of("tuned", history="s", must_reach=least),  # its base model is s
        of("t", history="t", must_reach=least),
        of("s.epoch2", history="s", epoch=2),
        of("resnet", accuracy=70.0),
        of("unknown"),
    ]
    numbers = pd.DataFrame(
        {"panel": list("aabbccd"), "model": ["t", "s", "resnet", "t", "s.epoch2", "unknown", "all"]}
    )
    found = with_sources(numbers, sources, tables)
    pd.testing.assert_frame_equal(found[["panel", "model"]], numbers)  # rows keep their order
    wide = found.drop_duplicates("model").set_index("model")[list(COLUMNS)].astype(float)
    nothing = [np.nan] * 5
    np.testing.assert_equal(wide.loc["s"].to_numpy(), [99, 80, 3, 30, 0])
    np.testing.assert_equal(wide.loc["t"].to_numpy(), [55, 20, 3, 30, 30])  # the split that is further off
    np.testing.assert_equal(wide.loc["s.epoch2"].to_numpy(), [np.nan, 40, 2, 20, np.nan])
    np.testing.assert_equal(wide.loc["resnet"].to_numpy(), [np.nan, 70, np.nan, np.nan, np.nan])
    np.testing.assert_equal(wide.loc["unknown"].to_numpy(), nothing)
    np.testing.assert_equal(wide.loc["all"].to_numpy(), nothing)  # no model: a mean over all


def test_an_accuracy_that_was_never_measured_reaches_nothing():
    """The history of an adopted training of an earlier version: no steps, images called clean while it trained."""
    old = pd.DataFrame(
        {"epoch": [1, 1], "split": ["train", "test"], "images": "clean", "accuracy": [99.0, 80.0]}
    )
    source = of("s", history="s", must_reach={"train": 60.0, "test": 50.0})
    found = with_sources(pd.DataFrame({"model": ["s"]}), [source], {("history", "s", ""): old})
    assert found["source_test_accuracy"].tolist() == [80]
    assert found[["source_train_accuracy", "source_steps"]].isna().all(axis=None)
    assert found["source_shortfall"].tolist() == [60]


def test_numbers_of_no_model_stay_as_they_are():
    numbers = pd.DataFrame({"panel": ["a"], "nc1": [1.0]})
    assert with_sources(numbers, [of("s", accuracy=1.0)], {}) is numbers
