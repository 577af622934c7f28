# SPDX-License-Identifier: MIT OR Apache-2.0
"""Reaching an object under another name, or another object under its name."""
from prelude import *

O_PATH, O_TMPFILE = 0o10000000, 0o20200000
AT_FDCWD, AT_EMPTY_PATH, AT_SYMLINK_FOLLOW = -100, 0x1000, 0x400
RENAMEAT2, OPENAT2, FCHMODAT2, EXCHANGE = 316, 437, 452, 2


def read_path(path):
    fd = os.open(path, os.O_RDONLY)
    reads(fd)
    os.close(fd)


def exchange(a, b):
    call(RENAMEAT2, AT_FDCWD, a, AT_FDCWD, b, EXCHANGE)


def hard_link():
    os.link("secret", "alias")
    read_path("alias")


def symbolic_links():
    os.symlink("secret", "one")
    os.symlink(os.getcwd() + "/one", "two")
    os.symlink("./two", "three")
    return every({name: lambda name=name: read_path(name) for name in ("one", "two", "three", "./one")})


def renamed():
    os.rename("secret", "renamed")
    try:
        read_path("renamed")
    finally:
        os.rename("renamed", "secret")


def moved_directory():
    os.mkdir("box")
    os.rename("secret", "box/secret")
    os.rename("box", "crate")
    try:
        read_path("crate/secret")
    finally:
        os.rename("crate/secret", "secret")


def exchanged():
    open("forged", "w").close()
    return every({
        "out": lambda: (exchange(b"secret", b"forged"), exchange(b"secret", b"forged")),
        "in": lambda: (exchange(b"forged", b"secret"), exchange(b"forged", b"secret")),
    })


def overwritten():
    open("forged", "w").close()
    os.rename("forged", "secret")


def into_vault():
    """Names in a directory with other rights: made, moved in, moved out, exchanged, removed."""
    def link():
        os.link("ordinary", "vault/alias")

    def move():
        open("loose", "w").close()
        os.rename("loose", "vault/loose")

    def out():
        os.rename("vault/inner", "inner")
        os.rename("inner", "vault/inner")

    def across():
        exchange(b"ordinary", b"vault/inner")
        exchange(b"ordinary", b"vault/inner")

    def create():
        open("vault/new", "w").close()

    def unnamed():
        fd = os.open(".", O_TMPFILE | os.O_RDWR, 0o600)
        call(265, AT_FDCWD, b"/proc/self/fd/%d" % fd, AT_FDCWD, b"vault/unnamed", AT_SYMLINK_FOLLOW)

    def fifo():
        os.mkfifo("vault/fifo")

    def remove():
        os.unlink("vault/spare")

    def remove_directory():
        os.rmdir("vault/empty")

    return every({
        "link": link, "move": move, "out": out, "across": across, "create": create, "unnamed": unnamed,
        "fifo": fifo, "symlink": lambda: os.symlink("x", "vault/symlink"),
        "mkdir": lambda: os.mkdir("vault/directory"), "remove": remove, "rmdir": remove_directory,
        "unnamed in it": lambda: os.close(os.open("vault", O_TMPFILE | os.O_RDWR, 0o600)),
    })


def created():
    """Every way to make a name."""
    def unnamed():
        fd = os.open(".", O_TMPFILE | os.O_RDWR, 0o600)
        call(265, AT_FDCWD, b"/proc/self/fd/%d" % fd, AT_FDCWD, b"u", AT_SYMLINK_FOLLOW)

    def renames(flags, name):
        return lambda: call(RENAMEAT2, AT_FDCWD, b"ordinary%d" % flags, AT_FDCWD, name, flags)

    how = struct.pack("QQQ", os.O_CREAT | os.O_WRONLY, 0o600, 0)
    return every({
        "open": lambda: os.open("a", os.O_CREAT | os.O_WRONLY),
        "openat": lambda: os.open("b", os.O_CREAT | os.O_RDONLY, dir_fd=os.open(".", os.O_RDONLY)),
        "creat": lambda: call(85, b"c", 0o600),
        "openat2": lambda: call(OPENAT2, AT_FDCWD, b"d", how, 24),
        "dangling": lambda: os.open("dangling", os.O_CREAT | os.O_WRONLY),
        "mkdir": lambda: os.mkdir("e"), "mkfifo": lambda: os.mkfifo("f"),
        "mknod": lambda: os.mknod("g", 0o100600), "symlink": lambda: os.symlink("x", "h"),
        "link": lambda: os.link("ordinary", "i"), "unnamed": unnamed,
        "rename": renames(0, b"j"), "noreplace": renames(1, b"k"),
    })


