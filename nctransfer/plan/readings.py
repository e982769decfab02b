"""The tidy tables that a job of many inputs reads: figures, tables and rankings."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nctransfer.plan.stages import Job, Stages


class Readings:
    """The tidy tables that a figure, table or ranking reads, each once.

    Attributes:
        tables: (name, model, view) of each, in the order of the inputs ``table_0``, ``table_1``, ...
        inputs: their files, by the name of the input.
        parents: the jobs that make them, by the name of the input.
    """

    def __init__(self, plan: "Stages") -> None:
        self._plan = plan
        self.tables: list[tuple[str, str, str]] = []
        self.inputs: dict[str, str] = {}
        self.parents: dict[str, Job] = {}

    def units(self, model: str) -> None:
        """A model's units, from its store."""
        job = self._plan.model(model)
        self._add("units", model, "", f"models/{model}/manifest", job, suffix=".json")

    def metrics(self, model: str, view: str) -> None:
        """Collapse metrics of a model's features."""
        self._add("metrics", model, view, f"metrics/{model}/{view}", self._plan.metrics(model, view))

    def probes(self, model: str, view: str) -> None:
        """Accuracies of the probes on them."""
        path = f"probes/{model}/{view}/accuracy"
        self._add("probes", model, view, path, self._plan.probes(model, view))

    def head_metrics(self, model: str, view: str) -> None:
        """NC3 and NC4 of the model's own classifier."""
        job = self._plan.head_metrics(model, view)
        self._add("head_metrics", model, view, f"head_metrics/{model}/{view}", job)

    def history(self, model: str) -> None:
        """Loss and accuracy by epoch of a training."""
        self._add("history", model, "", f"pretraining/{model}/history", self._plan.pretrain(model))

    def finetuning(self, run: str) -> None:
        """What a fine-tuning run reached."""
        self._add("finetuning", run, "", f"finetuning/{run}/accuracy", self._plan.finetune(run))

    def fewshot(self, model: str, view: str) -> None:
        """What a classifier reached in few-shot episodes."""
        self._add("fewshot", model, view, f"fewshot/{model}/{view}", self._plan.fewshot(model, view))

    def scores(self, model: str, view: str) -> None:
        """Transferability scores of a model's features."""
        self._add("scores", model, view, f"scores/{model}/{view}", self._plan.scores(model, view))

    def ranking(self, dataset: str) -> None:
        """Scores and accuracies of all models that are ranked on a data set, and how they agree."""
        job = self._plan.ranking(dataset)
        self._add("rank", dataset, "", f"rank/{dataset}", job)
        self._add("agreement", dataset, "", f"agreement/{dataset}", job)

    def _add(self, name: str, model: str, view: str, path: str, job: "Job", suffix: str = ".parquet") -> None:
        if (name, model, view) not in self.tables:
            key = f"table_{len(self.tables)}"
            self.tables.append((name, model, view))
            self.inputs[key] = f"{self._plan.results}/{path}{suffix}"
            self.parents[key] = job
