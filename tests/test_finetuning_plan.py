"""The plan of fine-tuning: what the paper's figures and tables ask for, keys of runs, mistakes."""

from collections import Counter
from pathlib import Path

import pytest

from nctransfer.config import load as loading
from nctransfer.config.finetuning_runs import run_key, study_runs
from nctransfer.config.study import Run, Study, listing
from nctransfer.dag.plan import Plan
from nctransfer.errors import ConfigError
from nctransfer.finetuning.method import MethodSettings

ROOT = Path(__file__).resolve().parents[1]
BASE = ROOT / "config.yaml"
PICTURES = {
    "figures": ("fig7", "fig8", "fig9", "fig14", "fig16", "fig17"),
    "tables": ("table3", "table4", "table5"),
}


def load(folder: Path | None = None, text: str = "") -> Study:
    if folder is None:
        return loading.load(BASE)
    path = folder / "overlay.yaml"
    path.write_text("study: x\n" + text)
    return loading.load(BASE, [path])


def runs_of(study: Study, section: str, picture: str) -> list[tuple[str, Run]]:
    """Key and run, in order, of all that a figure or table asks for."""
    panels, finetuning = study.configuration.pictures(section)[picture].panels, study.configuration.finetuning
    return [(run_key(finetuning, run), run) for panel in panels for run, _ in study_runs(study, panel)]


@pytest.fixture(scope="module")
def paper() -> Plan:
    return Plan(load(), ROOT)


# --- what the paper's figures and tables ask for (test_paper.py says more) ---------------------


def test_pictures_share_their_runs(paper):
    table3, table4 = (dict(runs_of(paper.study, "tables", key)) for key in ("table3", "table4"))
    assert not set(table3) & set(table4)  # a search trains on fewer images
    fig14, fig17 = (dict(runs_of(paper.study, "figures", key)) for key in ("fig14", "fig17"))
    assert set(fig14) > {key for key, run in fig17.items() if run.method == "layer_ft"}


def test_the_counts_in_the_docs_are_those_of_the_plan(paper):
    text = (ROOT / "docs" / "runs.md").read_text()
    methods = ("lp", "mlp", "layer_ft", "scl_ft", "layer_lp", "full_ft", "layer_lora", "zero_shot")
    seen: set[str] = set()
    for section, key in ((section, key) for section, keys in PICTURES.items() for key in keys):
        runs = dict(runs_of(paper.study, section, key))
        row = next(line for line in text.splitlines() if line.startswith(f"| `{key}`"))
        total, *by_column = [int(cell.strip() or 0) for cell in row.split("|")[2:11]]
        assert total == len(runs)
        counts = Counter(run.method for run in runs.values())
        assert by_column == [counts[method] for method in methods]
        assert int(row.split("|")[12]) == len(set(runs) - seen)
        seen |= set(runs)
    assert f"{len(seen)} different runs" in text


def test_a_runs_job_is_told_what_its_method_reads(paper):
    job = paper.finetune("resnet50.dtd.scl_ft.u8.lr0.05.wd0.0001.s2")
    assert job.settings.method == MethodSettings(name="scl_ft", units=(8,))
    assert job.inputs["train"] == "results/images/dtd-224px/train/manifest.json"
    lora = paper.finetune("vit-b32-384.vtab-svhn.layer_lora.u8.evaluate_every100.lr0.01.wd0.s0").settings
    assert lora.method.model_dump() == {"name": "layer_lora", "units": (8,), "rank": 96, "alpha": None}
    assert paper.finetune("clip-vit-b32.cifar100.zero_shot").settings.method.data_set == "CIFAR100"


def test_a_tuned_model_is_measured_like_any_other(paper):
    run = "resnet50.dtd.scl_ft.u8.lr0.05.wd0.0001.s2"
    features = paper.features(f"{run}.penultimate", "dtd-224px")
    assert features.inputs["tuned"] == f"results/finetuning/{run}/manifest.json"
    assert features.inputs["model"] == "results/models/resnet50/manifest.json"
    assert (features.settings.units, features.settings.loader) == ("penultimate", "tuned")
    assert paper.features("resnet18", "dtd-224px").settings.loader == "stored"
    with pytest.raises(ConfigError, match="is a fine-tuned model"):
        paper.model(run)


# --- runs of one's own -----------------------------------------------------------------------

