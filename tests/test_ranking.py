"""Ranking: the plan, the tables from scores to agreement, what a reader sees, and the real workflow."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from feature_stores import feature_store
from pictures import paper
from project import TINY, Project
from scipy import stats

from nctransfer.config import ranking
from nctransfer.config.load import load
from nctransfer.config.yaml_files import merge
from nctransfer.dag.plan import Plan
from nctransfer.errors import ConfigError
from nctransfer.features.feature_store import FeatureStore
from nctransfer.reporting.figures.ranking import figure as figure_of_models
from nctransfer.reporting.figures.ranking_units import figure as ranking_units
from nctransfer.reporting.ranks import main_accuracy, verdict
from nctransfer.reporting.settings import RankingPanel
from nctransfer.reporting.tables.ranking import table as table_of
from nctransfer.settings import ViewNames
from nctransfer.storage.tables import read_tables, write_table
from nctransfer.tidy.ranking import agreement_table, gather, probe_accuracies, run_accuracies
from nctransfer.tidy.scores import score_table
from nctransfer.transferability.settings import (
    MeasuredAccuracies,
    RankedModel,
    RankingJobSettings,
    ScoresJobSettings,
)

ROOT = Path(__file__).resolve().parents[1]
CPU = torch.device("cpu")
SCORES = ["nc1", "h_score", "ncti", "leep"]
STYLE = {"width": 6.5, "font_size": 8, "nc1_color": "#0072B2", "accuracy_color": "#D55E00", "dpi": 60}


def plan(folder: Path, text: str = "") -> Plan:
    (folder / "overlay.yaml").write_text("study: x\n" + text)
    return Plan(load(ROOT / "config.yaml", [folder / "overlay.yaml"]), ROOT)


def ranked(planned: Plan) -> list[str]:
    return ranking.ranked_models(planned.configuration, planned.study.models)


# --- the plan ---------------------------------------------------------------------------------------


def test_the_papers_ranking_scores_the_features_of_figure_2():
    datasets = list(paper().configuration.rank.datasets)
    assert datasets == ["cifar10", "aircraft", "dtd", "pet"]
    panels = paper().figure("fig2").settings.panels
    points = {(point.model, point.view) for panel in panels for point in panel.points}
    ranked = {
        (entry.model, entry.view) for name in datasets for entry in paper().ranking(name).settings.models
    }
    assert points <= ranked
    assert {model for model, _ in ranked - points} == {"resnet34"}  # seven models would be too few to tell
    assert len(ranked) == 32


def test_the_published_study_is_planned_whole():
    study = Plan(load(ROOT / "config.yaml", [ROOT / "config/rank.yaml"]), ROOT)
    job = study.ranking("cifar10")
    published = pd.read_csv(ROOT / "config/published/ncti-cifar10.csv")
    assert {entry.model for entry in job.settings.models} == set(published["model"])
    assert set(job.settings.scores) == {
        "nc1", "cdnv", "vci", "ncti", "logme", "h_score", "leep", "nce", "nleep", "transrate", "gbc", "parc",
        "sfda", "etran", "face",
    }  # fmt: skip
    assert job.settings.measured.name == "finetuned-supervised"
    assert job.settings.measured.accuracies["resnet152"] == 97.53
    assert set(job.settings.measured.accuracies) == set(published["model"])
    assert study.images("cifar10").settings.per_class is None  # all of CIFAR-10
    view = study.view("inception_v3", "cifar10").key
    assert study.scores("inception_v3", view).settings.samples is None
    known = {entry.model: entry.accuracy for entry in job.settings.models}
    assert known["resnet50"] == 76.13  # torchvision's V1 weights
    assert all(value is not None for value in known.values())


def test_models_are_named_by_library_shown_images_as_it_does(tmp_path):
    text = (
        "rank:\n  datasets: [dtd]\n  models: [timm/resnet50.a1_in1k, torchvision/resnet50, "
        "'open_clip/ViT-B-32:laion2b_s34b_b79k', resnet18]\n"
    )
    planned = plan(tmp_path, text)
    keys = ["resnet50.a1_in1k", "torchvision-resnet50", "ViT-B-32.laion2b_s34b_b79k", "resnet18"]
    assert ranked(planned) == keys  # config.yaml has a resnet50 of its own
    views = [entry.view for entry in planned.ranking("dtd").settings.models]
    assert [view.startswith("dtd-native") for view in views] == [True, True, True, False]
    assert planned.model("torchvision-resnet50").settings.name == "resnet50"
    assert planned.model("ViT-B-32.laion2b_s34b_b79k").settings.weights == "laion2b_s34b_b79k"


def test_a_group_of_a_family_is_ranked_as_its_members(tmp_path):
    planned = plan(tmp_path, "rank: {datasets: [cifar10], models: [cifar100-resnet50-aug, resnet18]}\n")
    expected = [f"cifar100-resnet50-aug{level}" for level in range(1, 6)] + ["resnet18"]
    assert ranked(planned) == expected
    first, *_, last = planned.ranking("cifar10").settings.models
    assert (first.history, first.accuracy) == ("cifar100-resnet50-aug1", None)
    assert (last.history, last.accuracy) == (None, 69.758)
    assert ("history", "cifar100-resnet50-aug1", "") in planned.ranking("cifar10").settings.tables


def test_all_models_are_scored_on_the_same_images(tmp_path):
    planned = plan(tmp_path, "rank: {datasets: [dtd, pet], models: [resnet18, densenet121], samples: 100}\n")
    seeds = {
        (model, dataset): planned.scores(model, planned.view(model, dataset).key).settings.seed
        for model in ("resnet18", "densenet121")
        for dataset in ("dtd", "pet")
    }
    assert seeds["resnet18", "dtd"] == seeds["densenet121", "dtd"] != seeds["resnet18", "pet"]


def test_a_source_accuracy_of_ones_own_reruns_the_ranking_alone(tmp_path):
    before = plan(tmp_path, "rank: {datasets: [dtd], models: [resnet18]}\n")
    text = "models: {resnet18: {source_accuracy: 42}}\nrank: {datasets: [dtd], models: [resnet18]}\n"
    after = plan(tmp_path, text)
    view = before.view("resnet18", "dtd").key
    assert after.ranking("dtd").settings.models[0].accuracy == 42
    assert after.ranking("dtd").stamp.digest != before.ranking("dtd").stamp.digest
    assert after.model("resnet18").stamp.digest == before.model("resnet18").stamp.digest
    assert after.scores("resnet18", view).stamp.digest == before.scores("resnet18", view).stamp.digest


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ("rank: {scores: [nc1, logme]}", {"scores", "ranking", "figure", "table"}),
        ("style: {dpi: 61}\nmetrics: {permutations: 2}", {"figure"}),
        ("rank: {models: [resnet50, resnet18]}", {"ranking", "figure", "table"}),
    ],
)
def test_a_change_is_one_of_exactly_the_jobs_that_depend_on_it(tmp_path, change, again):
    base = {"rank": {"datasets": ["dtd"], "models": ["resnet18", "resnet50"]}}
    before, after = (
        plan(tmp_path, yaml.safe_dump(merge(base, yaml.safe_load(text)))) for text in ("{}", change)
    )

    def digests(planned):
        view = planned.view("resnet18", "dtd").key
        jobs = {
            "scores": planned.scores("resnet18", view), "probes": planned.probes("resnet18", view),
            "ranking": planned.ranking("dtd"), "figure": planned.figure("rank-dtd"), "table": planned.table("rank-dtd"),
        }  # fmt: skip
        return {name: job.stamp.digest for name, job in jobs.items()}

    first, second = digests(before), digests(after)
    assert {name for name in first if first[name] != second[name]} == again


def test_fine_tuning_runs_to_compare_with_are_planned_once_a_model_and_data_set(tmp_path):
    text = "rank: {datasets: [dtd], models: [resnet18, resnet50], runs: [{methods: [full_ft], seeds: 2}]}\n"
    planned = plan(tmp_path, text)
    tuned = [name for kind, name, _ in planned.ranking("dtd").settings.tables if kind == "finetuning"]
    assert len(tuned) == 4
    assert all(name in planned.run_keys for name in tuned)


def test_pictures_of_rankings_are_no_part_of_the_figures_and_tables_that_are_listed(tmp_path):
    planned = plan(tmp_path, "rank: {datasets: [dtd, pet], models: [resnet18]}\n")
    assert ranking.picture_keys(planned.configuration, "figures") == [
        "rank-dtd", "rank-dtd-units", "rank-pet", "rank-pet-units",
    ]  # fmt: skip
    assert not [key for key in planned.asked_for("figures") if key.startswith("rank-")]
    assert "fig2" in planned.asked_for("figures")
    assert planned.figure("rank-pet").settings.panels == (RankingPanel(title="Pet", dataset="pet"),)


def test_a_model_of_ones_own_under_the_librarys_name_stays_as_it_is(tmp_path):
    text = (
        "models: {mobilenet_v2: {source: torchvision, name: mobilenet_v2, preprocess: native, units: penultimate}}\n"
        "rank: {datasets: [dtd], models: [torchvision/mobilenet_v2]}\n"
    )
    planned = plan(tmp_path, text)
    assert planned.study.models["mobilenet_v2"].entry.units == "penultimate"
    assert ranked(planned) == ["torchvision-mobilenet_v2"]
    assert planned.study.models["torchvision-mobilenet_v2"].entry.units is None


def test_a_fine_tuned_model_is_ranked_like_any_other(tmp_path):
    text = (
        "finetuned: {tuned: {model: resnet18, dataset: dtd, method: layer_ft, units: [5]}}\n"
        "rank: {datasets: [dtd], models: [resnet18, tuned]}\n"
    )
    base, tuned = plan(tmp_path, text).ranking("dtd").settings.models
    assert (tuned.model, tuned.view) == ("tuned", base.view)
    assert tuned.accuracy == base.accuracy == 69.758  # of what it was tuned from


MEASURED = "rank: {datasets: [dtd], models: [resnet18, resnet34], measured: %s}\n"


def test_accuracies_measured_elsewhere_are_read_by_key_before_anything_runs(tmp_path):
    path = tmp_path / "published.csv"
    path.write_text("dataset,model,accuracy\ndtd,resnet18,91.5\npet,resnet18,1\ndtd,unknown,3\n")
    job = plan(tmp_path, MEASURED % path).ranking("dtd")
    assert job.settings.measured == MeasuredAccuracies(name="published", accuracies={"resnet18": 91.5})
    path.write_text(path.read_text() + "dtd,resnet34,90\n")
    assert plan(tmp_path, MEASURED % path).ranking("dtd").stamp.digest != job.stamp.digest


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "rank.measured: .*cannot be read"),
        ("", "no column 'dataset'; it has: none"),
        ("dataset,model\ndtd,resnet18\n", "no column 'accuracy'; it has: dataset, model"),
        ("dataset,model,accuracy\ndtd,resnet18,high\n", "accuracy 'high' of resnet18 on dtd"),
        ("dataset,model,accuracy\ndtd,resnet18,101\n", "allowed are numbers from 0 to 100"),
        (
            "dataset,model,accuracy\ndtd,resnet18,1\ndtd,resnet18,2\n",
            "resnet18 on dtd is listed more than once",
        ),
        ("dataset,model,accuracy\ndtd,resnet18,0.9\n", "must be percentages"),
        (
            "dataset,model,accuracy\ndtds,resnet18,90\n",
            "no accuracy of any ranked model on 'dtd'.*did you mean",
        ),
        ("dataset,model,accuracy\ndtd,resnet19,90\n", "no accuracy of any ranked model on 'dtd'"),
    ],
)
def test_a_wrong_file_of_measured_accuracies_is_refused_by_its_key(tmp_path, text, words):
    path = tmp_path / "published.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        plan(tmp_path, MEASURED % path).ranking("dtd")


# --- scores of a feature store ----------------------------------------------------------------------


def store(folder: Path, head: bool = True, noise: float = 1.0) -> FeatureStore:
    """Stem, two units of two poolings, the penultimate feature and logits of three classes."""
    rng = np.random.default_rng(3)
    labels, means = np.arange(90) % 3, rng.normal(size=(3, 6)) * 2
    columns = [
        ("unit00.avg", 0, "stem", "avg"),
        *((f"unit0{i}.{pool}", i, f"b{i}", pool) for i in (1, 2) for pool in ("avg", "cls")),
        ("penultimate", 3, "penultimate", ""),
        ("summed", 3, "summed", ""),
    ]
    arrays = {column: rng.normal(size=(90, 6)) * noise + means[labels] for column in columns}
    if head:
        arrays["logits", 4, "fc", ""] = rng.normal(size=(90, 5)) * noise
    return feature_store(folder, arrays, labels, "abcd")


def score_settings(model: str = "m", **changes) -> ScoresJobSettings:
    names = ViewNames(model=model, view="v")
    defaults = {"scores": SCORES, "pair_samples": 50, "mixture_samples": 60, "pooling": "avg", "seed": 1}
    return ScoresJobSettings(**defaults | changes, names=names, device="cpu")


def test_units_of_one_pooling_and_the_last_feature_are_scored(tmp_path):
    table = score_table(store(tmp_path), score_settings(), CPU)
    assert list(dict.fromkeys(zip(table["unit"], table["pooling"], strict=True))) == [
        (1, "avg"),
        (2, "avg"),
        (3, ""),
    ]
    assert set(table["module"]) == {"b1", "b2", "penultimate"}  # neither stem nor summed feature
    assert set(table.loc[table["score"] == "leep", "unit"]) == {3}  # of the model as a whole
    assert table["reason"].eq("").all()
    assert table["value"].notna().all()
    assert (table["samples"].unique(), table["available"].unique(), table["classes"].unique()) == (90, 90, 3)


def test_scores_of_the_source_classifier_are_left_out_by_name_without_one(tmp_path):
    table = score_table(store(tmp_path, head=False), score_settings(), CPU)
    leep = table[table["score"] == "leep"].iloc[0]
    assert np.isnan(leep["value"])
    assert "no source classifier" in leep["reason"]
    assert table.loc[table["score"] != "leep", "value"].notna().all()


def test_a_subsample_is_seeded_and_written_down(tmp_path):
    features = store(tmp_path)
    settings = score_settings(scores=["nc1", "parc"], samples=70)
    first, again = (score_table(features, settings, CPU) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    used = first.groupby("score")["samples"].unique()
    assert (used["nc1"].tolist(), used["parc"].tolist()) == ([70], [50])
    assert first["available"].eq(90).all()
    other = score_table(features, settings.model_copy(update={"seed": 2}), CPU)
    assert not np.allclose(first["value"], other["value"])


# --- rankings ---------------------------------------------------------------------------------------


def probe_table(model: str, accuracies: dict[int, float]) -> pd.DataFrame:
    rows = [
        {
            "model": model, "view": "v", "unit": unit, "module": "penultimate" if unit == 3 else f"b{unit}",
            "pooling": "" if unit == 3 else "avg", "split": split, "accuracy": value + (split == "train"),
            "learning_rate": rate, "weight_decay": 0.0, "seed": seed, "unconverged": False, "untested_classes": 0, "single_classes": 0,
        }
        for unit, value in accuracies.items()
        for split in ("train", "test")
        for rate in (0.1, 0.2)
        for seed in (0, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> list[FeatureStore]:
    """Of nine models, the noisier the later; the last without a head."""
    folder = tmp_path_factory.mktemp("stores")
    return [store(folder / f"{i}", head=i < 8, noise=0.6 + 0.2 * i) for i in range(9)]


def scored(stores, scores) -> dict:
    """Scores of nine models, and accuracies that fall from one to the next."""
    found = {}
    for index, features in enumerate(stores):
        model = f"m{index}"
        found["scores", model, "v"] = score_table(features, score_settings(model, scores=scores), CPU)
        accuracies = {unit: 90.0 - 4 * index + unit for unit in (1, 2, 3)}
        found["probes", model, "v"] = probe_table(model, accuracies)
    return found


@pytest.fixture(scope="module")
def tables(stores) -> dict:
    return scored(stores, SCORES)


def rank_settings(**changes) -> RankingJobSettings:
    models = [
        RankedModel(model=f"m{index}", view="v", accuracy=None if index == 2 else 80.0 - index)
        for index in range(9)
    ]
    defaults = {
        "dataset": "d", "scores": SCORES, "models": models, "learning_rate": 0.1, "weight_decay": 0.0,
        "measured": None, "tables": (),
    }  # fmt: skip
    return RankingJobSettings(**defaults | changes)


def ranked_tables(tables, settings) -> dict:
    """What the pictures of a ranking read."""
    found = gather(tables, settings)
    return {("rank", "d", ""): found, ("agreement", "d", ""): agreement_table(found, settings)}


@pytest.fixture(scope="module")
def pictures(tables) -> dict:
    return ranked_tables(tables, rank_settings())


def test_terms_are_pooled_over_models_and_over_the_units_of_each_model(tables, pictures):
    found = pictures["rank", "d", ""]
    models = found[(found["comparison"] == "models") & (found["name"] == "ncti")].set_index("model")["value"]
    raw = pd.concat([table for key, table in tables.items() if key[0] == "scores"])
    last = raw[raw["module"] == "penultimate"].pivot(index="model", columns="term", values="value")
    scaled = (last - last.min()) / (last.max() - last.min())
    expected = scaled["ncti_seli"] + scaled["ncti_ncc"] + scaled["ncti_vc"] - 1
    np.testing.assert_allclose(models, expected[models.index], rtol=1e-12)
    assert models.between(-1, 2).all()
    ordered = (last.rank() - 1) / (len(last) - 1)
    expected = ordered["ncti_seli"] + ordered["ncti_ncc"] + ordered["ncti_vc"] - 1
    rows = found[(found["comparison"] == "models") & (found["name"] == "ncti_ranks")].set_index("model")
    np.testing.assert_allclose(rows["value"], expected[rows.index], rtol=1e-12)
    units = found[(found["comparison"] == "units") & (found["name"] == "ncti") & (found["model"] == "m4")]
    of_model = raw[raw["model"] == "m4"].pivot(index="unit", columns="term", values="value")
    scaled = (of_model - of_model.min()) / (of_model.max() - of_model.min())
    expected = scaled["ncti_seli"] + scaled["ncti_ncc"] + scaled["ncti_vc"] - 1
    np.testing.assert_allclose(units.set_index("unit")["value"], expected, rtol=1e-12)
    assert set(found.loc[found["kind"] == "term", "name"]) == {"ncti_vc", "ncti_seli", "ncti_ncc"}


def test_each_term_of_a_score_and_the_score_without_it_are_compared_with_the_accuracy(stores):
    settings = rank_settings(scores=["ncti", "etran", "face", "nc1"])
    shown = ranked_tables(scored(stores, settings.scores), settings)
    found, agreed = (shown[name, "d", ""] for name in ("rank", "agreement"))
    models = found[found["comparison"] == "models"]
    assert set(models.loc[models["kind"] == "without", "name"]) == {
        "ncti without ncti_vc", "ncti without ncti_seli", "ncti without ncti_ncc",
        "ncti_ranks without ncti_vc", "ncti_ranks without ncti_seli", "ncti_ranks without ncti_ncc",
        "etran without etran_energy", "etran without etran_lda",
        "face without face_collapse", "face without face_fairness",
    }  # fmt: skip
    wide = models.pivot_table(index="model", columns="name", values="value")
    scaled = (wide - wide.min()) / (wide.max() - wide.min())
    expected = {
        "ncti without ncti_vc": scaled["ncti_seli"] + scaled["ncti_ncc"],
        "ncti without ncti_ncc": scaled["ncti_seli"] + scaled["ncti_vc"] - 1,
        "etran without etran_lda": 0.15 * scaled["etran_energy"],
        "face without face_fairness": scaled["face_collapse"],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(wide[name], values, atol=1e-12)

    agreed = agreed.set_index(["comparison", "kind", "name", "model"])
    for kind, name in [("term", "ncti_vc"), *(("without", name) for name in expected)]:
        row = agreed.loc["models", kind, name, "all"]
        assert row["tau"] == pytest.approx(stats.weightedtau(wide[name], wide["probe"]).statistic)
        assert np.isfinite(agreed.loc["units", kind, name, "all"]["tau"])

    numbers = table_of.tabulate(SETTINGS, shown)
    listed = numbers[numbers["kind"].isin(["term", "without"])]
    assert set(listed["comparison"]) == {"models"}
    text = table_of.present(numbers, SETTINGS).map(str).set_index("Score")
    parts = text.loc["Which term? Terms of a score alone, and scores without one of them (rank)":]
    assert (
        f"{agreed.loc['models', 'term', 'ncti_vc', 'all']['tau']:.2f} ["
        in parts.loc["NCTI: S_vc alone", "τ_w [95 %]"]
    )
    rank = listed[(listed["name"] == "etran without etran_lda") & (listed["model"] == "m3")]["rank"].iloc[0]
    assert parts.loc["ETran without LDA", "m3"].endswith(f"({rank:.0f})")
    assert {"FaCe (reconstructed): class fairness alone", "NCTI (ranks) without S_ncc"} <= set(parts.index)
    assert "NCTI: S_vc alone" not in [
        label.get_text()
        for axes in figure_of_models.draw(figure_of_models.tabulate(SETTINGS, shown), SETTINGS).axes
        for label in axes.get_yticklabels()
    ]


def test_scores_without_terms_have_no_ablation(tables):
    shown = ranked_tables(tables, rank_settings(scores=["nc1", "h_score"]))
    assert set(shown["rank", "d", ""]["kind"]) == {"score", "accuracy"}
    text = table_of.present(table_of.tabulate(SETTINGS, shown), SETTINGS).map(str)
    assert not text["Score"].str.startswith("Which term?").any()


def test_what_a_model_does_not_have_says_why(pictures):
    found, agreed = (pictures[name, "d", ""] for name in ("rank", "agreement"))
    models = found[found["comparison"] == "models"].set_index(["name", "model"])
    assert "no source classifier" in models.loc[("leep", "m8"), "reason"]
    assert "set source_accuracy" in models.loc[("source_accuracy", "m2"), "reason"]
    assert models.loc[("source_accuracy", "m1"), "value"] == 79.0
    agreed = agreed.set_index(["comparison", "model", "name"])
    assert agreed.loc[("models", "all", "leep"), "points"] == 8
    assert agreed.loc[("models", "all", "nc1"), "points"] == 9


def test_agreement_is_that_of_scores_with_the_test_accuracy_of_the_shown_probes(pictures):
    found, agreed = (pictures[name, "d", ""] for name in ("rank", "agreement"))
    agreed = agreed.set_index(["comparison", "model", "name"])
    models = found[found["comparison"] == "models"]
    wide = models.pivot_table(index="model", columns="name", values="value")
    assert wide.loc["m0", "probe"] == 93.0  # mean over seeds at the first rate, test split
    for name in ("nc1", "h_score", "ncti"):
        row = agreed.loc[("models", "all", name)]
        assert row["tau"] == pytest.approx(stats.weightedtau(wide[name], wide["probe"]).statistic)
        assert row["spearman"] == pytest.approx(stats.spearmanr(wide[name], wide["probe"]).statistic)
        assert row["pearson"] == pytest.approx(stats.pearsonr(wide[name], wide["probe"]).statistic)
        assert row["tau_low"] <= row["tau"] <= row["tau_high"] or row["tau"] == pytest.approx(1)
        assert -0.7 < row["tau_null_low"] < -0.4 < 0.4 < row["tau_null_high"] < 0.8  # nine models
    by_model = agreed.xs("nc1", level="name").loc["units"]
    assert by_model.loc["all", "tau"] == pytest.approx(by_model.drop("all")["tau"].mean())
    assert by_model.loc["all", "points"] == 9
    assert by_model.drop("all")["points"].eq(3).all()
    assert "leep" not in agreed.loc["units"].index.get_level_values("name")


def test_a_pool_of_one_model_has_no_pooled_score_and_says_so(tables):
    only = {key: table for key, table in tables.items() if key[1] == "m0"}
    settings = rank_settings(models=rank_settings().models[:1])
    found = gather(only, settings)
    ncti = found[(found["comparison"] == "models") & (found["name"] == "ncti")].iloc[0]
    assert np.isnan(ncti["value"])
    assert "a pool of one" in ncti["reason"]
    assert found.loc[(found["comparison"] == "units") & (found["name"] == "ncti"), "value"].notna().all()
    agreed = agreement_table(found, settings)
    assert agreed.loc[agreed["comparison"] == "models", "tau"].isna().all()


def test_the_source_accuracy_of_a_model_trained_here_is_its_last_on_clean_test_images(tables):
    history = pd.DataFrame(
        {
            "epoch": [1, 1, 2, 2, 2],
            "split": ["train", "test", "train", "test", "test"],
            "images": ["clean"] * 4 + ["adversarial"],
            "accuracy": [10.0, 20.0, 30.0, 40.0, 5.0],
        }
    )
    models = list(rank_settings().models)
    for epoch, expected in ((None, 40.0), (1, 20.0)):
        models[0] = RankedModel(model="m0", view="v", history="m0", epoch=epoch)
        found = gather(tables | {("history", "m0", ""): history}, rank_settings(models=models))
        rows = found[(found["name"] == "source_accuracy") & (found["model"] == "m0")]
        assert rows["value"].tolist() == [expected]


def test_classes_that_are_never_tested_or_have_one_image_are_named_beside_accuracies(
    tables, tmp_path, caplog
):
    key = ("probes", "m1", "v")
    lacking = tables[key].assign(untested_classes=3, single_classes=1)
    found = gather(tables | {key: lacking}, rank_settings())
    probes = found[found["name"] == "probe"]
    reason = "3 classes that are never tested; 1 classes of a single training image"
    assert set(probes.loc[probes["model"] == "m1", "reason"]) == {reason}
    assert set(probes.loc[probes["model"] != "m1", "reason"]) == {""}
    write_table(tmp_path / "accuracy.parquet", lacking)
    with caplog.at_level("WARNING", "nctransfer"):
        read_tables([key], {"table_0": str(tmp_path / "accuracy.parquet")})
    assert "m1 on v: accuracies with 3 classes that are never tested" in caplog.text
    assert "m1 on v: accuracies with 1 classes of a single training image" in caplog.text


def test_probes_that_have_not_converged_are_marked(tables, tmp_path, caplog):
    key = ("probes", "m1", "v")
    lost = tables[key].assign(unconverged=lambda table: table["unit"] == 2)
    found = gather(tables | {key: lost}, rank_settings())
    marked = found[(found["name"] == "probe") & (found["reason"] != "")]
    assert set(zip(marked["model"], marked["unit"], marked["comparison"], strict=True)) == {
        ("m1", 2, "units")
    }
    assert marked["value"].notna().all()
    # whoever reads the table is told
    write_table(tmp_path / "accuracy.parquet", lost)
    with caplog.at_level("WARNING", "nctransfer"):
        read_tables([key], {"table_0": str(tmp_path / "accuracy.parquet")})
    assert "m1 on v: accuracies of probes that have not converged; units 2" in caplog.text


def test_fine_tuned_accuracies_judge_models_and_say_nothing_of_units(tables):
    runs = {
        ("finetuning", f"r{index}{seed}", ""): pd.DataFrame(
            {
                "model": f"m{index}", "method": "full_ft", "units": "", "seed": seed, "per_class": None,
                "learning_rate": 0.1, "weight_decay": 0.0,
                "split": ["train", "test"], "accuracy": [99.0, 50.0 + index + seed],
            }
        )
        for index in range(9)
        for seed in (0, 1)
    }  # fmt: skip
    found = gather(tables | runs, rank_settings())
    tuned = found[found["name"] == "full_ft"]
    assert tuned["comparison"].unique().tolist() == ["models"]
    assert tuned.set_index("model")["value"]["m3"] == 53.5  # test, mean over seeds
    agreed = agreement_table(found, rank_settings()).set_index(["comparison", "accuracy", "name", "model"])
    assert agreed.loc[("models", "full_ft", "nc1", "all"), "tau"] < 0  # here the noisiest is the best
    assert agreed.loc[("models", "probe", "nc1", "all"), "tau"] > 0


def test_accuracies_measured_elsewhere_judge_models_alone(tables):
    measured = MeasuredAccuracies(name="published", accuracies={"m0": 91.5, "m1": 90.0})
    found = gather(tables, rank_settings(measured=measured))
    rows = found[found["name"] == "measured"]
    assert rows.set_index("model")["value"].to_dict() == {"m0": 91.5, "m1": 90.0}
    assert rows["label"].unique().tolist() == ["accuracy, published (%)"]
    assert rows["comparison"].unique().tolist() == ["models"]
    assert main_accuracy(found)[0] == "probe"  # of all nine models, not of two


def test_ways_of_tuning_are_told_apart_where_a_model_is_tuned_in_several():
    def run(model: str, accuracy: float, **values) -> pd.DataFrame:
        row = {
            "model": model, "method": "full_ft", "units": "", "per_class": None, "learning_rate": 0.1,
            "weight_decay": 0.0, "seed": 0, "split": "test", "accuracy": accuracy,
        }  # fmt: skip
        return pd.DataFrame([row | values])

    few, many = run("a", 10.0, per_class=3), run("a", 90.0, per_class=10)
    found = run_accuracies([few, many, run("a", 20.0, per_class=3, seed=1)]).set_index("name")["value"]
    assert found.to_dict() == {"full_ft, images a class 3": 15.0, "full_ft, images a class 10": 90.0}
    # each model has a rate of its own: that tells models apart, not ways of tuning
    found = run_accuracies([run("a", 10.0), run("b", 90.0, learning_rate=0.2)])
    assert found["name"].unique().tolist() == ["full_ft"]


def test_source_accuracies_on_other_data_than_most_are_not_compared(tables):
    models = [ranked.model_copy(update={"data": "ImageNet-1k"}) for ranked in rank_settings().models]
    models[3] = models[3].model_copy(update={"data": "digits04"})
    found = gather(tables, rank_settings(models=models))
    rows = found[found["name"] == "source_accuracy"].set_index("model")
    assert "on digits04, unlike most models here" in rows.loc["m3", "reason"]
    assert np.isnan(rows.loc["m3", "value"])
    assert rows.loc["m4", "value"] == 76.0


def test_scores_of_the_source_classifier_alone_leave_units_without_a_score(tables):
    shown = ranked_tables(tables, rank_settings(scores=["leep"]))
    found, agreed = (shown[name, "d", ""] for name in ("rank", "agreement"))
    assert set(found.loc[found["comparison"] == "units", "kind"]) == {"accuracy"}
    assert set(agreed["comparison"]) == {"models"}
    table_of.present(table_of.tabulate(SETTINGS, shown), SETTINGS)
    figure_of_models.draw(figure_of_models.tabulate(SETTINGS, shown), SETTINGS)
    ranking_units.draw(ranking_units.tabulate(SETTINGS, shown), SETTINGS)


def test_the_summed_feature_is_no_unit_of_its_own():
    table = probe_table("m", {1: 50.0, 3: 60.0})
    summed = table[table["module"] == "penultimate"].assign(module="summed", accuracy=0.0)
    found = probe_accuracies(pd.concat([table, summed]), 0.1, 0.0)
    assert found.set_index("unit")["value"].to_dict() == {1: 50.0, 3: 60.0}


# --- what a reader sees -----------------------------------------------------------------------------


SETTINGS = figure_of_models.SETTINGS.read(
    {
        "kind": "ranking",
        "panels": [{"title": "Data", "dataset": "d"}],
        "tables": [],
        "style": STYLE,
        "seed": 1,
    }
)


def test_the_table_ranks_models_and_names_the_unit_that_every_score_picks(pictures):
    numbers = table_of.tabulate(SETTINGS, pictures)
    models = numbers[numbers["comparison"] == "models"].set_index(["name", "model"])
    assert models.loc[("probe", "m0"), "rank"] == 1
    assert models.loc[("nc1", "m0"), "tau"] == models.loc[("nc1", "m8"), "tau"]
    units = numbers[numbers["comparison"] == "units"].set_index(["name", "model"])
    rank = pictures["rank", "d", ""]
    rows = rank[(rank["comparison"] == "units") & (rank["name"] == "nc1") & (rank["model"] == "m5")]
    best = rows.loc[rows["value"].idxmax(), "unit"]
    assert units.loc[("nc1", "m5"), "unit"] == best
    assert units.loc[("nc1", "m5"), "lost"] == 3 - best  # a probe gains a point a unit
    assert units.loc[("probe", "m5"), "unit"] == 3

    readable = table_of.present(numbers, SETTINGS)
    assert list(readable.columns[6:]) == [f"m{index}" for index in range(9)]  # from the best to the worst
    text = readable.map(str)
    assert text["Score"].iloc[1] == "Judged by probe accuracy (%); 9 models"
    leep = text[text["Score"] == "LEEP"].iloc[0]
    assert (leep["n"], leep["m8"]) == ("8", "\N{EN DASH}")
    assert (text["Score"] == "source accuracy").sum() == 1


def test_few_models_are_called_too_few(tables):
    few = {key: table for key, table in tables.items() if key[1] in ("m0", "m1", "m2", "m3")}
    shown = ranked_tables(few, rank_settings(models=rank_settings().models[:4]))
    text = table_of.present(table_of.tabulate(SETTINGS, shown), SETTINGS).map(str)
    assert "4 models: too few to tell (at least 8)" in text["Score"].iloc[1]
    assert set(text.loc[text["n"] == "4", "Verdict"]) <= {"too few models", ""}
    picture = figure_of_models.draw(figure_of_models.tabulate(SETTINGS, shown), SETTINGS)
    assert any("too few" in axes.get_title(loc="left") for axes in picture.axes)


def test_the_figure_shows_ranks_by_tau_and_the_band_of_chance(pictures):
    numbers = figure_of_models.tabulate(SETTINGS, pictures)
    assert set(numbers["comparison"]) == {"models"}
    picture = figure_of_models.draw(numbers, SETTINGS)
    ranks, taus = picture.axes
    labels = [label.get_text() for label in ranks.get_yticklabels()]
    assert labels[0] == "probe accuracy (%)"
    scores = numbers[numbers["kind"] == "score"].drop_duplicates("name")
    by_tau = scores.sort_values(["points", "tau"], ascending=False, kind="stable", na_position="last")
    assert [label.split(", n = ")[0] for label in labels[1:]] == by_tau["label"].tolist()
    assert labels[-1] in ("LEEP, n = 8", "source accuracy, n = 8")  # not of all nine models
    assert [label.get_text() for label in ranks.get_xticklabels()] == [f"m{index}" for index in range(9)]
    points = [line.get_xdata()[0] for line in taus.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(points, by_tau["tau"].dropna())
    bands = {round(patch.get_width(), 6) for patch in taus.patches}
    assert len(bands) == 2  # of nine models, and wider of eight


def test_a_score_is_told_from_chance_by_its_interval_and_by_random_orders():
    row = {
        "points": 9,
        "tau": 0.8,
        "tau_low": 0.3,
        "tau_high": 1.0,
        "tau_null_low": -0.6,
        "tau_null_high": 0.6,
    }
    cases = {
        "better than chance": {},
        "may be chance": {"tau": 0.5},
        "worse than chance": {"tau": -0.7, "tau_low": -1.0, "tau_high": -0.1},
        "too few models": {"points": 7},
        "undefined": {"tau": np.nan},
    }
    assert {name: verdict(pd.Series(row | changes)) for name, changes in cases.items()} == {
        n: n for n in cases
    }
    assert verdict(pd.Series(row | {"tau": -0.5, "tau_low": -1.0, "tau_high": -0.1})) == "may be chance"


def test_full_fine_tuning_judges_before_other_accuracies_of_as_many_models(pictures):
    rank = pictures["rank", "d", ""]
    probe = rank[(rank["name"] == "probe") & (rank["comparison"] == "models")]
    more = [probe.assign(name=name, label=name) for name in ("lp", "measured", "full_ft")]
    assert main_accuracy(pd.concat([rank, *more[:2]]))[0] == "lp"
    assert main_accuracy(pd.concat([rank, *more]))[0] == "full_ft"
    assert main_accuracy(pd.concat([rank, *more[:2], more[2].head(8)]))[0] == "lp"


def test_the_figure_of_units_marks_where_each_row_peaks(pictures):
    numbers = ranking_units.tabulate(SETTINGS, pictures)
    assert numbers.groupby(["model", "name"])["picked"].sum().eq(1).all()
    assert numbers["scaled"].between(0, 1).all()
    picture = ranking_units.draw(numbers, SETTINGS)
    assert len(picture.axes) == 9
    first = picture.axes[0]
    assert first.get_title(loc="left") == "m0 on Data"
    assert [text.get_text() for text in first.get_xticklabels()] == ["1", "2", "last"]
    stars = [line for line in first.lines if line.get_marker() == "*"]
    assert [line.get_xdata()[0] for line in stars] == [2.5]  # the probes' best unit, the last


def test_a_ranking_of_last_features_alone_says_that_units_are_missing(pictures):
    rank = pictures["rank", "d", ""]
    shown = {("rank", "d", ""): rank[rank["module"] == "penultimate"]}
    numbers = ranking_units.tabulate(SETTINGS, shown)
    assert numbers.empty
    picture = ranking_units.draw(numbers, SETTINGS)
    assert "set units: all" in picture.texts[0].get_text()


# --- the real workflow ------------------------------------------------------------------------------


def test_rank_leaves_scores_a_table_and_two_figures(tmp_path):
    finished = Project.fresh(tmp_path / "p")
    tiny = yaml.safe_load(TINY.read_text())
    overlay = merge(tiny, {
        "models": {"other": tiny["models"]["tiny"] | {"options": {"width": 6}}},
        "rank": {"datasets": ["digits59"], "models": ["tiny", "other"]},
    })  # fmt: skip
    (finished.folder / "tiny.yaml").write_text(yaml.safe_dump(overlay))
    run = finished.run("rank")
    assert run.returncode == 0, run.stdout + run.stderr
    ranked = pd.read_parquet(finished.folder / "results/tiny/rank/digits59.parquet")
    assert set(ranked["model"]) == {"tiny", "other"}
    assert set(ranked.loc[ranked["comparison"] == "units", "unit"]) == set(range(1, 10))
    scores = ranked.loc[(ranked["kind"] == "score") & (ranked["comparison"] == "models"), "name"]
    assert len(set(scores)) == 19  # of fifteen modules three have two; and the source accuracy
    assert ranked.loc[ranked["name"] == "source_accuracy", "value"].between(1, 100).all()
    for name in ("figures/tiny/rank-digits59.pdf", "figures/tiny/rank-digits59-units.png"):
        assert (finished.folder / name).stat().st_size > 1000
    text = finished.read("tables/tiny/rank-digits59.md")
    assert "2 models: too few to tell (at least 8)" in text
    assert "NCTI" in text
    assert not finished.planned("rank")
