"""Versions of the software that makes results: this package, its revision, Python and libraries."""

import hashlib
import platform
import subprocess
import tomllib
from collections.abc import Collection
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# Libraries whose version may change numbers, and the packages that they consist of. Versions are read from
# metadata, without importing anything.
NUMERICAL = {
    "torch": "torch", "torchvision": "torchvision", "timm": "timm", "open_clip_torch": "open_clip",
    "numpy": "numpy", "scipy": "scipy", "scikit-learn": "sklearn", "pandas": "pandas", "pillow": "PIL",
    "datasets": "datasets", "openvino": "openvino",
}  # fmt: skip
# What every job computes with, if only through other libraries.
ALWAYS = ("python", "numpy")
# Libraries that draw figures and write tables.
LIBRARIES = ("numpy", "pandas", "scipy", "matplotlib", "seaborn", "torch")


@cache
def package_version() -> str:
    """Version of this package: from the enclosing project, else of the installed package."""
    project = Path(__file__).resolve().parents[1] / "pyproject.toml"
    if project.is_file():
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
    try:
        return version("nctransfer")
    except PackageNotFoundError:
        return "of an unknown version"


def package_digest(folder: Path = Path(__file__).parent) -> str:
    """Digest of a package's sources, by default of this one."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        contents = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(contents)}\n".encode())
        digest.update(contents)
    return digest.hexdigest()[:12]


def library_versions(names: tuple[str, ...] = LIBRARIES) -> dict[str, str]:
    """Versions of the installed ones of some libraries, by name."""
    versions = {}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


@cache
def numerical_versions() -> dict[str, str]:
    """Versions of Python and of the installed libraries on which numbers may depend, by name."""
    versions = {"python": platform.python_version(), **library_versions(tuple(NUMERICAL))}
    return dict(sorted(versions.items()))


def libraries_of(packages: Collection[str]) -> set[str]:
    """Names of the libraries, as in :func:`numerical_versions`, that a job with these packages uses."""
    return {*ALWAYS, *(name for name, package in NUMERICAL.items() if package in packages)}


def software() -> dict[str, object]:
    """Versions for a sidecar: what draws, not what computed."""
    return {
        "package": {"nctransfer": package_version()},
        "python": platform.python_version(),
        "libraries": library_versions(),
    }


def revision(root: Path) -> dict[str, Any]:
    """Commit of the project and files that differ from it; or the reason why there is none."""
    try:
        top = Path(_git(root, "rev-parse", "--show-toplevel"))
        if top.resolve() != root.resolve():
            return {"commit": None, "reason": "the project is not a git checkout of its own"}
        changed = _git(root, "status", "--porcelain").splitlines()
        return {"commit": _git(root, "rev-parse", "HEAD"), "changed_files": [line[3:] for line in changed]}
    except FileNotFoundError:
        return {"commit": None, "reason": "git is not installed"}
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or "").strip().splitlines()
        reason = lines[0].removeprefix("fatal: ") if lines else "git refuses to answer"
        return {"commit": None, "reason": reason}


def _git(root: Path, *arguments: str) -> str:
    run = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    return run.stdout.rstrip("\n")
