// SPDX-License-Identifier: MIT OR Apache-2.0
//! What confinement costs, always as a ratio to the same thing without it, taken in turn in one run.
//!
//! Nothing here judges: the numbers are printed, with their spread, for people to compare.

mod figures;
pub mod guest;
mod list;
pub mod mainline;
mod others;
pub mod probe;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use figures::{paired, ratio};

use crate::cargo;
use crate::vm::Series;

/// `cargo xtask bench`
#[derive(Args)]
pub struct Options {
    /// What to measure; everything if none is named
    parts: Vec<Part>,
    /// How often each workload runs, with and without the sandbox in turn
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// The kernel target instead, in a guest that counts instructions
    #[arg(
        long,
        conflicts_with = "parts",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "operations"
    )]
    guest: Option<guest::What>,
    /// Kernel series of the guest, one or more
    #[arg(long, requires = "guest", default_values = ["6.12", "latest"])]
    kernel: Vec<Series>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Starting a command that does nothing
    Start,
    /// Syscalls no rule can deny
    Never,
    /// An open the supervisor decides
    Open,
    /// `git status` under the sample rule
    Git,
    /// Compiling Rust under the sample rule
    Rust,
    /// `true`, `git status` and a Rust build under a list of what may be opened
    List,
}

type Measure = fn(&Bench) -> Result<()>;

const PARTS: [(Part, Measure); 6] = [
    (Part::Start, Bench::start),
    (Part::Never, Bench::never),
    (Part::Open, Bench::open),
    (Part::Git, Bench::git),
    (Part::Rust, Bench::rust),
    (Part::List, Bench::list),
];

/// Builds what is measured, measures, prints.
pub fn run(options: &Options) -> Result<()> {
    if let Some(what) = options.guest {
        return guest::run(what, &options.kernel);
    }
    let bench = Bench::new(options.rounds)?;
    let wanted = |part| options.parts.is_empty() || options.parts.contains(&part);
    PARTS.into_iter().filter(|(part, _)| wanted(*part)).try_for_each(|(_, measure)| measure(&bench))
}

/// Opens for writing go to the supervisor; it allows every file there is.
const DECIDE_WRITES: &str = r#"#include <landlock/rule.h>
SEC("landlock") int decide_writes(struct landlock_context *ctx)
{
	if (!(ctx->arg2 & LANDLOCK_ACTION_FS_WRITE) || !(ctx->arg2 & LANDLOCK_ACTION_FS_GET))
		return 0;
	return bpf_handle_fs_get_mode((void *)ctx->arg1) == 0107123;
}
SEC("subtype") union bpf_prog_subtype subtype = {
	.landlock_rule = { .abi = 1, .event = LANDLOCK_SUBTYPE_EVENT_FS },
};
SEC("license") const char license[] = "GPL";
"#;

struct Bench {
    rounds: usize,
    landlock: PathBuf,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(rounds: usize) -> Result<Bench> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
        // As it is installed.
        let built = cargo::build(&["landlock".to_owned()], &[], true)?;
        let landlock = built.into_iter().next().context("cargo has built no landlock")?.path;
        let bench = Bench { rounds, landlock, folder: tempfile::tempdir()? };
        std::fs::write(bench.file("decide-writes.c"), DECIDE_WRITES)?;
        std::fs::copy(root.join("rules/read-only.c"), bench.file("read-only.c"))?;
        for rule in ["decide-writes", "read-only"] {
            let source = bench.file(&format!("{rule}.c"));
            succeed(Command::new(&bench.landlock).arg("build").arg(source).arg("-o").arg(bench.rule(rule)))?;
        }
        Ok(bench)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn rule(&self, name: &str) -> PathBuf {
        self.file(&format!("{name}.o"))
    }

    /// `words`, run under a rule.
    fn under(&self, rule: &str, words: &[OsString]) -> Vec<OsString> {
        let run: [OsString; 5] =
            [(&self.landlock).into(), "run".into(), "--rule".into(), self.rule(rule).into(), "--".into()];
        run.into_iter().chain(words.iter().cloned()).collect()
    }

    fn start(&self) -> Result<()> {
        let nothing = words(&["true"]);
        let bwrap = words(&["bwrap", "--dev-bind", "/", "/", "true"]);
        let rounds = self.rounds * 10;
        println!("start-up, milliseconds, {rounds} rounds");
        let samples =
            paired(rounds, &[&nothing, &self.under("read-only", &nothing), &bwrap], Path::new("/"))?;
        samples[0].print("true", 1e3);
        samples[1].print("landlock run --rule read-only.o -- true", 1e3);
        samples[2].print("bwrap --dev-bind / / true", 1e3);
        println!("  landlock adds {:.2}\n", (samples[1].median() - samples[0].median()) * 1e3);
        Ok(())
    }

