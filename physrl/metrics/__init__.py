"""A run's metrics: JSON lines, event files for TensorBoard, and other sinks.

The writer is imported from its module: it imports TensorBoard, which the light client lacks.
"""

from physrl.metrics.lines import read_metrics
from physrl.metrics.sink import MetricsSink, Row

__all__ = ["MetricsSink", "Row", "read_metrics"]
