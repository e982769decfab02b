"""Fine-tune a model."""

import os
from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer.data.image_store import ImageStore
from nctransfer.finetuning.run import finetune
from nctransfer.finetuning.settings import FineTuneJobSettings
from nctransfer.training.operation import Operation

with job(snakemake) as task:
    # cache of the Hugging Face hub for the downloads of zero-shot runs, unless the user sets it
    os.environ.setdefault("HF_HOME", str(task.downloads.absolute() / "huggingface"))
    stores = {split: ImageStore(Path(snakemake.input[split])) for split in ("train", "test")}
    manifest, log = Path(snakemake.output.manifest), Path(snakemake.log[0])
    checkpoint = snakemake.input.get("checkpoint")
    operation = Operation(
        device=task.device(),
        checkpoints=manifest.parents[2] / "checkpoints" / manifest.parent.name,
        checkpoint_minutes=task.operation["checkpoint_minutes"],
        tensorboard=log.parents[1] / "tensorboard" / log.stem if task.operation["tensorboard"] else None,
        prefix_cache_gb=task.operation["prefix_cache_gb"],
        memory_gb=snakemake.resources.get("mem_mb", 16000) / 1000,
    )
    finetune(
        Path(snakemake.input.model),
        stores,
        manifest,
        FineTuneJobSettings.read(task.settings),
        task.stamp,
        operation,
        Path(checkpoint) if checkpoint else None,
    )
