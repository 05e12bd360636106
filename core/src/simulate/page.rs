//! Results as one page: tables and pictures, light and dark, nothing loaded from elsewhere.

use std::fmt::Write as _;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::report::Report;
use crate::policy::Value;

/// The colours of lines, one for each policy, in turn; chosen to be told apart on light and dark ground.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9"];

/// What the plotting library is told for text and axes, and what the page makes of it: the colour of its text, light or dark.
const INK: RGBColor = RGBColor(1, 2, 3);
const INK_TEXT: &str = "#010203";

const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#fff;--ink:#1b1f24;--faint:#8884}\
@media(prefers-color-scheme:dark){:root{--ground:#14171a;--ink:#e6e8ea}}\
body{background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\
th,td{text-align:right;padding:.25rem .6rem;border-bottom:1px solid var(--faint)}th:first-child,td:first-child{text-align:left}\
svg{width:100%;height:auto}i{display:inline-block;width:1.2em;height:.25em;margin-right:.5em;vertical-align:middle}\
figure{margin:1.5rem 0}figcaption{font-weight:600}";

/// What policies did in one scenario, to be compared.
#[derive(Clone, Debug)]
pub struct Section {
    /// Above it; empty for nothing.
    pub heading: String,
    /// Each policy's name and result.
    pub results: Vec<(String, Report)>,
}

/// A page of such comparisons. One HTML file, no network, no script.
pub fn page(title: &str, sections: &[Section]) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{0}</title><style>{STYLE}</style></head><body>\n<h1>{0}</h1>\n",
        escaped(title)
    );
    for Section { heading, results } in sections {
        if !heading.is_empty() {
            let _ = writeln!(out, "<h2>{}</h2>", escaped(heading));
        }
        table(results, &mut out);
        for (caption, picture) in pictures(results) {
            let _ = writeln!(out, "<figure><figcaption>{caption}</figcaption>{picture}</figure>");
        }
    }
    out + "</body></html>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The numbers that decide, a row for each policy.
fn table(results: &[(String, Report)], out: &mut String) {
    out.push_str(
        "<table><thead><tr><th>policy</th><th>attempts per call</th><th>in the worst 5 s</th><th>calls ended well</th><th>runs that recovered</th>\
         <th>after (median)</th><th>refused by budgets</th><th>p99 of calls</th></tr></thead><tbody>\n",
    );
    for (index, (name, report)) in results.iter().enumerate() {
        let number = |path: &str| number(report, path);
        let share = |path: &str| number(path).map_or("-".to_owned(), |share| format!("{:.1} %", share * 100.0));
        let plain =
            |path: &str, digits: usize, unit: &str| number(path).map_or("-".to_owned(), |number| format!("{number:.digits$}{unit}"));
        let cells = [
            plain("amplification/whole/median", 2, ""),
            plain("amplification/worst_window/5s/median", 2, ""),
            share("goodput/share/median"),
            share("recovery/recovered"),
            plain("recovery/median_seconds", 0, " s"),
            plain("refusals", 0, ""),
            plain("durations/p99", 2, " s"),
        ];
        let _ = write!(out, "<tr><td><i style=\"background:{}\"></i>{}</td>", COLOURS[index % COLOURS.len()], escaped(name));
        let _ = writeln!(out, "{}</tr>", cells.map(|cell| format!("<td>{cell}</td>")).concat());
    }
    out.push_str("</tbody></table>\n");
}

fn number(report: &Report, path: &str) -> Option<f64> {
    as_number(path.split('/').try_fold(report.to_value(), |value, key| value.get(key))?)
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

/// A line of a picture.
struct Line {
    points: Vec<(f64, f64)>,
    colour: RGBColor,
    thin: bool,
}

fn pictures(results: &[(String, Report)]) -> Vec<(&'static str, String)> {
    let each = |of: &dyn Fn(&Report) -> Vec<(f64, f64)>| -> Vec<Line> {
        results.iter().enumerate().map(|(index, (_, report))| Line { points: of(report), colour: colour(index), thin: false }).collect()
    };
    let mut load = each(&|report| series(report, "good"));
    if let Some((_, first)) = results.first() {
        load.push(Line { points: series(first, "offered"), colour: INK, thin: true });
    }
    let amplification = each(&|report| {
        let offered = series(report, "offered");
        let attempts = series(report, "attempts");
        attempts
            .iter()
            .zip(&offered)
            .filter(|(_, (_, offered))| *offered > 0.0)
            .map(|((at, sent), (_, offered))| (*at, sent / offered))
            .collect()
    });
    let mut waits = each(&|report| by_retry(report, "p50"));
    waits.extend(results.iter().enumerate().map(|(index, (_, report))| Line {
        points: by_retry(report, "p99"),
        colour: colour(index),
        thin: true,
    }));
    [
        ("Calls that end well per second (thin: calls offered)", "seconds", load),
        ("Attempts per call offered, by second", "seconds", amplification),
        ("What all budgets hold together, in retries", "seconds", each(&|report| series(report, "balance"))),
        ("Waits before each retry, in seconds: median (thin: 99 of 100 are shorter)", "retry", waits),
    ]
    .into_iter()
    .filter(|(.., lines)| lines.iter().any(|line| !line.points.is_empty()))
    .map(|(caption, below, lines)| (caption, picture(below, &lines)))
    .collect()
}

fn colour(index: usize) -> RGBColor {
    let text = COLOURS[index % COLOURS.len()];
    let part = |from: usize| u8::from_str_radix(&text[from..from + 2], 16).unwrap_or(0);
    RGBColor(part(1), part(3), part(5))
}

fn series(report: &Report, name: &str) -> Vec<(f64, f64)> {
    let Some(Value::List(values)) = report.to_value().get("series").and_then(|series| series.get(name)) else { return Vec::new() };
    values.iter().filter_map(as_number).enumerate().map(|(second, value)| (second as f64, value)).collect()
}

fn by_retry(report: &Report, quantile: &str) -> Vec<(f64, f64)> {
    let Some(Value::List(waits)) = report.to_value().get("waits") else { return Vec::new() };
    waits.iter().filter_map(|wait| Some((as_number(wait.get("retry")?)?, as_number(wait.get(quantile)?)?))).collect()
}

/// Lines over a common axis, as SVG whose text has the colour of the page's.
fn picture(below: &str, lines: &[Line]) -> String {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (900, 260)).into_drawing_area();
        // Writing to a text cannot fail.
        let _ = draw(&root, below, lines);
        let _ = root.present();
    }
    svg.replace(INK_TEXT, "currentColor")
}

type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw<'a>(root: &DrawingArea<SVGBackend<'a>, Shift>, below: &str, lines: &[Line]) -> Drawn<'a> {
    let points = || lines.iter().flat_map(|line| line.points.iter());
    let left = points().map(|point| point.0).fold(f64::MAX, f64::min).min(0.0);
    let right = points().map(|point| point.0).fold(1.0, f64::max);
    let bottom = points().map(|point| point.1).fold(0.0, f64::min);
    let top = points().map(|point| point.1).fold(0.0, f64::max) * 1.05 + 0.01;
    let mut chart =
        ChartBuilder::on(root).margin(6).x_label_area_size(34).y_label_area_size(52).build_cartesian_2d(left..right, bottom..top)?;
    let text = ("sans-serif", 13).into_font().color(&INK);
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(INK.mix(0.12))
        .axis_style(INK.mix(0.5))
        .label_style(text)
        .x_desc(below)
        .x_labels(10)
        .y_labels(6)
        .draw()?;
    for line in lines {
        let width = if line.thin { 1 } else { 2 };
        chart.draw_series(LineSeries::new(line.points.iter().copied(), line.colour.stroke_width(width)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Section, page};
    use crate::policy::Policy;
    use crate::simulate::{Scenario, simulate};

    #[test]
    fn pages_stand_alone_and_escape_names() {
        let report = simulate(&Policy::default(), &Scenario::preset("outage").expect("a preset"));
        let section = Section { heading: "one & all".to_owned(), results: vec![("<script>".to_owned(), report)] };
        let page = page("a \"title\"", &[section]);
        assert_eq!(page.matches("<svg").count(), 4);
        assert!(page.contains("&lt;script&gt;") && page.contains("one &amp; all") && !page.contains("<script"));
        assert!(page.contains("currentColor") && page.contains("prefers-color-scheme:dark"));
        // The name of SVG's language is no address that is loaded.
        assert!(!page.replace("http://www.w3.org/2000/svg", "").contains("http"));
    }
}
