# SPDX-License-Identifier: MIT OR Apache-2.0
"""Other processes: outside of the sandbox, the supervisor, and another identity of one's own."""
from prelude import *

O_PATH, AT_FDCWD = 0o10000000, -100
PTRACE_ATTACH, PTRACE_SEIZE, PTRACE_DETACH, PTRACE_TRACEME = 16, 0x4206, 17, 0
CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x20000
VM_READV, VM_WRITEV, PIDFD_OPEN, PIDFD_GETFD, KCMP, SETNS = 310, 311, 434, 438, 312, 308


def outside():
    """Process id, address of its treasure, and its descriptor of the secret."""
    return map(int, open("outside").read().split())


def vector(address, length):
    return struct.pack("PP", address, length)


def ways_into(pid, address, number):
    """Every way into another process that passes the ptrace access check."""
    local = ctypes.create_string_buffer(b"plundered")
    here = vector(ctypes.addressof(local), 9)
    there = vector(address, 9)
    pidfd = call(PIDFD_OPEN, pid, 0)

    def traced(request):
        call(101, request, pid, 0, 0)
        os.waitpid(pid, 0x40000000 | (0 if request == PTRACE_ATTACH else os.WNOHANG))
        if request == PTRACE_SEIZE:
            call(101, 0x4207, pid, 0, 0)
            os.waitpid(pid, 0x40000000)
        call(101, PTRACE_DETACH, pid, 0, 0)

    def memory():
        fd = os.open(f"/proc/{pid}/mem", os.O_RDWR)
        os.pwrite(fd, b"plundered", address)

    def steal():
        fd = call(PIDFD_GETFD, pidfd, number, 0)
        reads(fd)

    ways = {
        "attach": lambda: traced(PTRACE_ATTACH), "seize": lambda: traced(PTRACE_SEIZE),
        "mem": memory, "pidfd_getfd": steal,
        "readv": lambda: call(VM_READV, pid, here, 1, there, 1, 0),
        "writev": lambda: call(VM_WRITEV, pid, here, 1, there, 1, 0),
        "kcmp": lambda: call(KCMP, pid, os.getpid(), 0, number, 0),
        "fd": lambda: reads(os.open(f"/proc/{pid}/fd/{number}", os.O_RDONLY)),
        "root": lambda: os.stat(f"/proc/{pid}/root/"), "cwd": lambda: os.stat(f"/proc/{pid}/cwd/"),
        "ns": lambda: os.stat(f"/proc/{pid}/ns/mnt"),
        "exe": lambda: os.readlink(f"/proc/{pid}/exe"),
    }
    if os.getuid() == 0:
        ways["setns"] = lambda: in_child(lambda: call(SETNS, pidfd, CLONE_NEWNS))
    else:
        # Recent kernels let whoever has CAP_PERFMON read these without the access check.
        ways["environ"] = lambda: os.read(os.open(f"/proc/{pid}/environ", os.O_RDONLY), 10)
        ways["maps"] = lambda: os.read(os.open(f"/proc/{pid}/maps", os.O_RDONLY), 10)
    return ways


def none_of(ways):
    """Stopped if no way works, whatever the errno; the first that works is named."""
    worked = [name for name, way in ways.items() if how(way) == "reached"]
    return f"mixed: {worked} worked" if worked else "stopped: EPERM"


def outsider():
    ways = ways_into(*outside())
    results = {name: how(way) for name, way in ways.items()}
    worked = [name for name, result in results.items() if result == "reached"]
    if len(worked) == len(ways):
        return "reached"
    return f"mixed: {results}" if worked else "stopped: EPERM"


def into(pid):
    """The ways that need to know nothing of the process, and those that start at a pinned directory of it."""
    proc = os.open(f"/proc/{pid}", O_PATH)

    def relative(name, flags=os.O_RDONLY):
        os.close(os.open(name, flags, dir_fd=proc))

    def inside():
        os.chdir(f"/proc/{pid}")
        os.close(os.open("mem", os.O_RDONLY))

    def inside_by_fd():
        os.fchdir(proc)
        os.close(os.open("mem", os.O_RDWR))

    def made_inside():
        os.chdir(f"/proc/{pid}")
        os.close(os.open("mem", os.O_RDWR | os.O_CREAT))

    ways = ways_into(pid, 4096, 0)
    ways.update({f"pinned {name}": lambda name=name: relative(name) for name in ("mem", "fd/0", "fd/3", "fd/4", "fd/5", "fd/6", "fd/7", "exe", "root", "cwd", "root/etc/passwd", "cwd/ordinary", f"task/{pid}/mem")})
    ways.update({
        "inside": lambda: in_child(inside), "inside by fd": lambda: in_child(inside_by_fd),
        "write mem": lambda: relative("mem", os.O_RDWR),
        # Where a name may be made, a walk ends at the name, not at the object.
        "make mem": lambda: relative("mem", os.O_RDWR | os.O_CREAT),
        "make mem inside": lambda: in_child(made_inside),
        "around": lambda: os.close(os.open(f"/proc/self/../{pid}/mem", os.O_RDONLY)),
        "task": lambda: os.close(os.open(f"/proc/self/task/../../{pid}/mem", os.O_RDONLY)),
    })
    return ways


