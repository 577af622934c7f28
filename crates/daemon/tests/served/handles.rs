// SPDX-License-Identifier: MIT OR Apache-2.0
//! Filters and maps of handles, for ordinary users.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Command, Stdio};

use ebpf_landlock::{Choice, Sandbox};
use landlock_compiler::asm;
use landlock_compiler::classic::{ClassicInsn, Filter};
use landlock_compiler::domain::{Domain, Layer};
use landlock_compiler::map::Handle;
use landlock_compiler::rule::Rule;
use landlock_compiler::verify::{Loader, verify_newest};
use landlock_daemon::client::{Daemon, Error};
use landlock_daemon::limits::MOST;
use landlock_daemon::protocol::Why;
use landlock_kernel::{DomainId, enter};
use rustix::fs::{Mode, OFlags};

use crate::asked::{self, Asked};
use crate::command::{folder, landlock};
use crate::{LOCK, ONE, OTHER, Running, as_user, denies, unlock};

/// Opens nothing but what is beneath.
const LIST: &str = ".rule list\n.event FILE_OPEN\n.license \"GPL\"\n.map allowed fs 10\n    r4 = *(u64 *)(r1 + 8)\n    \
                    r1 = 0\n    r2 = map allowed\n    r3 = 1\n    call cmp_fs_beneath\n    if r0 == 0 goto end\n    \
                    r0 = 13\nend:\n    exit\n";
/// Opens nothing at a system call with cookie 7.
const SEVEN: &str = ".rule seven\n.event FILE_OPEN\n.license \"GPL\"\n    r1 = *(u16 *)(r1 + 4)\n    r0 = 0\n    \
                     if r1 != 7 goto end\n    r0 = 13\nend:\n    exit\n";
const EACCES: i32 = 13;
const COOKIE: u32 = 0x7_0005;
const UNAME: u32 = 63;

fn insn(code: u16, jt: u8, jf: u8, k: u32) -> ClassicInsn {
    ClassicInsn { code, jt, jf, k }
}

/// A filter that says `said` of a system call and `else_said` of others.
fn filter(nr: u32, said: u32, else_said: u32) -> Vec<ClassicInsn> {
    vec![insn(0x20, 0, 0, 0), insn(0x15, 0, 1, nr), insn(0x06, 0, 0, said), insn(0x06, 0, 0, else_said)]
}

fn bytes(insns: &[ClassicInsn]) -> Vec<u8> {
    insns.iter().flat_map(|insn| insn.encode()).collect()
}

fn rule(text: &str) -> Rule {
    let object = asm::parse(text, "rule").unwrap_or_else(|errors| panic!("{errors}")).remove(0);
    verify_newest(object, &Loader::default()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn handle(path: &Path, flags: OFlags) -> Handle {
    Handle::held(rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()).unwrap())
}

/// A domain that opens nothing but what is beneath these.
fn list(allowed: &[&Path]) -> Domain {
    let rule = rule(LIST);
    allowed.iter().for_each(|path| rule.maps()[0].append(handle(path, OFlags::PATH)).unwrap());
    Domain::layered([Layer::Filter(Filter::always(5)), Layer::Rule(rule)])
}

/// What opening for reading comes to: 0 or the errno.
fn opened(path: &Path) -> i32 {
    fs::File::open(path).err().map_or(0, |error| error.raw_os_error().unwrap())
}

/// A folder of the user's, with rules, filters and files.
fn filled() -> tempfile::TempDir {
    let folder = folder();
    let write = |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).unwrap();
    write("list.s", LIST.as_bytes());
    write("seven.s", SEVEN.as_bytes());
    write("cookie.bpf", &bytes(&[insn(0x06, 0, 0, COOKIE)]));
    write("uname.bpf", &bytes(&filter(UNAME, 0x5_0026, COOKIE)));
    write("seven.bpf", &bytes(&[insn(0x06, 0, 0, 0x7_0007)]));
    write("secret", b"no\n");
    fs::create_dir(folder.path().join("in")).unwrap();
    write("in/file", b"yes\n");
    chown(folder.path().join("in"), Some(ONE), Some(ONE)).unwrap();
    folder
}

fn said(command: &mut Command) -> (String, String) {
    let output = command.output().unwrap();
    [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).into()
}

