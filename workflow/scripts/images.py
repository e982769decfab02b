"""Decode a data set once and store it as uint8."""

from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer.data.images import prepare_images
from nctransfer.data.settings import ImagesJobSettings

with job(snakemake) as task:
    manifests = {split: Path(snakemake.output[split]) for split in ("train", "test")}
    prepare_images(manifests, ImagesJobSettings.read(task.settings), task.stamp, task.downloads)
