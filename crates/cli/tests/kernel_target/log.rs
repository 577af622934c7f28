// SPDX-License-Identifier: MIT OR Apache-2.0
//! The log, and that it is that of the supervisor target.

use serde_json::Value;

use crate::support::Folder;
use crate::{NEW, REMOVE, WRITE, denies, kernel_run, landlock};

fn logged(folder: &Folder, name: &str) -> Vec<Value> {
    let log = std::fs::read_to_string(folder.path(name)).unwrap();
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn the_rule_given_last_is_asked_first() {
    let folder = Folder::new();
    for name in ["one", "two"] {
        folder.write(&format!("{name}.s"), denies(name, NEW));
    }
    folder.write("other.s", denies("other", REMOVE));
    let decider = |rules: &[&str]| {
        let run = folder.run(kernel_run(rules).args(["--log", "log", "--", "touch", "new"]));
        run.exits(1).complains("Operation not permitted");
        let denial = logged(&folder, "log").pop().unwrap();
        (denial["rule"]["name"].as_str().unwrap().to_owned(), denial["rule"]["index"].as_u64().unwrap())
    };
    assert_eq!(decider(&["one.s", "two.s"]), ("two".to_owned(), 0));
    assert_eq!(decider(&["two.s", "one.s"]), ("one".to_owned(), 0));
    assert_eq!(decider(&["one.s", "other.s"]), ("one".to_owned(), 1));
}

/// Denies actions on regular files with some permission, so that it has to look.
fn denies_regular(actions: u32) -> String {
    format!(
        ".rule rule\n.event FS\n.license \"GPL\"\n r6 = *(u64 *)(r1 + 24)\n r1 = *(u64 *)(r1 + 16)\n \
         call handle_fs_get_mode\n r0 &= 0xf100\n if r0 != 0x8100 goto allow\n if r6 & {actions} goto deny\n\
         allow:\n r0 = 0\n exit\ndeny:\n r0 = 1\n exit\n"
    )
}

/// The denials of a script on a target, without what differs from run to run.
fn denials_on(target: &str, rule: &str, script: &str) -> Vec<Value> {
    let folder = Folder::new();
    folder.write("rule.s", rule);
    folder.write("file", "content\n");
    let arguments = ["run", "--target", target, "--log", "log", "--rule", "rule.s", "--", "sh", "-c", script];
    folder.run(&mut landlock(&arguments));
    let comparable = |mut denial: Value| {
        let fields = denial.as_object_mut().unwrap();
        assert!(fields.remove("time").unwrap().as_f64().unwrap() > 1.0);
        assert!(fields.remove("pid").unwrap().as_u64().unwrap() > 0);
        let object = fields["object"].as_object_mut().unwrap();
        // Programs of the kernel see no more of an object than its mode, and that only if a rule looks.
        ["path", "dev", "ino"].iter().for_each(|name| drop(object.remove(*name)));
        fields["rule"]["line"] = fields["rule"]["line"].as_str().unwrap().split('/').next_back().into();
        denial
    };
    logged(&folder, "log").into_iter().map(comparable).collect()
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_denial_is_the_same_line_on_both_targets() {
    for (actions, script) in [
        (NEW, "touch new; mkdir new; ln -s file new; ln file new; mv file new"),
        (REMOVE, "rm file; mv file new"),
        (WRITE, "chmod 600 file; : > file; echo x >> file"),
    ] {
        let rule = if actions == NEW { denies("rule", NEW) } else { denies_regular(actions) };
        let [kernel, supervisor] = ["kernel", "supervisor"].map(|target| denials_on(target, &rule, script));
        assert!(!kernel.is_empty());
        assert_eq!(kernel, supervisor, "{script}");
    }
    let everything = ".rule rule\n.event FS\n.license \"GPL\"\n r0 = 1\n exit\n";
    // Denies everything too, each kind of object in a line of its own.
    let by_mode = ".rule rule\n.event FS\n.license \"GPL\"\n r1 = *(u64 *)(r1 + 16)\n call handle_fs_get_mode\n \
                   r0 &= 0xf000\n if r0 == 0x4000 goto folder\n r0 = 1\n exit\nfolder:\n r0 = 2\n exit\n";
    for rule in [everything, by_mode] {
        let [kernel, supervisor] = ["kernel", "supervisor"].map(|target| denials_on(target, rule, "true"));
        let [mut kernel, mut supervisor] = [kernel, supervisor].map(|denials| denials[0].clone());
        assert!(kernel["rule"]["insn"].is_u64() && kernel["rule"]["line"].is_string(), "{kernel}");
        for denial in [&mut kernel, &mut supervisor] {
            // The first has not looked at the mode.
            denial["object"].take();
        }
        assert_eq!(kernel, supervisor);
    }
}
