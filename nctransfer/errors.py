"""The one family of exceptions.

Every message names the key or file, the value found and what is allowed; the
workflow prints the message alone, so it must read without a traceback.
"""


class NCTransferError(Exception):
    """Base of every error that the user, not the programmer, can mend."""


class ConfigError(NCTransferError):
    """The configuration is wrong; the message lists every mistake."""


class DataError(NCTransferError):
    """A data set, an image or a label is not what the configuration says."""


class ModelError(NCTransferError):
    """A network, its weights or its preprocessing is not what the configuration says."""


class TrainingError(NCTransferError):
    """A training cannot go on: its loss is not finite, or there is nothing to train on."""


class StoppedError(TrainingError):
    """A signal, named here, told a training to stop, and it did so after writing a checkpoint."""

    def __init__(self, message: str, signal: str) -> None:
        super().__init__(message)
        self.signal = signal


class StoreError(NCTransferError):
    """A store or table on disk is missing, incomplete, altered or of another kind."""


class DegenerateInputError(NCTransferError):
    """Features or labels on which a metric or a probe has no meaning."""
