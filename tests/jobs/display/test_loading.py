import json
from pathlib import Path

from jobs.display.loading import loading_lines


def test_a_base_in_the_clusters_working_directory_is_found_here(tmp_path: Path) -> None:
    adapter = tmp_path / "step" / "adapter"
    adapter.mkdir(parents=True)
    base = {"base_model_name_or_path": "/gone/_ray_pkg_1/assets/tiny-base"}
    (adapter / "adapter_config.json").write_text(json.dumps(base))
    config = tmp_path / "config.yaml"
    config.write_text("# working directory: /gone/_ray_pkg_1\nseed: 1\n")
    lines = loading_lines(adapter.parent, config)
    assert lines[0] == f"adapter of assets/tiny-base: {adapter}"
    assert lines[-2].endswith(f"--policy {adapter.parent} model.path=assets/tiny-base")
    assert lines[-1] == f"try: physrl try {adapter.parent} --image FILE"
    config.write_text("# working directory: /another\n")
    lines = loading_lines(adapter.parent, config)
    assert lines[0] == f"adapter of /gone/_ray_pkg_1/assets/tiny-base: {adapter}"
    assert lines[-2].endswith(f"--policy {adapter.parent}")


def test_a_model_without_a_configuration_is_loaded_but_not_evaluated(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    lines = loading_lines(tmp_path, tmp_path / "config.yaml")
    assert lines[0] == f"model: {tmp_path / 'model'}"
    assert len(lines) == 2
