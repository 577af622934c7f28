// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an instruction means: the one definition of decoding and of arithmetic.
//!
//! [`Op::decode`] turns raw instructions into typed operations and refuses what the kernel refuses
//! for its form alone: unknown opcodes, registers above `r10`, reserved fields that are not zero.
//! The set is Linux 4.13's plus what `clang -mcpu=v3` emits (32-bit jumps, unsigned and `<`
//! comparisons, atomics). `-mcpu=v4` (signed division, sign extension, `bswap`, long jumps) is
//! refused by name. Whether a decoded operation is *allowed* is the verifier's business.
//!
//! [`alu`], [`compare`] and [`swap`] are BPF's arithmetic on plain numbers.

mod arithmetic;
mod decode;
mod encode;

use std::fmt;

pub use arithmetic::{alu, compare, swap};

/// A register, `r0` to `r10`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reg(u8);

impl Reg {
    /// How many there are.
    pub const COUNT: usize = 11;
    /// Return value.
    pub const R0: Reg = Reg(0);
    /// First argument; the context on entry.
    pub const R1: Reg = Reg(1);
    /// Second argument.
    pub const R2: Reg = Reg(2);
    /// Third argument.
    pub const R3: Reg = Reg(3);
    /// Fourth argument.
    pub const R4: Reg = Reg(4);
    /// Fifth argument.
    pub const R5: Reg = Reg(5);
    /// Kept across calls, as are [`Reg::R7`] to [`Reg::R9`].
    pub const R6: Reg = Reg(6);
    /// Kept across calls.
    pub const R7: Reg = Reg(7);
    /// Kept across calls.
    pub const R8: Reg = Reg(8);
    /// Kept across calls.
    pub const R9: Reg = Reg(9);
    /// Frame pointer, read-only.
    pub const R10: Reg = Reg(10);

    /// The register with this number, if there is one.
    pub const fn new(number: u8) -> Option<Reg> {
        if (number as usize) < Reg::COUNT { Some(Reg(number)) } else { None }
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its number, to index an array of [`Reg::COUNT`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The argument registers `r1` to `r5`, in order.
    pub fn arguments() -> [Reg; 5] {
        [Reg::R1, Reg::R2, Reg::R3, Reg::R4, Reg::R5]
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl fmt::Debug for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How much of a register an operation looks at. A 32-bit result is zero-extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// The low half.
    W32,
    /// All of it.
    W64,
}

impl Width {
    /// 32 or 64.
    pub const fn bits(self) -> u32 {
        match self {
            Width::W32 => 32,
            Width::W64 => 64,
        }
    }
}

/// Size of a memory access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Size {
    /// One byte (`B`).
    Byte,
    /// Two bytes (`H`).
    Half,
    /// Four bytes (`W`).
    Word,
    /// Eight bytes (`DW`).
    Double,
}

impl Size {
    /// 1, 2, 4 or 8.
    pub const fn bytes(self) -> u8 {
        match self {
            Size::Byte => 1,
            Size::Half => 2,
            Size::Word => 4,
            Size::Double => 8,
        }
    }
}

/// Second operand of arithmetic, a comparison or a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A register.
    Reg(Reg),
    /// A constant, sign-extended to 64 bits where it is used (see [`immediate`]).
    Imm(i32),
}

impl From<Reg> for Source {
    fn from(reg: Reg) -> Source {
        Source::Reg(reg)
    }
}

impl From<i32> for Source {
    fn from(imm: i32) -> Source {
        Source::Imm(imm)
    }
}

/// The 64-bit value of a 32-bit immediate: sign-extended, also for unsigned operations.
pub const fn immediate(imm: i32) -> u64 {
    (imm as i64).cast_unsigned()
}

/// Two-operand arithmetic, `dst = dst op src`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the instruction set's names")]
pub enum AluOp {
    Add,
    Sub,
    Mul,
    Div,
    Or,
    And,
    Lsh,
    Rsh,
    Mod,
    Xor,
    Mov,
    Arsh,
}

/// Condition of a jump; `S…` compare as signed numbers, the others as unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the instruction set's names")]
pub enum CompareOp {
    Eq,
    Ne,
    /// `dst & src` is not zero.
    Set,
    Gt,
    Ge,
    Lt,
    Le,
    Sgt,
    Sge,
    Slt,
    Sle,
}

/// Target byte order of [`Op::Swap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Little endian: cuts the value to its low bits, on the machines we run on.
    Little,
    /// Big endian: reverses the low bytes and cuts.
    Big,
}

/// How many low bits [`Op::Swap`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the number says it")]
pub enum SwapBits {
    B16,
    B32,
    B64,
}

