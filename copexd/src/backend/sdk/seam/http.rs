//! The HTTP client of a runtime: its environment's proxies, our own time limits.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Client, NoProxy, Proxy};

use crate::core::failure::{Failure, FailureClass};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an unused connection is kept. Shorter than what servers and their balancers do.
const IDLE_CONNECTION: Duration = Duration::from_secs(50);

/// A client that reaches the world as programs in `env` do.
///
/// # Errors
/// `Unavailable` when TLS cannot be set up.
pub(super) fn client(env: &BTreeMap<String, String>) -> Result<Client, Failure> {
    // Somebody may have installed it already; there is only this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let value = |name: &str| {
        let lower = env.get(&name.to_ascii_lowercase());
        lower.or_else(|| env.get(name)).filter(|value| !value.is_empty())
    };
    let except = value("NO_PROXY").and_then(|list| NoProxy::from_string(list));
    let mut builder = Client::builder()
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_CONNECTION)
        .redirect(reqwest::redirect::Policy::none());
    let all = value("ALL_PROXY");
    let plain = value("HTTP_PROXY").or(all).map(Proxy::http);
    let tls = value("HTTPS_PROXY").or(all).map(Proxy::https);
    for proxy in [plain, tls].into_iter().flatten() {
        match proxy {
            Ok(proxy) => builder = builder.proxy(proxy.no_proxy(except.clone())),
            Err(error) => tracing::warn!(%error, "a proxy of the environment cannot be used"),
        }
    }
    builder.build().map_err(|error| {
        let message = format!("the HTTP client cannot be set up: {error}");
        Failure::new(FailureClass::Unavailable, message)
    })
}
