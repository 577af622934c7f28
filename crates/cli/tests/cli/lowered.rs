// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--lower`: mainline Landlock decides about opens, as the rules would, but where the documentation says otherwise.

use std::os::unix::fs::{FileTypeExt, symlink};
use std::os::unix::net::UnixListener;

use crate::support::{Folder, Ran};

/// Hands cookie 1 on at every system call.
const ALWAYS: [u8; 8] = [6, 0, 0, 0, 1, 0, 7, 0];
const STEPS: &str = include_str!("lowered.py");
const RACES: &str = include_str!("lowered_races.py");
/// What Python opens.
const SYSTEM: [&str; 5] = ["/usr", "/lib", "/lib64", "/etc", "/dev"];

fn list(errno: u32) -> String {
    format!(
        ".rule list\n.event FILE_OPEN\n.license \"GPL\"\n.map list fs 8\nr6 = r1\nr1 = 0\nr2 = map list\nr3 = 1\n\
         r4 = *(u64 *)(r6 + 8)\ncall cmp_fs_beneath\nif r0 == 0 goto allow\nr0 = {errno}\nexit\nallow:\nr0 = 0\nexit\n"
    )
}

/// `in` may be opened, `out` may not.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("always", ALWAYS);
    folder.write("list.s", list(13));
    for side in ["in", "out"] {
        std::fs::create_dir_all(folder.path(&format!("{side}/folder"))).unwrap();
        folder.write(&format!("{side}/file"), side);
        folder.write(&format!("{side}/folder/file"), side);
        folder.free_script(&format!("mkfifo {side}/fifo; cp /bin/true {side}/program")).exits(0);
        let _bound = UnixListener::bind(folder.path(&format!("{side}/socket"))).unwrap();
        let socket = folder.path(&format!("{side}/socket")).symlink_metadata().unwrap();
        assert!(socket.file_type().is_socket());
    }
    symlink("../out/file", folder.path("in/to-out")).unwrap();
    symlink("../in/file", folder.path("out/to-in")).unwrap();
    folder
}

fn run(folder: &Folder, options: &[&str], handles: &[&str], command: &[&str]) -> Ran {
    let mut arguments = vec!["run", "--target", "supervisor", "--filter", "always", "--rule", "list.s"];
    arguments.extend(options);
    let handles: Vec<String> = SYSTEM.iter().chain(handles).map(|path| format!("list={path}")).collect();
    for handle in &handles {
        arguments.extend(["--handle", handle]);
    }
    arguments.push("--");
    arguments.extend(command);
    folder.landlock(arguments)
}

fn python(folder: &Folder, options: &[&str], handles: &[&str], script: &str) -> Ran {
    run(folder, options, handles, &["python3", "-c", script])
}

#[test]
fn what_has_a_name_is_judged_as_the_rule_judges_it() {
    let asked = python(&folder(), &[], &["in"], STEPS).exits(0);
    let lowered = python(&folder(), &["--lower"], &["in"], STEPS).exits(0);
    let (asked, lowered) = (asked.stdout(), lowered.stdout());
    for (asked, lowered) in asked.lines().zip(lowered.lines()) {
        assert_eq!(asked, lowered);
    }
    assert_eq!(asked.lines().count(), lowered.lines().count());
    // Both saw what there was to see, and without the list nothing of it is refused.
    for seen in [
        "open in/file 4000 0\n",
        "open out/file 4000 13\n",
        "open out/none 4102 13\n",
        "open out/file 4003 13\n",
    ] {
        assert!(asked.contains(seen), "no {seen:?} in {asked}");
    }
    let free = python(&folder(), &["--lower"], &["/"], STEPS).exits(0).stdout();
    let refused: Vec<&str> = free.lines().filter(|line| line.ends_with(" 13")).collect();
    // Memory is beneath nothing, and execve(2) is asked about either way.
    assert!(refused.len() == 1 && refused[0].starts_with("exec /proc/self/fd/"), "{refused:?}");
}

/// A file, not a directory: the handle is that file by whatever name.
#[test]
fn a_handle_may_be_a_file() {
    let script = "cat out/file; echo; cat out/folder/file; ln out/file in/name; cat in/name; cat in/file";
    for options in [&[][..], &["--lower"]] {
        let folder = folder();
        let ran = run(&folder, options, &["out/file"], &["sh", "-c", script]);
        ran.prints("out\nout")
            .complains("folder/file: Permission denied")
            .complains("in/file: Permission denied");
    }
}

