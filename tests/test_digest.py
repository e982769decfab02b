"""Digests: they change with what decides a result, and with nothing else."""

import marshal
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from project import Project

from nctransfer.config.load import load
from nctransfer.dag import digest, stages
from nctransfer.dag.canonical import EVERY_SETTING
from nctransfer.dag.digest import job_stamp, reached_code, reached_modules
from nctransfer.dag.plan import Plan

ROOT = Path(__file__).resolve().parents[1]
FILES = {
    "script.py": "from pkg.a import f\nf()\n",
    "pkg/__init__.py": '"""Package."""\n',
    "pkg/a.py": "from . import b\nfrom pkg.deep.c import g\n\ndef f():\n    return b.x + g()\n",
    "pkg/b.py": "x = 1\n",
    "pkg/deep/__init__.py": "",
    "pkg/deep/c.py": "import numpy\n\ndef g():\n    from pkg import late\n    return late.y\n",
    "pkg/late.py": "y = 2\n",
    "pkg/other.py": "z = 3\n",
    "pkg/variant.py": "from pkg import other\n\nw = other.z\n",
}


def forget(*more: Callable) -> None:
    """Caches by path hold for one process of Snakemake; a test edits files in between."""
    for cached in (reached_code, reached_modules, digest._module, digest._source, *more):
        cached.cache_clear()


