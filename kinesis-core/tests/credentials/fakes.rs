//! A provider, an STS, and a log that tests look into.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError as SdkCredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as ProvideCredentialsFuture;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::DateTime;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::date_time::Format;
use kinesis_core::{AwsConfig, CredentialsError, CredentialsSource, Randomness, SharedClock};
use tokio::time::sleep;

pub(crate) use crate::kinesis::{SEED, clock};

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What the fake provider does when it is asked.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Keys of this id that live so long; for ever, without a duration.
    Keys(String, Option<Duration>),
    /// Keys that expired so long ago.
    Stale(String, Duration),
    Unreachable,
    NothingThere,
    Never,
    Panic,
}

impl Answer {
    pub(crate) fn keys(id: &str, lifetime: u64) -> Self {
        Self::Keys(id.to_owned(), Some(seconds(lifetime)))
    }
}

/// A provider that follows a script and counts.
#[derive(Clone)]
pub(crate) struct FakeProvider(Arc<State>);

type Script = Box<dyn FnMut(u32) -> (Duration, Answer) + Send>;

struct State {
    clock: SharedClock,
    script: Mutex<Script>,
    loads: AtomicU32,
    in_flight: AtomicU32,
    most_in_flight: AtomicU32,
}

impl FakeProvider {
    /// The script is told how often it was asked before, and says how long to take and what to answer.
    pub(crate) fn new(clock: &SharedClock, script: impl FnMut(u32) -> (Duration, Answer) + Send + 'static) -> Self {
        Self(Arc::new(State {
            clock: Arc::clone(clock),
            script: Mutex::new(Box::new(script)),
            loads: AtomicU32::new(0),
            in_flight: AtomicU32::new(0),
            most_in_flight: AtomicU32::new(0),
        }))
    }

    pub(crate) fn loads(&self) -> u32 {
        self.0.loads.load(Ordering::SeqCst)
    }

    pub(crate) fn most_in_flight(&self) -> u32 {
        self.0.most_in_flight.load(Ordering::SeqCst)
    }

    /// The provider with the cache of a configuration in front.
    pub(crate) async fn cached(&self, seed: u64) -> SharedCredentialsProvider {
        AwsConfig::builder()
            .region("us-east-1")
            .credentials(CredentialsSource::custom("fake", self.clone()))
            .build()
            .unwrap()
            .with_randomness(Randomness::from_seed(seed))
            .credentials_provider(nobody(), Arc::clone(&self.0.clock))
            .await
    }

    async fn answer(&self) -> Result<Credentials, SdkCredentialsError> {
        let load = self.0.loads.fetch_add(1, Ordering::SeqCst);
        let _in_flight = InFlight::new(&self.0);
        let (delay, answer) = (self.0.script.lock().unwrap())(load);
        sleep(delay).await;
        let now = self.0.clock.now();
        let keys = |id: String, expiry| Ok(Credentials::new(id, "fake-secret", None, expiry, "fake"));
        match answer {
            Answer::Keys(id, lifetime) => keys(id, lifetime.map(|lifetime| now + lifetime)),
            Answer::Stale(id, age) => keys(id, Some(now - age)),
            Answer::Unreachable => Err(SdkCredentialsError::provider_error("the vault is sealed")),
            Answer::NothingThere => Err(SdkCredentialsError::not_loaded("the vault is empty")),
            Answer::Never => std::future::pending().await,
            Answer::Panic => panic!("the vault is gone"),
        }
    }
}

/// Counts down also where the load is dropped or panics.
struct InFlight<'a>(&'a State);

impl<'a> InFlight<'a> {
    fn new(state: &'a State) -> Self {
        let now = state.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        state.most_in_flight.fetch_max(now, Ordering::SeqCst);
        Self(state)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Debug for FakeProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FakeProvider { fake-secret }")
    }
}

impl ProvideCredentials for FakeProvider {
    fn provide_credentials<'a>(&'a self) -> ProvideCredentialsFuture<'a>
    where
        Self: 'a,
    {
        ProvideCredentialsFuture::new(self.answer())
    }
}

/// The access key id that a provider gives, or its error.
pub(crate) async fn key(provider: &SharedCredentialsProvider) -> Result<String, CredentialsError> {
    provider.provide_credentials().await.map(|keys| keys.access_key_id().to_owned()).map_err(|error| own(&error))
}

/// Our error in the chain of one of the SDK's.
pub(crate) fn own(error: &(dyn std::error::Error + 'static)) -> CredentialsError {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(own) = cause.downcast_ref::<CredentialsError>() {
            return own.clone();
        }
        next = cause.source();
    }
    panic!("no CredentialsError in {error:?}")
}

/// A client that reaches nobody.
pub(crate) fn nobody() -> SharedHttpClient {
    client(Offline)
}

#[derive(Clone, Debug)]
struct Offline;

impl HttpConnector for Offline {
    fn call(&self, _request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(Err(ConnectorError::io("offline".into())))
    }
}

pub(crate) fn client(connector: impl HttpConnector + Clone + 'static) -> SharedHttpClient {
    http_client_fn(move |_, _| SharedHttpConnector::new(connector.clone()))
}

/// A request to STS as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct StsCall {
    pub(crate) uri: String,
    pub(crate) fields: BTreeMap<String, String>,
    /// The access key id that signed it; nothing where it is not signed.
    pub(crate) signed_by: Option<String>,
    pub(crate) signed_region: Option<String>,
    pub(crate) session_token: Option<String>,
}

