// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules as text: an assembly in the style of LLVM's and the kernel verifier's BPF syntax.
//!
//! ```text
//! .rule deny_exec
//! .event FS
//! .license "GPL"
//!     r2 = *(u64 *)(r1 + 24)      ; ctx->arg2
//!     r0 = 0
//!     if r2 & 1 goto deny         ; LANDLOCK_ACTION_FS_EXEC
//!     exit
//! deny:
//!     r0 = 1
//!     exit
//! ```
//!
//! # Grammar
//!
//! One statement a line; `;`, `#` and `//` start a comment. `.rule` opens a rule and everything up to the
//! next `.rule` is its own: declarations, labels, instructions.
//!
//! ```text
//! statement   = [LABEL ":"] [declaration | instruction]
//! declaration = ".rule" NAME | ".license" STRING | ".abi" NUMBER
//!             | ".event" (FS | FS_IOCTL | FS_LOCK | FS_FCNTL | FILE_OPEN | FILE_PERMISSION | MMAP_FILE | NUMBER)
//!             | ".ability" (DEBUG | NUMBER) | ".option" NUMBER
//!             | ".map" NAME ("fs" | "cgroup") NUMBER     an array for so many handles
//! instruction = reg "=" operand                    move
//!             | reg ALU "=" operand                + - * / % | & ^ << >> s>>
//!             | reg "=" "-" reg                    negate; both are the same register
//!             | reg "=" SWAP reg                   be16 be32 be64 le16 le32 le64; the same register
//!             | reg "=" NUMBER "ll"                all 64 bits; two instructions
//!             | reg "=" "map" NAME                 a map's address; two instructions
//!             | reg "=" memory                     load
//!             | memory "=" operand                 store
//!             | "lock" memory ATOMIC "=" reg       + | & ^
//!             | reg "=" "atomic_fetch_" OP "(" "(" SIZE "*" ")" address "," reg ")"     add or and xor
//!             | reg "=" EXCHANGE "(" place "," reg ")"              xchg_64, xchg32_32
//!             | reg "=" COMPARE "(" place "," reg "," reg ")"       cmpxchg_64, cmpxchg32_32
//!             | "if" reg CONDITION operand "goto" target
//!                                   == != & > >= < <= s> s>= s< s<=   (s: signed; &: some bit in common)
//!             | "goto" target
//!             | "call" (HELPER | NUMBER)           e.g. handle_fs_get_mode
//!             | "exit"
//!             | ".insn" code "," dst "," src "," off "," imm           the raw fields
//! memory      = "*" "(" SIZE "*" ")" address       u8 u16 u32 u64
//! address     = "(" place ")"
//! place       = reg [("+" | "-") NUMBER]
//! operand     = reg | ["-"] NUMBER
//! target      = LABEL | ("+" | "-") NUMBER         instructions to skip
//! reg         = r0 … r10 (64 bits) | w0 … w10 (their low 32)
//! ```
//!
//! A rule declares the maps it loads; what several rules of a text declare under one name is one map. Without `.abi` it is the lowest that has the event and maps; a rule that declares none of `.abi`,
//! `.event`, `.ability` and `.option` has no subtype. A constant of a 64-bit instruction is 32 bits wide
//! and sign-extended.
//!
//! # Guarantees
//!
//! [`parse`] undoes [`print`]: name, instructions, subtype, licence and maps come back the same, whatever the
//! rule holds, if its maps have names of their own. What no rule may have (unknown opcodes, calls of functions)
//! prints as `.insn`.
//! Work is linear in the size of the text, which is limited to [`MAX_SIZE`]. Whether the rules are any
//! good is the verifier's to say.

mod assemble;
mod cursor;
mod declaration;
mod error;
mod lex;
mod print;
mod statement;
mod syntax;

pub use assemble::parse;
pub use error::{AsmError, AsmErrors, MAX_ERRORS};
pub(crate) use print::print_insn_of;
pub use print::{listing, print, print_insn};

/// Most bytes an assembly file may have.
pub const MAX_SIZE: usize = 1 << 20;
/// Most rules one file may hold.
pub const MAX_RULES: usize = crate::elf::MAX_RULES;

#[cfg(test)]
mod tests;
