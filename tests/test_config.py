"""The configuration's front end: what it accepts, and that it reports every mistake at once."""

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from nctransfer.config import load as config
from nctransfer.config import reference, yaml_files
from nctransfer.config.claims import ClaimsSettings
from nctransfer.config.configuration import Configuration
from nctransfer.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
BASE = ROOT / "config.yaml"


def overlay(folder: Path, text: str, name: str = "overlay.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def load(*arguments):
    """The configuration that is loaded."""
    return config.load(*arguments).configuration


def errors(*overlays: Path, settings: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config.load(BASE, overlays, settings)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


FORMULAS = {
    "title": "figures: {f: {kind: layerwise, panels: [{model: resnet34, dataset: dtd, title: %s}]}}",
    "display name": "style: {titles: {dtd: %s}}",
    "series": "figures: {f: {kind: transfer, panels: [{dataset: dtd, series: [{name: %s, models: {a: resnet34}}]}]}}",
    "label": "figures: {f: {kind: transfer, panels: [{dataset: dtd, series: [{models: {%s: resnet34}}]}]}}",
}  # fmt: skip


@pytest.mark.parametrize("place", FORMULAS)
@pytest.mark.parametrize("text", [r"$\fract{1}{2}$", r"$x_$", r"$\left($", r"from $5 to {$"])
def test_a_formula_that_cannot_be_drawn_is_found_before_anything_is_computed(tmp_path, place, text):
    lines = errors(overlay(tmp_path, "study: x\n" + FORMULAS[place].replace("%s", f"'{text}'")))
    assert sum("has a formula that matplotlib cannot draw" in line for line in lines) == 1


@pytest.mark.parametrize(
    "text", [r"$\alpha_1$", "$5", r"\$5 to \$6_", "100 %", r"$\mathcal{NC}_1$ of $x^2$", "a|b = c < d"]
)
def test_formulas_and_single_dollars_are_drawn(tmp_path, text):
    loaded = load(BASE, [overlay(tmp_path, f"study: x\nstyle: {{titles: {{dtd: '{text}'}}}}")])
    assert loaded.style.titles["dtd"] == text


def test_the_papers_configuration_is_valid_and_complete():
    loaded = load(BASE)
    assert loaded.probes.learning_rates == (0.1,)
    assert loaded.probes.learning_rate_min == 1e-4
    assert loaded.models["resnet34"].units is None  # a default, two levels down
    assert loaded.study is None


OTHERS = {"claims.yaml", "config.yaml"}  # in config/, no overlays
OVERLAYS = sorted(path for path in (ROOT / "config").glob("*.yaml") if path.name not in OTHERS)


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: path.stem)
def test_every_overlay_of_the_project_is_valid(path):
    assert load(BASE, [path]).study == path.stem


@pytest.mark.parametrize(
    ("text", "value"), [("1e-3", 1e-3), ("1E5", 1e5), ("-2.5e+2", -250.0), (".5e1", 5.0)]
)
def test_exponents_without_a_point_are_numbers(text, value):
    assert yaml_files.parse(f"x: {text}", "here") == {"x": value}


def test_words_that_only_look_like_numbers_stay_text():
    assert yaml_files.parse("[e3, 1e, 1e-x, '1e3']", "here") == ["e3", "1e", "1e-x", "1e3"]


def test_overlays_merge_mappings_by_key_and_lists_whole(tmp_path):
    first = overlay(tmp_path, "study: a\nprobes: {learning_rates: [1e-2, 1e-3], epochs: 5}\n", "a.yaml")
    second = overlay(tmp_path, "study: b\nprobes: {learning_rates: [5e-1]}\n", "b.yaml")
    loaded = load(BASE, [first, second])
    assert loaded.study == "b"
    assert loaded.probes.learning_rates == (0.5,)
    assert loaded.probes.epochs == 5
    assert loaded.probes.momentum == 0.9


def test_single_settings_come_last_and_are_yaml(tmp_path):
    path = overlay(tmp_path, "study: a\nseed: 1\n")
    loaded = load(BASE, [path], ["seed=3", "probes={learning_rates: [1e-2]}"])
    assert (loaded.seed, loaded.probes.learning_rates) == (3, (0.01,))


def test_a_whole_float_becomes_an_integer(tmp_path):
    loaded = load(BASE, [overlay(tmp_path, "study: a\nprobes: {epochs: 1e2}\n")])
    assert loaded.probes.epochs == 100
    assert isinstance(loaded.probes.epochs, int)


def test_all_mistakes_are_reported_at_once(tmp_path):
    path = overlay(
        tmp_path,
        """
study: x
probs: {}
probes: {epochs: many, learning_rates: []}
features: {dtype: float64}
""",
    )
    found = errors(path)
    assert len(found) == 4
    assert any(line.startswith("probs: unknown key (did you mean 'probes'?)") for line in found)
    assert "probes.epochs: 'many' is not a whole number" in found
    assert any(line.startswith("probes.learning_rates: ") for line in found)
    assert any(
        line.startswith("features.dtype: 'float64' is not allowed (did you mean 'float") for line in found
    )


def test_a_mistake_in_one_entry_does_not_hide_those_in_others(tmp_path):
    path = overlay(
        tmp_path,
        """
study: x
devise: cpu
models: {resnet34: {name: resnt34}, other: {sourc: timm}}
datasets: {cifar10: {per_class: -1}}
figures:
  fig3: {kind: layerwize, panels: [{model: resnet43, dataset: cifar10}]}
  fig9: {kind: layerwise, panels: [{model: other, dataset: cifar10}]}
""",
    )
    found = "\n".join(errors(path))
    for words in (
        "devise: unknown key",
        "model 'resnt34' of torchvision",
        "other.sourc: unknown key",
        "per_class: -1",
        "'layerwize'",
        "'resnet43'",
    ):
        assert words in found, words
    assert "fig9" not in found  # its model and data set are there, if wrong themselves


def test_a_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes("study: x # caf\xe9\n".encode("latin-1"))
    assert "latin.yaml: not UTF-8 text" in errors(path)[0]


def test_the_study_may_come_from_the_command_line(tmp_path):
    assert load(BASE, [overlay(tmp_path, "seed: 1\n")], ["study=foo"]).study == "foo"


def test_names_that_do_not_exist_are_all_reported_with_the_closest(tmp_path):
    path = overlay(
        tmp_path,
        """
study: x
models: {resnet34: {name: resnt34}, other: {source: torchvisoin, name: resnet18}}
datasets: {cifar10: {name: CIFAR11}}
probes: {solver: sdg}
training: {loss: crossentropy}
figures: {fig3: {kind: layerwize, panels: [{model: resnet43, dataset: cifar01}]}}
""",
    )
    found = "\n".join(errors(path))
    for close in ("resnet34", "torchvision", "CIFAR1", "sgd", "cross_entropy", "layerwise", "cifar10"):
        assert f"did you mean '{close}" in found, close
    for key in (
        "models.resnet34",
        "models.other.source",
        "datasets.cifar10",
        "probes.solver",
        "training.loss",
    ):
        assert f"{key}" in found
    assert "figures.fig3.panels[0].model: no 'resnet43' in models" in found
    assert "figures.fig3.panels[0].dataset: no 'cifar01' in datasets" in found


@pytest.mark.parametrize("name", ["../../x", "x;touch y", "a b", ".hidden", "", "a/b", "-rf", "ä"])
@pytest.mark.parametrize("section", ["models", "datasets", "figures"])
def test_hostile_names_are_refused(tmp_path, name, section):
    text = yaml.safe_dump({"study": "x", section: {name: {"source": "digits"}}}, allow_unicode=True)
    assert any(repr(name) in line and "cannot be a name" in line for line in errors(overlay(tmp_path, text)))


@pytest.mark.parametrize("study", ["../up", "a/b", "x;touch y"])
def test_a_study_cannot_leave_its_folder(tmp_path, study):
    found = errors(overlay(tmp_path, yaml.safe_dump({"study": study})))
    assert found[0].startswith("study: ")


def test_an_overlay_has_to_say_where_its_outputs_go(tmp_path):
    path = overlay(tmp_path, "seed: 1\n", "mine.yaml")
    assert "study: mine" in errors(path)[0]
    assert load(BASE, [overlay(tmp_path, "study: null\nseed: 1\n")]).seed == 1


def test_repeated_keys_are_refused_at_every_depth_with_both_lines(tmp_path):
    path = overlay(tmp_path, "study: a\nseed: 1\nseed: 2\nprobes:\n  epochs: 3\n  epochs: 4\n")
    found = errors(path)
    assert any("line 3: key 'seed' stands already in line 2" in line for line in found)
    assert any("line 6: key 'epochs' stands already in line 5" in line for line in found)


def test_mistakes_of_two_files_are_reported_together(tmp_path):
    first = overlay(tmp_path, "study: a\nseed: 1\nseed: 2\n", "a.yaml")
    second = overlay(tmp_path, "study: b\nsede: 1\n", "b.yaml")
    found = errors(first, second)
    assert len(found) == 2
    assert "did you mean 'seed'" in found[1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("study: [\n", "not readable as YAML"),
        ("- 1\n", "a configuration is a mapping"),
        ("study: x\nseed: .nan\n", "seed: nan is not a finite number"),
        (
            "study: x\nmodels: {resnet34: {weights: 2024-05-01}}\n",
            "models.resnet34.weights: 2024-05-01 is read as a date; put it in quotes",
        ),
        ("study: x\nseed: -1\n", "seed: -1 is out of range; it must be >= 0"),
        ("study: x\nseed: true\n", "seed: True is not a whole number"),
        ("study: x\nmodels: {18: {source: timm}}\n", "key 18 is no text"),
        ("study: x\nmodels: {a: {}}\n", "models.a.source: missing"),
        ("study: x\nmodels: {a: {source: timm}}\n", "models.a.name: missing"),
        (
            "study: x\nmodels: {resnet34: {mean: [0, 0, 0]}}\n",
            "models.resnet34.mean: unknown key of source 'torchvision'",
        ),
        (
            "study: x\nmodels: {mine: {source: local, architecture: open_clip/ViT-B-32, weights: a.safetensors}}\n",
            "models.mine.std: missing; open_clip publishes",
        ),
        ("study: x\ndevice: 2024-13-45\n", "not readable as YAML"),
        ("&x {study: *x}\n", "refers to a part that contains it"),
        ("study: x\nstyle: {nc1_color: bleu}\n", "style.nc1_color: 'bleu' is no colour"),
        ("study: x\ntraining: {batch_size: 1}\n", "training.batch_size: 1 is out of range"),
        (
            "study: x\nfigures: {fig3: {panels: [{model: resnet34, dataset: cifar10, pooling: cls}]}}\n",
            "figures.fig3.panels[0].pooling: model 'resnet34' has no 'cls'; it has: avg",
        ),
        (
            "study: x\nmodels: {resnet34: {unit_layout: vit}}\n",
            "models.resnet34.poolings: missing; unit_layout 'vit'",
        ),
    ],
)
def test_one_clear_message_each(tmp_path, text, words):
    assert any(words in line for line in errors(overlay(tmp_path, text)))


