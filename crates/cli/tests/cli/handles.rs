// SPDX-License-Identifier: MIT OR Apache-2.0
//! ABI 2 on the supervisor target: filters with cookies, maps of handles, and what rules make of them.

use std::fmt::Write as _;

use crate::support::{Folder, Ran, filter};

const TRACE: u32 = 0x7ff0_0000;
const LANDLOCK: u32 = 0x0007_0000;
const OPENAT: u32 = 257;

/// A filter that hands a cookie on at every system call.
fn always(cookie: u32) -> Vec<u8> {
    filter(0, LANDLOCK | cookie)[16..24].to_vec()
}

fn hook(name: &str, event: &str, body: &str) -> String {
    format!(".rule {name}\n.event {event}\n.license \"GPL\"\n.map list fs 8\n{body}\n")
}

/// Denies with `errno` regular files that are (`within`) or are not beneath a handle; nothing else.
fn beneath(event: &str, within: bool, errno: u32) -> String {
    let test = if within { "!=" } else { "==" };
    let body = format!(
        "r6 = r1\nr1 = 0\nr2 = map list\nr3 = 1\nr4 = *(u64 *)(r6 + 8)\ncall cmp_fs_beneath\n\
         if r0 {test} 0 goto allow\nr0 = {errno}\nexit\nallow:\nr0 = 0\nexit"
    );
    hook("beneath", event, &body)
}

/// Runs a script under layers; `-r FILE`, `-f FILE` and `-h MAP=PATH`.
fn run(folder: &Folder, layers: &[&str], script: &str) -> Ran {
    let mut arguments = vec!["run", "--target", "supervisor"];
    for pair in layers.chunks(2) {
        arguments.push(match pair[0] {
            "-r" => "--rule",
            "-f" => "--filter",
            _ => "--handle",
        });
        arguments.push(pair[1]);
    }
    arguments.extend(["--", "sh", "-c", script]);
    folder.landlock(arguments)
}

/// A deny list of `secret`, on file_open, with EROFS.
fn deny_list() -> Folder {
    let folder = Folder::new();
    folder.write("all", always(1));
    folder.write("deny.s", beneath("FILE_OPEN", true, 30));
    std::fs::create_dir_all(folder.path("secret/deep/er")).unwrap();
    folder.write("secret/file", "secret\n");
    folder.write("secret/deep/er/file", "secret\n");
    folder.write("open", "open\n");
    folder
}

const DENY: [&str; 6] = ["-f", "all", "-r", "deny.s", "-h", "list=secret"];

/// Under the deny list `script` meets EROFS and prints nothing; without a handle in the map it prints `secret`.
#[track_caller]
fn refused(folder: &Folder, script: &str) {
    run(folder, &DENY, script).prints("").complains("Read-only file system");
    run(folder, &DENY[..4], script).prints("secret\n");
}

/// The script gets at the secret, or rather at what is none any more.
#[track_caller]
fn let_through(folder: &Folder, script: &str) {
    run(folder, &DENY, script).exits(0).prints("secret\n");
}

#[test]
fn a_hard_link_is_beneath_what_its_name_is_beneath() {
    let folder = deny_list();
    let_through(&folder, "ln secret/file name; cat name; rm name");
    refused(&folder, "ln secret/file name; cat secret/file; rm name");
    // A handle of a file is that file, by whatever name.
    let layers = ["-f", "all", "-r", "deny.s", "-h", "list=secret/file"];
    run(&folder, &layers, "ln secret/file name; cat name").prints("").complains("Read-only");
    run(&folder, &layers[..4], "cat name").prints("secret\n");
}

/// Events of fanotify come with the file they are about, opened by the kernel. Needs root, as fanotify does.
#[test]
fn events_do_not_bring_open_files() {
    let folder = deny_list();
    let script = "import ctypes,os,struct,subprocess,threading\n\
        libc=ctypes.CDLL(None)\n\
        events=libc.fanotify_init(0,os.O_RDONLY)\n\
        if events<0 or libc.fanotify_mark(events,1,ctypes.c_uint64(0x8000020),-100,b'secret')<0: raise SystemExit('refused')\n\
        print('ready',flush=True)\n\
        print(os.pread(struct.unpack_from('iBBHQii',os.read(events,4096))[5],6,0).decode())";
    folder.write("events.py", script);
    let watched = |confined: &str| {
        let other =
            "while read line; do [ $line = ready ] && cat secret/file > /dev/null || echo $line; done";
        folder.free_script(&format!("{confined} python3 events.py | ({other})"))
    };
    let confined =
        format!("{} run --target supervisor --filter all --rule deny.s --handle", crate::support::LANDLOCK);
    watched(&format!("{confined} list=secret --")).prints("").complains("refused");
    watched(&format!("{confined} list=open --")).prints("").complains("refused");
    watched("").exits(0).prints("secret\n");
}

