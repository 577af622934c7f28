// SPDX-License-Identifier: MIT OR Apache-2.0
//! A small userland for the guest, taken from this machine as it is: tools that busybox lacks or has in another
//! form, Python, and the libraries all of it needs. It comes before busybox's own.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::cpio::Tree;
use super::debian::output;

/// From coreutils, dash, util-linux and attr.
const TOOLS: [&str; 14] = [
    "sh", "cat", "cp", "env", "id", "kill", "mkdir", "rm", "setfattr", "setpriv", "sleep", "timeout", "true",
    "unshare",
];
const FOLDERS: [&str; 2] = ["/usr/bin", "/bin"];
const PYTHON: &str = "/usr/bin/python3";
/// Says which files some modules and what they import are made of, and compiles those into a folder.
const MODULES: &str = include_str!("userland.py");

/// Adds the userland.
pub fn add(tree: &mut Tree) -> Result<()> {
    let compiled = tempfile::tempdir()?;
    let mut files = vec![(PYTHON.into(), "bin/python3".to_owned())];
    for name in TOOLS {
        let program = FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists());
        let program = program.with_context(|| format!("--userland: this machine has no {name}"))?;
        files.push((program, format!("bin/{name}")));
    }
    let mut python = Command::new(PYTHON);
    for line in output(python.args(["-B", "-S", "-c", MODULES]).arg(compiled.path()))?.lines() {
        let (from, to) = line.split_once('\t').context("userland.py speaks in pairs")?;
        files.push((from.into(), to.to_owned()));
    }
    let mut binaries = Vec::new();
    for (from, to) in files {
        if add_file(tree, &from, &to)?.starts_with(b"\x7fELF") {
            binaries.push(from);
        }
    }
    for library in libraries(&binaries)? {
        add_file(tree, Path::new(&library), &library)?;
    }
    Ok(())
}

/// Copies a file, whatever it is a link to.
fn add_file(tree: &mut Tree, from: &Path, to: &str) -> Result<Vec<u8>> {
    let content = std::fs::read(from).with_context(|| from.display().to_string())?;
    tree.file(to, from.metadata()?.permissions().mode() & 0o777, content.clone());
    Ok(content)
}

/// Where the loader finds what these need, and the loader itself.
fn libraries(binaries: &[PathBuf]) -> Result<Vec<String>> {
    let said = output(Command::new("ldd").args(binaries).env("LC_ALL", "C"))?;
    let mut found: Vec<String> = said
        .split_whitespace()
        .filter(|word| word.starts_with('/') && !word.ends_with(':'))
        .map(str::to_owned)
        .collect();
    found.sort();
    found.dedup();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is in the tree is enough, as chroot(2) would show; here, without privileges, the loader does.
    #[test]
    fn nothing_is_missing() {
        let mut tree = Tree::default();
        add(&mut tree).unwrap();
        for path in ["bin/sh", "bin/python3", "/lib64/ld-linux-x86-64.so.2"] {
            assert!(tree.contains(path), "{path}");
        }
        let names: Vec<&str> = tree.entries().map(|(path, _)| path).collect();
        for part in ["/libc.so.6", "/libffi.so", "/subprocess.py", "/subprocess.cpython", "/_ctypes.cpython"]
        {
            assert!(names.iter().any(|name| name.contains(part)), "{part} is not among {names:?}");
        }
    }
}