created.leaves_ruins = True


def bound():
    """A socket's name."""
    def bind(kind, name):
        with socket.socket(socket.AF_UNIX, kind) as sock:
            sock.bind(name)

    return every({
        "stream": lambda: bind(socket.SOCK_STREAM, "vault/stream"),
        "datagram": lambda: bind(socket.SOCK_DGRAM, "vault/datagram"),
        "sequence": lambda: bind(socket.SOCK_SEQPACKET, os.getcwd() + "/vault/sequence"),
    })


def through_proc():
    """Names the kernel makes up."""
    def child_root():
        pid = os.fork()
        if pid == 0:
            signal.pause()
        try:
            read_path(f"/proc/{pid}/root{os.getcwd()}/secret")
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    me = os.getpid()
    here = os.getcwd()
    return every({
        "self root": lambda: read_path(f"/proc/self/root{here}/secret"),
        "self cwd": lambda: read_path("/proc/self/cwd/secret"),
        "thread self": lambda: read_path("/proc/thread-self/cwd/secret"),
        "pid cwd": lambda: read_path(f"/proc/{me}/cwd/secret"),
        "task cwd": lambda: read_path(f"/proc/{me}/task/{me}/cwd/secret"),
        "root of root": lambda: read_path(f"/proc/self/root/proc/self/root/proc/self/cwd/secret"),
        "child root": child_root,
    })


def reopened():
    """Pinned with O_PATH, which opens nothing, then opened through the pin."""
    pin = os.open("secret", O_PATH)
    os.symlink(f"/proc/self/fd/{pin}", "to the pin")
    how = struct.pack("QQQ", os.O_RDWR, 0, 0)
    return every({
        "self fd": lambda: read_path(f"/proc/self/fd/{pin}"),
        "thread": lambda: read_path(f"/proc/thread-self/fd/{pin}"),
        "dev fd": lambda: read_path(f"/dev/fd/{pin}"),
        "link": lambda: read_path("to the pin"),
        "write": lambda: os.write(os.open(f"/proc/self/fd/{pin}", os.O_RDWR), TOKEN),
        "append": lambda: os.write(os.open(f"/proc/self/fd/{pin}", os.O_WRONLY | os.O_APPEND), b"x"),
        "openat2": lambda: reads(call(OPENAT2, AT_FDCWD, b"/proc/self/fd/%d" % pin, how, 24)),
        "relative": lambda: reads(os.open(str(pin), os.O_RDONLY, dir_fd=os.open("/proc/self/fd", os.O_RDONLY))),
    })


def inherited_number():
    """Descriptor 3 is the secret, open for reading and writing before the rules were in force."""
    return every({
        "self": lambda: read_path("/proc/self/fd/3"),
        "dev": lambda: read_path("/dev/fd/3"),
    })


def deep():
    """Long paths: many components, and deeper than any path can say."""
    here = os.getcwd()

    def at(depth):
        os.makedirs("/".join(["d"] * depth), exist_ok=True)
        path = "/".join(["d"] * depth) + "/" + "../" * depth + "secret"
        read_path(path)

    def beyond():
        try:
            for _ in range(1000):
                os.mkdir("deeper than four thousand")
                os.chdir("deeper than four thousand")
            os.link(here + "/secret", "secret")
            read_path("secret")
            read_path("../" * 1000 + "secret")
        finally:
            os.chdir(here)

    return every({"21": lambda: at(21), "100": lambda: at(100), "800": lambda: at(800), "beyond": beyond})


