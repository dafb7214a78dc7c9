"""``python -m promptable``"""

import sys

from promptable.cli.main import main

sys.exit(main())
