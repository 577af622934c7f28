// SPDX-License-Identifier: MIT OR Apache-2.0
//! A plan as a classic program: a binary search for the number of the syscall, and tests of its arguments.

use super::{ARCH, Plan, stacking};
use crate::syscalls::{Half, TABLE, Test};

pub(super) const X32_BIT: u32 = 0x4000_0000;

/// The filter that follows the plan, as the kernel takes it.
pub fn compose(plans: Vec<Plan>) -> Vec<libc::sock_filter> {
    let mut segments: Vec<(u32, Plan)> = vec![];
    let mut next = 0;
    for (row, plan) in TABLE.iter().zip(plans) {
        if row.nr != next {
            push(&mut segments, next, Plan::Missing);
        }
        push(&mut segments, row.nr, plan);
        next = row.nr + 1;
    }
    push(&mut segments, next, Plan::Missing);
    push(&mut segments, X32_BIT, Plan::Notify);

    let mut filter =
        vec![load(4), jump(libc::BPF_JEQ, ARCH, 1, 0), ret(libc::SECCOMP_RET_USER_NOTIF), load(0)];
    filter.extend(search(&segments));
    filter
}

/// A filter that notifies nothing but openat.
pub fn only_openat() -> Vec<libc::sock_filter> {
    const OPENAT: u32 = 257;
    let [notify, allow] = [libc::SECCOMP_RET_USER_NOTIF, libc::SECCOMP_RET_ALLOW].map(ret);
    vec![load(0), jump(libc::BPF_JEQ, OPENAT, 0, 1), notify, allow]
}

/// A filter that notifies nothing but what may be v7's own calls.
pub fn only_v7() -> Vec<libc::sock_filter> {
    const FIRST: u32 = 16;
    let [notify, allow] = [libc::SECCOMP_RET_USER_NOTIF, libc::SECCOMP_RET_ALLOW].map(ret);
    let mut filter = vec![load(4), jump(libc::BPF_JEQ, ARCH, 1, 0), allow];
    for (name, command) in stacking::CALLS_OF_V7 {
        let nr = TABLE.iter().find(|row| row.name == name).map_or(u32::MAX, |row| row.nr);
        filter.extend([load(0), jump(libc::BPF_JEQ, nr, 0, 3), load(FIRST)]);
        filter.extend([jump(libc::BPF_JEQ, command, 0, 1), notify]);
    }
    filter.push(allow);
    filter
}

fn push(segments: &mut Vec<(u32, Plan)>, nr: u32, plan: Plan) {
    if segments.last().is_none_or(|(_, last)| *last != plan || matches!(plan, Plan::NotifyIf(_))) {
        segments.push((nr, plan));
    }
}

/// A binary search for the segment the number in the accumulator belongs to, then that segment's plan.
fn search(segments: &[(u32, Plan)]) -> Vec<libc::sock_filter> {
    let (left, right) = segments.split_at(segments.len() / 2);
    let (Some(_), Some((start, _))) = (left.first(), right.first()) else {
        return segments
            .first()
            .map_or_else(|| vec![ret(libc::SECCOMP_RET_USER_NOTIF)], |(_, plan)| leaf(plan));
    };
    let left = search(left);
    let far = u32::try_from(left.len()).unwrap_or(u32::MAX);
    let mut code = vec![jump(libc::BPF_JGE, *start, 0, 1), statement(libc::BPF_JMP | libc::BPF_JA, far)];
    code.extend(left);
    code.extend(search(right));
    code
}

fn leaf(plan: &Plan) -> Vec<libc::sock_filter> {
    match plan {
        Plan::Allow => vec![ret(libc::SECCOMP_RET_ALLOW)],
        Plan::Notify => vec![ret(libc::SECCOMP_RET_USER_NOTIF)],
        Plan::Missing => vec![ret(libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned())],
        Plan::NotifyIf(groups) => {
            let mut code: Vec<_> = groups.iter().flat_map(|tests| group(tests)).collect();
            code.push(ret(libc::SECCOMP_RET_ALLOW));
            code
        }
    }
}

/// Notifies if every test passes, else falls through behind the group.
fn group(tests: &[Test]) -> Vec<libc::sock_filter> {
    const ARGS: u32 = 16;
    const LEN: usize = 3;
    let mut code = Vec::with_capacity(tests.len() * LEN + 1);
    for (index, test) in tests.iter().enumerate() {
        // Behind this test: the remaining ones and the return.
        let skip = u8::try_from((tests.len() - index - 1) * LEN + 1).unwrap_or(u8::MAX);
        let half = if test.half == Half::High { 4 } else { 0 };
        code.push(load(ARGS + 8 * u32::from(test.arg) + half));
        code.push(statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, test.mask));
        let (equal, differs) = if test.equal { (0, skip) } else { (skip, 0) };
        code.push(jump(libc::BPF_JEQ, test.value, equal, differs));
    }
    code.push(ret(libc::SECCOMP_RET_USER_NOTIF));
    code
}

fn statement(code: u32, k: u32) -> libc::sock_filter {
    jump_raw(code, k, 0, 0)
}

fn load(offset: u32) -> libc::sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn ret(k: u32) -> libc::sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, k)
}

fn jump(compare: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    jump_raw(libc::BPF_JMP | compare | libc::BPF_K, k, jt, jf)
}

fn jump_raw(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).unwrap_or(u16::MAX), jt, jf, k }
}
