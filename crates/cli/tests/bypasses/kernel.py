# SPDX-License-Identifier: MIT OR Apache-2.0
"""io_uring, in which threads of the kernel's act for the caller, and mounts. Descriptor 3 is the secret, open for
reading and writing."""
from prelude import *
from uring import *

REGISTER, REGISTER_FILES, FIXED_FILE = 427, 2, 1
READV, WRITEV, CONNECT, FALLOCATE, READ, WRITE, OPENAT2 = 1, 2, 16, 17, 22, 23, 28
RENAMEAT, UNLINKAT, MKDIRAT, SYMLINKAT, LINKAT, FSETXATTR, COMMAND = 35, 36, 37, 38, 39, 41, 46
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000


def by_any_thread(ways):
    """Each way by the caller itself, by a worker of the kernel's, and by the thread that polls a ring."""
    ring, polled = Ring(False), Ring(True)
    results = {}
    for name, way in ways.items():
        results[name] = lambda way=way: way(ring, 0)
        results[name + " by a worker"] = lambda way=way: way(ring, ASYNC)
        results[name + " by the poller"] = lambda way=way: way(polled, 0)
    return every(results)


def vector(data):
    return struct.pack("PP", ctypes.addressof(data), len(data) - 1)


def uring_opens():
    write = struct.pack("QQQ", os.O_WRONLY, 0, 0)
    return by_any_thread({
        "openat": lambda ring, how: reads(ring.use(OPENAT, address=b"secret", how=how)),
        "openat2": lambda ring, how: os.close(ring.use(OPENAT2, address=b"secret", offset=write, length=24, how=how)),
    })


def uring_reads():
    buffer = ctypes.create_string_buffer(100)

    def into(*request, **more):
        ctypes.memset(buffer, 0, 100)
        ring, arguments = request[0], request[1:]
        ring.use(*arguments, **more)
        want(TOKEN in buffer.raw)

    def registered(ring, how):
        call(REGISTER, ring.fd, REGISTER_FILES, struct.pack("i", 3), 1)
        try:
            into(ring, READ, 0, buffer, 99, how=how | FIXED_FILE)
        finally:
            call(REGISTER, ring.fd, REGISTER_FILES + 1, NULL, 0)

    return by_any_thread({
        "read": lambda ring, how: into(ring, READ, 3, buffer, 99, how=how),
        "readv": lambda ring, how: into(ring, READV, 3, vector(buffer), 1, how=how),
        "registered": registered,
    })


NULL = ctypes.c_void_p()


def uring_writes():
    buffer = ctypes.create_string_buffer(b"forged")
    return by_any_thread({
        "write": lambda ring, how: ring.use(WRITE, 3, buffer, 6, how=how),
        "writev": lambda ring, how: ring.use(WRITEV, 3, vector(buffer), 1, how=how),
        "fallocate": lambda ring, how: ring.use(FALLOCATE, 3, 100, 0, 0, how=how),
        "fsetxattr": lambda ring, how: ring.use(FSETXATTR, 3, b"user.colour", 3, b"red", how=how),
    })


def uring_names():
    number = iter(range(1000))

    def fresh(place=b"vault/%d"):
        return place % next(number)

    def unlinked(ring, how):
        name = fresh(b"loose%d")
        open(name, "w").close()
        ring.use(RENAMEAT, AT_FDCWD, name, AT_FDCWD & 0xffffffff, b"vault/" + name, how=how)
        ring.use(UNLINKAT, AT_FDCWD, b"vault/" + name, how=how)

    here = AT_FDCWD & 0xffffffff
    return by_any_thread({
        "mkdirat": lambda ring, how: ring.use(MKDIRAT, AT_FDCWD, fresh(), 0o700, how=how),
        "symlinkat": lambda ring, how: ring.use(SYMLINKAT, AT_FDCWD, b"x", 0, fresh(), how=how),
        "linkat": lambda ring, how: ring.use(LINKAT, AT_FDCWD, b"ordinary", here, fresh(), how=how),
        "openat": lambda ring, how: os.close(ring.use(OPENAT, AT_FDCWD, fresh(), 0o600, 0, os.O_CREAT | os.O_WRONLY, how=how)),
        "renameat and unlinkat": unlinked,
    })


