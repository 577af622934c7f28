// SPDX-License-Identifier: MIT OR Apache-2.0
//! Filters as seccomp takes them, which knows no cookies.

use super::check::code;
use super::{ACTION, Action, ClassicInsn, Filter, TRACE, USER_NOTIF};
use crate::abi::MAX_INSNS;
use crate::abi::hook::RET_LANDLOCK;

/// What becomes of a return.
#[derive(Clone, Copy)]
enum End {
    /// It stays what it is.
    Same,
    /// This is returned.
    Returns(u32),
    /// What comes behind the filter is run.
    Behind,
}

impl Action {
    /// Whether a tracer or a listener of the filter's is to decide, who may not be there.
    pub fn is_handed_on(self) -> bool {
        matches!(self.without_data(), TRACE | USER_NOTIF)
    }
}

impl Filter {
    /// The filter for seccomp: a cookie allows. Installed beside others, it decides about system calls as it would
    /// where seccomp knew cookies, but for one thing: a cookie does not win over what another filter hands on
    /// ([`Action::is_handed_on`]), see [`Filter::without_handing_on`] and [`Filter::where_a_cookie`].
    ///
    /// `None`: the result would have more instructions than a filter may have.
    pub fn enforced(&self) -> Option<Vec<ClassicInsn>> {
        self.rewritten(&[(RET_LANDLOCK, End::Returns(Action::ALLOW.0))], End::Same)
    }

    /// [`Filter::enforced`], for a domain where somebody else decides what is handed on: that is allowed.
    pub fn without_handing_on(&self) -> Option<Vec<ClassicInsn>> {
        let allowed = End::Returns(Action::ALLOW.0);
        self.rewritten(&[(RET_LANDLOCK, allowed), (TRACE, allowed), (USER_NOTIF, allowed)], End::Same)
    }

    /// Returns `told` where the filter hands a system call on; else what comes behind these instructions is run.
    pub fn where_handed_on(&self, told: u32) -> Option<Vec<ClassicInsn>> {
        self.rewritten(&[(TRACE, End::Returns(told)), (USER_NOTIF, End::Returns(told))], End::Behind)
    }

    /// Allows where the filter gives a cookie; else what comes behind these instructions is run.
    pub fn where_a_cookie(&self) -> Option<Vec<ClassicInsn>> {
        self.rewritten(&[(RET_LANDLOCK, End::Returns(Action::ALLOW.0))], End::Behind)
    }

    /// Whether it may hand a system call on, whatever the call is.
    pub fn may_hand_on(&self) -> bool {
        self.may_say(Action::is_handed_on)
    }

    /// Whether it may hand a cookie on, whatever the call is.
    pub fn may_give_cookies(&self) -> bool {
        self.may_say(|action| action.cookie().is_some())
    }

    fn may_say(&self, said: impl Fn(Action) -> bool) -> bool {
        self.0.iter().any(|insn| match insn.code {
            code::RET_K => said(Action(insn.k)),
            code::RET_A => true,
            _ => false,
        })
    }

    /// Every return replaced by what becomes of its action. Each takes one instruction; returns of what was
    /// calculated go to a common end.
    fn rewritten(&self, changes: &[(u32, End)], otherwise: End) -> Option<Vec<ClassicInsn>> {
        let becomes = |action: u32| {
            let change = changes.iter().find(|(of, _)| *of == Action(action).without_data());
            change.map_or(otherwise, |(_, end)| *end)
        };
        let calculated = self.0.iter().any(|insn| insn.code == code::RET_A);
        let end = if calculated { common_end(changes, otherwise) } else { Vec::new() };
        let len = self.0.len();
        if len + end.len() > MAX_INSNS {
            return None;
        }
        let over = |at: usize, to: usize| jump(u32::try_from(to - at - 1).unwrap_or(u32::MAX));
        let rewrite = |(at, insn): (usize, &ClassicInsn)| match (insn.code, becomes(insn.k)) {
            (code::RET_K, End::Returns(k)) => ret(k),
            (code::RET_K, End::Behind) => over(at, len + end.len()),
            (code::RET_A, _) => over(at, len),
            _ => *insn,
        };
        let mut all: Vec<ClassicInsn> = self.0.iter().enumerate().map(rewrite).collect();
        all.extend(&end);
        Some(all)
    }
}

