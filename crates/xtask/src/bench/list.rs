// SPDX-License-Identifier: MIT OR Apache-2.0
//! A list of directories that may be opened: decided by notifications, and by mainline Landlock.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Result;

use super::figures::{paired, ratio};
use super::{Bench, build, succeed, words};

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
        let repository = self.repository()?;
        self.listed("git status, 10,000 files", &words(&["git", "status", "--short"]), &repository)?;
        let ten = "for i in 1 2 3 4 5 6 7 8 9 10; do git status --short; done";
        self.listed("the same ten times in one sandbox", &words(&["sh", "-c", ten]), &repository)?;
        self.listed("cargo build", &build(), &self.package()?)
    }

    fn listed(&self, title: &str, command: &[OsString], folder: &Path) -> Result<()> {
        println!("{title}, milliseconds, {} rounds", self.rounds);
        let (notified, lowered) = (self.under_list(&[], command), self.under_list(&["--lower"], command));
        let samples = paired(self.rounds, &[command, &notified, &lowered], folder)?;
        samples[0].print("native", 1e3);
        samples[1].print("a list of five directories", 1e3);
        samples[2].print("the same with --lower", 1e3);
        println!("  ratio pair by pair: {}", ratio(&samples[1], &samples[0]));
        println!("  ratio pair by pair, with --lower: {}\n", ratio(&samples[2], &samples[0]));
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
        let home = std::env::var_os("HOME");
        let others = home.into_iter().chain([std::env::temp_dir().into()]);
        for directory in words(&DIRECTORIES).into_iter().chain(others) {
            let mut handle = OsString::from("allowed=");
            handle.push(directory);
            run.extend(["--handle".into(), handle]);
        }
        run.push("--".into());
        run.extend(command.iter().cloned());
        run
    }
}
