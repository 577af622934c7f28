// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packages from the Debian mirror this machine is configured for, by way of apt with a private state:
//! nothing is installed, and the machine's own package lists are neither used nor changed.
//!
//! apt checks signatures and hashes as it always does. Proxies and other `Acquire` settings of the
//! machine hold here too; its hooks do not.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

/// Where the kernels are: 6.1, 6.12, everything since, and what is to come.
pub const KERNEL_SUITES: [&str; 4] = ["bookworm", "trixie", "trixie-backports", "sid"];
/// Before the mirror is asked once more.
const PAUSES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(30)];
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A private view of the Debian archive, gone with the value.
pub struct Archive {
    state: TempDir,
}

impl Archive {
    /// Fetches the package lists of these suites.
    pub fn fetch(suites: &[&str]) -> Result<Archive> {
        eprintln!("xtask: fetching the package lists of {}", suites.join(", "));
        let archive = Archive { state: tempfile::tempdir()? };
        let folder = archive.state.path();
        for sub in ["lists/partial", "cache/archives/partial", "sources"] {
            std::fs::create_dir_all(folder.join(sub))?;
        }
        std::fs::write(folder.join("status"), "")?;
        std::fs::write(folder.join("sources/debian.sources"), sources(&mirror()?.address, suites))?;
        std::fs::write(folder.join("apt.conf"), configuration(folder)?)?;
        // Else what cannot be had is left out.
        let update = ["--quiet", "--option=APT::Update::Error-Mode=any", "update"];
        patiently(archive.apt("apt-get").args(update), PAUSES)?;
        Ok(archive)
    }

    /// Names of packages that match a regular expression.
    pub fn names(&self, pattern: &str) -> Result<Vec<String>> {
        let found = output(self.apt("apt-cache").args(["search", "--names-only", pattern]))?;
        Ok(found.lines().filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect())
    }

    /// The newest version of a package.
    pub fn newest(&self, package: &str) -> Result<Stanza> {
        let text = output(self.apt("apt-cache").args(["show", "--no-all-versions", package]))?;
        stanzas(&text).into_iter().next().with_context(|| format!("the mirror has no package {package}"))
    }

    /// A package and those it needs, each `name=version`: what apt would install on a machine without any.
    pub fn needed(&self, package: &str) -> Result<Vec<String>> {
        let mut plan = self.apt("apt-get");
        let plan = output(plan.args(["--simulate", "--no-install-recommends", "install", package]))?;
        Ok(plan.lines().filter_map(installed).collect())
    }

    /// Unpacks packages, each `name=version`, into a folder.
    pub fn unpack(&self, packages: &[String], into: &Path) -> Result<()> {
        eprintln!("xtask: fetching {}", packages.join(" "));
        let downloads = tempfile::tempdir_in(self.state.path())?;
        let mut download = self.apt("apt-get");
        download.args(["--quiet", "download"]).args(packages).current_dir(downloads.path());
        patiently(&mut download, PAUSES)?;
        for package in std::fs::read_dir(downloads.path())? {
            output(Command::new("dpkg").arg("--extract").arg(package?.path()).arg(into))?;
        }
        Ok(())
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.state.path().join("apt.conf")).env("LC_ALL", "C");
        command
    }
}

/// One paragraph of a `Packages` file or of apt's answers: fields by name. Continuation lines are dropped.
pub type Stanza = BTreeMap<String, String>;

/// Paragraphs of `Field: value` lines, separated by empty lines.
fn stanzas(text: &str) -> Vec<Stanza> {
    let paragraph = |text: &str| -> Stanza {
        let fields = text.lines().filter(|line| !line.starts_with([' ', '\t']));
        let pairs = fields.filter_map(|line| line.split_once(':'));
        pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
    };
    text.split("\n\n").map(paragraph).filter(|stanza| !stanza.is_empty()).collect()
}

/// `name=version` of the dependencies that are pinned to one version.
pub fn pinned_dependencies(stanza: &Stanza) -> Vec<String> {
    let pinned = |dependency: &str| {
        let (name, version) = dependency.split_once(" (= ")?;
        Some(format!("{}={}", name.trim(), version.strip_suffix(')')?))
    };
    let depends = stanza.get("Depends").map_or("", String::as_str);
    depends.split(',').filter_map(pinned).collect()
}

/// The `name=version` of a line of apt's plan: `Inst name (version suite [architecture])`.
fn installed(line: &str) -> Option<String> {
    let (name, version) = line.strip_prefix("Inst ")?.split_once(" (")?;
    Some(format!("{name}={}", version.split(' ').next()?))
}

/// The main Debian archive as this machine is configured for it.
pub struct Mirror {
    address: String,
    /// The release it is used for, such as "bookworm".
    pub release: String,
}

