//! Keys that mean the same in both generations of the reference connector.

use std::time::Duration;

use crate::config::consumer_config_constants as keys;
use crate::config::notes::Notes;
use crate::config::reader::Reader;
use crate::config::source_config_constants as source;
use crate::properties::Properties;

/// The older and the newer key of one setting. The older one wins: its default is the one that holds here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) older: &'static str,
    pub(super) newer: &'static str,
}

const fn setting(older: &'static str, newer: &'static str) -> Setting {
    Setting { older, newer }
}

pub(super) const POSITION: Setting = setting(keys::STREAM_INITIAL_POSITION, source::STREAM_INITIAL_POSITION);
pub(super) const TIMESTAMP: Setting = setting(keys::STREAM_INITIAL_TIMESTAMP, source::STREAM_INITIAL_TIMESTAMP);
pub(super) const TIMESTAMP_FORMAT: Setting =
    setting(keys::STREAM_TIMESTAMP_DATE_FORMAT, source::STREAM_TIMESTAMP_DATE_FORMAT);
pub(super) const DISCOVERY_INTERVAL: Setting =
    setting(keys::SHARD_DISCOVERY_INTERVAL_MILLIS, source::SHARD_DISCOVERY_INTERVAL);
pub(super) const GET_RECORDS_MAX: Setting = setting(keys::SHARD_GETRECORDS_MAX, source::SHARD_GET_RECORDS_MAX);
pub(super) const PUBLISHER: Setting = setting(keys::RECORD_PUBLISHER_TYPE, source::READER_TYPE);
pub(super) const FAN_OUT_NAME: Setting = setting(keys::EFO_CONSUMER_NAME, source::EFO_CONSUMER_NAME);
pub(super) const FAN_OUT_REGISTRATION: Setting = setting(keys::EFO_REGISTRATION_TYPE, source::EFO_CONSUMER_LIFECYCLE);
pub(super) const SUBSCRIBE_TIMEOUT: Setting =
    setting(keys::SUBSCRIBE_TO_SHARD_TIMEOUT_SECONDS, source::EFO_CONSUMER_SUBSCRIPTION_TIMEOUT);
pub(super) const DEREGISTER_TIMEOUT: Setting =
    setting(keys::DEREGISTER_STREAM_TIMEOUT_SECONDS, source::EFO_DEREGISTER_CONSUMER_TIMEOUT);
const DESCRIBE_CONSUMER_BASE: Setting =
    setting(keys::DESCRIBE_STREAM_CONSUMER_BACKOFF_BASE, source::EFO_DESCRIBE_CONSUMER_RETRY_STRATEGY_MIN_DELAY_OPTION);
const DESCRIBE_CONSUMER_MAX: Setting =
    setting(keys::DESCRIBE_STREAM_CONSUMER_BACKOFF_MAX, source::EFO_DESCRIBE_CONSUMER_RETRY_STRATEGY_MAX_DELAY_OPTION);
const DESCRIBE_CONSUMER_RETRIES: Setting =
    setting(keys::DESCRIBE_STREAM_CONSUMER_RETRIES, source::EFO_DESCRIBE_CONSUMER_RETRY_STRATEGY_MAX_ATTEMPTS_OPTION);

/// All of them; the table of the documentation has the same rows.
pub(super) const SETTINGS: [Setting; 13] = [
    POSITION,
    TIMESTAMP,
    TIMESTAMP_FORMAT,
    DISCOVERY_INTERVAL,
    GET_RECORDS_MAX,
    PUBLISHER,
    FAN_OUT_NAME,
    FAN_OUT_REGISTRATION,
    SUBSCRIBE_TIMEOUT,
    DEREGISTER_TIMEOUT,
    DESCRIBE_CONSUMER_BASE,
    DESCRIBE_CONSUMER_MAX,
    DESCRIBE_CONSUMER_RETRIES,
];

impl Setting {
    /// The key that is set and wins; the older one where none is.
    pub(super) fn key(self, properties: &Properties) -> &'static str {
        let is_newer = !properties.contains_key(self.older) && properties.contains_key(self.newer);
        if is_newer { self.newer } else { self.older }
    }

    pub(super) fn text(self, reader: Reader<'_>) -> Option<&str> {
        reader.text(self.key(reader.0))
    }

    /// A setting in milliseconds, or a duration of the newer key.
    pub(super) fn millis(self, reader: Reader<'_>) -> Option<Duration> {
        if self.key(reader.0) == self.newer { reader.span(self.newer) } else { reader.millis(self.older) }
    }

    /// A setting in seconds, or a duration of the newer key.
    pub(super) fn seconds(self, reader: Reader<'_>) -> Option<Duration> {
        if self.key(reader.0) == self.newer { reader.span(self.newer) } else { reader.seconds(self.older) }
    }
}

/// Notes the newer keys that lose to the older ones.
pub(super) fn note_losers(properties: &Properties, notes: &mut Notes) {
    for Setting { older, newer } in SETTINGS {
        if properties.contains_key(older) && properties.contains_key(newer) {
            notes.add(newer, format!("the key has no effect, because `{older}` is set and wins"));
        }
    }
}
