"""Data sets on the Hugging Face hub, or in its formats on disk, read by the ``datasets`` library."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from nctransfer.data.decode import read_file
from nctransfer.data.raw_split import RawSplit
from nctransfer.data.sources.huggingface.settings import HuggingFaceSettings
from nctransfer.data.subset import split_by_fraction
from nctransfer.errors import DataError, DownloadError
from nctransfer.runtime.downloads import downloading
from nctransfer.suggestions import suggestion

# Usual column names, and those in WebDataset archives.
IMAGE_COLUMNS = (("image", "img", "images"), ("webp", "png", "jpg", "jpeg"))
LABEL_COLUMNS = (("label", "labels"), ("cls",))


def open_split(options: HuggingFaceSettings, split: str, root: Path) -> RawSplit:
    """Open one split; its images stay encoded until they are read.

    The library's cache is in ``root/huggingface``. Raises DataError: the library is missing, the data set
    cannot be loaded, or a split or column is missing or unusable.
    """
    library = _library()
    where = str(options.path or options.name)
    splits = _load(library, options, where, root / "huggingface")
    train = _split(splits, options.split_name("train"), where)
    if options.test_fraction is not None:
        labels, names = _labels(library, train, train, options, where)
        parts = split_by_fraction(labels, len(names), options.test_fraction, options.split_seed or 0)
        rows = parts[split == "test"]
        return _raw(library, train.select(rows), labels[rows], names, options, where)
    data = train if split == "train" else _split(splits, options.split_name("test"), where)
    labels, names = _labels(library, data, train, options, where)
    return _raw(library, data, labels, names, options, where)


def _library() -> ModuleType:
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            f"source huggingface needs the datasets library ({error}); install it with "
            "`pip install 'nctransfer[huggingface]'` or `pip install datasets`"
        ) from None
    return datasets


def _load(library: ModuleType, options: HuggingFaceSettings, where: str, cache: Path) -> Mapping[str, Any]:
    """All splits by name."""
    path = None if options.path is None else Path(options.path).expanduser()
    if path is not None and not path.exists():
        raise DataError(f"{path}: no such file or folder (path of a huggingface data set)")
    try:
        if path is None:
            with downloading():
                loaded = library.load_dataset(
                    options.name, options.config, revision=options.revision, cache_dir=str(cache)
                )
        elif archives := _archives(path, options):
            loaded = library.load_dataset("webdataset", data_files=archives, cache_dir=str(cache))
        elif path.is_file():
            loaded = library.load_dataset("parquet", data_files=str(path), cache_dir=str(cache))
        elif (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
            loaded = library.load_from_disk(str(path))
        else:
            loaded = library.load_dataset(str(path), options.config, cache_dir=str(cache))
    except DownloadError as error:
        raise DataError(
            f"huggingface data set {where}: could not be downloaded ({error}); run again when that server "
            "can be reached, or download the data set elsewhere and set `path`"
        ) from error
    # The library and the network below it raise dozens of unrelated kinds.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise DataError(f"huggingface data set {where}: {type(error).__name__}: {reason}") from error
    return {"train": loaded} if isinstance(loaded, library.Dataset) else loaded


def _archives(path: Path, options: HuggingFaceSettings) -> dict[str, list[str]]:
    """WebDataset archives in the folders of the splits, or a single one; empty to let the library search.

    The library would find these too, but stumbles over text files beside them (``nshards.txt``).
    """
    if path.is_file():
        return {"train": [str(path)]} if path.suffix == ".tar" else {}
    names = [options.split_name(split) for split in ("train", "test")]
    by_split = {name: sorted(map(str, (path / name).glob("*.tar"))) for name in names}
    return {name: archives for name, archives in by_split.items() if archives}


def _split(splits: Mapping[str, Any], name: str, where: str) -> Any:
    if name not in splits:
        names = list(splits)
        raise DataError(
            f"huggingface data set {where}: no split {name!r}{suggestion(name, names)}; there are "
            f"{', '.join(names)} (keys train_split, test_split, test_fraction)"
        )
    return splits[name]


def _column(
    data: Any, name: str | None, key: str, kind: type, usual: Sequence[Sequence[str]], where: str
) -> str:
    """The column named by the setting ``key``, or the only one of a type or with a usual name."""
    columns = list(data.column_names)
    if name is not None:
        if name not in columns:
            raise DataError(
                f"huggingface data set {where}: {key} {name!r} is not a column{suggestion(name, columns)}; "
                f"there are {', '.join(columns)}"
            )
        return name
    typed = [column for column, feature in data.features.items() if isinstance(feature, kind)]
    named = [[column for column in names if column in columns] for names in usual]
    candidates = next(filter(None, [typed, *named]), [])
    if len(candidates) != 1:
        raise DataError(f"huggingface data set {where}: set {key}; the columns are {', '.join(columns)}")
    return candidates[0]


def _labels(
    library: ModuleType, data: Any, train: Any, options: HuggingFaceSettings, where: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class indices of a split, and names: those of the column, or the values in the training split."""
    column = _column(data, options.label_column, "label_column", library.ClassLabel, LABEL_COLUMNS, where)
    values = data.with_format(None)[column][:]
    missing = [row for row, value in enumerate(values) if value is None]
    if missing:
        raise DataError(f"huggingface data set {where}: no label in row {missing[0]} of column {column!r}")
    feature, bins = train.features[column], options.label_bins
    if isinstance(feature, library.ClassLabel):
        if bins is not None:
            return _binned(values, range(len(feature.names)), bins, where)
        return np.asarray(values, np.int64), tuple(feature.names)
    classes = sorted(set(train.with_format(None)[column][:]))
    if not all(isinstance(value, str | int) for value in classes):
        raise DataError(
            f"huggingface data set {where}: {column!r} holds {feature}, not class names or numbers"
        )
    index = {value: label for label, value in enumerate(classes)}
    unknown = sorted({str(value) for value in values if value not in index})
    if unknown:
        listed = ", ".join(unknown[:10])
        raise DataError(f"huggingface data set {where}: labels not in the training split: {listed}")
    if bins is not None:
        return _binned(values, classes, bins, where)
    return np.array([index[value] for value in values], np.int64), tuple(map(str, classes))