@pytest.fixture
def project(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def code(root: Path, variants=()) -> str:
    forget(digest._records)
    return reached_code(root, "script.py", frozenset(variants)).digest


def test_it_reaches_all_that_a_script_imports_and_no_more(project):
    forget()
    assert set(reached_modules(project, "script.py")) == {
        "script.py", "pkg", "pkg.a", "pkg.b", "pkg.deep", "pkg.deep.c", "pkg.late",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["script.py", "pkg/a.py", "pkg/b.py", "pkg/deep/c.py", "pkg/late.py", "pkg/__init__.py"]
)
def test_code_that_is_reached_changes_it(project, name):
    before = code(project)
    (project / name).write_text(FILES[name] + "\nprint(1)\n")
    assert code(project) != before


@pytest.mark.parametrize("damage", [None, b"", b"\xac\xed", b"cut", "other"])
def test_what_was_read_in_an_earlier_run_gives_the_same_digests(project, monkeypatch, damage):
    monkeypatch.chdir(project)
    plain = code(project)
    (project / ".snakemake").mkdir()
    assert code(project) == plain
    records = project / digest.RECORDS
    if damage is None:  # and nothing is read again
        monkeypatch.setattr(digest, "read_module", None)
    else:
        whole = records.read_bytes()
        records.write_bytes(
            {"other": marshal.dumps(("another tree", {})), b"cut": whole[:-9]}.get(damage, damage)
        )
    assert code(project) == plain


def test_an_earlier_run_does_not_hide_a_change(project, monkeypatch):
    monkeypatch.chdir(project)
    (project / ".snakemake").mkdir()
    (project / "pkg/b.py").write_text("import extra\n")  # a library, it seems
    before = code(project)
    (project / "extra").mkdir()
    (project / "extra/__init__.py").write_text("X = 1\n")  # no: a module of this project
    with_own = code(project)
    assert with_own != before
    (project / "extra/__init__.py").write_text("X = 2\n")
    assert code(project) != with_own
    shutil.rmtree(project / "extra")
    assert code(project) == before


def test_a_variant_counts_only_where_it_is_chosen(project):
    plain, chosen = code(project), code(project, ["pkg.variant"])
    assert plain != chosen
    (project / "pkg/other.py").write_text("z = 5\n")
    assert code(project) == plain
    assert code(project, ["pkg.variant"]) != chosen


def test_settings_of_the_same_name_in_several_modules_all_count(project):
    """Else the digest depends on the order in which modules are found, which changes from process to process."""
    names = ["pkg.b", "pkg.late", "pkg.deep.c"]

    def with_defaults(*defaults: int) -> str:
        for name, default in zip(names, defaults, strict=True):
            path = project / f"{name.replace('.', '/')}.py"
            own = FILES[f"{name.replace('.', '/')}.py"]
            path.write_text(
                f"{own}\nclass Options(Settings):\n    scale: int = {default}\n\nOptions().scale\n"
            )
        return code(project)

    made = {with_defaults(*defaults) for defaults in ((1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2))}
    assert len(made) == 4


def test_settings_and_inputs_change_a_stamp_and_their_key_order_does_not(project):
    forget()
    made = job_stamp(project, "script.py", {"a": 1, "b": [2]}, ["path"], {"x": "1"})
    assert made == job_stamp(project, "script.py", {"b": [2], "a": 1}, ["path"], {"x": "1"})
    for other in (
        job_stamp(project, "script.py", {"a": 1, "b": [3]}, ["path"], {"x": "1"}),
        job_stamp(project, "script.py", {"a": 1, "b": [2]}, ["other"], {"x": "1"}),
        job_stamp(project, "script.py", {"a": 1, "b": [2]}, ["path"], {"x": "2"}),
    ):
        assert other.digest != made.digest
        assert other.code == made.code
    with pytest.raises(TypeError):
        job_stamp(project, "script.py", {"a": Path()})


# --- what is left out, construct by construct ---------------------------------------------

PAIRS = yaml.safe_load((ROOT / "tests" / "canonical.yaml").read_text())


@pytest.mark.parametrize(("kind", "case"), [(kind, case) for kind in PAIRS for case in PAIRS[kind]])
def test_what_changes_a_result_counts_and_nothing_else(project, kind, case):
    made = set()
    for text in PAIRS[kind][case]:
        (project / "pkg/b.py").write_text(text + "x = 1\n")
        made.add(code(project))
    assert len(made) == (1 if kind == "same" else 2)


def test_facts_of_a_variant_are_its_constants_and_what_computes_them(project):
    def facts(text):
        (project / "pkg/variant.py").write_text(text)
        return code(project, ["pkg.variant:facts"])

    plain = facts("X = 1\n\ndef f():\n    return 1\n")
    assert facts("X = 1\n\ndef f():\n    return 2\n") == plain != facts("X = 2\n\ndef f():\n    return 1\n")
    computed = "def f():\n    return {}\n\nX = f()\n"
    assert facts(computed.format(1)) != facts(computed.format(2))


def test_a_module_may_have_another_name(project):
    before = code(project)
    (project / "pkg/b.py").rename(project / "pkg/deep/bee.py")
    (project / "pkg/a.py").write_text(
        FILES["pkg/a.py"].replace("from . import b", "from pkg.deep import bee").replace("b.x", "bee.x")
    )
    (project / "pkg/deep/c.py").rename(project / "pkg/deep/sea.py")
    (project / "pkg/a.py").write_text((project / "pkg/a.py").read_text().replace("deep.c ", "deep.sea "))
    assert code(project) == before


def test_the_same_sources_give_the_same_digest_in_every_installed_python():
    """Python versions print trees differently; digests must not depend on who computes them."""
    statement = (
        "import sys; sys.path.insert(0, sys.argv[1]); from nctransfer.dag.digest import reached_code; from pathlib import Path;"
        "print(reached_code(Path(sys.argv[1]), 'workflow/scripts/features.py').digest)"
    )
    made = {reached_code(ROOT, "workflow/scripts/features.py").digest}
    for name in ("python3.11", "python3.12", "python3.13"):
        try:
            run = subprocess.run(
                [name, "-S", "-c", statement, str(ROOT)], capture_output=True, text=True, check=True
            )
        except (FileNotFoundError, subprocess.CalledProcessError):
            continue  # not installed here
        made.add(run.stdout.strip())
    assert len(made) == 1
    assert sys.version_info >= (3, 11)


# --- the paper's jobs -----------------------------------------------------------------------


class PaperJobs:
    """Every job of the paper, and a copy of the code that they reach."""

    def __init__(self, folder: Path) -> None:
        self.root = Project.fresh(folder).folder
        self.modules: list[Path] = []
        calls = []

        def noted(root, script, settings, inputs, made_by, variants):
            stamp = job_stamp(root, script, settings, inputs, made_by, variants)
            calls.append((stamp, script, frozenset(variants)))
            return stamp

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(stages, "job_stamp", noted)
            forget()
            plan = Plan(load(self.root / "config.yaml"), self.root)
            for section in ("figures", "tables"):
                for key in plan.configuration.pictures(section):
                    plan.picture(section, key)
            plan.overview(), plan.provenance()
        # jobs of one digest write the same; each stands before those that read it
        self.jobs = {stamp.digest: (stamp, script, variants) for stamp, script, variants in calls}
        self.before = self.codes()

    def codes(self) -> dict[str, str]:
        """Digest of the code of every job as the files are now, by the job's digest at first."""
        # what is kept by contents holds as long as there are the same modules
        modules = sorted((self.root / "nctransfer").rglob("*.py"))
        forget(*([] if modules == self.modules else [digest._records]))
        self.modules = modules
        return {
            name: reached_code(self.root, script, variants).digest
            for name, (_, script, variants) in self.jobs.items()
        }

    def stale(self) -> tuple[Counter[str], int]:
        """Jobs whose code has changed, by rule; and how many are stale, those that read their outputs among them."""
        now = self.codes()
        changed = {name for name in self.jobs if now[name] != self.before[name]}
        stale = set(changed)
        for name, (stamp, *_) in self.jobs.items():
            if stale & set(stamp.made_by.values()):
                stale.add(name)
        return Counter(Path(self.jobs[name][1]).stem for name in changed), len(stale)

    def all_of(self, *rules: str) -> Counter[str]:
        """Jobs of these rules."""
        found = Counter(Path(script).stem for _, script, _ in self.jobs.values())
        return Counter({rule: found[rule] for rule in rules})


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    return PaperJobs(tmp_path_factory.mktemp("paper") / "p")


@pytest.fixture
def edit(paper):
    """Replace a text that stands once in a file; undone after the test."""
    originals: dict[Path, str | None] = {}

    def replace(name: str, old: str, new: str) -> None:
        path = paper.root / name
        text = path.read_text() if path.is_file() else None
        originals.setdefault(path, text)
        assert (text or "").count(old) == 1 or not old, f"{old!r} in {name}"
        path.write_text((text or "").replace(old, new) if old else (text or "") + new)

    yield replace
    for path, text in originals.items():
        path.unlink() if text is None else path.write_text(text)


NOTHING = {
    "words of an error": [("nctransfer/storage/stores.py", "no such store; it was not made", "nothing here; not made")],
    "words of an error of decoding": [("nctransfer/data/decode.py", "corrupt or truncated (", "damaged (")],
    "a log line": [("nctransfer/training/loop.py", '"continues after epoch %d, step %d"', '"resumed: epoch %d, step %d"')],
    "one more log line": [
        ("nctransfer/collapse/class_statistics.py", "", "\nimport logging\n\nlogger = logging.getLogger(__name__)\nlogger.info('read')\n")
    ],
    "a new exception class": [("nctransfer/errors.py", "", '\n\nclass QuotaError(StoreError):\n    """No room."""\n')],
    "a docstring": [("nctransfer/features/extract.py", '"""Write the feature store of one split,', '"""Leave the features,')],
    "a comment": [("nctransfer/training/loop.py", "\nCHECKED_EVERY", "\n# seldom\nCHECKED_EVERY")],
    "an annotation": [("nctransfer/training/learning_rate_schedule.py", "def cosine(epoch: int, epochs: int,", "def cosine(epoch, epochs: float,")],
    "a new variant": [
        ("nctransfer/transferability/scores/mine.py", "", "def score(problem):\n    return {}\n"),
        ("nctransfer/training/losses/mine.py", "", "def build(settings, classes):\n    return None\n"),
    ],
    "a new optional setting": [
        ("nctransfer/features/settings.py", "    geometry: Geometry\n", "    mean_of_views: bool = False\n    geometry: Geometry\n"),
        ("nctransfer/training/settings.py", "    decay: StepDecaySettings", "    mean_of_views: bool = False\n    decay: StepDecaySettings"),
        ("nctransfer/config/training.py", "", "\nclass MoreSettings(Settings):\n    mean_of_views: bool = False\n"),
    ],
    "what messages offer": [("nctransfer/suggestions.py", "cutoff=0.6", "cutoff=0.7")],
    "what runs jobs": [("nctransfer/runtime/gpus.py", "", "\nX = 1\n"), ("nctransfer/runtime/job.py", "", "\nX = 1\n")],
    "the order of imports": [
        ("nctransfer/training/loop.py", "import logging\nimport math\n", "import math\n"),
        ("nctransfer/training/loop.py", "from nctransfer.training.stop_signals import StopRequest\n", "from nctransfer.training.stop_signals import StopRequest\nimport logging\n"),
    ],
}  # fmt: skip


def test_no_module_of_the_papers_jobs_may_read_any_setting(paper):
    """Else a new optional setting would make its jobs stale."""
    forget()
    modules = {}
    for _, script, variants in paper.jobs.values():
        modules |= reached_modules(paper.root, script, variants)
    assert len(modules) > 100
    assert [name for name, module in modules.items() if EVERY_SETTING in module.names] == []


def test_no_job_of_the_paper_is_stale_after_changes_without_effect(paper, edit):
    """All at once, since each would take seconds; one that has an effect shows by its jobs."""
    for changes in NOTHING.values():
        for change in changes:
            edit(*change)
    assert paper.stale() == (Counter(), 0)


def test_no_job_of_the_paper_is_stale_after_a_module_is_renamed(paper, edit):
    kept = (paper.root / "nctransfer/finetuning/prefix_cache.py").read_text()
    edit("nctransfer/finetuning/cache.py", "", kept)
    edit("nctransfer/finetuning/prefix_cache.py", kept, "")
    edit("nctransfer/finetuning/run.py", "nctransfer.finetuning.prefix_cache", "nctransfer.finetuning.cache")
    assert paper.stale() == (Counter(), 0)


CHANGES = {
    "a constant": ("nctransfer/training/evaluation.py", "", "\nX = 2\n", ("pretrain", "finetune")),
    "an operator": ("nctransfer/training/learning_rate_schedule.py", "return end + (", "return end - (", ("pretrain", "finetune")),
    "a default": ("nctransfer/features/extract.py", "", "\ndef f(x=1):\n    return x\n", ("features",)),
    "a default of a setting": (
        "nctransfer/training/settings.py", "warmup_epochs: int = 0", "warmup_epochs: int = 5", ("pretrain", "finetune"),
    ),
    "a caught exception": (
        "nctransfer/features/extract.py", "except (RuntimeError, MemoryError) as error:", "except ValueError as error:", ("features",),
    ),
    "a called function of a library": (
        "nctransfer/training/learning_rate_schedule.py", "math.cos(", "math.sin(", ("pretrain", "finetune"),
    ),
    "a dtype": ("nctransfer/finetuning/data.py", "dtype=torch.uint8", "dtype=torch.int16", ("finetune",)),
    "words of an error that are written": (
        "nctransfer/collapse/nc2_to_nc4.py", "so NC2 says nothing; it needs three", "so NC2 has no value",
        ("metrics", "head_metrics", "scores"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_exactly_the_jobs_of_the_paper_that_reach_it_are_stale_after(case, paper, edit):
    *change, rules = CHANGES[case]
    edit(*change)
    changed, stale = paper.stale()
    assert changed == paper.all_of(*rules)
    assert stale > changed.total()
