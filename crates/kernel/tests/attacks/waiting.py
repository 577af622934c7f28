# SPDX-License-Identifier: MIT OR Apache-2.0
"""Says how opening a file goes, and once more when that is another way, or has been the same for long.

While rules are taken down everything may be denied, saying something too."""
import time
from prelude import *

open_it = lambda: how(lambda: os.close(os.open(sys.argv[1], os.O_RDONLY)))


def say(text):
    while how(lambda: os.write(1, f"{text}\n".encode())) != "reached":
        time.sleep(0.1)


first = open_it()
say(first)
for _ in range(300):
    time.sleep(0.1)
    if open_it() != first:
        break
say(open_it())
