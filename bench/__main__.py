"""`python -m bench`: the comparison of speed (compare.py)."""

import sys

from bench.compare import main

if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("bench: stopped")
