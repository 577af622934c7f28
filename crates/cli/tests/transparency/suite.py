# SPDX-License-Identifier: MIT OR Apache-2.0
"""A test suite of the ordinary kind: threads, processes, sockets, temporary files."""
import asyncio
import fcntl
import mmap
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor


class Suite(unittest.TestCase):
    def test_threads(self):
        def work(n):
            with tempfile.NamedTemporaryFile(dir=".") as file:
                file.write(b"%d" % n * 1000)
                file.flush()
                with open(file.name, "rb") as again:
                    return len(again.read())
        with ThreadPoolExecutor(8) as pool:
            self.assertEqual(list(pool.map(work, range(10, 60))), [2000] * 50)

    def test_subprocesses(self):
        out = subprocess.run(["sh", "-c", "cat; exit 3"], input=b"through", capture_output=True)
        self.assertEqual((out.returncode, out.stdout), (3, b"through"))
        with self.assertRaises(FileNotFoundError):
            subprocess.run(["./nothing"])
        child = subprocess.Popen(["sleep", "100"])
        child.terminate()
        self.assertEqual(child.wait(), -signal.SIGTERM)

    def test_pipeline(self):
        first = subprocess.Popen(["seq", "100000"], stdout=subprocess.PIPE)
        second = subprocess.Popen(["tail", "-n", "1"], stdin=first.stdout, stdout=subprocess.PIPE)
        first.stdout.close()
        self.assertEqual(second.communicate()[0], b"100000\n")

    def test_temporary(self):
        with tempfile.TemporaryDirectory(dir=".") as path:
            for n in range(30):
                os.makedirs(f"{path}/{n}/{n}")
            self.assertEqual(sum(len(dirs) for _, dirs, _ in os.walk(path)), 60)
            shutil.copytree(path, path + "copy")
        shutil.rmtree(path + "copy")

    def test_streams(self):
        server = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=lambda: [c.sendall(c.recv(100)) or c.close() for c, _ in [server.accept()]])
        thread.start()
        with socket.create_connection(server.getsockname()) as client:
            client.sendall(b"echo")
            self.assertEqual(client.recv(100), b"echo")
        thread.join()
        server.close()

    def test_unix(self):
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            server.bind("unix")
            server.listen()
            client.connect("unix")
            peer, _ = server.accept()
            with open(__file__, "rb") as file, peer:
                socket.send_fds(client, [b"take"], [file.fileno()])
                data, fds, _, _ = socket.recv_fds(peer, 10, 1)
                self.assertEqual(os.fstat(fds[0]).st_ino, os.fstat(file.fileno()).st_ino)
                os.close(fds[0])
        os.unlink("unix")
        with self.assertRaises(FileNotFoundError):
            socket.socket(socket.AF_UNIX).connect("unix")

    def test_datagrams(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as a, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as b:
            a.bind(("127.0.0.1", 0))
            b.sendto(b"one", a.getsockname())
            b.sendmsg([b"t", b"wo"], [], 0, a.getsockname())
            self.assertEqual([a.recv(10), a.recvfrom(10)[0]], [b"one", b"two"])
        a, b = socket.socketpair()
        with a, b:
            a.sendmsg([b"x" * 10])
            buffer = bytearray(4)
            self.assertEqual(b.recvmsg_into([buffer])[0], 4)

    def test_asyncio(self):
        async def main():
            async def serve(reader, writer):
                writer.write(await reader.readline())
                await writer.drain()
                writer.close()
            server = await asyncio.start_unix_server(serve, "async")
            answers = []
            for n in range(5):
                reader, writer = await asyncio.open_unix_connection("async")
                writer.write(b"%d\n" % n)
                answers.append(await reader.readline())
                writer.close()
            process = await asyncio.create_subprocess_exec("echo", "hello", stdout=asyncio.subprocess.PIPE)
            answers.append((await process.communicate())[0])
            server.close()
            return answers
        self.assertEqual(asyncio.run(main()), [b"0\n", b"1\n", b"2\n", b"3\n", b"4\n", b"hello\n"])
        if os.path.exists("async"):
            os.unlink("async")

    def test_mapping(self):
        with open("mapped", "w+b") as file:
            file.truncate(8192)
            with mmap.mmap(file.fileno(), 8192) as memory:
                memory[:5] = b"hello"
                memory.flush()
                self.assertEqual(os.pread(file.fileno(), 5, 0), b"hello")
        with mmap.mmap(-1, 100) as memory:
            memory[0] = 1

    def test_locks(self):
        with open("locked", "w") as a, open("locked", "w") as b:
            fcntl.flock(a, fcntl.LOCK_EX)
            with self.assertRaises(BlockingIOError):
                fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB)
            released = threading.Timer(0.05, lambda: fcntl.flock(a, fcntl.LOCK_UN))
            released.start()
            fcntl.flock(b, fcntl.LOCK_EX)
            fcntl.lockf(b, fcntl.LOCK_EX)

    def test_signals(self):
        got = []
        signal.signal(signal.SIGALRM, lambda *_: got.append(1))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        reader, writer = os.pipe()
        threading.Timer(0.2, lambda: os.write(writer, b"later")).start()
        self.assertEqual(os.read(reader, 10), b"later")
        self.assertEqual(got, [1])

    def test_fifo(self):
        os.mkfifo("fifo")
        def write():
            with open("fifo", "w") as file:
                file.write("through a fifo")
        thread = threading.Thread(target=write)
        thread.start()
        with open("fifo") as file:
            self.assertEqual(file.read(), "through a fifo")
        thread.join()
        os.unlink("fifo")

    def test_copies(self):
        with open("from", "wb") as file:
            file.write(os.urandom(1 << 16))
        shutil.copyfile("from", "sent")
        with open("from", "rb") as a, open("ranged", "wb") as b:
            self.assertEqual(os.copy_file_range(a.fileno(), b.fileno(), 1 << 16), 1 << 16)
        with open("from", "rb") as a, open("sent", "rb") as b, open("ranged", "rb") as c:
            self.assertTrue(a.read() == b.read() == c.read())
        for name in ("from", "sent", "ranged"):
            os.unlink(name)

    def test_readiness(self):
        reader, writer = os.pipe()
        poll = select.epoll()
        poll.register(reader, select.EPOLLIN)
        self.assertEqual(poll.poll(0), [])
        os.write(writer, b"x")
        self.assertEqual(poll.poll(1), [(reader, select.EPOLLIN)])
        os.set_blocking(reader, False)
        os.read(reader, 10)
        with self.assertRaises(BlockingIOError):
            os.read(reader, 10)

    def test_vectors(self):
        fd = os.open("vectors", os.O_RDWR | os.O_CREAT, 0o600)
        self.assertEqual(os.writev(fd, [b"one", b"", b"two"]), 6)
        buffers = [bytearray(2), bytearray(10)]
        self.assertEqual(os.preadv(fd, buffers, 1), 5)
        self.assertEqual(buffers[0], b"ne")
        os.close(fd)
        with self.assertRaises(OSError):
            os.read(fd, 1)


if __name__ == "__main__":
    result = unittest.TextTestRunner(stream=sys.stderr, verbosity=2).run(unittest.defaultTestLoader.loadTestsFromTestCase(Suite))
    for test, _ in result.failures + result.errors:
        print("failed:", test.id())
    print(result.testsRun, "tests")
    sys.exit(not result.wasSuccessful())
