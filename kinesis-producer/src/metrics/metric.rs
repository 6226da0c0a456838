//! The metrics by name.

use super::config::MetricsLevel;

/// What a value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Count,
    Bytes,
    Milliseconds,
}

/// What a metric is to the facade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A metric of the KPL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metric {
    UserRecordsReceived,
    UserRecordsPending,
    UserRecordsPut,
    UserRecordsDataPut,
    KinesisRecordsPut,
    KinesisRecordsDataPut,
    ErrorsByCode,
    AllErrors,
    RetriesPerRecord,
    UserRecordExpired,
    BufferingTime,
    RequestTime,
    UserRecordsPerKinesisRecord,
    KinesisRecordsPerPutRecordsRequest,
    UserRecordsPerPutRecordsRequest,
}

/// What is known of a metric.
#[derive(Debug)]
pub(crate) struct Definition {
    /// Its name in CloudWatch, the KPL's.
    #[cfg_attr(not(feature = "cloudwatch"), expect(dead_code, reason = "the name is CloudWatch's alone"))]
    pub(crate) name: &'static str,
    /// Its name through the facade.
    pub(crate) key: &'static str,
    pub(crate) level: MetricsLevel,
    pub(crate) unit: Unit,
    pub(crate) kind: Kind,
    pub(crate) description: &'static str,
}

impl Metric {
    pub(crate) const ALL: [Self; 15] = [
        Self::UserRecordsReceived,
        Self::UserRecordsPending,
        Self::UserRecordsPut,
        Self::UserRecordsDataPut,
        Self::KinesisRecordsPut,
        Self::KinesisRecordsDataPut,
        Self::ErrorsByCode,
        Self::AllErrors,
        Self::RetriesPerRecord,
        Self::UserRecordExpired,
        Self::BufferingTime,
        Self::RequestTime,
        Self::UserRecordsPerKinesisRecord,
        Self::KinesisRecordsPerPutRecordsRequest,
        Self::UserRecordsPerPutRecordsRequest,
    ];

    pub(crate) const fn definition(self) -> &'static Definition {
        &DEFINITIONS[self as usize]
    }
}

const fn define(
    name: &'static str,
    key: &'static str,
    level: MetricsLevel,
    unit: Unit,
    kind: Kind,
    description: &'static str,
) -> Definition {
    Definition { name, key, level, unit, kind, description }
}

/// In the order of [`Metric`].
static DEFINITIONS: [Definition; Metric::ALL.len()] = {
    use Kind::{Counter, Gauge, Histogram};
    use MetricsLevel::{Detailed, Summary};
    use Unit::{Bytes, Count, Milliseconds};
    [
        define(
            "UserRecordsReceived",
            "kinesis_producer_user_records_received",
            Detailed,
            Count,
            Counter,
            "Records accepted",
        ),
        define(
            "UserRecordsPending",
            "kinesis_producer_user_records_pending",
            Detailed,
            Count,
            Gauge,
            "Records without an outcome",
        ),
        define(
            "UserRecordsPut",
            "kinesis_producer_user_records_put",
            Summary,
            Count,
            Counter,
            "Records stored for certain",
        ),
        define(
            "UserRecordsDataPut",
            "kinesis_producer_user_records_data_put_bytes",
            Detailed,
            Bytes,
            Counter,
            "Data of the records stored for certain",
        ),
        define(
            "KinesisRecordsPut",
            "kinesis_producer_kinesis_records_put",
            Summary,
            Count,
            Counter,
            "Kinesis records that the service acknowledged, by the shard that they were meant for",
        ),
        define(
            "KinesisRecordsDataPut",
            "kinesis_producer_kinesis_records_data_put_bytes",
            Detailed,
            Bytes,
            Counter,
            "Data of the Kinesis records that the service acknowledged",
        ),
        define(
            "ErrorsByCode",
            "kinesis_producer_errors_by_code",
            Summary,
            Count,
            Counter,
            "Failed entries and failed requests, by error code",
        ),
        define(
            "AllErrors",
            "kinesis_producer_all_errors",
            Summary,
            Count,
            Counter,
            "Failed entries and failed requests",
        ),
        define(
            "RetriesPerRecord",
            "kinesis_producer_retries_per_record",
            Detailed,
            Count,
            Histogram,
            "Attempts of a record besides the first, once it has its outcome",
        ),
        define(
            "UserRecordExpired",
            "kinesis_producer_user_record_expired",
            Summary,
            Count,
            Counter,
            "Records given up because their time was up",
        ),
        define(
            "BufferingTime",
            "kinesis_producer_buffering_time_ms",
            Summary,
            Milliseconds,
            Histogram,
            "Time of a record before each of its attempts",
        ),
        define(
            "RequestTime",
            "kinesis_producer_request_time_ms",
            Detailed,
            Milliseconds,
            Histogram,
            "Time of a PutRecords request",
        ),
        define(
            "UserRecordsPerKinesisRecord",
            "kinesis_producer_user_records_per_kinesis_record",
            Detailed,
            Count,
            Histogram,
            "User records in a Kinesis record that was sent",
        ),
        define(
            "KinesisRecordsPerPutRecordsRequest",
            "kinesis_producer_kinesis_records_per_put_records_request",
            Detailed,
            Count,
            Histogram,
            "Kinesis records in a PutRecords request",
        ),
        define(
            "UserRecordsPerPutRecordsRequest",
            "kinesis_producer_user_records_per_put_records_request",
            Detailed,
            Count,
            Histogram,
            "User records in a PutRecords request",
        ),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_stand_in_the_order_of_their_metrics() {
        for (index, metric) in Metric::ALL.into_iter().enumerate() {
            assert_eq!(metric as usize, index);
            let snake: String = format!("{metric:?}")
                .chars()
                .flat_map(|letter| letter.is_uppercase().then_some('_').into_iter().chain(letter.to_lowercase()))
                .collect();
            let key = metric.definition().key;
            assert!(key.starts_with(&format!("kinesis_producer{snake}")), "{key} for {metric:?}");
        }
    }

    #[cfg(feature = "cloudwatch")]
    #[test]
    fn names_are_the_kpls() {
        for metric in Metric::ALL {
            assert_eq!(metric.definition().name, format!("{metric:?}"));
        }
    }

    #[test]
    fn levels_are_the_kpls() {
        let summary: Vec<_> =
            Metric::ALL.into_iter().filter(|metric| metric.definition().level == MetricsLevel::Summary).collect();
        assert_eq!(
            summary,
            [
                Metric::UserRecordsPut,
                Metric::KinesisRecordsPut,
                Metric::ErrorsByCode,
                Metric::AllErrors,
                Metric::UserRecordExpired,
                Metric::BufferingTime,
            ]
        );
    }
}
