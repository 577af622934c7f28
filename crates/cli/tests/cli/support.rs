// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting the built command, and folders for it to work in.

#[path = "../../../supervisor/tests/support/limit.rs"]
mod limit;

use std::ffi::OsStr;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The built `landlock`.
pub const LANDLOCK: &str = env!("CARGO_BIN_EXE_landlock");

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A rule the project ships.
pub fn shipped(name: &str) -> PathBuf {
    let rule = root().join("rules").join(name);
    assert!(rule.is_file(), "no rule {}", rule.display());
    rule
}

/// All of them.
pub fn all_shipped() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("rules")).unwrap();
    let mut rules: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    rules.sort();
    assert!(rules.len() >= 9, "found only {rules:?}");
    rules
}

/// A rule in C for one event, with this body; `ctx` is its context.
pub fn rule_in_c(event: &str, body: &str) -> String {
    format!(
        "#include <landlock/rule.h>\n\
         LANDLOCK_RULE(the_rule, {event}, 0)\n{{\n{body}\n}}\n\
         LANDLOCK_LICENSE(\"Dual MIT/GPL\");\n"
    )
}

/// A folder of its own, gone at the end of the test.
pub struct Folder {
    dir: tempfile::TempDir,
    _limit: limit::Limit,
}

impl Folder {
    pub fn new() -> Folder {
        let dir = tempfile::tempdir().unwrap();
        let _limit = limit::Limit::new(dir.path());
        Folder { dir, _limit }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file into it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The command, with this folder to work in.
    pub fn landlock(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ran {
        self.run(Command::new(LANDLOCK).args(arguments))
    }

    /// Any command, with this folder to work in.
    pub fn run(&self, command: &mut Command) -> Ran {
        Ran::of(command.current_dir(self.dir.path()).stdin(Stdio::null()))
    }

    /// A shell script under rules.
    pub fn confined_script(&self, rules: &[&Path], script: &str) -> Ran {
        let rules = rules.iter().flat_map(|rule| [OsStr::new("--rule"), rule.as_os_str()]);
        let shell = ["--", "sh", "-c", script].map(OsStr::new);
        self.landlock(std::iter::once(OsStr::new("run")).chain(rules).chain(shell))
    }

    /// The same script without any.
    pub fn free_script(&self, script: &str) -> Ran {
        self.run(Command::new("sh").args(["-c", script]))
    }
}

/// What a command did.
pub struct Ran {
    command: String,
    output: Output,
}

impl Ran {
    pub fn of(command: &mut Command) -> Ran {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Ran { command: format!("{command:?}"), output }
    }

    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Ran {
        assert_eq!(self.output.status.code(), Some(code), "{self}");
        self
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Ran {
        assert!(self.stdout().contains(text), "no {text:?} on stdout of {self}");
        self
    }

    #[track_caller]
    pub fn prints(self, text: &str) -> Ran {
        assert_eq!(self.stdout(), text, "{self}");
        self
    }

    #[track_caller]
    pub fn complains(self, text: &str) -> Ran {
        assert!(self.stderr().contains(text), "no {text:?} on stderr of {self}");
        self
    }

    #[track_caller]
    pub fn quiet(self) -> Ran {
        assert_eq!(self.stderr(), "", "{self}");
        self
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Output { status, .. } = &self.output;
        write!(f, "{}\n{status}\nstdout:\n{}\nstderr:\n{}", self.command, self.stdout(), self.stderr())
    }
}

/// A C program built from `source`.
pub fn compile(folder: &Folder, name: &str, source: &str) -> PathBuf {
    let program = folder.path(name);
    let mut compiler = Command::new("cc");
    compiler.args(["-Wall", "-Werror", "-O1", "-x", "c", "-", "-o"]).arg(&program);
    let mut compiler = compiler.stdin(Stdio::piped()).spawn().expect("this test needs cc (package `gcc`)");
    compiler.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
    assert!(compiler.wait().unwrap().success(), "cc refused {name}");
    program
}

/// A filter that says `said` of system call `nr` and ALLOW of others, as the file libseccomp exports.
pub fn filter(nr: u32, said: u32) -> Vec<u8> {
    let insn = |code: u16, jt: u8, jf: u8, k: u32| {
        let mut bytes = code.to_le_bytes().to_vec();
        bytes.extend([jt, jf]);
        bytes.extend(k.to_le_bytes());
        bytes
    };
    [insn(0x20, 0, 0, 0), insn(0x15, 0, 1, nr), insn(0x06, 0, 0, said), insn(0x06, 0, 0, 0x7fff_0000)]
        .concat()
}
