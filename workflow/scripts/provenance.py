"""Collect provenance: what made all figures and tables."""

from pathlib import Path

import nctransfer
from nctransfer.runtime.job import job
from nctransfer.reporting import provenance
from nctransfer.reporting.settings import ProvenanceJobSettings

with job(snakemake) as task:
    root = Path(nctransfer.__file__).resolve().parents[1]
    results = Path(ProvenanceJobSettings.read(task.settings).results)
    # where a storage plugin put them, if there is one
    logs = Path(snakemake.log[0]).parent
    collected = provenance.gather(root, results, logs, snakemake.config, task.planned)
    provenance.write(collected, Path(snakemake.output.json), Path(snakemake.output.html), task.stamp)
