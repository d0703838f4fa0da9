"""Tables that are chosen by `type`, and the functions that implement them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from physrl.config.base import TypedSection
from physrl.registry import Registry


@dataclass(frozen=True, slots=True)
class Implementation:
    """A configuration class and the function that implements it: an algorithm or a reward.

    The function is named by a reference, so that reading a configuration does not import PyTorch.
    """

    config: type[TypedSection]
    """Class of the table; the default of its `type` is the registered name."""
    function: str
    """Reference of the function, `module:name`."""


class TypedRegistry(Registry[Implementation]):
    """Configuration tables of one kind by their `type`; in an annotation, the validator of these.

    `Annotated[Base, registry]` accepts an instance of a registered class, or a table of plain
    values whose `type` names one.
    """

    def __init__(
        self,
        group: str,
        bases: tuple[type[TypedSection], ...],
        built_in: Mapping[str, Implementation],
    ) -> None:
        """Declare a group of entry points to implementations.

        Args:
            group: Name of the group, such as `physrl.algorithms`.
            bases: Classes from one of which every configuration class of the group is derived.
            built_in: This package's own implementations by name.
        """
        super().__init__(
            group, {name: each.function for name, each in built_in.items()}, self._check
        )
        self._loaded.update(built_in)
        self.bases = bases

    def function(self, name: str) -> Callable[..., Any]:
        """Import the function that implements a type.

        Raises:
            PluginError: it cannot be imported.
        """
        loaded: Callable[..., Any] = self.load(name, self[name].function)
        return loaded

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validate)

    def _check(self, name: str, loaded: Any) -> Implementation:
        if not isinstance(loaded, Implementation):
            raise ValueError(f"is {loaded!r}: register an Implementation(config, function)")
        if not issubclass(loaded.config, self.bases):
            bases = " or ".join(base.__name__ for base in self.bases)
            raise ValueError(f"has config {loaded.config.__name__}: derive it from {bases}")
        default = loaded.config.model_fields["type"].default
        if default != name:
            raise ValueError(f'has type {default!r}: write type: Literal["{name}"] = "{name}"')
        return loaded

    def _validate(self, value: Any) -> TypedSection:
        if isinstance(value, TypedSection):
            kind: Any = value.type
        elif isinstance(value, Mapping):
            kind = value.get("type")
        else:
            raise ValueError(f"is {value!r}: write a table of keys, such as {{type: NAME}}")
        if not isinstance(kind, str) or kind not in self:
            names = ", ".join(self)
            mistake = PydanticCustomError("unknown_type", "choose from {names}", {"names": names})
            raise ValidationError.from_exception_data(
                self._group,
                [InitErrorDetails(type=mistake, loc=("type",), input=kind)],
            )
        return self[kind].config.model_validate(value)
