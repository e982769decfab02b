"""Extract the features of all units of a model on a data set."""

from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer import variants
from nctransfer.data.streamed_images import open_images
from nctransfer.features.extract import extract_features
from nctransfer.features.settings import FeaturesJobSettings
from nctransfer.models import loaders

with job(snakemake) as task:
    settings = FeaturesJobSettings.read(task.settings)
    backbone = variants.load(loaders, settings.loader).load(snakemake.input, task.device())
    for split in ("train", "test"):
        images = open_images(Path(snakemake.input[split]))
        extract_features(backbone, images, Path(snakemake.output[split]), settings, task.stamp)