def uring_connects():
    address = struct.pack("H", socket.AF_UNIX) + b"post\0"

    def connect(ring, how):
        with socket.socket(socket.AF_UNIX) as stream:
            ring.use(CONNECT, stream.fileno(), address, 0, len(address), how=how)

    return by_any_thread({"connect": connect})


def uring_commands():
    """The command that discards a disk's blocks, sent to a device that accepts any."""
    null = os.open("/dev/null", os.O_RDWR)
    return by_any_thread({"command": lambda ring, how: ring.use(COMMAND, null, 0, 0, 0x1277, how=how)})


def private():
    check(libc.unshare(CLONE_NEWNS))
    check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))


def open_tree(path):
    return call(428, AT_FDCWD, path, 1)


def move_mount(tree, to):
    call(429, tree, b"", AT_FDCWD, to, 4)


def mounted():
    """The same file in other views of the file system."""
    def in_view(make, path):
        def body():
            private()
            make()
            reads(os.open(path, os.O_RDONLY))
        return lambda: in_child(body)

    def overlay():
        for name in ("upper", "work"):
            os.makedirs(name, exist_ok=True)
        check(libc.mount(b"o", b"empty", b"overlay", 0, b"lowerdir=lower,upperdir=upper,workdir=work"))

    def bind():
        check(libc.mount(b".", b"empty", None, MS_BIND, None))

    os.mkdir("lower")
    os.link("secret", "lower/secret")
    return every({
        "bind": in_view(bind, "empty/secret"),
        "open_tree": lambda: in_child(lambda: (private(), reads(os.open("secret", os.O_RDONLY, dir_fd=open_tree(b"."))))),
        "move_mount": in_view(lambda: move_mount(open_tree(b"."), b"empty"), "empty/secret"),
        "overlay": in_view(overlay, "empty/secret"),
    })


def left_a_mount():
    """Out of a bind mount with the directory one is in: the walk up never meets the mount's root."""
    def body():
        private()
        os.makedirs("box/inner")
        os.link("secret", "box/inner/secret")
        check(libc.mount(b"box", b"empty", None, MS_BIND, None))
        inner = os.open("empty/inner", os.O_RDONLY)
        os.rename("box/inner", "outer")
        reads(os.open("secret", os.O_RDONLY, dir_fd=inner))
    in_child(body)


def set_user_id():
    """A set-user-id program changes who it is, but not the rules."""
    want(b"euid=0(root)" in subprocess.run(["./suid"], capture_output=True).stdout)
    run = subprocess.run(["./suid-cat", "secret"], capture_output=True)
    if b"not permitted" in run.stderr:
        raise OSError(errno.EPERM, "refused")
    want(TOKEN in run.stdout)


def mounted_over():
    """Something else in the place of a directory that may not be changed."""
    def scoped(body):
        return lambda: in_child(lambda: (private(), body()))

    return every({
        "mount": scoped(lambda: check(libc.mount(b"t", b"vault", b"tmpfs", 0, None))),
        "bind": scoped(lambda: check(libc.mount(b"empty", b"vault", None, MS_BIND, None))),
    })


def moved_over():
    def made():
        context = call(430, b"tmpfs", 0)
        call(431, context, 6, NULL, NULL, 0)
        move_mount(call(432, context, 0, 0), b"vault")

    return every({
        "open_tree": lambda: in_child(lambda: (private(), move_mount(open_tree(b"empty"), b"vault"))),
        "fsmount": lambda: in_child(lambda: (private(), made())),
    })


main(globals())
