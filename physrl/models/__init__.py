"""Qwen-VL models, adapters, engines and the tiny model."""

import transformers.utils

# Where scikit-learn is installed (the probes need it), transformers would load it with SciPy's
# statistics and pandas, for a way of assisted decoding that nothing here uses: 1.5 of the 9.5
# CPU-seconds of a rank's imports, and as much of a server's, whenever one starts.
transformers.utils.is_sklearn_available = lambda: False
