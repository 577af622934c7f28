// SPDX-License-Identifier: MIT OR Apache-2.0
//! Driving the built `landlock`: a playground with files to attack, rules that tell them apart by their mode,
//! and commands run in it plain or confined.
//!
//! Denials are read from the log, not guessed from an errno. A command that hangs is killed after a while and
//! fails its test.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// Whom a command runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// Whoever runs the tests.
    Ours,
    /// User 65534, without capabilities. Only root can become it.
    Nobody,
    /// Root of a PID namespace whose session began outside, as in containers and in many build services.
    Contained,
}

/// What enforces the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Supervisor,
    Kernel,
}

impl Target {
    /// The supervisor, unless `LANDLOCK_TARGET` says `kernel`: guests do.
    pub fn of_this_run() -> Target {
        match std::env::var("LANDLOCK_TARGET").as_deref() {
            Err(_) | Ok("supervisor") => Target::Supervisor,
            Ok("kernel") => Target::Kernel,
            Ok(other) => panic!("there is no target {other}"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Target::Supervisor => "supervisor",
            Target::Kernel => "kernel",
        }
    }
}

/// A rule as assembly text.
#[derive(Clone, Debug)]
pub struct Rule {
    pub name: String,
    text: String,
    /// What is put into the map `list` of a rule tied to a hook: a file of the playground.
    handle: Option<&'static str>,
}

pub const EXEC: u32 = 1;
pub const WRITE: u32 = 1 << 1;
pub const READ: u32 = 1 << 2;
pub const NEW: u32 = 1 << 3;
pub const GET: u32 = 1 << 4;
pub const REMOVE: u32 = 1 << 5;
pub const LOCK: u32 = 1 << 7;
pub const FCNTL: u32 = 1 << 8;
pub const IOCTL: u32 = 1 << 6;

impl Rule {
    /// Denies these actions on objects with `mode & mask == value`.
    pub fn on(name: &str, actions: u32, mask: u32, value: u32) -> Rule {
        let body = format!(
            "r2 = *(u64 *)(r1 + 24)\nr0 = 0\nif r2 & {actions:#x} goto acts\nexit\nacts:\n\
             r1 = *(u64 *)(r1 + 16)\ncall handle_fs_get_mode\nif r0 s< 0 goto allow\n\
             r0 &= {mask:#x}\nif r0 == {value:#x} goto deny\nallow:\nr0 = 0\nexit\ndeny:\nr0 = 1\nexit\n"
        );
        Rule::new(name, "FS", &body)
    }

    /// Denies these actions whatever the object, in the course of one system call.
    pub fn during(name: &str, actions: u32, syscall: u32) -> Rule {
        let body = format!(
            "r2 = *(u64 *)(r1 + 24)\nr3 = *(u64 *)(r1 + 40)\nr0 = 0\nif r3 != {syscall} goto out\n\
             if r2 & {actions:#x} goto deny\nout:\nexit\ndeny:\nr0 = 1\nexit\n"
        );
        Rule::new(name, "FS", &body)
    }

    /// Denies to map one file of the playground, by whatever name or descriptor.
    pub fn on_mapping(file: &'static str) -> Rule {
        let text = ".rule mapping\n.event MMAP_FILE\n.license \"Dual MIT/GPL\"\n.map list fs 1\n\
                    r4 = *(u64 *)(r1 + 8)\nr1 = 2\nr2 = map list\nr3 = 1\ncall cmp_fs_prop\nif r0 == 0 goto deny\n\
                    r0 = 0\nexit\ndeny:\nr0 = 1\nexit\n";
        Rule { name: "mapping".to_owned(), text: text.to_owned(), handle: Some(file) }
    }

    /// Denies a command of a sub-event (`FS_IOCTL`, `FS_LOCK`, `FS_FCNTL`).
    pub fn on_command(name: &str, event: &str, command: u32) -> Rule {
        let body = format!(
            "r2 = *(u64 *)(r1 + 24)\nr0 = 0\nif r2 == {command:#x} goto deny\nexit\ndeny:\nr0 = 1\nexit\n"
        );
        Rule::new(name, event, &body)
    }

