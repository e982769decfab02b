"""Pre-train a source model."""

from pathlib import Path

from nctransfer.data.image_store import ImageStore
from nctransfer.job import job
from nctransfer.training.pretraining import pretrain

with job(snakemake) as task:
    stores = {split: ImageStore(Path(snakemake.input[split])) for split in ("train", "test")}
    pretrain(stores, Path(snakemake.output.manifest), task.settings, task.device(), task.recipe)
