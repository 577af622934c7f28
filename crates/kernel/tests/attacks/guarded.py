# SPDX-License-Identifier: MIT OR Apache-2.0
"""Says how opening a file goes, whenever one is named."""
from prelude import *

for line in sys.stdin:
    print(how(lambda: os.close(os.open(line.strip(), os.O_RDONLY))), flush=True)
