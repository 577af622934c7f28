// SPDX-License-Identifier: MIT OR Apache-2.0
//! The man pages: landlock(1) says what the command says of itself, and all of them are well-formed.

use std::path::PathBuf;
use std::process::Command;

use crate::support::{LANDLOCK, root};

const BEGIN: &str = ".\\\" Made from what the command says of itself: begin\n";
const END: &str = ".\\\" end\n";

#[test]
fn landlock_1_is_what_the_command_says_of_itself() {
    let path = root().join("man/landlock.1");
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGIN).expect("the mark of the beginning");
    let (_, tail) = rest.split_once(END).expect("the mark of the end");
    let made = format!("{head}{BEGIN}{}{END}{tail}", subcommands());
    if std::env::var_os("UPDATE_MAN").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page == made, "man/landlock.1 is not what landlock --help says: run this test with UPDATE_MAN=1");
}

#[test]
fn every_page_is_formatted_without_a_warning() {
    let pages: Vec<PathBuf> =
        std::fs::read_dir(root().join("man")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(pages.len() >= 3, "{pages:?}");
    for page in pages {
        let groff =
            Command::new("groff").args(["-ww", "-man", "-K", "utf8", "-T", "utf8"]).arg(&page).output();
        let groff = groff.expect("the tests need groff, of the Debian package groff-base");
        let said = String::from_utf8_lossy(&groff.stderr);
        assert!(groff.status.success() && said.is_empty(), "{}: {said}", page.display());
        assert!(groff.stdout.len() > 1000, "{}", page.display());
    }
}

fn help(words: &[&str]) -> String {
    let said = Command::new(LANDLOCK).args(words).arg("--help").output().unwrap();
    assert!(said.status.success(), "{words:?}: {said:?}");
    String::from_utf8(said.stdout).unwrap()
}

/// A section for each, in the order of `landlock --help`.
fn subcommands() -> String {
    let all = help(&[]);
    let list =
        all.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = list.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    let sections: Vec<String> = names.map(|name| section(name, &help(&[name]))).collect();
    assert!(sections.len() > 8, "{sections:?}");
    sections.concat()
}

fn section(name: &str, help: &str) -> String {
    let mut page = format!(".SS landlock {name}\n");
    let mut paragraph = String::new();
    let mut in_entry = false;
    for line in help.lines() {
        let (indent, text) = (line.len() - line.trim_start().len(), line.trim());
        let is_tag = (2..10).contains(&indent) && text.starts_with(['-', '<', '[']);
        if text.is_empty() || is_tag || indent == 0 && text.ends_with(':') || text.starts_with("- ") {
            end_paragraph(&mut page, &mut paragraph, in_entry);
        }
        if text.starts_with("-h, --help") {
            break;
        }
        if is_tag {
            page += &format!(".TP\n.B {}\n", escaped(text));
            in_entry = true;
        } else if let Some(usage) = line.strip_prefix("Usage: ") {
            let words = usage.split_once(&format!(" {name}")).expect("its name").1;
            page += &format!(".PP\n.B landlock {name}{}\n", escaped(words));
        } else if indent != 0 || !text.ends_with(':') {
            paragraph += if paragraph.is_empty() { "" } else { " " };
            paragraph += text;
        }
    }
    page
}

/// The first paragraph of an entry stands beside its tag.
fn end_paragraph(page: &mut String, paragraph: &mut String, in_entry: bool) {
    let text = std::mem::take(paragraph);
    if text.is_empty() {
        return;
    }
    let after_tag = page.lines().next_back().is_some_and(|line| line.starts_with(".B "));
    *page += match (in_entry, after_tag) {
        (true, true) => "",
        (true, false) => ".IP\n",
        (false, _) => ".PP\n",
    };
    *page += &format!("{}\n", escaped(&text));
}

fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('`', "");
    let text = text.replace('…', "\\[u2026]");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}
