"""Which software makes results: this package and its revision, Python, and the libraries that matter."""

import platform
import subprocess
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# Read from their metadata, not imported: torch made the numbers, and nothing is drawn with it.
LIBRARIES = ("numpy", "pandas", "scipy", "matplotlib", "seaborn", "torch")


@cache
def package_version() -> str:
    """Version of this package: that of the project it lies in, else that which is installed."""
    project = Path(__file__).resolve().parents[1] / "pyproject.toml"
    if project.is_file():
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
    try:
        return version("nctransfer")
    except PackageNotFoundError:
        return "of an unknown version"


def library_versions(names: tuple[str, ...] = LIBRARIES) -> dict[str, str]:
    """Versions of the libraries that are installed, by name."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def software() -> dict[str, object]:
    """Versions as a sidecar says them."""
    return {
        "package": {"nctransfer": package_version()},
        "python": platform.python_version(),
        "libraries": library_versions(),
    }


def revision(root: Path) -> dict[str, Any]:
    """Commit of the project and whether files differ from it; a reason where there is none."""
    try:
        top = Path(_git(root, "rev-parse", "--show-toplevel"))
        if top.resolve() != root.resolve():
            return {"commit": None, "reason": "the project is not a git checkout of its own"}
        changed = _git(root, "status", "--porcelain").splitlines()
        return {"commit": _git(root, "rev-parse", "HEAD"), "changed_files": [line[3:] for line in changed]}
    except FileNotFoundError:
        return {"commit": None, "reason": "git is not installed"}
    except subprocess.CalledProcessError as error:
        said = (error.stderr or "").strip().splitlines()
        return {
            "commit": None,
            "reason": said[0].removeprefix("fatal: ") if said else "git refuses to answer",
        }


def _git(root: Path, *arguments: str) -> str:
    run = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    return run.stdout.rstrip("\n")
