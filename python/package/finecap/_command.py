"""The `finecap` command."""

import signal
import sys

from . import _finecap


def main() -> int:
    # Python's own handler would wait for the interpreter, which is not at work.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _finecap.main(["finecap", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
