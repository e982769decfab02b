"""Adopt: results outlive a change of code that altered none of them, and nothing else passes for that."""

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from project import Project

from nctransfer.storage.stamps import read_stamp

pytestmark = pytest.mark.slow

METRICS = "results/tiny/metrics/tiny/digits59.40pc.test10pc-8px.parquet"
FEATURES = "results/tiny/features/tiny/digits59.40pc.test10pc-8px/train/manifest.json"
LEDGER = "results/tiny/adoptions.json"
ALL = "all"
OVERLAY = "\nreport: {pictures: [fig3]}\n"
REASON = "Sums in another order"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Project:
    """A study of one figure with its report; tests work on clones."""
    project = Project.fresh(tmp_path_factory.mktemp("finished") / "p")
    # without the paper beneath it, which takes a second to read each time
    (project.folder / "config.yaml").write_text(project.read("tiny.yaml") + OVERLAY)
    run = project.run(ALL, overlay=None)
    assert run.returncode == 0, run.stdout + run.stderr
    return project


def change_code(
    project: Project, name: str = "nctransfer/features/extract.py", text: str = "\nX = 1\n"
) -> None:
    path = project.folder / name
    path.write_text(path.read_text() + text)


def adopt(project: Project, *words: str):
    command = [
        sys.executable,
        "-m",
        "nctransfer.dag.adopt",
        *words,
    ]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=project.folder, env=environment, capture_output=True, text=True, check=False
    )


def yes(project: Project) -> str:
    run = adopt(project, "--yes", "--reason", REASON)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def contents(project: Project) -> dict[str, bytes]:
    return project.contents("results", "figures", "logs", ".snakemake/metadata")


def test_a_dry_run_lists_jobs_hours_digests_and_modules_and_changes_nothing(project):
    change_code(project)
    before, old = contents(project), read_stamp(project.folder / FEATURES).digest
    run = adopt(project)
    assert run.returncode == 0, run.stderr
    assert f"features tiny digits59.40pc.test10pc-8px: 0.00 h, {old} -> " in run.stdout
    assert "6 jobs can be kept" in run.stdout
    assert "1 chance, 1 features, 1 figure, 1 metrics, 1 probes, 1 scorecard" in run.stdout
    assert "Modules that differ: nctransfer.features.extract." in run.stdout
    assert "Nothing was changed." in run.stdout
    assert contents(project) == before
    assert project.planned(ALL, overlay=None)["features"] == 1


def test_what_is_kept_needs_no_rerun_and_says_so(project):
    change_code(project)
    numbers, picture = (
        project.read("figures/tiny/fig3.csv"),
        (project.folder / "figures/tiny/fig3.pdf").read_bytes(),
    )
    assert "Kept 6 jobs" in yes(project)
    assert project.planned(ALL, overlay=None) == {}
    run = project.run(ALL, overlay=None)
    assert "Nothing to be done" in run.stdout + run.stderr
    assert project.read("figures/tiny/fig3.csv") == numbers
    assert (project.folder / "figures/tiny/fig3.pdf").read_bytes() == picture
    (entry,) = json.loads(project.read(LEDGER))
    assert (entry["reason"], entry["modules"]) == (REASON, ["nctransfer.features.extract"])
    assert "commit" in entry["revision"]
    assert {job["rule"] for job in entry["jobs"]} == {
        "features",
        "metrics",
        "probes",
        "figure",
        "chance",
        "scorecard",
    }
    assert REASON in project.read("results/tiny/provenance.html")
    assert json.loads(project.read("results/tiny/provenance.json"))["adoptions"] == [entry]
    assert "Once, results were kept after a change of code" in project.read("results/tiny/REPORT.md")


def test_stores_of_the_older_layout_are_named_converted_and_kept(project):
    for manifest in (project.folder / "results/tiny").rglob("manifest.json"):
        contents = json.loads(manifest.read_text())
        for name in list(contents["files"]):
            if "/" in name:
                (manifest.parent / name).rename(manifest.with_name(name.partition("/")[2]))
                contents["files"][name.partition("/")[2]] = contents["files"].pop(name)
        status = manifest.stat()
        manifest.write_text(json.dumps(contents, indent=1, sort_keys=True) + "\n")
        os.utime(manifest, ns=(status.st_atime_ns, status.st_mtime_ns))
        shutil.rmtree(manifest.with_name("arrays"))
    for record in filter(Path.is_file, (project.folder / ".snakemake/metadata").rglob("*")):
        values = json.loads(record.read_text())
        if Path(base64.b64decode(record.name).decode()).name == "arrays":
            record.unlink()
        else:
            added = ("arrays", "units.csv")
            added += ("manifest.json",) if values["rule"] == "figure" else ()  # of the probes' table
            declared = [name for name in values["input"] if not name.endswith(added)]
            record.write_text(json.dumps(values | {"input": declared}))
    change_code(project, "nctransfer/storage/stores.py")
    run = project.run(ALL, options=("-n",), overlay=None)
    assert "stores have an older layout" in run.stdout + run.stderr
    assert "keep them: python -m nctransfer.dag.adopt --yes --reason 'New layout'" in run.stdout + run.stderr
    before = {path.name: path.read_bytes() for path in (project.folder / "results/tiny").rglob("*.npy")}
    yes(project)
    assert project.planned(ALL, overlay=None) == {}
    run = project.run(ALL, options=("-n",), overlay=None)
    assert "older layout" not in run.stdout + run.stderr
    arrays = list((project.folder / "results/tiny").rglob("*.npy"))
    assert {path.name: path.read_bytes() for path in arrays} == before
    assert {path.parent.name for path in arrays} == {"arrays"}
    project.edit("config.yaml", "dpi: 60", "dpi: 61")  # and they are read
    (project.folder / METRICS).unlink()
    assert project.run(ALL, overlay=None).returncode == 0


