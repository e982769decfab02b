"""The exceptions of this package.

Every message names the key or file, its value and what is allowed. The workflow prints it without a
traceback, so it must be understandable alone.
"""


class NCTransferError(Exception):
    """Base of all errors that the user, not the programmer, can fix."""


class ConfigError(NCTransferError):
    """The configuration is wrong; the message lists every mistake."""


class DataError(NCTransferError):
    """A data set, an image or a label is not what the configuration says."""


class ModelError(NCTransferError):
    """A network, its weights or its preprocessing is not what the configuration says."""


class DownloadError(NCTransferError):
    """A server did not send a file within the limits of downloads."""


class TrainingError(NCTransferError):
    """A training cannot continue: its loss is not finite, or it has no data."""


class StoppedError(TrainingError):
    """A training was stopped by the named signal, after it wrote a checkpoint."""

    def __init__(self, message: str, signal: str) -> None:
        super().__init__(message)
        self.signal = signal


class StoreError(NCTransferError):
    """A store or table on disk is missing, incomplete, altered or of another kind."""


class DegenerateInputError(NCTransferError):
    """A metric or probe is not defined for these features or labels."""
