// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock explain`.

use crate::support::{Folder, all_shipped, filter, root, shipped};

#[test]
fn the_shipped_rules_mean_what_the_golden_pages_say() {
    let folder = Folder::new();
    for rule in all_shipped() {
        let ran = folder.landlock(["explain", rule.to_str().unwrap()]).exits(0).quiet();
        let name = rule.file_stem().unwrap().to_string_lossy().into_owned();
        insta::assert_snapshot!(name, ran.stdout());
    }
}

#[test]
fn rules_are_explained_together() {
    let folder = Folder::new();
    let (write, get) = (shipped("deny-write.c"), shipped("deny-get.c"));
    let ran = folder.landlock(["explain", write.to_str().unwrap(), get.to_str().unwrap()]).exits(0);
    assert!(ran.stdout().starts_with("rule deny-get, event FS\nrule deny-write, event FS\n"), "{ran}");
}

#[test]
fn programs_get_json() {
    let folder = Folder::new();
    let ran = folder.landlock(["explain", "--json", shipped("no-tiocsti.c").to_str().unwrap()]).exits(0);
    let page: serde_json::Value =
        serde_json::from_str(&ran.stdout()).unwrap_or_else(|e| panic!("{e}: {ran}"));
    let operations = page["operations"].as_array().unwrap();
    let ioctl = operations.iter().find(|operation| operation["operation"] == "ioctl").unwrap();
    assert_eq!(ioctl["reply"], "allowed");
    let denied: Vec<_> = ioctl["commands"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(denied, ["TIOCSTI", "TIOCLINUX"]);
}

#[test]
fn a_rule_that_is_refused_is_not_explained() {
    let folder = Folder::new();
    folder.write("bad.s", ".rule bad\n.event FS\n.license \"GPL\"\n exit\n");
    folder.landlock(["explain", "bad.s"]).exits(1).prints("").complains("rule bad: refused");
    folder.landlock(["explain"]).exits(2);
}

#[test]
fn rules_tied_to_hooks_say_what_they_look_at() {
    let rules = root().join("crates/compiler/tests/rules/handles.c");
    let ran = Folder::new().landlock(["explain", rules.to_str().unwrap()]).exits(0).quiet();
    insta::assert_snapshot!("handles", ran.stdout());
    let folder = Folder::new();
    folder.write("never.s", ".rule never\n.event MMAP_FILE\n r0 = 1\n exit\n");
    let ran = folder.landlock(["explain", "never.s"]).exits(0);
    ran.prints(
        "rule never, event MMAP_FILE\n\nasked once for each cookie:\n    MMAP_FILE, never: always denied\n",
    );
}

#[test]
fn filters_say_for_which_cookies_rules_are_asked() {
    let folder = Folder::new();
    folder.write("rule.s", ".rule first\n.event FILE_OPEN\n r0 = *(u16 *)(r1 + 4)\n exit\n");
    folder.write("later.s", ".rule later\n.event FILE_OPEN\n r0 = *(u16 *)(r1 + 4)\n exit\n");
    folder.write("five.bpf", filter(257, 0x0007_0005));
    folder.write("eight.bpf", filter(2, 0x0007_0008));
    let ran =
        folder.landlock(["explain", "rule.s", "--filter", "five.bpf", "--filter", "eight.bpf", "later.s"]);
    ran.exits(0).quiet().prints(
        "rule later, event FILE_OPEN\nfilter, 4 instructions: cookie 8, ALLOW\n\
         filter, 4 instructions: cookie 5, ALLOW\nrule rule, event FILE_OPEN\n\n\
         asked once for each cookie:\n    \
         FILE_OPEN, later, for cookies 5 and 8: may depend on the cookie\n    \
         FILE_OPEN, rule: never asked, no filter before it hands a cookie on\n",
    );
    let ran = folder.landlock(["explain", "--json", "--filter", "five.bpf", "rule.s"]).exits(0);
    let page: serde_json::Value = serde_json::from_str(&ran.stdout()).unwrap();
    assert_eq!(page["filters"][0]["may_say"], serde_json::json!(["cookie 5", "ALLOW"]));
    assert_eq!(page["filters"][0]["newer_rules"], 1);
    assert_eq!(page["hooks"][0]["cookies"], serde_json::json!({"these": [5]}));
    // Of nothing that filters do themselves is anything promised.
    folder
        .landlock(["explain", "--filter", "five.bpf"])
        .exits(0)
        .prints("filter, 4 instructions: cookie 5, ALLOW\n");
}

/// What the kernel target refuses is said beforehand, and of no rule that it takes.
#[test]
fn rules_that_compare_without_a_path_are_told_as_the_supervisor_s() {
    let rule = |event: &str, actions: u32| {
        format!(
            ".rule compares\n.abi 2\n.event {event}\n.license \"GPL\"\n.map list fs 4\n r2 = *(u64 *)(r1 + 24)\n \
             r0 = 0\n if r2 & {actions} goto look\n exit\nlook:\n r4 = *(u64 *)(r1 + 16)\n r1 = 0\n r2 = map list\n \
             r3 = 1\n call cmp_fs_beneath\n exit\n"
        )
    };
    let folder = Folder::new();
    folder.write("removes.s", rule("FS", 32));
    let ran = folder.landlock(["explain", "removes.s"]).exits(0);
    let told = "refused on the kernel target, which has no path for rule removes to compare with handles at:\n    \
                inode_unlink; inode_rmdir; inode_rename\n";
    assert!(ran.stdout().ends_with(told), "{ran}");
    let page = folder.landlock(["explain", "--json", "removes.s"]).exits(0).stdout();
    let page: serde_json::Value = serde_json::from_str(&page).unwrap();
    let hooks = serde_json::json!(["inode_unlink", "inode_rmdir", "inode_rename"]);
    assert_eq!(page["not_in_the_kernel"], serde_json::json!([{"rule": "removes", "hooks": hooks}]));
    for (event, actions) in [("FS", 64), ("FS_IOCTL", 1)] {
        folder.write("takes.s", rule(event, actions));
        let ran = folder.landlock(["explain", "takes.s"]).exits(0);
        assert!(!ran.stdout().contains("kernel target"), "{ran}");
    }
}
