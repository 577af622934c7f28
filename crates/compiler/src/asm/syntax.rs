// SPDX-License-Identifier: MIT OR Apache-2.0
//! The words of the language: what the printer writes and the parser knows.

use crate::abi::helper;
use crate::op::{AluOp, AtomicOp, CompareOp, Order, Size, SwapBits};

pub(super) const ALU: [(&str, AluOp); 12] = [
    ("=", AluOp::Mov),
    ("+=", AluOp::Add),
    ("-=", AluOp::Sub),
    ("*=", AluOp::Mul),
    ("/=", AluOp::Div),
    ("%=", AluOp::Mod),
    ("|=", AluOp::Or),
    ("&=", AluOp::And),
    ("^=", AluOp::Xor),
    ("<<=", AluOp::Lsh),
    (">>=", AluOp::Rsh),
    ("s>>=", AluOp::Arsh),
];

pub(super) const COMPARE: [(&str, CompareOp); 11] = [
    ("==", CompareOp::Eq),
    ("!=", CompareOp::Ne),
    ("&", CompareOp::Set),
    (">", CompareOp::Gt),
    (">=", CompareOp::Ge),
    ("<", CompareOp::Lt),
    ("<=", CompareOp::Le),
    ("s>", CompareOp::Sgt),
    ("s>=", CompareOp::Sge),
    ("s<", CompareOp::Slt),
    ("s<=", CompareOp::Sle),
];

/// `lock *(u64 *)(r1 + 0) += r2`
pub(super) const LOCKED: [(&str, AtomicOp); 4] =
    [("+=", AtomicOp::Add), ("|=", AtomicOp::Or), ("&=", AtomicOp::And), ("^=", AtomicOp::Xor)];

/// `r2 = atomic_fetch_add((u64 *)(r1 + 0), r2)`
pub(super) const FETCH: [(&str, AtomicOp); 4] = [
    ("atomic_fetch_add", AtomicOp::FetchAdd),
    ("atomic_fetch_or", AtomicOp::FetchOr),
    ("atomic_fetch_and", AtomicOp::FetchAnd),
    ("atomic_fetch_xor", AtomicOp::FetchXor),
];

/// `r2 = xchg_64(r1 + 0, r2)`, `r0 = cmpxchg_64(r1 + 0, r0, r2)`
pub(super) const EXCHANGE: [(&str, AtomicOp, Size); 4] = [
    ("xchg_64", AtomicOp::Exchange, Size::Double),
    ("xchg32_32", AtomicOp::Exchange, Size::Word),
    ("cmpxchg_64", AtomicOp::CompareExchange, Size::Double),
    ("cmpxchg32_32", AtomicOp::CompareExchange, Size::Word),
];

pub(super) const SIZE: [(&str, Size); 4] =
    [("u8", Size::Byte), ("u16", Size::Half), ("u32", Size::Word), ("u64", Size::Double)];

pub(super) const SWAP: [(&str, (Order, SwapBits)); 6] = [
    ("be16", (Order::Big, SwapBits::B16)),
    ("be32", (Order::Big, SwapBits::B32)),
    ("be64", (Order::Big, SwapBits::B64)),
    ("le16", (Order::Little, SwapBits::B16)),
    ("le32", (Order::Little, SwapBits::B32)),
    ("le64", (Order::Little, SwapBits::B64)),
];

pub(super) const HELPER: [(&str, i32); 9] = [
    ("handle_fs_get_mode", helper::HANDLE_FS_GET_MODE),
    ("trace_printk", helper::TRACE_PRINTK),
    ("get_current_pid_tgid", helper::GET_CURRENT_PID_TGID),
    ("get_current_uid_gid", helper::GET_CURRENT_UID_GID),
    ("get_current_comm", helper::GET_CURRENT_COMM),
    // The name in v7's documentation; printed as trace_printk.
    ("get_trace_printk", helper::TRACE_PRINTK),
    ("cmp_fs_prop", helper::CMP_FS_PROP),
    ("cmp_fs_beneath", helper::CMP_FS_BENEATH),
    ("cmp_cgroup_beneath", helper::CMP_CGROUP_BENEATH),
];

/// What a word means.
pub(super) fn meaning<T: Copy>(table: &[(&str, T)], word: &str) -> Option<T> {
    table.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning)
}

/// The word for something.
pub(super) fn word<T: PartialEq>(table: &[(&'static str, T)], meaning: &T) -> Option<&'static str> {
    table.iter().find(|(_, known)| known == meaning).map(|(word, _)| *word)
}
