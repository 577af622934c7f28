# SPDX-License-Identifier: MIT OR Apache-2.0
"""Takes steps, each an argument, and says in one line what came of each: `ok`, or an errno, or a signal."""
import ctypes
import errno
import mmap
import os
import signal
import struct
import subprocess
import sys
import threading

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
AT_FDCWD, OPENAT2 = -100, 437
PLACE = os.path.dirname(os.path.abspath(__file__))


def checked(result):
    if result in (-1, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "")
    return result


def mapped(fd, protection, flags):
    address = checked(libc.mmap(None, 4096, protection, flags, fd, 0))
    libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(4096))


def with_file(path, flags, body):
    fd = os.open(path, flags)
    try:
        body(fd)
    finally:
        os.close(fd)


def call(number, *arguments):
    checked(libc.syscall(ctypes.c_long(int(number)), *(ctypes.c_long(int(argument)) for argument in arguments)))


def open2(path):
    name, how = ctypes.create_string_buffer(path.encode()), ctypes.create_string_buffer(24)
    os.close(checked(libc.syscall(OPENAT2, AT_FDCWD, name, how, ctypes.c_long(24))))


def moved(group):
    with_file(f"cg/{group}/cgroup.procs", os.O_WRONLY, lambda fd: os.write(fd, b"0"))


def uring(who, path):
    sys.path.insert(0, PLACE)
    from uring import ASYNC, OPENAT, Ring
    ring = Ring(who == "poller")
    os.close(ring.use(OPENAT, address=path.encode(), how=ASYNC if who == "worker" else 0))


STEPS = {
    "open": lambda path: with_file(path, os.O_RDONLY, lambda fd: None),
    "open2": open2,
    "read": lambda path: with_file(path, os.O_RDONLY, lambda fd: os.pread(fd, 1, 0)),
    "write": lambda path: with_file(path, os.O_RDWR, lambda fd: os.pwrite(fd, b"x", 0)),
    "append": lambda path: with_file(path, os.O_RDWR | os.O_APPEND, lambda fd: os.write(fd, b"x")),
    "list": lambda path: with_file(path, os.O_RDONLY, os.listdir),
    "map": lambda path: with_file(path, os.O_RDONLY, lambda fd: mapped(fd, mmap.PROT_READ, mmap.MAP_PRIVATE)),
    "share": lambda path: with_file(path, os.O_RDONLY, lambda fd: mapped(fd, mmap.PROT_READ, mmap.MAP_SHARED)),
    # With MAP_STACK, which nobody else's memory here has.
    "memory": lambda protection: mapped(-1, int(protection), 0x20022),
    "call": call,
    "enter": moved,
    "rename": os.rename,
    "uring": uring,
}


def in_thread(step):
    said = []
    thread = threading.Thread(target=lambda: said.append(taken(step)))
    thread.start()
    thread.join()
    return said[0]


def in_child(step):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, taken(step).encode())
        os._exit(0)
    os.close(writer)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    said = os.read(reader, 100).decode()
    os.close(reader)
    return signal.Signals(-code).name if code < 0 else said


def in_program(step):
    program = [sys.executable, "-B", "-S", __file__, step]
    return subprocess.run(program, stdout=subprocess.PIPE, text=True).stdout.strip()


def taken(step):
    """`open:file`; by whom comes before that: `fork:thread:open:file`."""
    name, *arguments = step.split(":")
    by_others = {"thread": in_thread, "fork": in_child, "exec": in_program}
    if name in by_others:
        return by_others[name](":".join(arguments))
    try:
        STEPS[name](*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "ok"


print(*(taken(step) for step in sys.argv[1:]))
