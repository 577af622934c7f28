// SPDX-License-Identifier: MIT OR Apache-2.0
//! Landlock rules as data.
//!
//! Values flow one way; each stage's output can only be made by that stage:
//!
//! ```text
//! .o / .s / instructions ──read──► RuleObject ──verify──► Rule ──specialise──► Allow | Deny | Residual
//!                                                                                            │ emit
//!                                                                    programs of the kernel ◄┘
//! ```
//!
//! Nothing here asks the kernel anything. A [`rule::Rule`] is proof that the verifier accepted it.
#![forbid(unsafe_code)]

pub mod abi;
pub mod asm;
pub mod clang;
pub mod classic;
pub mod denial;
pub mod domain;
pub mod elf;
pub mod emit;
pub mod evaluate;
pub mod explain;
pub mod file_type;
pub mod hooks;
pub mod insn;
pub mod lint;
pub mod map;
pub mod object;
pub mod op;
pub mod read;
pub mod rule;
pub mod simulate;
pub mod specialise;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod verify;
