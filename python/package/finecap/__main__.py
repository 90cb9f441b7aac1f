"""`python -m finecap` is the `finecap` command."""

import sys

from ._command import main

sys.exit(main())
