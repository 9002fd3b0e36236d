"""A module whose import does not end; no test imports it itself."""

import time

if __name__ != "__main__":
    time.sleep(3600)
