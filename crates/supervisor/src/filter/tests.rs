// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the filter leaves to the kernel, and what it does not.

use landlock_compiler::asm;
use landlock_compiler::verify::{Loader, verify};

use super::compose::X32_BIT;
use super::*;
use crate::syscalls::Does;

const NOTIFY: u32 = libc::SECCOMP_RET_USER_NOTIF;
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const MISSING: u32 = libc::SECCOMP_RET_ERRNO | 38;

fn domain(text: &str) -> Domain {
    let objects = asm::parse(text, "test.s").expect("assembly");
    let loader = Loader { cap_sys_admin: false };
    Domain::prepended(objects.into_iter().map(|object| verify(object, &loader).expect("a valid rule")))
}

/// Denies WRITE on everything but character devices and FIFOs: v7's sample.
const SAMPLE: &str = "
.rule sample
.event FS
.license \"GPL\"
    r2 = *(u64 *)(r1 + 24)
    r2 &= 2
    if r2 == 0 goto allow
    r1 = *(u64 *)(r1 + 16)
    call handle_fs_get_mode
    r0 &= 61440
    if r0 == 8192 goto allow
    if r0 == 4096 goto allow
    r0 = 1
    exit
allow:
    r0 = 0
    exit
";

/// A second, slower opinion on classic BPF: runs the filter on one syscall.
fn run(filter: &[libc::sock_filter], arch: u32, nr: u32, args: [u64; 6]) -> u32 {
    let word = |offset: u32| match offset {
        0 => nr,
        4 => arch,
        _ => {
            let arg = args[((offset - 16) / 8) as usize];
            let half = if offset % 8 == 4 { arg >> 32 } else { arg & u64::from(u32::MAX) };
            u32::try_from(half).unwrap()
        }
    };
    let (mut at, mut a) = (0, 0u32);
    loop {
        let insn = filter[at];
        at += 1;
        match u32::from(insn.code) {
            0x20 => a = word(insn.k),
            0x54 => a &= insn.k,
            0x05 => at += insn.k as usize,
            0x15 => at += usize::from(if a == insn.k { insn.jt } else { insn.jf }),
            0x35 => at += usize::from(if a >= insn.k { insn.jt } else { insn.jf }),
            0x06 => return insn.k,
            code => panic!("opcode {code:#x}"),
        }
    }
}

fn number(name: &str) -> u32 {
    TABLE.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("no syscall {name}")).nr
}

/// What the filter of `text` says to a call with the given first arguments.
fn says(text: &str, name: &str, args: &[u64]) -> u32 {
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    run(&compose(plan(&domain(text))), ARCH, number(name), all)
}

#[test]
fn the_table_is_sorted_and_has_no_number_twice() {
    assert!(TABLE.windows(2).all(|pair| pair[0].nr < pair[1].nr));
}

#[test]
fn every_question_of_the_table_is_one_of_the_hook_table() {
    for row in TABLE {
        let (Does::Asks(cases, _) | Does::Renames(cases, _)) = row.does else { continue };
        for ask in cases.iter().flat_map(|case| case.asks) {
            assert!(landlock_compiler::hooks::by_name(ask.hook).is_some(), "{}: {}", row.name, ask.hook);
        }
    }
}

#[test]
fn the_filter_does_what_the_plan_says() {
    let domain = domain(SAMPLE);
    let filter = compose(plan(&domain));
    for (row, plan) in TABLE.iter().zip(plan(&domain)) {
        let said = run(&filter, ARCH, row.nr, [0; 6]);
        match plan {
            Plan::Allow => assert_eq!(said, ALLOW, "{}", row.name),
            Plan::Notify => assert_eq!(said, NOTIFY, "{}", row.name),
            Plan::Missing => assert_eq!(said, MISSING, "{}", row.name),
            Plan::NotifyIf(_) => assert!(said == ALLOW || said == NOTIFY, "{}", row.name),
        }
    }
}

#[test]
fn the_sample_rule_leaves_reading_to_the_kernel() {
    for (name, args) in [
        ("read", vec![]),
        ("stat", vec![]),
        ("getdents64", vec![]),
        ("openat", vec![0, 0, 0]),
        ("openat", vec![0, 0, 0o2_000_000]),
        ("mmap", vec![0, 0, 3, 2]),
        ("mmap", vec![0, 0, 3, 0x21]),
        ("ioctl", vec![0, 0x5413]),
        ("execve", vec![]),
        ("recvfrom", vec![]),
        ("socket", vec![]),
        ("getppid", vec![]),
    ] {
        assert_eq!(says(SAMPLE, name, &args), ALLOW, "{name} {args:x?}");
    }
}

