# SPDX-License-Identifier: MIT OR Apache-2.0
"""An interactive shell on a terminal: jobs stopped, continued, killed and waited for."""
import os
import pty
import re
import select
import sys
import time

pid, master = pty.fork()
if pid == 0:
    os.environ.update(PS1="$ ", TERM="dumb", HISTFILE="")
    os.execv("/bin/bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"])

# For one step, in seconds: machines can be loaded.
LIMIT = 100
seen = ""


def until(pattern):
    global seen
    end = time.time() + LIMIT
    while not (found := re.search(pattern, seen)):
        ready, _, _ = select.select([master], [], [], max(0, end - time.time()))
        if not ready:
            sys.exit(f"no {pattern!r} in {seen!r}")
        seen += os.read(master, 4096).decode()
    text, seen = seen[:found.end()], seen[found.end():]
    return text


def say(line):
    os.write(master, line.encode())


def step(line, pattern):
    say(line)
    until(pattern)
    print(f"{line!r}: {pattern}")


def names_of(group):
    """What the processes of a group are, sorted."""
    names = []
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{number}/stat") as file:
                name, fields = file.read().split("(", 1)[1].rsplit(") ", 1)
        except OSError:
            continue
        if int(fields.split()[2]) == group:
            names.append(name)
    return sorted(names)


def in_the_foreground(*names):
    """Until these programs, and no others, are what the terminal's keys are for."""
    end = time.time() + LIMIT
    while names_of(os.tcgetpgrp(master)) != sorted(names):
        if time.time() > end:
            sys.exit(f"no {names} in the foreground")
        time.sleep(0.02)


until(r"\$ $")
step("stty -echo; PS1='> '\n", r"> ")
step("tty | cut -c1-9; echo $?\n", r"/dev/pts/\r\n0\r\n> ")
step("sleep 100 | cat\n", r"")
in_the_foreground("sleep", "cat")
step("\x1a", r"Stopped +sleep 100 \| cat\r\n> ")
step("jobs | wc -l\n", r"1\r\n> ")
step("bg\n", r"sleep 100 \| cat &\r\n> ")
step("kill %1; wait; echo done\n", r"done\r\n> ")
step("cat >typed\n", r"")
step("a line\n\x04", r"> ")
step("cat typed\n", r"a line\r\n> ")
step("sleep 100\n", r"")
in_the_foreground("sleep")
step("\x03", r"\^?C?\r\n> ")
step("echo $?\n", r"130\r\n> ")
# It reads, which is not for the background.
step("cat & until jobs -s | grep -q cat; do sleep 0.1; done\n", r"\[1\] \d+\r\n")
step("jobs\n", r"Stopped +cat\r\n")
# Until it is gone: a shell with stopped jobs does not exit. `wait` alone does not wait for those.
step("kill -9 %1; wait -f %1 2>/dev/null; echo gone\n", r"gone\r\n")
step("read x; echo got $x\n", r"")
step("something\n", r"got something\r\n")
step("stty size </dev/tty; echo to the terminal >/dev/tty\n", r"to the terminal\r\n")
step("(exit 7); echo $?\n", r"7\r\n")
step("exit 5\n", r"exit\r\n")
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
