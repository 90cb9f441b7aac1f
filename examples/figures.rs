//! The pictures of the documentation, as SVG files, from finished runs.
//!
//! `cargo run --release --example figures -- strip --run "MLE=runs/base/mle" ... --out docs/strip.svg`
//! draws held-out pictures with a caption of each run below each other; `curves` draws the numbers
//! that training logged. `docs/when_scst_goes_wrong.md` has the commands that were used.
#![recursion_limit = "256"]

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, Parser};
use finecap::report::{charts, evaluations};
use finecap::train::EvaluationFile;
use maud::{Markup, PreEscaped, html};

/// Colours of the runs, dark enough for a light page and light enough for a dark one.
const STYLE: &str = "
text { font: 15px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1c1e21 }
text.soft { fill: #667 } text.name { font-weight: 600; font-size: 13px }
.grid { stroke: #d8dbe0; stroke-width: 1 }
.line { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round }
.name { fill: var(--c) } .dot { fill: var(--c) }
.run-0 { --c: #888c94 } .run-1 { --c: #2f7ed8 } .run-2 { --c: #d9534f }
.run-3 { --c: #2e9e5b } .run-4 { --c: #e08a00 } .run-5 { --c: #8e5bd0 }
.paper { fill: #fff }
@media (prefers-color-scheme: dark) {
  text { fill: #e6e7ea } text.soft { fill: #9aa0aa } .grid { stroke: #3a3e45 } .paper { fill: #17191c }
}";

/// Draw the pictures of the documentation.
#[derive(Parser)]
enum Figure {
    /// Held-out pictures, each with the caption of every run.
    Strip(Strip),
    /// What training logged, one chart for each number, one line for each run.
    Curves(Curves),
}

#[derive(Args)]
struct Common {
    /// A run and its name, as in "MLE=runs/base/mle"; given once for each run.
    #[arg(long = "run", value_name = "NAME=DIR", value_parser = named, required = true)]
    runs: Vec<(String, PathBuf)>,
    /// The SVG file.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Args)]
struct Strip {
    #[command(flatten)]
    common: Common,
    /// Pictures, spread evenly over the held-out ones.
    #[arg(long, default_value_t = 5)]
    pictures: usize,
}

#[derive(Args)]
struct Curves {
    #[command(flatten)]
    common: Common,
    /// Titles of the charts as a report has them, in this order and with ; between; by default all.
    #[arg(long, value_delimiter = ';')]
    show: Vec<String>,
}

fn named(text: &str) -> Result<(String, PathBuf), String> {
    let (name, dir) = text.split_once('=').ok_or("must be NAME=DIR")?;
    Ok((name.into(), dir.into()))
}

fn main() -> Result<()> {
    match Figure::parse() {
        Figure::Strip(strip) => strip.draw(),
        Figure::Curves(curves) => curves.draw(),
    }
}

/// Width of the strip. Text of 15 pixels on it can be read on a phone.
const WIDTH: usize = 470;
/// Side of a picture.
const SIDE: usize = 112;
/// Characters that fit on a line beside a picture.
const CHARACTERS: usize = 44;
const LINE: usize = 19;

impl Strip {
    fn draw(self) -> Result<()> {
        let mut runs: Vec<(PathBuf, EvaluationFile)> = Vec::new();
        for (_, dir) in &self.common.runs {
            runs.push(evaluations(dir)?.remove(0));
        }
        let images = &runs[0].1.captions;
        let stride = images.len().div_ceil(self.pictures.max(1)).max(1);
        let mut rows = Vec::new();
        let mut y = 0;
        for image in images.iter().step_by(stride).map(|caption| &caption.image) {
            let picture = runs[0].0.join(&runs[0].1.pictures).join(image);
            let mut text = Vec::new();
            let mut height = 0;
            for (place, ((name, _), (dir, run))) in self.common.runs.iter().zip(&runs).enumerate() {
                let caption = run.captions.iter().find(|caption| caption.image == *image);
                let Some(caption) = caption else {
                    bail!("{} was not described by the run in {}", image, dir.display());
                };
                text.push((height + LINE - 5, Some(place), name.clone()));
                height += LINE - 2;
                for line in wrap(&caption.caption) {
                    text.push((height + LINE - 5, None, line));
                    height += LINE;
                }
                height += 3;
            }
            rows.push((y, row(&picture, &text)?));
            y += height.max(SIDE) + 14;
        }
        let content = html! {
            @for (y, row) in &rows { g transform={ "translate(0," (y) ")" } { (row) } }
        };
        write_svg(&self.common.out, WIDTH, y - 14, content)
    }
}

/// A picture, and beside it lines of text, each with its distance from the top.
fn row(picture: &Path, text: &[(usize, Option<usize>, String)]) -> Result<Markup> {
    let bytes = fs::read(picture).with_context(|| format!("cannot read {}", picture.display()))?;
    let kind = if bytes.starts_with(b"\x89PNG") { "png" } else { "jpeg" };
    let data = format!("data:image/{kind};base64,{}", BASE64_STANDARD.encode(bytes));
    Ok(html! {
        image width=(SIDE) height=(SIDE) href=(data) {}
        @for (y, run, line) in text {
            @match run {
                Some(run) => { text class={ "name run-" (run) } x=(SIDE + 14) y=(y) { (line) } },
                None => { text x=(SIDE + 14) y=(y) { (line) } },
            }
        }
    })
}

/// Lines of whole words.
fn wrap(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => *line = word.into(),
            Some(line) if line.len() + 1 + word.len() <= CHARACTERS => *line += &format!(" {word}"),
            _ => lines.push(word.into()),
        }
    }
    lines
}

/// Charts beside each other.
const COLUMNS: usize = 2;
/// Room of one chart, its title included.
const CHART: [usize; 2] = [330, 200];
const TITLE: usize = 24;

impl Curves {
    fn draw(self) -> Result<()> {
        let dirs: Vec<PathBuf> = self.common.runs.iter().map(|(_, dir)| dir.clone()).collect();
        let all = charts(&dirs)?;
        let names: Vec<&str> = all.iter().map(|chart| chart.name.as_str()).collect();
        let mut shown = Vec::new();
        for name in &self.show {
            match all.iter().find(|chart| chart.name == *name) {
                Some(chart) => shown.push(chart),
                None => bail!("no run logged `{name}`; there are: {}", names.join(", ")),
            }
        }
        if self.show.is_empty() {
            shown = all.iter().collect();
        }
        let legend = self.common.runs.len() * LINE + 10;
        let [width, height] = CHART;
        let place = |i: usize| (i % COLUMNS * width, legend + i / COLUMNS * height);
        let content = html! {
            @for (run, (name, _)) in self.common.runs.iter().enumerate() {
                circle class={ "dot run-" (run) } cx="12" cy=(run * LINE + 12) r="5" {}
                text x="24" y=(run * LINE + 17) { (name) }
            }
            @for (i, chart) in shown.iter().enumerate() {
                @let (x, y) = place(i);
                text.soft x=(x + 8) y=(y + 17) { (chart.name) }
                svg x=(x) y=(y + TITLE) width=(width - 10) height=(height - TITLE - 6) {
                    (PreEscaped(chart.svg()))
                }
            }
        };
        let rows = shown.len().div_ceil(COLUMNS);
        write_svg(&self.common.out, COLUMNS * width, legend + rows * height, content)
    }
}

fn write_svg(out: &Path, width: usize, height: usize, content: Markup) -> Result<()> {
    let svg = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(width) height=(height)
            viewBox={ "0 0 " (width) " " (height) }
        {
            style { (PreEscaped(STYLE)) }
            rect.paper width=(width) height=(height) {}
            (content)
        }
    };
    fs::write(out, svg.into_string()).with_context(|| format!("cannot write {}", out.display()))?;
    println!("{}", out.display());
    Ok(())
}
