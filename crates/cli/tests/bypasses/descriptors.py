# SPDX-License-Identifier: MIT OR Apache-2.0
"""Descriptors that were open before, or come from elsewhere. Descriptor 3 is the secret, open for reading and writing."""
from prelude import *

RDWR, NULL = os.O_RDWR, 0
IO_SETUP, IO_SUBMIT, PIDFD_OPEN, PIDFD_GETFD, RECVMMSG = 206, 209, 434, 438, 299


def pipe():
    return os.pipe()


def received(data):
    want(TOKEN in data)


def read_ways():
    buffer = ctypes.create_string_buffer(100)
    vector = ctypes.create_string_buffer(struct.pack("PP", ctypes.addressof(buffer), 100))

    def sent():
        reader, writer = pipe()
        os.sendfile(writer, 3, 0, 100)
        received(os.read(reader, 100))

    def spliced():
        reader, writer = pipe()
        os.splice(3, writer, 100, offset_src=0)
        received(os.read(reader, 100))

    def copied():
        fd = os.open("copy", os.O_RDWR | os.O_CREAT)
        os.copy_file_range(3, fd, 100, offset_src=0)
        received(os.pread(fd, 100, 0))

    def mapped(flags):
        with mmap.mmap(3, 0, flags, mmap.PROT_READ) as memory:
            received(memory[:100])

    def asynchronous():
        context = ctypes.c_ulong()
        call(IO_SETUP, 1, ctypes.byref(context))
        block = ctypes.create_string_buffer(struct.pack("QIIHhIQQqQII", 0, 0, 0, 0, 0, 3, ctypes.addressof(buffer), 100, 0, 0, 0, 0))
        blocks = ctypes.create_string_buffer(struct.pack("P", ctypes.addressof(block)))
        call(IO_SUBMIT, context, 1, blocks)

    def duplicated():
        received(os.pread(os.dup(3), 100, 0))

    def executed():
        out = subprocess.run(["/bin/sh", "-c", "cat <&3 2>&1"], pass_fds=[3], capture_output=True).stdout
        if b"not permitted" in out:
            raise OSError(errno.EPERM, "in a program")

    return {
        "read": lambda: (os.lseek(3, 0, 0), received(os.read(3, 100))),
        "pread": lambda: received(os.pread(3, 100, 0)),
        "readv": lambda: call(19, 3, vector, 1), "preadv": lambda: call(295, 3, vector, 1, 0, 0),
        "preadv2": lambda: call(327, 3, vector, 1, 0, 0, 0),
        "sendfile": sent, "splice": spliced, "copy_file_range": copied, "dup": duplicated, "exec": executed,
        "mmap": lambda: mapped(mmap.MAP_PRIVATE), "mmap shared": lambda: mapped(mmap.MAP_SHARED),
        "child": lambda: in_child(lambda: received(os.pread(3, 100, 0))),
    }, asynchronous


def read():
    return every(read_ways()[0])


def read_by_threads():
    """With a second thread, which could put another file there."""
    import threading
    stop = threading.Event()
    other = threading.Thread(target=stop.wait)
    other.start()
    try:
        ways = read_ways()[0]
        del ways["child"], ways["exec"]
        return every(ways)
    finally:
        stop.set()
        other.join()


def asynchronous():
    read_ways()[1]()