/// Where the accumulator holds what is to be returned.
fn common_end(changes: &[(u32, End)], otherwise: End) -> Vec<ClassicInsn> {
    let plain = |code, k| ClassicInsn { code, k, ..ClassicInsn::default() };
    let mut end = vec![plain(code::TAX, 0), plain(code::ALU | code::AND, ACTION)];
    for (action, change) in changes {
        let End::Returns(k) = change else { continue };
        end.push(ClassicInsn { code: code::JMP | code::JEQ, jt: 0, jf: 1, k: *action });
        end.push(ret(*k));
    }
    match otherwise {
        End::Same => end.extend([plain(code::TXA, 0), plain(code::RET_A, 0)]),
        End::Returns(k) => end.push(ret(k)),
        // It is next.
        End::Behind => {}
    }
    end
}

fn ret(k: u32) -> ClassicInsn {
    ClassicInsn { code: code::RET_K, k, ..ClassicInsn::default() }
}

fn jump(k: u32) -> ClassicInsn {
    ClassicInsn { code: code::JA, k, ..ClassicInsn::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classic::SyscallData;

    const KILL: u32 = 0x8000_0000;
    const ERRNO: u32 = 0x0005_0001;

    fn plain(code: u16, k: u32) -> ClassicInsn {
        ClassicInsn { code, k, ..ClassicInsn::default() }
    }

    /// Returns `said[nr]`, calculated or not.
    fn saying(said: &[u32], calculated: bool) -> Filter {
        let mut insns = vec![plain(code::LD_ABS, 0)];
        for (nr, what) in (0..).zip(said) {
            insns.push(ClassicInsn {
                code: code::JMP | code::JEQ,
                jt: 0,
                jf: 1 + u8::from(calculated),
                k: nr,
            });
            match calculated {
                true => insns.extend([plain(code::LD_IMM, *what), plain(code::RET_A, 0)]),
                false => insns.push(ret(*what)),
            }
        }
        insns.push(ret(Action::ALLOW.0));
        Filter::new(insns).unwrap()
    }

    fn says(filter: &Filter, nr: u32) -> u32 {
        filter.evaluate(&SyscallData { nr, ..SyscallData::default() }).0
    }

    const SAID: [u32; 6] = [RET_LANDLOCK | 7, TRACE | 1, USER_NOTIF, KILL, ERRNO, Action::ALLOW.0];

    #[test]
    fn seccomp_is_told_everything_but_cookies() {
        for calculated in [false, true] {
            let filter = saying(&SAID, calculated);
            let enforced = Filter::new(filter.enforced().unwrap()).unwrap();
            let without = Filter::new(filter.without_handing_on().unwrap()).unwrap();
            for (nr, said) in (0..).zip(SAID) {
                let allowed = Action::ALLOW.0;
                assert_eq!(says(&enforced, nr), if nr == 0 { allowed } else { said }, "{nr}");
                assert_eq!(says(&without, nr), if nr < 3 { allowed } else { said }, "{nr}");
            }
            assert!(filter.may_hand_on() && filter.may_give_cookies());
        }
        assert!(!Filter::always(3).may_hand_on() && !saying(&[ERRNO], false).may_give_cookies());
    }

    #[test]
    fn what_is_handed_on_is_told_apart_before_anything_else_is_run() {
        for calculated in [false, true] {
            let mut insns = saying(&SAID, calculated).where_handed_on(KILL | 5).unwrap();
            insns.push(ret(ERRNO));
            let filter = Filter::new(insns).unwrap();
            for nr in 0..7 {
                let expected = if matches!(nr, 1 | 2) { KILL | 5 } else { ERRNO };
                assert_eq!(says(&filter, nr), expected, "{nr} {calculated}");
            }
        }
    }

    #[test]
    fn a_filter_without_room_for_its_end_is_not_rewritten() {
        let mut insns = vec![plain(code::LD_IMM, 0); MAX_INSNS - 1];
        insns.push(ret(RET_LANDLOCK));
        assert!(Filter::new(insns.clone()).unwrap().enforced().is_some());
        insns[MAX_INSNS - 1] = plain(code::RET_A, 0);
        assert!(Filter::new(insns).unwrap().enforced().is_none());
    }
}
