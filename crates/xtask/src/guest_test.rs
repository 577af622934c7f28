// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tests that need a kernel of their own, in guests of every supported series.
//!
//! Such tests are ignored by `cargo test`. `table` says which run in which guest; a guest that does not come up as
//! it says is a failure.

mod table;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use landlock_compiler::clang::build;
use tempfile::TempDir;

use crate::vm;
use table::{Boot, GROUPS, Group};

/// A guest that did not tell by itself which group takes too long has these beside the groups' own.
const BOOT_MINUTES: u64 = 5;

/// `cargo xtask guest-test`.
#[derive(clap::Args, Debug)]
pub struct Options {
    /// Only these groups of tests, on these kernels (6.1, 6.12, latest), with bpf among their security modules or
    /// without (bpf, no-bpf), preempting so (full, lazy, voluntary)
    words: Vec<String>,
    /// Say what would run, and do not
    #[arg(long)]
    list: bool,
}

/// A boot, and the groups that share it.
struct Guest {
    boot: Boot,
    groups: Vec<&'static Group>,
}

/// Runs what was asked for, all of it even if some fails.
pub fn run(options: &Options) -> Result<ExitCode> {
    let guests = guests(&options.words)?;
    if options.list {
        guests.iter().for_each(|guest| println!("{}", guest.name()));
        return Ok(ExitCode::SUCCESS);
    }
    let (rules, programs) = (shipped_rules()?, attackers()?);
    let (c_api, of_v7) = (c_program()?, programs_of_v7()?);
    let copies =
        [copy(&rules, "/rules"), copy(&programs, "/programs"), copy(&c_api, "/c_api"), copy(&of_v7, "/v7")];
    let mut failed = Vec::new();
    for guest in &guests {
        println!("guest-test: {}", guest.name());
        if !guest.run(&copies)? {
            println!("guest-test: FAILED: {}", guest.name());
            failed.push(guest.name());
        }
    }
    println!("guest-test: {} guests, {} failed", guests.len(), failed.len());
    failed.iter().for_each(|name| println!("guest-test: FAILED: {name}"));
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The guests that have a part of the table that all words agree with. Words of one kind are alternatives.
fn guests(words: &[String]) -> Result<Vec<Guest>> {
    let all = || GROUPS.iter().flat_map(|group| group.boots.iter().map(move |boot| (*boot, group)));
    let kinds = |(boot, group): (Boot, &Group)| {
        let [kernel, bpf, preempt] = boot.words();
        [kernel, bpf, preempt, group.name]
    };
    let mut asked: [Vec<&str>; 4] = Default::default();
    for word in words {
        let kind = all().find_map(|pair| kinds(pair).iter().position(|known| known == word));
        let kind = kind.with_context(|| format!("no group of tests and no guest is known as {word:?}"))?;
        asked[kind].push(word);
    }
    let mut guests: Vec<Guest> = Vec::new();
    for (boot, group) in all() {
        let wanted = |(known, words): (&str, &Vec<&str>)| words.is_empty() || words.contains(&known);
        if !kinds((boot, group)).into_iter().zip(&asked).all(wanted) {
            continue;
        }
        match guests.iter_mut().find(|guest| guest.boot == boot && guest.groups[0].guest == group.guest) {
            Some(guest) => guest.groups.push(group),
            None => guests.push(Guest { boot, groups: vec![group] }),
        }
    }
    if guests.is_empty() {
        bail!("nothing in the table is all of: {}", words.join(" "));
    }
    Ok(guests)
}

impl Guest {
    fn name(&self) -> String {
        let groups: Vec<&str> = self.groups.iter().map(|group| group.name).collect();
        format!("{}: {}", self.boot.words().join(" "), groups.join(", "))
    }

    /// Whether all groups passed.
    fn run(&self, copies: &[String]) -> Result<bool> {
        let minutes: u64 = self.groups.iter().map(|group| group.minutes).sum();
        // It ends with us.
        let mut vm = Command::new("setpriv");
        vm.args(["--pdeathsig", "KILL"]).arg(std::env::current_exe()?).arg("vm");
        vm.args(self.boot.arguments()).args(self.groups[0].guest);
        vm.args(copies).arg(format!("--timeout={}", (minutes + BOOT_MINUTES) * 60));
        Ok(vm.args(["--", "sh", "-c", &self.script(60)]).status()?.success())
    }

    /// For the guest's shell: all groups, each with its time, in minutes of so many seconds.
    fn script(&self, minute: u64) -> String {
        let each = |group: &&Group| {
            let Group { name, command, minutes, .. } = group;
            format!("group {name} {} {}\n", minutes * minute, vm::quote(command))
        };
        let groups: String = self.groups.iter().map(each).collect();
        format!("{}{groups}rm -r \"$state\"\nexit $failed\n", include_str!("guest_test/groups.sh"))
    }
}

fn copy(folder: &TempDir, to: &str) -> String {
    format!("--copy={}:{to}", folder.path().display())
}

/// A folder with the programs of attackers: guests have no compiler and no libraries.
fn attackers() -> Result<TempDir> {
    compiled(sources("bypasses/programs")?)
}

/// A folder with the programs that are written from v7's documentation, and one to run them as somebody else.
fn programs_of_v7() -> Result<TempDir> {
    let mut programs = sources("v7/programs")?;
    programs.push(concat!(env!("CARGO_MANIFEST_DIR"), "/../supervisor/tests/probes/as.c").into());
    compiled(programs)
}

/// The C sources in a folder of the command's tests.
fn sources(folder: &str) -> Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/tests").join(folder);
    let files =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    Ok(files.into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "c")).collect())
}

