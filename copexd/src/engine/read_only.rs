//! Options for turns that must not change anything: planning, and councils.

use copex_proto::run::RunOptions;

use crate::core::turn::READING;

/// Reads what a skill says, which can do no more than the tools that are offered.
const SKILL: &str = "skill";

/// Kinds of wishes that are denied, should a tool that was named all the same have them.
const DENIED: [&str; 2] = ["shell", "write"];

/// The same options, with nothing offered that changes anything but what is `named`.
pub(super) fn options(options: &RunOptions, named: &[String]) -> RunOptions {
    let mut options = options.clone();
    let skills = (!options.skill_directories.is_empty()).then_some(SKILL);
    let offered = READING.into_iter().chain(skills).chain(named.iter().map(String::as_str));
    let wanted = |tool: &&str| {
        let only = options.available_tools.as_ref();
        only.is_none_or(|only| only.iter().any(|it| it == tool))
    };
    options.available_tools = Some(offered.filter(wanted).map(str::to_owned).collect());
    options.approval.deny.extend(DENIED.map(str::to_owned));
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_and_what_is_named_is_offered() {
        let mut given = RunOptions::default();
        let offered = |given: &RunOptions, named: &[String]| {
            options(given, named).available_tools.unwrap_or_default()
        };
        assert_eq!(offered(&given, &[]), READING);
        assert_eq!(offered(&given, &["docs-search".to_owned()]).last().unwrap(), "docs-search");
        given.skill_directories = vec!["/skills".to_owned()];
        assert!(offered(&given, &[]).contains(&"skill".to_owned()));
        given.available_tools = Some(vec!["view".to_owned(), "bash".to_owned()]);
        assert_eq!(offered(&given, &[]), ["view"]);
        assert!(options(&given, &[]).approval.deny.contains(&"shell".to_owned()));
    }
}
