"""Facts about folders of images for the plan."""

from collections.abc import Iterator
from pathlib import Path

from nctransfer.data.class_names import plain
from nctransfer.data.dataset import DataSet, DataSetSize, Problem
from nctransfer.data.folder_contents import count_images, is_hidden
from nctransfer.data.sources.imagefolder.settings import ImageFolderSettings


class ImageFolderDataSet(DataSet[ImageFolderSettings]):
    """A folder of images: `train/<class>/*` and `test/<class>/*`, or `<class>/*` with `test_fraction`."""

    needed = ("path",)
    paths = ("path",)

    @property
    def has_fixed_size(self) -> bool:
        """False, without counting what may be millions of files."""
        return False

    def whole_size(self) -> DataSetSize:
        """Counted on disk."""
        root = Path(self.entry.path or "").expanduser()
        if self.entry.test_fraction is not None:
            images, classes = count_images(str(root))
            return DataSetSize(images, 0, classes)
        (train, classes), (test, _) = (count_images(str(folder)) for folder in self._splits(root))
        return DataSetSize(train, test, classes)

    def class_count(self) -> int | None:
        """Counted on disk; None where there are no class folders."""
        count = super().class_count()
        return count if count is not None and count > 1 else None

    def _splits(self, root: Path) -> list[Path]:
        return [root / self.entry.split_name(split) for split in ("train", "test")]

    def source_problems(self) -> Iterator[Problem]:
        """Folders that are missing or do not match."""
        yield from self.folder_problems("path")
        if self.entry.path is None or not Path(self.entry.path).expanduser().is_dir():
            return
        root = Path(self.entry.path).expanduser()
        folders = [root]
        if self.entry.test_fraction is None:
            folders = self._splits(root)
            for folder in folders:
                if not folder.is_dir():
                    yield (
                        ("path",),
                        f"{str(folder)!r} is not a folder; name the splits by train_split and test_split "
                        "or, for class folders without splits, set a test_fraction such as 0.2",
                    )
        else:
            for key in ("train_split", "test_split"):
                if getattr(self.entry, key) is not None:
                    either = "a folder is either split by it or has folders of splits"
                    yield (key,), f"excludes test_fraction: {either}"
        if all(folder.is_dir() for folder in folders):
            yield from self._class_folders(folders)

    def _class_folders(self, folders: list[Path]) -> Iterator[Problem]:
        names = [
            {plain(item.name) for item in folder.iterdir() if item.is_dir() and not is_hidden(item.name)}
            for folder in folders
        ]
        for folder, own in zip(folders, names, strict=True):
            if not own:
                yield ("path",), f"{str(folder)!r} holds no class folders"
            for other in names:
                if other and own - other:
                    only = f"only {str(folder)!r} has the classes {', '.join(sorted(own - other))}"
                    yield ("path",), only
        if names[0]:
            yield from self.class_problems(sorted(names[0]), len(names[0]))


DATA_SET = ImageFolderDataSet
