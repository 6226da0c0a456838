//! What is packed.

use kinesis_core::HashKey;

use crate::tag::Tag;

/// A user record on its way into an aggregate.
///
/// Nothing is checked here: [`AggregateBuilder`](crate::AggregateBuilder) packs any texts,
/// [`RangeAggregator`](crate::RangeAggregator) refuses what the service would.
#[derive(Clone, Copy, Debug)]
pub struct UserRecord<'a> {
    pub(crate) partition_key: &'a str,
    pub(crate) explicit_hash_key: Option<HashKey>,
    pub(crate) data: &'a [u8],
    pub(crate) tags: &'a [Tag],
}

impl<'a> UserRecord<'a> {
    /// Makes a record without explicit hash key and tags.
    pub const fn new(partition_key: &'a str, data: &'a [u8]) -> Self {
        Self { partition_key, explicit_hash_key: None, data, tags: &[] }
    }

    /// Places the record by this hash key instead of the MD5 of its partition key.
    pub const fn explicit_hash_key(mut self, key: HashKey) -> Self {
        self.explicit_hash_key = Some(key);
        self
    }

    /// Attaches tags; none by default.
    pub const fn tags(mut self, tags: &'a [Tag]) -> Self {
        self.tags = tags;
        self
    }

    /// The hash key that counts: the explicit one, else the MD5 of the partition key.
    pub fn hash_key(&self) -> HashKey {
        self.explicit_hash_key.unwrap_or_else(|| HashKey::of_partition_key(self.partition_key))
    }
}
