// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether the rules on `FILE_OPEN` amount to a list of directories and files, at and beneath which everything may be
//! opened, and nothing else: what a ruleset of mainline Landlock says too.
//!
//! Each rule is run in the two worlds there are: the file is beneath a handle, or it is beneath none. As it can ask for
//! nothing else without being found out, what it answers there is all it can answer.

use std::cell::{Cell, RefCell};

use thiserror::Error;

use super::Domain;
use crate::abi::Event;
use crate::abi::handles::{ArrayKind, Properties};
use crate::abi::hook;
use crate::evaluate::{Direction, HookCall, HookInput, HookVerdict, Program, Question, Relation, run};
use crate::map::{Handle, Map};
use crate::op::Op;
use crate::rule::Rule;

/// What mainline Landlock refuses with.
const EACCES: u32 = 13;

/// Why rules are no such list.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotLowered {
    /// There is nothing to hand over.
    #[error("no rule can refuse an open at FILE_OPEN, and mainline Landlock asks no other rules")]
    NoRule,
    /// Not at every open.
    #[error("a filter before rule {rule} may hand on no cookie at an open, so the rule is not always asked")]
    Sometimes {
        /// The rule.
        rule: String,
    },
    /// The rule may look at something else.
    #[error("rule {rule} asks for more than whether the file is at or beneath a handle of one map")]
    Otherwise {
        /// The rule.
        rule: String,
    },
    /// The rule is no allow list.
    #[error("rule {rule} refuses even what is beneath its handles")]
    Denies {
        /// The rule.
        rule: String,
    },
    /// What the caller would see is different.
    #[error(
        "rule {rule} refuses with {}, mainline Landlock with EACCES (13)",
        hook::errno_name(*errno)
    )]
    Errno {
        /// The rule.
        rule: String,
        /// What it returns.
        errno: u32,
    },
    /// Two lists.
    #[error("the rules compare with more than one map")]
    Maps,
}

impl Domain {
    /// The map with the handles at and beneath which everything may be opened by these system calls of `arch`, where
    /// the rules on `FILE_OPEN` refuse all the rest with `EACCES`. Other rules are not looked at.
    ///
    /// # Errors
    /// [`NotLowered`].
    pub fn allow_list(&self, calls: &[u32], arch: u32) -> Result<&Map, NotLowered> {
        let mut list: Option<&Map> = None;
        for (filter, (said, _)) in self.filters.iter().enumerate() {
            for (_, rule) in self.after(Event::FileOpen, filter) {
                for nr in calls {
                    let sometimes = || NotLowered::Sometimes { rule: rule.name().to_owned() };
                    let actions = said.may_return(*nr, arch).ok_or_else(sometimes)?;
                    for action in actions {
                        let Some(map) = listed(rule, action.cookie().ok_or_else(sometimes)?)? else {
                            continue;
                        };
                        if list.is_some_and(|known| !known.is(map)) {
                            return Err(NotLowered::Maps);
                        }
                        list = Some(map);
                    }
                }
            }
        }
        list.ok_or(NotLowered::NoRule)
    }
}

/// Whether a rule tied to `FILE_OPEN` is such a list with all of these cookies with which it refuses anything.
///
/// # Errors
/// Why not, and with which cookie if it looks at that.
pub(crate) fn is_list(rule: &Rule, cookies: &[u16]) -> Result<(), (Option<u16>, NotLowered)> {
    let reads_cookie = |op: &Op| matches!(op, Op::Load { off: hook::COOKIE, .. });
    let reads_cookie = rule.ops().iter().flatten().any(reads_cookie);
    let mut list: Option<&Map> = None;
    for cookie in cookies.iter().copied().take(if reads_cookie { usize::MAX } else { 1 }) {
        let with = |why| (reads_cookie.then_some(cookie), why);
        let Some(map) = listed(rule, cookie).map_err(with)? else { continue };
        if list.is_some_and(|known| !known.is(map)) {
            return Err(with(NotLowered::Maps));
        }
        list = Some(map);
    }
    list.map(drop).ok_or((None, NotLowered::NoRule))
}

