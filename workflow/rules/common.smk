# Functions of the rules. The plan (nctransfer/dag) derives the settings, inputs and digest of every job; here
# they are passed to Snakemake. Nothing below may import torch: every cluster job reads the Snakefile again.
import contextlib
import functools
import os
import platform
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.io import contains_wildcard
from snakemake.settings.enums import RerunTrigger
from snakemake.settings.types import SharedFSUsage

from nctransfer import variants
from nctransfer.config.kinds import SECTIONS, kind_of
from nctransfer.config.load import load
from nctransfer.config.ranking import picture_keys
from nctransfer.dag import cost, faster_modes
from nctransfer.dag.plan import Plan
from nctransfer.dag.resources import Requests
from nctransfer.dag.stale import FinishedResults
from nctransfer.dag.store_contents import store_contents
from nctransfer.dag.wildcards import names
from nctransfer.errors import NCTransferError
from nctransfer.features.settings import OPENVINO_MISSING
from nctransfer.reporting.titles import aligned_name
from nctransfer.runtime import fork_server, gpus, signals, snakemake_records, study_lock
from nctransfer.storage.convert import old_stores
from nctransfer.storage.ledger import LEDGER
from nctransfer.storage.stores import ARRAYS
from nctransfer.versions import numerical_versions, package_digest

# Threads that busy-wait slow each other down on a shared machine (measured: a training on 2 virtual cores six
# times slower); jobs inherit this unless the user sets it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# glibc returns large blocks to the system at once and fetches new pages for the next ones (measured: MobileNetV2
# at 224 px 32 images/s instead of 94, two thirds of the time in the kernel). Keeping them takes 15 % more memory.
# Before 2.35 it takes no threshold above 32 MiB, and then would map every block anew because the other one is set.
GLIBC = re.match(r"(\d+)\.(\d+)", platform.libc_ver()[1])
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**30))
os.environ.setdefault(
    "MALLOC_MMAP_THRESHOLD_",
    str(2**30 if GLIBC and (int(GLIBC[1]), int(GLIBC[2])) > (2, 35) else 2**25),
)
# If this process dies, its jobs end too.
signals.announce()
# A job of a cluster may see the server of the run that submitted it, but must not leave its own allocation.
if not workflow.is_main_process:
    os.environ.pop(fork_server.SOCKET, None)

# A cluster submission of several jobs runs them in a Snakemake process of its own, without the profile: they
# share the requested GPU, one after the other.
if not workflow.is_main_process:
    workflow.register_resource("gpu", 1)

ENVIRONMENT = "../envs/nctransfer.yaml"
# Whether another workflow imports this one.
IS_MODULE = workflow.modifier.parent_modifier is not None


configfile: workflow_file("config.yaml")


def load_study():
    """Check the configuration and derive all models."""
    settings = workflow.config_settings
    # a module with `config:`, whatever files its host reads
    if workflow.modifier.skip_configfile:
        study = load([], config=config)
    else:
        overlays = [Path(path) for path in settings.configfiles]
        study = load(
            [Path(path) for path in workflow.configfiles if Path(path) not in overlays],
            overlays,
            # a list on the command line, but one text in the jobs that Snakemake starts
            settings.config_args if isinstance(settings.config_args, list) else [],
            config,
        )
    for note in study.notes:
        logger.warning(note)
    if study.configuration.reruns.identity == "size" and workflow.is_main_process:
        logger.warning(
            "reruns.identity: size: a file of your own that is replaced by another of the same size is taken "
            "for the old one"
        )
    return study


if set("{}") & set(str(PROJECT or "")):
    raise WorkflowError(
        f"{PROJECT}: Snakemake takes braces in this path for wildcards; rename or move the folder"
    )

try:
    study = load_study()
    plan = Plan(study, PACKAGE, workflow_file)
    # clusters' jobs read this file again, but not the user's files
    DIGESTS = study_lock.FOLDER / f"{study.configuration.study or 'paper'}.digests"
    if not workflow.is_main_process:
        plan.contents.recall(DIGESTS)
    # clashes of names and models without a view are mistakes in the configuration too
    IMAGE_KEYS, VIEW_KEYS, SHOWN = plan.image_keys, plan.view_keys, plan.shown
    SHARDED_VIEWS = plan.sharded_view_keys
