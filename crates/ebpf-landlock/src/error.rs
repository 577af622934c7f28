// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong.

use landlock_compiler::asm::AsmErrors;
use landlock_compiler::elf::ReadError;
use landlock_compiler::read::FileError;
use landlock_compiler::verify::Problems;

/// Why there is no rule, no sandbox, or no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file gave no rules.
    #[error(transparent)]
    File(#[from] FileError),
    /// An ELF object in memory is refused.
    #[error("not a rule object: {0}")]
    Object(#[from] ReadError),
    /// An assembly text is refused.
    #[error(transparent)]
    Assembly(#[from] AsmErrors),
    /// The verifier refuses a rule; it tells everything that is wrong with it.
    #[error(transparent)]
    Refused(#[from] Problems),
    /// The sandbox could not be established. Nothing ran, and nothing is confined that was not before.
    #[error("the sandbox could not be established: {0}")]
    Sandbox(#[source] landlock_supervisor::Error),
    /// The kernel target does not work for this process, or not for these rules. Nothing ran.
    #[error("{0}")]
    Kernel(#[from] crate::kernel::Error),
    /// In a sandbox of the supervisor target.
    #[error("in a sandbox of the supervisor target there is no other")]
    OnlySupervisor,
    /// Mainline Landlock cannot decide about opens for these rules ([`Sandbox::lowered`](crate::Sandbox::lowered)); the reason,
    /// for people. Nothing ran.
    #[error("mainline Landlock cannot decide about opens for these rules: {0}")]
    NotLowered(String),
    /// The calling thread is in no sandbox, so nobody would answer for its new rules.
    #[error(
        "a thread can confine itself only in a sandbox that is there already: start the program in one \
         (landlock run, or Sandbox::spawn)"
    )]
    NoSupervisor,
    /// The command could not be executed in its sandbox; `PermissionDenied` also if a rule forbids it.
    #[error("the command could not be executed: {0}")]
    NotStarted(#[source] std::io::Error),
    /// The supervisor is gone, so nobody knows how the command ends. What was confined goes on, and every supervised
    /// action of it fails.
    #[error("the supervisor was killed")]
    SupervisorDied,
    /// An array of handles was not changed; the errno says why.
    #[error("handle: {0}")]
    Handle(#[source] std::io::Error),
    /// Nobody can tell how the command ended; it was waited for by somebody else.
    #[error("cannot wait for the command: {0}")]
    Wait(#[source] std::io::Error),
    /// The denials could not be kept or read.
    #[error("denials: {0}")]
    Denials(#[source] std::io::Error),
}

impl From<landlock_supervisor::Error> for Error {
    fn from(error: landlock_supervisor::Error) -> Error {
        match error {
            landlock_supervisor::Error::NoSupervisor => Error::NoSupervisor,
            landlock_supervisor::Error::SupervisorDied => Error::SupervisorDied,
            error => Error::Sandbox(error),
        }
    }
}