def test_a_job_reads_what_was_kept(project):
    change_code(project)
    yes(project)
    project.edit("config.yaml", "dpi: 60", "dpi: 61")
    assert project.run(ALL, overlay=None).returncode == 0


def test_results_can_be_kept_again_and_again(project):
    for text in ("\nX = 1\n", "\nY = 1\n"):
        change_code(project, text=text)
        yes(project)
        assert project.planned(ALL, overlay=None) == {}
    assert len(json.loads(project.read(LEDGER))) == 2


def test_without_a_reason_nothing_is_kept(project):
    change_code(project)
    before = contents(project)
    for words in (("--yes",), ("--yes", "--reason", " ")):
        run = adopt(project, *words)
        assert run.returncode == 2
        assert "--yes needs --reason" in run.stderr
    assert contents(project) == before


def test_where_nothing_changed_there_is_nothing_to_keep(project):
    before = contents(project)
    run = adopt(project, "--yes", "--reason", REASON)
    assert (run.returncode, run.stdout) == (
        0,
        "Nothing to keep: no output differs from the plan only in its code.\n",
    )
    assert contents(project) == before


def test_changed_settings_are_never_kept_nor_what_reads_their_outputs(project):
    change_code(project)
    project.edit("config.yaml", "probes: {epochs: 3}", "probes: {epochs: 4}")
    told = yes(project)
    assert "2 jobs can be kept" in told  # features and metrics
    assert "probes/tiny/digits59.40pc.test10pc-8px/manifest.json: its settings, or the files" in told
    assert "figures/tiny/fig3.json: its input results/tiny/probes/" in told
    assert project.planned(ALL, overlay=None) == {
        "probes": 1,
        "figure": 1,
        "chance": 1,
        "scorecard": 1,
        "overview": 1,
        "provenance": 1,
    }


def test_a_damaged_output_is_named_and_not_kept(project):
    change_code(project)
    store = project.folder / FEATURES
    array = next(store.parent.glob("arrays/*.npy"))
    data = bytearray(array.read_bytes())
    data[-1] ^= 1
    array.write_bytes(data)
    told = adopt(project).stdout
    assert f"  {FEATURES}: damaged: {array.relative_to(project.folder)}: its bytes differ" in told
    assert f"  {METRICS}: its input results/tiny/features/" in told
    assert "is made again: damaged" in told
    assert "test/manifest.json" not in told.split("Not kept")[0]  # a job is kept whole or not at all


@pytest.mark.parametrize("name", ["figures/tiny/fig3.csv", "figures/tiny/fig3.pdf"])
def test_a_picture_whose_files_changed_is_not_kept(project, name):
    change_code(project)
    (project.folder / name).write_bytes(b"other")
    assert f"figures/tiny/fig3.json: damaged: {name}: missing, or its bytes differ" in adopt(project).stdout


def test_an_output_of_other_inputs_than_those_that_are_there_is_not_kept(project):
    change_code(project)
    manifest = project.folder / FEATURES
    manifest.write_text(manifest.read_text().replace(read_stamp(manifest).digest, "0123456789abcdef"))
    told = adopt(project).stdout
    assert f"  {METRICS}: its input {FEATURES} is not the one that it was made from" in told


def test_an_output_without_a_stamp_is_not_kept(project):
    change_code(project)
    manifest = json.loads(project.read(FEATURES))
    del manifest["stamp"]
    (project.folder / FEATURES).write_text(json.dumps(manifest))
    assert f"  {FEATURES}: neither a tidy table nor a manifest with a stamp" in adopt(project).stdout


def test_an_interrupted_adoption_goes_on(project):
    change_code(project)
    program = (
        "import sys, nctransfer.dag.adopt as a\n"
        "whole, done = a.restamp, []\n"
        "def cut(*arguments):\n"
        "    if len(done) == 3:\n"
        "        raise KeyboardInterrupt\n"
        "    done.append(whole(*arguments))\n"
        "a.restamp = cut\n"
        "a.main(sys.argv[1:])\n"
    )
    words = ("--configfile", "config.yaml", "--yes", "--reason", REASON)
    run = subprocess.run([sys.executable, "-c", program, *words], cwd=project.folder, capture_output=True)
    assert run.returncode != 0
    yes(project)
    assert project.planned(ALL, overlay=None) == {}


def test_an_adoption_waits_for_no_run_and_disturbs_none(project):
    """A run of the study holds its lock: stamps must not change beneath it."""
    change_code(project)
    program = (
        "from pathlib import Path; from nctransfer.runtime import study_lock; import sys\n"
        "study_lock.begin('tiny', print); print('held', flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=project.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        run = adopt(project, "--yes", "--reason", REASON)
        assert run.returncode == 1
        assert "another run is at work there" in run.stderr
        assert adopt(project).returncode == 0  # a dry run may look
    finally:
        holder.communicate("")
