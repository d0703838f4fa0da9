"""Digests of what a run reads: a name alone does not tell that its content has changed.

Files are read in samples, so that models of many gigabytes take less than a second.
"""

import hashlib
from pathlib import Path

from physrl.config.location import parse_place
from physrl.config.questions import QuestionsConfig
from physrl.config.run import RunConfig
from physrl.errors import DataError, MissingObjectError
from physrl.storage.object_store import open_store

SAMPLES = 17
SAMPLE_BYTES = 1 << 16
"""Number and length of the evenly spaced pieces of a file that are hashed; all of a small file."""
LISTS = "splits"
"""Folder of lists in published folders of towers."""
DATASET_MANIFEST = "manifest.json"
"""File of a dataset that holds the hash of every other one."""


def input_contents(config: RunConfig) -> dict[str, str]:
    """Compute the digests of everything that a run reads, by configuration key.

    A model on the hub has none: `model.revision` pins it.
    """
    evaluation = config.evaluation
    files = {
        "model.path": config.model.path,
        "model.adapter": config.model.adapter,
        "evaluation.real_images": _lists_of(evaluation.real_images),
    }
    datasets = {f"evaluation.data.{task}": place for task, place in evaluation.data.items()}
    datasets |= {} if config.dataset is None else {"data": config.dataset}
    found = {key: files_content(Path(path)) for key, path in files.items() if path is not None}
    found |= {key: dataset_content(place) for key, place in datasets.items()}
    found |= {} if config.questions is None else {"data": questions_content(config.questions)}
    return {key: digest for key, digest in found.items() if digest}


def _lists_of(path: Path | None) -> Path | None:
    """Return the folder of lists of towers that others published, whose images are gigabytes."""
    return path / LISTS if path is not None and (path / LISTS).is_dir() else path


def files_content(path: Path) -> str:
    """Compute the digest of a file, or of a folder's files and their names; "" if there is none.

    Raises:
        DataError: a file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        if not path.is_dir():
            return _digest_file(digest, path, path.name) if path.is_file() else ""
        for file in sorted(each for each in path.rglob("*") if each.is_file()):
            _digest_file(digest, file, file.relative_to(path).as_posix())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}: check it") from None
    return digest.hexdigest()


def dataset_content(location: str) -> str:
    """Compute the digest of a dataset from its manifest, which lists the hashes of its shards.

    Raises:
        StorageError: the location cannot be read.
    """
    try:
        manifest = open_store(str(parse_place(location))).get(DATASET_MANIFEST)
    except MissingObjectError:
        return ""
    return hashlib.sha256(manifest).hexdigest()


def questions_content(config: QuestionsConfig) -> str:
    """Compute the digest of questions: of their files, and of how rows are read and divided.

    Of files in a bucket, names, sizes and times of their last write stand for their content.

    Raises:
        DataError: a file cannot be read.
        StorageError: the bucket cannot be read.
    """
    if parse_place(config.path).bucket is None:
        content = files_content(Path(config.path))
    else:
        folder, _, name = config.path.rpartition("/")
        place, prefix = (folder, name) if config.is_file else (config.path, "")
        entries = open_store(place).entries(prefix)
        content = str([(key, each.size, each.modified) for key, each in entries.items()])
    settings = config.model_dump_json(exclude={"path"})
    return hashlib.sha256(f"{settings}\n{content}".encode()).hexdigest()


def _digest_file(digest: "hashlib._Hash", path: Path, name: str) -> str:
    size = path.stat().st_size
    digest.update(f"{name} {size}\n".encode(errors="surrogateescape"))
    with path.open("rb") as stream:
        if size <= SAMPLES * SAMPLE_BYTES:
            digest.update(stream.read())
        else:
            for number in range(SAMPLES):
                stream.seek((size - SAMPLE_BYTES) * number // (SAMPLES - 1))
                digest.update(stream.read(SAMPLE_BYTES))
    return digest.hexdigest()