/// The map a rule lists what is allowed in; `None`: it allows everything.
fn listed(rule: &Rule, cookie: u16) -> Result<Option<&Map>, NotLowered> {
    let maps: Vec<Map> = rule.maps().iter().enumerate().map(with_its_number).collect();
    let inside = Answers::of(rule, &maps, cookie, true)?;
    let outside = Answers::of(rule, &maps, cookie, false)?;
    let name = || rule.name().to_owned();
    let map = match (inside.map, outside.map) {
        (Some(one), Some(other)) if one != other => return Err(NotLowered::Otherwise { rule: name() }),
        (one, other) => one.or(other),
    };
    match (inside.verdict, outside.verdict, map) {
        (HookVerdict::Allow, HookVerdict::Allow, _) => Ok(None),
        (HookVerdict::Deny { .. }, ..) => Err(NotLowered::Denies { rule: name() }),
        (_, HookVerdict::Deny { errno: EACCES, .. }, Some(map)) => Ok(rule.maps().get(map)),
        (_, HookVerdict::Deny { errno, .. }, _) => Err(NotLowered::Errno { rule: name(), errno }),
    }
}

fn with_its_number((at, map): (usize, &Map)) -> Map {
    let one = Map::new(map.definition().clone());
    // There is room for one in every map.
    let _ = one.append(Handle::numbered(at as u64));
    one
}

/// What a rule answers in one of the worlds, and which map it asked for, if any.
struct Answers {
    verdict: HookVerdict,
    map: Option<usize>,
}

impl Answers {
    fn of(rule: &Rule, maps: &[Map], cookie: u16, beneath: bool) -> Result<Answers, NotLowered> {
        let world = World { beneath, asked: RefCell::default(), otherwise: Cell::new(false) };
        let input = HookInput { call: HookCall::FileOpen, cookie };
        let program = Program { ops: rule.ops(), maps };
        let verdict = run(program, Question::Hook(&input), &world, &mut |_| {}).at_hook(0, cookie);
        let asked = world.asked.into_inner();
        let is_list = |map: &usize| maps.get(*map).is_some_and(|map| map.definition().kind == ArrayKind::Fs);
        if world.otherwise.get() || asked.len() > 1 || !asked.iter().all(is_list) {
            return Err(NotLowered::Otherwise { rule: rule.name().to_owned() });
        }
        Ok(Answers { verdict, map: asked.first().copied() })
    }
}

/// A world where the file is beneath every handle, or beneath none.
struct World {
    beneath: bool,
    asked: RefCell<Vec<usize>>,
    otherwise: Cell<bool>,
}

impl Relation for World {
    fn shared(&self, _handle: &Handle) -> Option<Properties> {
        self.otherwise.set(true);
        None
    }