except NCTransferError as error:
    raise WorkflowError(str(error)) from None

configuration = study.configuration
# The scripts and the report read the complete configuration; whoever imports this workflow keeps their own.
config = configuration.model_dump(mode="json") | {
    # jobs refuse to run with another package
    "package": {"folder": str(PACKAGE / "nctransfer"), "digest": package_digest()},
    # used by the report's captions; no job depends on it
    "captions": {
        section: {
            name: kind_of(section, name).caption for name in variants.names(package)
        }
        for section, package in SECTIONS.items()
    },
}

RESULTS, FIGURES, TABLES, LOGS = plan.results, plan.figures, plan.tables, plan.logs
CPU_THREADS = configuration.resources.threads
job_requests = Requests(plan)
GPUS = job_requests.gpus


wildcard_constraints:
    images=names(IMAGE_KEYS),
    model=names(study.models),
    view=names(VIEW_KEYS),
    run=names(plan.run_keys),
    ranked=names(configuration.rank.datasets),
    figure=names(configuration.figures),
    table=names(configuration.tables),


def ranked_pictures(wildcards):
    """Figures and tables of all rankings; an error if the configuration ranks nothing."""
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


def name_old_stores():
    """Warn of results in an older layout, with the command that converts them."""
    if not (old := old_stores(Path(RESULTS))):
        return
    settings = workflow.config_settings
    command = ["python", "-m", "nctransfer.dag.adopt"]
    if settings.configfiles:
        command += ["--configfile", *map(str, settings.configfiles)]
    if settings.config_args:
        command += ["--config", *settings.config_args]
    command += ["--yes", "--reason", "New layout"]
    logger.warning(
        f"{len(old)} stores have an older layout ({old[0]}, ...) and are made again, unless you first convert "
        f"and keep them: {shlex.join(command)} (docs/adopt.md)"
    )


# By path, from when a run begins; they grow while Snakemake reads.
damaged_records = []


@functools.cache
def begin_run():
    """Become the only run of this study in the folder, if jobs will run.

    Snakemake has no hook before it takes its own locks, but calls the first input function before that. Nor has
    it one for modules when all is planned, but takes its locks then, also in a dry run.
    """
    if workflow.is_main_process:
        damaged_records.append(snakemake_records.protect(workflow.persistence))
        if not IS_MODULE:
            name_old_stores()
    jobs_will_run = workflow.executor_plugin is not None and not workflow.dryrun
    if workflow.is_main_process:
        when_planned(jobs_will_run)
    if not jobs_will_run:
        return
    # one job alone starts as fast by itself
    if workflow.is_main_process or len(workflow.dag_settings.target_jobs) > 1:
        fork_server.start()
    if workflow.is_main_process and workflow.execution_settings.lock:
        try:
            study_lock.begin(configuration.study, logger.info)
        except NCTransferError as error:
            logger.error(str(error))
            sys.exit(1)


def jobs_have_this_software():
    """Whether jobs run with the software of this process, not in containers, conda environments or pods."""
    settings = workflow.storage_settings
    shared = SharedFSUsage.SOFTWARE_DEPLOYMENT in settings.shared_fs_usage
    return shared and not workflow.deployment_settings.deployment_method


def software_of_jobs():
    """Versions with which jobs will run, if they are known and matter; else nothing."""
    ignored = configuration.reruns.software == "ignore"
    return numerical_versions() if jobs_have_this_software() and not ignored else {}


@functools.cache
def finished_results():
    """Compares what exists with the plan."""
    return FinishedResults(
        plan.root,
        software_of_jobs(),
        forces=RerunTrigger.PARAMS in workflow.rerun_triggers,
        software_forces=configuration.reruns.software == "rerun",
    )


def make_stale_again(stage, wildcards, job):
    """Force a job whose outputs exist, but are not those of the plan.

    Input functions are called while Snakemake builds its graph, before it decides which jobs must run.
    """
    if not workflow.is_main_process:
        return

    def recorded(path):
        record = workflow.persistence.metadata(path)
        return None if record is None else str(record.params)

    outputs = [file.apply_wildcards(wildcards) for file in getattr(rules, stage).output]
    workflow.dag.forcefiles.update(finished_results().to_force(job, outputs, recorded))


