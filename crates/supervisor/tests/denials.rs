// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each question of each hook about names and attributes: a rule that forbids exactly it makes the call fail with EPERM
//! and names the hook; the same call goes through under a rule that forbids nothing.

mod support;

use std::path::Path;

use support::{Bench, Outcome, TRANSPARENT, rule};

const EXEC: u64 = 1;
const WRITE: u64 = 2;
const READ: u64 = 4;
const NEW: u64 = 8;
const REMOVE: u64 = 32;

const DIR: Option<u32> = Some(libc::S_IFDIR);
const REG: Option<u32> = Some(libc::S_IFREG);
const FIFO: Option<u32> = Some(libc::S_IFIFO);
const LNK: Option<u32> = Some(libc::S_IFLNK);
/// A name that nothing has yet.
const ABSENT: Option<u32> = None;

const HERE: &str = "-100";

/// A syscall, its arguments as `tests/probes/call.c` takes them, and what it asks in order: hook, actions, object.
struct Row {
    name: &'static str,
    nr: i64,
    arguments: &'static [&'static str],
    asks: &'static [(&'static str, u64, Option<u32>)],
}

macro_rules! rows {
    ($( $name:ident $arguments:tt => $asks:tt ;)+) => {
        &[$( Row {
            name: stringify!($name),
            nr: numbers::$name,
            arguments: &$arguments,
            asks: &$asks,
        } ),+]
    };
}

/// Numbers the C library has no name for yet are given here.
#[allow(non_upper_case_globals, reason = "the kernel's names")]
mod numbers {
    macro_rules! known {
        ($($name:ident $number:ident)+) => { $(pub const $name: i64 = libc::$number;)+ };
    }
    known! {
        mkdir SYS_mkdir mkdirat SYS_mkdirat mknod SYS_mknod mknodat SYS_mknodat symlink SYS_symlink symlinkat SYS_symlinkat
        link SYS_link linkat SYS_linkat unlink SYS_unlink rmdir SYS_rmdir unlinkat SYS_unlinkat
        rename SYS_rename renameat SYS_renameat renameat2 SYS_renameat2
        stat SYS_stat lstat SYS_lstat fstat SYS_fstat newfstatat SYS_newfstatat statx SYS_statx
        statfs SYS_statfs fstatfs SYS_fstatfs access SYS_access faccessat SYS_faccessat faccessat2 SYS_faccessat2
        readlink SYS_readlink readlinkat SYS_readlinkat
        chmod SYS_chmod fchmod SYS_fchmod fchmodat SYS_fchmodat chown SYS_chown lchown SYS_lchown
        fchown SYS_fchown fchownat SYS_fchownat
        utime SYS_utime utimes SYS_utimes futimesat SYS_futimesat utimensat SYS_utimensat
        truncate SYS_truncate ftruncate SYS_ftruncate
        inotify_add_watch SYS_inotify_add_watch name_to_handle_at SYS_name_to_handle_at
        setxattr SYS_setxattr lsetxattr SYS_lsetxattr fsetxattr SYS_fsetxattr
        getxattr SYS_getxattr lgetxattr SYS_lgetxattr fgetxattr SYS_fgetxattr
        listxattr SYS_listxattr llistxattr SYS_llistxattr flistxattr SYS_flistxattr
        removexattr SYS_removexattr lremovexattr SYS_lremovexattr fremovexattr SYS_fremovexattr
    }
    pub const fchmodat2: i64 = 452;
    pub const file_getattr: i64 = 468;
    pub const file_setattr: i64 = 469;
}

