"""Sizes of models and the capacity of a machine, for tests of sizing."""

from jobs.sizing.capacity import Capacity
from physrl.sizing.model_size import Layers, ModelSize

BILLION = ModelSize(
    parameters=1_000_000_000,
    trained=10_000_000,
    linear=900_000_000,
    head=50_000_000,
    language=Layers(count=10, hidden=1024, queries=1024, keys=256, intermediate=4096),
    vision=Layers(count=5, hidden=512, queries=512, keys=512, intermediate=1024),
    patch=14,
)
THOUSAND = ModelSize(
    parameters=1000,
    trained=100,
    linear=800,
    head=50,
    language=Layers(count=10, hidden=8, queries=8, keys=4, intermediate=32),
    vision=Layers(count=5, hidden=4, queries=4, keys=4, intermediate=16),
    patch=14,
)
LARGE = Capacity("a large machine", 64, 1e12, 8, 80e9, 1e12, joined=False)
