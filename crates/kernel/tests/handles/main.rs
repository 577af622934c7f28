// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules that compare with handles, in a real kernel: `cargo xtask guest-test` runs these in guests, as root.
//!
//! Each has its twin: the same steps by a thread that is in no domain, or with other handles.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread;

use landlock_compiler::emit::handles::{MAX_HANDLES, MAX_OBJECTS};
use landlock_kernel::Denials;
use rustix::fs::{CWD, Mode, OFlags, RenameFlags};

mod attacks;
mod support;

use support::{
    DOES_NOT, EACCES, EPERM, MATCHES, Scratch, allow_list, deny_list, domain, handle, opened, rule, start,
    within,
};

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn an_allow_list_opens_what_is_beneath_and_nothing_else() {
    let scratch = Scratch::new("allow-list");
    let [inside, deep, outside] = ["in/file", "in/a/b/c/d/e/file", "out/file"].map(|name| scratch.file(name));
    let folder = scratch.0.join("in");
    let mut engine = start("allow_list");
    let domain = engine.load(&domain(allow_list("FILE_OPEN"), &[&folder]), Denials::Shared).unwrap();
    within(&engine, &domain, || {
        assert_eq!([&folder, &inside, &deep].map(|path| opened(path)), [0; 3]);
        assert_eq!([&outside, &scratch.0].map(|path| opened(path)), [EACCES; 2]);
        assert_eq!(opened(Path::new("/dev/null")), EACCES);
        assert_eq!(opened(&folder.join("../out/file")), EACCES);
        assert_eq!(opened(&Path::new("/proc/self/root").join(inside.strip_prefix("/").unwrap())), 0);
        assert_eq!(opened(&Path::new("/proc/self/root").join(outside.strip_prefix("/").unwrap())), EACCES);
    });
    assert_eq!(opened(&outside), 0);
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_handle_is_the_directory_whatever_it_is_called() {
    let scratch = Scratch::new("renamed");
    let secret = scratch.file("secret/a/file");
    let folder = scratch.0.join("secret");
    let other = scratch.0.join("other");
    let mut engine = start("renamed");
    let domain = engine.load(&domain(deny_list("FILE_OPEN"), &[&folder]), Denials::Shared).unwrap();
    within(&engine, &domain, || {
        assert_eq!(opened(&secret), EACCES);
        fs::rename(&folder, &other).unwrap();
        assert_eq!(opened(&other.join("a/file")), EACCES, "under its new name");
        let new = scratch.file("secret/new");
        assert_eq!(opened(&new), 0, "what has the old name now");
        rustix::fs::renameat_with(CWD, &folder, CWD, &other, RenameFlags::EXCHANGE).unwrap();
        assert_eq!([opened(&secret), opened(&other.join("new"))], [EACCES, 0]);
        fs::rename(folder.join("a"), other.join("a")).unwrap();
        assert_eq!(opened(&other.join("a/file")), 0, "moved out of it");
        fs::rename(other.join("a"), folder.join("a")).unwrap();
    });
    assert_eq!(opened(&secret), 0);
}

/// Far deeper than any list of fixed length.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn however_deep() {
    let scratch = Scratch::new("deep");
    let folder = scratch.0.join("top");
    fs::create_dir_all(&folder).unwrap();
    let mut here: OwnedFd = File::open(&folder).unwrap().into();
    for _ in 0..700 {
        rustix::fs::mkdirat(&here, "d", Mode::RWXU).unwrap();
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        here = rustix::fs::openat(&here, "d", flags, Mode::empty()).unwrap();
    }
    let open = || rustix::fs::openat(&here, ".", OFlags::RDONLY, Mode::empty()).map(drop);
    let mut engine = start("deep");
    let denied = engine.load(&domain(deny_list("FILE_OPEN"), &[&folder]), Denials::Shared).unwrap();
    let allowed = engine.load(&domain(allow_list("FILE_OPEN"), &[&folder]), Denials::Shared).unwrap();
    assert_eq!(within(&engine, &denied, open).map_err(|errno| errno.raw_os_error()), Err(EACCES));
    assert_eq!(within(&engine, &allowed, open), Ok(()));
    assert_eq!(open(), Ok(()));
}

/// A process in a mount namespace of its own, and the root it has there.
struct Elsewhere(Child, OwnedFd);

