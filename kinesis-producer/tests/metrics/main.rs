//! The metrics of a producer: what is emitted, by which rule, and what CloudWatch is sent.

#[cfg(test)]
mod emission;
#[cfg(feature = "cloudwatch")]
#[cfg(test)]
mod endpoint;
#[cfg(test)]
mod recorder;
#[cfg(test)]
mod selection;
#[cfg(test)]
mod support;
#[cfg(feature = "cloudwatch")]
#[cfg(test)]
mod upload;