def _binned(
    values: Sequence[Any], classes: Sequence[Any], bins: int, where: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Group labels into ``bins`` classes of neighbours; ``classes`` are the training split's labels."""
    if not all(isinstance(value, int) and value >= 0 for value in classes):
        raise DataError(f"huggingface data set {where}: label_bins needs labels that are integers from 0")
    labels = max(classes, default=-1) + 1
    if labels < bins:
        raise DataError(f"huggingface data set {where}: label_bins {bins} is more than its {labels} labels")
    return np.asarray(values, np.int64) * bins // labels, tuple(map(str, range(bins)))


def _raw(
    library: ModuleType,
    data: Any,
    labels: np.ndarray,
    names: tuple[str, ...],
    options: HuggingFaceSettings,
    where: str,
) -> RawSplit:
    column = _column(data, options.image_column, "image_column", library.Image, IMAGE_COLUMNS, where)
    try:
        encoded = data.select_columns([column]).cast_column(column, library.Image(decode=False))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"huggingface data set {where}: column {column!r} holds no images ({error})"
        ) from None

    def read(row: int) -> bytes:
        cell = encoded[row][column]
        if cell is None:
            raise ValueError("no image in this row")
        if cell["bytes"] is not None:
            return cell["bytes"]
        return read_file(Path(cell["path"]), options.max_megapixels)

    return RawSplit(
        labels=labels,
        class_names=names,
        provenance={"options": options.options()},
        read=read,
        locate=lambda row: f"{where}, row {row} of {data.split}",
    )
