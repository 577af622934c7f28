# SPDX-License-Identifier: MIT OR Apache-2.0
"""What a process does before a thread of it enters a domain: enter.py TOKEN before|after|exec"""
import threading
from uring import *

GATE, ENTERED, PR_SET_NO_NEW_PRIVS = 0x4c4c6774, "EREMOTEIO", 38
TOKEN_NUMBER = int(sys.argv[1])


def opens(ring):
    """By a thread of the kernel's."""
    reads(ring.use(OPENAT, address=b"secret", how=ASYNC))


def enter():
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    return how(lambda: check(libc.prctl(GATE, ctypes.c_ulong(TOKEN_NUMBER), 0, 0, 0)))


def before():
    """The worker is there before, and serves the thread afterwards."""
    ring = Ring(False)
    opens(ring)
    print(enter(), how(lambda: opens(ring)))


def after():
    print(enter(), how(lambda: opens(Ring(False))))


def exec():
    """A thread that is not the first of its process becomes the process."""
    def body():
        answer = enter()
        os.execv("/bin/sh", ["sh", "-c", f"cat secret >/dev/null 2>&1 && echo {answer} reached || echo {answer} EPERM"])
    threading.Thread(target=body).start()
    time.sleep(1000)


import time
globals()[sys.argv[2]]()
