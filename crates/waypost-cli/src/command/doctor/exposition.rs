//! Prometheus' text format, as far as figures are looked up in it.

/// What a server measures.
#[derive(Debug)]
pub(super) struct Exposition {
    text: String,
}

/// One line: the labels as they are written, and the value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample<'a> {
    labels: &'a str,
    pub(super) value: f64,
}

impl Exposition {
    pub(super) fn new(text: String) -> Self {
        Self { text }
    }

    /// Gives every line of that name.
    pub(super) fn samples<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Sample<'a>> {
        self.text.lines().filter_map(move |line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = match rest.strip_prefix('{') {
                // Label values may hold a brace, numbers none.
                Some(labelled) => labelled.rsplit_once('}')?,
                None if rest.starts_with(' ') => ("", rest),
                None => return None,
            };
            let value = value.split_whitespace().next()?.parse().ok()?;
            Some(Sample { labels, value })
        })
    }

    /// Gives the value of a metric without labels; nothing where the server does not have it.
    pub(super) fn value(&self, name: &str) -> Option<f64> {
        self.samples(name).next().map(|sample| sample.value)
    }

    /// Gives the seconds within which that share of what a histogram counted lies; nothing before the first.
    pub(super) fn quantile(&self, histogram: &str, share: f64) -> Option<Quantile> {
        let name = format!("{histogram}_bucket");
        let mut buckets: Vec<(f64, f64)> = self
            .samples(&name)
            .filter_map(|sample| Some((sample.label("le")?.parse().ok()?, sample.value)))
            .collect();
        buckets.sort_by(|left, right| left.0.total_cmp(&right.0));
        quantile(&buckets, share)
    }
}

impl<'a> Sample<'a> {
    /// Gives the value of a label that has nothing to escape.
    pub(super) fn label(&self, name: &str) -> Option<&'a str> {
        let mut rest = self.labels;
        while let Some((found, after)) = rest.split_once("=\"") {
            let (value, behind) = after.split_once('"')?;
            if found.trim_start_matches(',').trim() == name {
                return Some(value);
            }
            rest = behind;
        }
        None
    }
}

/// Where a share of what was counted ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Quantile {
    /// About there.
    At(f64),
    /// Beyond the last bound that the histogram has.
    Beyond(f64),
}

impl Quantile {
    /// Gives the seconds, or the bound that they are beyond.
    pub(super) fn seconds(self) -> f64 {
        match self {
            Self::At(seconds) | Self::Beyond(seconds) => seconds,
        }
    }
}

impl std::fmt::Display for Quantile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let beyond = if matches!(self, Self::Beyond(_)) {
            "more than "
        } else {
            ""
        };
        let milliseconds = (self.seconds() * 100_000.0).round() / 100.0;
        write!(formatter, "{beyond}{milliseconds} ms")
    }
}

/// Finds the bucket and draws a line through it, as Prometheus does. Buckets are cumulative, by their upper bound.
fn quantile(buckets: &[(f64, f64)], share: f64) -> Option<Quantile> {
    let total = buckets.last().map(|(_, count)| *count)?;
    if total <= 0.0 {
        return None;
    }
    let rank = total * share;
    let (mut lower, mut below) = (0.0, 0.0);
    for (upper, count) in buckets {
        if *count >= rank && *count > below {
            if upper.is_infinite() {
                return Some(Quantile::Beyond(lower));
            }
            let place = (rank - below) / (count - below);
            return Some(Quantile::At(lower + (upper - lower) * place));
        }
        (lower, below) = (*upper, *count);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(text: &str) -> Exposition {
        Exposition::new(text.to_owned())
    }

    #[test]
    fn a_figure_is_found_by_its_whole_name() {
        let figures = figures(
            "# HELP waypost_a x\nwaypost_a_b 1\nwaypost_a 2.5\n\
             waypost_r{reason=\"rate\",route=\"/{a}\"} 3 1700000000\nwaypost_r{reason=\"\"} 0\n",
        );
        assert_eq!(figures.value("waypost_a"), Some(2.5));
        assert_eq!(figures.value("waypost"), None);
        let refused: Vec<_> = figures.samples("waypost_r").collect();
        let shown = |sample: &Sample<'_>| (sample.label("reason").map(str::to_owned), sample.value);
        let shown: Vec<_> = refused.iter().map(shown).collect();
        assert_eq!(
            shown,
            [(Some("rate".to_owned()), 3.0), (Some(String::new()), 0.0)]
        );
        assert_eq!(refused[0].label("route"), Some("/{a}"));
        assert_eq!(refused[0].label("code"), None);
    }

    #[test]
    fn quantiles_lie_where_prometheus_draws_them() {
        let figures = figures(
            "d_bucket{le=\"0.01\"} 50\nd_bucket{le=\"0.1\"} 90\nd_bucket{le=\"+Inf\"} 100\nd_count 100\n\
             e_bucket{le=\"0.01\"} 0\ne_bucket{le=\"+Inf\"} 0\n",
        );
        assert_eq!(figures.quantile("d", 0.25), Some(Quantile::At(0.005)));
        let Some(Quantile::At(seconds)) = figures.quantile("d", 0.7) else {
            panic!("it lies within a bound");
        };
        assert!((seconds - 0.055).abs() < 1e-9, "{seconds}");
        assert_eq!(figures.quantile("d", 0.99), Some(Quantile::Beyond(0.1)));
        assert_eq!(figures.quantile("e", 0.5), None);
        assert_eq!(figures.quantile("f", 0.5), None);
        assert_eq!(Quantile::Beyond(0.1).to_string(), "more than 100 ms");
    }
}
