//! Questions to the backend that belong to no run: which models, who is signed in.

use std::time::Duration;

use copex_proto::error::ErrorInfo;
use copex_proto::health::{AuthStatus, BackendQuery, ModelInfo, ModelList, Quota};
use copex_proto::run::{Effort, RunOptions};

use super::chain::public;
use super::{Engine, events, prepare};
use crate::backend::Model;
use crate::backend::sdk::Runtime;
use crate::backend::sdk::classify::SIGN_IN;
use crate::backend::sdk::seam::cause;
use crate::backend::spec::ProviderSpec;
use crate::core::failure::{Failure, FailureClass};

/// How long a provider may take to list its models.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long GitHub may take to tell what the plan leaves: who is signed in is known without.
const QUOTA_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Models of one provider that are listed; some gateways offer thousands.
const MOST_MODELS: usize = 1_000;

impl Engine {
    /// What can be asked: with a provider its models, else the account's when signed in, else
    /// the Copilot CLI's catalogue.
    ///
    /// # Errors
    /// Without a provider, when there is no Copilot CLI.
    pub async fn models(&self, query: BackendQuery) -> Result<ModelList, ErrorInfo> {
        let (options, secrets) = as_options(query);
        let ambient = &self.inner.ambient;
        let mut list = ModelList { models: Vec::new(), notes: Vec::new() };
        if let Some(provider) = &options.provider {
            let home = ambient.home.to_string_lossy();
            let spec = prepare::session_spec(&options, &secrets, &home, ambient).await;
            let models = match spec.map(|spec| spec.provider) {
                Ok(Some(provider)) => provider_models(&provider).await,
                Ok(None) => Ok(Vec::new()),
                Err(failure) => Err(failure),
            };
            match models {
                Ok(ids) => list.models.extend(ids.into_iter().map(|id| named(id, "provider"))),
                Err(failure) => {
                    let endpoint = public(&provider.base_url);
                    list.notes.push(format!("{endpoint} lists no models: {failure}"));
                }
            }
            return Ok(list);
        }
        let spec = prepare::runtime_spec(&options, &secrets, ambient);
        let runtime = self.inner.pool.runtime(&spec).await.map_err(|it| events::error_info(&it))?;
        let auth = runtime.auth().await.map_err(|failure| events::error_info(&failure))?;
        if auth.authenticated {
            let models = runtime.models().await.map_err(|failure| events::error_info(&failure))?;
            list.models.extend(models.into_iter().map(|model| account_model(&model)));
        } else {
            let ids = runtime.catalogue().await.map_err(|failure| events::error_info(&failure))?;
            list.models.extend(ids.into_iter().map(|id| named(id, "catalogue")));
            list.notes.push(format!(
                "not signed in: this is the Copilot CLI's built-in catalogue; {SIGN_IN}"
            ));
        }
        Ok(list)
    }

    /// Whether the Copilot CLI is signed in.
    ///
    /// # Errors
    /// When there is no Copilot CLI.
    pub async fn auth(&self, query: BackendQuery) -> Result<AuthStatus, ErrorInfo> {
        let (options, secrets) = as_options(query);
        let spec = prepare::runtime_spec(&options, &secrets, &self.inner.ambient);
        let runtime = self.inner.pool.runtime(&spec).await.map_err(|it| events::error_info(&it))?;
        let auth = runtime.auth().await.map_err(|failure| events::error_info(&failure))?;
        let quota = if auth.authenticated { quota(&runtime).await } else { Vec::new() };
        let message =
            if auth.authenticated { auth.message } else { format!("not signed in: {SIGN_IN}") };
        Ok(AuthStatus {
            authenticated: auth.authenticated,
            login: auth.login,
            method: auth.method,
            host: auth.host,
            quota,
            message,
        })
    }
}

