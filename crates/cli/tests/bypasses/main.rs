// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ways out of a sandbox that have worked on somebody.
//!
//! Each test carries an attack out plain, where it must work; under rules that allow it but have to be asked about
//! every step, where it must work too; and under the rule that forbids it, where it must fail with `EPERM`, leave a
//! denial that names hook and rule, and break nothing else. Attackers are Python and C programs beside the tests.
//!
//! | trick | test |
//! |---|---|
//! | rename or link into a directory with other rights, `O_TMPFILE` and `linkat`, sockets bound there | `names::into_vault`, `bound` |
//! | `RENAME_EXCHANGE` | `names::exchanged_*` |
//! | rename over an existing file | `names::overwritten` |
//! | hard link, symbolic link, rename, a moved parent, then open | `names::hard_link*`, `symbolic_links`, `renamed`, `moved_directory` |
//! | creating by any other call | `names::created` |
//! | links, files, directories and path strings changed during an open | `races::link`, `file`, `directory`, `path` |
//! | more components than anybody counts | `names::deep` |
//! | `O_PATH`, then a reopen through `/proc`; `/dev/fd` | `names::reopened*`, `inherited_number` |
//! | `/proc/self/root`, `/proc/PID/cwd` and the like | `names::through_proc*` |
//! | file handles | `names::by_handle` |
//! | directories that may not be walked through, working directories and descriptors inside from before | `names::looked_into*`, `started_inside` |
//! | chmod, chown, times, extended attributes, truncate without an open | `names::changed*` |
//! | stat, access, getxattr, watches as leaks | `names::looked_at`, `listed` |
//! | new mount API and the old one | `processes::mounts_are_closed` |
//! | `/proc/PID/mem`, ptrace, `process_vm_writev`, `pidfd_getfd`, kcmp, setns at processes outside | `processes::outside_*` |
//! | the same at supervisor, reaper and waiter, and through a pinned `/proc/PID` | `processes::the_*_is_out_of_reach` |
//! | the same within a sandbox, which is free | `processes::processes_of_one_sandbox_*` |
//! | a syscall rewritten by a tracer after its filter has run | `processes::rewritten_by_a_tracer*` |
//! | user and mount namespaces, chroot, being another user, capabilities of a namespace | `processes::identity_is_kept`, `user_namespace*`, `other_root` … |
//! | a seccomp filter of the attacker's own | `processes::under_own_filter*` |
//! | orphans, and killing waiter, supervisor or reaper | `processes::orphans_*`, `killing_*` |
//! | set-user-id programs | `supervisor::set_user_id_*`, `kernel::set_user_id_programs` |
//! | descriptors received from outside or from a sibling | `descriptors::passed*` |
//! | descriptors inherited: read, write, map, protect, lock, ioctl, fcntl | `descriptors::read*`, `write*`, `lock`, `control`, `inputs` |
//! | a descriptor's number swapped during read, write, truncate, chmod, mmap | `races::read`, `write`, `writev`, `truncate`, `chmod`, `map`, `look` |
//! | threads, signals, stops, forks, exec and exit while another thread makes the call | `races::mapping_*` |
//! | memory made writable that is exchanged meanwhile | `races::protect`, `late`, `protections_*` |
//! | the loader, `#!`, `PT_INTERP`, `execveat`, `/proc/self/fd`, mapping and protecting code | `descriptors::executed*`, `interpreted` |
//! | a program swapped during its exec | `races::exec` |
//! | memfd, shared memory, `READ_IMPLIES_EXEC` | `descriptors::anonymous_programs`, `read_implies_exec` |
//! | `TIOCSTI`, `TIOCLINUX` | `descriptors::pushed`, `pasted` |
//! | terminals and namespaces that an ioctl opens | `descriptors::peered`, `namespaces_are_opened_by_no_ioctl` |
//! | `F_SETOWN` to a process group | `descriptors::own_signal` |
//! | io_uring, asynchronous I/O, x32, `int 0x80`, numbers not given out yet | `descriptors::io_uring_*`, `asynchronous_*`, `other_doors_*` |
//! | userfaultfd to stall a check | `descriptors::faulted` |
//! | many blocked calls | `descriptors::crowded` |
//! | unix sockets in the file system, datagrams without connect | `names::sockets` |
//! | device nodes | `names::block_devices` |
//!
//! `cargo test` carries all of it out on the supervisor target, `cargo xtask guest-test bypasses` on the kernel target.
//! What of it is not for the kernel target, and why, is the list in `supervisor`.
//!
//! Not here, because there is nothing for ABI 1 or these targets to hold:
//!
//! | trick | reason |
//! |---|---|
//! | disconnected directories, bind mounts, overlayfs views | no rule depends on ancestors or mounts; under the supervisor nothing can be mounted inside, on the kernel target it is tried (`kernel::mounted*`, `left_a_mount`); lists of directories are attacked in `spec` |
//! | a copy of a denied program; `sh script`, `python -c` | a rule sees modes: a copy is another object, and an interpreter reads |
//! | abstract sockets, TCP, UDP, addresses, fast open | ABI 1 has no network event |
//! | signals to others | v7 leaves them free; that killing the supervisor opens nothing is tested |
//! | D-Bus, the daemon's requests, its files and its environment | `landlock run` has none |
//! | pinned BPF objects by id | under the supervisor not reachable by an open that a rule sees; on the kernel target its own tests try (`attacks.rs` there) |
//! | malformed rules | the compiler's own tests and fuzzers |
//! | `--command=…` injection | the command line's own tests |
//! | writes to `/proc/sys`, `core_pattern` | a rule sees modes, not places |
//! | reading `maps` and `environ` outside with `CAP_PERFMON` | the kernel lets it pass without the access check (6.13 and newer) |
#![forbid(unsafe_code)]

mod attack;
mod descriptors;
mod kernel;
mod names;
mod playground;
mod processes;
mod races;
mod supervisor;
