# SPDX-License-Identifier: MIT OR Apache-2.0
# Ordinary work that reads and writes through shared descriptors, and passes some around.
import array, os, socket, sqlite3, subprocess, sys, threading
from socket import AF_UNIX, CMSG_LEN, SCM_RIGHTS, SOL_SOCKET


def pipes():
    r, w = os.pipe()
    total = []

    def read():
        while data := os.read(r, 1000):
            total.append(data)

    def write(byte):
        for _ in range(50):
            os.write(w, byte * 300)

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(byte,)) for byte in (b"a", b"b", b"c", b"d")]
    for thread in [reader, *writers]:
        thread.start()
    for thread in writers:
        thread.join()
    os.close(w)
    reader.join()
    data = b"".join(total)
    print("pipes", len(data), sorted(data.count(byte) for byte in b"abcd"))


def databases():
    sqlite3.connect("data.db").execute("create table t (n integer)").connection.commit()

    def write(first):
        connection = sqlite3.connect("data.db", timeout=60)
        for n in range(5):
            connection.execute("insert into t values (?)", (first + n,))
            connection.commit()
        connection.close()

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("database", sqlite3.connect("data.db").execute("select count(*), sum(n) from t").fetchone())


def agent():
    listener = socket.socket(AF_UNIX)
    listener.bind("agent")
    listener.listen()

    def serve():
        connection, _ = listener.accept()
        _, ancillary, _, _ = connection.recvmsg(10, CMSG_LEN(8))
        fds = array.array("i", ancillary[0][2])
        os.write(fds[0], b"through the agent")
        connection.sendall(b"done")

    thread = threading.Thread(target=serve)
    thread.start()
    r, w = os.pipe()
    client = socket.socket(AF_UNIX)
    client.connect("agent")
    client.sendmsg([b"x"], [(SOL_SOCKET, SCM_RIGHTS, array.array("i", [w]))])
    print("agent", client.recv(10), os.read(r, 100))
    thread.join()


def repositories():
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    quiet = dict(check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run([*git, "init", "one"], **quiet)
    for n in range(3):
        with open(f"one/{n}", "w") as file:
            file.write("text\n" * 1000 * n)
        subprocess.run([*git, "-C", "one", "add", "."], **quiet)
        subprocess.run([*git, "-C", "one", "commit", "-m", str(n)], **quiet)
    subprocess.run([*git, "clone", "--no-hardlinks", "file://" + os.getcwd() + "/one", "two"], **quiet)
    counted = subprocess.run([*git, "-C", "two", "rev-list", "--count", "HEAD"], check=True, stdout=subprocess.PIPE)
    print("repository", counted.stdout, os.path.getsize("two/2"))


pipes()
databases()
agent()
repositories()
sys.stdout.flush()