def of_the_reaper():
    """Our parent."""
    return none_of(into(os.getppid()))


def child_of(pid):
    return int(open(f"/proc/{pid}/task/{pid}/children").read())


def of_the_waiter():
    return none_of(into(child_of(int(open("top").read()))))


def of_the_supervisor():
    supervisor = child_of(child_of(int(open("top").read())))
    ways = into(supervisor)
    # Threads are not listed in /proc itself, but can be named there.
    threads = those_that_say_nothing(range(supervisor + 1, supervisor + 500))
    want(len(threads) > 1)
    for thread in threads:
        ways[f"thread {thread}"] = lambda thread=thread: memory(thread)
    return none_of(ways)


def those_that_say_nothing(numbers):
    """The supervisor's and the reaper's threads. Others, whose numbers lie in between, let everybody read their status."""
    return [number for number in numbers if how(lambda: open(f"/proc/{number}/status").read()) in ("EACCES", "EPERM")]


def memory(thread):
    """That of a thread that has just ended can be opened and is empty."""
    fd = os.open(f"/proc/{thread}/mem", os.O_RDONLY)
    try:
        is_empty = os.pread(fd, 1, 4096) == b""
    except OSError:
        return
    if is_empty:
        raise OSError(errno.ESRCH, "no memory")


def open_with_creat(path):
    os.close(os.open(path, os.O_RDWR | os.O_CREAT))


def become_nobody():
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)


def other_user():
    """Root that becomes another user loses what root may do."""
    def body():
        become_nobody()
        open_with_creat("ordinary")
    in_child(body)


def other_user_and_back():
    """Effective ids only, so the thread may go back, and the supervisor has to follow both ways."""
    def body():
        for _ in range(3):
            os.seteuid(65534)
            want(how(lambda: open_with_creat("ordinary")) == "EACCES")
            os.seteuid(0)
            open_with_creat("ordinary")
    in_child(body)


def one_thread_as_another_user():
    """Credentials belong to threads."""
    import threading

    def body():
        results = []
        other = threading.Thread(target=lambda: (call(117, -1, 65534, -1), results.append(how(lambda: open_with_creat("ordinary")))))
        other.start()
        other.join()
        open_with_creat("ordinary")
        want(results == ["EACCES"])
    in_child(body)


def without_capabilities():
    """Still root, but DAC counts again."""
    def body():
        os.chown("ordinary", 1, 1)
        header = struct.pack("Ii", 0x20080522, 0)
        call(126, header, bytes(24))
        open_with_creat("ordinary")
    in_child(body)


def exec_with_less(*options):
    """Capabilities that are taken away from the next program, without any call about identity."""
    os.chown("ordinary", 1, 1)
    for option in options:
        check(libc.prctl(*option, 0, 0, 0))
    code = subprocess.run(["/bin/sh", "-c", "exec 3<>ordinary"], stderr=subprocess.DEVNULL).returncode
    if code:
        raise OSError(errno.EACCES, "in the program")


def bounding_set():
    in_child(lambda: exec_with_less(*[(24, capability) for capability in range(41)]))


def no_root():
    in_child(lambda: exec_with_less((28, 1)))


def own_namespace():
    """Every capability, but only in a user namespace of its own: a file of root's stays out of reach."""
    def body():
        become_nobody()
        check(libc.unshare(CLONE_NEWUSER))
        open_with_creat("ordinary")
    in_child(body)


def own_namespace_by_clone():
    def body():
        become_nobody()
        pid = call(56, CLONE_NEWUSER | signal.SIGCHLD, 0, 0, 0, 0)
        if pid == 0:
            os._exit(0 if how(lambda: open_with_creat("ordinary")) == "reached" else errno.EACCES)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code:
            raise OSError(code, "in the namespace")
    in_child(body)


def read_secret():
    reads(os.open("secret", os.O_RDONLY))


def in_namespace():
    def body():
        check(libc.unshare(CLONE_NEWUSER))
        read_secret()
    in_child(body)


def in_mount_namespace():
    def body():
        check(libc.unshare(CLONE_NEWUSER | CLONE_NEWNS))
        read_secret()
    in_child(body)


def in_other_root():
    def body():
        os.chroot(".")
        os.chdir("/")
        reads(os.open("/secret", os.O_RDONLY))
    in_child(body)


def out_of_other_root():
    """The old way out of a chroot, to see that it is the same secret."""
    def body():
        outer = os.open("/", os.O_RDONLY)
        here = os.getcwd()
        os.chroot("empty")
        os.fchdir(outer)
        os.chroot(".")
        reads(os.open(here + "/secret", os.O_RDONLY))
    in_child(body)


