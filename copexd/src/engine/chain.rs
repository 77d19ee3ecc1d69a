//! The models that a run may be asked of: the one it names, and those that follow when that
//! one fails.

use std::sync::Arc;

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::run::RunOptions;

use super::{Engine, effort, events, prepare};
use crate::backend::cli;
use crate::core::chat::Choice;
use crate::core::fallback::{self, MOST_LINKS, Place};
use crate::core::target::{CASSETTE, Candidate, DEMO, GITHUB, Target};
use crate::engine::registry::Live;

/// The chain of one run. Never empty.
#[derive(Debug)]
pub(super) struct Chain {
    /// What is asked, in order.
    pub(super) candidates: Arc<[Candidate]>,
    /// The same for the machine.
    pub(super) choices: Vec<Choice>,
    /// The run's options as each of them needs them.
    options: Vec<RunOptions>,
}

impl Chain {
    /// The options of a run that asks this candidate.
    pub(super) fn options(&self, candidate: usize) -> Option<&RunOptions> {
        self.options.get(candidate)
    }
}

/// The options of each link, checked.
///
/// # Errors
/// `Usage` for a chain that is too long, or that names a provider where none is set.
pub fn links(options: &RunOptions) -> Result<Vec<RunOptions>, ErrorInfo> {
    let usage = |message: String| ErrorInfo::new(ErrorClass::Usage, message);
    let mut links = vec![linked(options, options.model.as_deref())?];
    // Nobody else is asked: a cassette has what it has.
    if options.demo || options.replay.is_some() {
        return Ok(links);
    }
    let github = links[0].provider.is_none();
    let named: Vec<&str> = match (&options.fallback_chain, &links[0].model) {
        (Some(chain), _) => chain.iter().map(String::as_str).collect(),
        (None, Some(model)) if github => fallback::built_in(model).to_vec(),
        (None, _) => Vec::new(),
    };
    if named.len() > MOST_LINKS {
        let message = format!("fallback_chain has {} models; {MOST_LINKS} at most", named.len());
        return Err(usage(message));
    }
    for name in named {
        if name.trim().is_empty() {
            return Err(usage("fallback_chain has a model without a name".to_owned()));
        }
        let mut link = linked(options, Some(name))?;
        // `Same` is where the run's own model is, which may have said so itself.
        if fallback::link(name).0 == Place::Same {
            link.provider.clone_from(&links[0].provider);
        }
        let known = |other: &RunOptions| {
            other.model == link.model && other.provider.is_none() == link.provider.is_none()
        };
        if !links.iter().any(known) {
            links.push(link);
        }
    }
    Ok(links)
}

fn linked(options: &RunOptions, name: Option<&str>) -> Result<RunOptions, ErrorInfo> {
    let mut link = options.clone();
    let Some(name) = name else { return Ok(link) };
    let (place, model) = fallback::link(name);
    link.model = Some(model.to_owned());
    match place {
        Place::Same => {}
        Place::Github => link.provider = None,
        Place::Provider if options.provider.is_some() => {}
        Place::Provider => {
            let message = format!("`{name}` names the provider, and none is set");
            let hint = "set [provider] in the configuration";
            return Err(ErrorInfo::new(ErrorClass::Usage, message).with_hint(hint));
        }
    }
    Ok(link)
}

/// What a run with these options asks, in order; nothing where they cannot be read any more.
pub(super) fn targets(options: &RunOptions) -> Vec<Target> {
    links(options).map(|links| links.iter().map(target).collect()).unwrap_or_default()
}