fn listed<'a>(folder: &'a tempfile::TempDir, filter: &'a str, rest: &[&'a str]) -> Command {
    let beginning = ["run", "--target", "kernel", "--filter", filter, "--rule", "list.s"];
    let handles = ["allowed=/bin", "allowed=/test", "allowed=/dev", "allowed=in"];
    let handles = handles.into_iter().flat_map(|handle| ["--handle", handle]);
    let words: Vec<_> = beginning.into_iter().chain(handles).chain(rest.iter().copied()).collect();
    landlock(folder, ONE, &words)
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn handles_and_filters_of_a_user_s_on_the_command_line() {
    let _daemon = Running::start();
    let folder = filled();
    let script = ["--", "sh", "-c", "cat in/file; cat secret; uname"];
    let (out, err) = said(&mut listed(&folder, "cookie.bpf", &script));
    assert_eq!(out, "yes\nLinux\n", "{err}");
    assert!(err.contains("secret': Permission denied"), "{err}");
    let (out, _) = said(&mut listed(&folder, "uname.bpf", &script));
    assert!(out.starts_with("yes\n") && !out.contains("Linux"), "{out}");
    // A handle is the directory, whatever it is called; a log changes nothing about it.
    let script = "mv in moved; mkdir in; true > in/other || echo refused; cat moved/file";
    let (out, err) = said(&mut listed(&folder, "cookie.bpf", &["--log", "log", "--", "sh", "-c", script]));
    assert_eq!(out, "refused\nyes\n", "{err}");
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.contains("list"), "{log}");
    // In another domain: what that denies is denied as well.
    let inner = "landlock run --target kernel --filter cookie.bpf --rule list.s --handle allowed=/bin --handle allowed=/dev \
                 --handle allowed=moved -- sh -c 'cat moved/file; cat secret; rm moved/file; cat moved/file'";
    let outer = ["run", "--target", "kernel", "--rule", "no_removal.s", "--", "sh", "-c", inner];
    let (out, err) = said(&mut landlock(&folder, ONE, &outer));
    assert_eq!(out, "yes\nyes\n", "{err}");
    let free = ["run", "--target", "kernel", "--rule", "harmless.s", "--", "cat", "secret"];
    let (out, _) = said(&mut landlock(&folder, ONE, &free));
    assert_eq!(out, "no\n");
}

