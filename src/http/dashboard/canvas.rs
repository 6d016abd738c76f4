//! Where charts are drawn: axes, curves and bands, in marker colours that then become classes of the page's style, so that
//! they follow it into the dark; where there is no such style, each still has a colour of its own.

use std::ops::Range;

use plotters::{
    chart::{ChartBuilder, ChartContext},
    coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged},
    drawing::{DrawingAreaErrorKind, IntoDrawingArea},
    element::Rectangle,
    prelude::{AreaSeries, Cartesian2d, LineSeries, SVGBackend},
    style::{Color, IntoFont, RGBColor, ShapeStyle, TRANSPARENT},
};

use super::{
    axes::{self, Wall},
    series::{self, Stretch},
};
use crate::domain::history::{History, Sample};

const GRID: RGBColor = RGBColor(1, 1, 1);
const LABEL: RGBColor = RGBColor(1, 1, 2);
const LINE: RGBColor = RGBColor(1, 1, 3);
const AREA: RGBColor = RGBColor(1, 1, 4);
const UP: RGBColor = RGBColor(1, 1, 5);
const DOWN: RGBColor = RGBColor(1, 1, 6);
const ABSENT: RGBColor = RGBColor(1, 1, 7);

/// What stands for each marker: the class, and the colour for where nothing is known of classes.
const PAINTS: [(&str, &str, &str); 7] = [
    ("#010101", "grid", "#8885"),
    ("#010102", "label", "#777"),
    ("#010103", "line", "#27c"),
    ("#010104", "area", "#27c3"),
    ("#010105", "up", "#3a6"),
    ("#010106", "down", "#c33"),
    ("#010107", "absent", "#8883"),
];

/// Plotters takes the height of a line for the size of its letters.
const TEXT_SIZE: f64 = 12.0 * 1.24;
const HEIGHT: u32 = 168;
const BAND_HEIGHT: u32 = 60;
/// Room for the words beside the vertical axis.
const ASIDE: u32 = 52;
const BELOW: u32 = 24;
/// Words in the middle of which a mark is want so many pixels beside it.
const HALF_A_LABEL: f64 = 20.0;
/// A shorter outage would not be seen.
const LEAST_PIXELS: f64 = 2.0;

type Context<'svg, 'text> = ChartContext<'svg, SVGBackend<'text>, Cartesian2d<Axis, Axis>>;
/// Why a chart could not be drawn.
pub(super) type Failure = DrawingAreaErrorKind<std::io::Error>;

/// From zero to an end, with marks where they were put.
struct Axis {
    end: f64,
    marks: Vec<f64>,
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a place between two pixels of the chart"
    )]
    fn map(&self, value: &f64, (first, last): (i32, i32)) -> i32 {
        first + (f64::from(last - first) * value / self.end).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.marks.clone()
    }

    fn range(&self) -> Range<f64> {
        0.0..self.end
    }
}

/// How a chart is to be drawn.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub(super) hours: u32,
    /// Pixels.
    pub(super) width: u32,
    pub(super) wall: Wall,
}

/// The vertical axis.
pub(super) struct Scale<'label> {
    marks: Vec<f64>,
    label: &'label dyn Fn(f64) -> String,
}

impl<'label> Scale<'label> {
    pub(super) fn of(highest: f64, step: f64, label: &'label dyn Fn(f64) -> String) -> Self {
        Self {
            marks: axes::marks(highest, step),
            label,
        }
    }
}

/// A value over time.
pub(super) fn curve(
    history: &History,
    frame: Frame,
    scale: &Scale<'_>,
    value: impl Fn(&Sample) -> f64,
) -> Result<String, Failure> {
    let top = scale.marks.last().copied().unwrap_or(1.0);
    let lines = series::lines(history, value);
    on_canvas(history, frame, HEIGHT, Some(scale), |chart| {
        fill(chart, series::absences(history), top, ABSENT.filled())?;
        for line in lines {
            chart.draw_series(AreaSeries::new(line.iter().copied(), 0.0, AREA.filled()))?;
            chart.draw_series(LineSeries::new(line, LINE.stroke_width(2)))?;
        }
        Ok(())
    })
}

