"""The weight sync with fakes: versions, and the weights that a server fetches."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save_file

from cluster.weights import sync
from cluster.weights.sync import BASE, FetchedWeights, Policy, WeightSync


class FakeStore:
    """A stand-in for Ray's object store."""

    def __init__(self) -> None:
        self.objects: list[Any] = []

    def put(self, value: Any) -> int:
        self.objects.append(value)
        return len(self.objects) - 1

    def get(self, reference: int) -> Any:
        return self.objects[reference]


class FakeLearner:
    """A learner whose weights are numbered."""

    def __init__(self) -> None:
        self.gathered = 0

    def weights(self) -> Any:
        self.gathered += 1
        return f"weights {self.gathered}"


class FakeServers:
    """Servers that record the policies they are given, and whether the sync waits."""

    def __init__(self) -> None:
        self.served: list[tuple[Policy, bool]] = []

    def serve(self, policy: Policy, *, wait: bool) -> None:
        self.served.append((policy, wait))


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    store = FakeStore()
    monkeypatch.setattr(sync, "ray", store)
    return store


@pytest.mark.parametrize(("adapters", "form"), [(True, "adapter"), (False, "weights")])
def test_every_publication_has_a_new_version(adapters: bool, form: Any) -> None:
    servers = FakeServers()
    weights = WeightSync(FakeLearner(), servers, adapters=adapters, wait=False)
    weights.publish()
    weights.publish()
    assert servers.served == [
        (Policy(BASE.name, 1, form, "weights 1"), False),
        (Policy(BASE.name, 2, form, "weights 2"), False),
    ]
    assert weights.version == 2


def test_versions_continue_from_a_checkpoint_and_never_decrease() -> None:
    weights = WeightSync(FakeLearner(), FakeServers(), adapters=True, wait=True)
    weights.continue_from(5)
    assert weights.version == 5
    weights.publish()
    weights.continue_from(2)
    assert weights.version == 6


def test_an_adapter_of_a_folder_is_published_by_its_files(store: FakeStore, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    save_file({"a": torch.ones(1)}, tmp_path / "adapter_model.safetensors")
    (tmp_path / "nested").mkdir()
    servers = FakeServers()
    weights = WeightSync(FakeLearner(), servers, adapters=True, wait=False)
    weights.publish_adapter(tmp_path)
    [(policy, waits)] = servers.served
    assert (policy.version, policy.form, waits) == (1, "adapter", True)
    ((name, config), (other, weights)) = sorted(store.objects[0].items())
    assert (name, json.loads(config), other) == (
        "adapter_config.json",
        {},
        "adapter_model.safetensors",
    )
    assert load(weights).keys() == {"a"}


def test_a_fetched_adapter_is_a_folder_that_goes_with_it(store: FakeStore) -> None:
    reference: Any = store.put({"a": b"1", "b": b"2"})
    fetched = FetchedWeights(Policy("p", 1, "adapter", reference))
    folder = fetched.folder
    assert folder is not None
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a": b"1", "b": b"2"}
    assert fetched.state_dict is None
    del fetched
    assert not folder.exists()


def test_full_weights_are_fetched_and_shared_folders_and_the_base_are_not(store: FakeStore) -> None:
    reference: Any = store.put({"w": 3})
    fetched = FetchedWeights(Policy("p", 1, "weights", reference))
    assert (fetched.state_dict, fetched.folder) == ({"w": 3}, None)
    shared = FetchedWeights(Policy("p", 1, "weights", "/shared/model"))
    assert (shared.state_dict, shared.folder) == (None, Path("/shared/model"))
    base = FetchedWeights(BASE)
    assert (base.state_dict, base.folder) == (None, None)