// The order of the questions is the kernel's, but that of a hook which asks about two directories or files is
// only seen where they differ in type.
const ROWS: &[Row] = rows! {
    mkdir ["s:new", "0755"] => [
        ("inode_permission", WRITE | EXEC, DIR), ("inode_mkdir", WRITE, DIR), ("inode_mkdir", NEW, ABSENT)];
    mkdirat ["d:dir", "s:new", "0755"] => [("inode_mkdir", WRITE, DIR), ("inode_mkdir", NEW, ABSENT)];
    mknod ["s:new", "010600", "0"] => [
        ("inode_permission", WRITE | EXEC, DIR), ("inode_mknod", WRITE, DIR), ("inode_mknod", NEW, ABSENT)];
    mknodat [HERE, "s:new", "0100600", "0"] => [("inode_create", WRITE, DIR), ("inode_create", NEW, ABSENT)];
    symlink ["s:target", "s:new"] => [
        ("inode_permission", WRITE | EXEC, DIR), ("inode_symlink", WRITE, DIR), ("inode_symlink", NEW, ABSENT)];
    symlinkat ["s:target", "d:dir", "s:new"] => [("inode_symlink", WRITE, DIR), ("inode_symlink", NEW, ABSENT)];
    link ["s:fifo", "s:new"] => [
        ("inode_permission", WRITE | EXEC, DIR), ("inode_link", READ, FIFO), ("inode_link", WRITE, DIR),
        ("inode_link", NEW, ABSENT)];
    linkat [HERE, "s:fifo", HERE, "s:new", "0"] => [("inode_link", READ, FIFO), ("inode_link", NEW, ABSENT)];
    unlink ["s:file"] => [
        ("inode_permission", WRITE | EXEC, DIR), ("inode_unlink", WRITE, DIR), ("inode_unlink", REMOVE, REG)];
    unlink ["s:fifo"] => [("inode_unlink", REMOVE, FIFO)];
    rmdir ["s:empty"] => [
        ("inode_permission", WRITE | EXEC, DIR), ("inode_rmdir", WRITE, DIR), ("inode_rmdir", REMOVE, DIR)];
    unlinkat [HERE, "s:link", "0"] => [("inode_unlink", WRITE, DIR), ("inode_unlink", REMOVE, LNK)];
    unlinkat [HERE, "s:empty", "0x200"] => [("inode_rmdir", WRITE, DIR), ("inode_rmdir", REMOVE, DIR)];
    rename ["s:file", "s:new"] => [
        ("inode_permission", WRITE | EXEC, DIR), ("inode_rename", WRITE, DIR), ("inode_rename", REMOVE, REG),
        ("inode_rename", NEW, ABSENT)];
    rename ["s:file", "s:fifo"] => [
        ("inode_rename", REMOVE, REG), ("inode_rename", NEW, FIFO), ("inode_rename", REMOVE, FIFO)];
    renameat [HERE, "s:empty", HERE, "s:dir/empty"] => [
        ("inode_permission", WRITE, DIR), ("inode_rename", REMOVE, DIR), ("inode_rename", NEW, ABSENT)];
    renameat2 [HERE, "s:file", HERE, "s:fifo", "2"] => [
        ("inode_rename", WRITE, DIR), ("inode_rename", REMOVE, REG), ("inode_rename", NEW, REG),
        ("inode_rename", REMOVE, FIFO), ("inode_rename", NEW, FIFO)];
    renameat2 [HERE, "s:file", HERE, "s:new", "1"] => [("inode_rename", REMOVE, REG), ("inode_rename", NEW, ABSENT)];
    renameat2 [HERE, "s:file", HERE, "s:new", "4"] => [("inode_rename", REMOVE, REG), ("inode_rename", NEW, ABSENT)];

    stat ["s:fifo", "b:144"] => [("inode_getattr", READ, FIFO)];
    stat ["s:link", "b:144"] => [("inode_follow_link", READ, LNK)];
    lstat ["s:link", "b:144"] => [("inode_getattr", READ, LNK)];
    fstat ["d:dir", "b:144"] => [("inode_getattr", READ, DIR)];
    newfstatat [HERE, "s:fifo", "b:144", "0"] => [("inode_getattr", READ, FIFO)];
    statx [HERE, "s:fifo", "0", "0x7ff", "b:256"] => [("inode_getattr", READ, FIFO)];
    statfs ["s:fifo", "b:120"] => [("sb_statfs", READ, FIFO)];
    fstatfs ["d:dir", "b:120"] => [("sb_statfs", READ, DIR)];
    access ["s:fifo", "0"] => [("inode_permission", 0, FIFO)];
    faccessat [HERE, "s:fifo", "6"] => [("inode_permission", READ | WRITE, FIFO)];
    faccessat2 [HERE, "s:fifo", "4", "0x200"] => [("inode_permission", READ, FIFO)];
    readlink ["s:link", "b:99", "99"] => [("inode_readlink", READ, LNK)];
    readlinkat [HERE, "s:link", "b:99", "99"] => [("inode_readlink", READ, LNK)];
    inotify_add_watch ["w:", "s:fifo", "2"] => [("inode_permission", READ, FIFO)];
    name_to_handle_at [HERE, "s:link", "h:128", "b:8", "0x400"] => [("inode_follow_link", READ, LNK)];

    chmod ["s:file", "0600"] => [("inode_setattr", WRITE, REG)];
    fchmod ["d:dir", "0700"] => [("inode_setattr", WRITE, DIR)];
    fchmodat [HERE, "s:fifo", "0600"] => [("inode_setattr", WRITE, FIFO)];
    fchmodat2 [HERE, "s:file", "0600", "0"] => [("inode_setattr", WRITE, REG)];
    chown ["s:file", "1", "1"] => [("inode_setattr", WRITE, REG)];
    lchown ["s:link", "1", "1"] => [("inode_setattr", WRITE, LNK)];
    fchown ["d:dir", "1", "1"] => [("inode_setattr", WRITE, DIR)];
    fchownat [HERE, "s:file", "1", "1", "0"] => [("inode_setattr", WRITE, REG)];
    utime ["s:file", "0"] => [("inode_setattr", WRITE, REG)];
    utimes ["s:file", "b:32"] => [("inode_setattr", WRITE, REG)];
    futimesat [HERE, "s:file", "0"] => [("inode_setattr", WRITE, REG)];
    utimensat [HERE, "s:link", "0", "0x100"] => [("inode_setattr", WRITE, LNK)];
    utimensat ["d:dir", "0", "0", "0"] => [("inode_setattr", WRITE, DIR)];
    truncate ["s:file", "3"] => [("inode_permission", WRITE, REG)];
    ftruncate ["o:file", "3"] => [("file_truncate", WRITE, REG)];
    file_getattr [HERE, "s:dir", "b:24", "24", "0"] => [("inode_file_getattr", READ, DIR)];
    file_setattr [HERE, "s:dir", "b:24", "24", "0"] => [("inode_file_setattr", WRITE, DIR)];

    setxattr ["s:file", "s:user.a", "s:v", "1", "0"] => [("inode_permission", WRITE, REG)];
    setxattr ["s:file", "s:security.a", "s:v", "1", "0"] => [("inode_setxattr", WRITE, REG)];
    lsetxattr ["s:link", "s:trusted.a", "s:v", "1", "0"] => [("inode_setxattr", WRITE, LNK)];
    fsetxattr ["d:dir", "s:security.a", "s:v", "1", "0"] => [("inode_setxattr", WRITE, DIR)];
    getxattr ["s:dir", "s:user.note", "b:9", "9"] => [("inode_permission", READ, DIR)];
    getxattr ["s:fifo", "s:trusted.note", "b:9", "9"] => [("inode_getxattr", READ, FIFO)];
    lgetxattr ["s:link", "s:trusted.note", "b:9", "9"] => [("inode_getxattr", READ, LNK)];
    fgetxattr ["d:dir", "s:trusted.note", "b:9", "9"] => [("inode_getxattr", READ, DIR)];
    listxattr ["s:fifo", "b:99", "99"] => [("inode_listxattr", READ, FIFO)];
    llistxattr ["s:link", "b:99", "99"] => [("inode_listxattr", READ, LNK)];
    flistxattr ["d:dir", "b:99", "99"] => [("inode_listxattr", READ, DIR)];
    removexattr ["s:file", "s:trusted.note"] => [("inode_removexattr", WRITE, REG)];
    lremovexattr ["s:link", "s:trusted.note"] => [("inode_removexattr", WRITE, LNK)];
    fremovexattr ["d:dir", "s:trusted.note"] => [("inode_removexattr", WRITE, DIR)];
    removexattr ["s:file", "s:system.posix_acl_access"] => [("inode_remove_acl", WRITE, REG)];
    getxattr ["s:dir", "s:system.posix_acl_default", "b:99", "99"] => [("inode_get_acl", READ, DIR)];
    // An empty list removes the default list, so that no bytes have to be given.
    setxattr ["s:dir", "s:system.posix_acl_default", "0", "0", "0"] => [("inode_set_acl", WRITE, DIR)];
};

