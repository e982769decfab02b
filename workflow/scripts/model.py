"""Fetch a model's weights and list its units."""

import os
from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer.models.model_store import save_model
from nctransfer.models.settings import ModelJobSettings

with job(snakemake) as task:
    # caches of torch.hub and the Hugging Face hub, unless the user sets them
    os.environ.setdefault("TORCH_HOME", str(task.downloads.absolute() / "torch"))
    os.environ.setdefault("HF_HOME", str(task.downloads.absolute() / "huggingface"))
    checkpoint = snakemake.input.get("checkpoint")
    manifest = Path(snakemake.output.manifest)
    settings = ModelJobSettings.read(task.settings)
    save_model(manifest, settings, task.stamp, Path(checkpoint) if checkpoint else None)
