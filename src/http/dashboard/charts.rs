//! Charts of the recent past, and what each of them says in words.

use maud::html;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    axes,
    canvas::{self, Failure, Frame, Scale, curve},
    series, words,
};
use crate::domain::history::{History, Sample};

/// What a chart is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Chart {
    /// Whether the Client System could be reached.
    Link,
    /// Readings that waited.
    Queue,
    /// Readings uploaded in a time.
    Rate,
    /// How long the oldest reading had waited.
    Age,
}

impl Chart {
    pub(super) const ALL: [Self; 4] = [Self::Link, Self::Queue, Self::Rate, Self::Age];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Queue => "queue",
            Self::Rate => "rate",
            Self::Age => "age",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Link => "Connectivity",
            Self::Queue => "Readings waiting",
            Self::Rate => "Upload rate",
            Self::Age => "Oldest waiting reading",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|chart| chart.name() == name)
    }
}

/// A chart and what it says.
pub(super) struct Drawn {
    pub(super) svg: String,
    pub(super) summary: String,
}

/// Draws a chart.
///
/// # Errors
/// When the library cannot draw it.
pub(super) fn draw(chart: Chart, history: &History, frame: Frame) -> Result<Drawn, Failure> {
    let summary = summary(chart, history, frame)
        .unwrap_or_else(|| "nothing is known of this time yet".to_owned());
    let svg = match chart {
        Chart::Link => canvas::band(history, frame)?,
        Chart::Queue => {
            let highest = highest(history, |sample| series::seconds(sample.pending));
            let scale = Scale::of(highest, axes::count_step(highest), &words::shortly);
            curve(history, frame, &scale, |sample| {
                series::seconds(sample.pending)
            })?
        }
        Chart::Rate => {
            let unit = RateUnit::of(history);
            let value = |sample: &Sample| series::rate(history, sample) * unit.seconds();
            let highest = highest(history, value);
            let label = |value: f64| unit.label(value);
            curve(
                history,
                frame,
                &Scale::of(highest, axes::count_step(highest), &label),
                value,
            )?
        }
        Chart::Age => {
            let highest = highest(history, age);
            let step = axes::age_step(highest);
            let label = |seconds: f64| axes::age_label(seconds, step);
            curve(history, frame, &Scale::of(highest, step, &label), age)?
        }
    };
    let svg = described(&canvas::painted(&svg), chart, &summary);
    Ok(Drawn { svg, summary })
}

fn summary(chart: Chart, history: &History, frame: Frame) -> Option<String> {
    let Frame { hours, wall, .. } = frame;
    match chart {
        Chart::Link => series::link_in_words(history),
        Chart::Queue => {
            let tell = |value| words::count(words::whole(value));
            series::last_and_highest(
                history,
                hours,
                wall,
                |sample| series::seconds(sample.pending),
                tell,
            )
        }
        Chart::Rate => {
            let all = history.samples.iter().map(|sample| sample.uploaded).sum();
            let unit = RateUnit::of(history);
            let value = |sample: &Sample| series::rate(history, sample) * unit.seconds();
            let tell = |value| unit.tell(value);
            let words = series::last_and_highest(history, hours, wall, value, tell)?;
            Some(format!("{words}; {} in all", words::count(all)))
        }
        Chart::Age => {
            let tell = |value| words::lasting(words::whole(value));
            series::last_and_highest(history, hours, wall, age, tell)
        }
    }
}

fn age(sample: &Sample) -> f64 {
    series::seconds(sample.oldest_pending_age_s.unwrap_or_default())
}

fn highest(history: &History, value: impl Fn(&Sample) -> f64) -> f64 {
    history.samples.iter().map(value).fold(0.0, f64::max)
}

/// The unit in which rates have no fractions worth telling.
#[derive(Clone, Copy)]
enum RateUnit {
    Second,
    Minute,
}

impl RateUnit {
    fn of(history: &History) -> Self {
        if highest(history, |sample| series::rate(history, sample)) >= 10.0 {
            Self::Second
        } else {
            Self::Minute
        }
    }

    fn seconds(self) -> f64 {
        match self {
            Self::Second => 1.0,
            Self::Minute => 60.0,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "min",
        }
    }

    fn label(self, value: f64) -> String {
        format!("{}/{}", words::shortly(value), self.name())
    }

    fn tell(self, value: f64) -> String {
        format!(
            "{} per {}",
            words::count(words::whole(value.round())),
            self.name()
        )
    }
}

/// Names a drawing and says what it shows, for whoever does not see it.
fn described(svg: &str, chart: Chart, summary: &str) -> String {
    let words = html! { desc { (summary) } }.into_string();
    let title = chart.title();
    match svg.trim_end().split_once('>') {
        Some((head, rest)) => {
            format!(
                "{head} font-family=\"sans-serif\" font-size=\"12\" role=\"img\" aria-label=\"{title}: {}\">{words}{rest}",
                summary
            )
        }
        None => svg.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::timestamp::Timestamp, http::dashboard::axes::Wall};
    use chrono::{DateTime, TimeDelta};

    fn frame(hours: u32) -> Frame {
        Frame {
            hours,
            width: 640,
            wall: Wall { offset_minutes: 0 },
        }
    }

    /// A day in which no two samples are alike.
    fn restless() -> History {
        let at = |minutes: i64| Timestamp(DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes));
        let samples = (0..720_u32).map(|number| Sample {
            at: at(i64::from(number) * 2),
            pending: u64::from(number * 7_919 % 1_000_003),
            oldest_pending_age_s: Some(u64::from(number * 31 % 997)),
            uploaded: u64::from(number * 7_919 % 10_007),
            offline_s: u64::from(number % 7 / 6 * 60),
        });
        History {
            from: at(0),
            to: at(1_440),
            step_s: 120,
            samples: samples.collect(),
        }
    }

    #[test]
    fn a_chart_has_classes_for_colours_and_a_summary_in_words() {
        for chart in Chart::ALL {
            let drawn = draw(chart, &restless(), frame(24)).unwrap();
            assert!(drawn.svg.starts_with("<svg "), "{}", drawn.svg);
            assert!(
                drawn
                    .svg
                    .contains(&format!("<desc>{}</desc>", drawn.summary))
            );
            assert!(!drawn.svg.contains("#0101"), "{}", drawn.svg);
            assert!(!drawn.svg.contains("style="), "{}", drawn.svg);
            assert!(drawn.svg.contains("class=\"label\""));
            assert_eq!(Chart::parse(chart.name()), Some(chart));
        }
    }

    #[test]
    fn four_restless_charts_are_no_burden() {
        let bytes: usize = Chart::ALL
            .into_iter()
            .map(|chart| draw(chart, &restless(), frame(24)).unwrap().svg.len())
            .sum();
        assert!(bytes < 26_000, "{bytes}");
    }

    #[test]
    fn nothing_known_is_drawn_as_absence() {
        let history = History {
            samples: Vec::new(),
            ..restless()
        };
        for chart in Chart::ALL {
            let drawn = draw(chart, &history, frame(168)).unwrap();
            assert_eq!(drawn.summary, "nothing is known of this time yet");
            assert!(drawn.svg.contains("class=\"absent\""), "{}", drawn.svg);
            assert!(!drawn.svg.contains("class=\"line\""));
        }
    }
}
