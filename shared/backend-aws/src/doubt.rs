//! Whether an earlier attempt of a call may have taken effect without anybody being told.
//!
//! The SDK tries again by itself. A condition that does not hold the second time may have been broken by the first
//! attempt; only then a write has to look whose mark it finds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::FinalizerInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Notes attempts of one call that ended without a certain answer; a clone goes with the call as its interceptor.
#[derive(Debug, Clone, Default)]
pub(crate) struct Doubt(Arc<AtomicBool>);

impl Doubt {
    /// May an attempt have taken effect that nobody was told of? Asked when the last attempt was answered.
    pub(crate) fn is_there(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Intercept for Doubt {
    fn name(&self) -> &'static str {
        "doubt"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let certain = context.response().is_some_and(|response| response.status().as_u16() < 500);
        if !certain {
            self.0.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}
