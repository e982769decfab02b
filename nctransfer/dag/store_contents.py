"""The rest of the stores that a job reads.

A job's inputs in the plan are the files that decide about reruns: manifests and tidy tables. The other files
of their stores are inputs of its rule too, so that a storage plugin brings whole stores to where it runs.
"""

from pathlib import PurePosixPath

from nctransfer.dag.job import Job
from nctransfer.storage.stores import ARRAYS, MANIFEST

# Folders of stores below the folder of results.
STAGES = ("images", "pretraining", "models", "finetuning", "features", "probes")
# Rules that read tables alone.
READ_TABLES = ("figure", "table")


def store_contents(job: Job, results: str) -> list[str]:
    """Files and folders of arrays beside a job's inputs; ``results`` is the study's folder of results."""
    found: dict[str, None] = {}
    for text in job.inputs.values():
        path = PurePosixPath(text)
        stage = text.removeprefix(f"{results}/").partition("/")[0]
        if stage not in STAGES:
            continue
        units = ["units.csv"] if stage == "models" else []
        if path.name != MANIFEST:  # a table, which the manifest describes
            names = [MANIFEST]
        else:
            names = units if job.rule in READ_TABLES else [*units, ARRAYS]
        found |= dict.fromkeys(str(path.with_name(name)) for name in names)
    return list(found)
