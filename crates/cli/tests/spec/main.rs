// SPDX-License-Identifier: MIT OR Apache-2.0
//! The RFC of August 2016, sentence by sentence, and ways around its lists: on the supervisor target by `cargo test`, on the
//! kernel target by `cargo xtask guest-test spec`. Each refusal has its twin without rules.
//!
//! | what the RFC says | test |
//! |---|---|
//! | context: hook, 16 bits of cookie, arguments of each hook | `cookies::contexts`, `cookies_are_16_bits` |
//! | a filter hands a cookie on to programs installed after it; the example | `cookies::the_example`, `nothing_runs_before_a_filter` |
//! | a program runs once for each cookie, and its hook's alone; newest filter, newest program first | `cookies::the_example`, `the_first_errno_is_kept` |
//! | a cookie counts for one system call | `cookies::a_cookie_is_of_one_system_call` |
//! | which of the actions wins, and cookies arrive that win over nothing | `cookies::a_cookie_among_what_filters_say` |
//! | results | `cookies::results`, `the_first_errno_is_kept` |
//! | hooks outside of system calls | `cookies::outside_of_system_calls` |
//! | fork, threads, exec | `cookies::inheritance` |
//! | programs of one thread only | `landlock-kernel` `semantics`, `ebpf-landlock` `confine` and `library` |
//! | arrays: append, replace, delete, kinds, errors | `ebpf-landlock` `arrays`, on both targets; the compiler's `map::tests` |
//! | arrays: definitions | the compiler's `maps` |
//! | arrays: changes while rules are in force | `ebpf-landlock` `arrays` |
//! | an empty array: 1 | `helpers::properties`, `beneath`, and `ebpf-landlock` `arrays` |
//! | properties, options, operations, what does not exist of them, and in which order that is found out | `helpers::properties`, `beneath`, `calculated` |
//! | no file | `helpers::no_file` |
//! | the caller's cgroup, at each hook, live, and the other way round | `helpers::cgroups` |
//! | beneath: by inode, over mounts | `ways` |
//!
//! Not here, because our interface has no counterpart:
//!
//! | what the RFC says | why |
//! |---|---|
//! | EFAULT for memory and licences; EBADF for descriptors of programs | rules are files; what is no rule, filter or handle is told, and nothing is run (`cli` `handles`) |
//! | 64 pages of programs | 64 rules (the library's and the compiler's limits) |
//! | EACCES without no_new_privs or CAP_SYS_ADMIN | `landlock run` sets no_new_privs; the kernel target's gate lets nobody in without (`landlock-kernel`) |
//! | 4096 instructions are too many; EPERM and licences when loading | the compiler's `verify` tests |
//! | the verifier refuses helpers a map that is empty when the program is loaded | it did so because the first entry decided about the kind, which here the definition does |
//! | lookups answer -EINVAL, next keys are those of arrays | there is no such call; the compiler's `map::tests` have the answers |
//! | that the other programs run when one has refused | they have no effects that could be seen |
#![forbid(unsafe_code)]

mod cookies;
mod helpers;
mod place;
mod ways;
