"""`python -m tune …` is `trader tune …`."""

import sys

from trader.cli.main import main

if __name__ == "__main__":
    sys.argv[1:1] = ["tune"]
    main()
