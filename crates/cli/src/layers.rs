// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules and filters on the command line, in the order given, and what is put into the maps of the rules.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use landlock_compiler::domain::{Domain, Layer};
use landlock_compiler::read::read_filter;
use landlock_compiler::verify::Loader;

use crate::{load, speak};

/// Rules and filters to be looked at, in the order given.
#[derive(Clone, Debug, Default)]
pub struct Files(Vec<File>);

/// What a domain is made of. The order of rules and filters matters: a rule hears of older filters only.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    files: Files,
    handles: Vec<(String, PathBuf)>,
}

/// A file on the command line.
#[derive(Clone, Debug)]
pub enum File {
    /// Of rules.
    Rules(PathBuf),
    /// A filter.
    Filter(PathBuf),
}

impl Files {
    /// Each file, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = &File> {
        self.0.iter()
    }

    /// Whether a filter is among them.
    pub fn have_filters(&self) -> bool {
        self.iter().any(|file| matches!(file, File::Filter(_)))
    }

    /// The domain they make, its maps empty. `None` if anything is wrong with any of them, after telling
    /// everything that is.
    pub fn domain_or_tell(&self, loader: &Loader) -> Option<Domain> {
        let mut layers = Some(Vec::new());
        for file in self.iter() {
            let read = match file {
                File::Rules(path) => {
                    let rules = load::every_rule_or_tell(std::slice::from_ref(path), loader);
                    rules.map(|rules| rules.into_iter().map(Layer::Rule).collect::<Vec<_>>())
                }
                File::Filter(path) => {
                    let filter = read_filter(path).inspect_err(|error| speak::notice(error));
                    filter.ok().map(|filter| vec![Layer::Filter(filter)])
                }
            };
            layers = layers.zip(read).map(|(mut layers, read)| {
                layers.extend(read);
                layers
            });
        }
        layers.map(Domain::layered)
    }

    /// Those of the arguments of these names.
    fn from(matches: &ArgMatches, rules: &str, filters: &str) -> Files {
        let given = |name| {
            let values = matches.get_many::<PathBuf>(name).into_iter().flatten().cloned();
            matches.indices_of(name).into_iter().flatten().zip(values)
        };
        let rules = given(rules).map(|(at, path)| (at, File::Rules(path)));
        let filters = given(filters).map(|(at, path)| (at, File::Filter(path)));
        let mut files: Vec<(usize, File)> = rules.chain(filters).collect();
        files.sort_by_key(|(at, _)| *at);
        Files(files.into_iter().map(|(_, file)| file).collect())
    }
}

impl Layers {
    /// The domain, its maps filled. `None` if anything is wrong with any part of it, after telling everything
    /// that is.
    pub fn domain_or_tell(&self, loader: &Loader) -> Option<Domain> {
        let domain = self.files.domain_or_tell(loader)?;
        let mut complete = true;
        for (map, path) in &self.handles {
            if let Err(error) = landlock_handles::append(&domain, map, path) {
                speak::notice(&format!("--handle {map}={}: {error}", path.display()));
                complete = false;
            }
        }
        complete.then_some(domain)
    }
}

impl clap::Args for Layers {
    fn augment_args(command: Command) -> Command {
        let handle = Arg::new("handle")
            .long("handle")
            .value_name("MAP=PATH")
            .action(ArgAction::Append)
            .value_parser(handle)
            .help("Put the file, directory or cgroup at PATH into map MAP of the rules; may be given several times")
            .long_help(
                "Put the file, directory or cgroup at PATH into map MAP of the rules; may be given several times. \
                 It is what PATH leads to now that is meant, whatever it is called later",
            );
        command
            .arg(
                file("rule")
                    .long("rule")
                    .help("A rule file: .c, .s or .o; may be given several times")
                    .required_unless_present("filter"),
            )
            .arg(filter())
            .arg(handle)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Layers::augment_args(command)
    }
}

impl clap::FromArgMatches for Layers {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Layers, clap::Error> {
        let handles = matches.get_many::<(String, PathBuf)>("handle").into_iter().flatten().cloned();
        Ok(Layers { files: Files::from(matches, "rule", "filter"), handles: handles.collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Layers::from_arg_matches(matches)?;
        Ok(())
    }
}

/// An argument with the name of a file, which may be given several times.
fn file(name: &'static str) -> Arg {
    Arg::new(name).value_name("FILE").action(ArgAction::Append).value_parser(value_parser!(PathBuf))
}

fn filter() -> Arg {
    file("filter").long("filter").help(
        "A seccomp filter, as an array of struct sock_filter; the rules after it run for the cookies it hands on",
    )
}

impl clap::Args for Files {
    fn augment_args(command: Command) -> Command {
        let rules =
            file("files").num_args(1..).help("Rule files: .c, .s or .o").required_unless_present("filter");
        command.arg(rules).arg(filter())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Files::augment_args(command)
    }
}

impl clap::FromArgMatches for Files {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Files, clap::Error> {
        Ok(Files::from(matches, "files", "filter"))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Files::from_arg_matches(matches)?;
        Ok(())
    }
}

fn handle(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((map, path)) if !map.is_empty() && !path.is_empty() => Ok((map.to_owned(), path.into())),
        _ => Err("it takes the form MAP=PATH".to_owned()),
    }
}
