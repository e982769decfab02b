"""Settings of downloads."""

from nctransfer.settings import Count, NonNegative, Positive, Settings


class DownloadSettings(Settings):
    """Limits of downloads, after which their job fails; a change reruns nothing."""

    silent_seconds: Positive = 60
    """Seconds to wait for a connection, for an answer, and for the next byte of it."""
    least_kb_per_second: NonNegative = 10
    """Slowest speed, in kB/s over `silent_seconds`; a slower connection is given up and another one tried."""
    tries: Count = 5
    """Failures in a row after which a server is given up. The pauses between them double from one second, or
    are as long as the server asks for."""
    hours: Positive = 24
    """Longest time for one data set or one model's weights."""