    /// Denies these actions whatever the object.
    pub fn always(name: &str, actions: u32) -> Rule {
        let body = format!(
            "r2 = *(u64 *)(r1 + 24)\nr0 = 0\nif r2 & {actions:#x} goto deny\nexit\ndeny:\nr0 = 1\nexit\n"
        );
        Rule::new(name, "FS", &body)
    }

    /// Rules of every event that look at the mode of every object and deny none that exists: no verdict can be
    /// known beforehand, so every operation has to be decided when it happens.
    pub fn transparent() -> [Rule; 4] {
        let body = "r1 = *(u64 *)(r1 + 16)\ncall handle_fs_get_mode\nif r0 == 0x8e53 goto deny\nr0 = 0\nexit\n\
                    deny:\nr0 = 1\nexit\n";
        ["FS", "FS_IOCTL", "FS_LOCK", "FS_FCNTL"]
            .map(|event| Rule::new(&format!("transparent_{event}"), event, body))
    }

    fn new(name: &str, event: &str, body: &str) -> Rule {
        let text = format!(".rule {name}\n.event {event}\n.license \"Dual MIT/GPL\"\n{body}");
        Rule { name: name.to_owned(), text, handle: None }
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Outcome {
    pub stdout: String,
    pub stderr: String,
    pub code: Option<i32>,
    pub denials: Vec<Value>,
}

impl Outcome {
    pub fn of(output: Output, denials: Vec<Value>) -> Outcome {
        Outcome {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code(),
            denials,
        }
    }

    /// Whether a denial names this hook and this rule.
    pub fn denied(&self, hook: &str, rule: &str) -> bool {
        self.denials.iter().any(|denial| denial["hook"] == hook && denial["rule"]["name"] == rule)
    }
}

/// A directory of files to attack, for one test.
pub struct Playground {
    directory: tempfile::TempDir,
    user: User,
}

const NOBODY: u32 = 65534;
/// What is in the file nobody is to get at.
pub const TOKEN: &str = "the crown jewels";
/// Mode of that file: a regular file with the sticky bit.
pub const SECRET: u32 = 0o101_600;
/// Mode of a directory that is special in the same way.
pub const VAULT: u32 = 0o041_700;
/// Mode of a program that is.
pub const PROGRAM: u32 = 0o101_755;
/// All of a mode.
pub const WHOLE: u32 = 0o177_777;

impl Playground {
    /// A fresh one that belongs to `user`.
    pub fn new(user: User) -> Playground {
        let directory =
            tempfile::Builder::new().prefix("landlock-test-").tempdir().expect("temporary directory");
        let playground = Playground { directory, user };
        playground.own(playground.path());
        playground.chmod(playground.path(), 0o755);
        playground
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A file with this content and these permissions.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, content).expect("write");
        self.own(&path);
        self.chmod(&path, mode);
        path
    }

    /// A program with these permissions, copied by a process of its own: were it open for writing here, what other tests
    /// start meanwhile could hold it open a moment longer, and nobody executes it then (`ETXTBSY`).
    pub fn program(&self, name: &str, from: impl AsRef<Path>, mode: u32) -> PathBuf {
        let path = self.path().join(name);
        let copied = Command::new("cp").arg(from.as_ref()).arg(&path).status().expect("cp");
        assert!(copied.success(), "copy of {}", from.as_ref().display());
        self.chmod(&path, mode);
        path
    }

    /// A directory with these permissions.
    pub fn directory(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir(&path).expect("mkdir");
        self.own(&path);
        self.chmod(&path, mode);
        path
    }

    /// Changes the permissions of something here.
    pub fn restrict(&self, name: &str, mode: u32) {
        self.chmod(&self.path().join(name), mode);
    }

    fn own(&self, path: &Path) {
        if self.user == User::Nobody {
            chown(path, Some(NOBODY), Some(NOBODY)).expect("only root can run tests as another user");
        }
    }

    fn chmod(&self, path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
    }

    /// A command that starts here as the user, not confined.
    pub fn plain(&self, command: &[&str]) -> Command {
        self.started(&[self.identity(), &LIMITED, command].concat())
    }

    /// What makes the command that follows the user's.
    fn identity(&self) -> &'static [&'static str] {
        match self.user {
            User::Ours => &[],
            User::Contained => &["unshare", "--pid", "--fork", "--mount-proc"],
            User::Nobody => &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"],
        }
    }

