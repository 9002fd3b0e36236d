"""A module whose import ends its process; no test imports it itself."""

import os

os._exit(5)
