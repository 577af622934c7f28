// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a test needs of the guest. Checked in the guest, before the command, by `init.sh`; an unmet
//! requirement means no verdict, never a quietly passing test.

use std::str::FromStr;

use anyhow::{Result, bail, ensure};

/// One `--require`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// The active list of Linux security modules has this one.
    Lsm(String),
    /// The active list of Linux security modules lacks this one.
    NoLsm(String),
    /// The kernel runs in one of these preemption modes.
    Preempt(Vec<String>),
    /// The kernel offers its own BTF.
    Btf,
}

const PREEMPTION_MODES: [&str; 4] = ["none", "voluntary", "full", "lazy"];

impl FromStr for Requirement {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Requirement> {
        let (what, value) = text.split_once('=').unwrap_or((text, ""));
        let words: Vec<String> = value.split(',').map(str::to_owned).collect();
        let is_word = |word: &String| !word.is_empty() && word.bytes().all(|c| c.is_ascii_alphanumeric());
        match what {
            "btf" if value.is_empty() => return Ok(Requirement::Btf),
            "lsm" | "no-lsm" | "preempt" => {
                ensure!(words.iter().all(is_word), "--require {what}= wants names, not {value:?}");
            }
            _ => bail!("lsm=NAME, no-lsm=NAME, preempt=MODE[,MODE…] or btf, not {text:?}"),
        }
        if what == "preempt" {
            let unknown = words.iter().find(|mode| !PREEMPTION_MODES.contains(&mode.as_str()));
            ensure!(unknown.is_none(), "a preemption mode is one of {}", PREEMPTION_MODES.join(", "));
            return Ok(Requirement::Preempt(words));
        }
        let [name] = words.try_into().map_err(|_| anyhow::anyhow!("one {what}= at a time"))?;
        Ok(if what == "lsm" { Requirement::Lsm(name) } else { Requirement::NoLsm(name) })
    }
}

impl Requirement {
    /// The line of shell that checks it, in terms of the functions of `init.sh`.
    pub fn check(&self) -> String {
        match self {
            Requirement::Lsm(name) => format!("require_lsm {name}"),
            Requirement::NoLsm(name) => format!("require_no_lsm {name}"),
            Requirement::Preempt(modes) => format!("require_preempt {}", modes.join(" ")),
            Requirement::Btf => "require_btf".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_understood() {
        let check = |text: &str| text.parse::<Requirement>().unwrap().check();
        assert_eq!(check("lsm=bpf"), "require_lsm bpf");
        assert_eq!(check("no-lsm=bpf"), "require_no_lsm bpf");
        assert_eq!(check("preempt=none,voluntary"), "require_preempt none voluntary");
        assert_eq!(check("btf"), "require_btf");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in ["", "lsm", "lsm=", "lsm=a,b", "lsm=$(reboot)", "preempt=fast", "btf=yes", "kvm"] {
            assert!(text.parse::<Requirement>().is_err(), "{text}");
        }
    }
}
