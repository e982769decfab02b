# Functions of the rules. The plan (nctransfer/dag) knows every job's settings, inputs
# and digest; here they are only handed to Snakemake. Nothing below may import torch:
# every job of a cluster reads the Snakefile again.

import nctransfer
from nctransfer import variants
from nctransfer.config.kinds import SECTIONS, kind_of
from nctransfer.config.load import load
from nctransfer.config.ranking import picture_keys
from nctransfer.dag.plan import Plan
from nctransfer.dag.resources import Requests
from nctransfer.errors import NCTransferError
from nctransfer.reporting.titles import aligned_name
from nctransfer.runtime import study_lock, signals

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


def load_study():
    """Read the configuration, check it, and derive all models that follow from it."""
    settings = workflow.config_settings
    study = load(
        ROOT / "config.yaml",
        list(settings.configfiles),
        # a list on the command line, one text in the jobs that Snakemake starts
        settings.config_args if isinstance(settings.config_args, list) else [],
    )
    for note in study.notes:
        logger.warning(note)
    return study


try:
    study = load_study()
    plan = Plan(study, ROOT)
    # names that clash or have no view are mistakes of the configuration too
    IMAGE_KEYS, VIEW_KEYS, SHOWN = plan.image_keys, plan.view_keys, plan.shown
except NCTransferError as error:
    raise WorkflowError(str(error)) from None

configuration = study.configuration
config.clear()
config.update(configuration.model_dump(mode="json"))
# read by the report's captions; no job depends on it
config["captions"] = {
    section: {name: kind_of(section, name).caption for name in variants.names(package)}
    for section, package in SECTIONS.items()
}

RESULTS, FIGURES, TABLES, LOGS = plan.results, plan.figures, plan.tables, plan.logs
CPU_THREADS = configuration.resources.threads
asked = Requests(plan)
GPUS = asked.gpus


def names(keys):
    """Regular expression of exactly these keys: a typo in a target is no match."""
    return "|".join(map(re.escape, keys)) or "(?!)"


wildcard_constraints:
    images=names(IMAGE_KEYS),
    model=names(study.models),
    view=names(VIEW_KEYS),
    run=names(plan.run_keys),
    ranked=names(configuration.rank.datasets),
    figure=names(configuration.figures),
    table=names(configuration.tables),


def ranked_pictures(wildcards):
    """Figures and tables of all rankings; who asks for them has named some data set."""
    if not configuration.rank.datasets:
        raise WorkflowError(
            "rank.datasets: empty; name the data sets to rank models on"
        )
    figures, tables = (
        picture_keys(configuration, section) for section in ("figures", "tables")
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
            run_lock.begin(configuration.study, logger.info)
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


# --- inputs that wildcards alone do not tell: a function each, named for what it returns ------


def filled(pattern, **keys):
    """Input function that fills a pattern with what the plan says of a rule's wildcards; nothing where it says None."""

    def path(wildcards):
        try:
            begin_run()
            values = {name: key(wildcards) for name, key in keys.items()}
        except NCTransferError as error:
            raise WorkflowError(str(error)) from None
        return [] if None in values.values() else pattern.format(**values)

    return path


def files_of_user(wildcards):
    """Files of the user's that a data set is made of: file_0, file_1, ..."""
    return planned("images")(wildcards).inputs


def source_images(pattern):
    """Image store of the data set that a model is trained on."""
    return filled(pattern, images=lambda wildcards: plan.source_images(wildcards.model))


def shown_images(pattern):
    """Image store behind a model's view."""
    return filled(
        pattern,
        images=lambda wildcards: plan.find_view(wildcards.model, wildcards.view).images,
    )


def downstream_images(pattern):
    """Image store of the data set that a run fine-tunes on."""
    return filled(
        pattern, images=lambda wildcards: plan.downstream_images(wildcards.run)
    )


def base_model(pattern):
    """The model itself, or the one that a fine-tuning run began with."""
    return filled(
        pattern,
        model=lambda wildcards: study.base(wildcards.get("model") or wildcards.run),
    )


def tuning_run(pattern):
    """The run that tuned a model; none for other models."""
    return filled(
        pattern, run=lambda wildcards: study.models[wildcards.model].store or None
    )


def training_or_file(pattern):
    """The training that a model comes from, or the user's file of weights; none where a library has them."""
    trained = filled(pattern, model=lambda wildcards: plan.training_of(wildcards.model))
    return (
        lambda wildcards: trained(wildcards) or plan.weights_file(wildcards.model) or []
    )


def weights_with_text_tower(wildcards):
    """The user's file of weights where a run classifies by its text tower; none for other runs."""
    return planned("finetune")(wildcards).inputs.get("checkpoint", [])


def tables_of_ranking(wildcards):
    """Tidy tables of all ranked models: table_0, table_1, ..."""
    return planned("ranking")(wildcards).inputs


def tables_of_figure(wildcards):
    """Tidy tables that a figure shows: table_0, table_1, ..."""
    return planned("figure")(wildcards).inputs


def tables_of_table(wildcards):
    """Tidy tables that a table shows: table_0, table_1, ..."""
    return planned("table")(wildcards).inputs


def numbers_of_claims(wildcards):
    """Numbers and sidecars of the figures and tables that claims read, and published numbers."""
    return planned("scorecard")(wildcards).inputs


def all_that_is_shown(wildcards):
    """The scorecard, the ledger of adoptions, and the sidecars of all figures and tables."""
    return planned("overview")(wildcards).inputs


# --- what a job is told, and asks for -------------------------------------------------------------


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
    *(["Rankings"] if configuration.rank.datasets else []),
    "Files",
    "About this run",
]


def category(name):
    """A category of the report, with its number."""
    return f"{CATEGORIES.index(name) + 1}. {name}"


def category_of(section):
    """Category of what a reader looks at: figures, tables, or both where they rank models."""
    derived = picture_keys(configuration, section)
    return lambda wildcards: category(
        "Rankings" if wildcards[0] in derived else section.capitalize()
    )


def labels_of(section, form):
    """How the report's lists name a figure or table, and the form of the file.

    All in two labels: Snakemake turns any but the first that has two values into a switch, and
    fails where an entry lacks one of them.
    """
    derived = picture_keys(configuration, section)

    def labels(wildcards):
        key = wildcards[0]
        name = key if key in derived else aligned_name(key)
        kind = kind_of(section, configuration.pictures(section)[key].kind)
        return {"Name": f"{name} · {kind.shows}", "Form": form}

    return labels
