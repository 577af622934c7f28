# SPDX-License-Identifier: MIT OR Apache-2.0
"""Ways around a list of files. The list has the directory `secret`, and what is beneath it, whose files hold the token: to
be refused, or to be all there is. A way is a function: what it opens and reads is the token, or something else."""
from prelude import *
import time

O_PATH, AT_FDCWD, RENAMEAT2, EXCHANGE = 0o10000000, -100, 316, 2
CLONE_NEWNS, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x2000, 0x4000, 0x40000


def read_at(path, at=None):
    fd = os.open(path, os.O_RDONLY, dir_fd=at)
    try:
        if not os.path.isdir(f"/proc/self/fd/{fd}"):
            reads(fd)
    finally:
        os.close(fd)


def pinned(path):
    return os.open(path, O_PATH)


def exchange(a, b):
    call(RENAMEAT2, AT_FDCWD, a.encode(), AT_FDCWD, b.encode(), EXCHANGE)


def after(*steps, then, undone=()):
    """What can be read `then`, and all as before."""
    for step in steps:
        step()
    try:
        return then()
    finally:
        for step in undone:
            step()


def from_within(directory, path):
    def body():
        os.chdir(directory)
        read_at(path)
    return lambda: in_child(body)


def names():
    os.symlink("secret/file", "link")
    os.symlink(os.getcwd() + "/secret", "folder")
    below = pinned("secret/deep/er")
    return every({
        "path": lambda: read_at("secret/file"), "dots": lambda: read_at("secret/deep/er/../../file"),
        "around": lambda: read_at("open/deep/../../secret/deep/er/file"), "link": lambda: read_at("link"),
        "linked folder": lambda: read_at("folder/file"), "from within": from_within("secret/deep", "../file"),
        "from a descriptor": lambda: read_at("er/file", pinned("secret/deep")),
        "up from a descriptor": lambda: read_at("../../file", below), "the folder": lambda: read_at("secret"),
        "whole": lambda: read_at(os.getcwd() + "/secret/file"),
    })


def magic_links():
    me, here = os.getpid(), os.getcwd()
    folder, file = pinned("secret"), pinned("secret/file")
    child = os.fork()
    if child == 0:
        os.chdir("secret")
        open("../child", "w").close()
        signal.pause()
    while not os.path.exists("child"):
        time.sleep(0.01)
    try:
        return every({
            "root": lambda: read_at(f"/proc/self/root{here}/secret/file"),
            "root of a task": lambda: read_at(f"/proc/{me}/task/{me}/root{here}/secret/file"),
            "root twice": lambda: read_at(f"/proc/self/root/proc/self/root{here}/secret/file"),
            "cwd": lambda: read_at("/proc/self/cwd/secret/file"), "cwd within": from_within("secret", "/proc/self/cwd/file"),
            "cwd of another": lambda: read_at(f"/proc/{child}/cwd/file"),
            "fd of another": lambda: read_at(f"/proc/{child}/fd/{file}"),
            "fd": lambda: read_at(f"/proc/self/fd/{file}"), "folder's fd": lambda: read_at(f"/proc/self/fd/{folder}/file"),
            "up and down": lambda: read_at(f"/proc/thread-self/fd/{folder}/../secret/file"),
            "dev": lambda: read_at(f"/dev/fd/{folder}/deep/er/file"),
        })
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def renamed():
    move = lambda a, b: lambda: os.rename(a, b)
    os.makedirs("a/b")
    return every({
        "itself": lambda: after(move("secret", "other"), then=lambda: read_at("other/file"), undone=[move("other", "secret")]),
        "what is above": lambda: after(
            move("secret", "a/b/secret"), move("a", "c"), then=lambda: read_at("c/b/secret/deep/er/file"),
            undone=[move("c", "a"), move("a/b/secret", "secret")]),
        "what is beneath": lambda: after(
            move("secret/deep", "secret/steep"), then=lambda: read_at("secret/steep/er/file"),
            undone=[move("secret/steep", "secret/deep")]),
        "moved in": lambda: after(
            move("token", "secret/deep/token"), then=lambda: read_at("secret/deep/token"),
            undone=[move("secret/deep/token", "token")]),
    })


def exchanged():
    swap = lambda a, b: lambda: exchange(a, b)
    return every({
        "itself": lambda: after(swap("secret", "open"), then=lambda: read_at("open/file"), undone=[swap("secret", "open")]),
        "with a file": lambda: after(
            swap("secret", "token"), then=lambda: read_at("token/deep/er/file"), undone=[swap("secret", "token")]),
        "moved in": lambda: after(
            swap("token", "secret/deep"), then=lambda: read_at("secret/deep"), undone=[swap("token", "secret/deep")]),
    })


def moved_out():
    return after(lambda: os.rename("secret/file", "file"), then=lambda: read_at("file"), undone=[lambda: os.rename("file", "secret/file")])


def exchanged_out():
    return after(lambda: exchange("secret/file", "open/file"), then=lambda: read_at("open/file"))


def path_reused_old():
    """What the path led to, under its new name."""
    os.rename("secret", "old")
    os.mkdir("secret")
    read_at("old/file")


def path_reused_new():
    """What the path leads to now."""
    os.rename("secret", "old")
    os.mkdir("secret")
    os.link("token", "secret/file")
    read_at("secret/file")


