"""What makes which jobs run again, and what does not: one change each in a finished project."""

import os
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from project import Project, add, append, edit, swap

from nctransfer.models.architecture import Architecture

FIGURE = "figures/tiny/fig3.pdf"
DOWNSTREAM = Counter(metrics=1, figure=1)


def touch_everything(project):
    later = time.time() + 100
    for path in project.folder.rglob("*"):
        if path.is_file() and ".snakemake" not in path.parts:
            os.utime(path, (later, later))


def edit_keeping_time(project):
    path = project.folder / "workflow/scripts/metrics.py"
    times = path.stat().st_mtime_ns
    project.edit("workflow/scripts/metrics.py", "task.stamp", "task.stamp and task.stamp")
    os.utime(path, ns=(times, times))


TINY = "tiny.yaml"
NEW_FIGURE = "  fig3:\n    panels:"
# nothing runs again after any of these
NOTHING = {
    "a comment in a module": append("nctransfer/collapse/measure.py", "\n# a comment\n"),
    "a comment in a script": append("workflow/scripts/features.py", "\n# a comment\n"),
    "a comment in the configuration": append(TINY, "\n# a comment\n"),
    "keys in another order": edit(TINY, "epochs: 2, batch_size: 32", "batch_size: 32, epochs: 2"),
    "equal values written otherwise": edit(TINY, "probes: {epochs: 3}", "probes: {epochs: 3, weight_decays: [1.0e-4]}"),
    "a new loss": add("nctransfer/training/losses/other.py", "def build(settings, classes):\n    return 0\n"),
    "another loss's code": append("nctransfer/training/losses/supervised_contrastive/loss.py", "\nX = 1\n"),
    "options of another loss and of a higher augmentation level": append(TINY, "training: {temperature: 0.5, augmentation: {grayscale: 0.5}}\n"),
    "how often a training is saved": append(TINY, "operation: {checkpoint_minutes: 1}\n"),
    "how failures are told": append("nctransfer/runtime/machine_errors.py", "\nX = 1\n"),
    "how long jobs live": append("nctransfer/runtime/signals.py", "\nX = 1\n"),
    "what jobs tell of machines and times": append("nctransfer/runtime/job_log.py", "\nX = 1\n"),
    "how devices and runs are locked": append("nctransfer/runtime/locks.py", "\nX = 1\n"),
    "a family of other models": append(
        TINY, "families: {f: {architecture: small/resnet18, dataset: digits04, size: 8, members: {aug: {augmentation: [1, 2]}}}}\n"),
    "a new kind of table": add("nctransfer/reporting/tables/other.py", "from nctransfer.reporting.tables.tasks.kind import KIND\n"),
    "a new architecture family": add("nctransfer/models/unit_layouts/other.py", "X = 1\n"),
    "a new kind of figure": add("nctransfer/reporting/figures/other.py", "from nctransfer.reporting.figures.samples.kind import KIND\n"),
    "another figure of the same model": edit(
        TINY, NEW_FIGURE, "  again: {kind: layerwise, panels: [{model: tiny, dataset: digits59}]}\n" + NEW_FIGURE),
    "another family's code": append("nctransfer/models/unit_layouts/vit.py", "\nX = 1\n"),
    "another model": edit(TINY, "models:\n", "models:\n  more: {source: torchvision, name: resnet34}\n"),
    "estimated resources": edit(TINY, "mem_mb: 500, runtime: 5", "runtime_factor: 2"),
    "the name of another data set": edit(TINY, "dpi: 60", "dpi: 60, titles: {digits: x}"),
    "a folder for downloads": append(TINY, "paths: {downloads: elsewhere}\n"),
    "touch every file": touch_everything,
}  # fmt: skip
CHANGES = {
    "none that matters": (lambda project: [change(project) for change in NOTHING.values()], Counter()),
    "the colour of a line": (edit(TINY, "dpi: 60", "dpi: 60, nc1_color: \"#000000\""), Counter(figure=1)),
    "the figure's code": (append("nctransfer/reporting/figures/layerwise/figure.py", "\nX = 1\n"), Counter(figure=1)),
    "the probe's learning rate": (edit(TINY, "epochs: 3", "epochs: 3, learning_rates: [2e-1]"), Counter(probes=1, figure=1)),
    "a solver's code": (append("nctransfer/probing/solvers/sgd.py", "\nX = 1\n"), Counter(probes=1, figure=1)),
    "code of collapse": (append("nctransfer/collapse/measure.py", "\nX = 1\n"), DOWNSTREAM),
    "a script with its old time": (edit_keeping_time, DOWNSTREAM),
    "the extraction's batch size": (
        append(TINY, "features: {batch_size: 16}\n"), Counter(features=1, metrics=1, probes=1, figure=1)),
    "the downstream data set": (
        edit(TINY, '["5", "6", "7", "8", "9"]', '["5", "6", "7", "8"]'),
        Counter(images=1, features=1, metrics=1, probes=1, figure=1)),
    "the source model's training": (
        edit(TINY, "epochs: 2", "epochs: 1"), Counter(pretrain=1, model=1, features=1, metrics=1, probes=1, figure=1)),
    "the source model's augmentation": (
        append(TINY, "training: {augmentation: {level: 2}}\n"), Counter(pretrain=1, model=1, features=1, metrics=1, probes=1, figure=1)),
    "the loss's code": (
        append("nctransfer/training/losses/cross_entropy/loss.py", "\nX = 1\n"),
        Counter(pretrain=1, model=1, features=1, metrics=1, probes=1, figure=1)),
    "snapshots of the training": (  # its store holds more, so it is made again
        edit(TINY, "epochs: 2,", "snapshot_every: 1, epochs: 2,"),
        Counter(pretrain=1, model=1, features=1, metrics=1, probes=1, figure=1)),
    "the study's seed": (
        append(TINY, "seed: 1\n"),
        Counter(images=2, pretrain=1, model=1, features=1, metrics=1, probes=1, figure=1)),
    "the family's code": (
        append("nctransfer/models/unit_layouts/resnet.py", "\nX = 1\n"), Counter(model=1, features=1, metrics=1, probes=1, figure=1)),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_reruns_exactly_what_depends_on_it(planned_project, name):
    change, expected = CHANGES[name]
    change(planned_project)
    assert planned_project.planned(FIGURE) == expected


# --- files of one's own --------------------------------------------------------------------------

OWN_FIGURE = "figures/tiny/own.pdf"
OWN = """
study: tiny
datasets:
  pictures: {source: imagefolder, path: pictures}
  rows: {source: arrays, path: rows.npz, test_fraction: 0.25}
models:
  own: {source: local, architecture: small/resnet18, options: {width: 4}, weights: own.pt, mean: [0, 0, 0], std: [1, 1, 1], size: 8}
probes: {epochs: 3}
figures:
  own: {kind: layerwise, panels: [{model: own, dataset: pictures}, {model: own, dataset: rows}]}
style: {dpi: 60}
resources: {threads: 1, mem_mb: 500, runtime: 5}
"""
RIVER = Counter(images=1, features=1, metrics=1, probes=1, figure=1)  # of one data set
WEIGHTS = Counter(model=1, features=2, metrics=2, probes=2, figure=1)
EVERYTHING = Counter(model=1, images=2, features=2, metrics=2, probes=2, figure=1)


def write_rows(path: Path, seed: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (24, 8, 8, 3), dtype=np.uint8)
    np.savez(path, images=images, labels=np.arange(24) % 3)


def write_weights(path: Path, seed: int) -> None:
    torch.manual_seed(seed)
    torch.save(Architecture.parse("small/resnet18", {"width": 4}).build().state_dict(), path)


def write_pictures(folder: Path, seed: int) -> None:
    """Bitmaps, which have equal sizes."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    for index in range(6):
        Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / f"{index}.bmp")


@pytest.fixture(scope="module")
def finished_own(tmp_path_factory) -> Project:
    """A project on files of the user's: two classes in folders, a third behind a link, arrays, weights."""
    project = Project.small(tmp_path_factory.mktemp("own") / "p")
    (project.folder / TINY).write_text(OWN)
    for index, split in enumerate(("train", "test")):
        for offset, name in enumerate("ab"):
            write_pictures(project.folder / "pictures" / split / name, 10 * index + offset)
        for offset, place in enumerate(("one", "other")):
            write_pictures(project.folder / "elsewhere" / place / split, 100 + 10 * index + offset)
        (project.folder / "pictures" / split / "c").symlink_to(f"../../elsewhere/one/{split}")
    write_rows(project.folder / "rows.npz", 0)
    write_weights(project.folder / "own.pt", 0)
    run = project.run(OWN_FIGURE)
    assert run.returncode == 0, run.stdout + run.stderr
    return project


def relabel_half(project):
    for index in range(3):
        swap(*(project.folder / f"pictures/train/{name}/{index}.bmp" for name in "ab"))


def swap_classes(project):
    swap(*(project.folder / f"pictures/train/{name}" for name in "ab"))


def retarget(project):
    link = project.folder / "pictures/train/c"
    link.unlink()
    link.symlink_to("../../elsewhere/other/train")


def older(name, write):
    """Put an older file of the same size in place, with its time (``cp -p``, ``mv``)."""

    def change(project):
        source, place = project.folder / f"old{Path(name).suffix}", project.folder / name
        write(source, 1)
        os.utime(source, (1, 1))
        assert source.stat().st_size == place.stat().st_size
        source.rename(place)

    return change


def one_pixel(project):
    path = project.folder / "pictures/train/a/0.bmp"
    times, pixels = path.stat(), bytearray(path.read_bytes())
    pixels[-1] ^= 1
    path.write_bytes(pixels)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def rename(old, new):
    return lambda project: (project.folder / old).rename(project.folder / new)


def rename_class(project):
    for split in ("train", "test"):
        (project.folder / f"pictures/{split}/a").rename(project.folder / f"pictures/{split}/z")


def lose_records(then):
    def change(project):
        shutil.rmtree(project.folder / ".snakemake")
        then(project)

    return change


def copy_and_put_back(project):
    """All files with other inodes and times, as from a backup."""
    for name in ("pictures", "rows.npz", "own.pt"):
        place, copy = project.folder / name, project.folder / "copy"
        subprocess.run(["cp", "-r", place, copy], check=True)
        shutil.rmtree(place) if place.is_dir() else place.unlink()
        copy.rename(place)


def move_elsewhere(project):
    """Classes on another disk, behind links."""
    (project.folder / "elsewhere/a").mkdir()
    for split in ("train", "test"):
        place, other = project.folder / f"pictures/{split}/a", project.folder / f"elsewhere/a/{split}"
        place.rename(other)
        place.symlink_to(other)


def move_project(project):
    project.folder = project.folder.rename(project.folder.with_name("moved"))


def nothing(project):
    """As it is."""


# nothing runs again after any of these
OWN_NOTHING = {
    "files from a backup": copy_and_put_back,
    "the project's folder moved": move_project,
    "a class behind a link": move_elsewhere,
    "a hidden file": add("pictures/train/a/.DS_Store", "x"),
    "permissions": lambda project: (project.folder / "rows.npz").chmod(0o600),
    "a file beside the data": add("notes.txt", "x"),
    "what other software means": append(TINY, "reruns: {software: ignore}\n"),
    "the time that a download may take": append(TINY, "operation: {downloads: {hours: 1}}\n"),
    "touch everything": touch_everything,
}
OWN_CHANGES = {
    "none that matters": (lambda project: [change(project) for change in OWN_NOTHING.values()], Counter()),
    "Snakemake's records lost": (lose_records(nothing), Counter()),
    "the list of digests lost": (lambda project: shutil.rmtree(project.folder / ".snakemake/nctransfer"), Counter()),
    "half of a class relabelled": (relabel_half, RIVER),
    "class folders swapped": (swap_classes, RIVER),
    "a link retargeted": (retarget, RIVER),
    "one pixel, with the old time": (one_pixel, RIVER),
    "a picture added": (lambda project: shutil.copy(project.folder / "pictures/train/a/0.bmp", project.folder / "pictures/train/b/9.bmp"), RIVER),
    "a picture removed": (lambda project: (project.folder / "pictures/test/b/0.bmp").unlink(), RIVER),
    "a picture renamed": (rename("pictures/train/a/0.bmp", "pictures/train/a/00.bmp"), RIVER),
    "a test picture trained on": (rename("pictures/test/a/0.bmp", "pictures/train/a/00.bmp"), RIVER),
    "a class renamed": (rename_class, RIVER),
    "an older file of arrays": (older("rows.npz", write_rows), RIVER),
    "older weights": (older("own.pt", write_weights), WEIGHTS),
    "weights of equal bytes but one": (older("own.pt", lambda path, seed: write_weights(path, 2)), WEIGHTS),
    "another seed without Snakemake's records": (lose_records(append(TINY, "seed: 5\n")), EVERYTHING - Counter(model=1)),
    "relabelled without Snakemake's records": (lose_records(relabel_half), RIVER),
    "files told apart by size": (append(TINY, "reruns: {identity: size}\n"), EVERYTHING),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN_CHANGES)
def test_a_change_of_ones_own_files_reruns_exactly_what_depends_on_it(finished_own, tmp_path, name):
    change, expected = OWN_CHANGES[name]
    project = finished_own.clone(tmp_path / "p")
    change(project)
    assert project.planned(OWN_FIGURE) == expected


@pytest.mark.slow
def test_relabelled_pictures_change_the_numbers(finished_own, tmp_path):
    project = finished_own.clone(tmp_path / "p")
    numbers = "figures/tiny/own.csv"
    before = project.read(numbers)
    relabel_half(project)
    run = project.run(OWN_FIGURE)
    assert run.returncode == 0, run.stderr
    assert project.read(numbers) != before
    assert project.planned(OWN_FIGURE) == {}
    relabel_half(project)
    assert project.run(OWN_FIGURE).returncode == 0
    assert project.read(numbers) == before
