//! The engine: a coordinator, its subtasks, and their checkpoints.

mod barriers;
mod commit;
mod coordinator;
pub(crate) mod intake;
pub(crate) mod messages;
pub(crate) mod refusals;
mod startup;
mod streams;
mod subtask;

pub(crate) use coordinator::{Coordinator, Crew, Job};
pub(crate) use subtask::{Subtask, SubtaskShared};
