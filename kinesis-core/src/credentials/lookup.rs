//! Named settings of the process: its environment and its system properties, both replaceable.

use crate::system_properties;

/// Where settings are looked up by name; blank values count as absent, as in the AWS SDKs.
#[derive(Clone, Debug)]
pub(crate) enum Lookup {
    Environment,
    SystemProperties,
    #[cfg(test)]
    Fixed(Vec<(&'static str, &'static str)>),
}

impl Lookup {
    #[cfg(test)]
    pub(crate) fn of<const N: usize>(pairs: [(&'static str, &'static str); N]) -> Self {
        Self::Fixed(pairs.into())
    }

    /// The value of a name, without the white space around it.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let value = match self {
            Self::Environment => std::env::var(name).ok(),
            Self::SystemProperties => system_properties::get(name),
            #[cfg(test)]
            Self::Fixed(pairs) => pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
        };
        value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The value of the first of some names that has one.
    pub(crate) fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.get(name))
    }
}
