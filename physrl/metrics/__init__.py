"""A run's metrics: JSON lines, event files for TensorBoard, and other sinks."""

from physrl.metrics.lines import read_metrics
from physrl.metrics.sink import MetricsSink, Row
from physrl.metrics.writer import MetricsWriter

__all__ = ["MetricsSink", "MetricsWriter", "Row", "read_metrics"]
