"""A cache of Triton for an image without a compiler.

Triton compiles one small extension in C, which hands kernels to the driver, at its first start.
`python -m triton_cache` compiles it while the image is built, where there is a compiler and no
driver; TRITON_CACHE_MANAGER=triton_cache:PrebuiltCacheManager finds it there afterwards. Kernels
themselves need no C compiler, and are cached as ever.
"""

import subprocess
import sys
import sysconfig
import tempfile
from contextlib import suppress
from pathlib import Path

from triton import knobs
from triton.runtime.cache import FileCacheManager

PREBUILT = Path(sys.prefix) / "triton-prebuilt"
DRIVER = "libcuda.so.1"


class PrebuiltCacheManager(FileCacheManager):  # type: ignore[misc]
    """A cache that looks into the image first."""

    def get_file(self, filename: str) -> str | None:
        """Return the path of a cached file."""
        path = PREBUILT / self.key / filename
        return str(path) if path.exists() else super().get_file(filename)


def build() -> None:
    """Compile Triton's extension against an empty driver."""
    with tempfile.TemporaryDirectory() as folder:
        stub = ("cc", "-shared", f"-Wl,-soname,{DRIVER}", "-o", f"{folder}/{DRIVER}")
        subprocess.run([*stub, "-x", "c", "/dev/null"], check=True)
        knobs.nvidia.libcuda_path = folder
        knobs.cache.dir = str(PREBUILT)
        knobs.build.impl = compile_extension
        from triton.backends.nvidia.driver import CudaUtils

        with suppress(ImportError):  # it is built, and cannot be loaded without a driver
            CudaUtils()
    built = list(PREBUILT.glob("*/cuda_utils*.so"))
    if len(built) != 1 or DRIVER.encode() not in built[0].read_bytes():
        sys.exit(f"Triton built {len(built)} extensions, not one that is linked to {DRIVER}")


def compile_extension(
    name: str,
    source: str,
    folder: str,
    library_dirs: list[str],
    include_dirs: list[str],
    libraries: list[str],
) -> str:
    """Compile as Triton does, but link to the driver although this one is empty."""
    extension = f"{folder}/{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    headers = [*include_dirs, folder, sysconfig.get_paths()["include"]]
    subprocess.run(
        [
            *("cc", source, "-O3", "-shared", "-fPIC", "-Wno-psabi", "-o", extension),
            *(f"-I{path}" for path in headers),
            *(f"-L{path}" for path in library_dirs),
            "-Wl,--no-as-needed",
            *(f"-l:{library}" for library in libraries),
        ],
        check=True,
    )
    return extension


if __name__ == "__main__":
    build()
