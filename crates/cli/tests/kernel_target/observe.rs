// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock log`, `domains` and `status`, for root, and for users.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::sandbox::{COOKIE, RULE, insn};
use crate::support::Folder;
use crate::{HARMLESS, Heard, NEW, denies, kernel_run, landlock, until};

/// A command that is confined until the end of the test, so that the engine does not go.
struct Confined(Child);

impl Confined {
    fn start(folder: &Folder, rule: &str) -> Confined {
        let mut run = kernel_run(&[rule]);
        run.args(["sh", "-c", "echo; exec sleep 1000"]).current_dir(folder.path(".")).stdout(Stdio::piped());
        let mut child = run.spawn().unwrap();
        Heard::of(child.stdout.take().unwrap()).line();
        Confined(child)
    }
}

impl Drop for Confined {
    /// The command ends with the waiter.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// One test, because there is one log.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn what_was_refused_is_in_the_log_once_also_of_domains_that_are_gone() {
    let folder = Folder::new();
    folder.write("harmless.s", HARMLESS);
    folder.write("watched.s", denies("watched", NEW));
    let _keeps_the_engine = Confined::start(&folder, "harmless.s");
    let log = |more: &[&str]| folder.run(landlock(&["log"]).args(more));
    let watched =
        |text: &str| lines(text).into_iter().filter(|line| line["rule"]["name"] == "watched").collect();

    folder.run(kernel_run(&["watched.s"]).args(["touch", "new"])).exits(1);
    until(|| !folder.run(&mut landlock(&["domains"])).exits(0).stdout().contains("watched"));
    let first = log(&["--json"]).exits(0).quiet();
    let [denial]: [Value; 1] = <Vec<Value>>::try_into(watched(&first.stdout())).unwrap();
    assert_eq!((&denial["comm"], &denial["hook"]), (&"touch".into(), &"inode_create".into()));
    assert!(denial["rule"]["domain"].as_u64().unwrap() > 0);
    assert_eq!((&denial["rule"]["insn"], &denial["rule"]["line"]), (&5.into(), &"watched.s:10".into()));
    let again: Vec<Value> = watched(&log(&["--json"]).exits(0).stdout());
    assert!(again.is_empty(), "{again:?}");

    folder.run(kernel_run(&["watched.s"]).args(["touch", "new"])).exits(1);
    log(&[]).exits(0).says(": NEW on (unnamed) at inode_create: denied by rule 0 'watched', instruction 5 (watched.s:10), domain");

    folder.write("lists.s", RULE);
    folder.write("cookie.bpf", insn(0x06, 0, 0, COOKIE));
    let mut lists = kernel_run(&["lists.s"]);
    folder.run(lists.args(["--filter", "cookie.bpf", "--", "true"])).exits(0);
    folder
        .run(
            landlock(&["run", "--target", "kernel", "--filter", "cookie.bpf"])
                .args(["--rule", "lists.s", "true"]),
        )
        .exits(126);
    log(&[]).exits(0).says(": cookie 5 on (unnamed) at file_open: denied by rule 0 'lists', instruction 8 (lists.s:13), by map 'allowed', domain");

    let mut follower = landlock(&["log", "--follow", "--json"]);
    // A group of its own: a process stopped in ours could have the kernel hang us all up (setpgid(2), orphaned groups).
    let mut follower = follower.stdout(Stdio::piped()).process_group(0).spawn().unwrap();
    let output = Heard::of(follower.stdout.take().unwrap());
    let next = || loop {
        let line: Value = serde_json::from_str(&output.line()).unwrap();
        if line["rule"]["name"] == "watched" || line["lost"].is_u64() {
            return line;
        }
    };
    folder.run(kernel_run(&["watched.s"]).args(["touch", "new"])).exits(1);
    assert_eq!(next()["comm"], "touch");
    log(&[]).exits(1).complains("another process reads the denials");

    // Nobody reads for a while.
    let pid = rustix::process::Pid::from_child(&follower);
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let storm = "i=0; while [ $i -lt 16000 ]; do true > new$i; i=$((i+1)); done 2> /dev/null";
    folder.run(kernel_run(&["watched.s"]).args(["sh", "-c", storm]));
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    while !next()["lost"].is_u64() {}
    follower.kill().unwrap();
    follower.wait().unwrap();
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn living_domains_are_listed_with_rules_threads_and_hooks() {
    let folder = Folder::new();
    for name in ["older", "newer"] {
        folder.write(&format!("{name}.s"), denies(name, NEW));
    }
    folder.write("both.s", denies("older", NEW) + &denies("newer", NEW));
    let domains = || lines_of_array(&folder.run(&mut landlock(&["domains", "--json"])).exits(0).stdout());
    let ours = |domains: Vec<Value>| {
        let is_ours = |domain: &Value| domain["rules"] == serde_json::json!(["both/newer", "both/older"]);
        domains.into_iter().find(is_ours)
    };
    assert_eq!(ours(domains()), None);
    let confined = Confined::start(&folder, "both.s");
    let domain = ours(domains()).unwrap();
    assert_eq!(domain["threads"], 1);
    assert!(domain["hooks"].as_array().unwrap().contains(&"inode_create".into()), "{domain}");
    let number = domain["number"].as_u64().unwrap();
    folder.run(&mut landlock(&["domains"])).exits(0).says(&format!(
        "domain {number}: 1 threads\n  rules, newest first: both/newer, both/older\n  hooks: "
    ));
    drop(confined);
    until(|| ours(domains()).is_none());
}

fn lines_of_array(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn status_tells_what_the_kernel_target_does_here() {
    let folder = Folder::new();
    folder.write("harmless.s", HARMLESS);
    let _one = Confined::start(&folder, "harmless.s");
    let page: Value =
        serde_json::from_str(&folder.run(&mut landlock(&["status", "--json"])).exits(0).stdout()).unwrap();
    let kernel = &page["kernel"];
    assert_eq!((&page["auto"], &kernel["works"]), (&"kernel".into(), &"yes".into()));
    let active = std::fs::read_to_string("/sys/kernel/security/lsm").unwrap();
    let is_lsm = active.trim().split(',').any(|name| name == "bpf");
    assert_eq!(kernel["attachment"], if is_lsm { "lsm" } else { "modify_return" });
    assert!(["none", "voluntary", "lazy", "full"].contains(&kernel["preemption"].as_str().unwrap()));
    assert!(kernel["domains"].as_u64().unwrap() >= 1);
    assert!(
        kernel["lacking"].as_array().unwrap().iter().all(|hook| !hook["why"].as_str().unwrap().is_empty())
    );
    folder
        .run(&mut landlock(&["status"]))
        .exits(0)
        .says("yes      kernel target\n")
        .says("auto takes: kernel");
}

/// What the kernel target does is root's to see; a user is told so, and has the other target.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn users_are_refused_and_have_the_supervisor() {
    let folder = Folder::new();
    let rule = folder.write("harmless.s", HARMLESS);
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path("."), open).unwrap();
    let as_user = |arguments: &[&str]| {
        let mut command = Command::new("landlock");
        folder.run(command.args(arguments).uid(1000).gid(1000))
    };
    let rule = rule.to_str().unwrap();
    as_user(&["run", "--target", "kernel", "--rule", rule, "--", "touch", "mark"]).exits(125);
    as_user(&["run", "-v", "--rule", rule, "--", "true"]).exits(0).complains("target supervisor");
    as_user(&["status"]).exits(0).says("no       kernel target").says("auto takes: supervisor");
    as_user(&["log"]).exits(1).prints("");
    as_user(&["domains"]).exits(1).prints("");
}