/// What the plan leaves, where GitHub tells it in time: a token of a kind that has no plan is
/// no less signed in.
async fn quota(runtime: &Runtime) -> Vec<Quota> {
    let told = match tokio::time::timeout(QUOTA_TIMEOUT, runtime.quota()).await {
        Ok(Ok(told)) => told,
        Ok(Err(failure)) => {
            tracing::debug!(%failure, "what the plan leaves is not known");
            return Vec::new();
        }
        Err(_) => return Vec::new(),
    };
    let quota = |it: crate::backend::Quota| Quota {
        kind: it.kind,
        unlimited: it.unlimited,
        entitlement: it.entitlement,
        used: it.used,
        remaining_percent: it.remaining_percent,
        overage_allowed: it.overage_allowed,
        reset_date: it.reset_date,
    };
    told.into_iter().map(quota).collect()
}

pub(super) fn as_options(
    query: BackendQuery,
) -> (RunOptions, std::collections::BTreeMap<String, copex_proto::secret::Secret>) {
    let options = RunOptions {
        cli_path: query.cli_path,
        env: query.env,
        provider: query.provider,
        ..RunOptions::default()
    };
    (options, query.secrets)
}

fn named(id: String, source: &str) -> ModelInfo {
    ModelInfo {
        id,
        name: None,
        source: source.to_owned(),
        efforts: Vec::new(),
        multiplier: None,
        context_tokens: None,
    }
}

fn account_model(model: &Model) -> ModelInfo {
    let efforts = model.efforts.as_deref().unwrap_or_default();
    let efforts = efforts.iter().filter_map(|name| name.parse::<Effort>().ok());
    ModelInfo {
        name: model.name.clone(),
        efforts: efforts.collect(),
        multiplier: model.multiplier,
        context_tokens: model.context_tokens,
        ..named(model.id.clone(), "account")
    }
}

/// The header in which a request to Anthropic names the version of the interface.
const VERSION: &str = "anthropic-version";

fn is_version(name: &str) -> bool {
    name.eq_ignore_ascii_case(VERSION)
}

/// Asks an endpoint for its models, in its dialect: OpenAI's, or Anthropic's, whose base URL has
/// no version, whose requests name one, and whose keys are no bearer tokens (its API reference,
/// "List Models"). Azure's keys have a header of their own, too.
async fn provider_models(provider: &ProviderSpec) -> Result<Vec<String>, Failure> {
    let fail = |what: &dyn std::fmt::Display| Failure::new(FailureClass::Network, what.to_string());
    // The provider is asked in TLS only where its URL says so; both sides are then known.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client =
        reqwest::Client::builder().timeout(LIST_TIMEOUT).build().map_err(|error| fail(&error))?;
    let (path, header) = match provider.kind.as_str() {
        "anthropic" => ("/v1/models", Some("x-api-key")),
        "azure" => ("/models", Some("api-key")),
        _ => ("/models", None),
    };
    let mut request = client.get(format!("{}{path}", provider.base_url.trim_end_matches('/')));
    for (name, value) in &provider.headers {
        request = request.header(name, value);
    }
    if provider.kind == "anthropic" && !provider.headers.keys().any(|name| is_version(name)) {
        request = request.header(VERSION, "2023-06-01");
    }
    request = match (&provider.key, header.filter(|_| !provider.bearer)) {
        (Some(key), Some(header)) => request.header(header, key.reveal()),
        (Some(key), None) => request.bearer_auth(key.reveal()),
        (None, _) => request,
    };
    let response = request.send().await.map_err(|error| fail(&cause(&error)))?;
    let status = response.status();
    if !status.is_success() {
        return Err(fail(&format!("it answered {status}")));
    }
    let text = response.text().await.map_err(|error| fail(&cause(&error)))?;
    let body: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| fail(&format!("its answer is no JSON ({error})")))?;
    let models = body["data"].as_array().cloned().unwrap_or_default();
    let ids = models.iter().filter_map(|model| model["id"].as_str().map(str::to_owned));
    Ok(ids.take(MOST_MODELS).collect())
}
