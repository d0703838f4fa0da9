"""Questions about images of the user's own, from Parquet, Arrow or JSON lines."""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import PurePosixPath

from physrl.config.questions import SUFFIXES, QuestionsConfig
from physrl.data.photo_image import decode_photo
from physrl.data.row_files import Row, RowFile
from physrl.environments.randomness import stream
from physrl.errors import DataError, MissingObjectError
from physrl.storage.object_store import ObjectStore, open_store
from physrl.types import Image, Split

USUAL_SPLITS = ("train", "validation", "valid", "val", "dev", "test", "eval")
"""Words in the names of files and folders by which the `datasets` library tells splits."""
WITHOUT_NAME = "train"
"""Split of files whose names have none of these words."""


class QuestionRows:
    """The rows of a dataset's splits, in the order of the files' names."""

    def __init__(self, config: QuestionsConfig) -> None:
        """Open the files and find the rows of each split.

        Raises:
            DataError: a file, a split or a column is missing or unreadable, or a split has too few
                rows for its shares.
            StorageError: the location cannot be read.
        """
        self._config = config
        self._store, self._keys = _find(config)
        self._files = [RowFile(self._store, key, config) for key in self._keys]
        self._parts = _share(config, self._splits())

    def count(self, split: Split) -> int:
        """Return the number of rows of a split; those of a warm start are those of training."""
        return len(self._part(split))

    def __call__(self, split: Split, number: int) -> Row:
        """Return a row of a split.

        Raises:
            DataError: its question or answer is missing.
        """
        file, place = self._part(split)[number]
        return self._files[file].row(place)

    def image(self, row: Row) -> Image:
        """Decode the image of a row.

        Raises:
            DataError: it is missing or not readable; the message begins with the row's name.
        """
        value = row.image
        if isinstance(value, dict):
            value = value.get("path") if value.get("bytes") is None else value["bytes"]
        if isinstance(value, str) and value:
            value = self._read(row, value)
        if not isinstance(value, bytes) or not value:
            raise DataError(
                f"{row.name}: column '{self._config.image}' holds no image: give it the bytes of a "
                "PNG or JPEG, or the path of one in the folder"
            )
        return decode_photo(value, f"{row.name}: its image")

    def _read(self, row: Row, path: str) -> bytes:
        if self._config.is_file:
            raise DataError(
                f"{row.name}: image '{path}' is a path, but data.path is a file: set data.path to "
                "the folder that holds both"
            )
        within = PurePosixPath(row.folder, path.replace("\\", "/"))
        if within.is_absolute() or ".." in within.parts or "\0" in path:
            raise DataError(
                f"{row.name}: image '{path}' lies outside of the folder of its row: write its path "
                "in that folder, or save the images with the rows"
            )
        try:
            return self._store.get(str(within))
        except MissingObjectError:
            raise DataError(
                f"{row.name}: image '{path}' is not in the folder of its row: add it or remove the "
                "row"
            ) from None

    def _splits(self) -> dict[str, list[tuple[int, int]]]:
        found: dict[str, list[tuple[int, int]]] = {}
        for number, (key, file) in enumerate(zip(self._keys, self._files, strict=True)):
            places = [(number, place) for place in range(len(file))]
            found.setdefault(_split_of(key, self._config), []).extend(places)
        return found

    def _part(self, split: Split) -> Sequence[tuple[int, int]]:
        return self._parts["train" if split == "warm" else split]


question_rows = lru_cache(maxsize=4)(QuestionRows)
"""Open the rows of a configuration, which a process does only once."""


def _find(config: QuestionsConfig) -> tuple[ObjectStore, list[str]]:
    """Return the store of the rows, and the keys of their files."""
    location = config.path
    if config.is_file:
        folder, _, name = location.rpartition("/")
        store = open_store(folder or "/")
        if store.size(name) is None:
            raise DataError(f"data.path is {location}: no such file; name one that exists")
        return store, [name]
    store = open_store(location)
    keys = [key for key in store.entries() if key.endswith(SUFFIXES) and not _is_hidden(key)]
    if not keys:
        raise DataError(
            f"data.path is {location}, which holds no file of rows ({', '.join(SUFFIXES)}): name "
            "the folder of a dataset, or such a file"
        )
    return store, keys


def _is_hidden(key: str) -> bool:
    """Return whether a key is of a cache: `datasets` keeps results of `map` beside the rows."""
    return any(part.startswith((".", "cache-")) for part in key.split("/"))


def _split_of(key: str, config: QuestionsConfig) -> str:
    """Return the split that the last word of a key names which names one."""
    named = [each for each in (config.split, config.validation, config.test) if _is_name(each)]
    words = re.split(r"[^A-Za-z0-9]+", key)
    known = [word for word in words if word in (*USUAL_SPLITS, *named)]
    return known[-1] if known else WITHOUT_NAME


def _is_name(part: float | str) -> bool:
    return isinstance(part, str)


def _share(
    config: QuestionsConfig, splits: dict[str, list[tuple[int, int]]]
) -> dict[Split, list[tuple[int, int]]]:
    """Divide the rows among training, validation and test.

    Which rows are held out does not depend on the seed of a run: all runs are measured on the same.
    """
    parts: dict[Split, float | str] = {"test": config.test, "validation": config.validation}
    names = {"data.split": config.split} | {
        f"data.{part}": name for part, name in parts.items() if isinstance(name, str)
    }
    for name in names.values():
        if list(names.values()).count(name) > 1:
            raise DataError(f"{' and '.join(names)} name the same split '{name}': name others")
    for key, name in names.items():
        if name not in splits:
            raise DataError(
                f"{key} is '{name}', but {config.path} has the splits {', '.join(splits)}: name "
                "one of them" + ("" if key == "data.split" else ", or a share such as 0.1")
            )
    rows = splits[config.split]
    order = stream("questions/held out", 0).permutation(len(rows)).tolist()
    found: dict[Split, list[tuple[int, int]]] = {}
    for part, share in parts.items():
        if isinstance(share, str):
            found[part] = splits[share]
        else:
            count = max(1, round(share * len(rows)))
            found[part], order = [rows[place] for place in sorted(order[:count])], order[count:]
    found["train"] = [rows[place] for place in sorted(order)]
    if not all(found.values()):
        counts = ", ".join(f"{len(each)} for {part}" for part, each in found.items())
        raise DataError(
            f"data.path is {config.path}, whose split '{config.split}' has {len(rows)} rows, too "
            f"few to divide ({counts}): add rows, or name splits in data.validation and data.test"
        )
    return found
