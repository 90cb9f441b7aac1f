//! `finecap data inspect`, and reading captions with a word about what was passed over.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use finecap::data::{CaptionFile, Columns, DataError, ReadOptions, Summary, is_shards};
use finecap::terminal::say;
use finecap::train::Dataset;
use serde_json::{Map, Value};

#[derive(Subcommand)]
pub enum Data {
    /// Report the format of files of captions, what is in them, and what is doubtful.
    Inspect(Inspect),
}

#[derive(Args)]
pub struct Inspect {
    /// Files of captions in any format, or folders of pictures with .txt files beside them.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    columns: ColumnsArgs,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Which columns of a table hold what.
#[derive(Args, Clone)]
pub struct ColumnsArgs {
    /// Columns of a table, or keys of JSON, where their names are unusual; numbers for a table
    /// without a header. As in image=photo,caption=words or image=2,caption=1.
    #[arg(long, value_name = "image=..,caption=..,split=..")]
    columns: Option<Columns>,
}

impl ColumnsArgs {
    pub fn options(&self) -> ReadOptions {
        ReadOptions { columns: self.columns.clone().unwrap_or_default(), ..Default::default() }
    }
}

impl Data {
    pub fn run(self) -> Result<()> {
        let Self::Inspect(Inspect { files, columns, json }) = self;
        let options = ReadOptions { captions_only: true, lenient: true, ..columns.options() };
        let mut all = Map::new();
        for file in &files {
            let summary = Summary::of(&CaptionFile::read(file, &options)?);
            let name = file.display().to_string();
            if json {
                all.insert(name, serde_json::to_value(summary)?);
            } else {
                println!("{name}\n{}", text(&summary));
            }
        }
        if json {
            println!("{}", serde_json::to_string_pretty(&Value::from(all))?);
        }
        Ok(())
    }
}

fn text(summary: &Summary) -> String {
    let range =
        |[fewest, mean, most]: [f64; 3]| format!("{fewest} to {most}, {mean:.2} on average");
    let mut lines = vec![
        format!("  read as   {}", summary.format),
        format!("  images    {}", summary.images),
        format!("  captions  {}, {} an image", summary.captions, range(summary.captions_per_image)),
        format!("  words     {} a caption", range(summary.words_per_caption)),
    ];
    if !summary.splits.is_empty() {
        let splits = summary.splits.iter().map(|(split, images)| format!("{split} {images}"));
        lines.push(format!("  splits    {}", splits.collect::<Vec<_>>().join(", ")));
    }
    for (names, captions) in &summary.first {
        let more = match captions.len() {
            0 | 1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        let caption = captions.first().map_or("", String::as_str);
        lines.push(format!("  {}: {caption:?}{more}", names.join(" = ")));
    }
    lines.extend(summary.doubts.iter().map(|doubt| format!("  doubtful: {doubt}")));
    lines.join("\n")
}

/// Reads a data set, and says what of it is left out.
pub fn dataset(file: &Path, images: Option<&Path>, options: &ReadOptions) -> Result<Dataset> {
    let (dataset, notes) = Dataset::read(file, images, options)?;
    tell(file, &notes);
    Ok(dataset)
}

/// The folder with the pictures of a data set, which is needed unless shards hold them.
pub fn pictures_of<'a>(data: &Path, images: Option<&'a Path>) -> Result<Option<&'a Path>> {
    match (images, is_shards(data)) {
        (None, false) => {
            bail!("{}: its pictures are needed: give their folder with --images", data.display())
        }
        (Some(_), true) => {
            bail!("{}: shards hold their pictures: leave --images out", data.display())
        }
        (images, _) => Ok(images),
    }
}

/// Leaves out pictures that can't be read, after naming them.
pub fn drop_bad_images(dataset: &mut Dataset, data: &Path) -> Result<()> {
    for error in dataset.drop_bad_images() {
        say(&format!("skipped: {error}"));
    }
    if dataset.images.is_empty() {
        bail!("none of the pictures of {} can be read", data.display());
    }
    Ok(())
}

/// Reads captions, and says what was passed over.
pub fn captions(file: &Path, options: &ReadOptions) -> Result<CaptionFile, DataError> {
    let found = CaptionFile::read(file, options)?;
    tell(file, &found.notes);
    Ok(found)
}

fn tell(file: &Path, notes: &[String]) {
    for note in notes {
        eprintln!("note: {}: {note}", file.display());
    }
}
