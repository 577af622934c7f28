# SPDX-License-Identifier: MIT OR Apache-2.0
"""A process outside of the sandbox: gives descriptors of the secret away, and has something to lose itself."""
import array
import ctypes
import os
import socket
import threading

PR_SET_PDEATHSIG, SIGKILL = 1, 9
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)  # the test may be killed before it can end us
treasure = ctypes.create_string_buffer(b"untouched")
secret = os.open("secret", os.O_RDWR)
post = socket.socket(socket.AF_UNIX)
post.bind("post")
post.listen(64)
mailbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
mailbox.bind("mailbox")
os.chmod("post", 0o1777)
os.chmod("mailbox", 0o1777)
threading.Thread(target=lambda: [mailbox.recv(100) for _ in iter(int, 1)], daemon=True).start()
# Written last and in one go: who sees it may begin.
with open("outside.new", "w") as file:
    file.write(f"{os.getpid()} {ctypes.addressof(treasure)} {secret}")
os.rename("outside.new", "outside")
while True:
    connection, _ = post.accept()
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [secret]))]
    try:
        connection.sendmsg([b"here"], ancillary)
    except OSError:
        pass
    connection.close()
