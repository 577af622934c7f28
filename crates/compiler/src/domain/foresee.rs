// SPDX-License-Identifier: MIT OR Apache-2.0
//! What rules tied to a hook may answer, before anybody asks: they are run for every answer that comparisons with
//! handles could have. What the maps hold now does not matter; that may change.

use std::cell::RefCell;

use super::Domain;
use crate::abi::Event;
use crate::abi::handles::Properties;
use crate::abi::hook::{self, Arg};
use crate::evaluate::{Direction, HookCall, HookInput, Program, Question, Relation, run};
use crate::map::{Handle, Map};
use crate::op::Op;
use crate::rule::Rule;
use crate::specialise::{Answer, Bits, Known, specialise};

/// What may come of a call of a hook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Foreseen {
    /// A rule may deny.
    pub may_deny: bool,
    /// The answer may depend on which file it is about.
    pub on_file: bool,
}

/// More comparisons on one way through a rule are not told apart.
const MOST_COMPARISONS: usize = 8;

impl Domain {
    /// What may come of `call` at system call `nr` of `arch`, whatever its arguments are. `numbers`: whether the
    /// numbers in `call` are those the rules will see, or could be any.
    pub fn foresee(&self, nr: u32, arch: u32, call: HookCall, numbers: bool) -> Foreseen {
        let mut foreseen = Foreseen::default();
        for (filter, (said, _)) in self.filters.iter().enumerate() {
            let cookies = said.may_return(nr, arch).map(|said| said.into_iter().filter_map(|a| a.cookie()));
            let cookies: Option<Vec<u16>> = cookies.map(Iterator::collect);
            if cookies.as_ref().is_some_and(Vec::is_empty) {
                continue;
            }
            for (_, rule) in self.after(call.event(), filter) {
                let one = of_rule(rule, call, cookies.as_deref(), numbers);
                foreseen.may_deny |= one.may_deny;
                foreseen.on_file |= one.on_file;
            }
        }
        foreseen
    }
}

fn of_rule(rule: &Rule, call: HookCall, cookies: Option<&[u16]>, numbers: bool) -> Foreseen {
    let reads_numbers = rule.ops().iter().flatten().any(|op| is_number(call.event(), *op));
    match cookies {
        Some(cookies) if numbers || !reads_numbers => {
            let all = cookies.iter().map(|cookie| ways(rule, HookInput { call, cookie: *cookie }));
            all.fold(Foreseen::default(), |all, one| Foreseen {
                may_deny: all.may_deny || one.may_deny,
                on_file: all.on_file || one.on_file,
            })
        }
        _ => {
            let known = Known::new(rule.event(), Bits::ANY);
            let may_deny = specialise(rule, &known).always() != Some(Answer::Allow);
            Foreseen { may_deny, on_file: may_deny }
        }
    }
}

/// Loads may also be of the stack; then too much is said to depend on numbers, which does no harm.
fn is_number(event: Event, op: Op) -> bool {
    let Op::Load { off, .. } = op else { return false };
    hook::arg_at(off)
        .and_then(|at| hook::args(event).get(at))
        .is_some_and(|arg| matches!(arg, Arg::Number(_)))
}

/// Runs the rule for every way its comparisons can come out.
fn ways(rule: &Rule, input: HookInput) -> Foreseen {
    let maps: Vec<Map> = rule.maps().iter().map(with_one_handle).collect();
    let program = Program { ops: rule.ops(), maps: &maps };
    let mut foreseen = Foreseen::default();
    let mut next = Some(Vec::new());
    while let Some(script) = next {
        let script = Script { answers: RefCell::new(script), asked: RefCell::default() };
        let exit = run(program, Question::Hook(&input), &script, &mut |_| {});
        foreseen.may_deny |= exit.at_hook(0, input.cookie).is_deny();
        let asked = script.asked.into_inner();
        foreseen.on_file |= asked.on_file;
        let mut answers = script.answers.into_inner();
        answers.truncate(asked.count);
        if answers.len() > MOST_COMPARISONS {
            return Foreseen { may_deny: true, on_file: true };
        }
        while answers.pop_if(|last| *last).is_some() {}
        next = answers.pop().map(|_| {
            answers.push(true);
            answers
        });
    }
    foreseen
}

/// A map like this one, so that the outcome of a comparison is that of one handle.
fn with_one_handle(map: &Map) -> Map {
    let one = Map::new(map.definition().clone());
    // There is room for one in every map.
    let _ = one.append(Handle::numbered(0));
    one
}

