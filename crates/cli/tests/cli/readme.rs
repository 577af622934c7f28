// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commands of the README do what it says.

use std::process::Command;

use crate::support::{Folder, LANDLOCK, root};

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).unwrap()
}

/// Lines to be typed.
fn commands(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("$ ")).collect()
}

#[test]
fn the_first_command_is_refused_what_it_tries() {
    let readme = readme();
    let typed = commands(&readme)[0];
    let arguments = typed.strip_prefix("cargo run --quiet --package landlock-cli -- ").expect(typed);

    // The same in a copy, should it not be refused.
    let folder = Folder::new();
    for copied in ["docs", "rules"] {
        folder.run(Command::new("cp").arg("-r").arg(root().join(copied)).arg(copied)).exits(0);
    }
    let ran = folder.landlock(arguments.split(' '));
    let ran = ran.exits(1).complains("Operation not permitted").complains("denied by rule 0 'no-removal'");
    assert!(folder.path("docs/rules.md").is_file(), "{ran}");
    folder.run(Command::new("rm").args(["-r", "docs"])).exits(0);
    assert!(!folder.path("docs").exists());
}

#[test]
fn the_test_command_is_the_one_of_ci() {
    let readme = readme();
    let ci = std::fs::read_to_string(root().join(".ci/run")).unwrap();
    let typed = commands(&readme)[1];
    assert!(ci.lines().any(|line| line.trim() == format!("step {typed}")), "{typed} is not in .ci/run");
}

#[test]
fn the_rules_that_are_shown_are_accepted() {
    for page in ["README.md", "docs/rules.md"] {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        let rules = text.split("```c\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let folder = Folder::new();
        assert!(rules.clone().count() > 0, "{page}");
        for rule in rules {
            folder.write("shown.c", rule);
            folder.landlock(["check", "shown.c"]).exits(0).quiet().says("accepted");
        }
    }
}

#[test]
fn links_of_the_documents_lead_somewhere() {
    for page in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "THREAT_MODEL.md", "docs/rules.md"] {
        let path = root().join(page);
        let text = std::fs::read_to_string(&path).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with("http")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = path.parent().unwrap().join(file);
            assert!(target.exists(), "{page}: {link}");
            assert!(heading.is_empty() || headings(&target).contains(&heading.to_owned()), "{page}: {link}");
        }
    }
}

/// The headings of a page, as links name them.
fn headings(page: &std::path::Path) -> Vec<String> {
    let text = std::fs::read_to_string(page).unwrap();
    let titles =
        text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    titles.map(|title| title.to_lowercase().replace(' ', "-")).collect()
}

#[test]
fn every_subcommand_is_in_its_table() {
    let readme = readme();
    let help = Command::new(LANDLOCK).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, listed) = help.split_once("Commands:\n").unwrap();
    let lines = listed.lines().take_while(|line| !line.is_empty());
    let named = lines.filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    for name in named.filter_map(|line| line.split(' ').next()).filter(|name| *name != "help") {
        let mentions = [format!("`landlock {name} "), format!("`landlock {name}`")];
        assert!(mentions.iter().any(|mention| readme.contains(mention)), "{name}");
    }
}
