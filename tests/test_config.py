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
