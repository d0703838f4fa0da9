"""Instructions for loading a downloaded checkpoint."""

from pathlib import Path

from pydantic_core import from_json

from physrl.storage.provenance import working_directory


def loading_lines(path: Path, config: Path) -> list[str]:
    """Write how to load a checkpoint's adapter or model in Python, and how to evaluate it.

    Args:
        path: the checkpoint's folder.
        config: the run's config.yaml, which need not exist.
    """
    lines, override = [], ""
    if (path / "adapter").is_dir():
        recorded = _recorded_base(path / "adapter") or "the base model"
        base = _localized(recorded, config)
        override = "" if base == recorded else f" model.path={base}"
        lines += [
            f"adapter of {base}: {path / 'adapter'}",
            f"  base = AutoModelForImageTextToText.from_pretrained({base!r})",
            f"  model = PeftModel.from_pretrained(base, {str(path / 'adapter')!r})",
        ]
    if (path / "model").is_dir():
        lines += [
            f"model: {path / 'model'}",
            f"  model = AutoModelForImageTextToText.from_pretrained({str(path / 'model')!r})",
        ]
    if config.exists():
        lines += [
            f"evaluate: physrl evaluate --config {config} --policy {path}{override}",
            f"try: physrl try {path} --image FILE",
        ]
    return lines


def base_of(path: Path, config: Path) -> str | None:
    """Return the base of a checkpoint's adapter on this machine; None without an adapter.

    Args:
        path: the checkpoint's folder.
        config: the run's config.yaml.
    """
    recorded = _recorded_base(path / "adapter")
    return None if recorded is None else _localized(recorded, config)


def _recorded_base(adapter: Path) -> str | None:
    try:
        settings = from_json((adapter / "adapter_config.json").read_bytes())
        return str(settings["base_model_name_or_path"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _localized(base: str, config: Path) -> str:
    """Make a missing base's path relative to the directory that its run was started in."""
    if Path(base).is_dir() or not config.exists():
        return base
    started_in = working_directory(config.read_text(errors="replace"))
    if started_in is None or not Path(base).is_relative_to(started_in):
        return base
    return str(Path(base).relative_to(started_in))
