"""Does a vision-language model that learns by acting in a physical world learn physics?

The library: no Ray and no vLLM; everything here runs in one process.
"""

__version__ = "0.1.0"
