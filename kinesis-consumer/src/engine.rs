//! The engine: a coordinator, its subtasks, and their checkpoints.

mod barriers;
mod commit;
mod coordinator;
pub(crate) mod messages;
mod startup;
mod streams;
mod subtask;

pub(crate) use coordinator::{Coordinator, Job};
