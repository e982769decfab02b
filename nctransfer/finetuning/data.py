"""Downstream images for a fine-tuning run."""

import torch
from torch import Tensor

from nctransfer.data.image_store import ImageStore
from nctransfer.data.resize import apply_geometry
from nctransfer.data.settings import Geometry
from nctransfer.data.subset import subset_rows
from nctransfer.training.augmentation import augment
from nctransfer.training.settings import AugmentationSettings

# Share of a GPU's free memory that images may take; larger splits stay on disk.
SHARE = 0.4
BLOCK = 1024


class Pixels:
    """A split of a data set: uint8 in memory or on disk, read as pixels at the model's input size.

    Images are on the GPU where they fit; otherwise they are read from the store, whose pages the operating
    system caches. Of each class ``per_class`` images are drawn with ``seed`` (None: all); DataError where it
    has fewer.
    """

    def __init__(
        self,
        store: ImageStore,
        geometry: Geometry,
        augmentation: AugmentationSettings,
        device: torch.device,
        per_class: int | None = None,
        seed: int = 0,
    ) -> None:
        names = list(store.class_names)
        rows = subset_rows(store.labels, names, range(len(names)), per_class, seed)
        self._rows = torch.from_numpy(rows)
        self._images, self._augmentation = store.images, augmentation
        self._geometry = store.pending(geometry)
        self.labels = torch.from_numpy(store.labels[rows].astype("int64")).to(device)
        self._resident: Tensor | None = None
        size = len(self) * int(self._images[0].size)  # bytes
        if device.type == "cuda" and size <= SHARE * torch.cuda.mem_get_info(device)[0]:
            self._resident = self._load(device)

    def __len__(self) -> int:
        return len(self._rows)

    def release(self) -> None:
        """Free the memory on the device; from now on images are read from the store."""
        self._resident = None

    def _load(self, device: torch.device) -> Tensor:
        """All images on the device, loaded block by block."""
        height, width, channels = self._images.shape[1:]
        resident = torch.empty((len(self), channels, height, width), dtype=torch.uint8, device=device)
        for rows in torch.arange(len(self)).split(BLOCK):
            resident[rows[0] : rows[-1] + 1] = self._read(rows).to(device)
        return resident

    @property
    def numbers(self) -> int:
        """Size of a sample at the model's input size, in numbers."""
        return self.clean(torch.zeros(1, dtype=torch.int64, device=self.labels.device))[0].numel()

    def clean(self, rows: Tensor) -> Tensor:
        """Pixels in [0, 1] of samples ``rows``, (n, 3, H, W), float32, without augmentation."""
        return self._shaped(rows).to(torch.float32).div_(255)

    def augmented(self, rows: Tensor, keys: Tensor) -> Tensor:
        """Pixels in [0, 1] of samples ``rows``, augmented by the draws of their keys."""
        return augment(self._shaped(rows), keys, self._augmentation)

    def _shaped(self, rows: Tensor) -> Tensor:
        images = self._resident[rows] if self._resident is not None else self._read(rows.cpu())
        return apply_geometry(images.to(self.labels.device), self._geometry).contiguous()

    def _read(self, rows: Tensor) -> Tensor:
        """Images (n, 3, H, W) uint8 from the store."""
        return torch.from_numpy(self._images[self._rows[rows].numpy()]).permute(0, 3, 1, 2)
