"""Pre-train a source model."""

from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer.data.image_store import ImageStore
from nctransfer.training.pretraining import pretrain
from nctransfer.training.run_options import RunOptions
from nctransfer.training.settings import PretrainJobSettings

with job(snakemake) as task:
    stores = {split: ImageStore(Path(snakemake.input[split])) for split in ("train", "test")}
    manifest, log = Path(snakemake.output.manifest), Path(snakemake.log[0])
    run_options = RunOptions(
        device=task.device(),
        checkpoints=manifest.parents[2] / "checkpoints" / manifest.parent.name,
        checkpoint_minutes=task.runs["checkpoint_minutes"],
        tensorboard=log.parents[1] / "tensorboard" / log.stem if task.runs["tensorboard"] else None,
    )
    pretrain(stores, manifest, PretrainJobSettings.read(task.settings), task.stamp, run_options)