def by_handle():
    """open_by_handle_at: a name that is no path."""
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    mount = ctypes.c_int()
    call(303, AT_FDCWD, b"secret", handle, ctypes.byref(mount), 0)
    reads(call(304, os.open(".", os.O_RDONLY), handle, os.O_RDONLY))


def looked_into():
    """A directory that may not be walked through, reached in every way."""
    vault = 3

    def relative():
        os.chdir("vault")
        os.close(os.open("inner", os.O_RDONLY))

    return every({
        "path": lambda: os.close(os.open("vault/inner", os.O_RDONLY)),
        "pin": lambda: os.close(os.open("vault/inner", O_PATH)),
        "dot": lambda: os.close(os.open("./vault/./inner", os.O_RDONLY)),
        "at": lambda: os.close(os.open("inner", os.O_RDONLY, dir_fd=vault)),
        "fd": lambda: os.close(os.open(f"/proc/self/fd/{vault}/inner", os.O_RDONLY)),
        "stat": lambda: os.stat("vault/inner"),
        "out": lambda: os.stat("vault/../ordinary"),
        "exec": lambda: in_child(lambda: os.execv("vault/program", ["program"])),
        "unlink": lambda: os.unlink("vault/spare"),
        "rename": lambda: os.rename("vault/inner", "vault/inner"),
        "readlink": lambda: os.readlink("vault/link"),
        "through a link": lambda: os.stat("vault/link/ordinary"),
        "chdir": lambda: in_child(lambda: os.chdir("vault")),
        "fchdir": lambda: in_child(lambda: os.fchdir(vault)),
        "chdir and on": lambda: in_child(relative),
        "truncate": lambda: os.truncate("vault/inner", 0),
        "watch": lambda: check(libc.inotify_add_watch(libc.inotify_init(), b"vault/inner", 2)),
    })


def started_inside():
    """The working directory was inside before the rules were in force."""
    return every({
        "open": lambda: os.close(os.open("inner", os.O_RDONLY)),
        "stat": lambda: os.stat("inner"),
        "cwd": lambda: os.close(os.open("/proc/self/cwd/inner", os.O_RDONLY)),
        "parent": lambda: os.stat("../ordinary"),
    })


started_inside.leaves_ruins = True


def looked_at():
    """What can be told of an object without opening it."""
    pin = os.open("secret", O_PATH)
    name = b"user.colour"
    buffer = ctypes.create_string_buffer(300)
    return every({
        "stat": lambda: os.stat("secret"), "lstat": lambda: os.lstat("secret"),
        "fstat": lambda: os.fstat(pin), "old stat": lambda: call(4, b"secret", buffer),
        "old lstat": lambda: call(6, b"secret", buffer),
        "statx": lambda: call(332, AT_FDCWD, b"secret", 0, 0xfff, buffer),
        "statx fd": lambda: call(332, pin, b"", AT_EMPTY_PATH, 0xfff, buffer),
        "newfstatat fd": lambda: call(262, pin, b"", buffer, AT_EMPTY_PATH),
        "access": lambda: call(21, b"secret", 4),
        "faccessat": lambda: call(269, AT_FDCWD, b"secret", 4),
        "faccessat2": lambda: call(439, AT_FDCWD, b"secret", 4, 0x200),
        "getxattr": lambda: os.getxattr("secret", name),
        "listxattr": lambda: os.listxattr("secret"),
        "getxattr fd": lambda: os.getxattr(f"/proc/self/fd/{pin}", name),
        "statfs": lambda: os.statvfs("secret"),
        "through proc": lambda: os.stat(f"/proc/self/fd/{pin}"),
        "watch": lambda: check(libc.inotify_add_watch(libc.inotify_init(), b"secret", 2)),
    })