MINE = """
datasets: {mine: {source: digits}}
models: {m: {source: torchvision, name: resnet18}}
"""


def test_a_named_run_is_a_model_under_its_own_key(tmp_path):
    text = (
        MINE
        + "finetuned: {best: {model: m, dataset: mine, method: scl_ft, units: [5], seed: 2, options: {epochs: 3}}}\n"
    )
    plan = Plan(load(tmp_path, text), ROOT)
    rows = list(listing(plan.study))
    assert ("best", "m", "fine-tuned here on mine: scl_ft") in rows
    assert not any(".s0" in key for key, *_ in rows)  # those of pictures are not listed
    job = plan.finetune("best")
    assert (job.settings.training.epochs, job.settings.training.learning_rate) == (3, 0.05)
    assert job.settings.names.seed == 2
    assert plan.view("best", "mine").key == "mine-224px"
    assert plan.metrics("best", "mine-224px").inputs["train"].startswith("results/x/features/best/")


def sweep(folder: Path, runs: str, extra: str = "") -> list[str]:
    text = (
        MINE
        + f"tables: {{t: {{kind: methods, panels: [{{model: m, dataset: mine, runs: {runs}}}]}}}}\n"
        + extra
    )
    return [key for key, _ in runs_of(load(folder, text), "tables", "t")]


@pytest.mark.parametrize(
    ("runs", "keys"),
    [
        ("[{methods: [lp]}]", ["m.mine.lp.lr0.05.wd0.0001.s0"]),
        ("[{methods: [full_ft, layer_ft], units: [3, [5, 4]]}]", [
            "m.mine.full_ft.lr0.05.wd0.0005.s0", "m.mine.layer_ft.u3.lr0.05.wd0.0001.s0",
            "m.mine.layer_ft.u4-5.lr0.05.wd0.0001.s0"]),
        ("[{methods: [lp], seeds: 2, per_class: [5]}]", [
            "m.mine.5pc.lp.lr0.05.wd0.0001.s0", "m.mine.5pc.lp.lr0.05.wd0.0001.s1"]),
        ("[{methods: [lp], options: {statistics: recalibrated}}]", ["m.mine.lp.recalibrated.lr0.05.wd0.0001.s0"]),
        ("[{methods: [lp], options: {epochs: 5, augmentation: {level: 3}}}]", [
            "m.mine.lp.augmentation-level3.epochs5.lr0.05.wd0.0001.s0"]),
        ("[{methods: [lp], learning_rates: [1e-1, 2e-3], weight_decays: [0]}]", [
            "m.mine.lp.lr0.1.wd0.s0", "m.mine.lp.lr0.002.wd0.s0"]),
        # less than other methods begin with
        ("[{methods: [lp], learning_rates: [0.1], options: {learning_rate_min: 0.005}}]", [
            "m.mine.lp.learning_rate_min0.005.lr0.1.wd0.0001.s0"]),
        ("[{methods: [lp], options: {evaluate_every: 7}}]", ["m.mine.lp.evaluate_every7.lr0.05.wd0.0001.s0"]),
    ],
)  # fmt: skip
def test_a_key_says_all_that_sets_a_run_apart(tmp_path, runs, keys):
    assert sweep(tmp_path, runs) == keys
    of_study = sweep(tmp_path, "[{methods: [lp]}]", "finetuning: {statistics: frozen}\n")
    assert of_study == ["m.mine.lp.frozen.lr0.05.wd0.0001.s0"]


@pytest.mark.parametrize(
    "options",
    [
        "{epochs: 200, rank: 96}",
        "{rank: 7, hidden: 3}",
        "{augmentation: {level: 1}}",
        "{augmentation: {grayscale: 0.5}}",
        "{rates: {convolutional: {lp: {learning_rate: 5e-2, weight_decay: 1e-4}}}}",
        "{rates: {transformer: {lp: {learning_rate: 1, weight_decay: 1}}}}",
    ],
)
def test_one_training_has_one_key_however_it_is_asked_for(tmp_path, options):
    """Options that the method does not read, and values that are the study's, set nothing apart."""
    assert sweep(tmp_path, f"[{{methods: [lp], options: {options}}}]") == ["m.mine.lp.lr0.05.wd0.0001.s0"]


