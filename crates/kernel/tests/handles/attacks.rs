// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ways around lists of files that somebody may try.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use landlock_kernel::{Denials, Loaded};
use rustix::fs::{CWD, Mode, OFlags, RenameFlags};

use super::support::{
    DOES_NOT, EACCES, EPERM, Scratch, allow_list, deny_list, domain, mapped, opened, rule, start, within,
};

/// A name elsewhere of a file is not beneath; a handle of the file itself is met by any name.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn hard_links() {
    let scratch = Scratch::new("hard-links");
    let inside = scratch.file("in/file");
    let outside = scratch.file("out/file");
    let [brought, taken] = ["in/brought", "out/taken"].map(|name| scratch.0.join(name));
    fs::hard_link(&outside, &brought).unwrap();
    fs::hard_link(&inside, &taken).unwrap();
    let folder = scratch.0.join("in");
    let mut engine = start("hard_links");
    let names = [&inside, &brought, &taken, &outside];
    let answers = |engine: &_, loaded: &Loaded| within(engine, loaded, || names.map(|path| opened(path)));
    let allowed = engine.load(&domain(allow_list("FILE_OPEN"), &[&folder]), Denials::Shared).unwrap();
    assert_eq!(answers(&engine, &allowed), [0, 0, EACCES, EACCES]);
    let denied = engine.load(&domain(deny_list("FILE_OPEN"), &[&folder]), Denials::Shared).unwrap();
    assert_eq!(answers(&engine, &denied), [EACCES, EACCES, 0, 0]);
    let itself = engine.load(&domain(deny_list("FILE_OPEN"), &[&inside]), Denials::Shared).unwrap();
    assert_eq!(answers(&engine, &itself), [EACCES, 0, EACCES, 0]);
    assert_eq!(names.map(|path| opened(path)), [0; 4]);
}

/// What `/proc` leads to is where it is.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn magic_links() {
    let scratch = Scratch::new("magic-links");
    let [inside, outside] = ["in/file", "out/file"].map(|name| scratch.file(name));
    let path_only = |path: &Path| rustix::fs::open(path, OFlags::PATH, Mode::empty()).unwrap();
    let [file, other, folder] = [&inside, &outside, &scratch.0.join("out")].map(|path| path_only(path));
    let own = |fd: &std::os::fd::OwnedFd| PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    let below = |root: &str, path: &Path| Path::new(root).join(path.strip_prefix("/").unwrap());
    let ways = [
        own(&file),
        below("/proc/self/root", &inside),
        below("/proc/self/task/../root", &inside),
        own(&other),
        own(&folder),
        own(&folder).join("file"),
        own(&folder).join("../out/file"),
        below("/proc/self/root", &outside),
        PathBuf::from("/proc/self/exe"),
    ];
    let mut engine = start("magic_links");
    let list = domain(allow_list("FILE_OPEN"), &[&scratch.0.join("in")]);
    let loaded = engine.load(&list, Denials::Shared).unwrap();
    let seen = within(&engine, &loaded, || ways.each_ref().map(|way| opened(way)));
    assert_eq!(seen[..3], [0; 3]);
    assert_eq!(seen[3..], [EACCES; 6]);
    assert_eq!(ways.each_ref().map(|way| opened(way)), [0; 9]);
}

/// A directory that is gone is beneath nothing, whoever holds it.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn deleted_directories() {
    let scratch = Scratch::new("deleted-directories");
    let [folder, gone] = ["in", "in/gone"].map(|name| scratch.0.join(name));
    fs::create_dir_all(&gone).unwrap();
    let held = File::open(&gone).unwrap();
    let mut engine = start("deleted_directories");
    let loaded = engine.load(&domain(allow_list("FILE_OPEN"), &[&folder]), Denials::Shared).unwrap();
    let again = || {
        let opened = rustix::fs::openat(&held, ".", OFlags::RDONLY, Mode::empty());
        opened.err().map_or(0, |errno| errno.raw_os_error())
    };
    assert_eq!(within(&engine, &loaded, again), 0);
    fs::remove_dir(&gone).unwrap();
    assert_eq!(within(&engine, &loaded, again), EACCES);
    // What has the name now is another.
    fs::create_dir(&gone).unwrap();
    assert_eq!(within(&engine, &loaded, || [again(), opened(&gone)]), [EACCES, 0]);
    assert_eq!(again(), 0);
}

/// Where a part of a file system is mounted, what is moved out of it is beneath nothing there any more, also beneath no handle
/// that was moved with it.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn moved_out_of_what_is_mounted() {
    let scratch = Scratch::new("moved-out");
    let [part, handle, elsewhere, mounted] =
        ["part", "part/in", "elsewhere", "mounted"].map(|name| scratch.0.join(name));
    scratch.file("part/in/a/b/file");
    fs::create_dir(&mounted).unwrap();
    rustix::mount::mount_bind(&part, &mounted).unwrap();
    let below = rustix::fs::open(mounted.join("in/a/b"), OFlags::PATH, Mode::empty()).unwrap();
    let open = || {
        let opened = rustix::fs::openat(&below, "file", OFlags::RDONLY, Mode::empty());
        opened.err().map_or(0, |errno| errno.raw_os_error())
    };
    let mut engine = start("moved_out");
    let list = domain(allow_list("FILE_OPEN"), &[&handle]);
    let loaded = engine.load(&list, Denials::Shared).unwrap();
    assert_eq!(within(&engine, &loaded, open), 0);
    fs::rename(&handle, &elsewhere).unwrap();
    let by_name = elsewhere.join("a/b/file");
    assert_eq!(within(&engine, &loaded, || [open(), opened(&by_name)]), [EACCES, 0]);
    fs::rename(&elsewhere, &handle).unwrap();
    assert_eq!(within(&engine, &loaded, open), 0);
    assert_eq!(open(), 0);
}

