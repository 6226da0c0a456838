//! A producer's config out of properties: everything is judged before anything is used.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use kinesis_core::{ConfigErrors, ConfigProblems, Properties};

use super::keys::{self as table, Effect, Key, LARGEST, METRICS_GRANULARITIES, METRICS_LEVELS};
use super::{ProducerConfig, producer_config_constants as keys};
use crate::metrics::{MetricsConfig, MetricsGranularity, MetricsLevel};

/// The requests at a time that the KPL's pool has where its size is 0.
const POOL_OF_SIZE_ZERO: usize = 64;
/// The connections of the KPL where none are set.
const DEFAULT_CONNECTIONS: usize = 24;
const PER_REQUEST: &str = "PER_REQUEST";

impl ProducerConfig {
    /// Reads and checks the properties of the KPL, by their names, and the connector's keys that start with
    /// `aws.producer.`.
    ///
    /// Other keys with a dot are not looked at; those of the client are for
    /// [`AwsConfig`](kinesis_core::AwsConfig), by way of [`client_properties`]. Keys without effect are accepted with a
    /// warning; what an application or its security relies on, and is not here, is refused. [`configuration`](crate::configuration) has the
    /// whole table. Settings without a property have their defaults, and their setters.
    ///
    /// ```
    /// use kinesis_core::Properties;
    /// use kinesis_producer::ProducerConfig;
    ///
    /// let properties = Properties::from([("RateLimit", "80"), ("RecordTtl", "60000"), ("aws.region", "eu-west-1")]);
    /// let config = ProducerConfig::from_properties(&properties)?.ordered(true);
    /// # assert_eq!(config, ProducerConfig::default().rate_limit(80)
    /// #     .record_ttl(std::time::Duration::from_secs(60)).ordered(true));
    /// # Ok::<(), kinesis_core::ConfigErrors>(())
    /// ```
    ///
    /// # Errors
    /// [`ConfigErrors`] with every problem; a retry is pointless.
    pub fn from_properties(properties: &Properties) -> Result<Self, ConfigErrors> {
        let mut problems = ConfigProblems::default();
        judge(properties, &mut problems);
        let values = Values(properties);
        for (key, text) in notes(values) {
            tracing::warn!(key, "configuration: {text}");
        }
        let config = read(values);
        config.report(&mut problems);
        problems.finish(config)
    }
}

impl MetricsConfig {
    /// Reads and checks the KPL's properties of metrics, out of all properties of a producer.
    ///
    /// `MetricsLevel`, `MetricsGranularity`, `MetricsNamespace` and `MetricsUploadDelay`; what is not set has its
    /// default. [`ProducerConfig::from_properties`] checks the same and reads the others.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every problem, of the other keys of a producer, too; a retry is pointless.
    pub fn from_properties(properties: &Properties) -> Result<Self, ConfigErrors> {
        let mut problems = ConfigProblems::default();
        judge(properties, &mut problems);
        let (values, mut config) = (Values(properties), Self::default());
        let index =
            |name, among: &[&str]| values.text(name).and_then(|value| among.iter().position(|one| *one == value));
        match index(keys::METRICS_LEVEL, METRICS_LEVELS) {
            Some(0) => config = config.level(MetricsLevel::None),
            Some(1) => config = config.level(MetricsLevel::Summary),
            _ => {}
        }
        match index(keys::METRICS_GRANULARITY, METRICS_GRANULARITIES) {
            Some(0) => config = config.granularity(MetricsGranularity::Global),
            Some(1) => config = config.granularity(MetricsGranularity::Stream),
            _ => {}
        }
        if let Some(namespace) = values.text(keys::METRICS_NAMESPACE) {
            config = config.namespace(namespace);
        }
        if let Some(delay) = values.millis(keys::METRICS_UPLOAD_DELAY) {
            config = config.upload_delay(delay);
        }
        problems.finish(config)
    }
}

