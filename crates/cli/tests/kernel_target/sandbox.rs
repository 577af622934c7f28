// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock sandbox` and handles on the command line, in the kernel.

use std::process::Command;

use super::*;
use crate::asked::Asked;

/// The session of August 2016, typed at a terminal.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn the_session_of_the_rfc_at_a_terminal() {
    keep_engine();
    ["/home/user1", "/lib", "/usr"].iter().for_each(|path| std::fs::create_dir_all(path).unwrap());
    let mut shell = Command::new("/bin/sh");
    terminal::is_as_printed(&terminal::typed(shell.arg("-i"), &terminal::session("kernel")));
}

/// The same from a script, with three pipes for a terminal.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn the_session_of_the_rfc_gives_what_is_printed_there() {
    keep_engine();
    let group = "/sys/fs/cgroup/scripted";
    ["/home/user1", "/lib", "/usr", group].iter().for_each(|path| std::fs::create_dir_all(path).unwrap());
    let script = format!("ls /home; echo $$ > {group}/cgroup.procs; echo then; ls /home; echo $?");
    let folder = Folder::new();
    let mut sandbox = Command::new("landlock");
    sandbox.args(["sandbox", "--target", "kernel", "/bin/sh", "-c", &script]);
    let terminal = "/proc/self/fd/0:/proc/self/fd/1:/proc/self/fd/2";
    sandbox.env("LANDLOCK_ALLOWED", format!("/bin:/lib:/usr:/tmp:{terminal}")).env("LANDLOCK_CGROUPS", group);
    let ran = folder.run(&mut sandbox);
    assert!(ran.stdout().ends_with("user1\nthen\n1\n"), "{}{}", ran.stdout(), ran.stderr());
    assert!(ran.stderr().contains("'/home': Permission denied"), "{}", ran.stderr());
    assert!(folder.free_script("ls /home").stdout().ends_with("user1\n"));
}

/// A list of what may be opened, for every cookie.
pub const RULE: &str = ".rule beneath_allowed\n.event FILE_OPEN\n.license \"GPL\"\n.map allowed fs 10\n \
                    r4 = *(u64 *)(r1 + 8)\n r1 = 0\n r2 = map allowed\n r3 = 1\n call cmp_fs_beneath\n \
                    if r0 == 0 goto end\n r0 = 13\nend:\n exit\n";

pub fn insn(code: u16, jt: u8, jf: u8, k: u32) -> [u8; 8] {
    let ([a, b], [c, d, e, f]) = (code.to_le_bytes(), k.to_le_bytes());
    [a, b, jt, jf, c, d, e, f]
}

/// A filter that says `said` of a system call and `else_said` of others.
fn filter(nr: u32, said: u32, else_said: u32) -> Vec<u8> {
    [insn(0x20, 0, 0, 0), insn(0x15, 0, 1, nr), insn(0x06, 0, 0, said), insn(0x06, 0, 0, else_said)].concat()
}

pub const COOKIE: u32 = 0x7_0005;
const UNAME: u32 = 63;

/// For a filter that hands on a cookie at every system call, and one that forbids one as well.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn handles_and_filters_on_the_command_line() {
    keep_engine();
    let folder = Folder::new();
    folder.write("rule.s", RULE);
    folder.write("cookie.bpf", insn(0x06, 0, 0, COOKIE));
    folder.write("uname.bpf", filter(UNAME, 0x5_0026, COOKIE));
    folder.write("secret", "no\n");
    std::fs::create_dir(folder.path("in")).unwrap();
    folder.write("in/file", "yes\n");
    let inside = format!("allowed={}", folder.path("in").display());
    let script = "cat in/file; cat secret; uname";
    let run = |filter: &str| {
        let options = ["run", "--target", "kernel", "--filter", filter, "--rule", "rule.s"];
        let handles = ["--handle", "allowed=/bin", "--handle", "allowed=/dev", "--handle", &inside];
        let command = options.into_iter().chain(handles).chain(["/bin/sh", "-c", script]);
        folder.run(Command::new("landlock").args(command))
    };
    let plain = run("cookie.bpf");
    assert_eq!(plain.stdout(), "yes\nLinux\n", "{}", plain.stderr());
    assert!(plain.stderr().contains("secret': Permission denied"), "{}", plain.stderr());
    let forbidden = run("uname.bpf").stdout();
    assert!(forbidden.starts_with("yes\n") && !forbidden.contains("Linux"), "{forbidden}");
    assert_eq!(folder.free_script(script).stdout(), "yes\nno\nLinux\n");
}

