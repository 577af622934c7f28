// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rule of Landlock v7's user documentation: no file is created, whatever the system call.

use crate::support::{Folder, Ran, rule_in_c, shipped};

/// Ways to make `new`.
const WAYS: [(&str, &str); 9] = [
    ("open", "> new"),
    ("mkdir", "mkdir new"),
    ("link", "ln old new"),
    ("symlink", "ln -s old new"),
    ("mknod of a FIFO", "mkfifo new"),
    ("rename", "mv -T old new"),
    ("rename of a directory", "mv -T folder new"),
    ("bind of a socket", "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"new\")'"),
    ("copy", "cp -r folder new"),
];

fn prepared() -> Folder {
    let folder = Folder::new();
    folder.write("old", "content\n");
    std::fs::create_dir(folder.path("folder")).unwrap();
    folder
}

fn confined(folder: &Folder, script: &str) -> Ran {
    folder.confined_script(&[&shipped("deny-file-creation.c")], script)
}

fn exists(folder: &Folder) -> bool {
    folder.path("new").symlink_metadata().is_ok()
}

#[test]
fn no_way_to_create_a_file_is_left() {
    for (way, script) in WAYS {
        let folder = prepared();
        let ran = confined(&folder, script).complains("not permitted");
        assert!(!exists(&folder), "{way}: {ran}");
        assert!(folder.path("old").is_file() && folder.path("folder").is_dir(), "{way}: {ran}");
    }
}

#[test]
fn without_the_rule_every_way_works() {
    for (way, script) in WAYS {
        let folder = prepared();
        let ran = folder.free_script(script).exits(0);
        assert!(exists(&folder), "{way}: {ran}");
    }
}

/// It looks at every change of a name, and denies none of these.
#[test]
fn under_a_rule_about_something_else_every_way_works() {
    let rule = "if (!(ctx->arg2 & LANDLOCK_ACTION_FS_REMOVE)) return 0;\n\
                return S_ISSOCK(bpf_handle_fs_get_mode((void *)ctx->arg1));";
    for (way, script) in WAYS {
        let folder = prepared();
        let rule = folder.write("keep-sockets.c", rule_in_c("FS", rule));
        let ran = folder.confined_script(&[&rule], script).exits(0).quiet();
        assert!(exists(&folder), "{way}: {ran}");
    }
}

#[test]
fn files_that_exist_are_read_and_written_as_ever() {
    let folder = prepared();
    confined(&folder, "cat old && echo more >> old && cat < old && ls folder && : > old")
        .exits(0)
        .prints("content\ncontent\nmore\n")
        .quiet();
    assert_eq!(std::fs::read(folder.path("old")).unwrap(), b"");
}

#[test]
fn children_are_bound_as_well() {
    let folder = prepared();
    confined(&folder, "sh -c 'sh -c \"mkdir new\"' & wait").complains("not permitted");
    assert!(!exists(&folder));
}

/// No name is made, so no rule about NEW is asked (v7 as well); giving it a name is.
#[test]
fn an_unnamed_file_may_be_made_but_not_linked_into_place() {
    let script = "python3 -c '
import os
fd = os.open(\".\", os.O_TMPFILE | os.O_RDWR)
print(os.write(fd, b\"x\"), flush=True)
os.link(f\"/proc/self/fd/{fd}\", \"new\", src_dir_fd=fd, follow_symlinks=True)'";
    let folder = prepared();
    confined(&folder, script).exits(1).prints("1\n").complains("PermissionError");
    assert!(!exists(&folder));
    folder.free_script(script).exits(0);
    assert!(exists(&folder));
}