/// Filters and rules for cookies, without any map: the same again is the same domain.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_rule_of_a_user_s_is_asked_for_the_cookies_of_older_filters() {
    let _daemon = Running::start();
    let folder = filled();
    let run = |layers: &[&str]| {
        let words = ["run", "--target", "kernel"].into_iter().chain(layers.iter().copied());
        landlock(&folder, ONE, &words.chain(["--", "cat", "secret"]).collect::<Vec<_>>()).output().unwrap()
    };
    let starts = |layers: &[&str]| run(layers).status.success();
    assert!(!starts(&["--filter", "seven.bpf", "--rule", "seven.s"]));
    assert!(starts(&["--filter", "cookie.bpf", "--rule", "seven.s"]));
    assert!(starts(&["--rule", "seven.s", "--filter", "seven.bpf"]));
    let seven = || Domain::layered([Layer::Filter(Filter::always(7)), Layer::Rule(rule(SEVEN))]);
    let five = || Domain::layered([Layer::Filter(Filter::always(5)), Layer::Rule(rule(SEVEN))]);
    as_user(ONE, || {
        let load = |domain: &Domain| Daemon::default().load(domain, None, false).unwrap();
        let grants = [load(&seven()), load(&seven()), load(&five())];
        assert!(grants[0].number == grants[1].number && grants[0].number != grants[2].number);
        // The newer rule is asked for cookies of the older domain's filter.
        enter(load(&Domain::layered([Layer::Filter(Filter::always(7))])).token).unwrap();
        let path = folder.path().join("secret");
        assert_eq!(opened(&path), 0);
        let here = DomainId::of_this_thread().unwrap();
        let newer = Domain::prepended([rule(SEVEN)]);
        enter(Daemon::default().load(&newer, Some(here), false).unwrap().token).unwrap();
        assert_eq!(opened(&path), EACCES);
    });
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn domains_with_handles_are_nobody_else_s_and_nest() {
    let _daemon = Running::start();
    let folder = filled();
    let [inside, secret, system] = ["in", "secret", "/dev"].map(|name| folder.path().join(name));
    let files = [inside.join("file"), secret.clone()];
    let load = |domain: &Domain, parent| Daemon::default().load(domain, parent, false).unwrap();
    let domains = [list(&[&inside, &system]), list(&[&secret, &system]), list(&[&inside, &system])];
    let mut numbers = Vec::new();
    for (domain, expected) in domains.iter().zip([[0, EACCES], [EACCES, 0], [0, EACCES]]) {
        for user in [ONE, OTHER] {
            as_user(user, || {
                let grant = load(domain, None);
                enter(grant.token).unwrap();
                assert_eq!(files.each_ref().map(|file| opened(file)), expected);
                numbers.push(grant.number);
                // Another map below, which is empty: nothing is in both. What it takes to ask is open already.
                let here = DomainId::of_this_thread().unwrap();
                let inner = load(&list(&[&files[0]]), Some(here));
                enter(inner.token).unwrap();
                assert_eq!(files.each_ref().map(|file| opened(file))[1], EACCES);
                assert_eq!(opened(&files[0]), expected[0]);
            });
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 6);
    assert_eq!(files.each_ref().map(|file| opened(file)), [0, 0]);
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn places_for_handles_are_limited_and_come_back() {
    let _daemon = Running::start();
    let why = |answer: Result<_, Error>| match answer {
        Err(Error::Refused(refusal)) => Some(refusal.why),
        Ok(_) => None,
        Err(other) => panic!("{other}"),
    };
    let dev = Path::new("/dev");
    let load = |user: u32| as_user(user, || Daemon::default().load(&list(&[dev]), None, false));
    // Room for ten each.
    let grants: Vec<_> = (0..MOST.handles.div_ceil(10)).map(|_| load(ONE).unwrap()).collect();
    assert_eq!(why(load(ONE)), Some(Why::Limit));
    assert_eq!(why(load(OTHER)), None);
    as_user(ONE, || crate::load(&[denies("without_maps", LOCK)]));
    drop(grants);
    crate::becomes(|| load(ONE).is_ok());
    // Nothing is taken that a call could reach somebody's file system with.
    let readable = rule(LIST);
    readable.maps()[0].append(handle(dev, OFlags::RDONLY)).unwrap();
    let answer = Daemon::default().load(&Domain::prepended([readable]), None, false);
    assert_eq!(why(answer), Some(Why::Descriptor));
}

/// Whoever has the connection changes the maps, until it says that nobody does.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_user_changes_handles_while_rules_compare_with_them() {
    let daemon = Running::start();
    let folder = filled();
    let files = ["in/file", "secret"].map(|name| folder.path().join(name));
    let (ask, asked) = std::sync::mpsc::channel::<()>();
    let (tell, told) = std::sync::mpsc::channel();
    as_user(ONE, move || {
        let seen = || {
            ask.send(()).unwrap();
            told.recv().unwrap()
        };
        let rule = rule(LIST);
        let domain = Domain::layered([Layer::Filter(Filter::always(5)), Layer::Rule(rule)]);
        let sandbox = Sandbox::new(domain).with_target(Choice::Kernel);
        let handles = sandbox.handles("allowed").unwrap();
        let grant = Daemon::default().load(&list(&[&files[0]]), None, false).unwrap();
        let token = grant.token;
        let paths = files.clone();
        let confined = std::thread::spawn(move || {
            enter(token).unwrap();
            while asked.recv().is_ok() {
                tell.send(paths.each_ref().map(|file| opened(file))).unwrap();
            }
        });
        let change = |files: &[&Path]| {
            let handles: Vec<Handle> = files.iter().map(|file| handle(file, OFlags::PATH)).collect();
            grant.connection.change(0, &handles).map(|()| handles)
        };
        assert_eq!(seen(), [0, EACCES]);
        let both = change(&[&files[0], &files[1]]).unwrap();
        assert_eq!(seen(), [0, 0]);
        let second = change(&[&files[1]]).unwrap();
        assert_eq!(seen(), [EACCES, 0]);
        let none = change(&[]).unwrap();
        assert_eq!(seen(), [EACCES, EACCES]);
        drop((both, second, none));
        let refused = grant.connection.change(1, &[]).unwrap_err();
        assert!(matches!(&refused, Error::Refused(refusal) if refusal.why == Why::Descriptor), "{refused}");
        let _there = change(&[&files[0]]).unwrap();
        grant.connection.seal();
        assert!(matches!(change(&[&files[1]]), Err(Error::Silent(_))));
        assert_eq!(seen(), [0, EACCES]);
        drop(ask);
        confined.join().unwrap();

        // The library's, before anything is loaded and while it is; one that is inside changes nothing.
        let open = |path: &Path| fs::File::open(path).unwrap();
        let system = ["/bin", "/test", "/dev"].map(Path::new);
        system.iter().for_each(|path| handles.append(open(path)).unwrap());
        let cat = |file: &Path| {
            let mut command = Command::new("cat");
            command.arg(file).stdout(Stdio::null()).stderr(Stdio::null());
            sandbox.spawn(command).unwrap().wait().unwrap().success()
        };
        assert!(!cat(&files[0]));
        handles.append(open(&files[0])).unwrap();
        assert!(cat(&files[0]) && !cat(&files[1]));
        handles.set(3, open(&files[1])).unwrap();
        assert!(!cat(&files[0]) && cat(&files[1]));
        handles.delete_last().unwrap();
        assert!(!cat(&files[0]) && !cat(&files[1]));
        let outside = [open(&files[0]), open(&files[1])];
        sandbox.enter().unwrap();
        assert_eq!(files.each_ref().map(|file| opened(file)), [EACCES, EACCES]);
        for file in outside {
            let Err(ebpf_landlock::Error::Handle(error)) = handles.append(file) else { panic!("changed") };
            assert_eq!(error.raw_os_error(), Some(1));
        }
        assert_eq!(handles.len(), 3);
        assert_eq!(files.each_ref().map(|file| opened(file)), [EACCES, EACCES]);
    });
    drop(daemon);
}

/// As for root: who kills the process that keeps the handles open lifts nothing, nor who kills the daemon.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn killing_who_holds_a_user_s_handles_lifts_nothing() {
    for killed in [false, true] {
        let daemon = Running::start();
        let folder = filled();
        let mut asked = Asked::start(listed(&folder, "cookie.bpf", &["--", "sh", "-c", asked::SCRIPT]));
        let files = ["in/file", "secret", "/bin/sh"];
        assert_eq!(asked.open(files), [true, false, true]);
        daemon.kill();
        assert_eq!(asked.open(files), [true, false, true]);
        let _daemon = Running::start();
        if killed {
            asked.kill_keeper();
            asked.kill_waiter();
            assert_eq!(asked.open(files), [true, false, true]);
        }
        fs::remove_dir_all(folder.path().join("in")).unwrap();
        assert_eq!(asked.open(files), [false, false, !killed], "killed: {killed}");
        asked.end();
    }
}

