"""Tidy tables of probes and classifiers, from feature stores."""

import numpy as np
import pandas as pd
import pytest
import torch
from feature_stores import feature_store

from nctransfer.collapse.settings import MetricsJobSettings
from nctransfer.features.feature_store import FeatureStore
from nctransfer.probing.settings import ProbesJobSettings
from nctransfer.settings import ViewNames
from nctransfer.stamp import UNSTAMPED
from nctransfer.storage.stores import Store
from nctransfer.storage.tables import read_table
from nctransfer.tidy.classifiers import classifier_table
from nctransfer.tidy.collapse import collapse_table
from nctransfer.tidy.probes import write_probes

CPU = torch.device("cpu")
NAMES = ViewNames(model="m", view="v")
PROBES = ProbesJobSettings(
    epochs=20,
    batch_size=16,
    learning_rates=(0.1, 0.01),
    weight_decays=(1e-4, 1e-2),
    seeds=(1, 2),
    names=NAMES,
    device="cpu",
)
METRICS = MetricsJobSettings(names=NAMES, permutations=2, seed=0, device="cpu")


@pytest.fixture
def stores(tmp_path) -> dict[str, FeatureStore]:
    """Two units: the second is far more collapsed; logits that no table may hold."""
    rng = np.random.default_rng(0)
    means = rng.normal(size=(4, 6))
    made = {}
    for split, count in (("train", 80), ("test", 40)):
        labels = np.arange(count) % 4
        noise = rng.normal(size=(count, 6))
        arrays = {
            ("unit01.avg", 1, "a", "avg"): means[labels] + noise,
            ("unit02.avg", 2, "b", "avg"): means[labels] + 0.1 * noise,
            ("logits", 4, "fc", ""): means[labels][:, :4],
        }
        made[split] = feature_store(tmp_path / split, arrays, labels, "wxyz")
    return made


def test_probes_leave_a_row_for_each_unit_setting_and_split_and_their_weights(stores, tmp_path):
    manifest = tmp_path / "probes" / "manifest.json"
    write_probes(stores, manifest, PROBES, CPU, UNSTAMPED)
    table = read_table(manifest.with_name("accuracy.parquet"))
    assert len(table) == 2 * 2 * 2 * 2 * 2
    assert set(table["unit"]) == {1, 2}
    assert not table.duplicated(["unit", "learning_rate", "weight_decay", "seed", "split"]).any()
    best = table[
        (table["learning_rate"] == 0.1) & (table["weight_decay"] == 1e-4) & (table["split"] == "test")
    ]
    means = best.groupby("unit")["accuracy"].mean()
    assert means[2] == 100
    assert means[2] > means[1]
    weights = Store(manifest, "probes").array("weight.unit02.avg")
    assert weights.shape == (8, 4, 6)
    # the stored classifier is the one that was scored
    bias = Store(manifest, "probes").array("bias.unit02.avg")
    logits = stores["test"]["unit02.avg"] @ weights[0].T + bias[0]
    row = best[(best["unit"] == 2) & (best["seed"] == 1)].iloc[0]
    assert 100 * np.mean(logits.argmax(1) == stores["test"].labels) == row["accuracy"]
    # on the same images as that of the last unit
    last, labels = logits.argmax(1), stores["test"].labels
    weights, bias = (Store(manifest, "probes").array(f"{part}.unit01.avg")[0] for part in ("weight", "bias"))
    first = (stores["test"]["unit01.avg"] @ weights.T + bias).argmax(1)
    row = best[(best["unit"] == 1) & (best["seed"] == 1)].iloc[0]
    assert row["right_with_last"] == np.sum((first == labels) & (last == labels))


def test_beside_accuracies_stand_the_classes_that_say_less(stores, tmp_path):
    train, test = stores["train"].labels, stores["test"].labels
    kept = {"train": (train != 3) | (np.arange(len(train)) == train.argmax()), "test": test > 1}
    some = {
        split: feature_store(
            tmp_path / "some" / split, {("unit02.avg", 2, "b", "avg"): store["unit02.avg"][kept[split]]},
            store.labels[kept[split]], "wxyz",
        )
        for split, store in stores.items()
    }  # fmt: skip
    manifest = tmp_path / "probes" / "manifest.json"
    for chosen, numbers in ((stores, (0, 0)), (some, (2, 1))):
        write_probes(chosen, manifest, PROBES, CPU, UNSTAMPED)
        table = read_table(manifest.with_name("accuracy.parquet"))
        found = table[["untested_classes", "single_classes"]].drop_duplicates()
        assert list(found.itertuples(index=False, name=None)) == [numbers]


def test_the_exact_solver_reads_only_the_weight_decay(stores, tmp_path):
    manifest = tmp_path / "probes" / "manifest.json"
    write_probes(stores, manifest, PROBES.model_copy(update={"solver": "lbfgs"}), CPU, UNSTAMPED)
    table = read_table(manifest.with_name("accuracy.parquet"))
    assert len(table) == 2 * 2 * 2
    objective = table[table["split"] == "train"].set_index(["unit", "weight_decay"])["objective"]
    assert objective[1, 1e-2] > objective[1, 1e-4]


def test_collapse_is_measured_on_every_unit_and_split(stores):
    table = collapse_table(stores, METRICS, CPU)
    nc1 = table[table["metric"] == "nc1"].set_index(["split", "unit"])["value"]
    assert nc1["train", 2] == pytest.approx(nc1["train", 1] / 100, rel=0.3)
    assert len(nc1) == 4
    assert (table["classes"] == 4).all()
    assert set(table[table["split"] == "train"]["samples"]) == {80}
    again = collapse_table(stores, METRICS, CPU)
    pd.testing.assert_frame_equal(table, again)


def test_classifiers_of_collapsed_features_agree_with_the_nearest_class_centre(stores, tmp_path):
    manifest = tmp_path / "probes" / "manifest.json"
    write_probes(stores, manifest, PROBES, CPU, UNSTAMPED)
    table = classifier_table(stores, manifest, NAMES, CPU)
    nc4 = table[(table["metric"] == "nc4") & (table["unit"] == 2) & (table["learning_rate"] == 0.1)]
    assert (nc4["value"] < 0.05).all()
    nc3 = table[table["metric"] == "nc3"]["value"]
    assert nc3.between(0, 2).all()
    assert len(table) == 2 * 2 * 2 * 8
