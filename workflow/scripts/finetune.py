"""Fine-tune a model."""

import os
from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer.data.image_store import ImageStore
from nctransfer.finetuning.run import finetune
from nctransfer.finetuning.settings import FineTuneJobSettings
from nctransfer.training.run_options import RunOptions

with job(snakemake) as task:
    # where the Hugging Face hub caches what zero-shot runs download, unless the user says so
    os.environ.setdefault("HF_HOME", str(task.downloads.absolute() / "huggingface"))
    stores = {split: ImageStore(Path(snakemake.input[split])) for split in ("train", "test")}
    manifest, log = Path(snakemake.output.manifest), Path(snakemake.log[0])
    checkpoint = snakemake.input.get("checkpoint")
    run_options = RunOptions(
        device=task.device(),
        checkpoints=manifest.parents[2] / "checkpoints" / manifest.parent.name,
        checkpoint_minutes=task.runs["checkpoint_minutes"],
        tensorboard=log.parents[1] / "tensorboard" / log.stem if task.runs["tensorboard"] else None,
        prefix_cache_gb=task.runs["prefix_cache_gb"],
        memory_gb=snakemake.resources.get("mem_mb", 16000) / 1000,
    )
    finetune(
        Path(snakemake.input.model),
        stores,
        manifest,
        FineTuneJobSettings.read(task.settings),
        task.stamp,
        run_options,
        Path(checkpoint) if checkpoint else None,
    )
