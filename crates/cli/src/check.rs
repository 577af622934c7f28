// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock check`: would these rules be accepted?

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use landlock_compiler::lint::lint;
use landlock_compiler::read::read_filter;
use landlock_compiler::rule::Rule;

use crate::layers::{File, Files};
use crate::{FAILED, load, speak};

/// Say whether rules are accepted, and everything that is wrong with those that are not.
///
/// Accepted rules are listed on standard output; problems and warnings go to standard error. Exits with
/// 0 if every rule of every file, and every filter, is accepted, 1 if not, 2 if misused. Abilities are not held against a
/// rule here: whether you may load it is said beside its name.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    files: Files,
}

pub fn execute(args: &Args) -> anyhow::Result<ExitCode> {
    let mut all_accepted = true;
    for file in args.files.iter() {
        all_accepted &= match file {
            File::Rules(path) => rules(path)?,
            File::Filter(path) => filter(path)?,
        };
    }
    Ok(if all_accepted { ExitCode::SUCCESS } else { FAILED.into() })
}

/// Whether all rules of a file are accepted.
fn rules(path: &PathBuf) -> anyhow::Result<bool> {
    let mut all_accepted = true;
    for (path, rule) in load::load(std::slice::from_ref(path), &load::ANY) {
        match rule {
            Ok(rule) => {
                speak::result(&(speak::plain(&accepted(path, &rule)) + "\n"))?;
                for warning in lint(&rule) {
                    speak::notice(&format!("{}: rule {}: warning: {warning}", path.display(), rule.name()));
                }
            }
            Err(message) => {
                all_accepted = false;
                speak::notice(&message);
            }
        }
    }
    Ok(all_accepted)
}

/// Whether a filter is accepted.
fn filter(path: &Path) -> anyhow::Result<bool> {
    match read_filter(path) {
        Ok(filter) => {
            let accepted =
                format!("{}: filter: accepted ({} instructions)", path.display(), filter.insns().len());
            speak::result(&(speak::plain(&accepted) + "\n"))?;
            Ok(true)
        }
        Err(error) => {
            speak::notice(&error);
            Ok(false)
        }
    }
}

fn accepted(path: &Path, rule: &Rule) -> String {
    let needs = if rule.abilities().is_empty() { "" } else { "; to load it, CAP_SYS_ADMIN is needed" };
    let (name, event, insns) = (rule.name(), rule.event().name(), rule.insns().len());
    let maps: Vec<&str> = rule.maps().iter().map(|map| map.definition().name.as_str()).collect();
    let maps = if maps.is_empty() { String::new() } else { format!(", maps: {}", maps.join(" ")) };
    let abi = if rule.abi() > 1 { "; ABI 2" } else { "" };
    format!(
        "{}: rule {name}: accepted (event {event}, {insns} instructions{maps}{abi}{needs})",
        path.display()
    )
}
