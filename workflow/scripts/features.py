"""Leave the features of all units of a model on a data set."""

from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer.data.image_store import ImageStore
from nctransfer.features.extract import extract_features
from nctransfer.plan import variants

with job(snakemake) as task:
    loader = variants.load("nctransfer.models.loaders", task.settings["loader"])
    backbone = loader.load(snakemake.input, task.device())
    for split in ("train", "test"):
        images = ImageStore(Path(snakemake.input[split]))
        extract_features(backbone, images, Path(snakemake.output[split]), task.settings, task.stamp)
