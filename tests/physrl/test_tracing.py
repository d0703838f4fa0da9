import json
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from physrl.tracing import Span, Trace, write_chrome_trace

TIMES = st.integers(0, 50)
SPANS = st.builds(
    lambda name, track, start, length: Span(name, track, 1e9 + start, 1e9 + start + length),
    st.sampled_from("abc"),
    st.sampled_from(["controller", "server 0", "worker 0"]),
    TIMES,
    TIMES,
)


def written(folder: Path, *spans: Span) -> list[dict[str, Any]]:
    write_chrome_trace(folder / "profile" / "step-00000003.json", spans)
    content = json.loads((folder / "profile" / "step-00000003.json").read_text())
    assert content["displayTimeUnit"] == "ms"
    events: list[dict[str, Any]] = content["traceEvents"]
    return events


def complete(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["ph"] == "X"]


def test_phases_enclose_calls(tmp_path: Path) -> None:
    events = written(
        tmp_path,
        Span("update", "rank 0", 101.0, 103.0, {"rows": 8}),
        Span("step", "controller", 100.0, 105.0),
        Span("updating", "controller", 101.0, 104.0),
    )
    rows = {e["args"]["name"]: e["tid"] for e in events if e["name"] == "thread_name"}
    assert rows == {"controller": 1, "rank 0": 2}
    assert [(e["name"], e["tid"], e["ts"], e["dur"]) for e in complete(events)] == [
        ("step", 1, 0.0, 5e6),
        ("updating", 1, 1e6, 3e6),
        ("update", 2, 1e6, 2e6),
    ]
    assert complete(events)[2]["args"] == {"rows": 8}


def test_concurrent_calls_get_rows_of_their_own(tmp_path: Path) -> None:
    events = written(
        tmp_path,
        Span("first", "server 0", 0.0, 3.0),
        Span("second", "server 0", 1.0, 4.0),
        Span("third", "server 0", 3.0, 5.0),
    )
    assert {e["name"]: e["tid"] for e in complete(events)} == {"first": 1, "second": 2, "third": 1}
    named = [e["args"]["name"] for e in events if e["name"] == "thread_name"]
    assert named == ["server 0", "server 0"]


@given(st.lists(SPANS, max_size=20))
def test_the_format_is_kept(tmp_path_factory: pytest.TempPathFactory, spans: list[Span]) -> None:
    """Every span occurs once, and the spans of a row are disjoint or nested."""
    events = written(tmp_path_factory.mktemp("trace"), *spans)
    assert len(complete(events)) == len(spans)
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert all({"name", "ph", "pid", "tid"} <= event.keys() for event in events)
    assert all(event["ts"] >= 0 and event["dur"] >= 0 for event in complete(events))
    assert all(names[event["tid"]] == event["cat"] for event in complete(events))
    for one in complete(events):
        for other in complete(events):
            if one is not other and one["tid"] == other["tid"]:
                (a, b), (c, d) = ((e["ts"], e["ts"] + e["dur"]) for e in (one, other))
                apart = b <= c or d <= a
                nested = (a <= c and d <= b) or (c <= a and b <= d)
                assert apart or nested


def test_threads_may_trace_concurrently() -> None:
    trace = Trace()

    def work(number: int) -> None:
        for _ in range(50):
            with trace.span("work", track=f"thread {number}", number=number):
                pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    trace.add(Span("elsewhere", "rank 0", 0.0, 1.0))
    assert len(trace.spans) == 201
    assert all(span.start <= span.end for span in trace.spans)


def test_a_failed_span_is_traced() -> None:
    trace = Trace()
    with pytest.raises(ZeroDivisionError), trace.span("dividing", track="controller"):
        _ = 1 / 0
    assert [span.name for span in trace.spans] == ["dividing"]


def test_an_empty_trace_is_a_valid_file(tmp_path: Path) -> None:
    assert written(tmp_path) == []