def test_zero_shot_does_not_read_how_features_are_kept(tmp_path):
    key = "clip-vit-b32.cifar100.zero_shot"
    plain = Plan(load(), ROOT).finetune(key).settings
    other = load(tmp_path, "models: {clip-vit-b32: {units: penultimate, poolings: [cls]}}\n")
    assert Plan(other, ROOT).finetune(key).settings == plain


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, MINE + text)
    return str(caught.value).splitlines()[1:]


PANEL = "tables: {{t: {{kind: methods, panels: [{{model: {model}, dataset: mine, runs: [{runs}]}}]}}}}\n"


@pytest.mark.parametrize(
    ("model", "runs", "words"),
    [
        ("m", "{methods: [layer_ft], units: [9]}", "runs[0].units: 'm' has no unit 9; it has units 1 to 8"),
        ("m", "{methods: [layer_ft], units: [[1, 12]]}", "'m' has no unit 12"),
        ("m", "{methods: [layer_ft]}", "runs[0].methods: 'layer_ft' tunes units; name them in units"),
        ("m", "{methods: [layerft]}", "no 'layerft' in methods (did you mean 'layer_ft'?)"),
        ("m", "{methods: [zero_shot]}", "model 'm' has no text tower; zero_shot takes models of open_clip"),
        (
            "m",
            "{methods: [lp], learning_rates: [1e-5]}",
            "method 'lp', learning_rate_min: 0.0001 is above learning_rate 1e-05",
        ),
        (
            "m",
            "{methods: [lp], options: {warmup_epochs: 300}}",
            "method 'lp', warmup_epochs: 300 leaves none of the 200 epochs",
        ),
        ("m", "{methods: [lp], units: [0]}", "units"),
        ("m", "{method: [lp]}", "method: unknown key (did you mean 'methods'?)"),
        ("mm", "{methods: [lp]}", "no 'mm' in models (did you mean 'm'?)"),
    ],
)
def test_mistakes_in_runs_are_told_before_any_job(tmp_path, model, runs, words):
    lines = mistakes(tmp_path, PANEL.format(model=model, runs=runs))
    assert any(words in line for line in lines), lines


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("finetuned: {a: {model: m, dataset: mine, method: layer_ft, units: [11]}}\n", "finetuned.a.units: 'm' has no unit 11"),
        ("finetuned: {a: {model: m, dataset: mne, method: lp}}\n", "finetuned.a.dataset: no 'mne' in datasets (did you mean 'mine'?)"),
        ("finetuned: {a: {model: m, dataset: mine, method: lp, units: [2]}}\n", "finetuned.a.units: method 'lp' has no choice of units"),
        ("finetuned: {m: {model: m, dataset: mine, method: lp}}\n", "finetuned.m: 'm' is also the key of another model"),
        ("finetuned: {a: {model: m, dataset: mine, method: lp}, b: {model: a, dataset: mine, method: lp}}\n", "finetuned.b.method: model 'a' is itself fine-tuned; name 'm'"),
        ("tables: {t: {kind: methods, panels: [{model: m, dataset: mine}]}}\n", "tables.t.panels[0].runs: missing"),
        ("figures: {f: {kind: layerwise, panels: [{model: m, dataset: mine, runs: [{methods: [lp]}]}]}}\n", "figures.f.panels[0].runs: unknown key of kind 'layerwise'; allowed: dataset, model, pooling, title"),
        ("figures: {f: {kind: tuned_units, panels: [{model: m, dataset: mine, runs: [{methods: [lp]}]}]}}\n", "abscissa: missing; allowed: unit, count"),
        ("finetuning: {statistics: updated}\n", "'updated' is not allowed (did you mean 'update'?)"),
        ("finetuning: {rates: {convolutional: {lpp: {learning_rate: 1, weight_decay: 0}}}}\n", "finetuning.rates.convolutional.lpp: no 'lpp' in methods"),
        ("finetuned: {a: {model: clip-vit-b32, dataset: mine, method: zero_shot, per_class: 3}}\n", "finetuned.a.per_class: method 'zero_shot' trains nothing"),
        ("figures: {f: {kind: collapse_by_unit, panels: [{model: m, dataset: mine, runs: [{methods: [lp], features: penultimate}]}]}}\n", "runs[0].features: only the penultimate feature is kept"),
        ("figures: {f: {kind: collapse_by_unit, panels: [{model: resnet50, dataset: mine, runs: [{methods: [lp]}]}]}}\n", "runs[0].features: only the penultimate feature is kept"),
        ("finetuned: {a: {model: m, dataset: mine, method: lp, features: penultimate}}\nfigures: {f: {kind: layerwise, panels: [{model: a, dataset: mine}]}}\n", "only the penultimate feature of 'a' is kept"),
        ("figures: {f: {kind: tuned_unit_law, panels: [{model: m, dataset: mine, runs: [{methods: [lp]}]}]}}\n", "shows one method that tunes units, not lp"),
        ("figures: {f: {kind: tuned_unit_law, panels: [{model: m, dataset: mine, runs: [{methods: [layer_ft], units: [[1, 2]]}]}]}}\n", "shows units that are tuned one by one, not [1, 2]"),
        ("figures: {f: {kind: collapse_by_unit, panels: [{model: clip-vit-b32, dataset: mine, runs: [{methods: [zero_shot]}]}]}}\n", "'zero_shot' tunes nothing, so kind 'collapse_by_unit'"),
        ("figures: {f: {kind: tuned_units, panels: [{model: m, dataset: mine, abscissa: unit, runs: [{methods: [layer_ft], units: [[1, 2]]}]}]}}\n", "shows units that are tuned one by one, not [1, 2]"),
        ("tables: {t: {kind: search, panels: [{model: m, dataset: mine, runs: [{methods: [lp], options: {rates: {transformer: {lpp: {learning_rate: 1, weight_decay: 0}}}}}]}]}}\n", "runs[0].options.rates.transformer.lpp: no 'lpp' in methods"),
        ("tables: {t: {kind: search, panels: [{model: m, dataset: mine, runs: [{methods: [lp]}]}]}}\n", "tables.t.panels[0].dataset: 'mine' sets no validation, so kind 'search' would choose rates on its test split; name a data set that sets it"),
        ("tables: {t: {kind: search, panels: [{model: m, dataset: mine, published: {lpp: {learning_rate: 1, weight_decay: 0}}, runs: [{methods: [lp]}]}]}}\n", "tables.t.panels[0].published.lpp: no 'lpp' in methods"),
        ("tables: {t: {kind: methods, panels: [{model: m, dataset: dtd, runs: [{methods: [lp]}]}, {model: m, dataset: vtab-dtd, runs: [{methods: [lp]}]}]}}\n", "two panels have the title 'm on DTD'"),
        ("tables: {t: {kind: methods, panels: [{model: m, dataset: mine, runs: [{methods: [lp]}]}, {model: m, dataset: mine, runs: [{methods: [mlp]}]}]}}\n", "two panels have the title 'm on mine'"),
    ],
)  # fmt: skip
def test_mistakes_in_named_runs_and_pictures_are_told_before_any_job(tmp_path, text, words):
    lines = mistakes(tmp_path, text)
    assert any(words in line for line in lines), lines


