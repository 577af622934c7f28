# SPDX-License-Identifier: MIT OR Apache-2.0
"""Root takes down what enforces the rules, with bpf(2) and in the bpf file system; then reads the secret."""
from prelude import *

BPF, PINS, MNT_DETACH = 321, "/sys/fs/bpf", 2
DELETE, NEXT_KEY, OPEN_PIN, NEXT_MAP, OPEN_MAP, NEXT_LINK, OPEN_LINK, DETACH = 3, 4, 7, 12, 14, 31, 30, 34


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, 128)
    return call(BPF, command, buffer, 128), buffer.raw


def each(next_one, open_it):
    """Descriptors of all maps, or all links."""
    number = 0
    while True:
        try:
            _, answer = bpf(next_one, struct.pack("II", number, 0))
        except FileNotFoundError:
            return
        number = struct.unpack_from("I", answer, 4)[0]
        yield bpf(open_it, struct.pack("I", number))[0]


def emptied(fd):
    """Without whatever is in the map; not every kind of map can be emptied."""
    key = ctypes.create_string_buffer(64)
    for _ in range(100_000):
        try:
            bpf(NEXT_KEY, struct.pack("I4xQQ", fd, 0, ctypes.addressof(key)))
            bpf(DELETE, struct.pack("I4xQ", fd, ctypes.addressof(key)))
        except OSError:
            return


def maps():
    for fd in each(NEXT_MAP, OPEN_MAP):
        emptied(fd)


def links():
    for fd in each(NEXT_LINK, OPEN_LINK):
        bpf(DETACH, struct.pack("I", fd))


def pins():
    for folder, folders, files in os.walk(PINS, topdown=False):
        for name in files:
            os.unlink(os.path.join(folder, name))
        for name in folders:
            os.rmdir(os.path.join(folder, name))


def names(make):
    for folder, folders, files in os.walk(PINS):
        for name in folders + files:
            make(os.path.join(folder, name))


def opened():
    """Each map by its pin; links can be opened, for what that is worth."""
    def open_pin(path):
        name = ctypes.create_string_buffer(path.encode())
        emptied(bpf(OPEN_PIN, struct.pack("Q", ctypes.addressof(name)))[0])
    names(lambda path: path.endswith(("/threads", "/programs")) and open_pin(path))


def renamed():
    names(lambda path: os.rename(path, path + "-away"))


def unmounted():
    check(libc.umount2(PINS.encode(), 0))


def detached():
    check(libc.umount2(PINS.encode(), MNT_DETACH))


def detached_from_above():
    check(libc.umount2(b"/sys", MNT_DETACH))


def not_traced():
    """Programs at hooks are called by way of the function tracer, which can be switched off."""
    with open("/proc/sys/kernel/ftrace_enabled", "w") as file:
        file.write("0")


ways = [maps, links, opened, not_traced, renamed, pins, unmounted, detached, detached_from_above]
for way in [way for way in ways if way.__name__ in sys.argv[1:]]:
    print(way.__name__ + ":", how(way))
print("secret:", how(lambda: reads(os.open("secret", os.O_RDONLY))))
