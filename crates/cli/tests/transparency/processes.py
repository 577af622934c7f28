# SPDX-License-Identifier: MIT OR Apache-2.0
"""Workers with pipes, semaphores and shared memory."""
import multiprocessing
from multiprocessing import shared_memory


def add(name, lock, n):
    memory = shared_memory.SharedMemory(name)
    for _ in range(100):
        with lock:
            memory.buf[0] = (memory.buf[0] + n) % 251
    memory.close()


with multiprocessing.Pool(3) as pool:
    print(pool.map(abs, range(-20, 0)))
memory = shared_memory.SharedMemory(create=True, size=100)
memory.buf[0] = 0
lock = multiprocessing.Lock()
workers = [multiprocessing.Process(target=add, args=(memory.name, lock, n)) for n in range(4)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
print(memory.buf[0], [worker.exitcode for worker in workers])
memory.close()
memory.unlink()
queue = multiprocessing.Queue()
multiprocessing.Process(target=queue.put, args=("x" * 100000,)).start()
print(len(queue.get()))
