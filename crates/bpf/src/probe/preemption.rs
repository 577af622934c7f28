// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether the kernel may take the CPU from a task that is running kernel code.
//!
//! It decides whether programs of kind [`crate::program::ProgramKind::ModifyReturn`] can be relied on: a
//! task that meets such a program while another was preempted inside it skips it.
//!
//! A kernel that can switch modes (`PREEMPT_DYNAMIC`) says the present one in debugfs only; the boot
//! command line says what it was once. One that cannot says it in its version. debugfs is looked at
//! through a mount of our own that no path leads to, so it need not be mounted and cannot be forged.

use std::fmt;

/// When kernel code gives up the CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preemption {
    /// Only when it sleeps.
    None,
    /// Also where it offers to. A kernel that cannot switch and is not preemptible counts as this one.
    Voluntary,
    /// At any instruction, at the end of a time slice.
    Lazy,
    /// At any instruction.
    Full,
    /// Could not be found out, and why.
    Unknown(String),
}

impl fmt::Display for Preemption {
    /// The word `preempt=` on the kernel's command line takes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Preemption::None => "none",
            Preemption::Voluntary => "voluntary",
            Preemption::Lazy => "lazy",
            Preemption::Full => "full",
            Preemption::Unknown(_) => "unknown",
        })
    }
}

impl Preemption {
    /// Whether it is proved that kernel code is never interrupted in favour of another task.
    pub fn is_proved_absent(&self) -> bool {
        matches!(self, Preemption::None | Preemption::Voluntary)
    }
}

/// The mode the running kernel is in now. Whoever may write to debugfs may change it later.
pub fn preemption() -> Preemption {
    let version = rustix::system::uname().version().to_string_lossy().into_owned();
    match of_version(&version) {
        Some(mode) => mode,
        None => match dynamic_mode() {
            Ok(text) => of_debugfs(&text),
            Err(errno) => Preemption::Unknown(format!(
                "this kernel can switch modes and debugfs, which has the present one, cannot be read: {errno}"
            )),
        },
    }
}

/// What `uname -v` proves; nothing for a kernel that can switch.
fn of_version(version: &str) -> Option<Preemption> {
    let word = version.split_whitespace().find(|word| word.starts_with("PREEMPT"));
    match word {
        None => Some(Preemption::Voluntary),
        Some("PREEMPT" | "PREEMPT_RT") => Some(Preemption::Full),
        Some("PREEMPT_LAZY") => Some(Preemption::Lazy),
        Some("PREEMPT_DYNAMIC") => None,
        Some(other) => Some(Preemption::Unknown(format!("the kernel's version says {other}"))),
    }
}

/// The mode in parentheses: `none voluntary (full)`.
fn of_debugfs(text: &str) -> Preemption {
    let mode = text.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(mode, _)| mode);
    match mode {
        Some("none") => Preemption::None,
        Some("voluntary") => Preemption::Voluntary,
        Some("lazy") => Preemption::Lazy,
        Some("full") => Preemption::Full,
        _ => Preemption::Unknown(format!("debugfs says {:?}", text.trim())),
    }
}

fn dynamic_mode() -> rustix::io::Result<String> {
    super::read_unmounted("debugfs", "sched/preempt")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_proves_the_mode_unless_it_can_change() {
        let dynamic = "#1 SMP PREEMPT_DYNAMIC Debian 6.12.107-1 (2026-08-29)";
        assert_eq!(of_version(dynamic), None);
        assert_eq!(of_version("#1 SMP Debian 6.1.4-1 (2023-01-07)"), Some(Preemption::Voluntary));
        assert_eq!(of_version("#1 SMP PREEMPT Debian"), Some(Preemption::Full));
        assert_eq!(of_version("#1 SMP PREEMPT_RT Debian"), Some(Preemption::Full));
        assert!(matches!(of_version("#1 SMP PREEMPT_NEW"), Some(Preemption::Unknown(_))));
    }

    #[test]
    fn debugfs_has_the_present_mode_in_parentheses() {
        assert_eq!(of_debugfs("none (voluntary) full \n"), Preemption::Voluntary);
        assert_eq!(of_debugfs("(none) voluntary full\n"), Preemption::None);
        assert_eq!(of_debugfs("full (lazy) \n"), Preemption::Lazy);
        for text in ["", "full lazy", "(", "(sometimes)"] {
            assert!(matches!(of_debugfs(text), Preemption::Unknown(_)), "{text}");
        }
    }

    #[test]
    fn only_none_and_voluntary_are_proof() {
        assert!(Preemption::None.is_proved_absent() && Preemption::Voluntary.is_proved_absent());
        for mode in [Preemption::Lazy, Preemption::Full, Preemption::Unknown(String::new())] {
            assert!(!mode.is_proved_absent());
        }
    }
}
