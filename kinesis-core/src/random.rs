//! One seeded generator, split by name.

/// A source of seeded randomness that hands out independent generators by name.
///
/// A draw in one stream does not change what another yields, so that adding a draw in one place keeps the rest of a
/// replay as it was. For jitter and for tests; not for secrets.
#[derive(Clone, Debug)]
pub struct Randomness {
    seed: u64,
}

impl Randomness {
    /// Makes a source that repeats itself for the same seed.
    pub const fn from_seed(seed: u64) -> Self {
        Self { seed }
    }

    /// Makes a source with a seed of the operating system's.
    pub fn from_entropy() -> Self {
        Self { seed: fastrand::Rng::new().u64(..) }
    }

    /// The seed, for a message that lets a run be repeated.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The generator of the stream `name`, at its beginning.
    pub fn stream(&self, name: &str) -> RandomStream {
        // FNV-1a: stable across releases and platforms, which the standard hasher does not promise.
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        RandomStream(fastrand::Rng::with_seed(self.seed ^ hash))
    }
}

/// One named generator of a [`Randomness`].
#[derive(Clone, Debug)]
pub struct RandomStream(fastrand::Rng);

impl RandomStream {
    /// A number from `0.0`, included, to `1.0`, excluded.
    pub fn fraction(&mut self) -> f64 {
        self.0.f64()
    }

    /// A number below `limit`; zero where the limit is zero.
    pub fn below(&mut self, limit: u64) -> u64 {
        if limit == 0 { 0 } else { self.0.u64(..limit) }
    }

    /// Any 64-bit number.
    pub fn next_u64(&mut self) -> u64 {
        self.0.u64(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_do_not_disturb_each_other() {
        let source = Randomness::from_seed(7);
        let first: Vec<_> = std::iter::repeat_with({
            let mut stream = source.stream("jitter");
            move || stream.next_u64()
        })
        .take(3)
        .collect();
        let mut other = source.stream("fault");
        let mut again = source.stream("jitter");
        let second: Vec<_> = (0..3)
            .map(|_| {
                other.next_u64();
                again.next_u64()
            })
            .collect();
        assert_eq!(first, second);
        assert_ne!(source.stream("fault").next_u64(), first[0]);
    }
}