    fn never(&self) -> Result<()> {
        let file = self.rule("read-only");
        println!("syscalls no rule can deny, nanoseconds");
        for call in ["getppid", "pread", "fstat"] {
            let words = probe::command(call, &file)?;
            let plain = probe::run(&words)?;
            let confined = probe::run(&self.under("read-only", &words))?;
            plain.print(call, 1e9);
            confined.print(&format!("{call} under read-only"), 1e9);
            println!("  ratio {:.3}", confined.median() / plain.median());
        }
        println!();
        Ok(())
    }

    fn open(&self) -> Result<()> {
        let deep = self.file("a/b/c/d/e");
        std::fs::create_dir_all(&deep)?;
        std::fs::write(deep.join("file"), "x")?;
        let open = probe::command("open", &deep.join("file"))?;
        let decided = self.under("decide-writes", &open);
        let on_one: Vec<OsString> =
            words(&["taskset", "-c", "0"]).into_iter().chain(decided.iter().cloned()).collect();
        println!("open(O_RDWR), microseconds");
        probe::run(&open)?.print("native", 1e6);
        probe::run(&on_one)?.print("decided by the supervisor, one processor", 1e6);
        probe::run(&decided)?.print("decided by the supervisor, any processor", 1e6);
        println!();
        Ok(())
    }

    fn git(&self) -> Result<()> {
        let repository = self.repository(400)?;
        let status = words(&["git", "status", "--short"]);
        self.workload("git status, 10,000 files", "read-only", &status, &repository)
    }

    /// A repository with so many folders, and 25 files in each.
    fn repository(&self, folders: usize) -> Result<PathBuf> {
        let repository = self.file(&format!("repository-{folders}"));
        if repository.exists() {
            return Ok(repository);
        }
        for folder in 0..folders {
            let folder = repository.join(format!("folder{folder}/inner"));
            std::fs::create_dir_all(&folder)?;
            for file in 0..25 {
                std::fs::write(folder.join(format!("file{file}")), format!("{file}\n").repeat(50))?;
            }
        }
        let name = ["-c", "user.name=bench", "-c", "user.email=bench@invalid"];
        for step in [vec!["init", "-q"], vec!["add", "."], vec!["commit", "-q", "-m", "all"]] {
            succeed(Command::new("git").args(name).args(step).current_dir(&repository))?;
        }
        Ok(repository)
    }

    /// The sample rule forbids writing files, so the compiler's output goes to a pipe. A whole build is
    /// measured under a rule that lets it write.
    fn rust(&self) -> Result<()> {
        let package = self.package()?;
        let compile = words(&["rustc", "--crate-type=bin", "--emit=dep-info=-", "-Awarnings", "src/main.rs"]);
        self.workload("rustc as far as it gets without writing", "read-only", &compile, &package)?;
        self.workload("cargo build, every open for writing decided", "decide-writes", &build(), &package)
    }

    /// A program of 4,000 functions.
    fn package(&self) -> Result<PathBuf> {
        let package = self.file("package");
        std::fs::create_dir_all(package.join("src"))?;
        std::fs::write(
            package.join("Cargo.toml"),
            "[package]\nname = \"bench\"\nedition = \"2024\"\n[workspace]\n",
        )?;
        let functions = (0..4000).map(|n| {
            format!("pub fn f{n}(v: &[u64]) -> Vec<String> {{ v.iter().map(|x| format!(\"{{:?}}\", x + {n})).collect() }}\n")
        });
        std::fs::write(
            package.join("src/main.rs"),
            functions.chain(["fn main() {}\n".to_owned()]).collect::<String>(),
        )?;
        Ok(package)
    }

    fn workload(&self, title: &str, rule: &str, words: &[OsString], folder: &Path) -> Result<()> {
        println!("{title}, milliseconds, {} rounds", self.rounds);
        let samples = paired(self.rounds, &[words, &self.under(rule, words)], folder)?;
        samples[0].print("native", 1e3);
        samples[1].print(&format!("under {rule}"), 1e3);
        println!("  ratio pair by pair: {}\n", ratio(&samples[1], &samples[0]));
        Ok(())
    }
}

/// The words that build the package again.
fn build() -> Vec<OsString> {
    let again = "touch src/main.rs && RUSTFLAGS=-Awarnings exec cargo build --quiet --offline";
    words(&["sh", "-c", again])
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}
