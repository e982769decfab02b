"""Pre-trained image towers published by open_clip."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import open_clip
from open_clip import pretrained

from nctransfer.errors import ModelError
from nctransfer.models.architecture import Architecture
from nctransfer.models.architectures import open_clip as library
from nctransfer.models.fetched import Fetched, download_failed, published_name
from nctransfer.models.settings import ModelJobSettings
from nctransfer.runtime.downloads import downloading, replaced


def fetch(settings: ModelJobSettings, checkpoint: Path | None) -> Fetched:
    """Download (or take from the cache) a model and return its image tower; ``checkpoint`` is not used.

    Raises:
        ModelError: unknown name, failed download, weights that do not fit, or that were trained with another
            activation than the architecture's.
    """
    name = published_name(settings)
    weights = settings.weights or _only_weights(name)
    metadata = library.metadata(name, weights)
    model = download(name, weights)
    return Fetched(model.visual, Architecture("open_clip", name), metadata, headless=False)


def download(name: str, weights: str) -> Any:
    """Download (or take from the cache) a whole model with its text tower.

    Raises:
        ModelError: failed download, or weights that do not fit or were trained with another activation.
    """
    check_activation(name, weights)
    try:
        with downloading(), _moved_when_whole():
            return open_clip.create_model(
                name, pretrained=weights, weights_only=True, require_pretrained=True
            )
    except Exception as error:  # any error of the network, the hub or the reader
        raise download_failed(f"open_clip/{name}", weights, error) from error


@contextmanager
def _moved_when_whole() -> Iterator[None]:
    """Keep half files out of open_clip's cache, which without a checksum takes them for whole ones."""
    fetch = pretrained.download_pretrained_from_url

    def fetch_whole(url: str, cache_dir: str | None = None) -> str:
        cache = Path(cache_dir or "~/.cache/clip").expanduser()
        file = cache / Path(url).name
        if file.exists():
            return str(fetch(url, str(cache)))
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache) as folder:
            Path(fetch(url, folder)).replace(file)
        return str(file)

    with replaced(pretrained, fetch.__name__, fetch_whole):
        yield


def _only_weights(name: str) -> str:
    library.config(name)
    tags = open_clip.list_pretrained_tags_by_model(name)
    if len(tags) != 1:
        raise ModelError(
            f"open_clip/{name}: `weights` must name one of {', '.join(tags) or 'none (the library has none)'}"
        )
    return tags[0]


def check_activation(name: str, weights: str) -> None:
    """Raise ModelError for weights trained with QuickGELU in an architecture with GELU, or the reverse.

    open_clip only warns and returns worse features; the message names the right architecture.
    """
    trained = bool(pretrained.get_pretrained_cfg(name, weights).get("quick_gelu", False))
    if trained == bool(library.config(name).get("quick_gelu", False)):
        return
    other = f"{name}-quickgelu" if trained else name.removesuffix("-quickgelu")
    activation = "QuickGELU" if trained else "GELU"
    remedy = f"; set `name: {other}`" if other != name else ""
    raise ModelError(
        f"open_clip/{name}: weights {weights!r} were trained with {activation}, not with this "
        f"architecture's activation{remedy}"
    )
