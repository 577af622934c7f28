# One thread moves directories and exchanges names, the other opens: what is never in a listed directory must not be read.
import ctypes, os, sys, threading, time

libc = ctypes.CDLL(None)
until_seen = sys.argv[1] == "until-seen"


def exchange(one, other):
    libc.renameat2(-100, one, -100, other, 2)


def there_and_back():
    # Away and back twice, so that a path may read the same before and after.
    for place in [b"out/moving", b"in/moving"] * 2:
        for old in [b"in/moving", b"out/moving"]:
            libc.rename(old, place)


def attack(opened, disturb, attempts=400):
    over = threading.Event()

    def disturbs():
        while not over.is_set():
            disturb()

    thread = threading.Thread(target=disturbs)
    thread.start()
    seen = set()
    end = time.monotonic() + 300
    while "out" not in seen and time.monotonic() < end if until_seen else attempts > 0:
        attempts -= 1
        try:
            fd = opened()
            seen.add(os.read(fd, 3).decode())
            os.close(fd)
        except OSError as error:
            seen.add(error.errno)
    over.set()
    thread.join()
    print("read what is not listed" if "out" in seen else "refused", flush=True)


os.mkdir("in/moving")
os.symlink("../out/folder", "in/link")
os.mkdir("in/real")
with open("in/real/file", "w") as file:
    file.write("in")
moving = os.open("in/moving", os.O_PATH)
# A link and a directory of the same name.
attack(lambda: os.open("in/real/file", os.O_RDONLY), lambda: exchange(b"in/real", b"in/link"))
# What is above a directory that is being moved.
attack(lambda: os.open("../file", os.O_RDONLY, dir_fd=moving), there_and_back)
attack(lambda: os.open("in/moving/../../out/file", os.O_RDONLY), there_and_back)