impl Elsewhere {
    fn new() -> Elsewhere {
        let process = Command::new("unshare").args(["-m", "sleep", "600"]).spawn().unwrap();
        let of = |what: &str| format!("/proc/{}/{what}", process.id());
        while fs::read_to_string(of("comm")).unwrap() != "sleep\n" {
            thread::yield_now();
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let root = rustix::fs::open(of("root"), flags, Mode::empty()).unwrap();
        Elsewhere(process, root)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn through_mounts_and_in_other_mount_namespaces() {
    let scratch = Scratch::new("mounts");
    let secret = scratch.file("secret/file");
    let mounted = scratch.0.join("mounted");
    fs::create_dir_all(&mounted).unwrap();
    let mount = |words: &[&str]| Command::new("mount").args(words).status().unwrap().success();
    assert!(mount(&["-t", "tmpfs", "tmpfs", mounted.to_str().unwrap()]));
    let inner = mounted.join("file");
    fs::write(&inner, "x").unwrap();
    let mut engine = start("mounts");
    let both = engine.load(&domain(deny_list("FILE_OPEN"), &[&scratch.0]), Denials::Shared).unwrap();
    within(&engine, &both, || assert_eq!([opened(&secret), opened(&inner)], [EACCES; 2], "mounted beneath"));
    let only =
        engine.load(&domain(deny_list("FILE_OPEN"), &[&scratch.0.join("secret")]), Denials::Shared).unwrap();
    let elsewhere = Elsewhere::new();
    within(&engine, &only, || {
        assert_eq!([opened(&secret), opened(&inner)], [EACCES, 0]);
        let own = |path: &Path| {
            let code = "import ctypes, sys; assert ctypes.CDLL(None).unshare(0x20000) == 0; open(sys.argv[1]).read()";
            let python =
                Command::new("/usr/bin/python3").args(["-S", "-c", code]).arg(path).output().unwrap();
            String::from_utf8_lossy(&python.stderr).lines().last().unwrap_or_default().to_owned()
        };
        assert_eq!(own(&inner), "");
        assert!(own(&secret).starts_with("PermissionError: [Errno 13]"), "in a mount namespace of its own");
        let there = |path: &Path| {
            let path = path.strip_prefix("/").unwrap();
            rustix::fs::openat(&elsewhere.1, path, OFlags::RDONLY, Mode::empty())
                .map_err(|e| e.raw_os_error())
        };
        assert_eq!(there(&secret).err(), Some(EACCES), "in a mount namespace of others");
        assert_eq!(there(&inner).err(), Some(EPERM), "which cannot be told");
        let bind = |flag: &str| {
            let [from, to] = [scratch.0.join("secret"), mounted.clone()];
            Command::new("mount").arg(flag).args([from, to]).status().unwrap().success()
        };
        assert!(!bind("--bind") && !bind("--move"), "mounting");
    });
    let (from, to) = (scratch.0.join("secret"), mounted.join("bound"));
    fs::create_dir_all(&to).unwrap();
    assert!(mount(&["--bind", from.to_str().unwrap(), to.to_str().unwrap()]));
    within(&engine, &only, || assert_eq!(opened(&to.join("file")), EACCES, "bound elsewhere"));
    assert_eq!(opened(&to.join("file")), 0);
    assert!(Command::new("umount").arg(&to).status().unwrap().success());
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn what_was_deleted_is_beneath_nothing_but_itself() {
    let scratch = Scratch::new("deleted");
    let file = scratch.file("in/file");
    let folder = scratch.0.join("in");
    let mut engine = start("deleted");
    let beneath = engine.load(&domain(allow_list("FILE_OPEN"), &[&folder]), Denials::Shared).unwrap();
    let itself = engine.load(&domain(allow_list("FILE_OPEN"), &[&file]), Denials::Shared).unwrap();
    let held = File::open(&file).unwrap();
    let again = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&held)));
    within(&engine, &beneath, || assert_eq!(opened(&again), 0));
    fs::remove_file(&file).unwrap();
    within(&engine, &beneath, || assert_eq!(opened(&again), EACCES));
    within(&engine, &itself, || assert_eq!(opened(&again), 0));
    assert_eq!(opened(&again), 0);
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn changes_take_effect_on_who_is_in_the_domain() {
    let scratch = Scratch::new("live");
    let files = ["one/file", "two/file"].map(|name| scratch.file(name));
    let [one, two] = ["one", "two"].map(|name| scratch.0.join(name));
    let mut engine = start("live");
    let rule = allow_list("FILE_OPEN");
    let map = rule.maps()[0].clone();
    let loaded = engine.load(&domain(rule, &[&one]), Denials::Shared).unwrap();
    let (ask, asked) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let token = engine.token(&loaded).unwrap();
    let confined = thread::spawn(move || {
        rustix::thread::set_no_new_privs(true).unwrap();
        landlock_kernel::enter(token).unwrap();
        while asked.recv().is_ok() {
            tell.send(files.each_ref().map(|file| opened(file))).unwrap();
        }
    });
    let seen = || {
        ask.send(()).unwrap();
        told.recv().unwrap()
    };
    assert_eq!(seen(), [0, EACCES]);
    // One handle twice is one handle.
    let again = map.handles().remove(0);
    map.append(again).unwrap();
    engine.refresh(&loaded, 0).unwrap();
    drop(map.change(|array| array.delete(1)).unwrap());
    map.append(handle(&two)).unwrap();
    assert_eq!(seen(), [0, EACCES], "not yet");
    engine.refresh(&loaded, 0).unwrap();
    assert_eq!(seen(), [0, 0]);
    drop(map.change(|array| array.delete(1)).unwrap());
    engine.refresh(&loaded, 0).unwrap();
    assert_eq!(seen(), [0, EACCES]);
    drop(map.change(|array| array.update(0, 1, handle(&two), 0)).unwrap());
    engine.refresh(&loaded, 0).unwrap();
    assert_eq!(seen(), [EACCES, 0]);
    assert!(engine.refresh(&loaded, 1).is_err());
    drop(ask);
    confined.join().unwrap();
}

/// Who kills the process with the descriptors lifts nothing: what cannot be told any more is refused.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn what_is_lost_is_refused() {
    let scratch = Scratch::new("lost");
    let other = scratch.file("other");
    let folder = scratch.0.join("secret");
    for (keeps, expected) in [(true, 0), (false, EPERM)] {
        fs::create_dir_all(&folder).unwrap();
        let mut engine = start("lost");
        let loaded = engine.load(&domain(deny_list("FILE_OPEN"), &[&folder]), Denials::Shared).unwrap();
        let token = engine.token(&loaded).unwrap();
        let (ask, asked) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let path = other.clone();
        let confined = thread::spawn(move || {
            rustix::thread::set_no_new_privs(true).unwrap();
            landlock_kernel::enter(token).unwrap();
            tell.send(opened(&path)).unwrap();
            while asked.recv().is_ok() {
                tell.send(opened(&path)).unwrap();
            }
        });
        assert_eq!(told.recv().unwrap(), 0);
        let keeper = keeps.then_some(loaded);
        fs::remove_dir(&folder).unwrap();
        ask.send(()).unwrap();
        assert_eq!(told.recv().unwrap(), expected);
        drop(ask);
        confined.join().unwrap();
        drop(keeper);
    }
}

/// More handles come and go, and are lost, than there are places for. What is lost last is still noticed.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn places_of_handles_are_given_again() {
    const ROUNDS: u32 = MAX_OBJECTS / (2 * MAX_HANDLES) + 10;
    let scratch = Scratch::new("places");
    let other = scratch.file("other");
    let mut engine = start("places");
    let rule = rule("FILE_OPEN", "fs 64", "r1 = 1", 32, DOES_NOT);
    let map = rule.maps()[0].clone();
    let loaded = engine.load(&domain(rule, &[]), Denials::Shared).unwrap();
    for round in 0..ROUNDS {
        let files: Vec<_> = (0..MAX_HANDLES).map(|number| scratch.file(&format!("file{number}"))).collect();
        files.iter().for_each(|file| map.append(handle(file)).unwrap());
        engine.refresh(&loaded, 0).unwrap_or_else(|error| panic!("round {round}: {error}"));
        files.iter().for_each(|file| fs::remove_file(file).unwrap());
        if round + 1 < ROUNDS {
            map.clear();
        }
    }
    assert_eq!(within(&engine, &loaded, || opened(&other)), 0);
    map.clear();
    assert_eq!(within(&engine, &loaded, || opened(&other)), EPERM);
    engine.refresh(&loaded, 0).unwrap();
    assert_eq!(within(&engine, &loaded, || opened(&other)), 0);
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn all_properties_are_one_handles() {
    const PROPERTIES: [(u32, &str); 4] = [(1, "dentry"), (2, "inode"), (4, "device"), (8, "mount")];
    let scratch = Scratch::new("properties");
    let [file, other] = ["file", "other"].map(|name| scratch.file(name));
    let link = scratch.0.join("link");
    fs::hard_link(&file, &link).unwrap();
    let mut engine = start("properties");
    let mut answers = |properties: u32, handles: &[&Path]| {
        let rule = rule("FILE_OPEN", "fs 4", &format!("r1 = {properties}"), 31, MATCHES);
        let loaded = engine.load(&domain(rule, handles), Denials::Shared).unwrap();
        let paths = [file.as_path(), &link, &other, Path::new("/proc/self/stat")];
        within(&engine, &loaded, || paths.map(|path| opened(path) == 0))
    };
    let matching = PROPERTIES.map(|(bit, _)| answers(bit, &[&file]));
    assert_eq!(matching[0], [true, false, false, false], "dentry");
    assert_eq!(matching[1][..3], [true, true, false], "inode");
    assert_eq!(matching[2], [true, true, true, false], "device");
    assert_eq!(matching[3], [true, true, true, false], "mount");
    assert_eq!(answers(0, &[&file]), [true; 4]);
    assert_eq!(answers(1 | 2 | 4 | 8, &[&other, &link]), [false, true, true, false]);
    // The number of one and the file system of the other.
    assert_eq!(answers(2 | 8, &[Path::new("/proc/self"), &other]), [false, false, true, false]);
    assert_eq!(answers(2, &[]), [false; 4], "an empty map");
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn the_other_way_round() {
    let scratch = Scratch::new("reverse");
    let file = scratch.file("in/file");
    let folder = scratch.0.join("in");
    let mut engine = start("reverse");
    let rule = rule("FILE_OPEN", "fs 4", "r1 = 1", 32, MATCHES);
    let loaded = engine.load(&domain(rule, &[&folder]), Denials::Shared).unwrap();
    within(&engine, &loaded, || {
        let above = [folder.as_path(), &scratch.0, Path::new("/")];
        assert_eq!(above.map(opened), [0; 3]);
        assert_eq!([opened(&file), opened(Path::new("/proc"))], [EACCES; 2]);
    });
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn only_in_a_cgroup() {
    let root = Path::new("/sys/fs/cgroup");
    let group = root.join("landlock-test");
    let [inner, beside] = [group.join("inner"), root.join("landlock-beside")];
    [&inner, &beside].into_iter().for_each(|path| fs::create_dir_all(path).unwrap());
    let mut engine = start("cgroup");
    // This process moves: no other test minds.
    let mut denied = |options: u32, into: &Path| {
        let rule = rule("FILE_OPEN", "cgroup 4", &format!("r1 = {options}"), 33, DOES_NOT);
        let loaded = engine.load(&domain(rule, &[&group]), Denials::Shared).unwrap();
        fs::write(into.join("cgroup.procs"), "0").unwrap();
        let answer = within(&engine, &loaded, || opened(Path::new("/dev/null")));
        fs::write(root.join("cgroup.procs"), "0").unwrap();
        assert_eq!(opened(Path::new("/dev/null")), 0);
        answer == EACCES
    };
    assert_eq!([root, &group, &inner, &beside].map(|path| denied(0, path)), [false, true, true, false]);
    assert_eq!([root, &group, &inner, &beside].map(|path| denied(1, path)), [true, true, false, false]);
    [&inner, &beside, &group].into_iter().for_each(|path| drop(fs::remove_dir(path)));
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn reading_and_mapping_compare_as_well() {
    let scratch = Scratch::new("reading");
    let [inside, outside] = ["in/file", "out/file"].map(|name| scratch.file(name));
    let mut engine = start("reading");
    let rule = allow_list("FILE_PERMISSION");
    let loaded = engine.load(&domain(rule, &[&scratch.0.join("in")]), Denials::Shared).unwrap();
    let files = [&inside, &outside].map(|path| File::open(path).unwrap());
    let read = |file: &File| std::os::unix::fs::FileExt::read_at(file, &mut [0], 0);
    let errnos =
        || files.each_ref().map(|file| read(file).err().map_or(0, |error| error.raw_os_error().unwrap()));
    assert_eq!(within(&engine, &loaded, errnos), [0, EACCES]);
    assert_eq!(errnos(), [0, 0]);
}
