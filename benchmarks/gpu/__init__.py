"""What mmfer costs on a GPU: `make gpu`, or `python -m benchmarks.gpu`; see docs/performance.md."""

import time

STARTED = time.monotonic()
"""When this process began to import, which takes a part of its minutes."""