const FURNISH: &str = "
    umask 022; mkdir work; cd work; mkdir dir empty; mkfifo fifo; printf content > file; printf inner > dir/inner; ln -s file link
    setfattr -n user.note -v note dir
    setfattr -h -n trusted.note -v note dir file fifo link
    setfacl -m u:1:r file; setfacl -d -m u:1:r dir
";

/// A rule that forbids exactly `actions` on objects of type `format` (`S_IF*`); `None`: on new names.
fn exactly(actions: u64, format: Option<u32>) -> String {
    let object = match format {
        Some(format) => format!("if r0 s< 0 goto allow\nr0 &= 0xf000\nif r0 == {format} goto deny"),
        None => "if r0 s< 0 goto deny".to_owned(),
    };
    rule("exactly", &format!("if r6 != {actions} goto allow\n{object}"))
}

/// A furnished working directory.
fn furnished(bench: &Bench) {
    drop(std::fs::remove_dir_all(bench.path("work")));
    bench.run(bench.plain("sh").args(["-ec", FURNISH])).printed();
}

fn run(bench: &Bench, text: &str, program: &Path, arguments: &[&str]) -> Outcome {
    let rule = bench.rule("rule", text);
    bench.run(bench.confined(&[&rule], program).args(arguments).current_dir(bench.path("work")))
}

