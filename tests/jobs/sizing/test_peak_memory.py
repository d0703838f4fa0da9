import time

import pytest

from jobs.sizing import peak_memory


def test_the_peak_is_at_least_that_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak_memory, "INTERVAL", 0.01)
    with peak_memory.PeakMemory() as peak:
        time.sleep(0.1)
    assert peak.gigabytes > 0.01
