"""A copy of the project in a folder of its own, driven through its real command line."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import yaml

from nctransfer.config.yaml_files import read_mapping

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("Snakefile", "pyproject.toml", "config.yaml", "config", "profiles", "workflow", "nctransfer")
TINY = ROOT / "tests" / "tiny.yaml"
# of figures that are drawn without a configuration
STYLE = {
    "nc1_color": "#0072B2", "accuracy_color": "#D55E00", "fit_color": "#404040", "font_size": 8, "width": 6.75, "dpi": 60,
}  # fmt: skip


def _variables() -> dict[str, str]:
    """The environment, but for what pytest changes from test to test, and what torch and tokenizers set."""
    changing = ("PYTEST_", "TORCHINDUCTOR_", "TOKENIZERS_")
    return {name: value for name, value in os.environ.items() if not name.startswith(changing)}


STARTED = _variables()


@cache
def _server(python: str) -> subprocess.Popen:
    """The process that runs Snakemake for this test process."""
    script = Path(__file__).with_name("snakemake_server.py")
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        [python, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )


class Project:
    """The workflow in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def fresh(cls, folder: Path) -> "Project":
        """Copy the project's sources, with the overlay of the tests."""
        folder.mkdir(parents=True, exist_ok=True)
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, folder / part)
        shutil.copy2(TINY, folder / "tiny.yaml")
        return cls(folder)

    @classmethod
    def small(cls, folder: Path) -> "Project":
        """Copy the project without the paper's models, data and pictures, whose plan takes twice as long."""
        project = cls.fresh(folder)
        paper = read_mapping(folder / "config.yaml")
        kept = paper.keys() - {"datasets", "models", "families", "figures", "tables", "rank"}
        (folder / "config.yaml").write_text(yaml.safe_dump({key: paper[key] for key in kept}))
        return project

    def clone(self, folder: Path) -> "Project":
        """Copy sources, results and Snakemake's records, modification times included."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return type(self)(folder)

    @contextmanager
    def restored(self) -> Iterator["Project"]:
        """Put all files back afterwards, but Snakemake's own: for dry runs, which cost no more than a clone."""
        before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in self._files()}
        try:
            yield self
        finally:
            for path in self._files() - before.keys():
                path.unlink()
            for path, (data, time) in before.items():
                if not path.exists() or path.stat().st_mtime_ns != time:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(data)
                    os.utime(path, ns=(time, time))

    def _files(self) -> set[Path]:
        folders = (path for path in self.folder.iterdir() if path.name != ".snakemake")
        return {path for folder in folders for path in (folder, *folder.rglob("*")) if path.is_file()}

    def command(self, *arguments: str, overlay: str | None = "tiny.yaml") -> list[str]:
        """The command line of a run with the project's overlay."""
        chosen = ["--configfile", overlay] if overlay else []
        return [sys.executable, "-m", "snakemake", "-j2", "--nocolor", *chosen, "--", *arguments]

    def run(self, *targets: str, options: tuple[str, ...] = (), overlay: str | None = "tiny.yaml"):
        """Run Snakemake; returns the finished process with its output."""
        python, *typed = self.command(*targets, overlay=overlay)
        cut = typed.index("--")
        typed = [*typed[:cut], *options, *typed[cut:]]
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
        if _variables() != STARTED:  # libraries read some variables when they are loaded
            return subprocess.run(
                [python, *typed],
                cwd=self.folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
        with tempfile.TemporaryDirectory() as folder:
            out, err = (Path(folder) / name for name in ("out", "err"))
            asked = {
                "arguments": typed[2:], "folder": str(self.folder), "environment": environment,
                "out": str(out), "err": str(err),
            }  # fmt: skip
            server = _server(python)
            server.stdin.write(json.dumps(asked) + "\n")
            server.stdin.flush()
            status = int(server.stdout.readline())
            return subprocess.CompletedProcess([python, *typed], status, out.read_text(), err.read_text())

    def planned(self, *targets: str, overlay: str | None = "tiny.yaml") -> Counter[str]:
        """Jobs that a run would do now, by rule."""
        run = self.run(*targets, options=("-n",), overlay=overlay)
        assert run.returncode == 0, run.stderr + run.stdout
        table = re.search(r"^job +count\n-+ +-+\n(.*?)^total", run.stdout, re.MULTILINE | re.DOTALL)
        if table is None:
            assert "Nothing to be done" in run.stdout + run.stderr, run.stdout + run.stderr
            return Counter()
        rows = (line.split() for line in table[1].splitlines() if line.strip())
        return Counter(
            {
                rule: int(count)
                for rule, count in rows
                if rule not in ("all", "default", "figures") and "/" not in rule
            }
        )

    def read(self, name: str) -> str:
        """Text of one of its files."""
        return (self.folder / name).read_text()

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that stands once in a file."""
        text = self.read(name)
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        (self.folder / name).write_text(text.replace(old, new))

    def contents(self, *folders: str) -> dict[str, bytes]:
        """Bytes of every file below folders, by path."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for folder in folders
            for path in sorted((self.folder / folder).rglob("*"))
            if path.is_file()
        }


# --- changes of a project, to be made later ---------------------------------------------------------


def edit(name: str, old: str, new: str) -> Callable[[Project], None]:
    """Replace a text that stands once in a file."""
    return lambda project: project.edit(name, old, new)


def append(name: str, text: str) -> Callable[[Project], object]:
    """Write to the end of a file."""
    return lambda project: (project.folder / name).write_text(project.read(name) + text)


def add(name: str, text: str) -> Callable[[Project], object]:
    """Write a new file."""
    return lambda project: (project.folder / name).write_text(text)


def swap(one: Path, other: Path) -> None:
    """Let two files or folders change places."""
    between = one.with_name("between")
    one.rename(between)
    other.rename(one)
    between.rename(other)
