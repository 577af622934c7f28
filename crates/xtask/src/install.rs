// SPDX-License-Identifier: MIT OR Apache-2.0
//! Installing what users have of the project: the commands, units for the daemon, the C library, man pages, rules.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo;

/// `cargo xtask install`.
#[derive(clap::Args, Debug)]
pub struct Options {
    /// Where it will be found: what the installed files say of their places
    #[arg(long, value_name = "FOLDER", default_value = "/usr/local")]
    prefix: PathBuf,
    /// Put before every path, for packages: the files go to FOLDER/PREFIX
    #[arg(long, value_name = "FOLDER")]
    destdir: Option<PathBuf>,
    /// Build without optimisation
    #[arg(long)]
    debug: bool,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Of the C library: in its name as the loader knows it.
const MAJOR: &str = env!("CARGO_PKG_VERSION_MAJOR");
/// The programs users have, by the names cargo builds them under.
const PROGRAMS: [&str; 2] = ["landlock", "landlockd"];
/// Where the units in the repository say that the daemon is.
const DAEMON: &str = "/usr/bin/landlockd";

/// Builds and installs, and names each file.
pub fn run(options: &Options) -> Result<()> {
    for file in install(options)? {
        println!("{}", file.display());
    }
    Ok(())
}

fn install(options: &Options) -> Result<Vec<PathBuf>> {
    if !options.prefix.is_absolute() {
        bail!("--prefix {} is not an absolute path", options.prefix.display());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut to = Installation::below(options);
    for program in cargo::build(&PROGRAMS.map(str::to_owned), &[], !options.debug)? {
        to.file(&program.path, &format!("bin/{}", program.name), PROGRAM_MODE)?;
    }
    let prefix = options.prefix.to_str().context("--prefix is not UTF-8")?;
    for unit in files(&root.join("crates/daemon/systemd"))? {
        let text = std::fs::read_to_string(&unit)?.replace(DAEMON, &format!("{prefix}/bin/landlockd"));
        to.text(&text, &format!("lib/systemd/system/{}", name(&unit)?))?;
    }
    library(&mut to, &build_library(options.debug)?)?;
    for header in files(&root.join("include/landlock"))? {
        to.file(&header, &format!("include/landlock/{}", name(&header)?), DATA_MODE)?;
    }
    let described = std::fs::read_to_string(root.join("crates/capi/landlock-ebpf.pc.in"))?;
    let described = described.replace("@prefix@", prefix).replace("@version@", VERSION);
    to.text(&described, "lib/pkgconfig/landlock-ebpf.pc")?;
    for page in files(&root.join("man"))? {
        let section =
            page.extension().and_then(|section| section.to_str()).context("a page has a section")?;
        to.file(&page, &format!("share/man/man{section}/{}", name(&page)?), DATA_MODE)?;
    }
    for rule in files(&root.join("rules"))? {
        to.file(&rule, &format!("share/landlock/rules/{}", name(&rule)?), DATA_MODE)?;
    }
    Ok(to.made)
}

fn library(to: &mut Installation, built: &Path) -> Result<()> {
    let full = format!("liblandlock-ebpf.so.{VERSION}");
    let soname = format!("liblandlock-ebpf.so.{MAJOR}");
    to.file(&built.join("liblandlock_ebpf.so"), &format!("lib/{full}"), PROGRAM_MODE)?;
    to.link(&full, &format!("lib/{soname}"))?;
    to.link(&soname, "lib/liblandlock-ebpf.so")?;
    to.file(&built.join("liblandlock_ebpf.a"), "lib/liblandlock-ebpf.a", DATA_MODE)
}

/// The folder with what cargo has built.
fn build_library(debug: bool) -> Result<PathBuf> {
    const PACKAGE: &str = "landlock-capi";
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--locked", "--package", PACKAGE])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    if !cargo.args((!debug).then_some("--release")).status()?.success() {
        bail!("cargo could not build {PACKAGE}");
    }
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--no-deps", "--format-version=1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout)?;
    let target = metadata["target_directory"].as_str().context("cargo does not tell its target folder")?;
    Ok(Path::new(target).join(if debug { "debug" } else { "release" }))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    Ok(files)
}

fn name(path: &Path) -> Result<&str> {
    path.file_name().and_then(|name| name.to_str()).with_context(|| path.display().to_string())
}

const PROGRAM_MODE: u32 = 0o755;
const DATA_MODE: u32 = 0o644;

/// Where files go, and those that went there.
struct Installation {
    folder: PathBuf,
    made: Vec<PathBuf>,
}