def hard_link_out():
    os.link("secret/file", "open/name")
    read_at("open/name")


def hard_link_in():
    os.link("token", "secret/name")
    read_at("secret/name")


def inside_name():
    """The first name of a file with two."""
    os.link("secret/file", "open/name")
    read_at("secret/file")


def deleted_directory():
    os.mkdir("secret/gone")
    gone = pinned("secret/gone")
    os.rmdir("secret/gone")
    read_at(".", gone)


def deleted_file():
    file = pinned("secret/file")
    os.unlink("secret/file")
    read_at(f"/proc/self/fd/{file}")


def deleted_made_again():
    """Another directory of the same name."""
    os.mkdir("secret/gone")
    os.rmdir("secret/gone")
    os.mkdir("secret/gone")
    read_at("secret/gone")


def by_handle():
    handle, mount = ctypes.create_string_buffer(struct.pack("Ii", 128, 0), 136), ctypes.c_int()
    call(303, AT_FDCWD, b"secret/file", handle, ctypes.byref(mount), 0)
    reads(call(304, os.open("open", os.O_RDONLY), handle, os.O_RDONLY))


def elsewhere():
    return every({
        "path": lambda: read_at("token"), "dots": lambda: read_at("secret/../token"), "folder": lambda: read_at("open"),
        "magic": lambda: read_at("/proc/self/cwd/token"), "fd": lambda: read_at(f"/proc/self/fd/{pinned('token')}"),
        "root": lambda: read_at(f"/proc/self/root{os.getcwd()}/token"), "above": lambda: read_at("."),
        "up": lambda: read_at("../token", pinned("secret")), "a folder's fd": lambda: read_at(f"/proc/self/fd/{pinned('open')}"),
    })


def bound():
    read_at("m/file")
    read_at("m/deep/er/file")


def bound_below():
    read_at("m/er/file")


def left():
    """Out of what is mounted, with the directory one is in."""
    os.chdir("m/er")
    os.rename("secret/deep/er" if os.path.exists("secret") else "../../secret/deep/er", "../../secret/er")
    read_at("file")


def bound_meanwhile():
    """Somebody outside mounts, after the rules are in force."""
    open("ready", "w").close()
    while not os.path.exists("mounted"):
        time.sleep(0.01)
    bound()


def own_namespace():
    def body():
        check(libc.unshare(CLONE_NEWNS))
        read_at("secret/file")
    in_child(body)


def mounted_inside():
    def scoped(*mounts):
        def body():
            check(libc.unshare(CLONE_NEWNS))
            for source, place, kind, flags in mounts:
                check(libc.mount(source, place, kind, flags, None))
        return lambda: in_child(body)

    private = (b"none", b"/", None, MS_REC | MS_PRIVATE)

    def new_api():
        check(libc.unshare(CLONE_NEWNS))
        check(libc.mount(*private, None))
        call(429, call(428, AT_FDCWD, b"secret", 1), b"", AT_FDCWD, b"open", 4)

    return every({
        "private": scoped(private), "bind": scoped(private, (b"secret", b"open", None, MS_BIND)),
        "tmpfs": scoped(private, (b"none", b"secret", b"tmpfs", 0)),
        "move": scoped(private, (b"secret", b"secret", None, MS_BIND), (b"secret", b"open", None, MS_MOVE)),
        "new": lambda: in_child(new_api),
    })


def deep():
    os.chdir("secret")
    for _ in range(int(sys.argv[1])):
        os.chdir("d")
    return every({"folder": lambda: read_at("."), "file": lambda: read_at("file")})


def raced(disturb, opened):
    """Somebody does the one all the time while the other is opened: without rules until that was the token, which with them
    it must never be."""
    disturber = os.fork()
    if disturber == 0:
        check(libc.prctl(1, signal.SIGKILL))
        while True:
            disturb()
    until = sys.argv[1:] == ["until"]
    seen, tries = set(), 0
    try:
        while "token" not in seen if until else tries < 500 or "other" not in seen:
            tries += 1
            try:
                fd = opened()
                seen.add("token" if TOKEN in os.read(fd, 100) else "other")
                os.close(fd)
            except OSError as error:
                if error.errno not in (errno.EROFS, errno.EPERM):
                    raise
    finally:
        os.kill(disturber, signal.SIGKILL)
        os.waitpid(disturber, 0)
    if "token" not in seen:
        raise OSError(errno.EROFS, "never")


def parents_raced():
    for place in ("secret", "open"):
        os.makedirs(place + "/a/b")
    below = pinned("secret/a/b")
    raced(lambda: exchange("secret/a", "open/a"), lambda: os.open("../../file", os.O_RDONLY, dir_fd=below))


def links_raced():
    os.symlink("secret/file", "link")
    os.symlink("open/file", "kink")
    raced(lambda: exchange("link", "kink"), lambda: os.open("link", os.O_RDONLY))


def folders_raced():
    raced(lambda: exchange("secret", "open"), lambda: os.open("open/file", os.O_RDONLY))


def taken(way, arguments):
    sys.argv[1:] = arguments
    try:
        return globals()[way]() or "reached"
    except OSError as error:
        return f"stopped: {errno.errorcode[error.errno]}"


# Each in a folder and a process of its own.
for way in sys.argv[1:]:
    folder, name, *arguments = way.split(":")
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        print(taken(name, arguments), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