/// Answers of comparisons, in the order they are made; further ones are no.
struct Script {
    answers: RefCell<Vec<bool>>,
    asked: RefCell<Asked>,
}

#[derive(Default)]
struct Asked {
    count: usize,
    on_file: bool,
}

impl Script {
    fn next(&self, on_file: bool) -> bool {
        let mut asked = self.asked.borrow_mut();
        let mut answers = self.answers.borrow_mut();
        asked.on_file |= on_file;
        asked.count += 1;
        if answers.len() < asked.count {
            answers.push(false);
        }
        answers[asked.count - 1]
    }
}

impl Relation for Script {
    fn shared(&self, _handle: &Handle) -> Option<Properties> {
        Some(if self.next(true) { Properties::all() } else { Properties::empty() })
    }

    fn beneath(&self, _handle: &Handle, _direction: Direction) -> Option<bool> {
        Some(self.next(true))
    }

    fn cgroup_beneath(&self, _handle: &Handle, _direction: Direction) -> Option<bool> {
        Some(self.next(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm;
    use crate::classic::Filter;
    use crate::domain::Layer;
    use crate::verify::{Loader, verify_newest};

    fn domain(event: &str, cookie: u16, body: &str) -> Domain {
        let text = format!(
            ".rule r\n.event {event}\n.abi 2\n.license \"GPL\"\n.map allowed fs 4\n.map groups cgroup 4\n{body}"
        );
        let object = asm::parse(&text, "r.s").unwrap().remove(0);
        let rule = verify_newest(object, &Loader { cap_sys_admin: false }).unwrap();
        Domain::layered([Layer::Filter(Filter::always(cookie)), Layer::Rule(rule)])
    }

    const ALLOW_LIST: &str = "r6 = *(u64 *)(r1 + 8)
        r7 = *(u16 *)(r1 + 4)
        if r7 != 5 goto allow
        r1 = 0
        r2 = map allowed
        r3 = 1
        r4 = r6
        call cmp_fs_beneath
        if r0 == 0 goto allow
        if r0 == -2 goto allow
        r0 = 13
        exit
        allow:
        r0 = 0
        exit\n";

    const FILE: HookCall = HookCall::MmapFile { anonymous: false, reqprot: 0, prot: 0, flags: 0 };
    const MEMORY: HookCall = HookCall::MmapFile { anonymous: true, reqprot: 0, prot: 0, flags: 0 };

    #[test]
    fn an_allow_list_may_deny_files_and_never_memory() {
        let domain = domain("MMAP_FILE", 5, ALLOW_LIST);
        assert_eq!(domain.foresee(9, 0, FILE, false), Foreseen { may_deny: true, on_file: true });
        assert_eq!(domain.foresee(9, 0, MEMORY, false), Foreseen::default());
        assert_eq!(domain.foresee(9, 0, HookCall::FileOpen, true), Foreseen::default());
    }

    #[test]
    fn a_cookie_that_is_never_handed_on_denies_nothing() {
        let domain = domain("FILE_OPEN", 4, ALLOW_LIST);
        assert_eq!(domain.foresee(257, 0, HookCall::FileOpen, true), Foreseen::default());
    }

    #[test]
    fn a_rule_about_cgroups_does_not_look_at_the_file() {
        let body = "r1 = 0\n r2 = map groups\n r3 = 1\n call cmp_cgroup_beneath\n
            if r0 != 0 goto allow\n r0 = 13\n exit\n allow:\n r0 = 0\n exit\n";
        let foreseen = domain("FILE_OPEN", 1, body).foresee(257, 0, HookCall::FileOpen, true);
        assert_eq!(foreseen, Foreseen { may_deny: true, on_file: false });
    }

    #[test]
    fn numbers_are_looked_at_only_where_they_are_known() {
        let body = "r0 = *(u64 *)(r1 + 16)\n if r0 == 2 goto deny\n r0 = 0\n exit\n deny:\n r0 = 1\n exit\n";
        let domain = domain("FILE_PERMISSION", 1, body);
        let may_deny = |mask, known| domain.foresee(0, 0, HookCall::FilePermission { mask }, known).may_deny;
        assert_eq!((may_deny(2, true), may_deny(4, true), may_deny(4, false)), (true, false, true));
    }
}