/// The reading and writing of descriptors that were opened before.
#[test]
fn every_read_and_write_is_asked_about_with_its_mask() {
    let folder = deny_list();
    let writes = "r0 = *(u64 *)(r1 + 16)\nif r0 != 2 goto allow\nr6 = r1\nr1 = 0\nr2 = map list\nr3 = 1\n\
        r4 = *(u64 *)(r6 + 8)\ncall cmp_fs_beneath\nif r0 != 0 goto allow\nr0 = 30\nexit\nallow:\nr0 = 0\nexit";
    folder.write("deny.s", hook("writes", "FILE_PERMISSION", writes));
    let script = "exec 3<> secret/file; cat <&3; cat open >&3";
    run(&folder, &DENY, script).prints("secret\n").complains("Read-only file system");
    run(&folder, &DENY[..4], script).exits(0).prints("secret\n").quiet();
    folder.write("secret/file", "secret\n");
    let threads = "python3 -c 'import threading,os;e=threading.Event();threading.Thread(target=e.wait,daemon=True).start();\
        f=os.open(\"secret/file\",os.O_RDWR);print(os.read(f,6).decode());os.write(f,b\"x\")'";
    run(&folder, &DENY, threads).prints("secret\n").complains("OSError: [Errno 30]");
    run(&folder, &DENY[..4], threads).exits(0).prints("secret\n");
}

#[test]
fn mappings_are_asked_about_with_their_protection() {
    let folder = deny_list();
    let shared = "r0 = *(u64 *)(r1 + 32)\nr0 &= 1\nif r0 == 0 goto allow\nr6 = r1\nr1 = 0\nr2 = map list\nr3 = 1\n\
        r4 = *(u64 *)(r6 + 8)\ncall cmp_fs_beneath\nif r0 != 0 goto allow\nr0 = 30\nexit\nallow:\nr0 = 0\nexit";
    folder.write("deny.s", hook("shared", "MMAP_FILE", shared));
    let map = |flags: &str| {
        format!(
            "python3 -c 'import mmap;f=open(\"secret/file\");print(mmap.mmap(f.fileno(),7,mmap.{flags},mmap.PROT_READ)[:6].decode())'"
        )
    };
    refused(&folder, &map("MAP_SHARED"));
    let_through(&folder, &map("MAP_PRIVATE"));
}

/// Where the supervisor is asked about a system call that a filter hands to a tracer, it is not run untraced.
#[test]
fn what_a_filter_hands_on_is_not_let_through_because_a_rule_is_asked_first() {
    let folder = deny_list();
    folder.write("trace", filter(OPENAT, TRACE));
    let script = "cat open";
    run(&folder, &["-f", "trace", "-f", "all", "-r", "deny.s"], script).exits(0).prints("open\n");
    // Every open is asked about, and only those of FIFOs are denied.
    let fifos = "r6 = *(u64 *)(r1 + 24)\nr6 &= 16\nr0 = 0\nif r6 == 0 goto out\nr1 = *(u64 *)(r1 + 16)\n\
        call handle_fs_get_mode\nr0 &= 61440\nif r0 == 4096 goto deny\nr0 = 0\nout:\nexit\ndeny:\nr0 = 1\nexit\n";
    folder.write("fifos.s", format!(".rule fifos\n.event FS\n.license \"GPL\"\n{fifos}"));
    run(&folder, &["-r", "fifos.s"], script).exits(0).prints("open\n");
    let ran = run(&folder, &["-f", "trace", "-r", "fifos.s"], script);
    assert_eq!(ran.stdout(), "", "{ran}");
}

/// Rules of the FS event compare as well; their errno is EPERM.
#[test]
fn rules_of_the_event_compare_with_handles() {
    let folder = deny_list();
    let mut rule = String::from(".rule writes\n.event FS\n.abi 2\n.license \"GPL\"\n.map list fs 4\n");
    let _ = write!(
        rule,
        "r0 = *(u64 *)(r1 + 24)\nr0 &= 42\nif r0 == 0 goto allow\nr6 = r1\nr1 = 0\nr2 = map list\nr3 = 1\n\
         r4 = *(u64 *)(r6 + 16)\ncall cmp_fs_beneath\nif r0 != 0 goto allow\nr0 = 1\nexit\nallow:\nr0 = 0\nexit\n"
    );
    folder.write("fs.s", rule);
    let layers = ["-r", "fs.s", "-h", "list=secret"];
    for script in [
        "echo x > secret/new",
        "echo x >> secret/file",
        "rm secret/file",
        "mv secret/file out",
        "mkdir secret/d",
        "mv open secret/",
        "ln open secret/open",
        "chmod 600 secret/file",
        "exec 3<> secret/file; echo x >&3",
    ] {
        run(&folder, &layers, script).complains("Operation not permitted");
    }
    run(&folder, &layers, "cat secret/file; echo x > new; mkdir d; chmod 600 open; mv open d/")
        .exits(0)
        .quiet();
    for script in ["echo x > secret/new", "chmod 600 secret/file", "mv secret/file out"] {
        run(&folder, &layers[..2], script).exits(0).quiet();
    }
}

#[test]
fn a_refusal_says_which_rule_and_cookie_it_was() {
    let folder = deny_list();
    let command = ["--", "cat", "secret/file"];
    let layers = ["--filter", "all", "--rule", "deny.s", "--handle", "list=secret"];
    let arguments = ["run", "--target", "supervisor", "--log", "-"].into_iter().chain(layers).chain(command);
    let ran = folder.landlock(arguments);
    ran.complains("landlock: EROFS: cat[")
        .complains("at file_open: denied by rule 0 'deny'")
        .complains(", by map 'list', cookie 1");
}