def write():
    vector = ctypes.create_string_buffer(struct.pack("PP", ctypes.addressof(ctypes.create_string_buffer(b"forged")), 6))

    def into(act):
        reader, writer = pipe()
        os.write(writer, b"forged")
        act(reader)

    def mapped():
        with mmap.mmap(3, 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE) as memory:
            memory[:6] = b"forged"

    def protected():
        libc.mmap.restype = ctypes.c_long
        address = check(libc.mmap(None, 4096, 1, 1, 3, ctypes.c_long(0)))
        check(libc.mprotect(ctypes.c_void_p(address), 4096, 3))
        ctypes.memmove(address, b"forged", 6)

    def protected_by_key():
        libc.mmap.restype = ctypes.c_long
        address = check(libc.mmap(None, 4096, 0, 1, 3, ctypes.c_long(0)))
        call(329, address, 4096, 3, -1)
        ctypes.memmove(address, b"forged", 6)

    source = os.open("ordinary", os.O_RDONLY)
    return every({
        "write": lambda: os.write(3, b"forged"), "pwrite": lambda: os.pwrite(3, b"forged", 0),
        "writev": lambda: call(20, 3, vector, 1), "pwritev": lambda: call(296, 3, vector, 1, 0, 0),
        "pwritev2": lambda: call(328, 3, vector, 1, 0, 0, 0),
        "sendfile": lambda: os.sendfile(3, source, 0, 6),
        "splice": lambda: into(lambda fd: os.splice(fd, 3, 6)),
        "copy_file_range": lambda: os.copy_file_range(source, 3, 6, 0, 0),
        "truncate": lambda: os.truncate(3, 100), "allocate": lambda: os.posix_fallocate(3, 0, 100),
        "punch": lambda: check(libc.fallocate(3, 3, ctypes.c_long(0), ctypes.c_long(1))),
        "mmap": mapped, "mprotect": protected, "pkey_mprotect": protected_by_key,
        "chmod": lambda: os.fchmod(3, 0o1600), "chown": lambda: os.fchown(3, os.getuid(), os.getgid()),
        "times": lambda: os.utime(3), "setxattr": lambda: os.setxattr(3, "user.colour", b"red"),
        "removexattr": lambda: os.removexattr(3, "user.colour"),
        "child": lambda: in_child(lambda: os.pwrite(3, b"forged", 0)),
    })


def lock():
    kinds = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
    free = struct.pack("hhqqi4x", fcntl.F_UNLCK, 0, 0, 0, 0)
    return every({
        "flock": lambda: fcntl.flock(3, fcntl.LOCK_EX),
        "ofd": lambda: (fcntl.fcntl(3, 37, kinds), fcntl.fcntl(3, 37, free)),
        "setlk": lambda: fcntl.fcntl(3, fcntl.F_SETLK, kinds),
        "setlkw": lambda: fcntl.fcntl(3, fcntl.F_SETLKW, kinds),
    })


def control():
    return every({
        "getfl": lambda: fcntl.fcntl(3, fcntl.F_GETFL), "dup": lambda: os.close(fcntl.fcntl(3, fcntl.F_DUPFD, 0)),
        "setown": lambda: fcntl.fcntl(3, fcntl.F_SETOWN, os.getpid()),
    })


def own_signal():
    """SIGIO for a whole process group, the supervisor's for instance."""
    reader, writer = pipe()
    fcntl.fcntl(reader, fcntl.F_SETOWN, -os.getpgrp())


def delivered(fd):
    """The kernel tells by leaving descriptors out, not by an error."""
    if fd is None:
        raise OSError(errno.EPERM, "left out")
    return fd


def passed():
    """Sent by somebody outside."""
    def take(receive):
        with socket.socket(socket.AF_UNIX) as post:
            post.connect("post")
            receive(post)

    def message(post):
        _, fds, _, _ = socket.recv_fds(post, 10, 4)
        reads(delivered(fds[0] if fds else None))

    def many(post):
        data, control = ctypes.create_string_buffer(10), ctypes.create_string_buffer(64)
        vector = ctypes.create_string_buffer(struct.pack("PP", ctypes.addressof(data), 10))
        header = ctypes.create_string_buffer(struct.pack("PI4xPNPNi4xI4x", 0, 0, ctypes.addressof(vector), 1, ctypes.addressof(control), 64, 0, 0))
        call(RECVMMSG, post.fileno(), header, 1, 0, 0)
        length = struct.unpack_from("Q", control)[0]
        reads(delivered(struct.unpack_from("i", control, 16)[0] if length else None))

    return every({"recvmsg": lambda: take(message), "recvmmsg": lambda: take(many)})


