//! The sink against a fake Kinesis, under virtual time.

#[cfg(test)]
mod building;
#[cfg(test)]
mod checkpoints;
#[cfg(test)]
mod dead_letters;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod support;
#[cfg(test)]
mod writing;
