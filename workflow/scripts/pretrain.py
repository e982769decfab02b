"""Pre-train a source model."""

from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer.data.image_store import ImageStore
from nctransfer.training.operation import Operation
from nctransfer.training.pretraining import pretrain
from nctransfer.training.settings import PretrainJobSettings

with job(snakemake) as task:
    stores = {split: ImageStore(Path(snakemake.input[split])) for split in ("train", "test")}
    manifest, log = Path(snakemake.output.manifest), Path(snakemake.log[0])
    operation = Operation(
        device=task.device(),
        checkpoints=manifest.parents[2] / "checkpoints" / manifest.parent.name,
        checkpoint_minutes=task.operation["checkpoint_minutes"],
        tensorboard=log.parents[1] / "tensorboard" / log.stem if task.operation["tensorboard"] else None,
    )
    pretrain(stores, manifest, PretrainJobSettings.read(task.settings), task.stamp, operation)
