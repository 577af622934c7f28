// SPDX-License-Identifier: MIT OR Apache-2.0
//! A file tree and its encoding as a `newc` cpio archive, the form a kernel takes its initramfs in.
//!
//! The same tree gives the same bytes: entries are sorted, owned by root, dated 1970. Missing parent
//! directories are added with mode 0755.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;

/// A file tree. Paths are relative to the root, without a leading slash.
#[derive(Default)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
}

struct Entry {
    mode: u32,
    content: Vec<u8>,
}

impl Tree {
    /// Adds a directory, or sets the mode of one that is there.
    pub fn directory(&mut self, path: &str, mode: u32) {
        self.insert(path, S_IFDIR | mode, Vec::new());
    }

    /// Adds a regular file.
    pub fn file(&mut self, path: &str, mode: u32, content: impl Into<Vec<u8>>) {
        self.insert(path, S_IFREG | mode, content.into());
    }

    /// Adds a symbolic link.
    pub fn symlink(&mut self, path: &str, target: &str) {
        self.insert(path, S_IFLNK | 0o777, target.into());
    }

    /// Whether something is at this path.
    pub fn contains(&self, path: &str) -> bool {
        self.entries.contains_key(path.trim_matches('/'))
    }

    /// What is in the tree, by path; a directory has no bytes.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry.content.as_slice()))
    }

    /// The archive. Fails if a file or name is longer than the format's 32-bit fields.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut archive = Vec::new();
        for (inode, (path, entry)) in (1..).zip(&self.entries) {
            member(&mut archive, inode, path, entry).with_context(|| format!("initramfs: {path}"))?;
        }
        member(&mut archive, 0, "TRAILER!!!", &Entry { mode: 0, content: Vec::new() })?;
        Ok(archive)
    }

    fn insert(&mut self, path: &str, mode: u32, content: Vec<u8>) {
        let path = path.trim_matches('/');
        for (end, _) in path.match_indices('/') {
            let parent = Entry { mode: S_IFDIR | 0o755, content: Vec::new() };
            self.entries.entry(path[..end].to_owned()).or_insert(parent);
        }
        self.entries.insert(path.to_owned(), Entry { mode, content });
    }
}

fn member(archive: &mut Vec<u8>, inode: u32, path: &str, entry: &Entry) -> Result<()> {
    ensure!(!path.is_empty() && !path.contains('\0'), "not a path");
    let size = u32::try_from(entry.content.len()).context("larger than 4 GiB")?;
    let name_size = u32::try_from(path.len() + 1)?;
    let links = 1;
    // inode, mode, uid, gid, links, mtime, size, device major/minor, rdev major/minor, name size, checksum
    let fields = [inode, entry.mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0];
    archive.extend(b"070701");
    for field in fields {
        archive.extend(format!("{field:08x}").bytes());
    }
    archive.extend(path.bytes().chain([0]));
    pad(archive);
    archive.extend(&entry.content);
    pad(archive);
    Ok(())
}

fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Stdio};

    use super::*;

    /// The second opinion: cpio(1) unpacks what we wrote.
    #[test]
    fn cpio_unpacks_the_same_tree() {
        let mut tree = Tree::default();
        tree.file("a/b/odd length", 0o640, "12345");
        tree.file("a/empty", 0o600, "");
        tree.symlink("a/link", "b/odd length");
        tree.directory("a/sticky", 0o1777);
        let folder = tempfile::tempdir().unwrap();
        let mut cpio = Command::new("cpio")
            .args(["--extract", "--quiet", "--make-directories", "--no-preserve-owner"])
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .spawn()
            .expect("this test needs cpio: apt-get install cpio");
        cpio.stdin.take().unwrap().write_all(&tree.encode().unwrap()).unwrap();
        assert!(cpio.wait().unwrap().success());

        let at = |path: &str| folder.path().join(path);
        let mode = |path: &str| at(path).metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(std::fs::read_to_string(at("a/link")).unwrap(), "12345");
        assert_eq!(std::fs::read(at("a/empty")).unwrap(), b"");
        assert_eq!(mode("a/b/odd length"), 0o640);
        assert_eq!(mode("a/sticky"), 0o1777);
    }

    #[test]
    fn the_order_of_insertion_does_not_show() {
        let tree = |paths: [&str; 3]| {
            let mut tree = Tree::default();
            paths.iter().for_each(|path| tree.file(path, 0o644, *path));
            tree.encode().unwrap()
        };
        assert_eq!(tree(["x/y", "x/a", "b"]), tree(["b", "x/a", "x/y"]));
    }

    #[test]
    fn a_mode_set_after_a_child_was_added_holds() {
        let mut tree = Tree::default();
        tree.file("tmp/x", 0o644, "");
        tree.directory("tmp", 0o1777);
        assert_eq!(tree.entries["tmp"].mode, S_IFDIR | 0o1777);
    }
}