impl SwapBits {
    /// 16, 32 or 64.
    pub const fn bits(self) -> u8 {
        match self {
            SwapBits::B16 => 16,
            SwapBits::B32 => 32,
            SwapBits::B64 => 64,
        }
    }
}

/// What an atomic operation does to the memory it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the instruction set's names")]
pub enum AtomicOp {
    Add,
    Or,
    And,
    Xor,
    /// The `Fetch…` operations leave the old value in the source register.
    FetchAdd,
    FetchOr,
    FetchAnd,
    FetchXor,
    Exchange,
    /// Compares with `r0` and leaves the old value there.
    CompareExchange,
}

/// The pseudo source register of a map load; what is loaded is an index of the rule's list of maps.
pub const PSEUDO_MAP: u8 = 1;

/// What a 64-bit immediate load puts into the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Imm64 {
    /// This number.
    Value(u64),
    /// Something that is not a number: a map ([`PSEUDO_MAP`]), a variable, a function. Rules have only maps.
    Pseudo {
        /// The pseudo source register that says which kind.
        kind: u8,
        /// The raw 64 bits.
        value: u64,
    },
}

/// What a call calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Callee {
    /// A helper of the kernel, by number.
    Helper(i32),
    /// A function of the same program, at this distance.
    Local(i32),
    /// A kernel function, by BTF id.
    Kernel(i32),
}

/// One decoded instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "fields are the operands, in the instruction set's names")]
pub enum Op {
    /// `dst = dst op src`.
    Alu { op: AluOp, width: Width, dst: Reg, src: Source },
    /// `dst = -dst`.
    Neg { width: Width, dst: Reg },
    /// Byte order of the low bits of `dst`; the rest becomes 0.
    Swap { order: Order, bits: SwapBits, dst: Reg },
    /// `dst = 64-bit immediate`; takes two instructions.
    LoadImm { dst: Reg, imm: Imm64 },
    /// `dst = *(size *)(base + off)`, zero-extended.
    Load { size: Size, dst: Reg, base: Reg, off: i16 },
    /// `*(size *)(base + off) = src`.
    Store { size: Size, base: Reg, off: i16, src: Source },
    /// `*(size *)(base + off) op= src`, at once; `size` is a word or a double word.
    Atomic { op: AtomicOp, size: Size, base: Reg, off: i16, src: Reg },
    /// `LD_ABS`, `LD_IND`: packet data, which rules do not have.
    LoadPacket,
    /// Goes to `off`, see [`target`].
    Jump { off: i16 },
    /// Goes to `off` if the comparison holds, else on.
    Branch { op: CompareOp, width: Width, dst: Reg, src: Source, off: i16 },
    /// Calls; arguments in `r1` to `r5`, result in `r0`.
    Call(Callee),
    /// Returns `r0`.
    Exit,
}

impl Op {
    /// Instructions this operation takes: 2 for [`Op::LoadImm`], else 1.
    pub const fn slots(self) -> usize {
        match self {
            Op::LoadImm { .. } => 2,
            _ => 1,
        }
    }
}

/// Where the jump at `at` goes. `None` when that is before the first instruction; the end is the
/// caller's to check.
pub fn target(at: usize, off: i16) -> Option<usize> {
    at.checked_add(1)?.checked_add_signed(isize::from(off))
}

/// Why an instruction does not decode. The kernel answers EINVAL to all of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Undecodable {
    /// No such instruction at this index.
    #[error("the program ends here")]
    End,
    /// Not in the instruction set.
    #[error("opcode {code:#04x} is not in the instruction set")]
    Opcode {
        /// The opcode.
        code: u8,
    },
    /// Of a later instruction set than rules have.
    #[error("{what} belongs to a later instruction set (-mcpu=v4)")]
    Newer {
        /// The instruction, in words.
        what: &'static str,
    },
    /// A register number above 10.
    #[error("register number {number} does not exist, r10 is the last")]
    Register {
        /// The number.
        number: u8,
    },
    /// A field this instruction does not use is not zero.
    #[error("the unused field {field} of the instruction is not zero")]
    Reserved {
        /// `dst`, `src`, `off` or `imm`.
        field: &'static str,
    },
    /// A byte swap of a width there is not.
    #[error("a byte swap of {bits} bits does not exist, only of 16, 32 or 64")]
    SwapBits {
        /// The width asked for.
        bits: i32,
    },
    /// An atomic operation there is not.
    #[error("atomic operation {imm:#x} does not exist")]
    Atomic {
        /// The operation asked for.
        imm: i32,
    },
    /// A call of a kind there is not.
    #[error("a call of kind {kind} does not exist")]
    Callee {
        /// The pseudo source register.
        kind: u8,
    },
    /// The second half of a 64-bit immediate load is missing or is not one.
    #[error("the second half of this 64-bit load is missing or malformed")]
    HalfLoad,
}
