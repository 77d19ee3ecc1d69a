//! GitHub as the Copilot CLI sees it when somebody is signed in: just enough for it to
//! list models, open a session and send the conversation to this server.

use serde_json::{Value, json};

use super::request::RecordedRequest;

/// The account that is signed in.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// The login's name.
    pub login: String,
    /// The models it may use. Names outside the CLI's own catalogue are dropped by the CLI.
    pub models: Vec<AccountModel>,
    /// Premium requests left, of 300.
    pub premium_left: f64,
}

/// A model of the account.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountModel {
    /// Its id.
    pub id: String,
    /// Premium requests per call.
    pub multiplier: f64,
    /// Its context window, in tokens.
    pub context: u64,
}

impl AccountModel {
    /// A model that costs one premium request and takes 128,000 tokens.
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned(), multiplier: 1.0, context: 128_000 }
    }

    fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.id,
            "object": "model",
            "vendor": "test",
            "version": self.id,
            "preview": false,
            "model_picker_enabled": true,
            "billing": {"is_premium": true, "multiplier": self.multiplier},
            "capabilities": {
                "type": "chat",
                "family": self.id,
                "tokenizer": "o200k_base",
                "limits": {
                    "max_context_window_tokens": self.context,
                    "max_prompt_tokens": self.context,
                    "max_output_tokens": 16_000,
                },
                "supports": {"streaming": true, "tool_calls": true, "parallel_tool_calls": true},
            },
        })
    }
}

impl Default for Account {
    fn default() -> Self {
        Self {
            login: "tester".to_owned(),
            models: vec![AccountModel::new("gpt-5.4"), AccountModel::new("claude-sonnet-4.6")],
            premium_left: 148.5,
        }
    }
}

impl Account {
    pub(super) fn quota_headers(&self) -> Vec<(String, String)> {
        let left = self.premium_left / 3.0;
        let snapshot =
            format!("ent=300&ov=0.0&ovPerm=false&rem={left}&rst=2027-01-01T00%3A00%3A00Z");
        vec![("x-quota-snapshot-premium_interactions".to_owned(), snapshot)]
    }

    fn user(&self, base: &str) -> Value {
        let unlimited = json!({
            "entitlement": 0, "percent_remaining": 100.0, "unlimited": true,
            "overage_count": 0, "overage_permitted": false, "quota_id": "chat",
            "quota_remaining": 0.0, "remaining": 0,
        });
        json!({
            "login": self.login,
            "access_type_sku": "copilot_pro",
            "chat_enabled": true,
            "copilot_plan": "individual_pro",
            "organization_login_list": [],
            "organization_list": [],
            "endpoints": {"api": base, "origin-tracker": base, "proxy": base, "telemetry": base},
            "quota_reset_date": "2027-01-01",
            "quota_snapshots": {
                "chat": unlimited,
                "premium_interactions": {
                    "entitlement": 300,
                    "percent_remaining": self.premium_left / 3.0,
                    "unlimited": false,
                    "overage_count": 0,
                    "overage_permitted": false,
                    "quota_id": "premium_interactions",
                    "quota_remaining": self.premium_left,
                    "remaining": self.premium_left.floor(),
                },
            },
        })
    }
}

/// The answer to a request that is not to the model; `None` means 404.
pub(super) fn answer(request: &RecordedRequest, path: &str, account: &Account) -> Option<Value> {
    let base = format!("http://{}", request.header("host")?);
    let models: Vec<Value> = account.models.iter().map(AccountModel::to_json).collect();
    let ids: Vec<&str> = account.models.iter().map(|model| model.id.as_str()).collect();
    match (request.method.as_str(), path) {
        ("GET", path) if path.ends_with("/copilot_internal/user") => Some(account.user(&base)),
        ("GET", path) if path.ends_with("/copilot_internal/v2/token") => Some(json!({
            "token": "tid=test;exp=9999999999",
            "expires_at": 9_999_999_999_u64,
            "refresh_in": 1500,
            "endpoints": {"api": base},
        })),
        ("GET", "/user") => Some(json!({"login": account.login, "id": 1, "type": "User"})),
        ("GET", "/models") => Some(json!({"data": models})),
        ("POST", "/models/session") => Some(json!({
            "available_models": ids,
            "selected_model": ids.first(),
            "session_token": "session-token",
            "expires_at": 9_999_999_999_u64,
            "discounted_costs": {},
        })),
        _ => None,
    }
}

/// What the signed-in path adds to the usage chunk.
pub(super) fn copilot_usage() -> Value {
    json!({"token_details": [], "total_nano_aiu": 123_456_789})
}