/// What is in the working directory, with everything a call could change.
fn state(bench: &Bench) -> String {
    const SHOW: &str =
        "find . -printf '%p %M %n %U:%G %s %T@ %l\n' | sort; getfattr -hR -d -m - .; getfacl -R .";
    bench.run(bench.plain("sh").args(["-ec", SHOW]).current_dir(bench.path("work"))).printed().to_owned()
}

#[test]
fn every_question_can_be_answered_with_no() {
    let bench = Bench::new();
    // Static: nothing but the program itself is opened to start it.
    let program = bench.probe("call", &["-static"]);
    for row in ROWS {
        let nr = row.nr.to_string();
        let arguments: Vec<&str> =
            std::iter::once(nr.as_str()).chain(row.arguments.iter().copied()).collect();
        let what = format!("{} {:?}", row.name, row.arguments);
        furnished(&bench);
        let allowed = run(&bench, TRANSPARENT, &program, &arguments);
        assert_eq!((allowed.code, allowed.denials.len()), (0, 0), "{what} where nothing is forbidden");
        for &(hook, actions, object) in row.asks {
            furnished(&bench);
            let before = state(&bench);
            let denied = run(&bench, &exactly(actions, object), &program, &arguments);
            let question = format!("{what}, {hook} {actions:#x} forbidden on {object:x?}: {denied:?}");
            assert_eq!(denied.code, libc::EPERM, "{question}");
            let last = denied.denials.last().expect("a denial is logged");
            assert_eq!((&last["syscall"], &last["hook"]), (&row.name.into(), &hook.into()), "{question}");
            assert_eq!(state(&bench), before, "{question}: nothing may change");
        }
    }
}

#[test]
fn a_name_of_the_same_file_is_not_replaced_and_so_not_asked_about() {
    let bench = Bench::new();
    let program = bench.probe("call", &["-static"]);
    furnished(&bench);
    std::fs::hard_link(bench.path("work/file"), bench.path("work/other")).expect("link");
    let nr = libc::SYS_rename.to_string();
    let ran = run(&bench, &exactly(REMOVE, REG), &program, &[&nr, "s:file", "s:other"]);
    assert_eq!((ran.code, ran.denials.len()), (0, 0));
    assert!(bench.path("work/file").exists() && bench.path("work/other").exists());
}

#[test]
fn a_refused_rename_over_a_file_leaves_it_whole() {
    let bench = Bench::new();
    furnished(&bench);
    let overwrite = ["-c", "mv -f fifo file"];
    let denied = run(&bench, &exactly(REMOVE, REG), Path::new("sh"), &overwrite);
    assert!(
        denied.code != 0 && denied.denials.iter().any(|denial| denial["hook"] == "inode_rename"),
        "{denied:?}"
    );
    assert_eq!(std::fs::read_to_string(bench.path("work/file")).expect("still there"), "content");
    let allowed = run(&bench, TRANSPARENT, Path::new("sh"), &overwrite);
    assert_eq!(allowed.code, 0);
    assert!(!bench.path("work/file").is_file());
}
