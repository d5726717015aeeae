//! What the dashboard's queries found, drawn as Grafana lays the dashboard out: SVG, for the documentation.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Pixels of one unit of the dashboard's grid, which is 24 wide.
const UNIT: (f64, f64) = (48.0, 26.0);
/// Pixels between panels.
const GAP: f64 = 6.0;
/// Colours of curves, for one after another.
const COLOURS: [&str; 7] = ["#3274d9", "#e0752d", "#37872d", "#c4162a", "#8f3bb8", "#b8860b", "#1f978b"];
/// Prefixes of large numbers.
const LARGE: [(f64, &str); 3] = [(1e9, " G"), (1e6, " M"), (1e3, " k")];

/// The dashboard, as far as it is drawn.
#[derive(Debug, Deserialize)]
pub(super) struct Dashboard {
    panels: Vec<Panel>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Panel {
    title: String,
    #[serde(rename = "type")]
    kind: String,
    grid_pos: GridPos,
    field_config: FieldConfig,
}

#[derive(Debug, Deserialize)]
struct GridPos {
    x: f64,
    y: f64,
    w: f64,
    h: f64,
}

#[derive(Debug, Deserialize)]
struct FieldConfig {
    defaults: FieldDefaults,
}

#[derive(Debug, Deserialize)]
struct FieldDefaults {
    unit: String,
}

/// What one query found.
#[derive(Debug, Deserialize)]
pub(super) struct QueryAnswer {
    panel: String,
    legend: String,
    series: Vec<QuerySeries>,
}

#[derive(Debug, Deserialize)]
struct QuerySeries {
    labels: BTreeMap<String, String>,
    /// Seconds since the first scrape, and the value.
    points: Vec<(f64, f64)>,
}

/// A curve and its name.
struct Curve<'a> {
    name: String,
    points: &'a [(f64, f64)],
}

/// A place in pixels.
struct Frame {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// The whole picture.
pub(super) fn of(dashboard: &Dashboard, answers: &[QueryAnswer]) -> String {
    let height = dashboard.panels.iter().map(|panel| panel.grid_pos.y + panel.grid_pos.h).fold(0.0, f64::max);
    let (width, height) = (24.0 * UNIT.0 + GAP, height * UNIT.1 + GAP);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#f4f5f5\"/>\n"
    );
    for panel in &dashboard.panels {
        draw(&mut out, panel, &curves(&panel.title, answers));
    }
    out.push_str("</svg>\n");
    out
}

fn curves<'a>(panel: &str, answers: &'a [QueryAnswer]) -> Vec<Curve<'a>> {
    let of_panel = answers.iter().filter(|answer| answer.panel == panel);
    of_panel.flat_map(|answer| answer.series.iter().map(|series| curve(&answer.legend, series))).collect()
}

fn curve<'a>(legend: &str, series: &'a QuerySeries) -> Curve<'a> {
    let fill_in = |name: String, (label, value): (&String, &String)| name.replace(&format!("{{{{{label}}}}}"), value);
    Curve { name: series.labels.iter().fold(legend.to_owned(), fill_in), points: &series.points }
}

