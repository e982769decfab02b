# Finds the Python package that belongs to these rules: beside them, or installed.
import functools
import io
import os
import runpy
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from importlib import util
from importlib.machinery import PathFinder
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.sourcecache import (
    HostingProviderFile,
    LocalGitFile,
    LocalSourceFile,
)

# Snakemake (9.27) hands a script's path to this method as an object, which only files of GitHub and GitLab join.
if not hasattr(LocalGitFile.join, "__wrapped__"):

    def with_text(join):
        return functools.wraps(join)(lambda source, path: join(source, os.fspath(path)))

    LocalGitFile.join = with_text(LocalGitFile.join)

# Where these rules are: the folder of this project, or a git repository if they are not on this machine.
SOURCE, PROJECT = workflow.current_basedir, None
if isinstance(SOURCE, LocalSourceFile):
    PROJECT = Path(SOURCE.get_path_or_uri(secret_free=True)).resolve().parents[1]
# The package beside these rules.
OWN = PROJECT / "nctransfer" if PROJECT else None


def workflow_file(path):
    """A file of the workflow, by its path in the project; fetched if the project is not on this machine."""
    return PROJECT / path if PROJECT else Path(workflow.source_path(f"../../{path}"))


def package_in_use():
    """Folder of the package that scripts import, unless it is only beside these rules; None if there is none."""
    if "nctransfer" in sys.modules:
        return Path(sys.modules["nctransfer"].__file__).resolve().parent
    # scripts look first where packages are installed, whatever folder this process was started in
    here = {PROJECT, Path.cwd()}
    elsewhere = [path for path in sys.path if Path(path).resolve() not in here]
    installed = PathFinder.find_spec("nctransfer", elsewhere)
    found = installed or util.find_spec("nctransfer")
    return Path(found.origin).resolve().parent if found and found.origin else None


def digest_of_own(digest):
    """Digest of the package that belongs to these rules; None where its files are not within reach."""
    if PROJECT:
        return digest(OWN) if OWN.is_dir() else None
    if isinstance(SOURCE, LocalGitFile):
        repository = SOURCE.repo_path
    elif isinstance(SOURCE, HostingProviderFile):
        repository = SOURCE.hosted_repo.repo_clone
    else:
        return None
    command = ["git", "-C", str(repository), "archive", SOURCE.ref, "nctransfer"]
    archive = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(folder, filter="data")
        return digest(Path(folder) / "nctransfer")


def own_version():
    """Version of the package that belongs to these rules."""
    text = workflow_file("pyproject.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["project"]["version"]


def find_package():
    """Folder that contains the package; an error unless it is the one that belongs to these rules."""
    used = package_in_use() or OWN
    if used is None or not used.is_dir():
        raise WorkflowError(
            "the Python package nctransfer is neither beside these rules nor installed; install the version "
            f"that belongs to them, {own_version()}, into the environment of Snakemake"
        )
    if used == OWN:
        sys.path.insert(0, str(PROJECT))
        return PROJECT
    facts = runpy.run_path(str(used / "versions.py"))
    digest = facts.get("package_digest")  # older versions have none
    needed = own_version(), digest and digest_of_own(digest)
    given = facts["package_version"](), digest and needed[1] and digest(used)
    if needed != given:
        needed, given = (
            f"version {version}, digest {digest or 'unknown'}"
            for version, digest in (needed, given)
        )
        raise WorkflowError(
            f"the Python package nctransfer in use is {used} ({given}), but these rules belong to another one "
            f"({needed}); install that, or remove the other: pip uninstall nctransfer"
        )
    return used.parent


PACKAGE = find_package()