def say_what_was_found():
    """Name damaged records, stale results, and those of other software."""
    for damaged in filter(None, damaged_records):
        logger.warning(
            f"{len(damaged)} records of Snakemake are damaged and taken for missing ({next(iter(damaged))}, "
            "...); results are compared with the plan by what they say themselves"
        )
    made_again = {
        str(file) for job in workflow.dag.needrun_jobs() for file in job.output
    }
    for warning in finished_results().warnings(made_again):
        logger.warning(warning)
    is_ranking = any(stage == "ranking" for stage, *_ in plan.jobs)
    extracts = any(path.startswith(f"{RESULTS}/features/") for path in made_again)
    if extracts and configuration.features.engine == "openvino":
        if jobs_have_this_software() and "openvino" not in numerical_versions():
            raise WorkflowError(OPENVINO_MISSING)
    if is_ranking and extracts and not configuration.features.mode and has_no_gpu():
        if modes := faster_modes.faster_modes(faster_modes.cpu_flags()):
            logger.info(modes)


def has_no_gpu():
    """Whether networks run on the CPU, if jobs run on this machine."""
    return configuration.device == "cpu" or no_gpu_granted() or not gpus.installed()


def no_gpu_granted():
    """Whether this call gives its jobs no GPU."""
    return workflow.global_resources.get("gpu") == 0


def jobs_to_run():
    """Names of the jobs of this workflow that will run, and their logs, by Snakemake's number."""
    found = {}
    for job in workflow.dag.needrun_jobs():
        # the name of the script is the rule's, also where a module renames the rule
        name = (Path(job.rule.script or "").stem, *job.wildcards)
        if name in plan.jobs:
            found[job.jobid] = name, Path(job.log[0])
    return found


def prices():
    """What jobs cost: on the CPU if none may have a GPU, else on what jobs have run on, or a usual GPU."""
    gpu = cost.NO_GPU if no_gpu_granted() else None
    return cost.prices(plan, gpu, cost.records(plan))


def when_planned(jobs_will_run):
    """Say what the plan has found, and leave what jobs need, when Snakemake takes its locks.

    It releases them at the end of a dry run, whose last lines are the cost of its jobs.
    """
    lock = workflow.persistence.lock

    @contextlib.contextmanager
    def say_cost():
        dry_run = workflow.executor_plugin is not None and workflow.dryrun
        planned = jobs_to_run() if dry_run or jobs_will_run else {}
        if jobs_will_run:
            logger.addHandler(cost.Progress(prices, planned, logger.info))
        with lock():
            yield
        if dry_run and planned:
            for line in cost.summary(
                prices(), [name for name, _ in planned.values()], {}
            ):
                logger.info(line)

    def say_and_lock():
        say_what_was_found()
        if jobs_will_run:
            plan.contents.save(DIGESTS)
            for damaged in damaged_records:
                for path in damaged:
                    Path(path).unlink(missing_ok=True)
        damaged_records.clear()
        return say_cost()

    workflow.persistence.lock = say_and_lock


@functools.cache
def planned(stage):
    """The plan's job for the wildcards of a rule; mistakes are raised as errors of the workflow."""
    derive = getattr(plan, stage)

    @functools.cache
    def checked(*keys_and_values):
        wildcards = dict(keys_and_values)
        job = derive(*wildcards.values())
        make_stale_again(stage, wildcards, job)
        return job

    def job(wildcards):
        try:
            begin_run()
            return checked(*wildcards.items())
        except NCTransferError as error:
            raise WorkflowError(str(error)) from None

    return job


# --- inputs that depend on the plan: one function each, named for what it returns -------------


def filled(output, **keys):
    """Input function that fills another rule's output with values from the plan; no input if one is None."""

    def path(wildcards):
        try:
            begin_run()
            values = {name: key(wildcards) for name, key in keys.items()}
        except NCTransferError as error:
            raise WorkflowError(str(error)) from None
        return [] if None in values.values() else output.apply_wildcards(values)

    return path


def own_file(path):
    """A file of the user's: it stays where it is, also if a storage plugin holds what the workflow makes.

    Its contents are in the job's digest, so its time does not count.
    """
    if contains_wildcard(path):
        raise WorkflowError(
            f"{path}: Snakemake takes braces in this path for wildcards; rename the file or its folder"
        )
    if path.endswith(LEDGER):
        return local(path)
    made = tuple(f"{folder}/" for folder in (RESULTS, FIGURES, TABLES))
    return path if path.startswith(made) else ancient(local(path))