def test_an_overlay_with_another_source_or_kind_keeps_the_keys_that_this_one_has(tmp_path):
    text = """study: x
models: {resnet18: {source: local, name: null, architecture: torchvision/resnet18, weights: a.safetensors, units: all}}
datasets: {cifar10: {source: digits}}
"""
    chosen = load(ROOT / "config.yaml", [overlay(tmp_path, text)])
    assert (chosen.models["resnet18"].weights, chosen.models["resnet18"].units) == ("a.safetensors", "all")
    assert chosen.datasets["cifar10"].source == "digits"
    wrong = overlay(tmp_path, "study: x\ndatasets: {cifar10: {source: digits, paht: a}}\n", "b.yaml")
    assert errors(wrong) == [
        "datasets.cifar10.paht: unknown key of source 'digits'; allowed: classes, count, per_class, shards, source, "
        "split_seed, test_fraction, test_per_class, validation"
    ]


def test_a_missing_overlay_is_named(tmp_path):
    assert "nowhere.yaml" in errors(tmp_path / "nowhere.yaml")[0]


def test_a_single_setting_needs_a_value():
    assert errors(settings=("seed",)) == ["--config 'seed': not of the form KEY=VALUE"]


@pytest.mark.parametrize("settings", [Configuration, ClaimsSettings])
def test_every_field_has_a_docstring_and_optional_ones_a_default(settings):
    written = reference.schema(settings)
    for name, node in {settings.__name__: written, **written["$defs"]}.items():
        for key, part in node.get("properties", {}).items():
            assert part.get("description"), (name, key)
            assert "default" in part or key in node.get("required", []), (name, key)