/// Asks apt for the main archive.
pub fn mirror() -> Result<Mirror> {
    let targets = output(Command::new("apt-get").arg("indextargets").env("LC_ALL", "C"))?;
    let of_debian = |target: &Stanza| {
        let field = |name: &str| target.get(name).map_or("", String::as_str);
        let main = field("Created-By") == "Packages" && field("Component") == "main";
        // Without package lists, apt does not know the origin.
        let debian = matches!(field("Origin"), "" | "Debian");
        let other = ["security", "updates", "backports"].iter().any(|part| field("Release").contains(part));
        (main && debian && !other)
            .then(|| Mirror { address: field("Repo-URI").to_owned(), release: field("Release").to_owned() })
    };
    let found = stanzas(&targets).iter().find_map(of_debian);
    found.context(
        "apt here knows no Debian archive to fetch guests from; if one is configured, apt-get update",
    )
}

fn sources(mirror: &str, suites: &[&str]) -> String {
    let signed_by = match Path::new(KEYRING).exists() {
        true => format!("Signed-By: {KEYRING}\n"),
        // apt falls back to the keys it trusts globally, and still refuses what none of them signed.
        false => String::new(),
    };
    let suites = suites.join(" ");
    format!(
        "Types: deb\nURIs: {mirror}\nSuites: {suites}\nComponents: main\nArchitectures: amd64\n{signed_by}"
    )
}

/// The machine's `Acquire` settings, then ours.
fn configuration(folder: &Path) -> Result<String> {
    let acquire = output(Command::new("apt-config").args(["dump", "Acquire"]).env("LC_ALL", "C"))?;
    let folder = folder.to_str().context("the cache folder's name is not UTF-8")?;
    ensure!(!folder.contains(['"', '\n']), "apt cannot be told of a folder named {folder:?}");
    Ok(format!(
        r#"{acquire}
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::Languages "none";
APT::Architecture "amd64";
APT::Sandbox::User "root";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{folder}/sources";
Dir::State::lists "{folder}/lists";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
"#
    ))
}

/// As [`output`], for what asks the mirror, which can be away for a moment: tries again after each pause.
fn patiently(command: &mut Command, pauses: [Duration; 2]) -> Result<String> {
    for pause in pauses {
        match output(command) {
            Ok(text) => return Ok(text),
            Err(error) => eprintln!("xtask: once more in {} s: {error:#}", pause.as_secs()),
        }
        std::thread::sleep(pause);
    }
    output(command)
}

/// Runs a command to its end and gives what it wrote; a failure shows all of it.
pub fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("cannot run {name}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("{name}: {}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGES: &str = "\
Package: linux-image-7.3.4+deb13-cloud-amd64
Version: 7.3.4-1~bpo13+1
Depends: dracut | linux-initramfs-tool, linux-base-7.3.4 (= 7.3.4-1~bpo13+1), kmod, linux-modules (= 7.3.4-1~bpo13+1)
Description: Linux 7.3
 A kernel: with a colon in its long description.

Package: other
Version: 1
";

    #[test]
    fn fields_are_found_and_continuation_lines_are_not_fields() {
        let packages = stanzas(PACKAGES);
        assert_eq!(packages.len(), 2);
        assert_eq!(packages[0]["Version"], "7.3.4-1~bpo13+1");
        assert_eq!(packages[0].len(), 4);
        assert_eq!(packages[1]["Package"], "other");
    }

    #[test]
    fn only_dependencies_on_one_version_are_part_of_the_kernel() {
        let packages = stanzas(PACKAGES);
        let expected = ["linux-base-7.3.4=7.3.4-1~bpo13+1", "linux-modules=7.3.4-1~bpo13+1"];
        assert_eq!(pinned_dependencies(&packages[0]), expected);
        assert_eq!(pinned_dependencies(&packages[1]), [""; 0]);
    }

    #[test]
    fn a_mirror_that_is_away_is_asked_three_times() {
        let folder = tempfile::tempdir().unwrap();
        let away_for = |times: u32| {
            let script = format!("echo >> asked; [ $(wc -l < asked) -gt {times} ] && echo here");
            let mut command = Command::new("sh");
            command.args(["-c", &script]).current_dir(folder.path());
            let said = patiently(&mut command, [Duration::ZERO; 2]);
            std::fs::remove_file(folder.path().join("asked")).unwrap();
            said.ok()
        };
        assert_eq!([0, 2, 3].map(away_for), [Some("here\n".to_owned()), Some("here\n".to_owned()), None]);
    }

    #[test]
    fn what_would_be_installed_is_read_from_apt_s_plan() {
        let plan = "Inst libc6 (2.41-12 Debian:13.7/stable [amd64]) []\nConf libc6 (2.41-12 Debian:13.7/stable [amd64])\n";
        assert_eq!(plan.lines().filter_map(installed).collect::<Vec<_>>(), ["libc6=2.41-12"]);
    }
}
