//! What a user of the fake sees, through the SDK's own client.

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod cbor;
#[cfg(test)]
mod edges;
#[cfg(test)]
mod fan_out;
#[cfg(test)]
mod fan_out_events;
#[cfg(test)]
mod fan_out_faults;
#[cfg(test)]
mod fan_out_protocols;
#[cfg(test)]
mod fan_out_server;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod faults_bodies;
#[cfg(test)]
mod faults_classes;
#[cfg(test)]
mod faults_credentials;
#[cfg(test)]
mod faults_delivery;
#[cfg(test)]
mod faults_operator;
#[cfg(test)]
mod journal;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod listing;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod permissions;
#[cfg(test)]
mod protocols;
#[cfg(test)]
mod quotas;
#[cfg(test)]
mod raw;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod resharding;
#[cfg(test)]
mod resources;
#[cfg(test)]
mod server;
#[cfg(test)]
mod serving;
#[cfg(test)]
mod signatures;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod support;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod time;
#[cfg(test)]
mod writing;
