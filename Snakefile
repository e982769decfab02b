# Entry point of the workflow: configuration, rules of all stages, targets.
import functools
import os
import re
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")
# the folder of this file, also if it is included (workflow/Snakefile)
ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).resolve()
sys.path.insert(0, str(ROOT))


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/finetuning.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/probes.smk"
include: "workflow/rules/metrics.smk"
include: "workflow/rules/few_shot.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/rank.smk"
include: "workflow/rules/scorecard.smk"
include: "workflow/rules/report.smk"


localrules:
    all,
    figures,
    metrics_tables,
    models,
    overview,
    provenance,
    rank,
    tables,


rule all:
    default_target: True
    input:
        collect(f"{FIGURES}/{{figure}}.pdf", figure=plan.reported("figures")),
        collect(f"{TABLES}/{{table}}.csv", table=plan.reported("tables")),
        rules.scorecard.output,
        rules.overview.output,
        rules.provenance.output,
