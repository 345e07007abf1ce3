"""`python -m skclr`: the command line."""

import sys

from skclr.command_line import main

if __name__ == "__main__":
    sys.exit(main())
