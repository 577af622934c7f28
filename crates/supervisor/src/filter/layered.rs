// SPDX-License-Identifier: MIT OR Apache-2.0
//! The filters of a domain beside our own.
//!
//! The kernel runs them all and does what takes precedence, as it would where it knew cookies; to it a cookie allows.
//! Only where one filter may hand on a cookie and another may hand the system call to a tracer or a listener, which a
//! cookie wins over, we have to decide: such a call is notified.

use landlock_compiler::abi::MAX_INSNS;
use landlock_compiler::classic::ClassicInsn;
use landlock_compiler::domain::Domain;

use super::{Plan, compose};
use crate::sys;

/// What a command is to install, in this order.
pub struct Installed {
    /// Ours, with a listener.
    pub filter: Vec<libc::sock_filter>,
    /// The domain's, oldest first.
    pub filters: Vec<Vec<libc::sock_filter>>,
}

/// What the filters of `domain` become beside ours, which follows `plans`.
///
/// # Errors
/// A filter is too long for it; for people.
pub fn installed(domain: &Domain, plans: Vec<Plan>) -> Result<Installed, String> {
    let filters: Vec<_> = domain.filters().collect();
    let contested = filters.iter().enumerate().any(|(at, filter)| {
        let others = filters.iter().enumerate().filter(|(other, _)| *other != at);
        filter.may_give_cookies() && others.map(|(_, other)| other).any(|other| other.may_hand_on())
    });
    let raw = |insns: Vec<ClassicInsn>| insns.iter().map(raw).collect::<Vec<_>>();
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for filter in filters.iter().rev() {
        let without = if contested { filter.without_handing_on() } else { filter.enforced() };
        theirs.push(raw(without.ok_or_else(too_long)?));
        if contested && filter.may_hand_on() {
            ours.extend(raw(filter.where_handed_on(libc::SECCOMP_RET_USER_NOTIF).ok_or_else(too_long)?));
        }
    }
    ours.extend(compose(plans));
    if ours.len() > MAX_INSNS {
        return Err(too_long());
    }
    Ok(Installed { filter: ours, filters: theirs })
}

/// The filters of a domain as seccomp takes them, where no supervisor is asked: there, a cookie does not win over what
/// another filter hands to a tracer or a listener.
#[derive(Clone, Debug)]
pub struct Filters(Vec<Vec<libc::sock_filter>>);

impl Filters {
    /// Those of `domain`.
    ///
    /// # Errors
    /// A filter is too long; for people.
    pub fn of(domain: &Domain) -> Result<Filters, String> {
        let filters: Vec<_> = domain.filters().collect();
        let all = filters.into_iter().rev().map(|filter| filter.enforced().ok_or_else(too_long));
        let raw = |insns: Vec<ClassicInsn>| insns.iter().map(raw).collect();
        Ok(Filters(all.map(|insns| insns.map(raw)).collect::<Result<_, _>>()?))
    }

    /// Installs them on the calling thread, which must have no_new_privs or `CAP_SYS_ADMIN`. They may forbid anything.
    ///
    /// # Errors
    /// Seccomp's.
    pub fn install(&self) -> std::io::Result<()> {
        self.0.iter().try_for_each(|filter| sys::add_filter(filter))
    }
}

fn too_long() -> String {
    format!("a filter is too long: with what has to be added it has more than {MAX_INSNS} instructions")
}

fn raw(insn: &ClassicInsn) -> libc::sock_filter {
    libc::sock_filter { code: insn.code, jt: insn.jt, jf: insn.jf, k: insn.k }
}
