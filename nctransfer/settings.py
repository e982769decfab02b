"""Settings: typed, immutable values that are checked when they are made.

A section of the configuration is a class of settings, and so is what a job is told. Every field has a
docstring with its unit; from these the JSON schema and docs/configuration.md are written. Names of base
classes end in ``Settings``: by that digests know the fields that have a default
(``nctransfer.dag.canonical``).
"""

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

T = TypeVar("T")


def _whole(value: Any) -> Any:
    """A whole number that YAML or JSON writes with a point."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _each_once(values: tuple[T, ...]) -> tuple[T, ...]:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f"{value!r} stands more than once")
    return values


Integer = Annotated[int, BeforeValidator(_whole)]
Count = Annotated[Integer, Field(ge=1)]  # of things of which there is at least one
Natural = Annotated[Integer, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1)]
# A name that becomes a folder.
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Unique = Annotated[tuple[T, ...], AfterValidator(_each_once), Field(json_schema_extra={"uniqueItems": True})]
Distinct = Annotated[Unique[T], Field(min_length=1)]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["float32", "bfloat16"]  # arithmetic of the forward pass


class Settings(BaseModel):
    """Base of all settings: immutable, no key that the class does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def told(self) -> dict[str, Any]:
        """Plain JSON values of all that differs from its default; :meth:`read` gives the settings back."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def read(cls, values: Any) -> Self:
        """Settings of plain values, such as :meth:`told` gave or a manifest holds.

        Raises:
            pydantic.ValidationError: values are missing, unknown or not allowed.
        """
        return cls.model_validate(values)


class ViewNames(Settings):
    """A model and how it is shown a data set."""

    model: str
    """Key of the model."""
    view: str
    """Key of the view."""
