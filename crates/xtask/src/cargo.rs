// SPDX-License-Identifier: MIT OR Apache-2.0
//! Statically linked builds of the workspace's own programs: for a guest that has no libraries, and for users, where they
//! run on whatever they are copied to, and start sooner.
//!
//! They have a target folder of their own, `target/guest`, so that they do not undo ordinary builds.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Naming the target keeps the flags away from build scripts and macros, which cannot be static.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A program that needs nothing of where it runs.
pub struct StaticBinary {
    /// The name of its cargo target.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// Builds binaries, and the test executables of packages.
pub fn build(binaries: &[String], test_packages: &[String], release: bool) -> Result<Vec<StaticBinary>> {
    let mut built = Vec::new();
    let release = release.then_some("--release");
    if !binaries.is_empty() {
        let flags = binaries.iter().flat_map(|name| ["--bin", name]);
        built.extend(cargo(["build", "--workspace"].into_iter().chain(flags).chain(release))?);
    }
    if !test_packages.is_empty() {
        let flags = test_packages.iter().flat_map(|name| ["--package", name]);
        built.extend(cargo(["test", "--no-run"].into_iter().chain(flags).chain(release))?);
    }
    Ok(built)
}

fn cargo<'a>(arguments: impl Iterator<Item = &'a str>) -> Result<Vec<StaticBinary>> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(arguments)
        .args(["--target", TARGET, "--target-dir", "target/guest"])
        .args(["--message-format", "json-render-diagnostics", "--quiet", "--locked"])
        .env("RUSTFLAGS", "-Ctarget-feature=+crt-static")
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    ensure!(output.status.success(), "cargo: {}", output.status);
    executables(&String::from_utf8(output.stdout)?)
}

/// What messages of cargo's announce, by name: cargo tells in the order in which it happens to get ready.
fn executables(messages: &str) -> Result<Vec<StaticBinary>> {
    let announced = messages.lines().filter_map(|line| executable(line).transpose());
    let mut built = announced.collect::<Result<Vec<_>>>()?;
    built.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(built)
}

/// The executable a message of cargo's announces, if it announces one.
fn executable(message: &str) -> Result<Option<StaticBinary>> {
    let message: Value = serde_json::from_str(message)?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    // The unit tests of a binary bear its name, and would take its place.
    if message["profile"]["test"] == true && message["target"]["kind"][0] == "bin" {
        return Ok(None);
    }
    let path = text(&message["executable"]);
    let name = text(&message["target"]["name"]);
    Ok(path.zip(name).map(|(path, name)| StaticBinary { name, path: path.into() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_found_among_cargos_messages() {
        let library = r#"{"reason":"compiler-artifact","target":{"name":"a"},"executable":null}"#;
        let program = r#"{"reason":"compiler-artifact","target":{"name":"b"},"executable":"/t/b-1"}"#;
        let unit_tests = r#"{"reason":"compiler-artifact","target":{"name":"b","kind":["bin"]},"profile":{"test":true},"executable":"/t/b-2"}"#;
        let finished = r#"{"reason":"build-finished","success":true}"#;
        assert!(executable(library).unwrap().is_none());
        assert!(executable(finished).unwrap().is_none());
        assert!(executable(unit_tests).unwrap().is_none());
        assert_eq!(executable(program).unwrap().unwrap().name, "b");
    }

    #[test]
    fn whatever_is_ready_first_executables_are_in_one_order() {
        let program = |name| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"name":"{name}"}},"executable":"/t/{name}"}}"#
            )
        };
        for ready in [["a", "b"], ["b", "a"]] {
            let built = executables(&ready.map(program).join("\n")).unwrap();
            assert_eq!(built.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        }
    }
}
