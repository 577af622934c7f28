// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock sandbox`: the session of the RFC of August 2016, and what its sample did.
//!
//! Needs root: cgroups of version 2 and a folder /home are mounted, in a namespace that goes with the test.

use std::process::{Command, Stdio};

use crate::support::{Folder, LANDLOCK, Ran, filter, shipped};
use crate::terminal;

/// Types lines at a shell on a terminal of its own, in mounts of its own; what the terminal showed.
fn typed(lines: &[String]) -> String {
    let mount = "mount -t tmpfs none /home && mkdir /home/user1 && mount -t cgroup2 none /sys/fs/cgroup && exec /bin/sh -i";
    let mut shell = Command::new("unshare");
    shell.args(["--mount", "--", "sh", "-c", mount]);
    shell.env("PATH", format!("{}:{}", folder_of_landlock(), std::env::var("PATH").unwrap()));
    terminal::typed(&mut shell, lines)
}

fn folder_of_landlock() -> String {
    std::path::Path::new(LANDLOCK).parent().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn the_session_of_the_rfc_gives_what_is_printed_there() {
    let shown = typed(&terminal::session("supervisor"));
    terminal::is_as_printed(&shown);
}

fn sandbox(folder: &Folder, lists: &[(&str, &str)], command: &[&str]) -> Ran {
    let mut sandbox = Command::new(LANDLOCK);
    sandbox.args(["sandbox", "--target", "supervisor"]).args(command).stdin(Stdio::null());
    for name in ["LANDLOCK_ALLOWED", "LANDLOCK_CGROUPS"] {
        sandbox.env_remove(name);
    }
    folder.run(sandbox.envs(lists.iter().copied()))
}

const SYSTEM: &str = "/bin:/lib:/lib64:/usr";

/// Pipes are on no list either, so what a command says goes to a file of one that is.
#[test]
fn paths_alone_are_all_there_is() {
    let folder = Folder::new();
    folder.write("allowed", "yes\n");
    let other = Folder::new();
    other.write("secret", "no\n");
    let allowed = format!("{SYSTEM}:{}", folder.path("").display());
    let script = format!(
        "exec > out 2>&1; cat allowed; cat {0}; head -c1 < {0}; echo more >> {0}; ls {1}; cd {1} && echo there",
        other.path("secret").display(),
        other.path("").display()
    );
    sandbox(&folder, &[("LANDLOCK_ALLOWED", &allowed)], &["/bin/sh", "-c", &script]).exits(0);
    let out = std::fs::read_to_string(folder.path("out")).unwrap();
    assert!(out.starts_with("yes\n") && out.matches("Permission denied").count() == 4, "{out}");
    assert!(out.ends_with("there\n"), "walking is not restricted: {out}");
    folder.free_script(&script).exits(0);
    let out = std::fs::read_to_string(folder.path("out")).unwrap();
    assert!(!out.contains("denied") && out.contains("no\n"), "{out}");
}

#[test]
fn without_lists_nothing_starts() {
    let folder = Folder::new();
    sandbox(&folder, &[], &["/bin/true"]).exits(1).complains("cannot execute /bin/true: Permission denied");
    sandbox(&folder, &[("LANDLOCK_ALLOWED", SYSTEM)], &["/bin/true"]).exits(0).quiet();
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_run() {
    let folder = Folder::new();
    sandbox(&folder, &[], &[]).exits(1).complains("usage");
    for (name, list, why) in [
        ("LANDLOCK_ALLOWED", "", "No such file"),
        ("LANDLOCK_ALLOWED", "/bin:", "No such file"),
        ("LANDLOCK_ALLOWED", "/nowhere", "/nowhere: No such file"),
        ("LANDLOCK_ALLOWED", "/:/:/:/:/:/:/:/:/:/:/", "room for 10 handles"),
        ("LANDLOCK_CGROUPS", "/usr", "no cgroup of version 2"),
    ] {
        let ran = sandbox(&folder, &[("LANDLOCK_ALLOWED", SYSTEM), (name, list)], &["/bin/touch", "mark"]);
        ran.exits(1).complains(why);
        assert!(!folder.path("mark").exists());
    }
    let all = format!("{SYSTEM}:{}", folder.path("").display());
    sandbox(&folder, &[("LANDLOCK_ALLOWED", &all)], &["/bin/touch", "mark"]).exits(0);
    assert!(folder.path("mark").exists());
}

#[test]
fn the_command_s_code_is_its_own_and_its_path_is_taken_as_it_is() {
    let folder = Folder::new();
    let run = |command: &[&str]| sandbox(&folder, &[("LANDLOCK_ALLOWED", SYSTEM)], command);
    run(&["/bin/sh", "-c", "exit 7"]).exits(7);
    run(&["sh", "-c", "exit 7"]).exits(1).complains("cannot execute sh: No such file");
}

/// Starts a thread, and then maps files: a module that was not needed before, and what is named.
const THREADED: &str = "import sys, threading
done = threading.Event()
threading.Thread(target=done.wait).start()
try:
    import mmap, _ctypes
    print(mmap.mmap(int(sys.argv[1]), 0, prot=mmap.PROT_READ)[:].decode())
except OSError as error:
    print(error)
finally:
    done.set()
";

#[test]
fn programs_with_threads_map_what_is_allowed_and_nothing_else() {
    let folder = Folder::new();
    let (inside, outside) = (folder.write("inside", "yes"), Folder::new());
    let secret = outside.write("secret", "no");
    folder.write("threaded.py", THREADED);
    let command = format!("exec /usr/bin/python3 -B threaded.py 3 > out 3< {}", inside.display());
    let allowed = format!("{SYSTEM}:/etc:{}", folder.path("").display());
    let lists = [("LANDLOCK_ALLOWED", allowed.as_str())];
    let out = || std::fs::read_to_string(folder.path("out")).unwrap();
    sandbox(&folder, &lists, &["/bin/sh", "-c", &command]).exits(0).quiet();
    assert_eq!(out(), "yes\n");
    // Opened before it is confined.
    let command = ["/bin/sh", "-c", "exec /usr/bin/python3 -B threaded.py 0 > out"];
    let with_secret = |mut program: Command| {
        program.stdin(std::fs::File::open(&secret).unwrap()).current_dir(folder.path(""));
        Ran::of(program.env("LANDLOCK_ALLOWED", &allowed).env_remove("LANDLOCK_CGROUPS"))
    };
    let mut confined = Command::new(LANDLOCK);
    confined.args(["sandbox", "--target", "supervisor"]).args(command);
    with_secret(confined).exits(0);
    assert!(out().contains("[Errno 13]"), "{}", out());
    let mut free = Command::new(command[0]);
    free.args(&command[1..]);
    with_secret(free).exits(0);
    assert_eq!(out(), "no\n");
}

/// Cargo and the compiler have threads, and map what they have built. Only mapping is ruled here: they talk over pipes, which
/// are on no list.
#[test]
fn cargo_builds_where_only_what_is_listed_may_be_mapped() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path("src")).unwrap();
    folder.write("Cargo.toml", "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
    folder.write("build.rs", "fn main() { println!(\"cargo::rustc-env=SAID=built\"); }\n");
    folder.write("src/main.rs", "fn main() { println!(env!(\"SAID\")); }\n");
    folder.write("all", &filter(0, 0x0007_0001)[16..24]);
    let rules = std::fs::read_to_string(shipped("sandbox.s")).unwrap();
    let (_, mapping) = rules.split_once(".rule mmap_file").unwrap();
    folder.write("mapping.s", format!(".rule mmap_file{mapping}").replace("r7 & 4", "r7 & 1"));
    let home = std::env::var("HOME").unwrap();
    let toolchain = |name: &str, folder: &str| std::env::var(name).unwrap_or(format!("{home}/{folder}"));
    let rustup = toolchain("RUSTUP_HOME", ".rustup");
    let cargo = toolchain("CARGO_HOME", ".cargo");
    let build = |listed: &[&str]| {
        let mut run = Command::new(LANDLOCK);
        run.args(["run", "--target", "supervisor", "--filter", "all", "--rule", "mapping.s"]);
        run.args(listed.iter().map(|path| format!("--handle=allowed={path}")));
        run.args(["--", "cargo", "run", "--quiet", "--offline"]);
        for name in ["RUSTFLAGS", "RUSTC_WRAPPER", "CARGO_BUILD_TARGET"] {
            run.env_remove(name);
        }
        folder.run(run.env("CARGO_TARGET_DIR", folder.path("target")))
    };
    let here = folder.path("");
    let here = here.to_str().unwrap();
    build(&["/usr", "/etc", &rustup, &cargo, here]).exits(0).prints("built\n");
    std::fs::remove_dir_all(folder.path("target")).unwrap();
    let refused = build(&["/usr", "/etc", &rustup, &cargo]);
    assert_eq!(refused.stdout(), "", "{refused}");
}