impl Installation {
    fn below(options: &Options) -> Installation {
        let folder = match (&options.destdir, options.prefix.strip_prefix("/")) {
            (Some(destdir), Ok(prefix)) => destdir.join(prefix),
            _ => options.prefix.clone(),
        };
        Installation { folder, made: Vec::new() }
    }

    /// A place for a new file. What is there is replaced, not written into: somebody may be running it.
    fn place(&mut self, at: &str) -> Result<PathBuf> {
        let path = self.folder.join(at);
        std::fs::create_dir_all(path.parent().context("a folder")?)
            .with_context(|| format!("cannot make the folder of {}", path.display()))?;
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot replace {}", path.display()));
            }
            _ => self.made.push(path.clone()),
        }
        Ok(path)
    }

    fn file(&mut self, from: &Path, at: &str, mode: u32) -> Result<()> {
        let path = self.place(at)?;
        std::fs::copy(from, &path)
            .with_context(|| format!("cannot copy {} to {}", from.display(), path.display()))?;
        Ok(std::fs::set_permissions(&path, PermissionsExt::from_mode(mode))?)
    }

    fn text(&mut self, text: &str, at: &str) -> Result<()> {
        let path = self.place(at)?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    fn link(&mut self, target: &str, at: &str) -> Result<()> {
        let path = self.place(at)?;
        symlink(target, &path).with_context(|| format!("cannot link {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &str = r#"
        #include <errno.h>
        #include <landlock/landlock.h>
        int main(void) {
            struct landlock_load_attr attr = {.prog_type = LANDLOCK_PROG_TYPE_RULE};
            return !(landlock_load(&attr, sizeof attr) == -1 && errno == EFAULT);
        }
    "#;

    fn words(command: &mut Command) -> Vec<String> {
        let output =
            command.output().expect("the tests need cc, and pkg-config of the Debian package pkgconf");
        assert!(output.status.success(), "{command:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().split_whitespace().map(str::to_owned).collect()
    }

    /// As a user of the library would, from nothing but the installed files.
    #[test]
    fn a_program_is_compiled_and_run_with_what_is_installed() {
        let folder = tempfile::tempdir().unwrap();
        let prefix = folder.path().join("prefix");
        let options = Options { prefix: prefix.clone(), destdir: None, debug: true };
        let made = install(&options).unwrap();
        for expected in ["lib/liblandlock-ebpf.so", "share/man/man1/landlock.1", "share/man/man8/landlockd.8"]
        {
            assert!(made.contains(&prefix.join(expected)), "{expected}: {made:?}");
        }
        for command in ["bin/landlock", "bin/landlockd"] {
            assert!(Command::new(prefix.join(command)).arg("--version").status().unwrap().success());
        }
        // Again, over what is there.
        assert_eq!(install(&options).unwrap(), made);

        let source = folder.path().join("program.c");
        std::fs::write(&source, PROGRAM).unwrap();
        for linked in ["", "-static"] {
            let mut pkg_config = Command::new("pkg-config");
            pkg_config.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")).args(["--cflags", "--libs"]);
            if !linked.is_empty() {
                pkg_config.arg("--static");
            }
            let flags = words(pkg_config.arg("landlock-ebpf"));
            let program = folder.path().join(format!("program{linked}"));
            let mut cc = Command::new("cc");
            cc.args(["-Wall", "-Werror", "-o"]).args([&program, &source]);
            words(cc.args(Some(linked).filter(|option| !option.is_empty())).args(flags));
            let found = prefix.join("lib");
            let mut run = Command::new(&program);
            if linked.is_empty() {
                // Not without it: the shared library is what is used.
                assert!(!run.env_remove("LD_LIBRARY_PATH").status().unwrap().success());
                run.env("LD_LIBRARY_PATH", found);
            }
            assert!(run.status().unwrap().success(), "{linked}");
        }
    }

    #[test]
    fn a_package_is_made_below_another_folder() {
        let folder = tempfile::tempdir().unwrap();
        let destdir = Some(folder.path().to_owned());
        let options = Options { prefix: "/opt/landlock".into(), destdir, debug: true };
        install(&options).unwrap();
        let described = folder.path().join("opt/landlock/lib/pkgconfig/landlock-ebpf.pc");
        let described = std::fs::read_to_string(described).unwrap();
        let unit = folder.path().join("opt/landlock/lib/systemd/system/landlockd.service");
        let unit = std::fs::read_to_string(unit).unwrap();
        assert!(unit.contains("\nExecStart=/opt/landlock/bin/landlockd\n"), "{unit}");
        assert!(described.starts_with("prefix=/opt/landlock\n"), "{described}");
        assert!(
            !described.contains('@') && described.contains(&format!("Version: {VERSION}\n")),
            "{described}"
        );
    }
}
