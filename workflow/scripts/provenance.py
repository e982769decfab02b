"""Write down what made everything that is shown."""

from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer.reporting import provenance

with job(snakemake) as task:
    root = Path(snakemake.scriptdir).resolve().parents[1]
    results, logs = Path(snakemake.output.json).parent, Path(task.settings["logs"])
    found = provenance.gather(root, results, logs, snakemake.config, task.stamp.made_by)
    provenance.write(found, Path(snakemake.output.json), Path(snakemake.output.html), task.stamp)
