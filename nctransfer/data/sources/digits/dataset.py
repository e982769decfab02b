"""Facts about scikit-learn's handwritten digits for the plan."""

from collections.abc import Iterator

from nctransfer.data.dataset import DataSet, DataSetSize, Problem
from nctransfer.data.sources.digits.settings import DigitsSettings


class DigitsDataSet(DataSet[DigitsSettings]):
    """scikit-learn's handwritten digits: 1,797 grey images of 8 x 8 pixels, bundled with it."""

    @property
    def common_name(self) -> str:
        """``digits``."""
        return "digits"

    def whole_size(self) -> DataSetSize:
        """A quarter of each class is for testing."""
        return DataSetSize(1_348, 449, 10, pixels=(8, 8))

    def source_problems(self) -> Iterator[Problem]:
        """Chosen classes that are not digits."""
        yield from self.class_problems([str(digit) for digit in range(10)], 10)


DATA_SET = DigitsDataSet
