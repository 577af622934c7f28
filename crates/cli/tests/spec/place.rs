// SPDX-License-Identifier: MIT OR Apache-2.0
//! A folder with files, rules and filters, and steps taken there: confined, and plain for a twin.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

const PYTHON: &str = "/usr/bin/python3";

/// What a filter says.
pub const KILL: u32 = 0x8000_0000;
pub const KILL_THREAD: u32 = 0;
pub const TRAP: u32 = 0x0003_0000;
pub const ERRNO: u32 = 0x0005_0000;
pub const LANDLOCK: u32 = 0x0007_0000;
pub const TRACE: u32 = 0x7ff0_0000;
pub const ALLOW: u32 = 0x7fff_0000;

/// What enforces: the supervisor, unless guests say otherwise.
pub fn target() -> String {
    std::env::var("LANDLOCK_TARGET").unwrap_or_else(|_| "supervisor".to_owned())
}

fn landlock() -> PathBuf {
    std::env::var_os("LANDLOCK").unwrap_or_else(|| env!("CARGO_BIN_EXE_landlock").into()).into()
}

/// A rule whose `decide`, with the context in `r6`, is asked about files of map `of` alone; all else is allowed.
pub fn rule(name: &str, event: &str, of: &str, decide: &str) -> String {
    format!(
        ".rule {name}\n.event {event}\n.license \"GPL\"\n.map {of} fs 8\n{}\n\
         r6 = r1\nr1 = 6\nr2 = map {of}\nr3 = 1\nr4 = *(u64 *)(r6 + 8)\ncall cmp_fs_prop\nif r0 != 0 goto allow\n\
         {decide}\nexit\nallow:\nr0 = 0\nexit\n",
        maps(decide, of),
    )
}

/// Declares what is loaded besides `known`: maps of groups end in `groups`.
pub fn maps(text: &str, known: &str) -> String {
    let mut names: Vec<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix("r2 = map ")).collect();
    names.sort_unstable();
    names.dedup();
    let kind = |name: &str| if name.ends_with("groups") { "cgroup" } else { "fs" };
    let others = names.into_iter().filter(|name| *name != known);
    others.map(|name| format!(".map {name} {} 8\n", kind(name))).collect()
}

/// A filter that says `said` of these system calls, and `otherwise` of all others.
pub fn filter(said: &[(u32, u32)], otherwise: u32) -> Vec<u8> {
    let insn = |code: u16, jt: u8, jf: u8, k: u32| {
        let ([a, b], [c, d, e, f]) = (code.to_le_bytes(), k.to_le_bytes());
        [a, b, jt, jf, c, d, e, f]
    };
    let mut insns = vec![insn(0x20, 0, 0, 0)];
    for (nr, said) in said {
        insns.extend([insn(0x15, 0, 1, *nr), insn(0x06, 0, 0, *said)]);
    }
    insns.push(insn(0x06, 0, 0, otherwise));
    insns.concat()
}

/// A filter that hands this cookie on at every system call.
pub fn always(cookie: u32) -> Vec<u8> {
    filter(&[], LANDLOCK | cookie)
}

/// A folder of its own, gone at the end of the test.
pub struct Place {
    folder: tempfile::TempDir,
    /// What makes the mounts that the steps are taken in.
    mounts: Option<String>,
}

impl Place {
    pub fn new() -> Place {
        let place = Place { folder: tempfile::tempdir().unwrap(), mounts: None };
        place.write("probe.py", include_str!("probe.py"));
        place
    }

    /// With mounts of its own, made by this script.
    pub fn mounting(self, script: &str) -> Place {
        Place { mounts: Some(script.to_owned()), ..self }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, with the folders it is in.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Place {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// Empty files, by their names.
    pub fn files(&self, names: &str) -> &Place {
        names.split_whitespace().fold(self, |place, name| place.write(name, "x"))
    }

    /// What comes of the steps, under `layers`: `-r RULE`, `-f FILTER`, `-h MAP=PATH`.
    pub fn ask(&self, layers: &str, steps: &str) -> String {
        let output = self.run(layers, &[&["probe.py"], &words(steps)[..]].concat());
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
            + String::from_utf8_lossy(&output.stderr).trim()
    }

    /// The same without any.
    pub fn plain(&self, steps: &str) -> String {
        self.ask("", steps)
    }

    /// Under the layers the steps come to `expected`, and without any all are ok.
    #[track_caller]
    pub fn refuses(&self, layers: &str, steps: &str, expected: &str) {
        assert_eq!(self.ask(layers, steps), expected, "{steps} under {layers}");
        let all = vec!["ok"; words(steps).len()].join(" ");
        assert_eq!(self.plain(steps), all, "{steps} plain");
    }

    /// A program in Python with arguments, confined if there are layers.
    pub fn run(&self, layers: &str, program: &[&str]) -> Output {
        let landlock = landlock();
        let target = target();
        let mut words = vec!["timeout", "--kill-after=5", "300"];
        if let Some(mounts) = &self.mounts {
            let unshared = ["unshare", "--mount", "--propagation", "private", "sh", "-c"];
            words.extend(unshared.iter().copied().chain([mounts.as_str(), "sh"]));
        }
        if !layers.is_empty() {
            keep_hooks_attached();
            words.extend([landlock.to_str().unwrap(), "run", "--target", &target]);
            words.extend(layers.split_whitespace().map(|word| match word {
                "-r" => "--rule",
                "-f" => "--filter",
                "-h" => "--handle",
                word => word,
            }));
            words.push("--");
        }
        words.extend([PYTHON, "-B", "-S"]);
        words.extend(program);
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir(self.folder.path()).stdin(Stdio::null());
        command.output().unwrap_or_else(|error| panic!("{}: {error}", words[0]))
    }
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

/// The kernel takes a tenth of a second to attach a hook or to detach it: a process that needs all three, and ends with
/// this one, spares the others that.
fn keep_hooks_attached() {
    static KEPT: OnceLock<Option<Child>> = OnceLock::new();
    KEPT.get_or_init(|| (target() == "kernel").then(start_keeper));
}

fn start_keeper() -> Child {
    let place = Place::new();
    let hooks = ["FILE_OPEN", "FILE_PERMISSION", "MMAP_FILE"];
    let rules: String = hooks.iter().map(|hook| rule(hook, hook, "none", "r0 = 13")).collect();
    place.write("all", always(1)).write("kept.s", rules);
    let mut run = Command::new(landlock());
    run.args(["run", "--target", "kernel", "--filter", "all", "--rule", "kept.s", "--", "sh", "-c"]);
    run.arg("echo; exec cat").current_dir(place.folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut kept = run.spawn().unwrap();
    kept.stdout.as_mut().unwrap().read_exact(&mut [0]).expect("the first sandbox starts");
    kept
}