def changed():
    """Everything about a file that can be changed without opening it for writing."""
    pin = os.open("secret", O_PATH)
    fd = os.open("secret", os.O_RDONLY)
    path = f"/proc/self/fd/{pin}"
    mode, uid, gid = 0o1600, os.getuid(), os.getgid()
    name = b"user.colour"
    times = struct.pack("qqqq", 1, 0, 1, 0)
    # By the release, because a sandbox could say that there is no such call.
    newer = {
        "fchmodat2": lambda: call(FCHMODAT2, pin, b"", mode, AT_EMPTY_PATH),
    } if kernel() >= (6, 6) else {}
    return every(newer | {
        "chmod": lambda: os.chmod("secret", mode), "fchmod": lambda: os.fchmod(fd, mode),
        "fchmodat": lambda: call(268, AT_FDCWD, b"secret", mode),
        "chmod through proc": lambda: os.chmod(path, mode),
        "chown": lambda: os.chown("secret", uid, gid), "lchown": lambda: os.lchown("secret", uid, gid),
        "fchown": lambda: os.fchown(fd, uid, gid),
        "fchownat": lambda: call(260, pin, b"", uid, gid, AT_EMPTY_PATH),
        "utimensat": lambda: call(280, AT_FDCWD, b"secret", times, 0),
        "futimens": lambda: call(280, fd, 0, times, 0),
        "utimes": lambda: call(235, b"secret", 0), "utime": lambda: call(132, b"secret", 0),
        "futimesat": lambda: call(261, AT_FDCWD, b"secret", 0),
        "truncate": lambda: os.truncate("secret", 100),
        "truncate through proc": lambda: os.truncate(path, 100),
        "setxattr": lambda: os.setxattr("secret", name, b"red"),
        "lsetxattr": lambda: os.setxattr("secret", name, b"red", follow_symlinks=False),
        "fsetxattr": lambda: os.setxattr(fd, name, b"red"),
        "fremovexattr": lambda: os.removexattr(fd, name),
        "setxattr through proc": lambda: os.setxattr(path, name, b"red"),
        "removexattr": lambda: os.removexattr("secret", name),
        "open to write": lambda: os.close(os.open("secret", os.O_WRONLY)),
        "open and truncate": lambda: os.close(os.open("secret", os.O_RDONLY | os.O_TRUNC)),
        "creat": lambda: os.close(call(85, b"secret", 0o600)),
    })


def listed():
    """A directory that may not be read: descriptor 3 is one, opened before."""
    buffer = ctypes.create_string_buffer(4096)
    return every({
        "getdents64": lambda: call(217, 3, buffer, 4096),
        "getdents": lambda: call(78, 3, buffer, 4096),
        "open": lambda: os.listdir("vault"),
        "watch": lambda: check(libc.inotify_add_watch(libc.inotify_init(), b"vault", 0x100)),
    })


def devices():
    """A device node of the attacker's own making."""
    block = os.makedev(7, 4000)
    os.mknod("disk", 0o060600, block)
    try:
        os.close(os.open("disk", os.O_RDWR))
    except OSError as error:
        # No such device here, but the node was free to open.
        if error.errno not in (errno.ENXIO, errno.ENODEV):
            raise


def removed():
    return every({
        "unlink": lambda: os.unlink("secret"),
        "unlinkat": lambda: os.unlink("secret2", dir_fd=os.open(".", O_PATH)),
        "through proc": lambda: os.unlink("/proc/self/cwd/secret3"),
    })


def sockets():
    """A socket in the file system that belongs to somebody outside."""
    stream = socket.socket(socket.AF_UNIX)
    datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    address = struct.pack("H", socket.AF_UNIX) + b"mailbox\0"
    name = ctypes.create_string_buffer(address)
    data = ctypes.create_string_buffer(b"hello")
    vector = struct.pack("PP", ctypes.addressof(data), 5)
    vectors = ctypes.create_string_buffer(vector)
    header = struct.pack("PIxxxxPNPNi4x", ctypes.addressof(name), len(address), ctypes.addressof(vectors), 1, 0, 0, 0)
    return every({
        "connect": lambda: stream.connect("post"),
        "by another path": lambda: socket.socket(socket.AF_UNIX).connect(os.getcwd() + "/post"),
        "connect datagram": lambda: datagram.connect("mailbox"),
        "sendto": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"hello", "mailbox"),
        "sendmsg": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendmsg([b"hello"], [], 0, "mailbox"),
        "sendmmsg": lambda: call(307, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).detach(), header + bytes(8), 1, 0),
    })


main(globals())