/// The properties of a client that is to write as the KPL would: all keys that start with `aws.`, without a producer's,
/// and the KPL's own settings of its client under such keys.
///
/// `Region`, `KinesisEndpoint` with `KinesisPort`, `ConnectTimeout` and `RequestTimeout` are taken over where the key
/// that they become is not set; `https` is the protocol, as in the KPL. A value that is not allowed is left out, since
/// [`ProducerConfig::from_properties`] refuses it.
///
/// ```
/// use kinesis_core::{AwsConfig, Properties};
/// use kinesis_producer::{ProducerConfig, client_properties};
///
/// let properties = Properties::from([("Region", "eu-west-1"), ("RateLimit", "80")]);
/// let producer = ProducerConfig::from_properties(&properties)?;
/// let client = AwsConfig::from_properties(&client_properties(&properties))?;
/// assert_eq!(client.region(), Some("eu-west-1"));
/// # Ok::<(), kinesis_core::ConfigErrors>(())
/// ```
pub fn client_properties(properties: &Properties) -> Properties {
    let is_clients = |name: &str| name.starts_with("aws.") && !table::is_producers(name);
    let mut client: Properties = properties.iter().filter(|(name, _)| is_clients(name)).collect();
    let values = Values(properties);
    for key in table::KEYS {
        let Effect::Client(name) = key.effect else { continue };
        let Some(value) = values.text(key.name).filter(|value| !value.is_empty()) else { continue };
        // The port goes with its host.
        let value = match key.name {
            keys::KINESIS_PORT => continue,
            keys::KINESIS_ENDPOINT => endpoint(value, values),
            _ => value.to_owned(),
        };
        if !client.contains_key(name) {
            client.insert(name, value);
        }
    }
    client
}

fn endpoint(host: &str, values: Values<'_>) -> String {
    let port = values.text(keys::KINESIS_PORT).unwrap_or("443");
    format!("https://{host}:{port}")
}

/// Checks every key of a producer.
fn judge(properties: &Properties, problems: &mut ConfigProblems) {
    for (name, value) in properties.iter().filter(|(name, _)| table::is_producers(name)) {
        match table::find(name) {
            None => problems.unknown(name, table::KEYS.iter().map(|key| key.name)),
            Some(key) if !key.kind.allows(value) => problems.invalid(name, value, key.kind.description()),
            Some(Key { effect: Effect::Refused(only, allowed), .. }) if !value.eq_ignore_ascii_case(only) => {
                problems.unsupported(name, value, *allowed);
            }
            Some(_) => {}
        }
    }
}

/// Reads typed values; one that its key does not allow reads as absent, since it is among the problems.
#[derive(Clone, Copy, Debug)]
struct Values<'a>(&'a Properties);

impl<'a> Values<'a> {
    fn text(self, name: &str) -> Option<&'a str> {
        let name = self.winner(name);
        self.0.get(name).filter(|value| table::find(name).is_some_and(|key| key.kind.allows(value)))
    }

    /// The key that is read for a setting: the older one where it is set.
    fn winner(self, name: &str) -> &str {
        table::older(name).filter(|older| self.0.contains_key(older)).unwrap_or(name)
    }

    fn number<T: FromStr>(self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    /// A count or a size, as large as this machine has them.
    fn count(self, name: &str) -> Option<usize> {
        self.number::<u64>(name).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
    }

    /// Milliseconds; Java's largest number stands for ever.
    fn millis(self, name: &str) -> Option<Duration> {
        let forever = |millis| if millis == LARGEST { Duration::MAX } else { Duration::from_millis(millis) };
        self.number(name).map(forever)
    }

    fn flag(self, name: &str) -> Option<bool> {
        self.text(name).map(|value| value.eq_ignore_ascii_case("true"))
    }
}

fn read(values: Values<'_>) -> ProducerConfig {
    let default = ProducerConfig::default();
    // Never for ever: a buffering time of any length is less than a time to live without end.
    let buffered = values.number(keys::RECORD_MAX_BUFFERED_TIME).map(Duration::from_millis);
    ProducerConfig {
        aggregation: values.flag(keys::AGGREGATION_ENABLED).unwrap_or(default.aggregation),
        aggregation_max_count: values.count(keys::AGGREGATION_MAX_COUNT).unwrap_or(default.aggregation_max_count),
        aggregation_max_size_bytes: values
            .count(keys::AGGREGATION_MAX_SIZE)
            .unwrap_or(default.aggregation_max_size_bytes),
        collection_max_count: values.count(keys::COLLECTION_MAX_COUNT).unwrap_or(default.collection_max_count),
        collection_max_size_bytes: values.count(keys::COLLECTION_MAX_SIZE).unwrap_or(default.collection_max_size_bytes),
        rate_limit: values.number(keys::RATE_LIMIT).unwrap_or(default.rate_limit),
        record_max_buffered_time: buffered.unwrap_or(default.record_max_buffered_time),
        record_ttl: values.millis(keys::RECORD_TTL).unwrap_or(default.record_ttl),
        fail_if_throttled: values.flag(keys::FAIL_IF_THROTTLED).unwrap_or(default.fail_if_throttled),
        max_user_record_size_bytes: values.count(keys::MAX_USER_RECORD_SIZE),
        max_requests_in_flight: max_requests(values, default.max_requests_in_flight),
        ..default
    }
}

