# Opens and changes of names, each with what it came to. The same by notifications and by mainline Landlock.
import ctypes, os, socket, stat

libc = ctypes.CDLL(None, use_errno=True)


def step(name, act):
    try:
        made = act()
        if isinstance(made, int) and not isinstance(made, bool) and made > 2:
            os.close(made)
        print(name.replace(top, "top"), 0, flush=True)
    except OSError as error:
        print(name.replace(top, "top"), error.errno, flush=True)


def opens(path, flags=os.O_RDONLY, mode=0o600):
    step(f"open {path} {flags:o}", lambda: os.open(path, flags, mode))


def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def executes(path):
    child = os.fork()
    if child == 0:
        try:
            os.execv(path, [path])
        except OSError as error:
            os._exit(error.errno)
    print("exec", path, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def memory_executes():
    fd = os.memfd_create("program")
    with open("in/program", "rb") as program:
        os.write(fd, program.read())
    executes(f"/proc/self/fd/{fd}")


def deep():
    for _ in range(100):
        os.mkdir("d")
        os.chdir("d")
    os.close(os.open("x", os.O_CREAT | os.O_WRONLY))


RDWR, WRONLY, CREAT, EXCL, TRUNC = os.O_RDWR, os.O_WRONLY, os.O_CREAT, os.O_EXCL, os.O_TRUNC
top = os.getcwd()
for folder in ["in", "out"]:
    for flags in [os.O_RDONLY, WRONLY, RDWR, WRONLY | TRUNC, 3, os.O_PATH, CREAT | RDWR, CREAT | EXCL | WRONLY,
                  os.O_DIRECTORY, os.O_NOFOLLOW, os.O_PATH | 3]:
        for name in ["file", "fifo", "socket", "folder", "none", "folder/none", "none/none", "file/none", "node", ""]:
            opens(f"{folder}/{name}", flags | os.O_NONBLOCK)
            step("remove", lambda: os.unlink(f"{folder}/none"))
            step("remove", lambda: os.unlink(f"{folder}/folder/none"))
    opens(folder, os.O_TMPFILE | RDWR)
    step("mknod", lambda: os.mknod(f"{folder}/regular", stat.S_IFREG | 0o600))
    opens(f"{folder}/regular")
    step("truncate", lambda: os.truncate(f"{folder}/file", 1))
    step("chmod", lambda: os.chmod(f"{folder}/file", 0o640))
    step("mkdir", lambda: os.mkdir(f"{folder}/made"))
    step("rmdir", lambda: os.rmdir(f"{folder}/made"))
    step("symlink", lambda: os.symlink("/", f"{folder}/root"))
    opens(f"{folder}/root")
    step("creat", lambda: call("creat", f"{folder}/created".encode(), 0o600))
    step("exists", lambda: os.lstat(f"{folder}/created"))
    step("bind", lambda: socket.socket(socket.AF_UNIX).bind(f"{folder}/bound"))
    executes(f"{folder}/program")
memory_executes()
for path in ["in/../out/file", "out/../in/file", "in/to-out", "out/to-in", "in/folder/../../out/folder/file",
             f"{top}/out/file", f"{top}/in/file", "/proc/self/status", "/dev/null", "/proc/self/cwd/in/file",
             "/proc/self/cwd/out/file", "/dev/tty", "/"]:
    opens(path)
print("names")
for (old, new) in [("out/file", "in/link"), ("in/file", "out/link")]:
    step("link", lambda: os.link(old, new))
    opens(new)
for (old, new) in [("out/file", "in/moved"), ("in/moved", "out/file"), ("in/folder", "out/moved"), ("out/moved", "in/folder")]:
    step("rename", lambda: os.rename(old, new))
    opens(new)
    opens(new + "/file")
for _ in range(2):
    step("exchange", lambda: call("renameat2", -100, b"in/folder", -100, b"out/folder", 2))
    opens("in/folder/file")
    opens("out/folder/file")
step("rename", lambda: os.rename("in", "elsewhere"))
opens("elsewhere/file")
step("mkdir", lambda: os.mkdir("in"))
opens("in/file", CREAT | WRONLY)
opens("in/../elsewhere/folder/file")
step("remove", lambda: os.unlink("in/file"))
os.rmdir("in")
os.rename("elsewhere", "in")
print("places")
os.chdir("in/folder")
opens("file")
opens("../file")
opens("../../out/file")
os.chdir(f"{top}/in")
step("deep", deep)
os.chdir(f"{top}/out")
step("deep", deep)
os.chdir(top)
if os.geteuid() == 0:
    step("chroot", lambda: os.chroot("out"))
    opens("/file")
    opens("/../in/file")
