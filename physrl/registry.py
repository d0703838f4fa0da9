"""Named objects that this package and installed distributions provide.

A distribution adds a task, an algorithm or a reward without a change here, by an entry point:

    [project.entry-points."physrl.tasks"]
    keystone = "physrl_keystone.task:Keystone"
"""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pkgutil import resolve_name
from typing import Any, Generic, TypeVar

from physrl.errors import PluginError

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """A read-only mapping of names to objects, each imported when it is first looked up.

    The names of built-in objects come first, then those of entry points in alphabetical order.
    Listing the names reads the metadata of installed distributions but imports nothing.
    """

    __hash__ = object.__hash__  # typing hashes annotations

    def __init__(
        self, group: str, built_in: Mapping[str, str], accept: Callable[[str, Any], T]
    ) -> None:
        """Declare a group of entry points.

        Args:
            group: Name of the group, such as `physrl.tasks`.
            built_in: References (`module:attribute`) of this package's own objects by name.
            accept: Function from a name and the object that its reference leads to, to the
                registered object; raises ValueError where the object has a wrong form.
        """
        self.built_in = tuple(built_in)
        self._group, self._accept = group, accept
        self._own = [EntryPoint(name, reference, group) for name, reference in built_in.items()]
        self._loaded: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        """Return the object of a name.

        Raises:
            KeyError: no object has this name.
            PluginError: its entry point cannot be imported, or has a wrong form.
        """
        if name not in self._loaded:
            loaded = self.load(name, self._entries[name].value)
            try:
                self._loaded[name] = self._accept(name, loaded)
            except ValueError as error:
                raise PluginError(f"{self._label(name)} {error}") from None
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def load(self, name: str, reference: str) -> Any:
        """Import an object that the registered object of this name refers to.

        Raises:
            PluginError: it cannot be imported.
        """
        try:
            return resolve_name(reference)
        except Exception as error:  # a plugin's module may raise anything
            if isinstance(error, ModuleNotFoundError) and self._entries[name].dist is None:
                raise  # not a plugin: the light client lacks the packages of tasks
            reason = f"{type(error).__name__}: {error}"
            raise PluginError(f"{self._label(name)}: {reference} fails with {reason}") from error

    def require(self, name: str) -> str:
        """Return a name if it is registered.

        Raises:
            ValueError: it is not.
        """
        if name not in self:
            similar = get_close_matches(name, list(self), 1)
            guess = f"; did you mean {similar[0]}?" if similar else ""
            raise ValueError(f"is '{name}': choose from {', '.join(self)}{guess}")
        return name

    @cached_property
    def _entries(self) -> dict[str, EntryPoint]:
        entries: dict[str, EntryPoint] = {}
        found = sorted(entry_points(group=self._group), key=lambda entry: entry.name)
        for entry in (*self._own, *found):
            if entry.name in entries:
                raise PluginError(
                    f"{_provider(entry)} and {_provider(entries[entry.name])} both register "
                    f"'{entry.name}' in {self._group}: uninstall one of them"
                )
            entries[entry.name] = entry
        return entries

    def _label(self, name: str) -> str:
        entry = self._entries[name]
        return f"{_provider(entry)}: '{name}' in {self._group}"


def _provider(entry: EntryPoint) -> str:
    return "physrl" if entry.dist is None else f"distribution {entry.dist.name}"
