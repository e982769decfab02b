"""Existing results that are not those of the plan, although Snakemake's records do not say so."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

from nctransfer.dag.digest import reached_code
from nctransfer.dag.job import Job
from nctransfer.errors import StoreError
from nctransfer.stamp import DRAWING, Stamp
from nctransfer.storage.stamps import read_stamp
from nctransfer.storage.stores import MANIFEST
from nctransfer.versions import libraries_of

STAMPED = (".json", ".parquet")  # outputs that carry a stamp: manifests, tidy tables, sidecars
NAMED = 10


class FinishedResults:
    """Compares the results of jobs, one job after the other, with the plan and with the installed software.

    Args:
        root: folder that contains the package.
        versions: those with which jobs will run, by library; none if they are not known or do not matter.
        forces: whether stale results are made again.
        software_forces: whether results of other versions are made again too.
    """

    def __init__(self, root: Path, versions: Mapping[str, str], forces: bool, software_forces: bool) -> None:
        self._root, self._versions = root, versions
        self._forces, self._software_forces = forces, software_forces
        self._stale: list[str] = []
        self._other_software: dict[str, str] = {}  # an output of a job, and versions in words

    def to_force(self, job: Job, outputs: Iterable[str], recorded: Callable[[str], str | None]) -> list[str]:
        """Outputs of a job that Snakemake must be told to make again.

        ``recorded`` gives what Snakemake has recorded of the parameters with which a file was made; None for
        nothing.
        """
        stamps = kept_stamps(outputs, job.stamp.digest, recorded)
        found = [path for path, stamp in stamps.items() if stamp.digest != job.stamp.digest]
        if not found and stamps and self._versions and job.rule not in DRAWING:
            code = reached_code(self._root, str(job.script.absolute()), job.variants)
            libraries = libraries_of(code.libraries)
            if versions := other_versions(stamps.values(), job.rule, self._versions, libraries):
                self._other_software[next(iter(stamps))] = versions
                if self._software_forces:
                    found = list(stamps)
        if not self._forces:
            return []
        self._stale += found
        return found

    def warnings(self, made_again: Collection[str]) -> Iterator[str]:
        """What has been found since the last call; ``made_again`` are all outputs that the run makes."""
        if self._stale:
            shown, more = self._stale[:NAMED], len(self._stale) - NAMED
            yield (
                "made by other code, settings, data or software than planned now, so made again: "
                f"{', '.join(shown)}{f', and {more} more' if more > 0 else ''}"
            )
        fates = Counter((versions, path in made_again) for path, versions in self._other_software.items())
        for (versions, again), count in fates.items():
            fate = (
                "they are made again"
                if again
                else "they are kept beside new ones. `reruns: {software: rerun}` makes them again, `ignore` "
                "keeps them unsaid"
            )
            yield f"results of {count} jobs were made with {versions}; {fate}"
        self._stale, self._other_software = [], {}


def kept_stamps(
    outputs: Iterable[str], digest: str, recorded: Callable[[str], str | None]
) -> dict[str, Stamp]:
    """Stamps, by path, of the existing outputs of a job that Snakemake will not make again by itself.

    Snakemake compares what it has recorded of an output with the plan, but takes a file without a record, or
    one that was put in the place of the recorded one, for what is planned. Files without a legible stamp are
    left out: whoever reads them says so.
    """
    found = {}
    for path in outputs:
        file = Path(path)
        if file.suffix not in STAMPED or not file.is_file():
            continue
        if file.suffix == ".parquet" and file.with_name(MANIFEST).is_file():  # has the stamp of its store
            continue
        told = recorded(path)
        if told is not None and digest not in told:
            continue
        try:
            found[str(path)] = read_stamp(file)
        except (StoreError, OSError):
            continue
    return found


def other_versions(
    stamps: Iterable[Stamp], rule: str, versions: Mapping[str, str], libraries: Collection[str]
) -> str:
    """Libraries of which another version made a job's results than those given, in words; "" if none.

    ``libraries`` are those that count for the job; CUDA and cuDNN are not among ``versions``.
    """
    found = {
        f"{name} {version} (now {versions[name]})"
        for stamp in stamps
        for record in stamp.own(rule)
        for name, version in record.versions.items()
        if name in libraries and versions.get(name, version) != version
    }
    return ", ".join(sorted(found))
