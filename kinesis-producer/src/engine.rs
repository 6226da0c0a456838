//! The one task that carries out what the pipeline decides.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::operation::put_records::PutRecordsOutput;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use aws_smithy_types::Blob;
use kinesis_core::{KinesisClient, ListShardsScope, RequestError, RequestErrorKind, StreamName};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::error::DeliveryError;
use crate::outcome::FailureCause;
use crate::pipeline::{Action, FlushTicket, Pipeline, Reading, RequestEntry, StreamInfo, StreamSettings};
use crate::queue::{Command, Deadline, GivenUp};
use crate::shared::Shared;

/// Commands taken at once, so that answers and timers get their turn under load.
const COMMANDS_AT_ONCE: usize = 1024;

/// The record limit of a stream that does not say otherwise (AWS quota page).
const DEFAULT_RECORD_LIMIT_BYTES: usize = 1024 * 1024;

/// How long to sleep when nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

/// What a request of the engine came to.
#[derive(Debug)]
enum Done {
    Opened(StreamName, Result<StreamInfo, RequestError>),
    Refreshed(StreamName, Result<StreamInfo, RequestError>),
    Put(u64, Result<PutRecordsOutput, RequestError>),
}

/// Drives the pipeline: commands in, requests out, timers.
#[derive(Debug)]
pub(crate) struct Engine {
    client: KinesisClient,
    pipeline: Pipeline,
    shared: Arc<Shared>,
    requests: JoinSet<Done>,
    commands: VecDeque<Command>,
    flushes: Vec<(FlushTicket, oneshot::Sender<()>)>,
    closing: Option<Closing>,
    /// The last field: what waits in the others has its outcome before the queue ends. Here and not in
    /// [`run`](Self::run), since a task may be cancelled before it was ever polled.
    end: EndOnDrop,
}

/// What the end waits for, and who waits for the end.
#[derive(Debug)]
struct Closing {
    ticket: FlushTicket,
    /// The earliest of those that the callers gave.
    deadline: Option<Deadline>,
    given_up: GivenUp,
    callers: Vec<oneshot::Sender<GivenUp>>,
}

impl Engine {
    pub(crate) fn new(client: KinesisClient, pipeline: Pipeline, shared: Arc<Shared>) -> Self {
        let end = EndOnDrop(Arc::clone(&shared));
        Self {
            client,
            pipeline,
            shared,
            requests: JoinSet::new(),
            commands: VecDeque::new(),
            flushes: Vec::new(),
            closing: None,
            end,
        }
    }

    /// Runs until the producer is closed.
    pub(crate) async fn run(mut self) {
        while !self.turn() {
            self.wait().await;
        }
        // Readings of a map may still be on their way; nobody waits for them.
        self.requests.shutdown().await;
        let Self { commands, closing, end, .. } = self;
        let Some(Closing { given_up, callers, .. }) = closing else { return };
        // What has come in meanwhile has nothing to wait for.
        for command in commands.into_iter().chain(end.0.queue.end()) {
            match command {
                Command::Flush(_, done) => drop(done.send(())),
                Command::Close(_, done) => drop(done.send(given_up)),
                Command::Put(_) | Command::Acknowledge(..) | Command::Open(..) => {}
            }
        }
        for caller in callers {
            // The caller may have stopped waiting.
            let _ = caller.send(given_up);
        }
    }

    /// Does everything that can be done now; whether that was all for good.
    fn turn(&mut self) -> bool {
        let now = Instant::now();
        self.take_commands(now);
        while let Some(done) = self.requests.try_join_next() {
            self.finish(done, now);
        }
        self.pipeline.advance(now);
        self.give_up_late(now);
        while let Some(action) = self.pipeline.next_action(now) {
            self.start(action);
        }
        self.publish();
        self.settle()
    }

    async fn wait(&mut self) {
        if !self.commands.is_empty() {
            tokio::task::yield_now().await;
            return;
        }
        let now = Instant::now();
        let mut deadline = self.pipeline.next_deadline(now).unwrap_or(now + IDLE);
        if let Some(Closing { deadline: Some(Deadline { at, .. }), .. }) = self.closing {
            deadline = deadline.min(at);
        }
        let done = tokio::select! {
            biased;
            Some(done) = self.requests.join_next() => Some(done),
            () = self.shared.queue.work() => None,
            () = sleep_until(deadline) => None,
        };
        if let Some(done) = done {
            self.finish(done, Instant::now());
        }
    }

    fn take_commands(&mut self, now: Instant) {
        if self.commands.is_empty() {
            self.shared.queue.take(&mut self.commands);
        }
        for _ in 0..COMMANDS_AT_ONCE {
            let Some(command) = self.commands.pop_front() else { break };
            match command {
                Command::Put(incoming) => self.pipeline.accept(incoming, now),
                Command::Acknowledge(stream, key) => self.pipeline.acknowledge(&stream, &key),
                Command::Open(stream, waiter) => self.pipeline.open(&stream, waiter),
                Command::Flush(stream, done) => {
                    let ticket = self.pipeline.flush(stream.as_ref(), now);
                    self.flushes.push((ticket, done));
                }
                Command::Close(deadline, done) => self.close(deadline, done, now),
            }
        }
    }

    fn close(&mut self, deadline: Option<Deadline>, done: oneshot::Sender<GivenUp>, now: Instant) {
        let ticket = self.pipeline.flush(None, now);
        let closing = self.closing.get_or_insert_with(|| Closing {
            ticket,
            deadline: None,
            given_up: GivenUp::default(),
            callers: Vec::new(),
        });
        closing.callers.push(done);
        closing.deadline = closing.deadline.into_iter().chain(deadline).min_by_key(|deadline| deadline.at);
    }

