"""List the models of the configuration, members of families included."""

from nctransfer.runtime.job import job
from nctransfer.reporting.settings import ListingJobSettings

with job(snakemake) as task:
    rows = ListingJobSettings.read(task.settings).models
    widths = [max(len(row[column]) for row in rows) for column in range(2)] if rows else []
    for key, network, origin in rows:
        print(f"{key:{widths[0]}}  {network:{widths[1]}}  {origin}")