def test_schemas_are_those_of_the_settings():
    """`make docs` writes them."""
    for name, settings in (("config", Configuration), ("claims", ClaimsSettings)):
        path = ROOT / "workflow" / "schemas" / f"{name}.schema.yaml"
        assert path.read_text() == reference.schema_text(settings), f"{name}: run make docs"


@pytest.mark.parametrize("path", [BASE, *OVERLAYS], ids=lambda path: path.stem)
def test_an_editor_that_reads_the_schema_takes_the_projects_files(path):
    rules = yaml_files.read_mapping(ROOT / "workflow" / "schemas" / "config.schema.yaml")
    merged = yaml_files.merge(yaml_files.read_mapping(BASE), yaml_files.read_mapping(path))
    assert list(Draft202012Validator(rules).iter_errors(merged)) == []


def test_an_override_has_the_keys_of_what_it_overrides_and_no_defaults(tmp_path):
    text = "families: {f: {architecture: small/resnet18, dataset: cifar10, size: 32, members: {aug: "
    text += "{augmentation: [1], training: {momentum: 0, adversary: {steps: 3.0}}}}}}\n"
    study = config.load(BASE, [overlay(tmp_path, "study: x\n" + text)])
    member = study.configuration.families["f"].members["aug"]
    assert member.training.model_dump(exclude_unset=True) == {"momentum": 0, "adversary": {"steps": 3}}
    assert study.models["f-aug1"].entry.training.model_dump(exclude_unset=True) == {
        "momentum": 0, "adversary": {"steps": 3}, "augmentation": {"level": 1},
    }  # fmt: skip
    assert study.training(study.models["f-aug1"].entry).learning_rate == 0.1  # the study's
    assert "training.momentun: unknown key (did you mean 'momentum'?)" in " ".join(
        errors(overlay(tmp_path, "study: x\n" + text.replace("momentum", "momentun")))
    )


