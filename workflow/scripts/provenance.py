"""Collect provenance: what made all figures and tables."""

from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer.reporting import provenance
from nctransfer.reporting.settings import ProvenanceJobSettings

with job(snakemake) as task:
    root = Path(snakemake.scriptdir).resolve().parents[1]
    results, logs = Path(snakemake.output.json).parent, Path(ProvenanceJobSettings.read(task.settings).logs)
    collected = provenance.gather(root, results, logs, snakemake.config, task.stamp.made_by)
    provenance.write(collected, Path(snakemake.output.json), Path(snakemake.output.html), task.stamp)
