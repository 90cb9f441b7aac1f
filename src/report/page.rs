//! The page itself.

use std::io::Cursor;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use finecap_clip::load_image;
use finecap_metrics::Interval;
use finecap_train::{COLUMNS, ScoredCaption, TableRow};
use image::{ImageFormat, imageops};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::curves::Chart;
use super::intervals::Intervals;
use super::runs::Run;

/// Longer side of the pictures in the page, in pixels.
const SIDE: u32 = 256;

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// Everything on the page.
pub(super) struct Page<'a> {
    pub table: &'a [TableRow],
    /// Of each row's scores; empty where a row has several seeds.
    pub intervals: Vec<Intervals>,
    pub charts: Vec<Chart>,
    pub gallery: Vec<Card<'a>>,
}

/// One picture with every captioner's caption.
pub(super) struct Card<'a> {
    picture: String,
    captions: Vec<&'a ScoredCaption>,
}

impl Card<'_> {
    fn has_grammar(&self) -> bool {
        self.captions.iter().any(|caption| caption.grammar.is_some())
    }
}

/// The first `limit` pictures that all captioners have described.
pub(super) fn gallery<'a>(runs: &[&'a Run], limit: usize) -> Result<Vec<Card<'a>>> {
    let first = match runs.first() {
        Some(first) if limit > 0 => first,
        _ => return Ok(Vec::new()),
    };
    let captions = &first.evaluation.captions;
    // Spread over the data set, whose neighbours may be alike.
    let stride = captions.len().div_ceil(limit).max(1);
    let mut cards = Vec::new();
    for caption in captions.iter().step_by(stride) {
        let same = |run: &&'a Run| {
            run.evaluation.captions.iter().find(|other| other.image == caption.image)
        };
        let captions: Vec<&ScoredCaption> = runs.iter().filter_map(same).collect();
        if captions.len() < runs.len() {
            bail!(
                "{} was not described by every run: a report compares runs on the same pictures",
                caption.image
            );
        }
        cards.push(Card { picture: data_url(first, &caption.image)?, captions });
    }
    Ok(cards)
}

/// A picture as text that a page can hold: PNG where small, JPEG where it was scaled down.
fn data_url(run: &Run, name: &str) -> Result<String> {
    let image = load_image(&run.picture(name))?.into_rgb();
    let large = image.width().max(image.height()) > SIDE;
    let (format, kind) = match large {
        true => (ImageFormat::Jpeg, "jpeg"),
        false => (ImageFormat::Png, "png"),
    };
    let image = match large {
        true => {
            let scale = f64::from(SIDE) / f64::from(image.width().max(image.height()));
            let side = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
            let (width, height) = (side(image.width()), side(image.height()));
            imageops::resize(&image, width, height, imageops::FilterType::CatmullRom)
        }
        false => image,
    };
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).with_context(|| format!("cannot encode {name}"))?;
    Ok(format!("data:image/{kind};base64,{}", BASE64_STANDARD.encode(bytes.into_inner())))
}