impl StsCall {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    fn of(request: &HttpRequest) -> Self {
        let body = std::str::from_utf8(request.body().bytes().unwrap()).unwrap();
        let fields = body.split('&').filter_map(|pair| pair.split_once('='));
        let header = |name: &str| request.headers().get(name).map(str::to_owned);
        let scope: Option<Vec<String>> = header("authorization").map(|text| {
            let scope = text.split("Credential=").nth(1).unwrap().split(',').next().unwrap();
            scope.split('/').map(str::to_owned).collect()
        });
        Self {
            uri: request.uri().to_owned(),
            fields: fields.map(|(name, value)| (name.to_owned(), decoded(value))).collect(),
            signed_by: scope.as_ref().map(|scope| scope[0].clone()),
            signed_region: scope.as_ref().map(|scope| scope[2].clone()),
            session_token: header("x-amz-security-token"),
        }
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(decoded).unwrap()
}

/// How the fake STS answers a call.
#[derive(Clone, Debug)]
pub(crate) enum StsReply {
    /// Credentials for an hour: key id and secret are made of the role's name and the number of the call.
    Granted,
    /// A status, a code and a message.
    Refused(u16, &'static str, &'static str),
    Offline,
    Silent,
}

/// An STS in the process.
#[derive(Clone)]
pub(crate) struct FakeSts(Arc<StsState>);

type Rule = Box<dyn Fn(usize, &StsCall) -> StsReply + Send + Sync>;

struct StsState {
    clock: SharedClock,
    rule: Rule,
    calls: Mutex<Vec<StsCall>>,
}

impl FakeSts {
    /// The rule is told the number of the call, from 0, and the call.
    pub(crate) fn new(clock: &SharedClock, rule: impl Fn(usize, &StsCall) -> StsReply + Send + Sync + 'static) -> Self {
        Self(Arc::new(StsState { clock: Arc::clone(clock), rule: Box::new(rule), calls: Mutex::default() }))
    }

    pub(crate) fn granting(clock: &SharedClock) -> Self {
        Self::new(clock, |_, _| StsReply::Granted)
    }

    pub(crate) fn calls(&self) -> Vec<StsCall> {
        self.0.calls.lock().unwrap().clone()
    }

    pub(crate) fn client(&self) -> SharedHttpClient {
        client(self.clone())
    }

    fn granted(&self, number: usize, call: &StsCall) -> String {
        let role = call.field("RoleArn").unwrap().to_owned();
        let name = role.rsplit('/').next().unwrap();
        let expiry = DateTime::from(self.0.clock.now() + seconds(3600)).fmt(Format::DateTime).unwrap();
        let action = call.field("Action").unwrap();
        format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
             <AssumedRoleUser><AssumedRoleId>AROA:x</AssumedRoleId>\
             <Arn>arn:aws:sts::123456789012:assumed-role/{name}/x</Arn></AssumedRoleUser>\
             <Credentials><AccessKeyId>{name}-{number}</AccessKeyId>\
             <SecretAccessKey>canary-issued-secret</SecretAccessKey>\
             <SessionToken>canary-token-{name}</SessionToken><Expiration>{expiry}</Expiration></Credentials>\
             </{action}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
        )
    }
}

impl Debug for FakeSts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FakeSts")
    }
}

impl HttpConnector for FakeSts {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let call = StsCall::of(&request);
        let mut calls = self.0.calls.lock().unwrap();
        let number = calls.len();
        calls.push(call.clone());
        let reply = |status: u16, body: String| {
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))))
        };
        match (self.0.rule)(number, &call) {
            StsReply::Granted => reply(200, self.granted(number, &call)),
            StsReply::Refused(status, code, message) => reply(
                status,
                format!(
                    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
                     <RequestId>r</RequestId></ErrorResponse>"
                ),
            ),
            StsReply::Offline => HttpConnectorFuture::ready(Err(ConnectorError::io("offline".into()))),
            StsReply::Silent => HttpConnectorFuture::new(std::future::pending()),
        }
    }
}

/// Everything that is logged on this thread while it lives, one line each, spans included.
pub(crate) struct Log;

thread_local! {
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

impl Log {
    /// Starts to collect. One subscriber serves all threads: which events are wanted is cached for the whole process.
    pub(crate) fn start() -> Self {
        static SUBSCRIBED: Once = Once::new();
        SUBSCRIBED.call_once(|| tracing::subscriber::set_global_default(Collector).unwrap());
        LINES.set(Some(Vec::new()));
        Self
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        LINES.with_borrow(|lines| lines.clone().unwrap())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        LINES.set(None);
    }
}

struct Collector;

fn push(metadata: &tracing::Metadata<'_>, record: impl FnOnce(&mut Line)) {
    let mut line = Line(format!("{} {} {}:", metadata.level(), metadata.target(), metadata.name()));
    record(&mut line);
    LINES.with_borrow_mut(|lines| lines.as_mut().unwrap().push(line.0));
}

struct Line(String);

impl tracing::field::Visit for Line {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl tracing::Subscriber for Collector {
    fn register_callsite(&self, _metadata: &'static tracing::Metadata<'static>) -> tracing::subscriber::Interest {
        tracing::subscriber::Interest::sometimes()
    }

    fn enabled(&self, _metadata: &tracing::Metadata<'_>) -> bool {
        LINES.with_borrow(Option::is_some)
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        push(span.metadata(), |line| span.record(line));
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _span: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        let mut line = Line("record:".to_owned());
        values.record(&mut line);
        LINES.with_borrow_mut(|lines| lines.iter_mut().for_each(|lines| lines.push(line.0.clone())));
    }

    fn record_follows_from(&self, _span: &tracing::span::Id, _follows: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        push(event.metadata(), |line| event.record(line));
    }

    fn enter(&self, _span: &tracing::span::Id) {}

    fn exit(&self, _span: &tracing::span::Id) {}
}