    /// Gives up what has no outcome when the time to close is over.
    fn give_up_late(&mut self, now: Instant) {
        let Some(closing) = &mut self.closing else { return };
        let Some(deadline) = closing.deadline.filter(|deadline| deadline.at <= now) else { return };
        let before = *self.pipeline.stats();
        self.requests.abort_all();
        self.pipeline.abandon(&FailureCause::Closed { limit: deadline.limit }, now);
        let after = self.pipeline.stats();
        closing.given_up.failed += after.user_records_failed - before.user_records_failed;
        closing.given_up.unknown += after.user_records_unknown - before.user_records_unknown;
    }

    fn finish(&mut self, done: Result<Done, tokio::task::JoinError>, now: Instant) {
        match done {
            Ok(Done::Opened(stream, info)) => self.pipeline.on_opened(&stream, info, now),
            Ok(Done::Refreshed(stream, info)) => self.pipeline.on_refreshed(&stream, info, now),
            Ok(Done::Put(id, answer)) => self.pipeline.on_answer(id, answer, now),
            // A bug below: what it was about can no longer be told, so that every outcome becomes unknown.
            Err(error) => {
                if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
        }
    }

    fn start(&mut self, action: Action) {
        let client = self.client.clone();
        match action {
            Action::Open(stream) => {
                self.requests.spawn(async move {
                    let info = look_up(&client, &stream).await;
                    Done::Opened(stream, info)
                });
            }
            Action::Refresh(stream, reading) => {
                self.requests.spawn(async move {
                    let info = refresh(&client, &stream, reading).await;
                    Done::Refreshed(stream, info)
                });
            }
            Action::Put { id, stream, entries } => {
                self.requests.spawn(async move {
                    let records = entries.into_iter().map(to_sdk).collect();
                    Done::Put(id, client.put_records(&stream, records).await)
                });
            }
        }
    }

    /// Makes what has changed visible to the callers.
    fn publish(&mut self) {
        self.shared.publish(self.pipeline.stats(), self.pipeline.oldest());
        if let Some(failures) = self.pipeline.take_failures() {
            let DeliveryError { failed, unknown, stream, first } = &failures;
            tracing::warn!(failed, unknown, %stream, cause = %first, "records given up");
            self.shared.report(failures);
        }
        self.shared.queue.release(self.pipeline.take_released());
    }

    /// Answers the flushes that are over; whether the producer is closed.
    fn settle(&mut self) -> bool {
        if self.flushes.is_empty() && self.closing.is_none() {
            return false;
        }
        let pipeline = &mut self.pipeline;
        let is_over = |(ticket, _): &mut (FlushTicket, oneshot::Sender<()>)| pipeline.is_settled(ticket);
        for (_, done) in self.flushes.extract_if(.., is_over) {
            // The caller may have stopped waiting.
            let _ = done.send(());
        }
        if self.flushes.is_empty() && self.closing.is_none() {
            self.pipeline.end_flush();
        }
        self.closing.as_ref().is_some_and(|closing| self.pipeline.is_settled(&closing.ticket))
    }
}

/// Closes the queue however the engine ends, so that no caller waits for ever.
#[derive(Debug)]
struct EndOnDrop(Arc<Shared>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        drop(self.0.queue.end());
    }
}

/// Finds out what must be known of a stream.
async fn look_up(client: &KinesisClient, stream: &StreamName) -> Result<StreamInfo, RequestError> {
    let settings = match describe(client, stream).await {
        Ok(settings) => settings,
        // Producers often may write and list, and no more.
        Err(error) if error.kind() == RequestErrorKind::AccessDenied => {
            tracing::warn!(%stream, %error, "the stream's record limit is not readable; taken as 1 MiB");
            StreamSettings { record_limit_bytes: DEFAULT_RECORD_LIMIT_BYTES, by_partition_key: true }
        }
        Err(error) => return Err(error),
    };
    Ok(StreamInfo { settings, shards: client.list_shards(stream, ListShardsScope::All).await? })
}

/// Finds out what has changed; what is known of limit and mode serves where these cannot be read.
async fn refresh(client: &KinesisClient, stream: &StreamName, reading: Reading) -> Result<StreamInfo, RequestError> {
    let described = if reading.describes { describe(client, stream).await } else { Ok(reading.known) };
    let settings = described.unwrap_or_else(|error| {
        tracing::debug!(%stream, %error, "the stream's limit and mode are not readable; they stay as they were");
        reading.known
    });
    Ok(StreamInfo { settings, shards: client.list_shards(stream, ListShardsScope::All).await? })
}

async fn describe(client: &KinesisClient, stream: &StreamName) -> Result<StreamSettings, RequestError> {
    let summary = client.describe_stream_summary(stream).await?;
    let by_partition_key = summary.uses_partition_keys;
    Ok(StreamSettings { record_limit_bytes: summary.max_record_size_bytes, by_partition_key })
}

fn to_sdk(entry: RequestEntry) -> PutRecordsRequestEntry {
    PutRecordsRequestEntry::builder()
        .data(Blob::new(entry.data.to_vec()))
        .partition_key(entry.partition_key)
        .explicit_hash_key(entry.explicit_hash_key.to_string())
        .build()
        .expect("invariant: data and partition key are set above")
}
