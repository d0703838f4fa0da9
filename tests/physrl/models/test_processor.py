"""What comes along with a processor: servers and drivers wait for it whenever they start."""

import subprocess
import sys

NOT_NEEDED = ("peft", "sklearn", "pandas", "scipy.stats")


def test_a_processor_brings_neither_adapters_nor_statistics() -> None:
    script = (
        "import sys\n"
        "import physrl.models.processor\n"
        "assert 'transformers.generation' in sys.modules\n"
        f"print([name for name in {NOT_NEEDED} if name in sys.modules])\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.stdout == "[]\n", result.stderr
