//! What runs add up to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::account::{Fate, Step};
use crate::play::Played;

/// What a set of runs came to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) seeds: u64,
    virtual_time: Duration,
    /// Nothing where the system does not tell.
    pub(crate) cpu_time: Option<Duration>,
    /// How often each class of faults struck.
    pub(crate) struck: BTreeMap<String, u64>,
    /// How often each fault struck calls of each operation.
    cells: BTreeMap<(String, String), u64>,
    starts: u64,
    rescales: u64,
    children: u64,
    pub(crate) records: u64,
    members: u64,
    checkpoints: u64,
    failures: u64,
    watermarks: u64,
    /// Records of producers, by what became of them: stored, failed, unknown, not accepted.
    produced: [u64; 4],
    pub(crate) violations: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, played: &Played) {
        let account = &played.account;
        let steps = |wanted: fn(&Step) -> bool| account.steps.iter().filter(|step| wanted(step)).count() as u64;
        self.seeds += 1;
        self.virtual_time += played.virtual_time;
        for (class, times) in &played.struck {
            *self.struck.entry(class.clone()).or_default() += times;
        }
        for call in &played.journal.calls {
            if let Some(mark) = &call.fault {
                let cell = (mark.kind().to_owned(), call.operation.as_str().to_owned());
                *self.cells.entry(cell).or_default() += 1;
            }
        }
        self.starts += played.starts;
        self.rescales += played.rescales;
        self.children += account.shards.values().filter(|shard| shard.parent.is_some()).count() as u64;
        self.records += account.truth.len() as u64;
        self.members += account.truth.iter().filter(|item| item.place.1.sub_sequence_number > 0).count() as u64;
        self.checkpoints += account.checkpoints().count() as u64;
        self.failures += steps(|step| matches!(step, Step::Failed { .. }));
        self.watermarks += steps(|step| matches!(step, Step::Reached { .. }));
        for record in &account.produced {
            let index = match record.fate {
                Fate::Stored { .. } => 0,
                Fate::Failed => 1,
                Fate::Unknown { .. } | Fate::Pending => 2,
                Fate::NotAccepted => 3,
            };
            self.produced[index] += 1;
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.virtual_time += other.virtual_time;
        self.cpu_time = match (self.cpu_time, other.cpu_time) {
            (Some(ours), Some(theirs)) => Some(ours + theirs),
            (ours, theirs) => ours.or(theirs),
        };
        for (class, times) in other.struck {
            *self.struck.entry(class).or_default() += times;
        }
        for (cell, times) in other.cells {
            *self.cells.entry(cell).or_default() += times;
        }
        self.starts += other.starts;
        self.rescales += other.rescales;
        self.children += other.children;
        self.records += other.records;
        self.members += other.members;
        self.checkpoints += other.checkpoints;
        self.failures += other.failures;
        self.watermarks += other.watermarks;
        for (sum, more) in self.produced.iter_mut().zip(other.produced) {
            *sum += more;
        }
        self.violations += other.violations;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.virtual_time.as_secs_f64() / 3600.0;
        let [stored, failed, unknown, refused] = self.produced;
        let mut row = |name: &str, value: String| writeln!(f, "{name:<24} {value}");
        row("seeds", self.seeds.to_string())?;
        row("virtual time", format!("{hours:.1} h"))?;
        row("records checked", format!("{} ({} within aggregates)", self.records, self.members))?;
        row("of producers", format!("{stored} stored, {failed} failed, {unknown} unknown, {refused} not accepted"))?;
        row(
            "runs of the job",
            format!("{} ({} rescaled, {} ended by an error)", self.starts, self.rescales, self.failures),
        )?;
        row("shards by resharding", self.children.to_string())?;
        row("checkpoints", self.checkpoints.to_string())?;
        row("watermarks told", self.watermarks.to_string())?;
        if let Some(cpu) = self.cpu_time {
            let each = cpu.as_secs_f64() * 1000.0 / (self.seeds.max(1) as f64);
            row("CPU time", format!("{:.1} s, {each:.0} ms a seed", cpu.as_secs_f64()))?;
        }
        row("violations", self.violations.to_string())?;
        writeln!(f, "\nfaults by class")?;
        for (class, times) in &self.struck {
            writeln!(f, "  {class:<6} {times:>8}")?;
        }
        writeln!(f, "\nfaults by kind and operation")?;
        for ((kind, operation), times) in &self.cells {
            writeln!(f, "  {kind:<26} {operation:<26} {times:>8}")?;
        }
        Ok(())
    }
}
