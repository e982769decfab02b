# Functions of the rules. The plan (nctransfer/plan) knows every job's settings, inputs
# and digest; here they are only handed to Snakemake. Nothing below may import torch:
# every job of a cluster reads the Snakefile again.

import nctransfer
from nctransfer.runtime import signals
from nctransfer.errors import NCTransferError
from nctransfer.plan import config as front_end, kinds, ranking
from nctransfer.plan.grid import Plan
from nctransfer.plan.resources import Requests
from nctransfer.plan.titles import aligned_name
from nctransfer.runtime import run_lock

from snakemake.exceptions import WorkflowError

# Threads that wait by spinning stall each other on a shared machine (measured: a training
# on 2 virtual cores six times slower); jobs inherit this unless the user says otherwise.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# When this process dies, its jobs end too.
signals.announce()

# A cluster's submission of several jobs runs them by a Snakemake of its own, which knows nothing
# of the profile: they share the GPU that was asked for, one after the other.
if not workflow.is_main_process:
    workflow.register_resource("gpu", 1)

ENVIRONMENT = "../envs/nctransfer.yaml"

if Path(nctransfer.__file__).resolve().parent != (ROOT / "nctransfer").resolve():
    raise WorkflowError(
        f"the package in use is {nctransfer.__file__}, not the one beside the Snakefile; "
        "uninstall the other: pip uninstall nctransfer"
    )


def load_config():
    """Read the configuration through the front end instead of Snakemake's own."""
    settings = workflow.config_settings
    try:
        return front_end.load(
            ROOT / "config.yaml",
            list(settings.configfiles),
            # a list on the command line, one text in the jobs that Snakemake starts
            settings.config_args if isinstance(settings.config_args, list) else [],
        )
    except NCTransferError as error:
        raise WorkflowError(str(error)) from None


def load_plan():
    """Plan the jobs; names that clash or have no view are mistakes of the configuration too."""
    try:
        plan = Plan(config, ROOT)
        return plan, plan.image_keys, plan.view_keys, plan.shown
    except NCTransferError as error:
        raise WorkflowError(str(error)) from None


config.clear()
config.update(load_config())
plan, IMAGE_KEYS, VIEW_KEYS, SHOWN = load_plan()

RESULTS, FIGURES, TABLES, LOGS = plan.results, plan.figures, plan.tables, plan.logs
CPU_THREADS = config["resources"]["threads"]
asked = Requests(plan)
GPUS = asked.gpus


def names(keys):
    """Regular expression of exactly these keys: a typo in a target is no match."""
    return "|".join(map(re.escape, keys)) or "(?!)"


wildcard_constraints:
    images=names(IMAGE_KEYS),
    model=names(config["models"]),
    view=names(VIEW_KEYS),
    run=names(plan.run_keys),
    ranked=names(config["rank"]["datasets"]),
    figure=names(config["figures"]),
    table=names(config["tables"]),


def ranked_pictures(wildcards):
    """Figures and tables of all rankings; who asks for them has named some data set."""
    if not config["rank"]["datasets"]:
        raise WorkflowError(
            "rank.datasets: empty; name the data sets to rank models on"
        )
    figures, tables = (
        ranking.picture_keys(config, kind) for kind in ("figures", "tables")
    )
    return [
        *(f"{FIGURES}/{figure}.pdf" for figure in figures),
        *(f"{TABLES}/{table}.csv" for table in tables),
    ]


@functools.cache
def begin_run():
    """Be the only run of this study in the folder, if jobs are about to be run at all.

    Snakemake has no hook before it takes its own locks; the first input function comes before that.
    """
    jobs_will_run = workflow.executor_plugin is not None and not workflow.dryrun
    if jobs_will_run and workflow.is_main_process and workflow.execution_settings.lock:
        try:
            run_lock.begin(config["study"], logger.info)
        except NCTransferError as error:
            logger.error(str(error))
            sys.exit(1)


def planned(stage):
    """The plan's job for a rule's wildcards, its mistakes told as the workflow's."""
    derive = getattr(plan, stage)

    def job(wildcards):
        try:
            begin_run()
            return derive(*wildcards)
        except NCTransferError as error:
            raise WorkflowError(str(error)) from None

    return job


def inputs_of(stage):
    """Input function of a rule."""
    return lambda wildcards: planned(stage)(wildcards).inputs


def job_of(stage):
    """The parameter that carries a job to its script: settings, and the stamp that decides about reruns."""

    return lambda wildcards: planned(stage)(wildcards).told()


def requested(resource, stage):
    """What a rule's job asks for of mem_mb or runtime; more when a profile's `retries` tries again."""

    def amount(wildcards, attempt):
        try:
            request = asked.request(stage, *wildcards, attempt=attempt)
        except NCTransferError as error:
            raise WorkflowError(str(error)) from None
        return getattr(request, resource)

    return amount


def memory_of(stage):
    """Host memory of a rule's jobs, in MB."""
    return requested("mem_mb", stage)


def runtime_of(stage):
    """Longest time of a rule's jobs, in minutes."""
    return requested("runtime", stage)


# The report's categories; its menu sorts them as text.
CATEGORIES = [
    "Scorecard",
    "Figures",
    "Tables",
    *(["Rankings"] if config["rank"]["datasets"] else []),
    "Files",
    "About this run",
]


def category(name):
    """A category of the report, with its number."""
    return f"{CATEGORIES.index(name) + 1}. {name}"


def category_of(section):
    """Category of what a reader looks at: figures, tables, or both where they rank models."""
    derived = ranking.picture_keys(config, section)
    return lambda wildcards: category(
        "Rankings" if wildcards[0] in derived else section.capitalize()
    )


def labels_of(section, form):
    """How the report's lists name a figure or table, and the form of the file.

    All in two labels: Snakemake turns any but the first that has two values into a switch, and
    fails where an entry lacks one of them.
    """
    derived = ranking.picture_keys(config, section)

    def labels(wildcards):
        key = wildcards[0]
        name = key if key in derived else aligned_name(key)
        kind = kinds.facts(config[section][key]["kind"])
        return {"Name": f"{name} · {kind.shows}", "Form": form}

    return labels
