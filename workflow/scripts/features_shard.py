"""Extract the features of all units of a model on a part of a data set."""

from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer import variants
from nctransfer.data.streamed_images import open_images
from nctransfer.features.extract import extract_features
from nctransfer.features.settings import FeaturesShardJobSettings
from nctransfer.models import loaders

with job(snakemake) as task:
    settings = FeaturesShardJobSettings.read(task.settings)
    backbone = variants.load(loaders, settings.loader).load(snakemake.input, task.device())
    for split in ("train", "test"):
        images, manifest = open_images(Path(snakemake.input[split])), Path(snakemake.output[split])
        extract_features(backbone, images, manifest, settings, task.stamp, settings.rows(len(images)))