def inputs_of(stage):
    """Input function with all inputs of a job, by name."""
    return lambda wildcards: {
        name: own_file(path) for name, path in planned(stage)(wildcards).inputs.items()
    }


def contents_of_stores(stage):
    """What the stores of a job's inputs contain beside the files that decide about reruns."""

    def contents(wildcards):
        paths = store_contents(planned(stage)(wildcards), RESULTS)
        # the flag lets Snakemake remove copies of folders that came from storage
        return [
            directory(path) if os.path.basename(path) == ARRAYS else path
            for path in paths
        ]

    return ancient(contents)


# the user's own files of a data set: file_0, file_1, ...
files_of_user = inputs_of("images")
# the parts of feature stores: train_0, test_0, train_1, ...; and what they are made from
shards_of_features = inputs_of("features_joined")
# tidy tables: table_0, table_1, ...
tables_of_ranking = inputs_of("ranking")
tables_of_figure = inputs_of("figure")
tables_of_table = inputs_of("table")
# numbers and sidecars of the figures and tables that claims read, and published numbers
numbers_of_claims = inputs_of("chance")
numbers_of_scorecard = inputs_of("scorecard")
# the scorecard, the ledger of adoptions, and the sidecars of all figures and tables
all_that_is_shown = inputs_of("overview")


def source_images(output):
    """Image store of the data set on which a model is trained."""
    return filled(output, images=lambda wildcards: plan.source_images(wildcards.model))


def shown_images(output):
    """Image store of a model's view."""
    return filled(
        output,
        images=lambda wildcards: plan.find_view(wildcards.model, wildcards.view).images,
    )


def downstream_images(output):
    """Image store of the data set of a fine-tuning run."""
    return filled(
        output, images=lambda wildcards: plan.downstream_images(wildcards.run)
    )


def base_model(output):
    """The model itself, or the base model of a fine-tuning run."""
    return filled(
        output,
        model=lambda wildcards: study.base(wildcards.get("model") or wildcards.run),
    )


def tuning_run(output):
    """The run that tuned a model; nothing for other models."""
    return filled(
        output, run=lambda wildcards: study.models[wildcards.model].store or None
    )


def training_or_file(output):
    """The training that a model comes from, or the user's file of weights; nothing for library models."""
    trained = filled(output, model=lambda wildcards: plan.training_of(wildcards.model))
    return lambda wildcards: trained(wildcards) or inputs_of("model")(wildcards).get(
        "checkpoint", []
    )


def weights_with_text_tower(wildcards):
    """The user's file of weights for a run that classifies with its text tower; nothing for other runs."""
    return inputs_of("finetune")(wildcards).get("checkpoint", [])


# --- parameters and resources of a job ------------------------------------------------------------


def job_of(stage):
    """The parameter that passes a job to its script: settings, and the stamp that decides about reruns."""
    return lambda wildcards: planned(stage)(wildcards).told()


def requested(resource, stage):
    """Requested mem_mb or runtime of a rule's job; more when a profile's `retries` tries again."""

    def amount(wildcards, attempt):
        try:
            request = job_requests.request(stage, *wildcards, attempt=attempt)
        except NCTransferError as error:
            raise WorkflowError(str(error)) from None
        return getattr(request, resource)

    return amount


def memory_of(stage):
    """Host memory of a rule's jobs, in MB."""
    return requested("mem_mb", stage)


def runtime_of(stage):
    """Time limit of a rule's jobs, in minutes."""
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
    """Category of a figure or table: its section, or rankings."""
    derived = picture_keys(configuration, section)
    return lambda wildcards: category(
        "Rankings" if wildcards[0] in derived else section.capitalize()
    )


def labels_of(section, form):
    """Labels of a figure or table in the report's lists: its name, and the format of the file.

    All entries have the same two labels: Snakemake turns any but the first label that has two values into a
    switch, and fails if an entry lacks one of them.
    """
    derived = picture_keys(configuration, section)

    def labels(wildcards):
        key = wildcards[0]
        name = key if key in derived else aligned_name(key)
        kind = kind_of(section, configuration.pictures(section)[key].kind)
        return {"Name": f"{name} · {kind.shows}", "Form": form}

    return labels
