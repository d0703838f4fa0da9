"""Traces of what each actor does over time, for Perfetto and Chrome.

The file is in Chrome's trace event format: complete events ("X") with start and duration in
microseconds, and metadata events ("M") that name their rows.
"""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROCESS = 1
"""Process id of all tracks, so that a viewer shows them together."""


@dataclass(frozen=True, slots=True)
class Span:
    """A named interval of time on a track."""

    name: str
    """Activity: `updating`, `generate`, ..."""
    track: str
    """Actor: `controller`, `server 0`, `worker 3`, ..."""
    start: float
    """Seconds since 1970, comparable between processes and machines."""
    end: float
    details: Mapping[str, Any] = field(default_factory=dict)
    """JSON values that a viewer shows for a selected span."""


class Trace:
    """A collection of spans from any thread."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self._lock = threading.Lock()

    @property
    def spans(self) -> tuple[Span, ...]:
        """Spans that have ended so far."""
        with self._lock:
            return tuple(self._spans)

    def drain(self) -> tuple[Span, ...]:
        """Return the spans that have ended so far, and remove them."""
        with self._lock:
            spans, self._spans = tuple(self._spans), []
            return spans

    def add(self, *spans: Span) -> None:
        """Add spans that were timed elsewhere, such as in an actor."""
        with self._lock:
            self._spans.extend(spans)

    @contextmanager
    def span(self, name: str, track: str, **details: Any) -> Iterator[None]:
        """Time the block, even if it raises."""
        start = time.time()
        try:
            yield
        finally:
            self.add(Span(name, track, start, time.time(), details))


def write_chrome_trace(path: Path, spans: Iterable[Span]) -> None:
    """Write the spans, a row for each track in the order of their first spans.

    Spans of a row are nested or disjoint, as the format requires; those that overlap, such as
    concurrent calls of one actor, get further rows of the track.
    """
    ordered = sorted(spans, key=lambda span: (span.start, -span.end))
    tracks: dict[str, list[Span]] = defaultdict(list)
    for span in ordered:
        tracks[span.track].append(span)
    origin = ordered[0].start if ordered else 0.0
    events: list[dict[str, Any]] = []
    rows = 0
    for track, own in tracks.items():
        for lane in _lanes(own):
            rows += 1
            events += _row(track, rows)
            events += [_event(span, rows, origin) for span in lane]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}))


def _lanes(spans: Sequence[Span]) -> list[list[Span]]:
    """Assign spans, sorted by start and longest first, to lanes by first fit."""
    lanes: list[list[Span]] = []
    opened: list[list[Span]] = []
    for span in spans:
        for lane, enclosing in zip(lanes, opened, strict=True):
            while enclosing and enclosing[-1].end <= span.start:
                enclosing.pop()
            if not enclosing or span.end <= enclosing[-1].end:
                lane.append(span)
                enclosing.append(span)
                break
        else:
            lanes.append([span])
            opened.append([span])
    return lanes


def _row(track: str, row: int) -> list[dict[str, Any]]:
    about = {"ph": "M", "pid": PROCESS, "tid": row}
    return [
        about | {"name": "thread_name", "args": {"name": track}},
        about | {"name": "thread_sort_index", "args": {"sort_index": row}},
    ]


def _event(span: Span, row: int, origin: float) -> dict[str, Any]:
    return {
        "name": span.name,
        "cat": span.track,
        "ph": "X",
        "pid": PROCESS,
        "tid": row,
        "ts": (span.start - origin) * 1e6,
        "dur": (span.end - span.start) * 1e6,
        "args": dict(span.details),
    }