/// The requests at a time: those of the pool, and no more than there are connections.
fn max_requests(values: Values<'_>, default: usize) -> usize {
    let connections = values.count(keys::MAX_CONNECTIONS).unwrap_or(DEFAULT_CONNECTIONS);
    if values.text(keys::THREADING_MODEL) == Some(PER_REQUEST) {
        return connections;
    }
    pool_size(values).unwrap_or(default).min(connections)
}

fn pool_size(values: Values<'_>) -> Option<usize> {
    values.count(keys::THREAD_POOL_SIZE).map(|size| if size == 0 { POOL_OF_SIZE_ZERO } else { size })
}

/// What is understood, but does nothing, or not what its name says.
fn notes(values: Values<'_>) -> Vec<(&'static str, Cow<'static, str>)> {
    let set = table::KEYS.iter().filter_map(|key| Some((key, values.0.get(key.name)?)));
    let allowed = set.filter(|(key, value)| key.kind.allows(value));
    allowed.filter_map(|(key, value)| Some((key.name, note(key, value, values)?))).collect()
}

fn note(key: &Key, value: &str, values: Values<'_>) -> Option<Cow<'static, str>> {
    match key.effect {
        Effect::None(why) => Some(format!("the key has no effect: {why}").into()),
        Effect::NoneUnless(done, _) if value.eq_ignore_ascii_case(done) => None,
        Effect::NoneUnless(_, why) => Some(format!("the key has no effect: {why}").into()),
        Effect::Client(name) => Some(client_note(key, name, values)),
        Effect::Metrics if value == METRICS_LEVELS[0] => None,
        Effect::Metrics => Some("the key has an effect only by way of `MetricsConfig::from_properties`".into()),
        Effect::Renamed(newer) => Some(format!("the key is deprecated, and read as `{newer}`").into()),
        Effect::Read => read_note(key.name, values),
        Effect::Refused(..) => None,
    }
}

fn client_note(key: &Key, name: &str, values: Values<'_>) -> Cow<'static, str> {
    let is_portless = values.text(keys::KINESIS_ENDPOINT).is_none_or(str::is_empty);
    if key.name == keys::KINESIS_PORT && is_portless {
        return format!("the key has no effect without `{}`", keys::KINESIS_ENDPOINT).into();
    }
    if values.0.contains_key(name) {
        return format!("the key has no effect, because `{name}` is set and wins").into();
    }
    format!("the key is the client's; it has an effect only by way of `client_properties`, as `{name}`").into()
}

/// What is to be said of a key that is read.
fn read_note(name: &'static str, values: Values<'_>) -> Option<Cow<'static, str>> {
    let winner = values.winner(name);
    if winner != name {
        return Some(format!("the key has no effect, because `{winner}` is set and wins").into());
    }
    if name != keys::THREAD_POOL_SIZE {
        return None;
    }
    if values.text(keys::THREADING_MODEL) == Some(PER_REQUEST) {
        return Some("the key has no effect with `ThreadingModel` = PER_REQUEST".into());
    }
    let requests = max_requests(values, usize::MAX);
    (pool_size(values)? > requests)
        .then(|| format!("`{}` allows no more than {requests} requests at a time", keys::MAX_CONNECTIONS).into())
}

#[cfg(test)]
mod tests {
    use kinesis_core::aws_config_constants::AWS_ENDPOINT;

    use super::*;

    #[test]
    fn keys_of_the_client_become_its_own() {
        let properties = Properties::from([
            (keys::REGION, "eu-west-2"),
            (keys::KINESIS_ENDPOINT, "localhost"),
            (keys::KINESIS_PORT, "4567"),
            (keys::REQUEST_TIMEOUT, "6001"),
            (keys::CONNECT_TIMEOUT, "99"),
            (keys::RATE_LIMIT, "80"),
            (keys::DEPRECATED_COLLECTION_MAX_COUNT, "5"),
            ("aws.credentials.provider", "AUTO"),
            ("flink.stream.initpos", "LATEST"),
        ]);
        let expected = Properties::from([
            ("aws.credentials.provider", "AUTO"),
            (AWS_ENDPOINT, "https://localhost:4567"),
            ("aws.http-client.read-timeout", "6001"),
            ("aws.region", "eu-west-2"),
        ]);
        assert_eq!(client_properties(&properties), expected, "a time that is too short is left out");
    }

    #[test]
    fn the_clients_own_keys_win() {
        let properties =
            Properties::from([(keys::REGION, "eu-west-2"), (keys::KINESIS_ENDPOINT, ""), ("aws.region", "us-east-1")]);
        assert_eq!(client_properties(&properties), Properties::from([("aws.region", "us-east-1")]));
    }
}
