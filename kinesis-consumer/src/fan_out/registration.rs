//! Who registers the fan-out consumer of a stream, and when it can be used.

use std::sync::Arc;
use std::time::Duration;

use kinesis_core::{
    FanOutConsumer, FanOutConsumerStatus, FanOutRegistration, RandomStream, RequestError, RequestErrorKind,
    RetryPolicy, StreamArn, StreamName, retry,
};
use tokio::time::timeout;

use super::FanOut;

/// Between two looks at a consumer that is not active yet, at least: five calls of this kind a second are allowed for
/// registering, twenty for describing (API reference).
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);

/// What is to be done about a consumer, by what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Use,
    Register,
    /// It is being made, or being removed; only then can it be made again.
    Wait,
    Refuse(&'static str),
}

/// Nothing known stands for a consumer that does not exist.
const fn step(registration: FanOutRegistration, known: Option<FanOutConsumerStatus>) -> Step {
    let is_ours = matches!(registration, FanOutRegistration::Lazy | FanOutRegistration::Eager);
    match known {
        Some(FanOutConsumerStatus::Active) => Step::Use,
        Some(FanOutConsumerStatus::Deleting) if !is_ours => Step::Refuse("the consumer is being deregistered"),
        Some(_) => Step::Wait,
        None if is_ours => Step::Register,
        None => Step::Refuse("there is no such consumer, and its registration is left to others (SELF_MANAGED)"),
    }
}

impl FanOut {
    /// Sees to it that a stream has an active consumer.
    pub(crate) async fn register(
        &self,
        stream: &StreamName,
        arn: &StreamArn,
        random: &mut RandomStream,
    ) -> Result<(), RequestError> {
        let consumer = match self.config.consumer_arns.get(stream.as_str()) {
            Some(consumer) if self.config.registration == FanOutRegistration::None => consumer.clone(),
            _ => self.active_consumer(arn, random).await?,
        };
        tracing::debug!(%stream, consumer, "the fan-out consumer is active");
        self.consumers.lock().insert(stream.clone(), Arc::from(consumer));
        Ok(())
    }

    async fn active_consumer(&self, stream: &StreamArn, random: &mut RandomStream) -> Result<String, RequestError> {
        let name = self.config.consumer_name.as_deref().unwrap_or_default();
        let limit = self.config.register_timeout;
        let mut last_known = None;
        let registered = timeout(limit, self.until_active(stream, name, &mut last_known, random)).await;
        registered.unwrap_or_else(|_| {
            let what = format!("the consumer was not active within {limit:?}, it was {last_known:?} at last");
            let (operation, target) = ("RegisterStreamConsumer", format!("{stream}/consumer/{name}"));
            Err(RequestError::new(operation, &target, RequestErrorKind::Timeout, None, &what))
        })
    }

    async fn until_active(
        &self,
        stream: &StreamArn,
        name: &str,
        last_known: &mut Option<FanOutConsumerStatus>,
        random: &mut RandomStream,
    ) -> Result<String, RequestError> {
        let RetryPolicy { backoff, .. } = self.config.register_retry;
        for attempt in 0.. {
            let known = self.describe(stream, name, random).await?;
            *last_known = known.as_ref().map(|known| known.status);
            match (step(self.config.registration, *last_known), known) {
                (Step::Use, Some(FanOutConsumer { arn, .. })) => return Ok(arn),
                (Step::Refuse(why), _) => {
                    let (operation, target) = ("DescribeStreamConsumer", format!("{stream}/consumer/{name}"));
                    return Err(RequestError::new(operation, &target, RequestErrorKind::NotFound, None, why));
                }
                (Step::Register, _) => self.try_to_register(stream, name, random).await?,
                (Step::Wait | Step::Use, _) => {}
            }
            tokio::time::sleep(backoff.delay(attempt, random).max(SHORTEST_PAUSE)).await;
        }
        unreachable!("invariant: the attempts do not end")
    }

    /// Nothing where there is none.
    async fn describe(
        &self,
        stream: &StreamArn,
        name: &str,
        random: &mut RandomStream,
    ) -> Result<Option<FanOutConsumer>, RequestError> {
        let policy = self.config.describe_consumer_retry;
        match retry(policy, random, || self.client.describe_stream_consumer(stream, name)).await {
            Ok(known) => Ok(Some(known)),
            Err(error) if error.kind() == RequestErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Registers, unless somebody was faster.
    async fn try_to_register(
        &self,
        stream: &StreamArn,
        name: &str,
        random: &mut RandomStream,
    ) -> Result<(), RequestError> {
        let policy = self.config.register_retry;
        let once = || async {
            match self.client.register_stream_consumer(stream, name).await {
                Err(error) if error.kind() == RequestErrorKind::InUse => Ok(()),
                result => result.map(drop),
            }
        };
        retry(policy, random, once).await
    }

    /// Deregisters the consumers that the job has for itself; for a job that ended as it was asked to.
    ///
    /// One that failed is started again, as a rule, and one that was fenced has a successor that reads with the same
    /// consumer. What goes wrong leaves a consumer behind, which the log says: it costs until it is deregistered.
    pub(crate) async fn release(&self, random: &mut RandomStream) {
        if self.config.registration != FanOutRegistration::Lazy {
            return;
        }
        let (policy, limit) = (self.config.deregister_retry, self.config.deregister_timeout);
        let consumers = std::mem::take(&mut *self.consumers.lock());
        for (stream, consumer) in consumers {
            let deregistering = retry(policy, random, || self.client.deregister_stream_consumer(&consumer));
            match timeout(limit, deregistering).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) if error.kind() == RequestErrorKind::NotFound => {}
                Ok(Err(error)) => {
                    tracing::warn!(%stream, consumer = &*consumer, %error, "the consumer stays registered")
                }
                Err(_) => tracing::warn!(%stream, consumer = &*consumer, ?limit, "the consumer may stay registered"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_registers_decides_what_is_done_about_a_consumer() {
        use FanOutConsumerStatus::{Active, Creating, Deleting};
        use FanOutRegistration::{Eager, Lazy, SelfManaged};
        for registration in [Lazy, Eager] {
            let steps = [Some(Active), Some(Creating), Some(Deleting), None].map(|known| step(registration, known));
            assert_eq!(steps, [Step::Use, Step::Wait, Step::Wait, Step::Register], "{registration:?}");
        }
        let steps = [Some(Active), Some(Creating), Some(Deleting), None].map(|known| step(SelfManaged, known));
        assert!(matches!(steps, [Step::Use, Step::Wait, Step::Refuse(_), Step::Refuse(_)]), "{steps:?}");
    }
}