#[test]
fn the_sample_rule_has_writing_notified() {
    for (name, args) in [
        ("write", vec![]),
        ("openat", vec![0, 0, 1]),
        ("openat", vec![0, 0, 2]),
        ("openat", vec![0, 0, 0o100]),
        ("openat", vec![0, 0, 0o1000]),
        ("openat2", vec![]),
        ("mkdir", vec![]),
        ("renameat2", vec![]),
        ("mmap", vec![0, 0, 2, 1]),
        ("mprotect", vec![0, 0, 2]),
        ("chmod", vec![]),
        ("connect", vec![]),
        // It can bring a descriptor to write through.
        ("recvmsg", vec![]),
        ("mount", vec![]),
        ("io_uring_setup", vec![]),
    ] {
        assert_eq!(says(SAMPLE, name, &args), NOTIFY, "{name} {args:x?}");
    }
}

#[test]
fn a_rule_about_one_command_concerns_that_command_only() {
    let rule = "
.rule no_push
.event FS_IOCTL
.license \"GPL\"
    r2 = *(u64 *)(r1 + 24)
    r0 = 0
    if r2 != 0x5412 goto out
    r0 = 1
out:
    exit
";
    assert_eq!(says(rule, "ioctl", &[0, 0x5412]), NOTIFY);
    // The upper half of the register is not part of the command.
    assert_eq!(says(rule, "ioctl", &[0, 0xdead_0000_5412]), NOTIFY);
    assert_eq!(says(rule, "ioctl", &[0, 0x5413]), ALLOW);
    assert_eq!(says(rule, "fcntl", &[0, 0x5412]), ALLOW);
    assert_eq!(says(rule, "write", &[]), ALLOW);
}

#[test]
fn names_that_are_judged_cannot_be_swapped_unseen() {
    let rule = "
.rule keep_directories
.event FS
.license \"GPL\"
    r2 = *(u64 *)(r1 + 24)
    r0 = 0
    r2 &= 32
    if r2 == 0 goto out
    r1 = *(u64 *)(r1 + 16)
    call handle_fs_get_mode
    r0 &= 61440
    if r0 == 16384 goto deny
    r0 = 0
out:
    exit
deny:
    r0 = 1
    exit
";
    for (name, args) in
        [("rmdir", vec![]), ("mkdir", vec![]), ("openat", vec![0, 0, 0o101]), ("bind", vec![])]
    {
        assert_eq!(says(rule, name, &args), NOTIFY, "{name}");
    }
    assert_eq!(says(rule, "openat", &[0, 0, 2]), ALLOW);
    assert_eq!(says(rule, "chmod", &[]), ALLOW);
}

#[test]
fn other_architectures_are_notified_and_unknown_numbers_are_missing() {
    let filter = compose(plan(&domain(SAMPLE)));
    const I386: u32 = 0x4000_0003;
    assert_eq!(run(&filter, I386, 20, [0; 6]), NOTIFY);
    assert_eq!(run(&filter, ARCH, X32_BIT | 39, [0; 6]), NOTIFY);
    assert_eq!(run(&filter, ARCH, 600, [0; 6]), MISSING);
    assert_eq!(run(&filter, ARCH, number("clone3"), [0; 6]), MISSING);
}

/// Only where they are answered, and only the two.
#[test]
fn the_calls_of_v7_are_notified_where_they_are_answered() {
    let says = |stacking, name, first| {
        let filter = compose(plan_of_tree(&Domain::default(), stacking));
        run(&filter, ARCH, number(name), [first, 0, 0, 0, 0, 0])
    };
    const MAP_CREATE: u64 = 0;
    for (name, v7, other) in [("bpf", 5, MAP_CREATE), ("seccomp", 2, 1)] {
        assert_eq!(says(Stacking::V7, name, v7), NOTIFY, "{name}");
        // The kernel looks at 32 bits.
        assert_eq!(says(Stacking::V7, name, v7 | 1 << 32), NOTIFY, "{name}");
        assert_eq!(says(Stacking::V7, name, other), ALLOW, "{name}");
        assert_eq!(says(Stacking::Any, name, v7), ALLOW, "{name}");
        let only = |arch, first| run(&only_v7(), arch, number(name), [first, 0, 0, 0, 0, 0]);
        assert_eq!(
            (only(ARCH, v7), only(ARCH, other), only(0x4000_0003, v7)),
            (NOTIFY, ALLOW, ALLOW),
            "{name}"
        );
    }
    assert_eq!(run(&only_v7(), ARCH, number("openat"), [5; 6]), ALLOW);
}
