// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest's initramfs: busybox, `init.sh`, kernel modules, and what was asked to be copied in.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use object::read::elf::{FileHeader, ProgramHeader};

use super::cache::Parts;
use super::cargo::StaticBinary;
use super::cpio::Tree;
use super::{Options, modules, systemd, userland};

/// Where things are copied to unless told otherwise.
const TEST_FOLDER: &str = "test";
/// Without these the guest cannot speak to us.
const PORT_MODULES: [&str; 2] = ["virtio_pci", "virtio_console"];
const DISK_MODULE: &str = "virtio_blk";

/// One `--copy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyIn {
    from: PathBuf,
    to: String,
}

impl FromStr for CopyIn {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<CopyIn> {
        if let Some((from, to)) = text.split_once(':') {
            ensure!(to.starts_with('/'), "the path in the guest must start with /, not {to:?}");
            return Ok(CopyIn { from: from.into(), to: to.trim_matches('/').to_owned() });
        }
        let name = Path::new(text).file_name().and_then(|name| name.to_str());
        let name = name.with_context(|| format!("{text:?} does not end in a file name"))?;
        Ok(CopyIn { from: text.into(), to: format!("{TEST_FOLDER}/{name}") })
    }
}

/// The archive the kernel unpacks as its first root file system.
pub fn initramfs(parts: &Parts, options: &Options, binaries: &[StaticBinary]) -> Result<Vec<u8>> {
    let mut tree = skeleton();
    tree.file("bin/busybox", 0o755, std::fs::read(&parts.busybox)?);
    tree.file("init", 0o755, include_str!("init.sh"));
    let config = std::fs::read(&parts.kernel.config)?;
    tree.file(&format!("boot/config-{}", parts.kernel.release), 0o644, config);
    add_modules(&mut tree, parts, options)?;
    tree.file("guest/settings", 0o644, settings(&parts.kernel.release, options));
    tree.file("guest/requirements", 0o644, requirements(options));
    tree.file("guest/command", 0o644, command(options)?);
    for binary in binaries {
        tree.file(&format!("{TEST_FOLDER}/{}", binary.name), 0o755, std::fs::read(&binary.path)?);
    }
    for copy in &options.copy {
        add(&mut tree, &copy.from, &copy.to).with_context(|| format!("--copy {}", copy.from.display()))?;
    }
    if options.userland {
        userland::add(&mut tree)?;
    }
    if let Some(folder) = &parts.systemd {
        systemd::put(&mut tree, folder)?;
    }
    check_interpreters(&tree)?;
    tree.encode()
}

fn skeleton() -> Tree {
    let mut tree = Tree::default();
    for path in ["dev", "proc", "sys", "run", "mnt", "guest/root", "guest/modules", TEST_FOLDER] {
        tree.directory(path, 0o755);
    }
    tree.directory("tmp", 0o1777);
    tree.directory("root", 0o700);
    tree.directory("home/user", 0o777);
    for (link, target) in [("sbin", "bin"), ("usr/bin", "../bin"), ("usr/sbin", "../bin")] {
        tree.symlink(link, target);
    }
    tree.file("etc/passwd", 0o644, "root::0:0:root:/root:/bin/sh\nuser::1000:1000:user:/home/user:/bin/sh\n");
    tree.file("etc/group", 0o644, "root:x:0:\ntty:x:5:\nuser:x:1000:\n");
    tree.file("etc/hosts", 0o644, "127.0.0.1 localhost\n");
    tree
}

fn add_modules(tree: &mut Tree, parts: &Parts, options: &Options) -> Result<()> {
    let disk = options.disk.then_some(DISK_MODULE);
    let asked = options.module.iter().map(String::as_str);
    let names: Vec<&str> = PORT_MODULES.into_iter().chain(disk).chain(asked).collect();
    for (position, module) in modules::closure(&parts.kernel, &names)?.into_iter().enumerate() {
        tree.file(&format!("guest/modules/{position:03}-{}.ko", module.name), 0o644, module.object);
    }
    Ok(())
}

