//! `finecap eval retrieval`

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use burn::tensor::Device;
use clap::Args;
use finecap::metrics::{Ranks, Retrieval as Found, Ties, retrieval};
use finecap::train::NpyReader;
use serde_json::{Map, Value, json};

use super::seeing::Seeing;
use crate::cli::data::{ColumnsArgs, captions};

/// Places that recall is given for.
const PLACES: [usize; 4] = [1, 5, 10, 50];

/// What equally similar wrong answers count, under the names that are printed.
const TIES: [(&str, Ties); 2] = [("fair", Ties::Fair), ("reference", Ties::LaterFirst)];

#[derive(Args)]
pub struct Retrieval {
    /// Embeddings of the images, `[M, E]`, as `finecap embed image` writes them; with
    /// --candidates, a folder of pictures.
    #[arg(long, value_name = "NPY|DIR")]
    images: PathBuf,
    /// Embeddings of the texts, `[M·K, E]`, as `finecap embed text` writes them: those of the first
    /// image, those of the second, and so on, as many for each.
    #[arg(long, value_name = "NPY", required_unless_present = "candidates")]
    texts: Option<PathBuf>,
    /// Captions instead of embeddings, one for each picture, in any format that `finecap eval
    /// captions` reads. They are embedded without a prompt, as in the paper's evaluation.
    #[arg(long, value_name = "FILE", requires = "clip", conflicts_with = "texts")]
    candidates: Option<PathBuf>,
    /// CLIP model that embeds pictures and captions.
    #[arg(long, value_name = "DIR", requires = "candidates")]
    clip: Option<PathBuf>,
    #[command(flatten)]
    columns: ColumnsArgs,
    /// Print the numbers as JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl Retrieval {
    pub fn run(self, device: impl Fn() -> Result<Device>) -> Result<()> {
        let (images, texts, width) = match (&self.texts, &self.candidates, &self.clip) {
            (None, Some(candidates), Some(clip)) => {
                let found = captions(candidates, &self.columns.options())?;
                found.check_single()?;
                let seeing = Seeing::open(&self.images, clip, found.records.iter(), &device()?)?;
                let texts = found.records.iter().flat_map(|record| &record.captions);
                let texts: Vec<String> = texts.map(|caption| caption.raw.clone()).collect();
                seeing.embeddings(&texts)?
            }
            (Some(texts), ..) => {
                let (images, width) = unit_rows(&self.images)?;
                let (rows, text_width) = unit_rows(texts)?;
                if width != text_width {
                    bail!(
                        "{} has rows of {text_width} numbers, but {} of {width}: embed both with the same model",
                        texts.display(),
                        self.images.display()
                    );
                }
                (images, rows, width)
            }
            _ => bail!("give embeddings with --texts, or captions with --candidates and --clip"),
        };
        let (m, n) = (images.len() / width, texts.len() / width);
        if n % m != 0 {
            bail!(
                "{} has {n} rows, which is not as many for each of the {m} images in {}",
                self.texts.as_deref().unwrap_or(Path::new("--texts")).display(),
                self.images.display()
            );
        }
        let image_of_text: Vec<usize> = (0..n).map(|text| text / (n / m)).collect();
        let of = |ties| retrieval(&images, &texts, width, &image_of_text, ties);
        let mut found = Vec::new();
        for (name, ties) in TIES {
            found.push((name, of(ties)?));
        }
        if self.json {
            let rules = found.iter().map(|(name, found)| (name.to_string(), numbers(found)));
            let whole = json!({
                "images": m,
                "texts": n,
                "ties": rules.collect::<Map<String, Value>>(),
            });
            println!("{}", serde_json::to_string_pretty(&whole)?);
        } else {
            println!("{}", table(&found, m, n));
        }
        Ok(())
    }
}

/// All rows, scaled to length 1, and their width.
fn unit_rows(path: &Path) -> Result<(Vec<f32>, usize)> {
    let mut reader = NpyReader::open(path)?;
    let &[rows, width] = reader.shape() else {
        bail!(
            "{}: has the shape {:?}, but rows of numbers are needed",
            path.display(),
            reader.shape()
        );
    };
    if rows == 0 || width == 0 {
        bail!("{}: holds no embeddings", path.display());
    }
    let mut values = reader.read_all()?;
    for (row, values) in values.chunks_mut(width).enumerate() {
        let length = values.iter().map(|x| x * x).sum::<f32>().sqrt();
        if !(length.is_finite() && length > 0.0) {
            bail!("{}: row {row} has no direction: its length is {length}", path.display());
        }
        values.iter_mut().for_each(|x| *x /= length);
    }
    Ok((values, width))
}

fn numbers(found: &Found) -> Value {
    let of = |ranks: &Ranks| {
        let recalls = PLACES.into_iter().map(|k| (format!("R@{k}"), ranks.recall(k).into()));
        let mut all: Map<String, Value> = recalls.collect();
        all.insert("median_rank".into(), ranks.median().into());
        all.insert("mean_rank".into(), ranks.mean().into());
        all
    };
    json!({ "text_to_image": of(&found.text_to_image), "image_to_text": of(&found.image_to_text) })
}

fn table(found: &[(&str, Found)], images: usize, texts: usize) -> String {
    let mut lines = vec![format!("{images} images, {texts} texts"), String::new()];
    let mut heading = format!("{:<15}{:<10}", "", "ties");
    heading.extend(PLACES.map(|k| format!("{:>8}", format!("R@{k}"))));
    lines.push(heading + &format!("{:>9}{:>10}", "median", "mean rank"));
    for (name, found) in found {
        let ways =
            [("text to image", &found.text_to_image), ("image to text", &found.image_to_text)];
        for (way, ranks) in ways {
            let mut line = format!("{way:<15}{name:<10}");
            line.extend(PLACES.map(|k| format!("{:>8.2}", ranks.recall(k))));
            lines.push(line + &format!("{:>9.1}{:>10.2}", ranks.median(), ranks.mean()));
        }
    }
    lines.push(String::new());
    lines.push(
        "fair: half of the equally similar wrong answers stand first; reference: the later ones"
            .into(),
    );
    lines.join("\n")
}