/// The RFC's session: what a user starts is held to its list from when root puts it into the cgroup.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn the_sandbox_of_2016_for_a_user() {
    let _daemon = Running::start();
    let folder = filled();
    let group = Path::new("/sys/fs/cgroup/users-own");
    fs::create_dir_all(group).unwrap();
    let mut sandbox = landlock(&folder, ONE, &["sandbox", "--target", "kernel", "/bin/sh", "-c"]);
    sandbox.arg(format!("echo $$; exec 2> /dev/null; {}", asked::SCRIPT));
    let allowed = format!("/bin:/dev:/proc/self/fd/0:/proc/self/fd/1:{}/in", folder.path().display());
    sandbox.env("LANDLOCK_ALLOWED", allowed).env("LANDLOCK_CGROUPS", group);
    let mut asked = Asked::start(sandbox);
    let shell = asked.line();
    let files = ["in/file", "secret"];
    assert_eq!(asked.open(files), [true, true]);
    fs::write(group.join("cgroup.procs"), shell.trim()).unwrap();
    assert_eq!(asked.open(files), [true, false]);
    asked.end();
    crate::becomes(|| fs::remove_dir(group).is_ok());
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_sandbox_of_the_library_compares_with_handles() {
    let _daemon = Running::start();
    let folder = filled();
    let files = ["in/file", "secret"].map(|name| folder.path().join(name));
    let lists = [folder.path().join("in"), "/bin".into(), "/test".into(), "/dev".into()];
    as_user(ONE, || {
        let lists = lists.each_ref().map(|path| path.as_path());
        let sandbox = Sandbox::new(list(&lists)).with_target(Choice::Kernel);
        let cat = |file: &Path| {
            let mut command = Command::new("cat");
            command.arg(file).stdout(Stdio::null());
            sandbox.spawn(command).unwrap().wait().unwrap().success()
        };
        assert_eq!(files.each_ref().map(|file| cat(file)), [true, false]);
        sandbox.enter().unwrap();
        assert_eq!(files.each_ref().map(|file| opened(file)), [0, EACCES]);
        assert!(unlock().is_ok());
    });
}

/// What it takes to start one is no file of the list: a handle of a process, /proc, the root directory.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_command_under_a_list_starts_others_in_sandboxes() {
    let _daemon = Running::start();
    let folder = filled();
    for name in ["harmless.s", "seven.s", "seven.bpf"] {
        fs::copy(folder.path().join(name), folder.path().join("in").join(name)).unwrap();
    }
    let nested = |options: &'static str| {
        let script = format!("landlock run --target kernel {options} -- sh -c 'cat in/file; cat secret'");
        said(&mut listed(&folder, "cookie.bpf", &["--", "sh", "-c", &script]))
    };
    let (out, err) = nested("--rule in/harmless.s");
    assert_eq!(out, "yes\n", "{err}");
    assert!(err.contains("secret': Permission denied"), "{err}");
    // And is in both.
    let (out, err) = nested("--filter in/seven.bpf --rule in/seven.s");
    assert_eq!(out, "", "{err}");
    assert!(err.contains("Permission denied"), "{err}");
}
