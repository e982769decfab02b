"""The tidy tables that a figure, table or ranking reads."""

from nctransfer.dag.job import Job

# Path of each table below the study's results, with the wildcards of the job that makes it.
FILES = {
    "units": "models/{}/manifest.json",
    "metrics": "metrics/{}/{}.parquet",
    "probes": "probes/{}/{}/accuracy.parquet",
    "head_metrics": "head_metrics/{}/{}.parquet",
    "history": "pretraining/{}/history.parquet",
    "finetuning": "finetuning/{}/accuracy.parquet",
    "few_shot": "few_shot/{}/{}.parquet",
    "scores": "scores/{}/{}.parquet",
    "rank": "rank/{}.parquet",
    "agreement": "agreement/{}.parquet",
}


class TidyInputs:
    """The tidy tables that a figure, table or ranking reads, each once, and the jobs that make them."""

    def __init__(self, results: str) -> None:
        self._results = results
        self.tables: list[tuple[str, str, str]] = []  # name, model and view of table_0, table_1, ...
        self.paths: dict[str, str] = {}  # their files, by the name of the input
        self.parents: dict[str, Job] = {}

    def add(self, name: str, job: Job) -> None:
        """Add the table of a job; names are the keys of :data:`FILES`."""
        first, second = (*job.keys, "", "")[:2]
        if (name, first, second) not in self.tables:
            key = f"table_{len(self.tables)}"
            self.tables.append((name, first, second))
            self.paths[key] = f"{self._results}/{FILES[name].format(*job.keys)}"
            self.parents[key] = job
