//! Samples, and what is said about them.

use std::time::Duration;

/// What was measured, one number per repetition.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// A duration in milliseconds.
    pub fn push_ms(&mut self, time: Duration) {
        self.push(time.as_secs_f64() * 1e3);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest sample that at least this share of all samples does not exceed (nearest rank);
    /// not a number without samples.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank among some hundred samples"
        )]
        let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
        sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    pub fn p99(&self) -> f64 {
        self.quantile(0.99)
    }

    pub fn max(&self) -> f64 {
        self.quantile(1.0)
    }
}

/// What is printed, and which budgets were missed.
#[derive(Debug, Default)]
pub struct Report {
    missed: bool,
}

impl Report {
    /// Whether a budget was missed.
    pub fn missed(&self) -> bool {
        self.missed
    }

    /// How it is measured.
    pub fn note(&self, text: &str) {
        println!("# {text}");
    }

    /// A figure.
    pub fn figure(&self, name: &str, value: f64, unit: &str) {
        println!("{name:<58} {} {unit}", number(value));
    }

    /// Median, p99 and maximum.
    pub fn spread(&self, name: &str, samples: &Samples, unit: &str) {
        let (median, p99, max) = (samples.median(), samples.p99(), samples.max());
        println!(
            "{name:<58} median {} p99 {} max {} {unit} ({} samples)",
            number(median),
            number(p99),
            number(max),
            samples.len()
        );
    }

    /// A figure that must not be below `least`.
    pub fn at_least(&mut self, name: &str, value: f64, least: f64, unit: &str) {
        self.verdict(
            name,
            value,
            value >= least,
            &format!("at least {}", number(least)),
            unit,
        );
    }

    /// A figure that must not be above `most`.
    pub fn at_most(&mut self, name: &str, value: f64, most: f64, unit: &str) {
        self.verdict(
            name,
            value,
            value <= most,
            &format!("at most {}", number(most)),
            unit,
        );
    }

    fn verdict(&mut self, name: &str, value: f64, reached: bool, bound: &str, unit: &str) {
        self.missed |= !reached;
        let word = if reached { "reached" } else { "MISSED" };
        println!(
            "{name:<58} {} {unit} [budget: {bound}: {word}]",
            number(value)
        );
    }
}

/// Three significant digits below a hundred, whole numbers with separators above.
fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => {
            let digits = format!("{value:.0}");
            let (sign, digits) = digits
                .strip_prefix('-')
                .map_or(("", digits.as_str()), |rest| ("-", rest));
            let mut text = String::new();
            for (place, digit) in digits.chars().enumerate() {
                if place > 0 && (digits.len() - place) % 3 == 0 {
                    text.push(',');
                }
                text.push(digit);
            }
            format!("{sign}{text}")
        }
        middle if middle >= 10.0 => format!("{value:.1}"),
        small if small >= 1.0 || small == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// How many per second.
#[expect(clippy::cast_precision_loss, reason = "counts of a measurement")]
pub fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "counts of a measurement")]
pub fn count(value: impl TryInto<u64>) -> f64 {
    value.try_into().map_or(f64::NAN, |value| value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples_by_nearest_rank() {
        let mut samples = Samples::default();
        for value in (1..=200).rev() {
            samples.push(f64::from(value));
        }
        assert_eq!(
            (samples.median(), samples.p99(), samples.max()),
            (100.0, 198.0, 200.0)
        );
        assert!(Samples::default().median().is_nan());
    }

    #[test]
    fn a_missed_budget_is_remembered() {
        let mut report = Report::default();
        report.at_least("a", 2.0, 1.0, "");
        report.at_most("b", 1.0, 1.0, "");
        assert!(!report.missed());
        report.at_most("c", f64::NAN, 1.0, "");
        report.at_least("d", 2.0, 1.0, "");
        assert!(report.missed());
    }

    #[test]
    fn numbers_are_readable() {
        let shown = [0.0, 0.1234, 1.5, 12.34, 123.4, 1_234_567.0].map(number);
        assert_eq!(shown, ["0.00", "0.123", "1.50", "12.3", "123", "1,234,567"]);
    }
}
