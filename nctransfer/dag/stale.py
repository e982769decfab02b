"""Existing results that are not those of the plan, although Snakemake's records do not say so."""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from nctransfer.errors import StoreError
from nctransfer.stamp import Stamp
from nctransfer.storage.stamps import read_stamp
from nctransfer.storage.stores import MANIFEST

STAMPED = (".json", ".parquet")  # outputs that carry a stamp: manifests, tidy tables, sidecars


def kept_stamps(
    outputs: Iterable[str], digest: str, recorded: Callable[[str], str | None]
) -> dict[str, Stamp]:
    """Stamps, by path, of the existing outputs of a job that Snakemake will not make again by itself.

    Snakemake compares what it has recorded of an output with the plan, but takes a file without a record, or
    one that was put in the place of the recorded one, for what is planned. ``digest`` is the planned job's,
    ``recorded`` gives the recorded parameters of a path. Files without a legible stamp are left out: whoever
    reads them says so.
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
            found[path] = read_stamp(file)
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
