// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which functions of the running kernel programs attach to, and what of the hook table it lacks.
//!
//! * `bpf_lsm_<hook>` wherever `bpf` is among the active security modules: nothing gets past such a program.
//! * `security_<hook>` needs nothing of the boot command line, but a program there is skipped by a task that
//!   comes to it on a CPU whose last task was preempted inside it. So only where that cannot be: where the
//!   running kernel is proved not to preempt.

use landlock_bpf::btf::{Btf, Function};
use landlock_bpf::probe::{self, Answer, Preemption};
use landlock_bpf::program::ProgramKind;
pub use landlock_compiler::emit::Attachment;
use landlock_compiler::hooks;

use crate::error::{Error, Result};

/// The way programs attach on the running kernel.
///
/// # Errors
/// [`Error::Unavailable`] with the reason and the remedy, if there is none that can be relied on.
pub fn attachment() -> Result<Attachment> {
    choose(&probe::bpf_is_an_active_lsm(), &probe::preemption()).map_err(Error::Unavailable)
}

fn choose(bpf: &Answer, preemption: &Preemption) -> std::result::Result<Attachment, String> {
    let inactive = match bpf {
        Answer::Yes => return Ok(Attachment::Lsm),
        Answer::No(why) => why,
        // What one process takes, the next one has to take as well.
        Answer::Unknown(why) => {
            return Err(format!("whether bpf is an active security module is not known: {why}"));
        }
    };
    let mode = match preemption {
        mode if mode.is_proved_absent() => return Ok(Attachment::ModifyReturn),
        Preemption::Unknown(why) => format!("whether tasks are preempted in the kernel is not known ({why})"),
        mode => format!("tasks are preempted in the kernel (mode {mode})"),
    };
    Err(format!(
        "{inactive}. Without it rules hold only where tasks are not preempted in the kernel, or they would be \
         skipped now and then, and {mode}; the other remedy is to boot with preempt=voluntary, where the \
         kernel has that mode"
    ))
}

/// The kind of programs at hooks.
pub(crate) fn kind(attachment: Attachment) -> ProgramKind {
    match attachment {
        Attachment::Lsm => ProgramKind::Lsm,
        Attachment::ModifyReturn => ProgramKind::ModifyReturn,
    }
}

/// A hook of the table at which this kernel lets nobody deny anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The hook.
    pub hook: &'static str,
    /// What the kernel says.
    pub why: String,
}

/// The hooks of the table that the running kernel lacks, or lets nobody attach to, found out by loading a
/// program for each. Needs root.
///
/// # Errors
/// As [`attachment`] has, and if it could not be found out.
pub fn lacking() -> Result<Vec<Lacking>> {
    let attachment = attachment()?;
    let btf = Btf::of_running_kernel()?;
    let mut lacking = Vec::new();
    for hook in hooks::TABLE {
        let why = match function(&btf, attachment, hook.name) {
            Err(Error::Btf(error)) if error.is_missing() => error.to_string(),
            function => match probe::can_load_at(kind(attachment), function?.id) {
                Answer::Yes => continue,
                Answer::No(why) => why,
                Answer::Unknown(why) => return Err(Error::Unavailable(why)),
            },
        };
        lacking.push(Lacking { hook: hook.name, why });
    }
    Ok(lacking)
}

/// The function for a hook.
pub(crate) fn function(btf: &Btf, attachment: Attachment, hook: &str) -> Result<Function> {
    Ok(btf.function(&attachment.function(hook))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lsm_where_bpf_is_active_and_else_only_without_preemption() {
        let no = Answer::No("the active modules are yama; boot with lsm=…,bpf".to_owned());
        let full = || choose(&Answer::Yes, &Preemption::Full);
        assert_eq!(full(), Ok(Attachment::Lsm));
        for mode in [Preemption::None, Preemption::Voluntary] {
            assert_eq!(choose(&no, &mode), Ok(Attachment::ModifyReturn));
            assert!(choose(&Answer::Unknown("no securityfs".to_owned()), &mode).is_err());
        }
        assert_eq!(
            choose(&no, &Preemption::Lazy).unwrap_err(),
            "the active modules are yama; boot with lsm=…,bpf. Without it rules hold only where tasks are not \
             preempted in the kernel, or they would be skipped now and then, and tasks are preempted in the \
             kernel (mode lazy); the other remedy is to boot with preempt=voluntary, where the kernel has that \
             mode"
        );
        let unknown = choose(&no, &Preemption::Unknown("no debugfs".to_owned())).unwrap_err();
        assert!(unknown.contains("is not known (no debugfs)"), "{unknown}");
    }
}
