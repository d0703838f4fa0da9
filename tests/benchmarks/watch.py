"""Measure `physrl watch` on a large study, in a folder and in a bucket.

python tests/benchmarks/watch.py [--tree FOLDER]

Writes 504 trials, 40,544 cells and 20 runs of 300 steps (or takes the tree that it wrote into
FOLDER before), serves them on one core, and prints one line of JSON: seconds of the slower of
overview and study page from a server that has just started (cold) and from then on (warm), of a
search without a hit over 100,096 rollouts, and of the slower page of the same tree in a bucket; the
server's largest memory while it reads all answers.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.pool import ThreadPool
from pathlib import Path
from statistics import median

import boto3
import psutil
from botocore.config import Config

from tests.benchmarks.chaos_storage import s3_server
from tests.support.paths import ROOT
from tests.support.watched_tree import BIG, NAME, write_tree

ROLLOUTS, REPEATS, READ_S = 100_000, 5, 600
"""Rollouts to search, requests whose median is warm, longest wait until all answers are read."""
BUCKET, UPLOADS = "watched", 16


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tree", type=Path, help="folder of the tree, written if it is empty")
    with tempfile.TemporaryDirectory() as temporary:
        tree = parser.parse_args().tree or Path(temporary) / "tree"
        if not (tree / "store").is_dir():
            print(f"writing {tree}", flush=True)
            write_tree(tree, BIG, time.time())
        run = _lengthen(tree)
        figures = _measure_folder(tree, run)
        with s3_server(Path(temporary) / "s3") as server:
            print("uploading", flush=True)
            _upload(tree, server.environment)
            figures["s3_cold_s"] = _cold(f"s3://{BUCKET}", server.environment)
    print(json.dumps(figures))


def _measure_folder(tree: Path, run: Path) -> dict[str, float]:
    figures = {"cold_s": _cold(str(tree), {})}
    with _serving(str(tree), {}) as (url, process):
        pages = _pages(url, str(tree))
        for page in pages:
            _get(page)
        while "Reading" in _get(pages[1])[0]:
            time.sleep(5)
        before = _processor(process)
        figures["warm_s"] = max(median(_get(page)[1] for _ in range(REPEATS)) for page in pages)
        spent = (_processor(process) - before) / (len(pages) * REPEATS)
        print(f"warm: {spent:.2f} s of processor time a page", flush=True)
        asked = urllib.parse.urlencode({"run": run, "text": "no completion has this"})
        before = _processor(process)
        text, seconds = _get(f"{url}rollouts?{asked}")
        print(f"search: {_processor(process) - before:.2f} s of processor time", flush=True)
        assert "Nothing matches" in text
        figures["search_s"] = seconds
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert peak is not None
        figures["memory_mb"] = int(peak[1]) / 1e3
    return {name: round(value, 3) for name, value in figures.items()}


def _cold(place: str, environment: dict[str, str]) -> float:
    """Return the slower of overview and study page, each the first of a server."""
    seconds = []
    for number in (0, 1):
        with _serving(place, environment) as (url, process):
            before = _processor(process)
            text, took = _get(_pages(url, place)[number])
            assert NAME in text
            seconds.append(took)
            spent = _processor(process) - before
            print(f"cold: {took:.2f} s, of which {spent:.2f} s of processor time", flush=True)
    return round(max(seconds), 3)


def _pages(url: str, place: str) -> tuple[str, str]:
    asked = urllib.parse.urlencode({"store": f"{place}/store", "study": NAME})
    return url, f"{url}study?{asked}"


@contextmanager
def _serving(
    place: str, environment: dict[str, str]
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Start the server on one core; yield its address and process."""
    command = [sys.executable, "-m", "jobs.cli", "watch", place, "--port", "0"]
    pin = ["taskset", "-c", "0"] if shutil.which("taskset") else []
    process = subprocess.Popen(
        [*pin, *command],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)} | environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None, "the server did not start"
        yield found[0], process
    finally:
        process.terminate()
        process.wait(60)


def _processor(process: subprocess.Popen[str]) -> float:
    """Return the processor time of a process so far, which other work on the machine leaves."""
    times = psutil.Process(process.pid).cpu_times()
    return float(times.user + times.system)


def _get(url: str) -> tuple[str, float]:
    began = time.perf_counter()
    with urllib.request.urlopen(url, timeout=READ_S) as answer:
        text = answer.read().decode()
    return text, time.perf_counter() - began


def _lengthen(tree: Path) -> Path:
    """Give one run steps for 100,000 rollouts; return its folder."""
    run = sorted((tree / "runs" / NAME / "trials").iterdir())[0]
    first = tree / "steps" / "step-00000001.parquet"
    for step in range(BIG.steps + 1, -(-ROLLOUTS // (BIG.groups * BIG.group_size)) + 1):
        path = run / "rollouts" / f"step-{step:08d}.parquet"
        if not path.exists():
            os.link(first, path)
    return run


def _upload(tree: Path, environment: dict[str, str]) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
        config=Config(max_pool_connections=UPLOADS),
    )
    client.create_bucket(Bucket=BUCKET)

    def put(path: Path) -> None:
        key = path.relative_to(tree).as_posix()
        client.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())

    paths = [path for path in tree.rglob("*") if path.is_file() and "steps" not in path.parts]
    with ThreadPool(UPLOADS) as pool:
        pool.map(put, paths, 64)


if __name__ == "__main__":
    main()
