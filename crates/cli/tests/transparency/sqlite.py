# SPDX-License-Identifier: MIT OR Apache-2.0
"""Several writers and readers at one database, with a rollback journal and with a write-ahead log."""
import multiprocessing
import sqlite3


def work(name, worker):
    base = sqlite3.connect(name, timeout=60, isolation_level=None)
    for n in range(25):
        base.execute("begin immediate")
        base.execute("insert into t values (?, ?)", (worker, n))
        base.execute("update sum set value = value + ?", (n,))
        base.execute("rollback" if n % 5 == 4 else "commit")
        base.execute("select count(*) from t").fetchone()
    base.close()


for mode in ("delete", "truncate", "persist", "wal"):
    name = f"base.{mode}"
    base = sqlite3.connect(name)
    print(base.execute(f"pragma journal_mode={mode}").fetchone())
    base.executescript("create table t(worker, n); create table sum(value); insert into sum values (0)")
    base.close()
    workers = [multiprocessing.Process(target=work, args=(name, worker)) for worker in range(4)]
    for process in workers:
        process.start()
    for process in workers:
        process.join()
        assert process.exitcode == 0
    base = sqlite3.connect(name)
    print(base.execute("select count(*), sum(n) from t").fetchone(), base.execute("select value from sum").fetchone())
    print(base.execute("pragma integrity_check").fetchone())
    base.execute("vacuum")
    base.close()
    # Its pages are in the order the writers came.
    import glob, os
    print(sorted(glob.glob(name + "*")))
    for file in glob.glob(name + "*"):
        os.unlink(file)
