"""The core: what every number, rule and page means. It does no I/O, reads no clock and draws no random
number.
"""

import os

# Matrices here are of 32 rows. OpenBLAS would give each product to threads that wait for one another: 30 ms
# instead of 0.3 on a busy machine. It reads this when numpy is first imported, which is after this package.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
