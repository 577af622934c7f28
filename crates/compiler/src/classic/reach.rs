// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a filter can return for a system call of which only the number is known.

use super::check::{MEMORY, code, targets};
use super::run::{Machine, Next};
use super::{Action, Filter, SyscallData};

/// What is known at an instruction, on every way there.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Known {
    a: Option<u32>,
    x: Option<u32>,
    memory: [Option<u32>; MEMORY],
}

impl Known {
    /// What is known on both ways.
    fn join(self, other: Known) -> Known {
        let same = |ours: Option<u32>, theirs: Option<u32>| ours.filter(|_| ours == theirs);
        let memory = std::array::from_fn(|word| same(self.memory[word], other.memory[word]));
        Known { a: same(self.a, other.a), x: same(self.x, other.x), memory }
    }
}

impl Filter {
    /// The actions it can return for system call `nr` of `arch`, whatever its arguments are; `None`: any.
    pub fn may_return(&self, nr: u32, arch: u32) -> Option<Vec<Action>> {
        let data = SyscallData { nr, arch, ..SyscallData::default() };
        let mut states: Vec<Option<Known>> = vec![None; self.0.len()];
        states[0] = Some(Known { a: Some(0), x: Some(0), memory: [Some(0); MEMORY] });
        let mut returned = Vec::new();
        for (at, insn) in self.0.iter().enumerate() {
            let Some(known) = states[at] else { continue };
            let mut go = |skipped: u32, state: Known| {
                if let Some(next) = states.get_mut(at + 1 + skipped as usize) {
                    *next = Some(next.map_or(state, |there| there.join(state)));
                }
            };
            match insn.code {
                code::RET_K => returned.push(Action(insn.k)),
                code::RET_A => returned.push(Action(known.a?)),
                code::LD_ABS if insn.k >= 8 => go(0, Known { a: None, ..known }),
                code::ST | code::STX => {
                    let mut memory = known.memory;
                    memory[insn.k as usize % MEMORY] = if insn.code == code::ST { known.a } else { known.x };
                    go(0, Known { memory, ..known });
                }
                code::LD_MEM => go(0, Known { a: known.memory[insn.k as usize % MEMORY], ..known }),
                code::LDX_MEM => go(0, Known { x: known.memory[insn.k as usize % MEMORY], ..known }),
                code::TAX => go(0, Known { x: known.a, ..known }),
                code::TXA => go(0, Known { a: known.x, ..known }),
                code => {
                    let needs_a = !matches!(code & 7, 0 | 1) && code != super::check::code::JA;
                    let needs_x = matches!(code & 7, 4 | 5) && code & super::check::code::X != 0;
                    if needs_a && known.a.is_none() || needs_x && known.x.is_none() {
                        match targets(insn) {
                            [None, None] => go(0, Known { a: None, ..known }),
                            both => both.into_iter().flatten().for_each(|skipped| go(skipped, known)),
                        }
                        // A division by an unknown zero kills, which hands nothing on.
                        continue;
                    }
                    let mut machine = Machine {
                        a: known.a.unwrap_or(0),
                        x: known.x.unwrap_or(0),
                        memory: [0; MEMORY],
                        data: &data,
                    };
                    match machine.step(insn) {
                        Next::Return(value) => returned.push(Action(value)),
                        Next::Skip(skipped) => {
                            // What was not touched is as unknown as before.
                            let a = if code & 7 == 1 || code & 7 == 5 { known.a } else { Some(machine.a) };
                            let x = if code & 7 == 1 { Some(machine.x) } else { known.x };
                            go(skipped, Known { a, x, ..known });
                        }
                    }
                }
            }
        }
        Some(returned)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::classic::ClassicInsn;

    fn plain(code: u16, k: u32) -> ClassicInsn {
        ClassicInsn { code, k, ..ClassicInsn::default() }
    }

    #[test]
    fn a_filter_of_one_system_call_says_nothing_new_of_others() {
        let filter = Filter::new(vec![
            plain(code::LD_ABS, 0),
            ClassicInsn { code: code::JMP | code::JEQ, jt: 0, jf: 3, k: 257 },
            plain(code::LD_ABS, 32),
            ClassicInsn { code: code::JMP | code::JSET, jt: 1, jf: 0, k: 1 },
            plain(code::RET_K, 0x0007_0005),
            plain(code::RET_K, 0x7fff_0000),
        ])
        .unwrap();
        assert_eq!(filter.may_return(257, 0), Some(vec![Action(0x0007_0005), Action::ALLOW]));
        assert_eq!(filter.may_return(1, 0), Some(vec![Action::ALLOW]));
    }

    fn insn() -> impl Strategy<Value = ClassicInsn> {
        let codes = prop::sample::select(vec![
            code::LD_ABS,
            code::LD_IMM,
            code::LDX_IMM,
            code::LD_MEM,
            code::LDX_MEM,
            code::ST,
            code::STX,
            code::TAX,
            code::TXA,
            code::NEG,
            code::LD_LEN,
            code::LDX_LEN,
            code::RET_K,
            code::RET_A,
            code::ALU | code::ADD,
            code::ALU | code::AND | code::X,
            code::ALU | code::DIV | code::X,
            code::ALU | code::XOR | code::X,
            code::JMP | code::JEQ,
            code::JMP | code::JGT | code::X,
            code::JMP | code::JSET,
            code::JA,
        ]);
        (codes, 0..3_u8, 0..3_u8, 0..16_u32).prop_map(|(code, jt, jf, k)| {
            let k = if code == code::LD_ABS { k * 4 } else { k };
            let k = if code == code::JA { k % 3 } else { k };
            ClassicInsn { code, jt, jf, k }
        })
    }

    proptest! {
        /// What a filter says is among what it was found to be able to say.
        #[test]
        fn nothing_is_missed(body in prop::collection::vec(insn(), 1..24), nr in 0..8_u32, arch in 0..3_u32,
                             args in prop::array::uniform6(0..4_u64)) {
            let memory = (0..16).map(|word| plain(code::ST, word));
            let end = (0..4).map(|_| plain(code::RET_A, 0));
            let filter = Filter::new(memory.chain(body).chain(end).collect());
            prop_assume!(filter.is_ok());
            let filter = filter.unwrap();
            let said = filter.evaluate(&SyscallData { nr, arch, instruction_pointer: 3, args });
            if let Some(possible) = filter.may_return(nr, arch) {
                prop_assert!(possible.contains(&said) || said.0 == 0, "{said:?} is not in {possible:?}");
            }
        }
    }
}