    fn beneath(&self, handle: &Handle, direction: Direction) -> Option<bool> {
        self.otherwise.set(self.otherwise.get() || direction == Direction::Reverse);
        let map = usize::try_from(handle.number()).unwrap_or(usize::MAX);
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&map) {
            asked.push(map);
        }
        Some(self.beneath)
    }

    fn cgroup_beneath(&self, _handle: &Handle, _direction: Direction) -> Option<bool> {
        self.otherwise.set(true);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm;
    use crate::classic::Filter;
    use crate::domain::Layer;
    use crate::verify::{Loader, verify_newest};

    const ARCH: u32 = 0xc000_003e;

    fn layers(cookie: u16, event: &str, body: &str) -> [Layer; 2] {
        let text = format!(
            ".rule r\n.event {event}\n.abi 2\n.license \"GPL\"\n.map list fs 4\n.map more fs 4\n.map groups cgroup 4\n\
             r6 = r1\n{body}\nallow:\nr0 = 0\nexit\n"
        );
        let object = asm::parse(&text, "r.s").unwrap().remove(0);
        let rule = verify_newest(object, &Loader { cap_sys_admin: false }).unwrap();
        [Layer::Filter(Filter::always(cookie)), Layer::Rule(rule)]
    }

    fn compare(flags: u32, map: &str) -> String {
        format!("r1 = {flags}\nr2 = map {map}\nr3 = 1\nr4 = *(u64 *)(r6 + 8)\ncall cmp_fs_beneath\n")
    }

    fn list(errno: u32) -> String {
        format!("{}if r0 == 0 goto allow\nr0 = {errno}\nexit", compare(0, "list"))
    }

    fn lowered(body: &str) -> Result<String, NotLowered> {
        let domain = Domain::layered(layers(5, "FILE_OPEN", body));
        domain.allow_list(&[2, 257], ARCH).map(|map| map.definition().name.clone())
    }

    fn rule() -> String {
        "r".to_owned()
    }

    #[test]
    fn an_allow_list_with_eacces_is_one() {
        assert_eq!(lowered(&list(13)), Ok("list".to_owned()));
        let with_cookie = format!("r7 = *(u16 *)(r6 + 4)\nif r7 != 5 goto allow\n{}", list(13));
        assert_eq!(lowered(&with_cookie), Ok("list".to_owned()));
        let twice = format!("{}if r0 == 0 goto allow\n{}", compare(0, "list"), list(13));
        assert_eq!(lowered(&twice), Ok("list".to_owned()));
    }

    #[test]
    fn another_errno_is_seen() {
        for (returned, errno) in [(1, 1), (30, 30), (99, 1)] {
            assert_eq!(lowered(&list(returned)), Err(NotLowered::Errno { rule: rule(), errno }));
        }
        let always = "r7 = *(u16 *)(r6 + 4)\nif r7 != 5 goto allow\nr0 = 1\nexit";
        assert_eq!(lowered(always).unwrap_err(), NotLowered::Denies { rule: rule() });
    }

    #[test]
    fn what_denies_what_is_listed_is_none() {
        let deny = format!("{}if r0 != 0 goto allow\nr0 = 13\nexit", compare(0, "list"));
        assert_eq!(lowered(&deny), Err(NotLowered::Denies { rule: rule() }));
    }

    #[test]
    fn what_asks_for_something_else_is_none() {
        let otherwise = Err(NotLowered::Otherwise { rule: rule() });
        let reverse = format!("{}if r0 == 0 goto allow\nr0 = 13\nexit", compare(1, "list"));
        assert_eq!(lowered(&reverse), otherwise);
        for other in [
            compare(0, "more"),
            compare(1, "list"),
            "r1 = 2\nr2 = map list\nr3 = 1\nr4 = *(u64 *)(r6 + 8)\ncall cmp_fs_prop\n".to_owned(),
            "r1 = 0\nr2 = map groups\nr3 = 1\ncall cmp_cgroup_beneath\n".to_owned(),
        ] {
            // Asked first, or only of what is not listed, or only of what is.
            let first = format!("{other}if r0 == 0 goto allow\n{}", list(13));
            let after = format!(
                "{}if r0 == 0 goto allow\n{other}if r0 == 0 goto allow\nr0 = 13\nexit",
                compare(0, "list")
            );
            let within = format!(
                "{}if r0 != 0 goto deny\n{other}if r0 == 0 goto allow\ndeny:\nr0 = 13\nexit",
                compare(0, "list")
            );
            for body in [first, after, within] {
                assert!(lowered(&body).is_err(), "{body}");
            }
        }
    }

    #[test]
    fn it_has_to_be_asked_at_every_open() {
        // Returns a cookie for openat alone.
        let insn = |code: u16, jt: u8, jf: u8, k: u32| {
            let mut bytes = code.to_le_bytes().to_vec();
            bytes.extend([jt, jf]);
            bytes.extend(k.to_le_bytes());
            bytes
        };
        let bytes = [
            insn(0x20, 0, 0, 0),
            insn(0x15, 0, 1, 257),
            insn(0x06, 0, 0, 0x0007_0005),
            insn(0x06, 0, 0, 0x7fff_0000),
        ]
        .concat();
        let [_, listed] = layers(5, "FILE_OPEN", &list(13));
        let domain = Domain::layered([Layer::Filter(Filter::from_bytes(&bytes).unwrap()), listed.clone()]);
        assert!(domain.allow_list(&[257], ARCH).is_ok());
        assert_eq!(domain.allow_list(&[2, 257], ARCH).unwrap_err(), NotLowered::Sometimes { rule: rule() });
        assert_eq!(Domain::layered([listed]).allow_list(&[257], ARCH).unwrap_err(), NotLowered::NoRule);
    }

    #[test]
    fn rules_that_do_not_agree_on_a_map_are_none() {
        let [filter, one] = layers(5, "FILE_OPEN", &list(13));
        let [_, other] = layers(5, "FILE_OPEN", &list(13));
        let both = Domain::layered([filter.clone(), one.clone(), other]);
        assert_eq!(both.allow_list(&[257], ARCH).unwrap_err(), NotLowered::Maps);
        // The same one twice, and rules of other hooks, are no more.
        let [_, reading] = layers(5, "FILE_PERMISSION", &list(1));
        let again = Domain::layered([filter, one.clone(), one, reading]);
        assert!(again.allow_list(&[257], ARCH).is_ok());
    }
}