impl Page<'_> {
    pub(super) fn render(&self) -> String {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { "finecap report" }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    main {
                        h1 { "finecap report" }
                        (self.scores())
                        (self.curves())
                        (self.pictures())
                    }
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        }
        .into_string()
    }

    fn scores(&self) -> Markup {
        let has = |name: &str| self.table.iter().any(|row| row.mean.contains_key(name));
        let columns: Vec<_> = COLUMNS.into_iter().filter(|(_, name, _)| has(name)).collect();
        html! {
            section {
                h2 { "Scores" }
                p {
                    "Greedy captions of held-out pictures, " (spread(self.table)) ". R@k is the share of captions, in percent, by which CLIP finds their own "
                    "picture among the first k."
                }
                div.scroll {
                    table {
                        thead {
                            tr { th { } @for (heading, _, _) in &columns { th { (heading) } } }
                        }
                        tbody {
                            @for (run, row) in self.table.iter().enumerate() {
                                tr {
                                    th scope="row" { (dot(run)) (row.name) }
                                    @for (_, name, digits) in &columns {
                                        td {
                                            @match row.mean.get(*name) {
                                                Some(mean) => { (format!("{mean:.digits$}")) }
                                                None => { "–" }
                                            }
                                            @if let Some(spread) = row.spread.get(*name) {
                                                small { "±" (format!("{spread:.digits$}")) }
                                            }
                                            @if let Some(count) = row.partial.get(*name) {
                                                small { "(" (count) " of " (row.seeds) ")" }
                                            }
                                            @if let Some(found) = self.interval(run, name) {
                                                @let digits = digits.saturating_sub(1);
                                                small {
                                                    (format!("{:.digits$}", found.low)) "–"
                                                    (format!("{:.digits$}", found.high))
                                                }
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn interval(&self, run: usize, name: &str) -> Option<&Interval> {
        self.intervals.get(run)?.get(name)
    }

    fn curves(&self) -> Markup {
        html! {
            @if !self.charts.is_empty() {
                section {
                    h2 { "Training" }
                    p.legend {
                        @for (run, row) in self.table.iter().enumerate() {
                            label {
                                input type="checkbox" checked data-run=(run);
                                (dot(run)) (row.name)
                            }
                        }
                    }
                    (charts(self.charts.iter().filter(|chart| chart.main)))
                    details {
                        summary { "More curves" }
                        (charts(self.charts.iter().filter(|chart| !chart.main)))
                    }
                }
            }
        }
    }

    fn pictures(&self) -> Markup {
        if self.gallery.is_empty() {
            return html! {};
        }
        html! {
            section {
                h2 { "Pictures" }
                form.controls {
                    label {
                        "Sort by "
                        select name="sort" {
                            option value="order" { "order in the data set" }
                            option value="clip_s" { "difference in CLIP-S" }
                            option value="cider" { "difference in CIDEr-D" }
                            @if self.gallery.iter().any(Card::has_grammar) {
                                option value="grammar" { "difference in grammar" }
                            }
                            option value="rank" { "difference in rank" }
                            option value="wrong" { "number of wrong claims" }
                        }
                    }
                    label {
                        "At least this part of the largest difference "
                        input name="least" type="range" min="0" max="100" value="0";
                    }
                    label { "Words " input name="words" type="search" placeholder="in any caption"; }
                    output { (self.gallery.len()) " pictures" }
                }
                div.gallery {
                    @for (order, card) in self.gallery.iter().enumerate() { (self.card(order, card)) }
                }
            }
        }
    }

    fn card(&self, order: usize, card: &Card) -> Markup {
        let difference = |of: fn(&ScoredCaption) -> f64| {
            let values = card.captions.iter().map(|caption| of(caption));
            let (low, high) =
                values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
            format!("{:.4}", high - low)
        };
        let wrong = card.captions.iter().flat_map(|c| &c.claims).filter(|c| !c.is_true).count();
        html! {
            article
                data-order=(order)
                data-clip_s=(difference(|c| c.clip_s))
                data-cider=(difference(|c| c.cider))
                data-grammar=(difference(|c| c.grammar.unwrap_or(0.0)))
                data-rank=(difference(|c| c.rank as f64))
                data-wrong=(wrong)
            {
                @if let Some(first) = card.captions.first() {
                    img src=(card.picture) alt=(first.references.join("; ")) loading="lazy";
                    div.text {
                        p.references {
                            strong { (first.image) }
                            @for reference in &first.references { " · " (reference) }
                        }
                        @for (run, caption) in card.captions.iter().enumerate() {
                            div.caption data-run=(run) {
                                p {
                                    (dot(run)) strong { (self.table[run].name) } " "
                                    @if caption.caption.is_empty() { em { "(empty)" } }
                                    span.said { (caption.caption) }
                                    @if caption.grammatical == Some(false) {
                                        " " span.broken { "not a sentence" }
                                    }
                                }
                                p.scores {
                                    "CLIP-S " (format!("{:.3}", caption.clip_s))
                                    " · CIDEr-D " (format!("{:.2}", caption.cider))
                                    " · rank " (caption.rank)
                                    @if let Some(grammar) = caption.grammar {
                                        " · grammar " (format!("{grammar:.2}"))
                                    }
                                    @for claim in caption.claims.iter().filter(|c| !c.is_true) {
                                        " · " span.wrong title="not true of this picture" { (claim.text) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What the numbers beside the means are: the seeds need not be as many for each row.
fn spread(table: &[TableRow]) -> String {
    let several: Vec<&TableRow> = table.iter().filter(|row| row.seeds > 1).collect();
    let Some(first) = several.first() else {
        return "with 95 % intervals from resampling the pictures".into();
    };
    if table.iter().all(|row| row.seeds == first.seeds) {
        return format!("mean and standard deviation over {} seeds", first.seeds);
    }
    let each: Vec<String> =
        several.iter().map(|row| format!("{} of {}", row.seeds, row.name)).collect();
    let mut text = format!("mean and standard deviation over seeds ({})", each.join(", "));
    if several.len() < table.len() {
        text += "; a single seed comes with 95 % intervals from resampling the pictures";
    }
    text
}

fn charts<'a>(charts: impl Iterator<Item = &'a Chart>) -> Markup {
    html! {
        div.charts {
            @for chart in charts {
                figure {
                    figcaption { (chart.name) }
                    (chart.markup())
                }
            }
        }
    }
}

/// A spot in a captioner's colour.
fn dot(run: usize) -> Markup {
    html! { span class={ "dot run-" (run) } {} }
}

#[cfg(test)]
mod tests {
    use finecap_train::EvaluationFile;

    use super::*;

    fn row(name: &str, seeds: usize) -> TableRow {
        TableRow::new(name, &vec![finecap_train::Scores::new(); seeds])
    }

    #[test]
    fn no_pictures_are_none() {
        let caption = ScoredCaption {
            image: "none.png".into(),
            caption: "a red square".into(),
            references: Vec::new(),
            cider: 0.0,
            clip_s: 0.0,
            ref_clip_s: 0.0,
            rank: 1,
            grammar: None,
            grammatical: None,
            claims: Vec::new(),
        };
        let scores = std::collections::BTreeMap::from([("cider", 0.0)]);
        let evaluation = EvaluationFile::new("A", 0, 1, ".", &scores, vec![caption]);
        let run = Run { dir: "nowhere".into(), evaluation };
        assert!(gallery(&[&run], 0).unwrap().is_empty());
        let missing = gallery(&[&run], 1).err().unwrap().to_string();
        assert!(missing.contains("none.png"), "{missing}");
        let page =
            Page { table: &[row("A", 1)], intervals: vec![], charts: vec![], gallery: vec![] };
        assert!(!page.render().contains("<h2>Pictures"));
    }

    #[test]
    fn the_number_of_seeds_is_said_as_it_is() {
        let of = |rows: &[(&str, usize)]| {
            spread(&rows.iter().map(|(name, seeds)| row(name, *seeds)).collect::<Vec<_>>())
        };
        assert!(of(&[("A", 1), ("B", 1)]).contains("95 % intervals"));
        assert!(of(&[("A", 3), ("B", 3)]).ends_with("over 3 seeds"));
        let unequal = of(&[("A", 3), ("B", 1), ("C", 2)]);
        assert!(unequal.contains("(3 of A, 2 of C)"), "{unequal}");
        assert!(unequal.contains("single seed"), "{unequal}");
    }
}
