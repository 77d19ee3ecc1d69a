//! Fits the effort asked for to what the model supports, by the best word there is.

use copex_proto::run::RunOptions;

use super::events;
use crate::backend::spec::RuntimeSpec;
use crate::core::effort::{self, Effort, Resolved};
use crate::pool::Pool;

/// Who knows: the account's list, else the provider's settings, else the name.
pub(super) async fn resolve(options: &RunOptions, spec: &RuntimeSpec, pool: &Pool) -> Resolved {
    let Some(asked) = options.reasoning_effort else {
        return Resolved { effort: None, warning: None };
    };
    let asked = events::core_effort(asked);
    let supported = match &options.provider {
        Some(provider) => provider
            .reasoning_efforts
            .as_ref()
            .map(|levels| levels.iter().map(|level| events::core_effort(*level)).collect()),
        // With a process per turn there is no runtime to ask.
        None if options.use_cli => None,
        None => from_account(options, spec, pool).await,
    };
    effort::resolve(asked, options.model.as_deref(), supported.as_deref())
}

async fn from_account(
    options: &RunOptions,
    spec: &RuntimeSpec,
    pool: &Pool,
) -> Option<Vec<Effort>> {
    let model = options.model.as_deref()?;
    // The SDK keeps the list, so only the first question of a runtime costs a request.
    let models = pool.runtime(spec).await.ok()?.models().await.ok()?;
    let efforts = models.into_iter().find(|known| known.id == model)?.efforts?;
    Some(efforts.iter().filter_map(|name| Effort::from_name(name)).collect())
}