fn draw(out: &mut String, panel: &Panel, curves: &[Curve<'_>]) {
    let GridPos { x, y, w, h } = panel.grid_pos;
    let frame = Frame { x: x * UNIT.0 + GAP, y: y * UNIT.1 + GAP, width: w * UNIT.0 - GAP, height: h * UNIT.1 - GAP };
    let Frame { x, y, width, height } = frame;
    let _ = writeln!(
        out,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"3\" fill=\"#fff\" stroke=\"#dcdee1\"/>"
    );
    text(out, (x + 8.0, y + 17.0), "font-weight=\"bold\"", &panel.title);
    let unit = &panel.field_config.defaults.unit;
    if panel.kind == "stat" {
        let last = curves.iter().filter_map(|curve| curve.points.last()).next_back().map_or(0.0, |point| point.1);
        let middle = (x + width / 2.0, y + height / 2.0 + 22.0);
        text(out, middle, "font-size=\"30\" text-anchor=\"middle\" fill=\"#37872d\"", &value(last, unit));
    } else {
        plot(out, &frame, curves, unit);
    }
}

/// Curves over their axes, and their names below.
fn plot(out: &mut String, frame: &Frame, curves: &[Curve<'_>], unit: &str) {
    let (left, right) = (frame.x + 58.0, frame.x + frame.width - 10.0);
    let (top, bottom) = (frame.y + 30.0, frame.y + frame.height - 40.0);
    let points = || curves.iter().flat_map(|curve| curve.points);
    let most = points().map(|point| point.1).fold(0.0, f64::max);
    let most = if most > 0.0 { most } else { 1.0 };
    let end = points().map(|point| point.0).fold(1.0, f64::max);
    for part in [0.0, 0.5, 1.0] {
        let y = bottom - (bottom - top) * part;
        let _ = writeln!(out, "<path d=\"M{left} {y}H{right}\" stroke=\"#e5e6e8\"/>");
        text(out, (left - 5.0, y + 4.0), "text-anchor=\"end\" fill=\"#606369\"", &value(most * part, unit));
    }
    text(out, (left, bottom + 14.0), "fill=\"#606369\"", "0 s");
    text(out, (right, bottom + 14.0), "text-anchor=\"end\" fill=\"#606369\"", &format!("{end:.0} s"));
    let mut legend = frame.x + 8.0;
    for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        let place = |(at, value): &(f64, f64)| {
            format!("{:.1},{:.1}", left + (right - left) * at / end, bottom - (bottom - top) * value / most)
        };
        let line: Vec<String> = curve.points.iter().map(place).collect();
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>",
            line.join(" ")
        );
        text(out, (legend, frame.y + frame.height - 8.0), &format!("fill=\"{colour}\""), &curve.name);
        legend += 6.3 * curve.name.chars().count() as f64 + 14.0;
    }
}

fn text(out: &mut String, (x, y): (f64, f64), attributes: &str, content: &str) {
    let content = content.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{content}</text>");
}

/// A number as people read it. Units are Grafana's names.
fn value(number: f64, unit: &str) -> String {
    let suffix = match unit {
        "s" => return seconds(number),
        "bytes" => "B",
        "Bps" => "B/s",
        "ops" | "reqps" => "/s",
        _ => "",
    };
    let (number, prefix) = match LARGE.iter().find(|(factor, _)| number >= *factor) {
        Some((factor, prefix)) => (number / factor, *prefix),
        None => (number, if suffix.is_empty() { "" } else { " " }),
    };
    let digits = if number.fract() == 0.0 { 0 } else { 2 };
    format!("{number:.digits$}{prefix}{suffix}")
}

fn seconds(number: f64) -> String {
    match number {
        0.0 => "0 s".to_owned(),
        ..0.1 => format!("{:.1} ms", number * 1000.0),
        ..120.0 => format!("{number:.1} s"),
        ..7200.0 => format!("{:.0} min", number / 60.0),
        ..172_800.0 => format!("{:.0} h", number / 3600.0),
        _ => format!("{:.0} d", number / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let check =
            |number: f64, unit: &str, expected: &str| assert_eq!(value(number, unit), expected, "{number} {unit}");
        check(3.0, "short", "3");
        check(0.25, "ops", "0.25 /s");
        check(0.0, "s", "0 s");
        check(1_500_000.0, "Bps", "1.50 MB/s");
        check(0.0021, "s", "2.1 ms");
        check(90.0, "s", "90.0 s");
        check(7300.0, "s", "2 h");
    }

    #[test]
    fn every_panel_is_drawn_with_its_curves() {
        let panel = |title: &str, kind: &str| {
            serde_json::json!({"title": title, "type": kind, "gridPos": {"x": 0, "y": 0, "w": 8, "h": 8},
                "fieldConfig": {"defaults": {"unit": "short"}}})
        };
        let dashboard = serde_json::json!({"panels": [panel("Held", "stat"), panel("Scans <all>", "timeseries")]});
        let answer = |panel: &str| {
            serde_json::json!({"panel": panel, "legend": "in {{namespace}}",
                "series": [{"labels": {"namespace": "shop"}, "points": [[0.0, 1.0], [2.0, 4.0]]}]})
        };
        let answers = serde_json::json!([answer("Held"), answer("Scans <all>"), answer("another one")]);
        let drawn =
            of(&serde_json::from_value(dashboard).unwrap(), &serde_json::from_value::<Vec<_>>(answers).unwrap());
        let check = |part: &str| assert!(drawn.contains(part), "{part}: {drawn}");
        check(">4</text>");
        check(">Scans &lt;all></text>");
        check(">in shop</text>");
        assert_eq!(drawn.matches("<polyline").count(), 1, "{drawn}");
    }
}