def passed_within():
    """Sent by a process of the same sandbox, which holds it from before."""
    a, b = socket.socketpair()

    def message():
        socket.send_fds(a, [b"x"], [3])
        _, fds, _, _ = socket.recv_fds(b, 10, 4)
        reads(delivered(fds[0] if fds else None))

    def stolen():
        pid = os.fork()
        if pid == 0:
            signal.pause()
        try:
            reads(call(PIDFD_GETFD, call(PIDFD_OPEN, pid, 0), 3, 0))
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    return every({"message": message, "pidfd_getfd": stolen})


def terminal():
    import pty
    master, slave = pty.openpty()
    return master, slave


def peered():
    """A terminal's other side, opened by an ioctl on the master."""
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    fcntl.ioctl(master, 0x40045431, struct.pack("i", 0))
    slave = call(16, master, 0x5441, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    os.write(master, b"x\n")
    want(os.read(slave, 2) == b"x\n" and os.isatty(slave) and not os.get_inheritable(slave))


def namespaces():
    """A namespace, opened by an ioctl on another."""
    space = os.open("/proc/self/ns/uts", os.O_RDONLY)
    want(os.fstat(call(16, space, 0xb701, 0)).st_ino == os.stat("/proc/self/ns/user").st_ino)


def pushed():
    """Characters put into a terminal's input, as if typed."""
    def body():
        master, slave = terminal()
        os.setsid()
        fcntl.ioctl(slave, 0x540E, 0)
        for letter in b"ls\n":
            fcntl.ioctl(slave, 0x5412, bytes([letter]))
    in_child(body)


def pasted():
    """The console's paste, tried on any terminal."""
    master, slave = terminal()
    try:
        fcntl.ioctl(slave, 0x541C, b"\3")
    except OSError as error:
        if error.errno != errno.ENOTTY:
            raise


def inputs():
    """An ioctl of a descriptor opened before."""
    fcntl.ioctl(3, 0x541B, bytearray(4))


def executed():
    """A program that may not be executed, in every way there is."""
    program = os.open("program", os.O_RDONLY)
    with open("script", "w") as file:
        file.write(f"#!{os.getcwd()}/program\n")
    os.chmod("script", 0o755)
    libc.mmap.restype = ctypes.c_long

    def run(*command):
        def body():
            os.execv(command[0], list(command))
        return lambda: in_child(body)

    def by_loader():
        result = subprocess.run(["/lib64/ld-linux-x86-64.so.2", "./program"], capture_output=True)
        if result.returncode:
            raise OSError(errno.EPERM, "by the loader")

    def mapped(prot, flags):
        return lambda: check(libc.mmap(None, 4096, prot, flags, program, ctypes.c_long(0)))

    def protected():
        address = check(libc.mmap(None, 4096, 1, 2, program, ctypes.c_long(0)))
        check(libc.mprotect(ctypes.c_void_p(address), 4096, 5))

    ways = {
        "execve": run("./program"), "script": run("./script"), "loader": by_loader,
        "execveat": lambda: in_child(lambda: call(322, program, b"", NULL, NULL, 0x1000)),
        "fexecve": run(f"/proc/self/fd/{program}"), "map": mapped(5, 2), "map shared": mapped(4, 1),
        "mprotect": protected,
    }
    return every(ways)


def interpreted():
    """A program whose loader may not be executed."""
    with open("/bin/true", "rb") as file, open("interpreted", "wb") as out:
        loader = b"/lib64/ld-linux-x86-64.so.2\0"
        code = file.read()
        assert loader in code
        out.write(code.replace(loader, b"./loader".ljust(len(loader), b"\0"), 1))
    os.chmod("interpreted", 0o755)
    in_child(lambda: os.execv("./interpreted", ["./interpreted"]))


def anonymous():
    """A program without a name: copied into memory."""
    fd = os.memfd_create("program")
    with open("/bin/true", "rb") as file:
        os.write(fd, file.read())

    def mapped():
        libc.mmap.restype = ctypes.c_long
        check(libc.mmap(None, 4096, 5, 2, fd, ctypes.c_long(0)))

    def shared():
        number = check(libc.shmget(0, 4096, 0o1777))
        libc.shmat.restype = ctypes.c_long
        try:
            check(libc.shmat(number, None, 0o100000))
        finally:
            libc.shmctl(number, 0, None)

    return every({
        "execveat": lambda: in_child(lambda: call(322, fd, b"", NULL, NULL, 0x1000)),
        "fexecve": lambda: in_child(lambda: os.execv(f"/proc/self/fd/{fd}", ["x"])),
        "mmap": mapped, "shmat": shared,
    })


def implied():
    """READ_IMPLIES_EXEC: every mapping executable behind the rules' back."""
    def body():
        call(135, 0x0400000)
        libc.mmap.restype = ctypes.c_long
        fd = os.open("program", os.O_RDONLY)
        check(libc.mmap(None, 4096, 1, 2, fd, ctypes.c_long(0)))
    in_child(body)


def io_uring():
    os.close(call(425, 4, ctypes.create_string_buffer(200)))


def unknown():
    """Numbers no kernel has given to anything yet."""
    return every({str(number): lambda number=number: call(number, 0) for number in (423, 999, 100000)})


def x32():
    reads(call(0x40000000 + 2, b"secret", 0))


def int80():
    """A 32-bit system call from 64-bit code: open(path, O_RDONLY)."""
    libc.mmap.restype = ctypes.c_long
    low = check(libc.mmap(None, 8192, 7, 0x62, -1, ctypes.c_long(0)))
    path = low + 4096
    ctypes.memmove(path, b"secret\0", 7)
    #      push rbx; mov eax, 5; mov ebx, path; xor ecx, ecx; int 0x80; pop rbx; ret
    code = b"\x53\xb8\x05\0\0\0\xbb" + struct.pack("I", path) + b"\x31\xc9\xcd\x80\x5b\xc3"
    ctypes.memmove(low, code, len(code))
    result = ctypes.CFUNCTYPE(ctypes.c_int)(low)()
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    reads(result)


def faulted():
    """A path on a page that somebody else supplies while the syscall waits for it."""
    import threading
    libc.mmap.restype = ctypes.c_long
    page = check(libc.mmap(None, 4096, 3, 0x22, -1, ctypes.c_long(0)))
    fault = call(323, 0o2000000)
    fcntl.ioctl(fault, 0xC018AA3F, bytearray(struct.pack("QQQ", 0xAA, 0, 0)))
    fcntl.ioctl(fault, 0xC020AA00, bytearray(struct.pack("QQQQ", page, 4096, 1, 0)))

    def supply():
        os.read(fault, 32)
        source = ctypes.create_string_buffer(b"secret".ljust(8192, b"\0"))
        aligned = (ctypes.addressof(source) + 4095) & -4096
        ctypes.memmove(aligned, b"secret\0", 7)
        fcntl.ioctl(fault, 0xC028AA03, bytearray(struct.pack("QQQQq", page, aligned, 4096, 0, 0)))

    thread = threading.Thread(target=supply)
    thread.start()
    try:
        reads(call(2, ctypes.c_void_p(page), 0))
    finally:
        thread.join()


def crowded():
    """Many opens that block do not keep others from being served."""
    os.mkfifo("fifo")
    pids = []
    for _ in range(150):
        pid = os.fork()
        if pid == 0:
            os.open("fifo", os.O_RDONLY)
            os._exit(0)
        pids.append(pid)
    try:
        reads(os.open("secret", os.O_RDONLY))
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)


main(globals())
