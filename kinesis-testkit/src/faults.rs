//! Faults: what goes wrong, and when.

mod aggregate;
mod credentials;
mod entries;
mod errors;
mod events;
mod fault;
mod generate;
mod json;
mod operator;
mod plan;
mod rule;
mod rules;
mod skew;

pub use aggregate::{Corruption, corrupt_aggregate};
pub use credentials::FakeCredentials;
pub(crate) use entries::EntryFault;
pub use entries::{Entries, EntryFaults};
pub use events::EventFault;
pub(crate) use events::EventFaults;
pub use fault::{Fault, FaultPoint, Unanswered};
pub use generate::{FaultClass, PlanShape};
pub use operator::OperatorEvent;
pub use plan::{FaultPlan, ReadPlanError};
pub use rule::{FaultHandle, FaultRule};
pub(crate) use rules::{BodyShape, CallFacts, FaultRules, Strike};
pub use skew::ClockSkew;
pub(crate) use skew::{amazon_date, parse_amazon_date, refuse_signature};