/// A shell on the kernel target that may open what is in `in`.
fn asked(folder: &Folder) -> Asked {
    let mut run = Command::new("landlock");
    run.args(["run", "--target", "kernel", "--filter", "cookie.bpf", "--rule", "rule.s"]);
    for allowed in ["/bin", "/dev", folder.path("in").to_str().unwrap()] {
        run.arg("--handle").arg(format!("allowed={allowed}"));
    }
    run.args(["--", "/bin/sh", "-c", asked::SCRIPT]).current_dir(folder.path("."));
    Asked::start(run)
}

/// Neither who kills the keeper, nor who kills the waiter as well, lifts anything; what nobody holds any more may be
/// forgotten, and then nothing can be told.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn killing_who_holds_the_handles_lifts_nothing() {
    keep_engine();
    let folder = Folder::new();
    folder.write("rule.s", RULE);
    folder.write("cookie.bpf", insn(0x06, 0, 0, COOKIE));
    folder.write("secret", "no\n");
    for killed in [false, true] {
        std::fs::create_dir(folder.path("in")).unwrap();
        folder.write("in/file", "yes\n");
        let mut asked = asked(&folder);
        let files = ["in/file", "secret", "/bin/sh"];
        assert_eq!(asked.open(files), [true, false, true]);
        if killed {
            asked.kill_keeper();
            assert_eq!(asked.open(files), [true, false, true]);
            asked.kill_waiter();
            assert_eq!(asked.open(files), [true, false, true]);
        }
        std::fs::remove_dir_all(folder.path("in")).unwrap();
        assert_eq!(asked.open(files), [false, false, !killed], "killed: {killed}");
        asked.end();
    }
    folder.free_script("true < secret").exits(0);
}

/// Removes nothing that is beneath a handle: asked at hooks where the kernel says no path.
const REMOVES: &str = ".rule removes\n.abi 2\n.event FS\n.license \"GPL\"\n.map kept fs 4\n r2 = *(u64 *)(r1 + 24)\n \
                       r0 = 0\n if r2 & 32 goto look\n exit\nlook:\n r4 = *(u64 *)(r1 + 16)\n r1 = 0\n \
                       r2 = map kept\n r3 = 1\n call cmp_fs_beneath\n if r0 == 0 goto deny\n r0 = 0\n exit\n\
                       deny:\n r0 = 1\n exit\n";

/// Nothing is run without what cannot be enforced; the other target can, and `auto` takes it.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn what_compares_where_there_is_no_path_is_refused_or_the_supervisor_s() {
    let folder = Folder::new();
    folder.write("removes.s", REMOVES);
    let run = |target: &str| {
        folder.write("file", "");
        let options = ["run", "-v", "--target", target, "--rule", "removes.s", "--handle", "kept=."];
        folder.run(&mut landlock(&[&options[..], &["--", "rm", "file"]].concat()))
    };
    run("kernel")
        .exits(125)
        .complains("rule removes compares with handles at hooks")
        .complains(
            ": inode_unlink, inode_rmdir, inode_rename; tie it to FILE_OPEN, FILE_PERMISSION or MMAP_FILE",
        )
        .complains("nothing was run");
    assert!(folder.path("file").exists());
    run("auto").exits(1).complains("target supervisor").complains("Operation not permitted");
    assert!(folder.path("file").exists());
    folder.free_script("rm file").exits(0);
}

/// A log of a command's own says by which map a rule decided.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_log_says_by_which_map_a_rule_decided() {
    let folder = Folder::new();
    folder.write("rule.s", RULE);
    folder.write("cookie.bpf", insn(0x06, 0, 0, COOKIE));
    let options = ["run", "--target", "kernel", "--log", "-", "--filter", "cookie.bpf", "--rule", "rule.s"];
    let words = [&options[..], &["--handle", "allowed=/bin", "--", "cat", "/dev/null"]].concat();
    folder.run(&mut landlock(&words)).exits(1).complains(", by map 'allowed'");
}
