// SPDX-License-Identifier: MIT OR Apache-2.0
//! `api.c`, compiled against the header and both libraries, outside of sandboxes and inside; and the programs that are
//! written from v7's documentation alone, with the library in place of the system calls. Without a harness: starting a
//! sandbox takes a process with one thread.

use std::path::{Path, PathBuf};
use std::process::Command;

use ebpf_landlock::{Choice, Domain, Sandbox};

fn main() {
    build();
    let folder = std::env::temp_dir().join(format!("landlock-capi-{}", std::process::id()));
    // One of our number may have failed.
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir(&folder).expect("a folder");
    for library in ["liblandlock_ebpf.so", "liblandlock_ebpf.a"] {
        let program = compile(&folder, "tests/api.c", library);
        let inside = |part: &str| confined(&program, part);
        for part in ["load", "outside"] {
            let status = command(&program, part).status().expect("run");
            assert!(status.success(), "{library}: {part}: {status}");
        }
        for part in ["load", "prepend", "pass"] {
            let status = inside(part);
            assert!(status.success(), "{library}: {part} inside: {status}");
        }
        println!("test {library} ... ok");
    }
    for (name, parts) in TWINS {
        let program = compile(&folder, &format!("../cli/tests/v7/programs/{name}.c"), "liblandlock_ebpf.so");
        for part in *parts {
            let status = confined(&program, part);
            assert!(status.success(), "{name} {part}: {status}");
        }
        println!("test {name} ... ok");
    }
    let status = confined(&in_rust(&folder), "all");
    assert!(status.success(), "twin: {status}");
    println!("test twin ... ok");
    std::fs::remove_dir_all(&folder).expect("the folder gone");
}

/// Programs that make the raw system calls elsewhere, and what they are asked for.
const TWINS: &[(&str, &[&str])] = &[
    ("load", &["root"]),
    ("prepend", &["all"]),
    ("fs", &["read", "memory", "open"]),
    ("trace", &["all"]),
    ("pass", &["all"]),
];

fn confined(program: &Path, part: &str) -> std::process::ExitStatus {
    let sandbox = Sandbox::new(Domain::default()).with_target(Choice::Supervisor).stackable(true);
    sandbox.spawn(command(program, part)).expect("a sandbox").wait().expect("an end")
}

/// The program in Rust, with the shared library that the others have used.
fn in_rust(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/tests/v7/programs/twin.rs");
    let program = folder.join("twin");
    let library = folder.join("liblandlock-ebpf.so.0");
    let rustc = Command::new(Path::new(env!("CARGO")).with_file_name("rustc"))
        .args(["--edition=2024", "--cfg=api", "-o"])
        .args([&program, &source])
        .arg(format!("-Clink-arg={}", library.display()))
        .arg(format!("-Clink-arg=-Wl,-rpath,{}", folder.display()))
        .output()
        .expect("rustc beside cargo");
    assert!(rustc.status.success(), "{}", String::from_utf8_lossy(&rustc.stderr));
    program
}

/// Cargo does not build them for a test: nothing in Rust links to them.
fn build() {
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--lib", "--profile", profile])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(built.is_ok_and(|status| status.success()), "cannot build the libraries");
}

fn command(program: &Path, part: &str) -> Command {
    let folder = program.with_extension(part);
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir(&folder).expect("a folder");
    let mut command = Command::new(program);
    command.arg(part).current_dir(folder);
    command
}

fn compile(folder: &Path, source: &str, library: &str) -> PathBuf {
    let test = std::env::current_exe().expect("our own path");
    let library = test.parent().and_then(Path::parent).expect("a target folder").join(library);
    // As installed.
    let soname = folder.join("liblandlock-ebpf.so.0");
    std::fs::copy(&library, &soname).expect("the library");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = here.join(source);
    let names = [source.file_stem(), library.extension()].map(|name| name.expect("a name").to_string_lossy());
    let program = folder.join(names.join("-"));
    let cc = Command::new("cc")
        .args(["-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-DWITH_API", "-I"])
        .arg(here.join("../../include"))
        .arg("-o")
        .args([&program, &source, &library])
        .args(["-ldl", "-lm"])
        .arg(format!("-Wl,-rpath,{}", folder.display()))
        .output()
        .expect("the tests need a C compiler, cc");
    assert!(cc.status.success(), "{}", String::from_utf8_lossy(&cc.stderr));
    program
}
