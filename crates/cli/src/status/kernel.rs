// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `landlock status` says of the kernel target.

use std::fmt::Write;

use landlock_bpf::probe::{Preemption, preemption};
use landlock_daemon::client::Daemon;
use landlock_kernel::{Attachment, Engine, Error};
use landlock_supervisor::probe::Answer;
use serde::Serialize;

use super::line;

#[derive(Serialize)]
pub struct Kernel {
    /// Whether a denial was seen to deny.
    #[serde(flatten)]
    pub verdict: Answer,
    /// How programs are attached, or would be, were that the only question.
    attachment: Option<&'static str>,
    /// When the kernel takes the CPU from a task that is in the kernel.
    preemption: String,
    /// Hooks of the table at which this kernel lets nobody deny; found out only where the target works.
    lacking: Option<Vec<Lacking>>,
    /// How many domains live.
    domains: Option<usize>,
    /// Whether landlockd answers, which loads rules for who may not.
    pub landlockd: Answer,
}

#[derive(Serialize)]
struct Lacking {
    hook: &'static str,
    why: String,
}

/// Opens the engine, which tries a denial, and asks it.
pub fn ask() -> Kernel {
    let engine = Engine::open();
    let attachment = landlock_kernel::attachment().ok().map(|attachment| match attachment {
        Attachment::Lsm => "lsm",
        Attachment::ModifyReturn => "modify_return",
    });
    let verdict = match &engine {
        Ok(_) => Answer::Yes,
        Err(error) => Answer::No { found: error.to_string(), change: change(error).to_owned() },
    };
    let preemption = match preemption() {
        Preemption::Unknown(why) => format!("unknown ({why})"),
        known => known.to_string(),
    };
    let lacking = engine.as_ref().ok().and_then(|_| landlock_kernel::lacking().ok()).map(|lacking| {
        lacking.into_iter().map(|lacking| Lacking { hook: lacking.hook, why: lacking.why }).collect()
    });
    let domains = engine.ok().and_then(|engine| engine.domains().ok()).map(|domains| domains.len());
    Kernel { verdict, attachment, preemption, lacking, domains, landlockd: landlockd() }
}

fn landlockd() -> Answer {
    match Daemon::default().hello() {
        Ok(_) => Answer::Yes,
        Err(error) => Answer::No {
            found: error.to_string(),
            change: "as root, start it: systemctl enable --now landlockd.socket, or landlockd --socket PATH"
                .to_owned(),
        },
    }
}

fn change(error: &Error) -> &'static str {
    match error {
        Error::Unavailable(_) => {
            "Linux 6.1 or later with `bpf` in its list of security modules (boot option lsm=…,bpf), or one \
             that does not preempt in the kernel (boot option preempt=voluntary), and root"
        }
        Error::Bpf(landlock_bpf::Error::Kind { .. }) => {
            "a bpf file system on /sys/fs/bpf (mount -t bpf bpf /sys/fs/bpf)"
        }
        Error::Bpf(_) => "be root outside of containers, with a bpf file system on /sys/fs/bpf",
        Error::Btf(_) | Error::Member { .. } => "a kernel with its types (CONFIG_DEBUG_INFO_BTF), for x86-64",
        Error::SwitchedOff => "sysctl kernel.ftrace_enabled=1",
        Error::Confined => "ask outside of the sandbox",
        Error::Damaged { .. } => "end the processes in domains, or start the machine anew",
        Error::Open { .. } => "remove the folder, or give it to root alone",
        _ => "please report this",
    }
}

impl Kernel {
    /// Whether this process can have it, by itself or from landlockd: who may load rules does not ask that.
    pub fn works_for_us(&self) -> bool {
        let ours = self.verdict == Answer::Yes;
        ours || (self.landlockd == Answer::Yes && !ebpf_landlock::loader().cap_sys_admin)
    }

    pub fn text(&self, text: &mut String) {
        line(text, 0, "kernel target", &self.verdict);
        line(text, 0, "landlockd", &self.landlockd);
        let attachment = match self.attachment {
            Some("lsm") => "as a security module, with bpf in the list of active ones",
            Some(_) => "in the place of security_* functions, which nothing preempts",
            None => "no way that can be relied on",
        };
        let _ = writeln!(text, "           programs are attached: {attachment}");
        let _ = writeln!(text, "           preemption in the kernel: {}", self.preemption);
        for Lacking { hook, why } in self.lacking.iter().flatten() {
            let _ = writeln!(text, "           not in this kernel: hook {hook} ({why})");
        }
        if let Some(domains) = self.domains {
            let _ = writeln!(text, "           living domains: {domains}");
        }
    }
}
