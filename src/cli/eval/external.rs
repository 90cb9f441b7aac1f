//! Scores of other programs: `--external NAME=COMMAND`.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Result;
use finecap::data::{PictureFolder, Record};
use finecap::reward::{Candidate, Endpoint, ExternalImage, ExternalReward, Reward};
use finecap::train::Words;

use super::scores::Column;

/// Captions that are asked about together.
const CHUNK: usize = 1000;
/// How long that may take.
const LIMIT: Duration = Duration::from_secs(600);

/// A column and who computes it.
#[derive(Clone)]
pub struct External {
    name: String,
    endpoint: Endpoint,
}

impl FromStr for External {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, who) = text
            .split_once('=')
            .filter(|(name, _)| !name.trim().is_empty())
            .ok_or("must be NAME=COMMAND, as in mine=\"python3 my_metric.py\"")?;
        let endpoint = match who.starts_with("http://") || who.starts_with("https://") {
            true => Endpoint::Url(who.to_string()),
            false => Endpoint::Command(
                Words::Text(who.to_string())
                    .list()
                    .map_err(|problem| format!("the command {problem}"))?,
            ),
        };
        Ok(Self { name: name.trim().to_string(), endpoint })
    }
}

impl fmt::Display for External {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.endpoint {
            Endpoint::Command(words) => write!(f, "{}={}", self.name, words.join(" ")),
            Endpoint::Url(url) => write!(f, "{}={url}", self.name),
        }
    }
}

/// The programs, told about the images that are scored; with a folder of pictures also where those are.
pub fn open<'a>(
    external: &[External],
    scored: impl Iterator<Item = &'a Record> + Clone,
    pictures: Option<&Path>,
) -> Result<Vec<ExternalReward>> {
    if external.is_empty() {
        return Ok(Vec::new());
    }
    let paths = match pictures {
        Some(dir) => PictureFolder::read(dir)?.all(scored.clone())?.into_iter().map(Some).collect(),
        None => vec![None; scored.clone().count()],
    };
    let image = |(record, path): (&Record, Option<std::path::PathBuf>)| ExternalImage {
        name: record.name.clone(),
        path: path.map(|path| std::path::absolute(&path).unwrap_or(path)),
        references: record.captions.iter().map(|caption| caption.raw.clone()).collect(),
    };
    let images: std::sync::Arc<[ExternalImage]> = scored.zip(paths).map(image).collect();
    let one = |external: &External| {
        let (name, endpoint) = (&external.name, external.endpoint.clone());
        Ok(ExternalReward::new(name, endpoint, LIMIT, images.clone())?)
    };
    external.iter().map(one).collect()
}

/// Adds a column for each program to those of each system.
pub fn score(
    external: Vec<ExternalReward>,
    systems: &[Vec<String>],
    columns: &mut [Vec<Column>],
) -> Result<()> {
    for mut reward in external {
        // Names live as long as the command.
        let name: &'static str = reward.name().to_string().leak();
        for (texts, columns) in systems.iter().zip(&mut *columns) {
            let candidates: Vec<Candidate> =
                texts.iter().enumerate().map(|(row, text)| Candidate::new(row, text)).collect();
            let mut values = Vec::with_capacity(candidates.len());
            for chunk in candidates.chunks(CHUNK) {
                values.extend(reward.score(chunk)?.into_iter().map(f64::from));
            }
            columns.push((name, values));
        }
    }
    Ok(())
}
