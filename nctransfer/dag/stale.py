"""Existing results that are not those of the plan, although Snakemake's records do not say so."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from nctransfer.errors import StoreError
from nctransfer.stamp import Stamp
from nctransfer.storage.stamps import read_stamp

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
        if not path.endswith(STAMPED) or not Path(path).is_file():
            continue
        told = recorded(path)
        if told is not None and digest not in told:
            continue
        try:
            found[path] = read_stamp(Path(path))
        except (StoreError, OSError):
            continue
    return found


def other_versions(stamp: Stamp, rule: str, versions: Mapping[str, str]) -> str:
    """Libraries of which another version made a result than those given, in words; empty if there is none."""
    made_with = stamp.own(rule)
    if made_with is None:
        return ""
    return ", ".join(
        f"{name} {version} (now {versions[name]})"
        for name, version in made_with.versions.items()
        if versions.get(name, version) != version
    )
