"""With which software, device and threads results were made: in every output, compared while planning, told."""

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from project import ROOT, Project

from nctransfer.config.load import load
from nctransfer.dag.digest import reached_code
from nctransfer.dag.plan import Plan
from nctransfer.dag.stale import FinishedResults, other_versions
from nctransfer.reporting.provenance import mixtures
from nctransfer.stamp import UNRECORDED, MadeWith, Stamp, together
from nctransfer.storage.stores import create_store
from nctransfer.training.checkpoints import Checkpoints
from nctransfer.versions import libraries_of, numerical_versions

OLD = MadeWith(
    {"python": "3.11.7", "torch": "2.13.0"}, "cpu", 8, "float32", "contents", ("features", "images")
)
NEW = replace(OLD, versions={"python": "3.11.7", "torch": "2.15.0"}, rules=("probes",))


def test_equal_records_become_one_whatever_their_order():
    turned = replace(OLD, versions=dict(reversed(OLD.versions.items())), rules=("metrics",))
    assert together([OLD, turned, NEW]) == together([NEW, turned, OLD])
    assert [record.rules for record in together([OLD, turned])] == [("features", "images", "metrics")]


def test_a_stamp_is_read_back_whole():
    stamp = Stamp("d", "c", "t", {"in": "e"}, ("p",), (OLD, NEW))
    assert Stamp.from_json(json.loads(json.dumps(stamp.to_json()))) == stamp
    assert stamp.own("images") == (OLD,)
    assert stamp.own("figure") == ()
    later = stamp.to_json()
    later["made_with"][0]["what_only_a_later_version_knows"] = 1
    assert Stamp.from_json(later) == stamp
    before = {name: value for name, value in stamp.to_json().items() if name != "made_with"}
    assert Stamp.from_json(before).made_with == ()  # outputs of earlier versions


@pytest.mark.parametrize(
    ("records", "told"),
    [
        ([OLD], []),
        ([OLD, replace(NEW, versions=OLD.versions)], []),
        ([OLD, NEW], ["torch 2.13.0 (features, images) and 2.15.0 (probes)"]),
        ([OLD, replace(NEW, rules=("figure", "table", "overview"))], []),  # draws only
        ([OLD, replace(OLD, versions={**OLD.versions, "cudnn": "91002"}, device="H200", rules=("probes",))], []),
        ([OLD, replace(OLD, device="H200", rules=("features",))], ["devices of features H200 and cpu"]),
        ([OLD, replace(OLD, threads=2, rules=("images",))], ["threads of images 2 and 8"]),
        ([OLD, UNRECORDED], ["some results do not say with what they were made"]),
        ([UNRECORDED], ["some results do not say with what they were made"]),
    ],
)  # fmt: skip
def test_a_mixture_is_what_differs_among_results_shown_together(records, told):
    assert mixtures(records) == told


@pytest.mark.parametrize(
    ("versions", "told"),
    [
        ({"python": "3.11.7", "torch": "2.13.0", "scipy": "1"}, ""),
        ({"python": "3.11.7", "torch": "2.15.0"}, "torch 2.13.0 (now 2.15.0)"),
        ({"python": "3.12.1", "torch": "2.15.0"}, "python 3.11.7 (now 3.12.1), torch 2.13.0 (now 2.15.0)"),
        ({}, ""),  # jobs have software of their own
    ],
)
def test_versions_are_compared_with_those_installed(versions, told):
    uses = {"python", "torch"}
    assert other_versions([Stamp(made_with=(NEW, OLD))], "images", versions, uses) == told
    assert other_versions([Stamp(made_with=(NEW,))], "images", versions, uses) == ""  # not known of itself
    assert "torch" not in other_versions([Stamp(made_with=(OLD,))], "images", versions, {"python"})


