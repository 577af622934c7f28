// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock sandbox` and handles on the command line, in the kernel.

use std::process::Command;

use super::*;

/// The session of August 2016. Its terminal is the three pipes of the test here.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn the_session_of_the_rfc_gives_what_is_printed_there() {
    keep_engine();
    let group = "/sys/fs/cgroup/sandboxed";
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

const RULE: &str = ".rule beneath_allowed\n.event FILE_OPEN\n.license \"GPL\"\n.map allowed fs 10\n \
                    r4 = *(u64 *)(r1 + 8)\n r1 = 0\n r2 = map allowed\n r3 = 1\n call cmp_fs_beneath\n \
                    if r0 == 0 goto end\n r0 = 13\nend:\n exit\n";

/// For a filter that hands on a cookie at every system call, and one that forbids one as well.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn handles_and_filters_on_the_command_line() {
    keep_engine();
    let folder = Folder::new();
    folder.write("rule.s", RULE);
    let insn = |code: u16, jt: u8, jf: u8, k: u32| {
        let ([a, b], [c, d, e, f]) = (code.to_le_bytes(), k.to_le_bytes());
        [a, b, jt, jf, c, d, e, f]
    };
    const UNAME: u32 = 63;
    let cookie = insn(0x06, 0, 0, 0x7_0005);
    folder.write("cookie.bpf", cookie);
    let but_uname = [insn(0x20, 0, 0, 0), insn(0x15, 0, 1, UNAME), insn(0x06, 0, 0, 0x5_0026), cookie];
    folder.write("uname.bpf", but_uname.concat());
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
