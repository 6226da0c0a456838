//! How the parts of a plan stand in JSON.

/// A duration as whole milliseconds.
pub(super) mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::faults) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(in crate::faults) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

/// A duration as whole milliseconds, or nothing.
pub(super) mod optional_millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::millis;

    pub(in crate::faults) fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => millis::serialize(duration, to),
            None => to.serialize_none(),
        }
    }

    pub(in crate::faults) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Option::<u64>::deserialize(from).map(|millis| millis.map(Duration::from_millis))
    }
}

/// A name as its text.
pub(super) mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::faults) fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(in crate::faults) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map_err(Error::custom)
    }
}

/// A name as its text, or nothing.
pub(super) mod optional_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::faults) fn serialize<T: Display, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.collect_str(value),
            None => to.serialize_none(),
        }
    }

    pub(in crate::faults) fn deserialize<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        Option::<String>::deserialize(from)?.map(|text| text.parse().map_err(Error::custom)).transpose()
    }
}

/// The operation that a rule is about, `any` where that is every one.
pub(super) mod operation {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::operation::Operation;

    pub(in crate::faults) fn serialize<S: Serializer>(on: &Option<Operation>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(on.map_or("any", Operation::as_str))
    }

    pub(in crate::faults) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Operation>, D::Error> {
        let name = String::deserialize(from)?;
        if name == "any" {
            return Ok(None);
        }
        let found = Operation::ALL.iter().copied().find(|operation| operation.as_str() == name);
        found.map(Some).ok_or_else(|| D::Error::custom(format!("unknown operation `{name}`")))
    }
}