def test_only_libraries_that_a_job_uses_count():
    plan = Plan(load(ROOT / "config.yaml"), ROOT)
    used = {
        stage: libraries_of(reached_code(ROOT, str(job.script.absolute()), job.variants).libraries)
        for stage, job in (
            ("images", plan.images("dtd-224px")), ("timm", plan.features("vit-b32-384", "cifar10-384px")), ("table", plan.table("table2")),
        )
    }  # fmt: skip
    assert {"numpy", "pillow", "torchvision"} <= used["images"]
    assert not used["images"] & {"timm", "open_clip_torch", "datasets"}
    assert {"torch", "timm"} <= used["timm"]
    assert "timm" not in used["table"]


@pytest.mark.parametrize("software_forces", [False, True])
@pytest.mark.parametrize("forces", [False, True])
def test_finished_results_are_compared_with_plan_and_software(tmp_path, forces, software_forces):
    job = replace(Plan(load(ROOT / "config.yaml"), ROOT).images("dtd-224px"), stamp=Stamp("planned"))
    outputs = {}
    for name, stamp in {
        "other code": Stamp("older", made_with=(NEW,)),
        "old software": Stamp(
            "planned", made_with=(replace(OLD, versions={"python": "3.1", "timm": "0.1"}),)
        ),
        "as planned": Stamp("planned", made_with=(replace(OLD, versions={"python": "3.2", "timm": "0.1"}),)),
    }.items():
        outputs[name] = str(tmp_path / name / "manifest.json")
        with create_store(Path(outputs[name]), "images", stamp):
            pass
    results = FinishedResults(ROOT, {"python": "3.2", "timm": "0.2"}, forces, software_forces)
    forced = {name for name, path in outputs.items() if results.to_force(job, [path], lambda path: None)}
    expected = {"other code", *(["old software"] if software_forces else [])} if forces else set()
    assert forced == expected
    made_again = {outputs[name] for name in forced}
    told = list(results.warnings(made_again))
    assert [text for text in told if "so made again: " in text] == (
        [f"made by other code, settings, data or software than planned now, so made again: "
         f"{', '.join(outputs[name] for name in outputs if name in forced)}"] if forces else []
    )  # fmt: skip
    (software,) = [text for text in told if text.startswith("results of")]
    fate = "they are made again" if "old software" in forced else "they are kept beside new ones"
    assert software.startswith(f"results of 1 jobs were made with python 3.1 (now 3.2); {fate}")
    assert list(results.warnings(made_again)) == []
    # what Snakemake makes again by itself is neither forced nor named
    assert results.to_force(job, outputs.values(), lambda path: "of other parameters") == []
    assert list(results.warnings(set())) == []


def test_a_training_that_goes_on_after_an_upgrade_says_so(tmp_path, caplog):
    old, new = (replace(record, rules=("pretrain",)) for record in (OLD, NEW))
    Checkpoints(tmp_path, Stamp("d", made_with=(old,)), 0).save(1, 0, {})
    same = Checkpoints(tmp_path, Stamp("d", made_with=(old,)), 0)
    with caplog.at_level("WARNING", "nctransfer"):
        same.load()
    assert not caplog.text
    resumed = Checkpoints(tmp_path, Stamp("d", made_with=(new,)), 0)
    with caplog.at_level("WARNING", "nctransfer"):
        assert resumed.load() == {}
    assert "begun with other software" in caplog.text
    assert set(resumed.stamp.made_with) == {old, new}
    assert mixtures(resumed.stamp.made_with) == ["torch 2.13.0 (pretrain) and 2.15.0 (pretrain)"]
    versions = {"torch": "2.15.0"}
    assert other_versions([resumed.stamp], "pretrain", versions, {"torch"}) == "torch 2.13.0 (now 2.15.0)"
    resumed.save(2, 0, {})
    again = Checkpoints(tmp_path, Stamp("d", made_with=(new,)), 0)
    again.load()
    assert set(again.stamp.made_with) == {old, new}  # however often it is interrupted


