"""Join the features that shards extracted to one store."""

from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer.features.settings import FeaturesJoinedJobSettings
from nctransfer.features.shards import join_shards

with job(snakemake) as task:
    settings = FeaturesJoinedJobSettings.read(task.settings)
    for split in ("train", "test"):
        parts = [Path(snakemake.input[f"{split}_{part}"]) for part in range(settings.shards)]
        join_shards(parts, Path(snakemake.output[split]), settings, task.stamp)
