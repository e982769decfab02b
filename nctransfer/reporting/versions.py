"""Which software makes a figure or a table: this package, Python and the libraries that matter."""

import platform
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# Read from their metadata, not imported: torch made the numbers, and nothing is drawn with it.
LIBRARIES = ("numpy", "pandas", "scipy", "matplotlib", "seaborn", "torch")


@cache
def package_version() -> str:
    """Version of this package: that of the project it lies in, else that which is installed."""
    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
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
