// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules from C: finds clang, gives it `<landlock/rule.h>` and the right flags, and checks what it made.
//!
//! The header is part of this binary and is written to a private folder for the time of a build, so a
//! single installed program works anywhere. Functions that nothing uses are an error: a rule whose author
//! forgot its section would otherwise vanish without a word.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io};

use thiserror::Error;

use crate::elf::{ReadError, read_elf};
use crate::read::name_after;
use crate::verify::{Loader, Problems, verify_newest};

/// The header for rule authors, `<landlock/rule.h>`.
pub const HEADER: &str = include_str!("../../../include/landlock/rule.h");
/// Environment variable that names the clang to use.
pub const CLANG_VARIABLE: &str = "LANDLOCK_CLANG";
/// Most bytes of a compiler's messages that are passed on.
const MAX_MESSAGES: usize = 64 << 10;

/// Why a rule could not be built.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No clang on this machine.
    #[error(
        "no clang found: install it (package `clang`, 14 or newer), name one in {CLANG_VARIABLE}, \
         or use a rule that is already built (.o) or written in assembly (.s)"
    )]
    NoClang,
    /// The source, the output or a temporary file.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What happened to it.
        error: io::Error,
    },
    /// The compiler did not start.
    #[error("cannot run {}: {error}", program.display())]
    Start {
        /// Which compiler.
        program: OsString,
        /// What happened.
        error: io::Error,
    },
    /// The compiler refused the source.
    #[error("{} refused the rule:\n{}", program.display(), messages.trim_end())]
    Compile {
        /// Which compiler.
        program: OsString,
        /// What it said.
        messages: String,
    },
    /// The compiler was content, but the object does not hold rules.
    #[error("{}: {error}{}", source_file.display(), help(.error))]
    Object {
        /// The rule's source.
        source_file: PathBuf,
        /// What is wrong with the object.
        error: ReadError,
    },
    /// Rules the verifier refuses.
    #[error("{}", .0.iter().map(Problems::to_string).collect::<Vec<_>>().join("\n"))]
    Refused(Vec<Problems>),
}

fn help(error: &ReadError) -> String {
    error.help().map(|help| format!("\nhelp: {help}")).unwrap_or_default()
}

/// Builds the rules of a C file into an ELF object; writes it to `output`, if given, once the verifier has
/// accepted every rule. Abilities are granted: they are the loader's to have, not the builder's.
///
/// # Errors
/// No clang, messages of the compiler, or an object that does not hold good rules.
pub fn build(source: &Path, output: Option<&Path>) -> Result<Vec<u8>, BuildError> {
    let object = Clang::find()?.compile(source)?;
    let mut rules =
        read_elf(&object).map_err(|error| BuildError::Object { source_file: source.to_owned(), error })?;
    name_after(source, &mut rules);
    let verdicts = rules.into_iter().map(|rule| verify_newest(rule, &Loader { cap_sys_admin: true }));
    let problems: Vec<Problems> = verdicts.filter_map(Result::err).collect();
    if !problems.is_empty() {
        return Err(BuildError::Refused(problems));
    }
    if let Some(output) = output {
        fs::write(output, &object).map_err(io_error(output))?;
    }
    Ok(object)
}

/// A C compiler that can make eBPF.
#[derive(Clone, Debug)]
pub struct Clang {
    program: OsString,
}

impl Clang {
    /// The clang [`CLANG_VARIABLE`] names; else `clang`, or the newest of `clang-19` to `clang-14`, in `PATH`.
    ///
    /// # Errors
    /// [`BuildError::NoClang`].
    pub fn find() -> Result<Clang, BuildError> {
        if let Some(program) = env::var_os(CLANG_VARIABLE).filter(|name| !name.is_empty()) {
            return Ok(Clang { program });
        }
        let numbered = (14..=19).rev().map(|version| format!("clang-{version}"));
        let mut names = std::iter::once("clang".to_owned()).chain(numbered);
        let found = names.find(|name| in_path(name)).ok_or(BuildError::NoClang)?;
        Ok(Clang { program: found.into() })
    }

    /// A particular one, by path or name.
    pub fn named(program: impl Into<OsString>) -> Clang {
        Clang { program: program.into() }
    }

    /// Compiles one C file to an ELF object, which nobody has looked at yet.
    ///
    /// # Errors
    /// Those of the compiler and of the file system.
    pub fn compile(&self, source: &Path) -> Result<Vec<u8>, BuildError> {
        fs::metadata(source).map_err(io_error(source))?;
        let private = tempfile::Builder::new().prefix("landlock-build-").tempdir();
        let private = private.map_err(io_error(&env::temp_dir()))?;
        let include = private.path().join("landlock");
        let header = include.join("rule.h");
        fs::create_dir(&include).map_err(io_error(&include))?;
        fs::write(&header, HEADER).map_err(io_error(&header))?;

        let object = private.path().join("rule.o");
        self.run(source, private.path(), &object)?;
        fs::read(&object).map_err(io_error(&object))
    }

    fn run(&self, source: &Path, include: &Path, object: &Path) -> Result<(), BuildError> {
        let mut command = Command::new(&self.program);
        command.args(["-target", "bpf", "-mcpu=v2", "-O2", "-g", "-Wall", "-Werror=unused-function"]);
        command.arg("-I").arg(include);
        // Debian keeps <asm/types.h>, which <linux/types.h> needs, where only native builds look.
        let native = format!("/usr/include/{}-linux-gnu", env::consts::ARCH);
        command.args([OsStr::new("-idirafter"), native.as_ref()]);
        command.arg("-o").arg(object).args(["-c", "-x", "c", "--"]).arg(source);
        let output = command.stdin(Stdio::null()).output();
        let output = output.map_err(|error| BuildError::Start { program: self.program.clone(), error })?;
        if output.status.success() {
            return Ok(());
        }
        let kept = &output.stderr[..output.stderr.len().min(MAX_MESSAGES)];
        let messages = match kept.is_empty() {
            true => output.status.to_string(),
            false => String::from_utf8_lossy(kept).into_owned(),
        };
        Err(BuildError::Compile { program: self.program.clone(), messages })
    }
}

fn in_path(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> BuildError {
    let path = path.to_owned();
    move |error| BuildError::Io { path, error }
}
