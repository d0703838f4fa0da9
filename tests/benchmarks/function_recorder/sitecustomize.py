"""Recorder of the project's files in which functions run, in every process of a job.

Python imports this at its start where this folder is on PYTHONPATH. While the file
$FUNCTION_RECORDER/recording exists, each process writes the functions that are called or resumed to
$FUNCTION_RECORDER/<pid>: the name of the process, the path and the function, separated by tabs.
"""

import inspect
import os
import re
import sys
import threading
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

PACKAGES = ("physrl", "cluster", "jobs")
FOLDER = os.environ.get("FUNCTION_RECORDER", "")
FLAG = f"{FOLDER}/recording"
PREFIXES = tuple(f"{os.environ.get('FUNCTION_RECORDER_ROOT', '')}/{name}/" for name in PACKAGES)
RAY_METHODS = "ray._private.function_manager"
settled: set[CodeType] = set()
"""Code that is recorded, or of no interest."""


def record(frame: FrameType, event: str, argument: object) -> None:
    """Record a call of the project's code; a profile function of `sys.setprofile`."""
    code = frame.f_code
    if event != "call" or code in settled:
        return
    if not is_function(code):
        settled.add(code)
    elif os.path.exists(FLAG):
        settled.add(code)
        with Path(FOLDER, str(os.getpid())).open("a") as found:
            found.write(f"{process_name()}\t{code.co_filename}\t{code.co_qualname}\n")


def is_function(code: CodeType) -> bool:
    """Tell functions of the project from other code, modules and bodies of classes."""
    optimized = bool(code.co_flags & inspect.CO_OPTIMIZED)
    return optimized and code.co_qualname != "<genexpr>" and code.co_filename.startswith(PREFIXES)


def process_name() -> str:
    """Return the class of an actor from the title that Ray gives its process, else `driver`."""
    title = Path("/proc/self/cmdline").read_bytes().split(b"\0")[0].decode()
    found = re.match(r"ray::(\w+)", title)
    return "driver" if found is None else found[1]


class RayMethods(PathFinder):
    """Records the threads in which Ray calls methods: it makes them outside of `threading`."""

    @classmethod
    def find_spec(cls, fullname: str, *others: Any) -> ModuleSpec | None:
        """Find the one module that is changed after its import."""
        if fullname != RAY_METHODS:
            return None
        sys.meta_path.remove(cls)
        spec = super().find_spec(fullname, *others)
        assert spec is not None
        assert spec.loader is not None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            wrap_methods(module.FunctionActorManager)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def wrap_methods(manager: Any) -> None:
    """Have every method of an actor set the recorder in its thread."""
    make = manager._make_actor_method_executor

    def make_recorded(self: Any, name: str, method: Callable[..., Any]) -> Any:
        def recorded(*arguments: Any, **others: Any) -> Any:
            sys.setprofile(record)
            return method(*arguments, **others)

        return make(self, name, method if inspect.iscoroutinefunction(method) else recorded)

    manager._make_actor_method_executor = make_recorded


if FOLDER:
    sys.meta_path.insert(0, RayMethods)
    threading.setprofile(record)
    sys.setprofile(record)
