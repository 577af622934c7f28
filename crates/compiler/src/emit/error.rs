// SPDX-License-Identifier: MIT OR Apache-2.0
//! What keeps a domain from having a program.

use super::Member;

/// Why there is no program: a limit of the kernel's, or something it does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// The kernel lacks the hook.
    #[error("this kernel has no hook {hook}")]
    NoHook {
        /// The hook.
        hook: &'static str,
    },
    /// The kernel's hook takes other arguments.
    #[error("hook {hook} has no argument {argument} on this kernel, it has: {has}")]
    NoArgument {
        /// The hook.
        hook: &'static str,
        /// What the hook table asks for.
        argument: &'static str,
        /// What there is.
        has: String,
    },
    /// A structure of the kernel lacks a member.
    #[error("{} has no member {} of {} bytes on this kernel", member.aggregate(), member.path(), member.size().bytes())]
    NoMember {
        /// The member.
        member: Member,
    },
    /// The hook table has an expression that does not say where its parts are.
    #[error("no member is known for a step of {expression}")]
    Expression {
        /// The expression.
        expression: &'static str,
    },
    /// A rule needs more stack than is left beside the program's own.
    #[error("rule {rule} uses {used} bytes of stack, in the kernel {left} are left for it")]
    Stack {
        /// The rule's name.
        rule: String,
        /// Bytes it uses.
        used: usize,
        /// Bytes there are.
        left: usize,
    },
    /// Hooks do not say by which name an object is reached.
    #[error(
        "rule {rule} compares with handles at hooks where the kernel does not say through which mount an object is \
         reached: {}; tie it to FILE_OPEN, FILE_PERMISSION or MMAP_FILE, or take the supervisor target",
        .hooks.join(", ")
    )]
    NoName {
        /// The rule's name.
        rule: String,
        /// The hooks.
        hooks: Vec<&'static str>,
    },
    /// A map of handles is too large.
    #[error("map {map} has room for more than {limit} handles, the limit in the kernel")]
    TooManyHandles {
        /// Its name.
        map: String,
        /// The limit.
        limit: u32,
    },
    /// More functions than a program may have.
    #[error(
        "the domain needs {functions} functions at one hook, the kernel's limit is {limit}; use fewer rules"
    )]
    TooManyFunctions {
        /// How many.
        functions: usize,
        /// The limit.
        limit: usize,
    },
    /// More instructions than a program, or a jump within it, may have.
    #[error("the domain needs {insns} instructions at one hook, the limit is {limit}; use fewer rules")]
    TooLong {
        /// How many.
        insns: usize,
        /// The limit.
        limit: usize,
    },
}
