// SPDX-License-Identifier: MIT OR Apache-2.0
//! The filters of a domain beside our own.
//!
//! The kernel runs them all and does what takes precedence, as it would where it knew cookies; to it a cookie allows.
//! Only where one filter may hand on a cookie and another may hand the system call to a tracer or a listener, which a
//! cookie wins over, we have to decide: such a call is notified.

use landlock_compiler::abi::MAX_INSNS;
use landlock_compiler::classic::{ClassicInsn, Filter};
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

/// Whether a cookie of one domain's filters would have to win over a hand-over of another's, and the other one's filters
/// are what they are already.
pub fn contend(one: &Domain, other: &Domain) -> bool {
    let contends = |cookies: &Domain, hands_on: &Domain| {
        cookies.filters().any(Filter::may_give_cookies) && hands_on.filters().any(Filter::may_hand_on)
    };
    contends(one, other) || contends(other, one)
}

/// The filters of a domain as seccomp takes them, where no supervisor is asked.
#[derive(Clone, Debug)]
pub struct Filters(Vec<Vec<libc::sock_filter>>);

impl Filters {
    /// Those of `domain`.
    ///
    /// # Errors
    /// A filter is too long; for people.
    pub fn of(domain: &Domain) -> Result<Filters, String> {
        let all = alone(domain).ok_or_else(too_long)?;
        Ok(Filters(all.iter().map(|insns| insns.iter().map(raw).collect()).collect()))
    }

    /// Installs them on the calling thread, which must have no_new_privs or `CAP_SYS_ADMIN`. They may forbid anything.
    ///
    /// # Errors
    /// Seccomp's.
    pub fn install(&self) -> std::io::Result<()> {
        self.0.iter().try_for_each(|filter| sys::add_filter(filter))
    }
}

/// Oldest first. A filter that may hand a system call on which another gives a cookie for becomes two: one hands nothing
/// on, the other hands on only where no other gives a cookie.
fn alone(domain: &Domain) -> Option<Vec<Vec<ClassicInsn>>> {
    let filters: Vec<_> = domain.filters().collect();
    let mut all = Vec::new();
    for (at, filter) in filters.iter().enumerate().rev() {
        let others = filters.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, other)| other);
        let cookies: Vec<_> = others.filter(|other| other.may_give_cookies()).collect();
        if cookies.is_empty() || !filter.may_hand_on() {
            all.push(filter.enforced()?);
            continue;
        }
        let unless = cookies.into_iter().map(|other| other.where_a_cookie()).collect::<Option<Vec<_>>>()?;
        let handing_on: Vec<_> = unless.into_iter().flatten().chain(filter.enforced()?).collect();
        all.push(filter.without_handing_on()?);
        all.push(handing_on);
    }
    all.iter().all(|insns| insns.len() <= MAX_INSNS).then_some(all)
}

fn too_long() -> String {
    format!("a filter is too long: with what has to be added it has more than {MAX_INSNS} instructions")
}

fn raw(insn: &ClassicInsn) -> libc::sock_filter {
    libc::sock_filter { code: insn.code, jt: insn.jt, jf: insn.jf, k: insn.k }
}

#[cfg(test)]
mod tests {
    use landlock_compiler::classic::{Action, SyscallData};
    use landlock_compiler::domain::Layer;

    use super::*;

    const COOKIE: u32 = 0x0007_0005;
    const TRACE: u32 = 0x7ff0_0003;
    const ACTIONS: [u32; 6] = [0x8000_0000, 0x0005_0001, COOKIE, 0x7fc0_0000, TRACE, Action::ALLOW.0];

    /// Says one thing of the system call 0 to 5 whose number has the bit, and else that it is allowed.
    fn saying(what: u32, bit: u32, calculated: bool) -> Filter {
        let plain = |code, k| ClassicInsn { code, jt: 0, jf: 0, k };
        let said = match calculated {
            true => vec![plain(0x00, what), plain(0x16, 0)],
            false => vec![plain(0x06, what)],
        };
        let over = u8::try_from(said.len()).unwrap();
        let test = ClassicInsn { code: 0x45, jt: 0, jf: over, k: 1 << bit };
        let mut insns = vec![plain(0x20, 0), test];
        insns.extend(said);
        insns.push(plain(0x06, Action::ALLOW.0));
        Filter::new(insns).unwrap()
    }

    fn first(filters: impl Iterator<Item = Filter>, nr: u32) -> u32 {
        let data = SyscallData { nr, ..SyscallData::default() };
        let said = filters.map(|filter| filter.evaluate(&data)).min_by_key(|action| action.precedence());
        said.unwrap().0
    }

    /// What seccomp makes of them is what it would make of the domain's, if it knew cookies, to which it says: go on.
    #[test]
    fn a_cookie_wins_over_what_another_filter_hands_on_and_over_nothing_else() {
        for (one, other, calculated) in ACTIONS
            .iter()
            .flat_map(|one| ACTIONS.map(|other| (*one, other)))
            .flat_map(|(one, other)| [false, true].map(|calculated| (one, other, calculated)))
        {
            let theirs = [saying(one, 0, calculated), saying(other, 1, calculated)];
            let domain = Domain::layered(theirs.clone().map(Layer::Filter));
            let installed = alone(&domain).unwrap();
            for nr in 0..4 {
                let expected = match first(theirs.clone().into_iter(), nr) {
                    said if Action(said).cookie().is_some() => Action::ALLOW.0,
                    said => said,
                };
                let installed = installed.iter().map(|insns| Filter::new(insns.clone()).unwrap());
                assert_eq!(first(installed, nr), expected, "{one:#x} {other:#x} {nr} {calculated}");
            }
        }
    }
}
