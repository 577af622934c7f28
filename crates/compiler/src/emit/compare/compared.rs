// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a domain compares with: so much has to be watched.

use crate::abi::handles::ArrayKind;
use crate::abi::helper;
use crate::domain::Domain;
use crate::emit::residual;
use crate::op::{Callee, Op};
use crate::rule::Rule;

/// What of handles of files a domain compares with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compared {
    /// There are none.
    Nothing,
    /// Inodes, and what stays as long as they do.
    Inodes,
    /// Also dentries or mounts, which stay as long as the descriptor does.
    Names,
}

/// What of handles of files the domain's rules compare with.
pub fn compared(domain: &Domain) -> Compared {
    domain
        .rules()
        .iter()
        .filter(|rule| refers_to_files(rule))
        .map(compared_by)
        .max()
        .unwrap_or(Compared::Nothing)
}

fn compared_by(rule: &Rule) -> Compared {
    let names = |(at, op): (usize, &Option<Op>)| match op {
        Some(Op::Call(Callee::Helper(helper::CMP_FS_PROP))) => true,
        Some(Op::Call(Callee::Helper(helper::CMP_FS_BENEATH))) => {
            residual::options(rule.ops(), at) != Some(0)
        }
        _ => false,
    };
    if rule.ops().iter().enumerate().any(names) { Compared::Names } else { Compared::Inodes }
}

fn refers_to_files(rule: &Rule) -> bool {
    rule.maps().iter().any(|map| map.definition().kind == ArrayKind::Fs)
}

/// A rule that compares with files: what is beneath what must not be changed by mounting then.
pub(in crate::emit) fn comparing(domain: &Domain) -> Option<usize> {
    domain.rules().iter().position(refers_to_files)
}
