// SPDX-License-Identifier: MIT OR Apache-2.0
//! A list of directories that may be opened: decided by notifications, by mainline Landlock in our sandbox, by mainline
//! Landlock alone, and by what else is installed.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Result;

use super::figures::{paired, ratio};
use super::others::{self, Other};
use super::{Bench, build, mainline, succeed, words};

/// Refuses with EACCES to open what is beneath no handle.
const LIST: &str = "#include <landlock/rule.h>
LANDLOCK_HANDLES(allowed, FS, 16);
LANDLOCK_HOOK(list, FILE_OPEN)
{
	return bpf_landlock_cmp_fs_beneath(0, &allowed, BPF_MAP_ARRAY_OP_OR, (void *)ctx->args[0]) ? 13 : 0;
}
LANDLOCK_LICENSE(\"GPL\");
";
/// Hands cookie 1 on at every system call.
const ALWAYS: [u8; 8] = [6, 0, 0, 0, 1, 0, 7, 0];
/// Beside the home directory, and that of temporary files, where the benchmark is and the linker has some.
const DIRECTORIES: [&str; 3] = ["/usr", "/etc", "/dev"];

impl Bench {
    pub(super) fn list(&self) -> Result<()> {
        std::fs::write(self.file("list.c"), LIST)?;
        std::fs::write(self.file("always"), ALWAYS)?;
        let source = self.file("list.c");
        succeed(
            std::process::Command::new(&self.landlock)
                .arg("build")
                .arg(source)
                .arg("-o")
                .arg(self.rule("list")),
        )?;
        self.listed("true", &words(&["true"]), self.folder.path(), &others::ALL)?;
        let status = words(&["git", "status", "--short"]);
        self.listed("git status, 10,000 files", &status, &self.repository(400)?, &others::ALL)?;
        self.listed("git status, 100,000 files", &status, &self.repository(4000)?, &others::ALL)?;
        // syd 3.59, where nothing but opens is to be decided, lets nobody rename.
        self.listed("cargo build", &build(), &self.package()?, &others::ALL[..1])
    }

    fn listed(&self, title: &str, command: &[OsString], folder: &Path, others: &[Other]) -> Result<()> {
        println!("{title}, milliseconds, {} rounds", self.rounds);
        let mut ways = vec![
            ("native", command.to_vec()),
            ("a list of five directories", self.under_list(&[], command)),
            ("the same with --lower", self.under_list(&["--lower"], command)),
            ("mainline Landlock alone", mainline::command(&directories(), command)?),
        ];
        for (name, words) in others {
            match others::is_installed(name) {
                true => ways.push((name, words(&directories(), command))),
                false => println!("  {name} is not installed: not measured"),
            }
        }
        let commands: Vec<&[OsString]> = ways.iter().map(|(_, words)| words.as_slice()).collect();
        let samples = paired(self.rounds, &commands, folder)?;
        for ((way, _), samples) in ways.iter().zip(&samples) {
            samples.print(way, 1e3);
        }
        for ((way, _), confined) in ways.iter().zip(&samples).skip(1) {
            println!("  ratio pair by pair, {way}: {}", ratio(confined, &samples[0]));
        }
        println!();
        Ok(())
    }

    fn under_list(&self, options: &[&str], command: &[OsString]) -> Vec<OsString> {
        let mut run: Vec<OsString> =
            vec![(&self.landlock).into(), "run".into(), "--target".into(), "supervisor".into()];
        run.extend(words(options));
        run.extend([
            "--filter".into(),
            self.file("always").into(),
            "--rule".into(),
            self.rule("list").into(),
        ]);
        for directory in directories() {
            let mut handle = OsString::from("allowed=");
            handle.push(directory);
            run.extend(["--handle".into(), handle]);
        }
        run.push("--".into());
        run.extend(command.iter().cloned());
        run
    }
}

fn directories() -> Vec<OsString> {
    let others = std::env::var_os("HOME").into_iter().chain([std::env::temp_dir().into()]);
    words(&DIRECTORIES).into_iter().chain(others).collect()
}