#[test]
fn what_is_no_filter_and_no_handle_is_said_and_nothing_is_run() {
    let folder = deny_list();
    folder.write("short", &always(1)[..7]);
    folder.write("endless", [0x20, 0, 0, 0, 0, 0, 0, 0]);
    for (layers, why) in [
        (&["-f", "short"][..], "short: instruction 0 of the filter: cut short"),
        (&["-f", "endless"], "it does not end in a return"),
        (&["-f", "none"], "none: No such file"),
        (
            &["-f", "all", "-r", "deny.s", "-h", "list=nowhere"],
            "--handle list=nowhere: nowhere: No such file",
        ),
        (&["-f", "all", "-r", "deny.s", "-h", "other=secret"], "no rule has a map other; there are: list"),
        (&["-f", "all", "-r", "deny.s", "-h", "nothing"], "MAP=PATH"),
    ] {
        run(&folder, layers, "echo ran > mark").exits(125).prints("").complains(why);
        assert!(!folder.path("mark").exists());
    }
    let mut full = vec!["-f", "all", "-r", "deny.s"];
    (0..9).for_each(|_| full.extend(["-h", "list=secret"]));
    run(&folder, &full, "true").exits(125).complains("there is room for 8 handles");
    run(&folder, &full[..20], "true").exits(0);
}

/// The shipped rule, as its page in the documentation shows it.
#[test]
fn read_only_except_these_directories() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path("build/in")).unwrap();
    std::fs::create_dir_all(folder.path("other")).unwrap();
    folder.write("build/file", "old\n");
    folder.write("other/file", "old\n");
    let rule = crate::support::shipped("read-only-except.c");
    let rule = rule.to_str().unwrap();
    let writable = ["-r", rule, "-h", "writable=build", "-h", "writable=/dev/null"];
    let good = "echo new > build/file; echo x > build/in/made; mkdir build/d; mv build/d build/in/; rm -r build/in/d; \
        chmod 600 build/file; ln build/file build/in/link; echo gone > /dev/null; cat other/file | cat";
    run(&folder, &writable, good).exits(0).prints("old\n").quiet();
    for bad in [
        "echo new > other/file",
        "echo new > made",
        "mkdir other/d",
        "rm other/file",
        "mv other/file build/",
        "mv build/file other/",
        "ln build/file other/link",
        "ln -s x other/link",
        "chmod 600 other/file",
        "touch other",
        "truncate -s 0 other/file",
    ] {
        let ran = run(&folder, &writable, bad);
        assert!(ran.stderr().contains("Operation not permitted"), "{bad}: {ran}");
    }
    assert_eq!(std::fs::read_to_string(folder.path("other/file")).unwrap(), "old\n");
    run(&folder, &["-r", rule, "-h", "writable=."], "echo new > other/file && mv other/file build/")
        .exits(0)
        .quiet();
    // Without a handle nothing is writable.
    run(&folder, &["-r", rule], "echo new > build/file").complains("Operation not permitted");
    let logged = ["run", "--target", "supervisor", "--log", "log", "--rule", rule, "--", "rm", "build/file"];
    folder.landlock(logged).exits(1);
    let log = std::fs::read_to_string(folder.path("log")).unwrap();
    let denial: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!(denial["rule"]["map"], "writable", "{log}");
}

#[test]
fn terminals_only_tell_about_themselves() {
    let folder = Folder::new();
    let rule = crate::support::shipped("read-only-except.c");
    let ioctl = "import fcntl,os,struct,sys\nm,s=os.openpty()\n\
        fcntl.ioctl(s,0x5413,bytes(8))\n\
        try:\n  fcntl.ioctl(s,0x5412,b'x')\n  print('pushed')\n\
        except PermissionError:\n  print('refused')\n";
    folder.write("ioctl.py", ioctl);
    // A terminal is opened by the test's own program, which unlocks it: with the ioctl the rule forbids.
    let free = "python3 -c \"import os;os.openpty();print('made')\"";
    run(&folder, &["-r", rule.to_str().unwrap(), "-h", "writable=/dev"], free).prints("");
    folder.free_script(free).prints("made\n");
    let inherited = "import os,pty,subprocess,sys\nm,s=pty.openpty()\n\
        code='import fcntl;fcntl.ioctl(0,0x5413,bytes(8));fcntl.ioctl(0,0x5412,b\"x\")'\n\
        command=sys.argv[1:]+['python3','-c',code]\n\
        r=subprocess.run(command,stdin=s,stderr=subprocess.PIPE,start_new_session=True)\n\
        print('PermissionError' in r.stderr.decode(), r.returncode)\n";
    folder.write("inherited.py", inherited);
    let confined = format!(
        "python3 inherited.py {} run --target supervisor --rule {} --",
        crate::support::LANDLOCK,
        rule.display()
    );
    folder.free_script(&confined).prints("True 1\n");
}
