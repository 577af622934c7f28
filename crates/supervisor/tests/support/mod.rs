// SPDX-License-Identifier: MIT OR Apache-2.0
//! Running real programs, plain and confined, and comparing what a user could see.
#![allow(dead_code, reason = "every test file uses its own part")]

mod limit;

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use rustix::process::Pid;

/// A folder of its own for one test.
pub struct Bench {
    dir: tempfile::TempDir,
    _limit: limit::Limit,
}

/// What came of a command.
#[derive(Debug)]
pub struct Outcome {
    /// Exit code; 128 + n for signal n.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    /// One for each line of the log.
    pub denials: Vec<serde_json::Value>,
}

/// Denies executing and mapping regular files whose mode has the sticky bit.
pub const NO_STICKY_PROGRAMS: &str = "
.rule no_sticky_programs
.event FS
.license \"GPL\"
    r2 = *(u64 *)(r1 + 24)
    r0 = 0
    if r2 & 1 goto executes
    exit
executes:
    r1 = *(u64 *)(r1 + 16)
    call handle_fs_get_mode
    r0 &= 0xf200
    if r0 == 0x8200 goto deny
    r0 = 0
    exit
deny:
    r0 = 1
    exit
";

/// Denies nothing that exists, and yet everything that can be asked has to be asked: only the mode tells.
pub const TRANSPARENT: &str = "
.rule transparent
.event FS
.license \"GPL\"
    r1 = *(u64 *)(r1 + 16)
    call handle_fs_get_mode
    if r0 == 0x8e53 goto deny
    r0 = 0
    exit
deny:
    r0 = 1
    exit
";

/// A rule of event FS with this body; `r6` holds the actions, `r0` the mode, or a negative number for a name without
/// an object. Label `deny` denies, `allow` allows.
pub fn rule(name: &str, body: &str) -> String {
    format!(
        ".rule {name}\n.event FS\n.license \"GPL\"\n\
         r6 = *(u64 *)(r1 + 24)\nr1 = *(u64 *)(r1 + 16)\ncall handle_fs_get_mode\n{body}\n\
         allow:\nr0 = 0\nexit\ndeny:\nr0 = 1\nexit\n"
    )
}

/// Like [`TRANSPARENT`], but whatever the type: nothing has permissions 07123, unless a test gives them.
pub fn transparent_for_all_types() -> String {
    rule("transparent_for_all_types", "r0 &= 0xfff\nif r0 == 0xe53 goto deny")
}

/// Like [`transparent_for_all_types`], but walks are the kernel's, so that `O_PATH` passes.
pub fn transparent_but_for_walks() -> String {
    let body = format!("{BUT_FOR_WALKS}r0 &= 0xfff\nif r0 == 0xe53 goto deny");
    rule("transparent_but_for_walks", &body)
}

/// First lines of a body that does not deny walking through directories and following links.
pub const BUT_FOR_WALKS: &str = "
    r1 = r0
    r1 &= 0xf000
    if r1 == 0xa000 goto allow
    if r1 != 0x4000 goto other
    if r6 & 1 goto allow
other:
";

/// Denies every question with one of `actions` about objects with permissions 07123.
pub fn deny_marked(actions: u32) -> String {
    rule("deny_marked", &format!("r0 &= 0xfff\nif r0 != 0xe53 goto allow\nif r6 & {actions} goto deny"))
}

impl Outcome {
    /// What the command printed; fails the test unless it succeeded.
    pub fn printed(&self) -> &str {
        assert_eq!(self.code, 0, "{self:#?}");
        &self.stdout
    }

    /// Whether a denial has this syscall, hook and action.
    pub fn denied(&self, syscall: &str, hook: &str, action: &str) -> bool {
        self.denials.iter().any(|denial| {
            denial["syscall"] == syscall && denial["hook"] == hook && denial["action"] == action
        })
    }
}

impl Bench {
    pub fn new() -> Bench {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let _limit = limit::Limit::new(dir.path());
        Bench { dir, _limit }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file and sets its mode.
    pub fn file(&self, name: &str, mode: u32, content: impl AsRef<[u8]>) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        match mode & 0o111 {
            0 => std::fs::write(&path, content).expect("write a file"),
            _ => write_program(&path, content.as_ref()),
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("chmod");
        path
    }

    /// A rule file.
    pub fn rule(&self, name: &str, text: &str) -> PathBuf {
        self.file(&format!("{name}.s"), 0o644, text)
    }

    /// Compiles `tests/probes/NAME.c`.
    pub fn probe(&self, name: &str, options: &[&str]) -> PathBuf {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/probes").join(format!("{name}.c"));
        let binary = self.path(name);
        let cc = Command::new("cc")
            .args(["-O1", "-Wall", "-pthread", "-o"])
            .args([binary.as_os_str(), source.as_os_str()])
            .args(options)
            .output()
            .expect("the tests need a C compiler, cc");
        assert!(cc.status.success(), "{}", String::from_utf8_lossy(&cc.stderr));
        binary
    }

    /// A command in the folder, without a sandbox.
    pub fn plain(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    /// The same command with rules in force.
    pub fn confined(&self, rules: &[&Path], program: impl AsRef<OsStr>) -> Command {
        let mut command = self.plain(driver());
        command.arg(self.log()).args(rules).arg("--").arg(program);
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, command: &mut Command) -> Outcome {
        drop(std::fs::remove_file(self.log()));
        let output = command.output().expect("start a command");
        self.outcome(output)
    }

    fn outcome(&self, output: Output) -> Outcome {
        use std::os::unix::process::ExitStatusExt;
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Outcome {
            code: output.status.code().or(output.status.signal().map(|signal| 128 + signal)).expect("an end"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            denials: self.denials(),
        }
    }

    /// What has been refused so far.
    pub fn denials(&self) -> Vec<serde_json::Value> {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        log.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }

    fn log(&self) -> PathBuf {
        self.path("log")
    }
}

/// Writes what is to be executed, by a process of its own: were it open for writing here, what other tests start meanwhile
/// could hold it open a moment longer, and nobody executes it then (`ETXTBSY`).
fn write_program(path: &Path, content: &[u8]) {
    let mut cat = Command::new("sh");
    cat.args(["-c", "exec cat > \"$0\""]).arg(path).stdin(Stdio::piped());
    let mut cat = cat.spawn().expect("sh");
    cat.stdin.take().expect("a pipe").write_all(content).expect("write a program");
    assert!(cat.wait().expect("wait").success(), "cannot write {}", path.display());
}

/// Waits until `so`, for minutes: machines can be loaded.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(200), "it never comes about that {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The letter the kernel has for what a process does: S sleeps, T is stopped; none for one that is gone.
pub fn state(pid: Pid) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit(") ").next().unwrap_or_default();
    after.chars().take(1).collect()
}

/// The only child of a process, once there is one.
pub fn child_of(pid: &str) -> String {
    let mut child = None;
    until("it has a child", || {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("children");
        child = children.split_whitespace().next().map(str::to_owned);
        child.is_some()
    });
    child.expect("a child")
}

/// `examples/confine.rs`. Cargo builds it with all tests, but not with one alone, so it is made sure of here.
pub fn driver() -> PathBuf {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--example", "confine", "--profile", profile])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(built.is_ok_and(|status| status.success()), "cannot build the example `confine`");
    });
    let test = std::env::current_exe().expect("our own path");
    test.parent().and_then(Path::parent).expect("a target folder").join("examples/confine")
}