/// Up, down and absent over time.
pub(super) fn band(history: &History, frame: Frame) -> Result<String, Failure> {
    let least = series::end(history) * LEAST_PIXELS / f64::from(frame.width);
    let outages = series::outages(history).into_iter().map(|outage| {
        let (from, until) = outage.stretch;
        (from, until.max(from + least).min(series::end(history)))
    });
    on_canvas(history, frame, BAND_HEIGHT, None, |chart| {
        fill(chart, series::absences(history), 1.0, ABSENT.filled())?;
        fill(chart, series::presences(history), 1.0, UP.filled())?;
        fill(chart, outages, 1.0, DOWN.filled())
    })
}

fn fill(
    chart: &mut Context<'_, '_>,
    stretches: impl IntoIterator<Item = Stretch>,
    top: f64,
    style: ShapeStyle,
) -> Result<(), Failure> {
    let boxes = stretches
        .into_iter()
        .map(|(from, until)| Rectangle::new([(from, 0.0), (until, top)], style));
    chart.draw_series(boxes).map(drop)
}

/// Sets up the axes and lets `content` be drawn between them.
fn on_canvas(
    history: &History,
    frame: Frame,
    height: u32,
    scale: Option<&Scale<'_>>,
    content: impl FnOnce(&mut Context<'_, '_>) -> Result<(), Failure>,
) -> Result<String, Failure> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (frame.width, height)).into_drawing_area();
    let aside = if scale.is_some() { ASIDE } else { 0 };
    let room = f64::from(frame.width - aside);
    let end = series::end(history);
    let mut times = frame
        .wall
        .marks(history.from, frame.hours, frame.width - aside);
    times.retain(|(seconds, _)| {
        let place = seconds / end * room;
        place > HALF_A_LABEL - f64::from(aside) && place < room - HALF_A_LABEL
    });
    let levels = scale.map_or_else(|| vec![0.0, 1.0], |scale| scale.marks.clone());
    let horizontal = Axis {
        end,
        marks: times.iter().map(|(seconds, _)| *seconds).collect(),
    };
    let vertical = Axis {
        end: levels.last().copied().unwrap_or(1.0),
        marks: levels,
    };
    let mut chart = ChartBuilder::on(&area)
        .margin_top(if scale.is_some() { 10 } else { 0 })
        .margin_right(1)
        .x_label_area_size(BELOW)
        .y_label_area_size(aside)
        .build_cartesian_2d(horizontal, vertical)?;
    let time = |moment: &f64| {
        let known = times
            .iter()
            .find(|(seconds, _)| seconds.to_bits() == moment.to_bits());
        known.map(|(_, words)| words.clone()).unwrap_or_default()
    };
    let level = |level: &f64| scale.map(|scale| (scale.label)(*level)).unwrap_or_default();
    let mut mesh = chart.configure_mesh();
    mesh.disable_x_mesh()
        .axis_style(TRANSPARENT)
        .bold_line_style(GRID)
        .light_line_style(GRID)
        .label_style(("sans-serif", TEXT_SIZE).into_font().color(&LABEL))
        .x_label_formatter(&time)
        .y_label_formatter(&level);
    if scale.is_none() {
        mesh.disable_y_mesh();
    }
    mesh.draw()?;
    content(&mut chart)?;
    area.present()?;
    drop(chart);
    drop(area);
    Ok(svg)
}

/// Turns the markers into classes, and leaves out what the page's style says anyhow.
pub(super) fn painted(svg: &str) -> String {
    let mut svg = svg
        .replace("opacity=\"1\" ", "")
        .replace(" stroke=\"none\"", "")
        .replace(" font-family=\"sans-serif\" font-size=\"12\"", "");
    for (marker, class, colour) in PAINTS {
        for attribute in ["fill", "stroke"] {
            svg = svg.replace(
                &format!("{attribute}=\"{marker}\""),
                &format!("class=\"{class}\" {attribute}=\"{colour}\""),
            );
        }
    }
    svg
}
