// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cases of Landlock v7's own tests, as commands under rules: a thread that prepends a rule to itself
//! there is a command that is started with it here.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use crate::support::{Folder, LANDLOCK, Ran, compile, rule_in_c, shipped};

const PROBE: &str = include_str!("selftest.c");

/// A command line, with descriptors 3 to 5 open as the probe expects them.
const SCRIPT: &str = "exec \"$@\" 3<file 4<>file 5>>file";

fn prepared() -> Folder {
    let folder = Folder::new();
    folder.write("file", b"fs_read_only\0");
    std::fs::create_dir(folder.path("folder")).unwrap();
    compile(&folder, "probe", PROBE);
    folder
}

/// Every call the probe made in a fresh folder, with its end, one a line.
fn probe(before: &[&str], what: &str) -> String {
    let folder = prepared();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", SCRIPT, "sh"]).args(before).args(["./probe", what]).current_dir(folder.path("."));
    Ran::of(shell.stdin(OwnedFd::from(theirs))).exits(0);
    drop(shell);
    let mut told = String::new();
    ours.read_to_string(&mut told).unwrap();
    told
}

fn confined(rule: &Path, what: &str) -> String {
    probe(&[LANDLOCK, "run", "--rule", rule.to_str().unwrap(), "--"], what)
}

#[test]
fn read_only_file() {
    insta::assert_snapshot!(confined(&shipped("deny-write.c"), "file"), @r#"
    open(".", O_TMPFILE | O_EXCL | O_RDWR, 0600): EPERM
    open("file", O_RDONLY): ok
    open("file", O_RDWR): EPERM
    open("file", O_WRONLY): EPERM
    open("new", O_CREAT | O_EXCL | O_RDWR, 0600): EPERM
    write(RO, "x", 1): EBADF
    read(RO, two, 2): ok
    write(RW, "x", 1): EPERM
    read(RW, two, 2): ok
    write(WO, "x", 1): EPERM
    read(WO, two, 2): EBADF
    unlink("file"): EPERM
    rmdir("folder"): EPERM
    close(RO): ok
    close(RW): ok
    close(WO): ok
    "#);
}

#[test]
fn read_only_file_without_the_rule() {
    let told = probe(&[], "file");
    let refused: Vec<&str> = told.lines().filter(|line| !line.ends_with(": ok")).collect();
    assert_eq!(refused, ["write(RO, \"x\", 1): EBADF", "read(WO, two, 2): EBADF"], "{told}");
    assert_eq!(told.lines().count(), 16, "{told}");
}

#[test]
fn read_only_mem() {
    insta::assert_snapshot!(confined(&shipped("deny-write.c"), "memory"), @"
    page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, RW, 0): ok
    mprotect(page, PAGE, PROT_WRITE): EPERM
    munmap(page, PAGE): ok
    mmap(NULL, PAGE, RDWR, MAP_SHARED, RW, 0): EPERM
    mmap(NULL, PAGE, RDWR, MAP_PRIVATE, RW, 0): ok
    ");
}

#[test]
fn read_only_mem_without_the_rule() {
    let told = probe(&[], "memory");
    assert!(told.lines().count() == 5 && told.lines().all(|line| line.ends_with(": ok")), "{told}");
}

#[test]
fn read_only_mount() {
    let unshared = ["unshare", "--user", "--map-root-user", "--mount"];
    let rule = shipped("deny-write.c");
    let confined = [LANDLOCK, "run", "--rule", rule.to_str().unwrap(), "--"];
    insta::assert_snapshot!(probe(&[&unshared, confined.as_slice()].concat(), "mounts"), @r#"
    mount(".", "folder", NULL, MS_BIND, NULL): EPERM
    umount("folder"): EPERM
    "#);
    insta::assert_snapshot!(probe(&unshared, "mounts"), @r#"
    mount(".", "folder", NULL, MS_BIND, NULL): ok
    umount("folder"): ok
    "#);
}

/// v7's rule denies GET of anything. Here the command has to be started under the rule, which takes GET of its
/// file: so only directories are denied.
#[test]
fn deny_open_for_hierarchy() {
    let folder = Folder::new();
    let body = "if (!(ctx->arg2 & LANDLOCK_ACTION_FS_GET)) return 0;\n\
                return S_ISDIR(bpf_handle_fs_get_mode((void *)ctx->arg1));";
    let rule = folder.write("no-open-of-folders.c", rule_in_c("FS", body));
    // The thread, then its child.
    insta::assert_snapshot!(confined(&rule, "hierarchy"), @r#"
    open(".", O_RDONLY | O_DIRECTORY): EPERM
    page = mmap(NULL, PAGE, RDWR, MAP_SHARED, RW, 0): ok
    munmap(page, PAGE): ok
    open(".", O_RDONLY | O_DIRECTORY): EPERM
    page = mmap(NULL, PAGE, RDWR, MAP_SHARED, RW, 0): ok
    munmap(page, PAGE): ok
    "#);
    let told = probe(&[], "hierarchy");
    assert!(told.lines().count() == 6 && told.lines().all(|line| line.ends_with(": ok")), "{told}");
}

/// The sample: writing is for character devices and FIFOs only.
#[test]
fn the_sample_lets_devices_and_pipes_be_written() {
    let folder = Folder::new();
    folder.write("file", "");
    let run = |script| folder.confined_script(&[&shipped("read-only.c")], script);
    run("echo to-a-pipe | cat").exits(0).prints("to-a-pipe\n");
    run("echo x > /dev/null").exits(0).quiet();
    run("echo x > file").exits(2).complains("not permitted");
    run("chmod 700 file").exits(1).complains("not permitted");
    run("rm -f file").exits(1).complains("not permitted");
    folder.free_script("echo x > file && chmod 700 file && rm -f file").exits(0);
}