def install(folder: Path, name: str, version: str) -> None:
    """Let Python find another version of a library, which stays the same."""
    metadata = folder / f"{name}-{version}.dist-info/METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


FIGURE = "figures/tiny/fig3.pdf"


def rules_by_torch(project: Project) -> dict[str, set[str]]:
    """The rules that made a figure and what is below it, by the version of torch."""
    rules: dict[str, set[str]] = {}
    for record in json.loads(project.read("figures/tiny/fig3.json"))["stamp"]["made_with"]:
        rules.setdefault(record["versions"]["torch"], set()).update(record["rules"])
    return rules


@pytest.mark.slow
def test_a_library_that_is_upgraded_between_two_halves_of_a_study_is_noticed(project, tmp_path, monkeypatch):
    everything = Project.small(tmp_path / "q").planned(FIGURE)
    manifests = list((project.folder / "results").rglob("manifest.json"))
    assert len(manifests) >= 9
    for path in manifests:
        for record in json.loads(path.read_text())["stamp"]["made_with"]:
            assert record["versions"] == numerical_versions()
            assert (record["device"], record["threads"], record["identity"]) == ("cpu", 1, "contents")
    first = project.contents("results", "figures")

    install(tmp_path / "site", "torch", "9.9.9")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    told = f"torch {numerical_versions()['torch']} (now 9.9.9)"
    dry = project.run(FIGURE, options=("-n",))
    count = sum(everything.values()) - everything["figure"]
    assert f"results of {count} jobs were made with {told}; they are kept beside new ones" in dry.stdout
    assert "Nothing to be done" in dry.stdout + dry.stderr
    forced = project.run(FIGURE, options=("-n", "--forcerun", "features"))
    assert f"results of 3 jobs were made with {told}; they are made again" in forced.stdout
    assert f"results of {count - 3} jobs were made with {told}; they are kept" in forced.stdout
    kept = project.run(FIGURE, options=("-n", "--rerun-triggers", "mtime"))
    assert told in kept.stdout
    with (project.folder / "tiny.yaml").open("a") as file:
        file.write("reruns: {software: rerun}\nreport: {pictures: [fig3]}\n")
    assert project.planned(FIGURE) == everything
    assert f"{told}; they are made again" in project.run(FIGURE, options=("-n",)).stdout
    project.edit("tiny.yaml", "{software: rerun}", "{software: ignore}")
    dry = project.run(FIGURE, options=("-n",))
    assert told not in dry.stdout
    assert project.planned(FIGURE) == Counter()

    for name in ("results/tiny/probes", "figures"):  # its second half is made with the new version
        shutil.rmtree(project.folder / name)
    run = project.run(FIGURE, "results/tiny/provenance.html")
    assert run.returncode == 0, run.stderr
    rules = rules_by_torch(project)
    assert {"images", "features", "metrics"} <= rules[numerical_versions()["torch"]]
    assert rules["9.9.9"] == {"probes", "figure"}
    mixture = "features, images, metrics, model, pretrain) and 9.9.9 (chance, probes, scorecard)"
    assert mixture in run.stderr
    assert mixture in project.read("results/tiny/provenance.html")
    assert mixture in project.read("results/tiny/provenance.json")
    # two studies can be told apart from what they made
    (table,) = (project.folder / "results/tiny/metrics").rglob("*.parquet")
    assert b"9.9.9" not in pq.read_schema(table).metadata[b"stamp"]
    second = project.contents("results/tiny/features", "figures")
    assert all(second[name] == first[name] for name in second if "/features/" in name)
    assert second["figures/tiny/fig3.json"] != first["figures/tiny/fig3.json"]
    assert second["figures/tiny/fig3.csv"] == first["figures/tiny/fig3.csv"]

    project.edit("tiny.yaml", "{software: ignore}", "{software: rerun}")
    assert project.run(FIGURE).returncode == 0
    assert project.planned(FIGURE) == Counter()
    assert set(rules_by_torch(project)) == {"9.9.9"}
