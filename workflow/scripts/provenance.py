"""Write down what made everything that is shown."""

from pathlib import Path

from nctransfer.job import job
from nctransfer.reporting import provenance

with job(snakemake) as task:
    root = Path(snakemake.scriptdir).resolve().parents[1]
    found = provenance.gather(
        root, Path(task.settings["logs"]), snakemake.config, dict(snakemake.params.made_by)
    )
    provenance.write(found, Path(snakemake.output.json), Path(snakemake.output.html), task.recipe)
