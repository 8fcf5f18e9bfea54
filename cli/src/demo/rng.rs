//! Repeatable chance and arithmetic for the demo.
//!
//! The demo's files must have the same bytes on every run and every machine, so that its digests can be written down.
//! `SplitMix64` is used because it is ten lines, has no state but one `u64`, and its output is fixed by its paper; a crate's
//! generator may change its stream between versions. `sin`, `exp` and `ln` of the platform's C library differ in their last
//! bit, so that nothing here uses more than `+ - * /`, `sqrt`, `floor` and `round`, which IEEE 754 fixes exactly.
//! None of this is for cryptography.

/// A small deterministic generator (Steele, Lea and Flood 2014).
#[derive(Debug, Clone)]
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    /// The stream of one part (a trial, a row, a layer) of the demo, independent of how many parts come before it.
    pub(crate) fn new(seed: u64, part: usize) -> Self {
        let part = u64::try_from(part).unwrap_or(u64::MAX);
        let mut mixed = Self(seed ^ part.wrapping_mul(0xd134_2543_de82_ef95));
        Self(mixed.next())
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`, in steps of 2^-32.
    pub(crate) fn unit(&mut self) -> f64 {
        let high = u32::try_from(self.next() >> 32).unwrap_or(0);
        f64::from(high) / 4_294_967_296.0
    }

    /// Uniform in `[low, high)`.
    pub(crate) fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Nearly normal, mean 0 and deviation 1: twelve uniforms less six, which needs no logarithm.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).fold(-6.0, |sum, _| sum + self.unit())
    }
}

/// A count as a real number; every count of the demo is far below 2^32.
pub(crate) fn real(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The nearest grey value.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=255 and rounded; a NaN becomes 0"
)]
pub(crate) fn grey(value: f64) -> u8 {
    value.clamp(0.0, 255.0).round() as u8
}

/// The nearest symmetric 8-bit weight.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "clamped to -127..=127 and rounded; a NaN becomes 0"
)]
pub(crate) fn signed_byte(value: f64) -> i8 {
    value.clamp(-127.0, 127.0).round() as i8
}

/// The nearest single-precision number.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "rounding to single precision is the purpose"
)]
pub(crate) fn single(value: f64) -> f32 {
    value as f32
}

/// A sine-like wave with period 1 and range -1..=1, made of two parabolas.
pub(crate) fn wave(turns: f64) -> f64 {
    let x = turns - turns.floor();
    if x < 0.5 { 16.0 * x * (0.5 - x) } else { -16.0 * (x - 0.5) * (1.0 - x) }
}

/// `e^x` for `|x| <= 30`: a short series at `x / 256`, squared eight times.
pub(crate) fn exp(x: f64) -> f64 {
    let y = x.clamp(-30.0, 30.0) / 256.0;
    let mut power = 1.0 + y * (1.0 + y / 2.0 * (1.0 + y / 3.0 * (1.0 + y / 4.0 * (1.0 + y / 5.0))));
    for _ in 0..8 {
        power *= power;
    }
    power
}

/// The mean; 0 of nothing.
pub(crate) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / real(values.len()) }
}

/// The standard deviation; 0 of nothing.
pub(crate) fn deviation(values: &[f64]) -> f64 {
    let middle = mean(values);
    let squares: Vec<f64> = values.iter().map(|v| (v - middle) * (v - middle)).collect();
    mean(&squares).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_published_one() {
        // First outputs of SplitMix64 for the seed 1234567, as in the reference implementation's test vectors.
        let mut rng = SplitMix64(1_234_567);
        assert_eq!([rng.next(), rng.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn chance_has_the_stated_moments() {
        let mut rng = SplitMix64::new(1, 2);
        let draws: Vec<f64> = (0..20_000).map(|_| rng.normal()).collect();
        assert!(mean(&draws).abs() < 0.03, "{}", mean(&draws));
        assert!((deviation(&draws) - 1.0).abs() < 0.03, "{}", deviation(&draws));
        assert!((0..1000).map(|_| rng.unit()).all(|u| (0.0..1.0).contains(&u)));
    }

    #[test]
    fn exp_is_close_to_the_library() {
        for tenth in -100..=100 {
            let x = f64::from(tenth) / 10.0;
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-6, "{x}");
        }
    }

    #[test]
    fn conversions_clamp() {
        assert_eq!([grey(-3.0), grey(12.6), grey(999.0), grey(f64::NAN)], [0, 13, 255, 0]);
        assert_eq!([signed_byte(-999.0), signed_byte(1.5), signed_byte(999.0)], [-127, 2, 127]);
    }
}