/// A handle whose path is reused is what it was.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_path_that_is_reused() {
    let scratch = Scratch::new("reused");
    let first = scratch.file("place/file");
    let place = scratch.0.join("place");
    let mut engine = start("reused");
    let allowed = engine.load(&domain(allow_list("FILE_OPEN"), &[&place]), Denials::Shared).unwrap();
    let denied = engine.load(&domain(deny_list("FILE_OPEN"), &[&place]), Denials::Shared).unwrap();
    let answers = || [&allowed, &denied].map(|loaded| within(&engine, loaded, || opened(&first)));
    assert_eq!(answers(), [0, EACCES]);
    fs::remove_dir_all(&place).unwrap();
    scratch.file("place/file");
    assert_eq!(answers(), [EACCES, 0]);
    assert_eq!(opened(&first), 0);
}

/// Someone exchanges the directories that `..` leads from, all the time: what is opened is judged where it is.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn parents_that_are_exchanged() {
    const TIMES: usize = 5000;
    let scratch = Scratch::new("exchanged");
    for (name, text) in [("in/file", "known"), ("out/file", "secret")] {
        fs::write(scratch.file(name), text).unwrap();
    }
    let [from, to] = ["in/a", "out/a"].map(|name| scratch.0.join(name));
    [&from, &to].into_iter().for_each(|path| fs::create_dir_all(path.join("b")).unwrap());
    let below = rustix::fs::open(from.join("b"), OFlags::PATH, Mode::empty()).unwrap();
    let read = || {
        let file = rustix::fs::openat(&below, "../../file", OFlags::RDONLY, Mode::empty()).ok()?;
        let mut text = String::new();
        File::from(file).read_to_string(&mut text).ok().map(|_| text)
    };
    let mut engine = start("exchanged");
    let list = domain(allow_list("FILE_OPEN"), &[&scratch.0.join("in")]);
    let loaded = engine.load(&list, Denials::Shared).unwrap();
    let over = AtomicBool::new(false);
    let seen = || {
        let texts: Vec<_> = (0..TIMES).map(|_| read()).collect();
        ["known", "secret"].map(|text| texts.iter().flatten().any(|seen| seen == text))
    };
    let (confined, free) = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(CWD, &from, CWD, &to, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let both = (within(&engine, &loaded, seen), seen());
        over.store(true, Ordering::Relaxed);
        both
    });
    assert_eq!((confined, free), ([true, false], [true, true]));
}

/// Mapping compares as opening does, and nothing but memory is no file.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn mapping() {
    let scratch = Scratch::new("mapping");
    let [inside, outside] = ["in/file", "out/file"].map(|name| scratch.file(name));
    let files = [&inside, &outside].map(|path| File::open(path).unwrap());
    let mut engine = start("mapping");
    let loaded =
        engine.load(&domain(deny_list("MMAP_FILE"), &[&scratch.0.join("in")]), Denials::Shared).unwrap();
    let all = || [mapped(Some(&files[0])), mapped(Some(&files[1])), mapped(None)];
    assert_eq!(within(&engine, &loaded, all), [EACCES, 0, 0]);
    let by_inode = rule("MMAP_FILE", "fs 4", "r1 = 2", 31, DOES_NOT);
    let loaded = engine.load(&domain(by_inode, &[&outside]), Denials::Shared).unwrap();
    assert_eq!(within(&engine, &loaded, all), [0, EACCES, 0]);
    assert_eq!(all(), [0; 3]);
}

/// The kernel forgets what nobody uses; what handles stand for is used as long as they are held, and what was forgotten
/// refuses: also the same directory, read again.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn caches_that_are_dropped() {
    // On a disk, where an inode can be forgotten and read again.
    let folder = Path::new("/mnt/dropped");
    let [secret, other] = ["secret/file", "other/file"].map(|name| folder.join(name));
    for path in [&secret, &other] {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    for (keeps, expected) in [(true, [EACCES, 0]), (false, [EPERM, EPERM])] {
        let mut engine = start("dropped");
        let list = domain(deny_list("FILE_OPEN"), &[&folder.join("secret")]);
        let loaded = engine.load(&list, Denials::Shared).unwrap();
        drop(list);
        let token = engine.token(&loaded).unwrap();
        let (ask, asked) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let paths = [secret.clone(), other.clone()];
        let confined = thread::spawn(move || {
            rustix::thread::set_no_new_privs(true).unwrap();
            landlock_kernel::enter(token).unwrap();
            tell.send(paths.each_ref().map(|path| opened(path))).unwrap();
            while asked.recv().is_ok() {
                tell.send(paths.each_ref().map(|path| opened(path))).unwrap();
            }
        });
        assert_eq!(told.recv().unwrap(), [EACCES, 0]);
        let keeper = keeps.then_some(loaded);
        rustix::fs::sync();
        for what in ["2", "3"] {
            fs::write("/proc/sys/vm/drop_caches", what).unwrap();
        }
        ask.send(()).unwrap();
        assert_eq!(told.recv().unwrap(), expected);
        drop(ask);
        confined.join().unwrap();
        drop(keeper);
    }
    assert_eq!([opened(&secret), opened(&other)], [0, 0]);
    fs::remove_dir_all(folder).unwrap();
}
