"""The rest of the stores that a job reads.

A job's inputs in the plan are the files that decide about reruns: manifests and tidy tables. The other files
of their stores are inputs of its rule too, so that a storage plugin brings whole stores to where it runs.
"""

from pathlib import PurePosixPath

from nctransfer.dag.job import Job
from nctransfer.dag.views import SHARDS
from nctransfer.storage.stores import ARRAYS, MANIFEST

# Folders of stores that contain tidy tables; the manifest beside a table says what made it.
WITH_TABLES = ("pretraining", "finetuning", "probes")
# Rules that read tables alone.
READ_TABLES = ("figure", "table")


def store_contents(job: Job, results: str) -> list[str]:
    """Files and folders of arrays beside a job's inputs; ``results`` is the study's folder of results."""
    found: dict[str, None] = {}
    for text in job.inputs.values():
        path = PurePosixPath(text)
        if not path.is_relative_to(results):  # the user's own file
            continue
        stage, names = path.relative_to(results).parts[0], []
        if path.name == MANIFEST:
            names = ["units.csv"] if stage == "models" else []
            joined = job.rule == "features_joined" and stage != SHARDS
            names += [] if job.rule in READ_TABLES or joined else [ARRAYS]
        elif stage in WITH_TABLES:
            names = [MANIFEST]
        found |= dict.fromkeys(str(path.with_name(name)) for name in names)
    return list(found)