impl Engine {
    /// The chain of a run, with the effort that each of its models gets.
    pub(super) async fn chain(
        &self,
        options: &RunOptions,
        live: &Live,
    ) -> Result<Chain, ErrorInfo> {
        let mut chain = Vec::new();
        let (mut candidates, mut choices) = (Vec::new(), Vec::new());
        for mut link in links(options)? {
            let model = link.model.clone().filter(|_| !link.demo);
            let (mut sent, mut warning) = (None, None);
            if link.reasoning_effort.is_some() && !link.demo {
                let spec = prepare::runtime_spec(&link, &live.keys.known(), &self.inner.ambient);
                let resolved = effort::resolve(&link, &spec, &self.inner.pool).await;
                (sent, warning) = (resolved.effort, resolved.warning);
            }
            link.reasoning_effort = sent.map(events::wire_effort);
            let target = target(&link);
            let label = if target.model.is_empty() {
                "the default model".to_owned()
            } else {
                target.model.clone()
            };
            let context_tokens =
                link.provider.as_ref().and_then(|provider| provider.max_prompt_tokens);
            candidates.push(Candidate { target, context_tokens });
            choices.push(Choice { model, label, effort: sent, warning });
            chain.push(link);
        }
        Ok(Chain { candidates: candidates.into(), choices, options: chain })
    }
}

fn target(options: &RunOptions) -> Target {
    let endpoint = match &options.provider {
        _ if options.demo => DEMO.to_owned(),
        _ if options.replay.is_some() => CASSETTE.to_owned(),
        Some(provider) => public(&provider.base_url),
        None => GITHUB.to_owned(),
    };
    let model = options.model.clone().unwrap_or_default();
    let backend = if options.use_cli { cli::NAME } else { "sdk" };
    Target { backend: backend.to_owned(), endpoint, model }
}

/// A URL without what may be secret in it.
pub(super) fn public(url: &str) -> String {
    let Ok(parsed) = reqwest::Url::parse(url) else { return "provider".to_owned() };
    let host = parsed.host_str().unwrap_or_default();
    let port = parsed.port().map(|port| format!(":{port}")).unwrap_or_default();
    let path = parsed.path().trim_end_matches('/');
    format!("{}://{host}{port}{path}", parsed.scheme())
}

#[cfg(test)]
mod tests {
    use copex_proto::run::Provider;

    use super::*;

    fn options(model: &str, chain: Option<&[&str]>) -> RunOptions {
        RunOptions {
            model: Some(model.to_owned()),
            fallback_chain: chain.map(|chain| chain.iter().map(|it| (*it).to_owned()).collect()),
            ..RunOptions::default()
        }
    }

    fn provider() -> Option<Provider> {
        serde_json::from_value(serde_json::json!({"base_url": "http://u:p@h:1/v1/?k=s"})).ok()
    }

    fn names(options: &RunOptions) -> Vec<String> {
        links(options).unwrap().iter().map(|link| target(link).to_string()).collect()
    }

    #[test]
    fn a_chain_is_the_models_own_unless_somebody_names_one() {
        assert_eq!(
            names(&options("gpt-5.1", None)),
            ["gpt-5.1 at github", "gpt-5 at github", "gpt-5-mini at github"]
        );
        assert_eq!(names(&options("gpt-5.1", Some(&[]))), ["gpt-5.1 at github"]);
        assert_eq!(
            names(&options("a", Some(&["b", "a", "b", "c"]))),
            ["a at github", "b at github", "c at github"]
        );
    }

    #[test]
    fn links_may_lead_to_another_endpoint() {
        let mut mixed = options("gpt-5.1", Some(&["x", "github:gpt-5"]));
        mixed.provider = provider();
        assert_eq!(
            names(&mixed),
            ["gpt-5.1 at http://h:1/v1", "x at http://h:1/v1", "gpt-5 at github"]
        );
        mixed.fallback_chain = None;
        assert_eq!(names(&mixed).len(), 1, "its names mean nothing to a provider");
        mixed.model = Some("github:gpt-5".to_owned());
        mixed.fallback_chain = Some(vec!["gpt-4.1".to_owned(), "provider:qwen3:8b".to_owned()]);
        assert_eq!(
            names(&mixed),
            ["gpt-5 at github", "gpt-4.1 at github", "qwen3:8b at http://h:1/v1"]
        );
    }

    #[test]
    fn a_chain_that_cannot_work_is_refused_by_name() {
        let wrong = links(&options("a", Some(&["provider:b"]))).unwrap_err();
        assert!(wrong.message.contains("provider:b"), "{wrong}");
        let many: Vec<String> = (0..17).map(|number| format!("m{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(links(&options("a", Some(&many))).is_err());
        assert!(links(&options("a", Some(&[" "]))).is_err());
    }
}