    fn started(&self, words: &[&str]) -> Command {
        let mut built = Command::new(words[0]);
        built.args(&words[1..]).current_dir(self.path()).stdin(Stdio::null());
        built.env("HOME", self.path()).env("TMPDIR", self.path()).env("LC_ALL", "C.UTF-8");
        built
    }

    /// The same under rules.
    pub fn confined(&self, rules: &[Rule], command: &[&str]) -> Command {
        let target = Target::of_this_run();
        let landlock = self.landlock();
        let log = self.log();
        let mut words = vec![landlock.to_str().expect("UTF-8"), "run", "--target", target.name()];
        words.extend(["--log", log.to_str().expect("UTF-8")]);
        let filter = self.filter();
        if rules.iter().any(|rule| rule.handle.is_some()) {
            words.push(&filter);
        }
        let files: Vec<String> = rules.iter().map(|rule| self.rule_file(rule)).collect();
        words.extend(files.iter().flat_map(|file| ["--rule", file.as_str()]));
        let handles: Vec<String> = rules.iter().filter_map(|rule| self.handle(rule)).collect();
        words.extend(handles.iter().map(String::as_str));
        words.push("--");
        match target {
            Target::Supervisor => self.plain(&[&words, command].concat()),
            // It takes privileges, which the command then gives up.
            Target::Kernel => {
                keep_hooks_attached();
                self.started(&[&LIMITED, words.as_slice(), self.identity(), command].concat())
            }
        }
    }

    /// The program under test, where the user can reach it.
    fn landlock(&self) -> PathBuf {
        let built = std::env::var_os("LANDLOCK").unwrap_or_else(|| env!("CARGO_BIN_EXE_landlock").into());
        let built = PathBuf::from(built);
        if self.user != User::Nobody || Target::of_this_run() == Target::Kernel {
            return built;
        }
        let copy = self.path().join("landlock");
        if !copy.exists() {
            self.program("landlock", &built, 0o755);
        }
        copy
    }

    /// What makes rules tied to a hook heard: a filter that hands cookie 1 on at every system call.
    fn filter(&self) -> String {
        let filter = self.file("filter", *b"\x06\0\0\0\x01\0\x07\0", 0o644);
        format!("--filter={}", filter.display())
    }

    /// What a rule is about, put into its map.
    fn handle(&self, rule: &Rule) -> Option<String> {
        Some(format!("--handle=list={}", self.path().join(rule.handle?).display()))
    }

    fn rule_file(&self, rule: &Rule) -> String {
        let path = self.path().join(format!("{}.s", rule.name));
        fs::write(&path, &rule.text).expect("rule");
        path.to_str().expect("UTF-8").to_owned()
    }

    fn log(&self) -> PathBuf {
        self.path().join("denials")
    }

    /// Runs a command of [`Playground::plain`] or [`Playground::confined`] to its end.
    pub fn run(&self, mut command: Command) -> Outcome {
        let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("start");
        Outcome::of(output, self.denials())
    }

    /// Every denial so far.
    pub fn denials(&self) -> Vec<Value> {
        let mut text = String::new();
        if let Ok(mut log) = fs::File::open(self.log()) {
            log.read_to_string(&mut text).expect("log");
        }
        text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }
}

/// The kernel takes seconds to attach and detach what each sandbox needs. One that needs all of it, and ends with
/// this process, spares the others that.
fn keep_hooks_attached() {
    static KEPT: OnceLock<Child> = OnceLock::new();
    KEPT.get_or_init(|| {
        let playground = Playground::new(User::Ours);
        let files = Rule::transparent().map(|rule| playground.rule_file(&rule));
        let mut run = Command::new(playground.landlock());
        run.args(["run", "--target", "kernel"]).args(files.iter().flat_map(|file| ["--rule", file]));
        run.args(["--", "sh", "-c", "echo; exec cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut kept = run.spawn().expect("start");
        let ready = kept.stdout.as_mut().expect("piped").read(&mut [0]).expect("read");
        assert_eq!(ready, 1, "the first sandbox did not start");
        kept
    });
}

/// Starts a command that counts as hanging after five minutes.
const LIMITED: [&str; 3] = ["timeout", "--kill-after=5", "300"];
