"""`python -m bench`: the comparison (compare.py)."""

import sys

from bench.compare import main

try:
    sys.exit(main())
except KeyboardInterrupt:
    sys.exit("bench: stopped")
