"""Settings: typed, immutable values that are validated when they are created.

The sections of the configuration and the settings of the jobs are such classes. Every field of the
configuration has a docstring with its unit, from which the JSON schema and docs/configuration.md are
generated. Names of base classes end in ``Settings``: digests recognise the optional fields by that
(``nctransfer.dag.canonical``).
"""

import re
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

T = TypeVar("T")
# Numbers of YAML 1.2 that are texts in YAML 1.1, which PyYAML and Snakemake read.
EXPONENT = re.compile(r"^[-+]?([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9]+)[eE][-+]?[0-9]+$")


def _whole(value: Any) -> Any:
    """Convert a float without fractional part, as YAML or JSON may write an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _each_once(values: tuple[T, ...]) -> tuple[T, ...]:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f"{value!r} is listed more than once")
    return values


def _drawable(text: str) -> str:
    """Refuse a formula (between dollar signs) that matplotlib does not know, before anything is computed."""
    for line in text.splitlines():
        dollars = line.count("$") - line.count(r"\$")
        if dollars and dollars % 2 == 0:  # as matplotlib tells a formula
            from matplotlib.mathtext import MathTextParser

            try:
                MathTextParser("path").parse(line)
            except ValueError as error:
                reason = str(error).splitlines()[-1].partition(": ")[2].partition("  (")[0]
                raise ValueError(
                    rf"{text!r} has a formula that matplotlib cannot draw ({reason}); write \$ for a dollar "
                    "sign"
                ) from None
    return text


Integer = Annotated[int, BeforeValidator(_whole)]
Count = Annotated[Integer, Field(ge=1)]
Natural = Annotated[Integer, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1)]
# A text that is drawn in figures and written in tables; formulas stand between dollar signs.
Shown = Annotated[str, AfterValidator(_drawable)]
# A name that is used as a folder name.
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Unique = Annotated[tuple[T, ...], AfterValidator(_each_once), Field(json_schema_extra={"uniqueItems": True})]
Distinct = Annotated[Unique[T], Field(min_length=1)]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["float32", "bfloat16"]  # arithmetic of the forward pass


class Settings(BaseModel):
    """Base of all settings: immutable, unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def told(self) -> dict[str, Any]:
        """Plain JSON values of all fields that differ from their defaults; the inverse of :meth:`read`."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def read(cls, values: Any) -> Self:
        """Settings from plain values, as of :meth:`told`; ValidationError: missing, unknown or wrong ones."""
        return cls.model_validate(values)


class SourceAccuracySettings(Settings):
    """Where a model's accuracy on its source data is known from, and what it must reach."""

    model: str
    """Key of the model."""
    data: str | None = None
    """Its source data; `null` where unknown."""
    accuracy: float | None = None
    """Accuracy on the test split in percent, where the plan knows it."""
    history: str | None = None
    """Key of the model whose training history has the accuracies."""
    epoch: int | None = None
    """Epoch of that history; `null` takes the last."""
    must_reach: dict[str, float] = {}
    """Least accuracy in percent by split (train, test) of a model that counts as trained; none of one that is
    not trained here, or untrained on purpose."""


class ViewNames(Settings):
    """A model and a view of a data set."""

    model: str
    """Key of the model."""
    view: str
    """Key of the view."""