/// Every difference the documentation tells about, one by one.
#[test]
fn what_has_no_name_is_where_the_differences_are() {
    let reopen = "import os\ndef again(fd):\n  try: os.open(f'/proc/self/fd/{fd}',0); print('opened')\n  except OSError as e: print(e.errno)\n";
    let deleted = format!("{reopen}fd=os.open('in/file',0);os.unlink('in/file');again(fd)");
    let pipe = format!("{reopen}again(os.pipe()[0])");
    let memory = format!("{reopen}again(os.memfd_create('m'))");
    let folder_gone = "import os\nos.mkdir('in/gone');os.chdir('in/gone');os.rmdir('../gone')\n\
        try: os.open('.',0); print('opened')\nexcept OSError as e: print(e.errno)";
    for script in [deleted.as_str(), &pipe, &memory, folder_gone] {
        python(&folder(), &[], &["in"], script).exits(0).prints("13\n");
        python(&folder(), &["--lower"], &["in"], script).exits(0).prints("opened\n");
    }
    // Deleted elsewhere, it was never listed.
    let script = "exec 3<out/file; rm out/file; exec \"$@\"";
    for options in [&[][..], &["--lower"]] {
        let folder = folder();
        let mut command =
            vec!["sh", "-c", script, "-", crate::support::LANDLOCK, "run", "--target", "supervisor"];
        command.extend(options);
        command.extend([
            "--filter",
            "always",
            "--rule",
            "list.s",
            "--handle",
            "list=/usr",
            "--handle",
            "list=/lib",
        ]);
        command.extend(["--handle", "list=in", "--handle", "list=/etc", "--handle", "list=/lib64", "--"]);
        command.extend(["cat", "/proc/self/fd/3"]);
        folder
            .run(std::process::Command::new(command[0]).args(&command[1..]))
            .prints("")
            .complains("Permission denied");
    }
}

#[test]
fn other_rules_are_not_lowered_and_nothing_runs() {
    let folder = folder();
    let lower = |options: &[&str]| run(&folder, &[&["--lower"], options].concat(), &["/"], &["echo", "ran"]);
    lower(&[]).exits(0).prints("ran\n");
    lower(&["--log", "-"]).exits(125).prints("").complains("--log");
    lower(&["--stackable"]).exits(125).prints("").complains("--stackable");
    folder.write("list.s", list(1));
    lower(&[]).exits(125).prints("").complains("list refuses with EPERM, mainline Landlock with EACCES");
    run(&folder, &[], &["/"], &["echo", "ran"]).exits(0).prints("ran\n");
}

#[test]
fn explain_says_which_rules_can_be_lowered_and_why_others_cannot() {
    let folder = folder();
    folder.landlock(["explain", "list.s"]).exits(0).says("run --lower leaves it to mainline Landlock");
    folder.write("list.s", list(30));
    folder.landlock(["explain", "list.s"]).exits(0).says("run --lower cannot: rule list refuses with EROFS");
}

/// What a sandbox inside may deny must be notified, and opens are not.
#[test]
fn sandboxes_inside_cannot_deny_opens() {
    let folder = folder();
    let inner = |event: &str, test: &str| {
        format!(".rule inner\n.event {event}\n.license \"GPL\"\nr0 = *(u64 *)(r1 + 24)\n{test}\nexit\n")
    };
    folder.write("opens.s", inner("FS", "r0 &= 16"));
    folder.write("locks.s", inner("FS_LOCK", "r0 = 0"));
    let inside = |rule: &str| {
        let command = [crate::support::LANDLOCK, "run", "--rule", rule, "--", "cat", "in/file"];
        run(&folder, &["--lower"], &["/"], &command)
    };
    inside("opens.s").exits(125).prints("");
    inside("locks.s").exits(0).prints("in");
    // Nor by rules on the hook itself, whatever is lowered outside.
    let hook =
        ["run", "--filter", "always", "--rule", "list.s", "--handle", "list=/", "--", "cat", "in/file"];
    let command: Vec<&str> = [crate::support::LANDLOCK].into_iter().chain(hook).collect();
    run(&folder, &["--lower"], &["/"], &command).exits(125).prints("");
    run(&folder, &[], &["/"], &command).exits(0).prints("in");
}

/// What is moved and exchanged under the eyes of who judges it. `out` is never in `in`, so nothing may be read of it.
#[test]
fn no_race_leads_out_of_the_list() {
    let race = |options: &[&str], handles: &[&str], until: &str| {
        run(&folder(), options, handles, &["python3", "-c", RACES, until]).exits(0)
    };
    let [refused, seen] = ["refused\n", "read what is not listed\n"].map(|line| line.repeat(3));
    for options in [&[][..], &["--lower"]] {
        race(options, &["in"], "often").prints(&refused);
        race(options, &["/"], "until-seen").prints(&seen);
    }
}