def as_other_user():
    def body():
        os.chmod(".", 0o777)
        with open("mine", "wb") as file:
            file.write(TOKEN)
        os.chown("mine", 65534, 65534)
        os.chmod("mine", 0o1600)
        become_nobody()
        reads(os.open("mine", os.O_RDONLY))
    in_child(body)


def under_own_filter():
    """A seccomp filter of the attacker's own that allows everything."""
    def body():
        allow = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7fff0000))
        program = struct.pack("HxxxxxxP", 1, ctypes.addressof(allow))
        check(libc.prctl(38, 1, 0, 0, 0))
        call(317, 1, 0, program)
        read_secret()
    in_child(body)


def traced_child(rewrite):
    """A child that is traced by us, stopped on its way into getppid(2), with other registers put in."""
    path = ctypes.create_string_buffer(b"secret")
    stop = os.pipe()
    pid = os.fork()
    if pid == 0:
        call(101, PTRACE_TRACEME, 0, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        result = libc.syscall(110)
        os._exit(rewrite.harvest(result))
    os.waitpid(pid, 0)
    call(101, 0x4200, pid, 0, 1 | 0x100000)
    registers = ctypes.create_string_buffer(27 * 8)
    number = lambda index: struct.unpack_from("Q", registers, index * 8)[0]
    while True:
        call(101, 24, pid, 0, 0)
        _, status = os.waitpid(pid, 0)
        assert os.WIFSTOPPED(status), status
        if os.WSTOPSIG(status) == signal.SIGTRAP | 0x80:
            call(101, 12, pid, 0, registers)
            if number(15) == 110:
                break
    # orig_rax, rdi, rsi: open(path, O_RDONLY)
    struct.pack_into("Q", registers, 15 * 8, 2)
    struct.pack_into("Q", registers, 14 * 8, ctypes.addressof(path))
    struct.pack_into("Q", registers, 13 * 8, 0)
    call(101, 13, pid, 0, registers)
    call(101, PTRACE_DETACH, pid, 0, 0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise OSError(code, os.strerror(code))


def rewritten():
    """The syscall a filter has seen is not the one that is carried out, if the filter is asked too early."""
    class Rewrite:
        @staticmethod
        def harvest(result):
            if result < 0:
                return ctypes.get_errno()
            reads(result)
            return 0
    traced_child(Rewrite)


def own_child():
    """Within one sandbox, processes may trace, read and write each other, as without."""
    treasure = ctypes.create_string_buffer(b"untouched")
    secret = os.open("secret", os.O_RDONLY)
    pid = os.fork()
    if pid == 0:
        signal.pause()
    try:
        return every(ways_into(pid, ctypes.addressof(treasure), secret))
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def orphaned():
    """The command ends; what it left behind goes on, in a session of its own."""
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    devnull = os.open("/dev/null", os.O_RDWR)
    for fd in range(3):
        os.dup2(devnull, fd)
    parent = os.getppid()
    for _ in range(2000):
        import time
        time.sleep(0.001)
    with open("orphan.new", "w") as file:
        file.write(every({"open": read_secret}))
    os.rename("orphan.new", "orphan")
    os._exit(0)


def survived():
    """Whoever keeps the sandbox up is killed from outside; nothing opens up for it."""
    import time
    os.mkdir("ready")
    while not os.path.exists("killed"):
        time.sleep(0.01)
    for _ in range(1000):
        if how(read_secret) == "reached":
            return
    raise OSError(errno.EPERM, "for ever")


survived.leaves_ruins = True


def set_user_id():
    """A set-user-id program gives no privileges."""
    out = subprocess.run(["./suid"], capture_output=True).stdout
    if b"euid=0(root)" not in out:
        raise OSError(errno.EPERM, "not root")


def mounts():
    """Another view of the file system, by the old calls and by the new ones."""
    def scoped(body):
        return lambda: in_child(lambda: (check(libc.unshare(CLONE_NEWNS)), check(libc.mount(b"none", b"/", None, 0x44000, None)), body()))

    return every({
        "mount": scoped(lambda: check(libc.mount(b"t", b"empty", b"tmpfs", 0, None))),
        "bind": scoped(lambda: check(libc.mount(b"vault", b"empty", None, 4096, None))),
        "open_tree": lambda: os.close(call(428, AT_FDCWD, b"vault", 1)),
        "fsopen": lambda: os.close(call(430, b"tmpfs", 0)),
        "fspick": scoped(lambda: os.close(call(433, AT_FDCWD, b"/", 0))),
        "mount_setattr": scoped(lambda: call(442, AT_FDCWD, b"/", 0, struct.pack("QQQQ", 1, 0, 0, 0), 32)),
    })


main(globals())