/// A folder with programs that need no library of the guest's.
fn compiled(sources: Vec<PathBuf>) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    for source in sources {
        let program = folder.path().join(source.file_stem().context("a source has a name")?);
        let mut compiler = Command::new("cc");
        compiler.args(["-O1", "-static", "-pthread", "-o"]).arg(program).arg(&source);
        let status = compiler.status().context("guest-test needs cc")?;
        ensure!(status.success(), "cc {}: {status}", source.display());
    }
    Ok(folder)
}

/// A folder with the shipped rules, those in C compiled: guests have no clang.
pub fn shipped_rules() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../rules"))? {
        let source = entry?.path();
        let target = folder.path().join(source.file_name().context("a rule has a name")?);
        if source.extension().is_some_and(|extension| extension == "c") {
            std::fs::write(target.with_extension("o"), build(&source, None)?)?;
        } else {
            std::fs::copy(&source, target)?;
        }
    }
    Ok(folder)
}

/// The C library's test program, statically linked: guests have no compiler and no libraries.
fn c_program() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--package", "landlock-capi"])
        .current_dir(root)
        .status()?;
    ensure!(built.success(), "cannot build the C library: {built}");
    let compiled = Command::new("cc")
        .args(["-O1", "-pthread", "-static", "-Iinclude", "crates/capi/tests/api.c"])
        .args(["target/debug/liblandlock_ebpf.a", "-ldl", "-lm", "-o"])
        .arg(folder.path().join("c_api"))
        .current_dir(root)
        .status()?;
    ensure!(compiled.success(), "cannot compile the C library's test program: {compiled}");
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::table::BOOTS;
    use super::*;

    fn chosen(words: &[&str]) -> Vec<String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        guests(&words).unwrap_or_else(|error| panic!("{error}")).iter().map(Guest::name).collect()
    }

    #[test]
    fn words_of_one_kind_are_alternatives_and_kinds_are_conditions() {
        assert_eq!(chosen(&["latest", "alone"]), ["latest bpf lazy: alone"]);
        assert_eq!(
            chosen(&["no-bpf", "voluntary", "verdict", "semantics"]),
            ["6.1 no-bpf voluntary: verdict, semantics", "6.12 no-bpf voluntary: verdict, semantics"]
        );
    }

    #[test]
    fn what_asks_for_nothing_is_an_error() {
        for words in [["latest", "vocabulary"], ["latest", "voluntary"]] {
            assert!(guests(&words.map(str::to_owned)).is_err());
        }
    }

    #[test]
    fn everything_is_run_when_nothing_is_asked_for() {
        let count: usize = guests(&[]).unwrap().iter().map(|guest| guest.groups.len()).sum();
        assert_eq!(count, GROUPS.iter().map(|group| group.boots.len()).sum::<usize>());
    }

    /// What the guest's shell says to groups with a name, seconds to run, and a command; and whether it succeeds.
    fn ran(groups: impl IntoIterator<Item = (&'static str, u64, &'static str)>) -> (String, bool) {
        let group = |(name, minutes, command)| Group { name, guest: &[], command, boots: &[], minutes };
        let groups: Vec<Group> = groups.into_iter().map(group).collect();
        let groups = Vec::leak(groups).iter().collect();
        let script = Guest { boot: BOOTS[0], groups }.script(1);
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.success())
    }

    /// What comes after a group that fails still runs, and the whole fails.
    #[test]
    fn one_failure_stops_nothing_and_is_not_forgotten() {
        let (said, is_success) = ran([("bad", 200, "echo 'one'; exit 3"), ("good", 200, "echo two")]);
        assert!(said.contains("bad ended with 3") && said.contains("two"), "{said}");
        assert!(!is_success);
        assert!(ran([("good", 200, "echo two")]).1);
    }

    #[test]
    fn a_group_that_hangs_is_told_and_ended_and_no_other_begins() {
        let good = ("good", 200, "true");
        let late = ("late", 200, "echo begun-$((1 + 1))");
        let (said, is_success) = ran([good, ("hangs", 1, "exec sleep 600"), late]);
        let told =
            ["good ended with 0", "hangs did not end within 1 s", "hangs ended with 137", "late was not run"];
        told.iter().for_each(|what| assert!(said.contains(what), "{what}: {said}"));
        assert!(said.lines().any(|line| line.ends_with(" sleep 600")), "{said}");
        assert!(!said.contains("begun-2"), "{said}");
        assert!(!is_success);
    }
}
