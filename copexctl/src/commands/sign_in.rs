//! Who answers the model requests, and as whom: in words, never with a secret.

use copex_proto::health::{AuthStatus, Quota};
use copex_proto::run::{KeySource, Provider};

use crate::context::Context;
use crate::settings::Settings;
use crate::snapshot::GITHUB_TOKENS;

/// What `status` says of the provider or the sign-in: a name and words, one line each.
pub(crate) fn lines(
    ctx: &Context,
    settings: &Settings,
    auth: Option<&AuthStatus>,
) -> Vec<(String, String)> {
    let line = |name: &str, text: String| (name.to_owned(), text);
    if let Some(provider) = &settings.config.provider {
        let model = settings.config.model.as_deref().unwrap_or("its own model");
        let key = key(provider);
        let mut lines = vec![line("provider", format!("{}, {model}, {key}", provider.base_url))];
        lines.push(line("sign-in", "not needed: the provider answers".to_owned()));
        return lines;
    }
    let offline = ctx.env.get("COPILOT_OFFLINE") == Some("true");
    match auth {
        Some(auth) if auth.authenticated => {
            let mut lines = vec![line("sign-in", who(ctx, auth))];
            lines.extend(auth.quota.iter().map(|quota| line("plan", left(quota))));
            lines
        }
        Some(auth) if !offline => vec![line("sign-in", auth.message.clone())],
        _ if offline => {
            let words = "offline: COPILOT_OFFLINE is set, so GitHub is not asked, and there is no \
                         [provider]; set one, or unset it and run `copexctl login`";
            vec![line("sign-in", words.to_owned())]
        }
        _ => vec![line("sign-in", "not known yet; copexctl doctor waits for it".to_owned())],
    }
}

fn key(provider: &Provider) -> String {
    match &provider.key {
        None => "no key".to_owned(),
        Some(KeySource::Env(name)) => format!("key from ${name}"),
        Some(KeySource::File(path)) => format!("key from {path}"),
        Some(KeySource::Command(_)) => "key from key_command".to_owned(),
    }
}

/// As whom, where and how.
pub(crate) fn who(ctx: &Context, auth: &AuthStatus) -> String {
    let mut text = auth.login.clone().unwrap_or_else(|| auth.message.clone());
    if let Some(host) = &auth.host {
        text.push_str(" on ");
        text.push_str(host);
    }
    if let Some(method) = &auth.method {
        text.push_str(&how(ctx, method));
    }
    text
}

fn how(ctx: &Context, method: &str) -> String {
    match method {
        "env" | "token" => {
            let name = GITHUB_TOKENS.iter().find(|name| ctx.env.get(name).is_some());
            let name = name.map(|name| format!(" (${name})")).unwrap_or_default();
            format!(", by a token from the environment{name}")
        }
        "gh-cli" => ", by the GitHub CLI (gh)".to_owned(),
        "user" => ", by copexctl login".to_owned(),
        other => format!(", by {other}"),
    }
}

/// What is left of one kind of request.
fn left(quota: &Quota) -> String {
    let kind = quota.kind.replace('_', " ");
    if quota.unlimited {
        return format!("{kind}: no limit");
    }
    let (used, all) = (quota.used, quota.entitlement);
    let mut text = format!("{kind}: {:.1} % left, {used} of {all} used", quota.remaining_percent);
    if quota.overage_allowed {
        text.push_str(", more at extra cost");
    }
    if let Some(date) = &quota.reset_date {
        text.push_str(", reset ");
        text.push_str(date);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_plan_leaves_is_one_line() {
        let quota = Quota {
            kind: "premium_interactions".to_owned(),
            unlimited: false,
            entitlement: 300,
            used: 151,
            remaining_percent: 49.5,
            overage_allowed: true,
            reset_date: Some("2026-12-01".to_owned()),
        };
        let words = "premium interactions: 49.5 % left, 151 of 300 used, more at extra cost, \
                     reset 2026-12-01";
        assert_eq!(left(&quota), words);
        assert_eq!(left(&Quota { unlimited: true, ..quota }), "premium interactions: no limit");
    }
}
