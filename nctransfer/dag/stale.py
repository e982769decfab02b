"""Results that are not those of the plan, although Snakemake's records do not say so."""

from collections.abc import Callable, Iterable
from pathlib import Path

from nctransfer.errors import StoreError
from nctransfer.storage.stamps import read_stamp

STAMPED = (".json", ".parquet")  # outputs that carry a stamp: manifests, tidy tables, sidecars


def stale_outputs(outputs: Iterable[str], digest: str, recorded: Callable[[str], str | None]) -> list[str]:
    """Existing outputs of a job that another code, other settings or other inputs made.

    Snakemake compares what it has recorded of an output with the plan, but takes a file without a record, or
    one that was put in the place of the recorded one, for what is planned.

    Args:
        outputs: paths of the job's outputs.
        digest: digest of the planned job.
        recorded: what Snakemake has recorded of the parameters with which a file was made; None for nothing.

    Returns:
        those that carry another digest and that Snakemake will not make again by itself. Files without a
        legible stamp are not among them: whoever reads them says so.
    """
    found = []
    for path in outputs:
        if not path.endswith(STAMPED) or not Path(path).is_file():
            continue
        told = recorded(path)
        if told is not None and digest not in told:
            continue
        try:
            made_by = read_stamp(Path(path)).digest
        except (StoreError, OSError):
            continue
        if made_by != digest:
            found.append(path)
    return found
