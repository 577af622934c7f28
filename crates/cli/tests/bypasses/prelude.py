# SPDX-License-Identifier: MIT OR Apache-2.0
"""What attackers have in common. An attack is a function; it raises OSError where it is stopped.

Says on standard output how the attack went:
    reached            it got what it wanted, by every way it tried
    stopped: EPERM     every way failed with this errno
    mixed: ...         neither; says which way went how
and then whether ordinary things still work.
"""
import ctypes
import errno
import fcntl
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
TOKEN = b"the crown jewels"


def call(number, *args):
    """A raw system call. Integers and bytes; what it returns, or OSError."""
    cast = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    result = libc.syscall(ctypes.c_long(number), *cast)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def kernel():
    """The running kernel's series, such as (6, 1)."""
    return tuple(map(int, os.uname().release.split(".")[:2]))


def check(result):
    """The result of a C function, or OSError."""
    if result == -1 or result is None:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def want(found):
    """The attack has got this far: what it found is what it looked for."""
    assert found, "the attack got something else than it wanted"


def reads(fd):
    """Reads the secret from a descriptor."""
    want(TOKEN in os.pread(fd, 100, 0))


def how(way):
    try:
        way()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "reached"


def every(ways):
    """Tries all ways, a dictionary, each on its own."""
    results = {name: how(way) for name, way in ways.items()}
    if len(set(results.values())) == 1:
        result = results.popitem()[1]
        return "reached" if result == "reached" else f"stopped: {result}"
    return f"mixed: {results}"


def in_child(body):
    """Runs it in a child process; OSError of the child is raised here."""
    pid = os.fork()
    if pid == 0:
        code = 0
        try:
            body()
        except OSError as error:
            code = error.errno
        except BaseException as error:
            print(error, file=sys.stderr)
            code = 255
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code not in (255, -9, -11), f"child failed: {code}"
    if code:
        raise OSError(code, os.strerror(code))


def the_rest_works():
    with open("ordinary", "r+b") as file:
        file.write(b"written")
        file.seek(0)
        assert file.read() == b"written"
    os.mkdir("a directory")
    os.rename("a directory", "another")
    assert os.path.isdir("another") and "ordinary" in os.listdir(".")
    os.rmdir("another")
    assert subprocess.run(["/bin/sh", "-c", "echo $((6 * 7))"], capture_output=True).stdout == b"42\n"


def main(attacks):
    attack = attacks[sys.argv[1]]
    try:
        result = attack() or "reached"
    except OSError as error:
        result = f"stopped: {errno.errorcode[error.errno]}"
    print(result)
    if getattr(attack, "leaves_ruins", False):
        return
    the_rest_works()
    print("the rest works")
