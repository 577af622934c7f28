// SPDX-License-Identifier: MIT OR Apache-2.0
//! By which map a rule decided, told from the exit it took: whichever way led there.

use std::collections::BTreeSet;

use super::Rule;
use crate::abi::helper;
use crate::map::Map;
use crate::op::{AluOp, Callee, Imm64, Op, PSEUDO_MAP, Reg, Source, target};

/// More ways to an instruction are not told apart.
const MOST_WAYS: usize = 64;

/// What is known on one way to an instruction.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    registers: [Holds; Reg::COUNT],
    compared: Compared,
}

/// What a register surely holds.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Holds {
    #[default]
    Anything,
    Zero,
    Map(u64),
}

/// The map compared with last.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Compared {
    #[default]
    Nothing,
    Map(u64),
    Unknown,
}

impl Rule {
    /// The map that a rule which denied by this exit had compared with last. `None` if the ways there differ, or it had
    /// compared with none.
    pub fn decided_by(&self, exit: usize) -> Option<&Map> {
        if self.maps().is_empty() {
            return None;
        }
        let denying =
            self.ways_to(exit)?.into_iter().filter(|way| way.registers[Reg::R0.index()] != Holds::Zero);
        let compared: BTreeSet<Compared> = denying.map(|way| way.compared).collect();
        match (compared.first(), compared.len()) {
            (Some(Compared::Map(map)), 1) => self.maps().get(usize::try_from(*map).ok()?),
            _ => None,
        }
    }

    /// `None` if there are too many. Rules only go forward.
    fn ways_to(&self, exit: usize) -> Option<BTreeSet<Way>> {
        let mut ways = vec![BTreeSet::new(); self.ops().len()];
        ways.first_mut()?.insert(Way::default());
        for (at, op) in self.ops().iter().enumerate().take(exit) {
            let (Some(op), here) = (op, std::mem::take(&mut ways[at])) else { continue };
            for next in next(at, *op) {
                let there = ways.get_mut(next)?;
                there.extend(here.iter().map(|way| way.after(*op)));
                if there.len() > MOST_WAYS {
                    return None;
                }
            }
        }
        ways.into_iter().nth(exit)
    }
}

fn next(at: usize, op: Op) -> Vec<usize> {
    match op {
        Op::Exit => Vec::new(),
        Op::Jump { off } => target(at, off).into_iter().collect(),
        Op::Branch { off, .. } => [Some(at + 1), target(at, off)].into_iter().flatten().collect(),
        op => vec![at + op.slots()],
    }
}

impl Way {
    fn after(mut self, op: Op) -> Way {
        match op {
            Op::LoadImm { dst, imm: Imm64::Pseudo { kind: PSEUDO_MAP, value } } => {
                self.put(dst, Holds::Map(value));
            }
            Op::Alu { op: AluOp::Mov, dst, src: Source::Reg(src), .. } => {
                self.put(dst, self.registers[src.index()])
            }
            Op::Alu { op: AluOp::Mov, dst, src: Source::Imm(0), .. } => self.put(dst, Holds::Zero),
            Op::Alu { dst, .. }
            | Op::Neg { dst, .. }
            | Op::Swap { dst, .. }
            | Op::LoadImm { dst, .. }
            | Op::Load { dst, .. } => self.put(dst, Holds::Anything),
            Op::Atomic { src, .. } => {
                [src, Reg::R0].into_iter().for_each(|reg| self.put(reg, Holds::Anything))
            }
            Op::Call(callee) => {
                if is_comparison(callee) {
                    self.compared = match self.registers[Reg::R2.index()] {
                        Holds::Map(map) => Compared::Map(map),
                        _ => Compared::Unknown,
                    };
                }
                [Reg::R0].into_iter().chain(Reg::arguments()).for_each(|reg| self.put(reg, Holds::Anything));
            }
            Op::Store { .. } | Op::LoadPacket | Op::Jump { .. } | Op::Branch { .. } | Op::Exit => {}
        }
        self
    }

    fn put(&mut self, reg: Reg, holds: Holds) {
        self.registers[reg.index()] = holds;
    }
}

fn is_comparison(callee: Callee) -> bool {
    use helper::{CMP_CGROUP_BENEATH, CMP_FS_BENEATH, CMP_FS_PROP};
    matches!(callee, Callee::Helper(CMP_FS_PROP | CMP_FS_BENEATH | CMP_CGROUP_BENEATH))
}

#[cfg(test)]
mod tests {
    use crate::asm;
    use crate::op::Op;
    use crate::verify::{Loader, verify_newest};

    /// The names of the maps by which each exit decides.
    fn decided(body: &str) -> Vec<Option<String>> {
        let head = ".rule r\n.event FILE_OPEN\n.license \"GPL\"\n.map one fs 4\n.map two fs 4\n";
        let text = format!("{head}r6 = *(u64 *)(r1 + 8)\n{body}");
        let object = asm::parse(&text, "r.s").unwrap_or_else(|errors| panic!("{errors}")).remove(0);
        let rule = verify_newest(object, &Loader { cap_sys_admin: false }).unwrap_or_else(|e| panic!("{e}"));
        let exits = rule.ops().iter().enumerate().filter(|(_, op)| **op == Some(Op::Exit));
        exits.map(|(at, _)| rule.decided_by(at).map(|map| map.definition().name.clone())).collect()
    }

    fn compare(map: &str) -> String {
        format!("r1 = 0\nr2 = map {map}\nr3 = 1\nr4 = r6\ncall cmp_fs_beneath\n")
    }

    fn some(name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    #[test]
    fn an_exit_behind_a_comparison_is_decided_by_its_map() {
        let (one, two) = (compare("one"), compare("two"));
        let first = format!("{one}if r0 == 0 goto next\nr0 = 13\nexit\n");
        let body = format!("{first}next:\n{two}if r0 == 0 goto end\nr0 = 1\nend:\nexit\n");
        assert_eq!(decided(&body), [some("one"), some("two")]);
        assert_eq!(decided(&format!("{one}exit\n")), [some("one")]);
    }

    #[test]
    fn ways_that_allow_do_not_count_and_ways_that_differ_tell_nothing() {
        let (one, two) = (compare("one"), compare("two"));
        let cookie = "r7 = *(u16 *)(r1 + 4)\n";
        let allows = format!("{cookie}r0 = 0\nif r7 != 5 goto end\n{one}end:\nexit\n");
        assert_eq!(decided(&allows), [some("one")]);
        // As clang has it: the result is kept elsewhere.
        let kept = format!("{cookie}w8 = 0\nif r7 != 5 goto end\n{one}w8 = 1\nend:\nw0 = w8\nexit\n");
        assert_eq!(decided(&kept), [some("one")]);
        let denies = format!("{cookie}r0 = 1\nif r7 != 5 goto end\n{one}end:\nexit\n");
        assert_eq!(decided(&denies), [None]);
        let either = format!("{cookie}if r7 != 5 goto two\n{one}goto end\ntwo:\n{two}end:\nexit\n");
        assert_eq!(decided(&either), [None]);
        assert_eq!(decided("r0 = 13\nexit\n"), [None]);
    }

    #[test]
    fn a_map_is_followed_through_registers() {
        let moved = "r7 = map two\nr1 = 0\nr2 = r7\nr3 = 1\nr4 = r6\ncall cmp_fs_beneath\nexit\n";
        assert_eq!(decided(moved), [some("two")]);
    }
}
