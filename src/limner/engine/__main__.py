"""``python -m limner.engine``."""

import sys

from limner.engine.process import main

if __name__ == "__main__":
    sys.exit(main())
