//! `finecap tokenize`

use std::io::{BufWriter, ErrorKind, Write};
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use finecap::clip::ClipWeights;

use super::lines::each_chunk;

#[derive(Args)]
pub struct Tokenize {
    /// CLIP model.
    #[arg(long, value_name = "DIR")]
    clip: PathBuf,
    /// Text file with one caption a line.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
}

impl Tokenize {
    pub fn run(self) -> Result<()> {
        let weights = ClipWeights::open(&self.clip, None)?;
        let tokenizer = weights.tokenizer()?;
        let context = weights.config().text_config.max_position_embeddings;
        let mut output = BufWriter::new(std::io::stdout().lock());
        let printed = each_chunk(&self.input, "captions", |captions| {
            for ids in tokenizer.encode_batch(captions, context)? {
                serde_json::to_writer(&mut output, &ids)?;
                output.write_all(b"\n")?;
            }
            Ok(output.flush()?)
        });
        match printed {
            // Whoever reads has seen enough, as `head` does.
            Err(error) if closed(&error) => Ok(()),
            printed => printed.map(|_| ()),
        }
    }
}

fn closed(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        let json = cause.downcast_ref::<serde_json::Error>().and_then(|json| json.io_error_kind());
        io.or(json) == Some(ErrorKind::BrokenPipe)
    })
}