def test_references_are_checked_where_there_are_no_families_at_all(tmp_path):
    text = "figures: {f: {kind: layerwise, panels: [{model: nowhere, dataset: nothing}]}}\n"
    base = overlay(tmp_path, "study: x\n" + text, "base.yaml")
    with pytest.raises(ConfigError) as caught:
        config.load(base)
    assert "panels[0].model: no 'nowhere' in models" in str(caught.value)
    assert "panels[0].dataset: no 'nothing' in datasets" in str(caught.value)


FAMILY = "families: {f: {architecture: small/resnet18, dataset: cifar10, size: 32, members: {aug: %s}}}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (FAMILY % "{}", "families.f.members.aug: has none of them; it takes exactly one of augmentation"),
        (FAMILY % "{augmentation: [1], heads: [none]}", "families.f.members.aug: has augmentation and heads"),
        (FAMILY % "{augmentation: [6]}", "families.f.members.aug.augmentation[0]: 6 is out of range"),
        (FAMILY % "{adversary: [6]}", "families.f.members.aug.adversary: 6 has no radius"),
        (FAMILY % "{heads: [mlp]}", "'mlp' is no projection head; allowed: none, linear, mlp1"),
        (
            FAMILY % "{heads: [none], training: {loss: supervised_contrastive, augmentation: {level: 5}}}",
            "families.f.members.aug.heads: none does not suit loss supervised_contrastive",
        ),
        (
            FAMILY % "{adversary: [1], training: {loss: supervised_contrastive, projection: {head: mlp1}, augmentation: {level: 5}}}",
            "families.f.members.aug.adversary: 1 does not suit loss supervised_contrastive",
        ),
        (FAMILY.replace("dataset: cifar10", "dataset: cifar1") % "{augmentation: [1, 2]}", "families.f.dataset: no 'cifar1' in datasets"),
        (
            "models: {f-aug1: {source: torchvision, name: resnet34}}\n" + FAMILY % "{augmentation: [1]}",
            "families.f.members.aug: 'f-aug1' is also the key of another model",
        ),
        (
            FAMILY % "{heads: [linear], training: {loss: supervised_contrastive}}",
            "families.f.members.aug.training.augmentation.level: 1 does not suit loss supervised_contrastive, whose two",
        ),
        (
            FAMILY % "{augmentation: [1], training: {augmentation: {level: 4}}}",
            "families.f.members.aug: its members differ in augmentation; leave it out of their training",
        ),
        (
            FAMILY.replace("members: {aug: %s}", "members: {a-b: {augmentation: [1]}}")[:-2] + ", f-a: {architecture: small/resnet18, dataset: cifar10, size: 32, members: {b: {augmentation: [2]}}}}\n",
            "families.f-a.members.b: 'f-a-b' is also the key of another group",
        ),
        ("families: {cifar100-resnet50: {sizes: {dtt: 64}}}\n", "families.cifar100-resnet50.sizes: no 'dtt' in datasets (did you mean 'dtd'?)"),
        (FAMILY % "{augmentation: [2], training: {augmentation: {crop_scale: [0.5, 0.2]}}}", "families.f.members.aug.training.augmentation.crop_scale: [0.5, 0.2]; allowed are two shares above 0"),
        ("families: {cifar100-resnet50: {sise: 32}}\n", "families.cifar100-resnet50.sise: unknown key (did you mean 'size'?)"),
        ("training: {learning_rate: 1e-5}\n", "training.learning_rate_min: 0.0001 is above learning_rate 1e-05"),
        (
            "figures: {fig1: {panels: [{dataset: cifar10, series: [{models: {a: resnet34}}, {models: {a: resnet34}}]}]}}\n",
            "figures.fig1.panels[0].series: two points have the name 'a'; name their series",
        ),
        (
            "figures: {fig3: {panels: [{dataset: cifar10, model: resnet34, nc1_on: cifar10}]}}\n",
            "figures.fig3.panels[0].nc1_on: unknown key of kind 'layerwise'; allowed: dataset, model, pooling, title",
        ),
        ("training: {warmup_epochs: 200}\n", "training.warmup_epochs: 200 leaves none of the 200 epochs"),
        (
            "figures: {fig1: {panels: [{dataset: cifar10, series: [{group: cifar100-resnet50-agu}]}]}}\n",
            "figures.fig1.panels[0].series[0].group: no 'cifar100-resnet50-agu' in families (did you mean",
        ),
        ("figures: {fig1: {panels: [{dataset: cifar10, series: [{name: x}]}]}}\n", "takes either group or models"),
        ("figures: {fig1: {panels: [{dataset: cifar10, model: resnet34}]}}\n", "figures.fig1.panels[0].model: unknown key of kind 'transfer'; allowed: dataset, nc1_on, series, title\nfigures.fig1.panels[0].series: missing"),
        ("figures: {fig1: {panels: [{series: [{models: {a: resnet34}}]}]}}\n", "figures.fig1.panels[0].dataset: missing"),
        (
            "figures: {f: {kind: over_training, panels: [{model: cifar100-resnet50-aug1}]}}\n",
            "'cifar100-resnet50-aug1' takes no snapshots; set training.snapshot_every",
        ),
        ("figures: {f: {kind: over_training, panels: [{model: resnet34}]}}\n", "'resnet34' is not trained here"),
        (
            "figures: {f: {kind: layerwise, panels: [{model: cifar100-resnet50-aug1, dataset: cifar10}]}}\n",
            "only the penultimate feature of 'cifar100-resnet50-aug1' is kept; set its units: all",
        ),
        (
            "figures: {f: {kind: over_training, panels: [{model: cifar100-resnet18-ce.epoch20}]}}\n",
            "'cifar100-resnet18-ce.epoch20' is itself a snapshot; name 'cifar100-resnet18-ce'",
        ),
        ("figures: {fig4: {panels: [{model: resnet34, dataset: dtd, abscissa: nc1}]}}\n", "figures.fig4.panels[0].dataset: unknown key of kind 'across_datasets' (did you mean 'datasets'?)"),
        ("figures: {fig4: {panels: [{datasets: [dtd], abscissa: nc1}]}}\n", "figures.fig4.panels[0].model: missing"),
        ("figures: {fig3: {panels: [{model: resnet34, datasets: [dtd]}]}}\n", "figures.fig3.panels[0].datasets: unknown key of kind 'layerwise' (did you mean 'dataset'?)"),
        ("figures: {fig4: {panels: [{model: resnet34, datasets: [dtd, cifar01], abscissa: nc1}]}}\n", "figures.fig4.panels[0].datasets[1]: no 'cifar01' in datasets (did you mean 'cifar1"),
        ("figures: {fig4: {panels: [{model: resnet34, datasets: [dtd, pet, dtd], abscissa: nc1}]}}\n", "figures.fig4.panels[0].datasets: 'dtd' is listed twice"),
        ("figures: {fig4: {panels: [{model: resnet34, datasets: [dtd, vtab-dtd], abscissa: nc1}]}}\n", "figures.fig4.panels[0].datasets: two data sets have the name 'DTD'; change one of them in style.titles"),
        ("figures: {fig4: {panels: [{model: resnet34, datasets: [], abscissa: nc1}]}}\n", "figures.fig4.panels[0].datasets: "),
        ("figures: {fig4: {panels: [{model: resnet34, datasets: [dtd]}]}}\n", "figures.fig4.panels[0].abscissa: missing; allowed: nc1, train_accuracy"),
        ("figures: {fig4: {panels: [{model: resnet34, datasets: [dtd], abscissa: unit}]}}\n", "figures.fig4.panels[0].abscissa: 'unit' is not allowed; allowed: nc1, train_accuracy"),
        ("figures: {fig4: {panels: [{model: resnet34, datasets: [dtd], abscissa: nc2}]}}\n", "figures.fig4.panels[0].abscissa: 'nc2' is not allowed (did you mean 'nc1'?)"),
        ("tables: {table1.csv: {kind: nc1_measurements}}\n", "tables: 'table1.csv' ends like a file; call it 'table1'"),
        ("figures: {fig3: {panels: [{model: resnet34, dataset: dtd, abscissa: nc1}]}}\n", "figures.fig3.panels[0].abscissa: unknown key of kind 'layerwise'"),
        ("figures: {fig4: {panels: [{model: resnet34, datasets: [dtd], dataset: pet, abscissa: nc1}]}}\n", "figures.fig4.panels[0].dataset: unknown key of kind 'across_datasets'"),
        ("figures: {fig4: {panels: [{model: resnet34, datasets: [dtd], pooling: avg, abscissa: nc1}]}}\n", "figures.fig4.panels[0].pooling: unknown key of kind 'across_datasets'"),
        ("figures: {fig4: {panels: [{model: resnet43, datasets: [dtd], abscissa: nc1}]}}\n", "figures.fig4.panels[0].model: no 'resnet43' in models"),
        ("tables: {t: {kind: pretrainin, panels: [{dataset: cifar10, series: [{models: {a: resnet34}}]}]}}\n", "tables.t.kind: no 'pretrainin' (did you mean 'pretraining'?)"),
    ],
)  # fmt: skip
def test_mistakes_in_families_and_panels_are_named(tmp_path, text, words):
    mistakes = errors(overlay(tmp_path, "study: x\n" + text))
    expected = words.split("\n")
    assert len(mistakes) == len(expected), mistakes
    assert all(part in line for part, line in zip(expected, mistakes, strict=True)), mistakes