def test_more_images_a_class_than_the_data_set_keeps_are_told_when_the_run_is_asked_for(tmp_path):
    text = "datasets: {mine: {source: digits, per_class: 5}}\nmodels: {m: {source: torchvision, name: resnet18}}\n"
    text += "finetuned: {a: {model: m, dataset: mine, method: lp, per_class: 6}}\n"
    plan = Plan(load(tmp_path, text), ROOT)
    with pytest.raises(ConfigError, match="run a: 6 images per class of 'mine', which has 5"):
        plan.finetune("a")


def test_a_search_is_told_its_held_out_images_and_the_rates_beside_its_choice(tmp_path):
    panel = "{model: m, dataset: held, runs: [{methods: [lp, layer_ft], units: [5], learning_rates: [1, 2]}], published: {lp: {learning_rate: 1, weight_decay: 0}}}"
    text = MINE + f"tables: {{t: {{kind: search, panels: [{panel}]}}}}\n"
    text = text.replace("{mine: {source: digits}}", "{held: {source: digits, validation: 300}}")
    plan = Plan(load(tmp_path, text), ROOT)
    (told,) = plan.table("t").settings.panels
    assert told.validation == 300
    assert told.rates["lp"].model_dump() == {"in_use": (0.05, 1e-4), "published": (1, 0)}
    assert told.rates["layer_ft"].published is None
    run = plan.finetune(told.runs[0].run)
    assert run.inputs["test"] == "results/x/images/held.val300/test/manifest.json"
    assert plan.images("held.val300").settings.validation == 300  # its test split is held out of train
