"""The grid of jobs: from a configuration to every job's settings, inputs and digest.

Stages follow the river of data: images, models, features, metrics and probes
(``stages``), and here what is shown of them: figures and tables.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from nctransfer.plan import claims, departures, families, kinds, measured, pictures, ranking, titles
from nctransfer.plan import config as front_end
from nctransfer.plan.stages import Job, Stages, once
from nctransfer.storage.files import file_checksum
from nctransfer.storage.ledger import LEDGER

SECTIONS = ("figures", "tables")
# Sections that change no result, nor the digest of anything that is told of results.
UNREAD = ("paths", "resources", "runs")
SCORECARD = {"scorecard": "csv", "scorecard_made": "json"}


class Plan(Stages):
    """Every job that a configuration describes.

    Args:
        config: a complete configuration (see ``config.load``).
        root: the project's root, where the package and the scripts are.
    """

    @property
    def shown(self) -> list[str]:
        """``model/view`` of everything whose transfer accuracy a figure or table shows."""
        return sorted({f"{model}/{view}" for model, view in pictures.shown(self)})

    def reported(self, section: str) -> list[str]:
        """Keys of the figures or tables that the report is about."""
        wanted = self.config["report"]["pictures"]
        return [key for key in self.config[section] if wanted is None or key in wanted]

    def asked_for(self, section: str) -> list[str]:
        """Those of them that the configuration lists itself, unlike those of ``rank:``."""
        derived = ranking.picture_keys(self.config, section)
        return [key for key in self.reported(section) if key not in derived]

    @once
    def figure(self, figure: str) -> Job:
        """Draw a figure from tidy tables."""
        entry = self.config["figures"][figure]
        style = {name: value for name, value in self.config["style"].items() if name != "titles"}
        return self._picture("figure", entry, {"style": style, "seed": self._seed("figure", figure)})

    @once
    def table(self, table: str) -> Job:
        """Write a table from tidy tables."""
        return self._picture("table", self.config["tables"][table], {})

    def picture(self, section: str, key: str) -> Job:
        """Draw a figure or write a table."""
        return self.figure(key) if section == "figures" else self.table(key)

    @once
    def provenance(self) -> Job:
        """Write what made all that is shown: code, configuration, machines, times."""
        # the configuration itself would be shown, whole, among the parameters: its digest stands for it
        said = {name: part for name, part in self.config.items() if name not in UNREAD}
        text = json.dumps(said, sort_keys=True)
        settings = {"configuration": hashlib.sha256(text.encode()).hexdigest()[:16], "logs": self.logs}
        return self._of_all("provenance", settings)

    @once
    def overview(self) -> Job:
        """List all that is shown."""
        everything = {key: section for section in SECTIONS for key in self.asked_for(section)}
        settings = {
            "study": self.config["study"],
            "setting": departures.in_words(departures.departures(self, self._paper, everything)),
            "results": self.results,
            "figures": self._listed("figures"),
            "tables": self._listed("tables"),
        }
        return self._of_all("overview", settings)

    def _listed(self, section: str) -> list[dict[str, str]]:
        """Figures or tables as a reader is told of them, in order."""
        folder = getattr(self, section)
        return [
            {
                "path": f"{folder}/{key}",
                "name": titles.name_of(key),
                "shows": kinds.facts(self.config[section][key]["kind"]).shows,
            }
            for key in sorted(self.reported(section), key=titles.order)
        ]

    def _of_all(self, script: str, settings: Mapping[str, Any]) -> Job:
        """A job that reads the scorecard, the ledger and the sidecars of all that the report is about."""
        inputs = {name: f"{self.results}/scorecard.{suffix}" for name, suffix in SCORECARD.items()}
        parents = {"scorecard_made": self.scorecard()}
        for section in SECTIONS:
            for key in self.reported(section):
                inputs[f"{section}_{key}"] = f"{getattr(self, section)}/{key}.json"
                parents[f"{section}_{key}"] = self.picture(section, key)
        ledger = Path(self.results, LEDGER)
        told = ""
        if ledger.is_file():
            inputs["adoptions"], told = str(ledger), file_checksum(ledger)
        return self._job(script, settings, inputs, parents, outside=told)

    def _picture(self, script: str, entry: Mapping[str, Any], options: Mapping[str, Any]) -> Job:
        readings = pictures.Readings(self)
        known = kinds.facts(entry["kind"])
        panels = [pictures.resolve(self, panel, entry["kind"], readings) for panel in entry["panels"]]
        if not known.has_panels:
            panels = [asdict(row) for row in measured.rows(self)]
        settings: dict[str, Any] = {
            **options,
            **{name: entry[name] for name in ("fit", "curve") if name in known.options and name in entry},
            "kind": entry["kind"],
            "panels": panels,
            "tables": readings.tables,
        }
        if kinds.PROBES in known.options:  # of all settings the first are shown
            probes = self.config["probes"]
            settings["learning_rate"] = probes["learning_rates"][0]
            settings["weight_decay"] = probes["weight_decays"][0]
        variant = f"nctransfer.reporting.{script}s.{entry['kind']}"
        return self._job(script, settings, readings.inputs, readings.parents, [variant])

    @once
    def scorecard(self) -> Job:
        """Test claims on the numbers behind figures and tables."""
        path = claims.claims_file(self.config)
        rows = claims.read_claims(path)
        shown = self._claimed(rows)
        inputs: dict[str, str] = {}
        parents: dict[str, Job] = {}
        for key, section in shown.items():
            folder = getattr(self, section)
            inputs |= {key: f"{folder}/{key}.csv", f"{key}_made": f"{folder}/{key}.json"}
            parents[f"{key}_made"] = self.picture(section, key)
        published = claims.published_tables(rows, path)
        names = {name: f"published_{index}" for index, name in enumerate(published)}
        contents = "".join(file.read_text(encoding="utf-8") for file in published.values())
        settings = {
            "claims": rows,
            "pictures": list(shown),
            "published": names,
            "set_ups": departures.departures(self, self._paper, shown),
            "study": self.config["study"],
            "paper": departures.PAPER,
        }
        variants = {f"{claims.STATISTICS}.{claim['statistic']}" for claim in rows}
        job = self._job("scorecard", settings, inputs, parents, sorted(variants), outside=contents)
        # where the published numbers lie is no part of the digest, what they say is
        return replace(job, inputs=job.inputs | {names[name]: str(file) for name, file in published.items()})

    def _claimed(self, rows: list[dict[str, Any]]) -> dict[str, str]:
        """Section of every figure and table that claims read, as far as the report is about them."""
        known = {key: section for section in SECTIONS for key in self.reported(section)}
        return {key: known[key] for key in claims.pictures_read(rows) if key in known}

    @cached_property
    def _paper(self) -> "Plan":
        """The plan of config.yaml alone, but for where its outputs go, where it computes and how it looks."""
        kept = [f"{name}={json.dumps(self.config[name])}" for name in ("study", "device", "style")]
        return Plan(front_end.load(self.root / "config.yaml", [], kept), self.root)

    @once
    def listing(self) -> Job:
        """List all models but snapshots."""
        return self._job("models", {"models": [list(row) for row in families.listing(self.config)]}, {})