OLD_NAMES = """
fewshot: {ways: 3}
runs: {checkpoint_minutes: 7}
models: {cut: {source: torchvision, name: resnet34, family: stages, poolings: [avg]}}
families: {f: {architecture: fewshot/convnet4, dataset: cifar10, size: 32, members: {aug: {augmentation: [1]}}}}
tables: {t: {kind: measurements}}
figures:
  a: {kind: layerwise_diagram, panels: [{model: resnet34}]}
  b: {kind: tuning_diagram, panels: [{model: resnet34, dataset: dtd, method: layer_ft, units: [2]}]}
  c: {kind: candidates_diagram, panels: [{model: resnet34}]}
"""


def test_old_names_work_and_the_new_ones_are_told(tmp_path):
    study = config.load(BASE, [overlay(tmp_path, "study: x\n" + OLD_NAMES)])
    configuration = study.configuration
    assert {key: configuration.figures[key].layout for key in "abc"} == {
        "a": "layerwise", "b": "tuning", "c": "candidates",
    }  # fmt: skip
    assert configuration.few_shot.ways == 3
    assert configuration.operation.checkpoint_minutes == 7
    assert configuration.models["cut"].unit_layout == "stages"
    assert configuration.families["f"].architecture == "few_shot/convnet4"
    assert configuration.tables["t"].kind == "nc1_measurements"
    assert len(study.notes) == 8
    assert "figures.a.kind: 'layerwise_diagram' is now `kind: diagram, layout: layerwise`" in "\n".join(
        study.notes
    )
    assert "fewshot: is now `few_shot`" in "\n".join(study.notes)
    assert config.load(BASE).notes == ()  # the project's own files have the new ones


def test_a_key_given_by_both_names_is_refused(tmp_path):
    lines = errors(overlay(tmp_path, "study: x\nfewshot: {ways: 3}\nfew_shot: {ways: 4}\n"))
    assert any(line.startswith("fewshot: unknown key") for line in lines), lines


def test_what_the_page_on_data_and_models_of_your_own_shows_is_a_valid_overlay(tmp_path):
    text = (ROOT / "docs" / "your-own.md").read_text()
    blocks = [block.partition("```")[0] for block in text.split("```yaml\n")[1:]]
    assert len(blocks) >= 4
    merged = yaml_files.merge({}, *(yaml_files.parse(block, "your-own.md") for block in blocks))
    path = overlay(tmp_path, yaml.safe_dump(merged))
    study = config.load(BASE, [path])
    assert study.configuration.study == "mine"
    assert "best" in study.models
