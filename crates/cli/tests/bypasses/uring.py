# SPDX-License-Identifier: MIT OR Apache-2.0
"""io_uring without a library."""
from prelude import *

AT_FDCWD = -100
SETUP, ENTER = 425, 426
POLLED, GET_EVENTS, WAKE_UP = 2, 1, 2
ASYNC, OPENAT = 1 << 4, 18


class Ring:
    """A ring of one request at a time."""

    def __init__(self, polled):
        parameters = ctypes.create_string_buffer(struct.pack("IIIII", 0, 0, POLLED if polled else 0, 0, 1000), 120)
        self.fd = call(SETUP, 4, parameters)
        words = struct.unpack("30I", parameters.raw)
        self.polled, self.sq, self.cq = polled, words[10:18], words[20:28]
        self.requests = mmap.mmap(self.fd, 4 * 64, offset=0x10000000)
        self.submitted = mmap.mmap(self.fd, self.sq[6] + 4 * words[0], offset=0)
        self.completed = mmap.mmap(self.fd, self.cq[5] + 16 * words[1], offset=0x8000000)

    def use(self, opcode, fd=AT_FDCWD, address=0, length=0, offset=0, flags=0, how=0, address3=0):
        keep = [ctypes.create_string_buffer(a) if isinstance(a, bytes) else a for a in (address, offset, address3)]
        address, offset, address3 = [ctypes.addressof(a) if isinstance(a, ctypes.Array) else a for a in keep]
        request = struct.pack("BBHiQQIIQHHiQQ", opcode, how, 0, fd, offset, address, length, flags, 1, 0, 0, 0, address3, 0)
        self.requests[:64] = request
        tail = struct.unpack_from("I", self.submitted, self.sq[1])[0]
        struct.pack_into("I", self.submitted, self.sq[6] + 4 * (tail % 4), 0)
        struct.pack_into("I", self.submitted, self.sq[1], tail + 1)
        call(ENTER, self.fd, 1, 1, GET_EVENTS | (WAKE_UP if self.polled else 0), 0, 0)
        head = struct.unpack_from("I", self.completed, self.cq[0])[0]
        mask = struct.unpack_from("I", self.completed, self.cq[2])[0]
        _, result, _ = struct.unpack_from("QiI", self.completed, self.cq[5] + 16 * (head & mask))
        struct.pack_into("I", self.completed, self.cq[0], head + 1)
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return result
