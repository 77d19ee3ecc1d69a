//! Who is signed in, and what the plan leaves.

use github_copilot_sdk::rpc::AccountQuotaSnapshot;

use super::runtime::{CALL_TIMEOUT, Runtime};
use crate::backend::{Auth, Quota};
use crate::core::failure::Failure;

impl Runtime {
    /// As `Backend::auth`.
    pub async fn auth(&self) -> Result<Auth, Failure> {
        let status = self.client().get_auth_status();
        let status = self.call("asking who is signed in", CALL_TIMEOUT, status).await?;
        Ok(Auth {
            authenticated: status.is_authenticated,
            login: status.login,
            method: status.auth_type,
            host: status.host,
            message: status.status_message.unwrap_or_default(),
        })
    }

    /// What the account's plan leaves. GitHub is asked over the network.
    ///
    /// # Errors
    /// `Auth` when nobody is signed in, or the sign-in has no such thing as a quota.
    pub async fn quota(&self) -> Result<Vec<Quota>, Failure> {
        let rpc = self.client().rpc();
        let account = rpc.account();
        let asked = account.get_quota();
        let told = self.call("asking what the plan leaves", CALL_TIMEOUT, asked).await?;
        let quota = |(kind, it): (String, AccountQuotaSnapshot)| Quota {
            kind,
            unlimited: it.is_unlimited_entitlement,
            entitlement: it.entitlement_requests,
            used: it.used_requests,
            remaining_percent: it.remaining_percentage,
            overage_allowed: it.overage_allowed_with_exhausted_quota,
            reset_date: it.reset_date,
        };
        let mut quotas: Vec<Quota> = told.quota_snapshots.into_iter().map(quota).collect();
        quotas.sort_by(|a, b| a.kind.cmp(&b.kind));
        Ok(quotas)
    }
}
