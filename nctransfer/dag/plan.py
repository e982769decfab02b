"""The plan: from a study to the settings, inputs and stamp of every job.

``stages`` has the jobs from images to metrics and probes; here are the jobs that report results: figures,
tables, the scorecard and the pages about the run.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from nctransfer import variants
from nctransfer.config import claims
from nctransfer.config.axis_ranges import read_windows
from nctransfer.config.configuration import PictureSettings
from nctransfer.config.kinds import SECTIONS, kind_of
from nctransfer.config.load import load
from nctransfer.config.panels import PanelSettings
from nctransfer.config.ranking import picture_keys
from nctransfer.config.source_accuracy import must_reach, source_accuracy
from nctransfer.config.study import listing
from nctransfer.dag import nc1_measurements, set_ups, shown_panels
from nctransfer.dag.digest import FACTS
from nctransfer.dag.job import Job, once
from nctransfer.dag.stages import Stages
from nctransfer.dag.tidy_inputs import TidyInputs
from nctransfer.errors import ConfigError
from nctransfer.reporting import titles
from nctransfer.reporting.scorecard.settings import (
    ChanceJobSettings,
    JudgedClaimSettings,
    ScorecardJobSettings,
)
from nctransfer.reporting.settings import (
    Listed,
    ListingJobSettings,
    OverviewJobSettings,
    ProvenanceJobSettings,
    Window,
)
from nctransfer.settings import Settings, SourceAccuracySettings
from nctransfer.storage.files import file_checksum
from nctransfer.storage.ledger import LEDGER

# Sections that change no result and no digest.
UNREAD = {"paths", "resources", "operation", "reruns"}
CHANCE = {"chance": "csv", "chance_made": "json"}
SCORECARD = {"scorecard": "csv", "scorecard_made": "json"}


class Plan(Stages):
    """Every job of a study."""

    @cached_property
    def shown(self) -> list[str]:
        """``model/view`` of everything whose probe accuracy a figure or table shows."""
        found: set[str] = set()
        for section in SECTIONS:
            for picture in self.configuration.pictures(section).values():
                for panel in picture.panels:
                    found |= {f"{model}/{view}" for model, view in shown_panels.probed(self, panel)}
        return sorted(found)

    def reported(self, section: str) -> list[str]:
        """Keys of the figures or tables in the report."""
        chosen = self.configuration.report.pictures
        return [key for key in self.configuration.pictures(section) if chosen is None or key in chosen]

    def asked_for(self, section: str) -> list[str]:
        """Those of them that are listed in the configuration, not derived from ``rank:``."""
        derived = picture_keys(self.configuration, section)
        return [key for key in self.reported(section) if key not in derived]

    @once
    def figure(self, figure: str) -> Job:
        """Draw a figure from tidy tables."""
        entry = self.configuration.figures[figure]
        options = {
            name: getattr(entry, name)
            for option in kind_of("figures", entry.kind).options
            for name in option.model_fields
        }
        options |= {"style": self.configuration.style.look(), "seed": self._seed("figure", figure)}
        options["windows"] = self._windows.get(figure, ())
        return self._picture("figure", figure, options)

    @cached_property
    def _windows(self) -> dict[str, tuple[Window, ...]]:
        """Windows of published panels, by the key of the figure."""
        path = self.configuration.style.windows
        return {} if path is None else read_windows(self._given_file("style.windows", path))

    @once
    def table(self, table: str) -> Job:
        """Write a table from tidy tables, and published numbers to show beside them."""
        entry = self.configuration.tables[table]
        published = getattr(entry, "published", None)
        if published is None:
            return self._picture("table", table, {})
        file = self._given_file(f"tables.{table}.published", published)
        # the digest covers the contents of published numbers, not their path
        job = self._picture("table", table, {}, outside=file.read_text(encoding="utf-8"))
        return replace(job, inputs={**job.inputs, "published": str(file)})

    def _given_file(self, where: str, path: str) -> Path:
        """A file of the user's, or one that comes with the workflow; ConfigError if there is none."""
        for file in (Path(path).expanduser(), self.workflow_file(path)):
            if file.is_file():
                return file
        raise ConfigError(f"{where}: no file {path!r}")

    def picture(self, section: str, key: str) -> Job:
        """Draw a figure or write a table."""
        return self.figure(key) if section == "figures" else self.table(key)

    def _picture(self, rule: str, key: str, options: dict[str, Any], outside: str = "") -> Job:
        section = f"{rule}s"
        entry: PictureSettings = self.configuration.pictures(section)[key]
        kind, inputs = kind_of(section, entry.kind), TidyInputs(self.results)
        panels: list[Settings] = [shown_panels.show(panel, self, kind, inputs) for panel in entry.panels]
        if kind.panel is None:
            panels += nc1_measurements.rows(self)
        if kind.probes:  # the first of all rates and decays are shown
            probes = self.configuration.probes
            options["learning_rate"] = probes.learning_rates[0]
            options["weight_decay"] = probes.weight_decays[0]
        shown: dict[str, Any] = {"kind": entry.kind, "panels": tuple(panels)}
        shown["sources"] = self._sources(entry.panels, inputs)
        shown["smaller"] = self._smaller(section, key)
        shown["tables"] = tuple(inputs.tables)
        settings = kind.settings(**shown, **options)
        modules = [variants.module_name(SECTIONS[section], entry.kind, rule)]
        parts = [part for panel in panels for part in (panel, *getattr(panel, "runs", ()))]
        methods = {getattr(part, "method", None) for part in parts} - {None}
        modules += sorted(f"nctransfer.finetuning.methods.{method}{FACTS}" for method in methods)
        return self._job(rule, settings, inputs.paths, inputs.parents, modules, outside)

    def _sources(
        self, panels: Iterable[PanelSettings], inputs: TidyInputs
    ) -> tuple[SourceAccuracySettings, ...]:
        """Where the source accuracies of all models of a picture are known from; adds the histories."""
        models = dict.fromkeys(model for panel in panels for model in shown_panels.models(self, panel))
        sources = []
        for model in models:
            source = source_accuracy(self.study, model)
            if source.history is not None:
                inputs.add("history", self.pretrain(source.history))
                entry = self.trained(source.history)
                if source.epoch in (None, self.study.training(entry).epochs):  # earlier it is not finished
                    least = must_reach(self.study, entry)
                    source = source.model_copy(update={"must_reach": least})
            sources.append(source)
        return tuple(sources)

    @once
    def scorecard(self) -> Job:
        """Test claims on the numbers of figures and tables."""
        path, rows = self._claims
        pictures = self._judged_pictures
        inputs, parents = self._numbers_of_claims()
        inputs |= {name: f"{self.results}/scorecard-chance.{suffix}" for name, suffix in CHANCE.items()}
        parents["chance_made"] = self.chance()
        published = claims.published_tables(rows, path)
        names = {name: f"published_{index}" for index, name in enumerate(published)}
        settings = ScorecardJobSettings(
            claims=rows,
            pictures=tuple(pictures),
            published=names,
            set_ups=self._set_ups(pictures),
            study=self.configuration.study,
            paper=set_ups.PAPER,
        )
        files = {names[name]: file for name, file in published.items()}
        if (calibrated := claims.calibration_file(path)) is not None:
            files["calibration"] = calibrated
        if self.configuration.style.windows is not None:
            files["axes"] = self._given_file("style.windows", self.configuration.style.windows)
        contents = "".join(file.read_text(encoding="utf-8") for file in files.values())
        job = self._job("scorecard", settings, inputs, parents, self._statistics, outside=contents)
        # the digest covers the contents of published numbers, not their path
        return replace(job, inputs={**job.inputs, **{name: str(file) for name, file in files.items()}})

    @once
    def chance(self) -> Job:
        """Test claims on the numbers of figures and tables dealt out anew."""
        _, rows = self._claims
        settings = ChanceJobSettings(claims=rows, pictures=tuple(self._judged_pictures))
        return self._job("chance", settings, *self._numbers_of_claims(), self._statistics)

    @cached_property
    def _claims(self) -> tuple[Path, tuple[JudgedClaimSettings, ...]]:
        """The file of claims, and its rows."""
        path = claims.claims_file(self.configuration.report.claims)
        return path, claims.read_claims(path)

    @cached_property
    def _judged_pictures(self) -> dict[str, str]:
        """Figures and tables that claims read and this run has, with their sections."""
        sections = {key: section for section in SECTIONS for key in self.reported(section)}
        return {key: sections[key] for key in claims.pictures_read(self._claims[1]) if key in sections}

    @property
    def _statistics(self) -> list[str]:
        """Modules of the claims' statistics."""
        names = {claim.statistic for claim in self._claims[1]}
        return sorted(f"nctransfer.reporting.scorecard.statistics.{name}" for name in names)

    def _numbers_of_claims(self) -> tuple[dict[str, str], dict[str, Job]]:
        """The numbers of the figures and tables that claims read, and the jobs that make them."""
        inputs: dict[str, str] = {}
        parents: dict[str, Job] = {}
        for key, section in self._judged_pictures.items():
            folder = getattr(self, section)
            inputs |= {key: f"{folder}/{key}.csv", f"{key}_made": f"{folder}/{key}.json"}
            parents[f"{key}_made"] = self.picture(section, key)
        return inputs, parents

    def _set_ups(self, pictures: dict[str, str]) -> dict[str, str]:
        """For every figure or table, whether it has the paper's set-up, or how it differs."""
        return {key: self._set_up(section, key) for key, section in pictures.items()}

    def _set_up(self, section: str, key: str) -> str:
        papers = self._paper.configuration.pictures(section)
        job = self._paper.picture(section, key) if key in papers else None
        if set_ups.is_papers(job, self.picture(section, key)):
            return set_ups.PAPER
        panels = self.configuration.pictures(section)[key].panels
        count = len(papers[key].panels) if key in papers else 0
        titles, smaller = self.configuration.style.titles, self._smaller(section, key)
        return set_ups.set_up(self.configuration.study, panels, count, titles, smaller)

    def _smaller(self, section: str, key: str) -> tuple[str, ...]:
        papers = self._paper.configuration.pictures(section)
        own = self.configuration.pictures(section)[key].panels
        return set_ups.smaller(self, self._paper, own, papers[key].panels) if key in papers else ()

    @cached_property
    def _paper(self) -> "Plan":
        """The plan of config.yaml alone, but this one's folders, device and style, which digests include."""
        values = self.configuration.model_dump(mode="json", include={"study", "device", "style"})
        overrides = [f"{name}={json.dumps(value)}" for name, value in values.items()]
        paper = load(self.workflow_file("config.yaml"), [], overrides)
        same = paper.configuration == self.configuration
        return self if same else Plan(paper, self.root, self.workflow_file)

    @once
    def provenance(self) -> Job:
        """Collect provenance: code, configuration, machines, times."""
        # a digest instead of the configuration, which Snakemake would list whole among the parameters
        text = json.dumps(self.configuration.model_dump(mode="json", exclude=UNREAD), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        return self._of_all("provenance", ProvenanceJobSettings(configuration=digest, results=self.results))

    @once
    def overview(self) -> Job:
        """List all figures and tables."""
        pictures = {key: section for section in SECTIONS for key in self.asked_for(section)}
        settings = OverviewJobSettings(
            study=self.configuration.study,
            setting=set_ups.in_words(self._set_ups(pictures)),
            results=self.results,
            figures=self._listed("figures"),
            tables=self._listed("tables"),
        )
        return self._of_all("overview", settings)

    def _listed(self, section: str) -> tuple[Listed, ...]:
        """Figures or tables as a reader sees them listed, in order."""
        folder, entries = getattr(self, section), self.configuration.pictures(section)
        listed = []
        for key in sorted(self.reported(section), key=titles.order):
            shows = kind_of(section, entries[key].kind).shows
            listed.append(Listed(path=f"{folder}/{key}", name=titles.name_of(key), shows=shows))
        return tuple(listed)

    def _of_all(self, rule: str, settings: Settings) -> Job:
        """A job that reads the scorecard, the ledger and the sidecars of all figures and tables."""
        inputs = {name: f"{self.results}/scorecard.{suffix}" for name, suffix in SCORECARD.items()}
        parents = {"scorecard_made": self.scorecard()}
        for section in SECTIONS:
            for key in self.reported(section):
                inputs[f"{section}_{key}"] = f"{getattr(self, section)}/{key}.json"
                parents[f"{section}_{key}"] = self.picture(section, key)
        ledger = Path(self.results, LEDGER)
        contents = ""
        if ledger.is_file():
            inputs["adoptions"], contents = str(ledger), file_checksum(ledger)
        return self._job(rule, settings, inputs, parents, outside=contents)

    @once
    def models(self) -> Job:
        """List all models except snapshots."""
        return self._job("models", ListingJobSettings(models=tuple(listing(self.study))), {})
