// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;
use crate::classic::ClassicInsn;
use crate::evaluate::Unrelated;
use crate::op::{AluOp, Op, Reg};
use crate::testing::build::{Half, abi2, alu, load, mov};
use crate::verify::{Loader, verify_newest};

const LD_NR: ClassicInsn = ClassicInsn { code: 0x20, jt: 0, jf: 0, k: 0 };
const RET_A: ClassicInsn = ClassicInsn { code: 0x16, jt: 0, jf: 0, k: 0 };

fn rule(event: Event, ops: &[Op]) -> Rule {
    verify_newest(abi2(event, &[], ops), &Loader::default()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn returns(event: Event, result: i32) -> Rule {
    rule(event, &[mov(Reg::R0, result), Op::Exit])
}

/// A filter that returns what the system call has as its number.
fn filter() -> Layer {
    Layer::Filter(Filter::new(vec![LD_NR, RET_A]).unwrap())
}

fn constant(result: u32) -> Layer {
    Layer::Filter(Filter::new(vec![ClassicInsn { code: 6, k: result, ..ClassicInsn::default() }]).unwrap())
}

fn cookie(cookie: u16) -> Layer {
    Layer::Filter(Filter::always(cookie))
}

fn calling(nr: u32) -> SyscallData {
    SyscallData { nr, ..SyscallData::default() }
}

const OPEN: HookCall = HookCall::FileOpen;
const READ: HookCall = HookCall::FilePermission { mask: 4 };
const MAP: HookCall = HookCall::MmapFile { anonymous: false, reqprot: 1, prot: 1, flags: 2 };

fn decide(domain: &Domain, call: HookCall) -> HookVerdict {
    domain.decide_hook(call, Some(&domain.filtered(&calling(0))), &Unrelated)
}

/// Positions and cookies of the runs of a hook.
fn runs(domain: &Domain, event: Event, filtered: &Filtered) -> Vec<(usize, u16)> {
    domain.runs(event, filtered).map(|(rule, _, cookie)| (rule, cookie)).collect()
}

/// The seed's example, word for word: SF0, SF1, LP0(file_open), SF2, LP1(file_open), LP2(file_permission).
#[test]
fn the_seed_s_example() {
    let lp = |event| Layer::Rule(returns(event, 0));
    let layers = |said: [u32; 3]| {
        let [sf0, sf1, sf2] = said.map(constant);
        [sf0, sf1, lp(Event::FileOpen), sf2, lp(Event::FileOpen), lp(Event::FilePermission)]
    };
    // Newest first.
    let [lp2, lp1, lp0] = [0, 1, 2];
    let at = |said: [u32; 3], event| {
        let domain = Domain::layered(layers(said));
        runs(&domain, event, &domain.filtered(&calling(0)))
    };
    let (none, c) = (0x7fff_0000, |cookie: u32| 0x0007_0000 | cookie);
    let (open, permission) = (Event::FileOpen, Event::FilePermission);
    assert_eq!(at([c(10), none, none], open), [(lp1, 10), (lp0, 10)]);
    assert_eq!(at([c(10), none, none], permission), [(lp2, 10)]);
    assert_eq!(at([none, c(11), none], open), [(lp1, 11), (lp0, 11)]);
    assert_eq!(at([none, c(11), none], permission), [(lp2, 11)]);
    assert_eq!(at([none, none, c(12)], open), [(lp1, 12)]);
    assert_eq!(at([none, none, c(12)], permission), [(lp2, 12)]);
    let all = [c(10), c(11), c(12)];
    assert_eq!(at(all, open), [(lp1, 12), (lp1, 11), (lp0, 11), (lp1, 10), (lp0, 10)]);
    assert_eq!(at(all, permission), [(lp2, 12), (lp2, 11), (lp2, 10)]);
    assert_eq!(at(all, Event::MmapFile), []);
    assert_eq!(at([none, none, none], open), []);
    assert_eq!(
        at([c(7), c(7), none], permission),
        [(lp2, 7), (lp2, 7)],
        "once for each filter, not for each cookie"
    );
}

#[test]
fn a_rule_runs_for_no_newer_filter() {
    let deny = || Layer::Rule(returns(Event::FileOpen, 13));
    let denied = |layers: Vec<Layer>| decide(&Domain::layered(layers), OPEN).is_deny();
    assert!(!denied(vec![deny()]), "no filter at all");
    assert!(!denied(vec![deny(), cookie(5)]));
    assert!(denied(vec![cookie(5), deny()]));
    assert!(!denied(vec![constant(0x7fff_0005), deny()]), "a filter that allows");
}

#[test]
fn rules_see_the_cookie_they_run_for_and_run_at_their_hook_only() {
    let odd =
        rule(Event::FileOpen, &[load(Half, Reg::R0, Reg::R1, 4), alu(AluOp::And, Reg::R0, 1), Op::Exit]);
    let domain = Domain::layered([cookie(6), cookie(9), cookie(4), Layer::Rule(odd)]);
    let denied = HookVerdict::Deny { errno: 1, rule: 0, insn: 2, cookie: Some(9) };
    assert_eq!(decide(&domain, OPEN), denied);
    assert_eq!(decide(&domain, READ), HookVerdict::Allow);
    assert_eq!(decide(&domain, MAP), HookVerdict::Allow);
}

#[test]
fn the_first_result_that_is_not_zero_is_kept() {
    let layers = |results: [i32; 3]| {
        let rules = results.map(|result| Layer::Rule(returns(Event::FileOpen, result)));
        Domain::layered([cookie(5)].into_iter().chain(rules))
    };
    let errno = |results| match decide(&layers(results), OPEN) {
        HookVerdict::Deny { errno, rule, .. } => (errno, rule),
        HookVerdict::Allow => (0, 0),
    };
    assert_eq!(errno([0, 0, 0]), (0, 0));
    assert_eq!(errno([13, 0, 0]), (13, 2));
    assert_eq!(errno([13, 2, 0]), (2, 1), "the newest is asked first");
    assert_eq!(errno([0, 34, 0]), (34, 1));
    assert_eq!(errno([0, 35, 0]), (1, 1));
    assert_eq!(errno([0, 0, -13]), (1, 0));
}

#[test]
fn the_newest_filter_s_cookies_come_first() {
    let by_cookie = rule(Event::FileOpen, &[load(Half, Reg::R0, Reg::R1, 4), Op::Exit]);
    let domain = Domain::layered([cookie(2), cookie(13), Layer::Rule(by_cookie)]);
    assert!(matches!(decide(&domain, OPEN), HookVerdict::Deny { errno: 13, .. }));
}

/// A filter's cookie reaches rules even if another filter's action wins.
#[test]
fn actions_have_their_precedence_and_cookies_arrive_all_the_same() {
    let (kill, trap, errno) = (0x0000_0000, 0x0003_0001, 0x0005_000d);
    let (landlock, trace, allow) = (0x0007_0005, 0x7ff0_0001, 0x7fff_0000);
    let said = |results: &[u32]| Domain::layered(results.iter().map(|k| constant(*k))).filtered(&calling(0));
    for (results, action) in [
        (&[allow, landlock][..], landlock),
        (&[landlock, trace], landlock),
        (&[landlock, errno, trace], errno),
        (&[errno, trap, landlock], trap),
        (&[landlock, kill, trap], kill),
        (&[allow, trace], trace),
        (&[0x8000_0000, landlock, kill], 0x8000_0000),
    ] {
        let filtered = said(results);
        assert_eq!(filtered.action.0, action, "{results:x?}");
        assert_eq!(filtered.cookies.len(), results.iter().filter(|result| **result == landlock).count());
    }
    assert_eq!(said(&[]), Filtered { action: Action::ALLOW, cookies: vec![] });
    assert_eq!(said(&[0x0005_0001, 0x0005_0002]).action.0, 0x0005_0002, "of equals, the newest");
}

#[test]
fn what_a_filter_says_depends_on_the_system_call() {
    let domain = Domain::layered([filter(), Layer::Rule(returns(Event::FileOpen, 13))]);
    let denied = |nr| domain.decide_hook(OPEN, Some(&domain.filtered(&calling(nr))), &Unrelated).is_deny();
    assert!(denied(0x0007_0000) && denied(0x0007_ffff));
    assert!(!denied(0x7fff_0000) && !denied(0x0005_0000) && !denied(0x0006_0005));
}

/// Nobody can say which cookie would have been handed on.
#[test]
fn outside_of_a_system_call_what_would_ask_a_rule_is_refused() {
    let outside = |layers: Vec<Layer>, call| Domain::layered(layers).decide_hook(call, None, &Unrelated);
    let harmless = || Layer::Rule(returns(Event::FileOpen, 0));
    let refused = HookVerdict::Deny { errno: 1, rule: 0, insn: 0, cookie: None };
    assert_eq!(outside(vec![cookie(5), harmless()], OPEN), refused);
    assert_eq!(outside(vec![harmless(), cookie(5), harmless()], OPEN), refused);
    assert_eq!(outside(vec![cookie(5), harmless()], READ), HookVerdict::Allow);
    assert_eq!(outside(vec![harmless(), cookie(5)], OPEN), HookVerdict::Allow);
    assert_eq!(outside(vec![harmless()], OPEN), HookVerdict::Allow);
}

#[test]
fn a_domain_says_which_abi_it_needs() {
    let fs = |abi| {
        let object = crate::testing::build::fs(&[mov(Reg::R0, 0), Op::Exit]);
        let subtype = object.subtype.map(|subtype| crate::abi::Subtype { abi, ..subtype });
        let object = crate::object::RuleObject { subtype, ..object };
        Layer::Rule(verify_newest(object, &Loader::default()).unwrap())
    };
    let abi = |layers: Vec<Layer>| Domain::layered(layers).abi();
    assert_eq!(abi(vec![]), 1);
    assert_eq!(abi(vec![fs(1)]), 1);
    assert_eq!(abi(vec![fs(1), fs(2)]), 2);
    assert_eq!(abi(vec![cookie(1), fs(1)]), 2);
    assert_eq!(abi(vec![Layer::Rule(returns(Event::MmapFile, 0)), fs(1)]), 2);
}

#[test]
fn the_layers_of_a_domain_make_the_same_domain() {
    let lp = |result| Layer::Rule(returns(Event::FileOpen, result));
    let layers = || vec![cookie(1), lp(1), cookie(2), cookie(3), lp(2), lp(3), cookie(4)];
    let text = |layer: &Layer| match layer {
        Layer::Filter(filter) => format!("{filter:?}"),
        Layer::Rule(rule) => format!("{:?}", rule.insns()),
    };
    let again = Domain::layered(layers()).layers();
    assert_eq!(again.iter().map(text).collect::<Vec<_>>(), layers().iter().map(text).collect::<Vec<_>>());
}
