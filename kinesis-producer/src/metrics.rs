//! Metrics: those of the KPL, through the `metrics` facade and, with feature `cloudwatch`, to CloudWatch.
//!
//! The pipeline says what happens (its `measure`); here is what that is called, and where it goes.

#[cfg(feature = "cloudwatch")]
pub(crate) mod cloudwatch;
mod config;
mod dimensions;
mod meter;
mod metric;
mod reporting;
mod series;

pub use self::config::{MetricsConfig, MetricsGranularity, MetricsLevel};
pub(crate) use self::meter::{Meter, Place};
pub(crate) use self::metric::Metric;
pub(crate) use self::reporting::{MetricsSetup, Reporting};