fn settings(release: &str, options: &Options) -> String {
    let disk = if options.disk { "yes" } else { "no" };
    let user = if options.user { "user" } else { "root" };
    let systemd = if options.systemd { "yes" } else { "no" };
    let release = quote(release);
    let processors = options.smp;
    format!("RELEASE={release}\nPROCESSORS={processors}\nDISK={disk}\nRUN_AS={user}\nSYSTEMD={systemd}\n")
}

fn requirements(options: &Options) -> String {
    options.require.iter().map(|requirement| requirement.check() + "\n").collect()
}

/// The shell script that becomes COMMAND.
fn command(options: &Options) -> Result<String> {
    let mut script = String::new();
    for variable in &options.env {
        let (name, value) = variable.split_once('=').context("--env wants NAME=VALUE")?;
        let valid = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
        ensure!(!name.is_empty() && name.bytes().all(valid), "--env: {name:?} is not a variable's name");
        script += &format!("export {name}={}\n", quote(value));
    }
    let words: Vec<String> = options.command.iter().map(|word| quote(word)).collect();
    Ok(format!("{script}exec {}\n", words.join(" ")))
}

/// One word, as the shell will read it back.
pub fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Adds a file or a folder with all in it.
pub fn add(tree: &mut Tree, from: &Path, to: &str) -> Result<()> {
    let metadata = from.metadata()?;
    if metadata.is_file() {
        tree.file(to, metadata.permissions().mode() & 0o7777, std::fs::read(from)?);
        return Ok(());
    }
    ensure!(metadata.is_dir(), "neither a file nor a directory");
    tree.directory(to, metadata.permissions().mode() & 0o7777);
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name().into_string();
        let name = name.map_err(|name| anyhow::anyhow!("name {} is not UTF-8", name.display()))?;
        let to = format!("{to}/{name}");
        match entry.file_type()?.is_symlink() {
            true => tree.symlink(&to, std::fs::read_link(entry.path())?.to_str().context("not UTF-8")?),
            false => add(tree, &entry.path(), &to)?,
        }
    }
    Ok(())
}

/// Refuses dynamically linked programs whose interpreter was not copied in as well: in the guest they
/// would fail with "not found", which says nothing.
fn check_interpreters(tree: &Tree) -> Result<()> {
    for (path, content) in tree.entries() {
        if let Some(interpreter) = interpreter(content)
            && !tree.contains(&interpreter)
        {
            bail!(
                "{path} is dynamically linked and the guest has no {interpreter}: build it with \
                 RUSTFLAGS=-Ctarget-feature=+crt-static, or use --cargo-bin or --cargo-test"
            );
        }
    }
    Ok(())
}

fn interpreter(content: &[u8]) -> Option<String> {
    use object::{Endianness, elf};
    let header = elf::FileHeader64::<Endianness>::parse(content).ok()?;
    let endian = header.endian().ok()?;
    let programs = header.program_headers(endian, content).ok()?;
    let path = programs.iter().find_map(|program| program.interpreter(endian, content).ok().flatten())?;
    Some(std::ffi::OsStr::from_bytes(path).to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_shell_reads_back_what_was_quoted() {
        for word in ["plain", "two words", "it's", "''", "$HOME `id` \\ \"", "a\nb", "", "*"] {
            let script = format!("printf %s {}", quote(word));
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }

    #[test]
    fn a_copy_goes_to_the_test_folder_or_where_it_is_told() {
        let copy = |text: &str| text.parse::<CopyIn>().map(|copy| copy.to);
        assert_eq!(copy("target/debug/x").unwrap(), "test/x");
        assert_eq!(copy("x:/etc/y").unwrap(), "etc/y");
        assert!(copy("x:etc/y").is_err());
        assert!(copy("/").is_err());
    }

    #[test]
    fn a_dynamically_linked_program_is_refused_unless_its_interpreter_comes_along() {
        let program = std::fs::read("/bin/sh").unwrap();
        let mut tree = Tree::default();
        tree.file("test/sh", 0o755, program.clone());
        let error = check_interpreters(&tree).unwrap_err().to_string();
        assert!(error.contains("dynamically linked"), "{error}");
        tree.file(&interpreter(&program).unwrap(), 0o755, "");
        check_interpreters(&tree).unwrap();
    }
}
