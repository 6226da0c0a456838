//! The task that carries uploads out.

use std::sync::Arc;

use kinesis_core::RandomStream;
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::plan::UploadPlan;
use super::registry::Registry;
use super::uploader::CloudWatchUploader;
use crate::pipeline::after;

/// Uploads once a period, and once more when the producer has ended.
#[derive(Debug)]
pub(crate) struct UploadTask {
    task: AbortHandle,
    /// Closed with the task.
    over: watch::Receiver<()>,
}

impl Drop for UploadTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl UploadTask {
    /// Starts on the present tokio runtime; `ended` is dropped when nothing more will be measured.
    pub(crate) fn start(
        uploader: CloudWatchUploader,
        registry: Arc<Registry>,
        random: RandomStream,
        ended: oneshot::Receiver<()>,
    ) -> Self {
        let (guard, over) = watch::channel(());
        let plan = UploadPlan::new(Arc::clone(&registry), Instant::now());
        let work = run(uploader, registry, plan, random, ended);
        let task = tokio::spawn(async move {
            work.await;
            drop(guard);
        });
        Self { task: task.abort_handle(), over }
    }

    /// Waits for the last upload.
    pub(crate) fn over(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut over = self.over.clone();
        async move { while over.changed().await.is_ok() {} }
    }
}

async fn run(
    uploader: CloudWatchUploader,
    registry: Arc<Registry>,
    mut plan: UploadPlan,
    mut random: RandomStream,
    mut ended: oneshot::Receiver<()>,
) {
    let namespace = registry.config().namespace.as_str();
    let deadline = loop {
        tokio::select! {
            biased;
            _ = &mut ended => break after(Instant::now(), uploader.last_upload_limit()),
            () = sleep_until(plan.next_deadline()) => {}
        }
        let upload = uploader.upload(namespace, plan.take_due(Instant::now()), &mut random);
        tokio::pin!(upload);
        let ended_at = tokio::select! {
            biased;
            _ = &mut ended => Instant::now(),
            () = &mut upload => continue,
        };
        // What is on its way and what is left share one limit.
        let deadline = after(ended_at, uploader.last_upload_limit());
        warn_if_late(timeout_at(deadline, upload).await.is_err());
        break deadline;
    };
    let last = uploader.upload(namespace, plan.take_last(Instant::now()), &mut random);
    warn_if_late(timeout_at(deadline, last).await.is_err());
}

fn warn_if_late(is_late: bool) {
    if is_late {
        tracing::warn!("metrics not uploaded to CloudWatch: the producer is closed, and no time was left");
    }
}
