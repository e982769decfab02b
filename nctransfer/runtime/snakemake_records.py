"""Snakemake's records in ``.snakemake``: safe beside other runs, and legible when they are damaged.

When a run ends, Snakemake (9.27) removes the folder with the locks of all runs; another one that is about to
write its own dies. A record that is damaged in a way that it does not expect ends the planning with a
traceback. Both are mended on the object that holds the records of this run.
"""

from pathlib import Path
from typing import Any

from snakemake.persistence import MetadataRecord
from snakemake.persistence.file import FilePersistence


def protect(records: Any) -> dict[str, None]:
    """Let a run remove only its own locks, and take damaged records for missing ones.

    Returns the paths of these, which become more while Snakemake reads; records in a database stay.
    """
    damaged: dict[str, None] = {}
    if not isinstance(records, FilePersistence):
        return damaged
    read = records._io_read

    def unlock() -> None:
        for path in records._lockfile.values():
            Path(path).unlink(missing_ok=True)
        records._lockfile.clear()

    def read_legible(folder: str, name: str) -> dict[str, Any]:
        try:
            record = read(folder, name)
            if folder == records._metadata_path and record:
                MetadataRecord.model_validate(record)
            return dict(record or {})
        except (ValueError, TypeError, RecursionError):  # of the decoder, of JSON and of pydantic
            damaged[records._record_path(folder, name)] = None
            return {}

    records.unlock = unlock
    records._io_read = read_legible
    for path in Path(records._lockdir).glob("*.lock"):
        try:
            path.read_text()
        except OSError:  # another run has just ended, or it is another user's
            continue
        except UnicodeDecodeError:
            damaged[str(path)] = None
            path.unlink(missing_ok=True)
    return damaged
