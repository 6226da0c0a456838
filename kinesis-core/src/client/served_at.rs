//! The service's clock, read off the `Date` header of its replies.

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::Format;

/// An interceptor that keeps the `Date` of the reply to the one call that it is attached to.
///
/// For a call of an SDK client, of whatever service; clones share what was kept.
#[derive(Clone, Debug, Default)]
pub struct ServedAt(Arc<OnceLock<SystemTime>>);

impl ServedAt {
    /// The service's clock when it answered, in whole seconds; nothing before that, or where the reply has no date.
    pub fn time(&self) -> Option<SystemTime> {
        self.0.get().copied()
    }
}

#[dyn_dispatch_hint]
impl Intercept for ServedAt {
    fn name(&self) -> &'static str {
        "ServedAt"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let time = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
        if let Some(time) = time.and_then(|time| SystemTime::try_from(time).ok()) {
            // A second reply to the same call changes nothing: the first is the earlier.
            let _ = self.0.set(time);
        }
        Ok(())
    }
}
