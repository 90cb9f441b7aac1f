//! One sample of a shard: a picture and what is said about it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use crate::captions::captions_in_object;
use crate::names::PICTURE_ENDINGS;
use crate::{CaptionText, Columns, DataError, Picture, decode_image};

/// Longer members are no pictures and no captions.
pub(super) const MAX_MEMBER: u64 = 512 << 20;

/// Where a member of a sample lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The shard.
    pub shard: Arc<PathBuf>,
    /// Its name in the shard.
    pub name: String,
    /// Its first byte in the shard.
    pub start: u64,
    /// Its length in bytes.
    pub length: u64,
    /// The bytes of a text in a packed shard, where nothing can be found again.
    pub(super) packed: Option<Option<Arc<[u8]>>>,
}

impl Member {
    /// How errors call it.
    pub fn shown(&self) -> String {
        format!("{}:{}", self.shard.display(), self.name)
    }

    /// The bytes.
    ///
    /// # Errors
    /// [`DataError`] for a shard that can't be read or has become shorter.
    pub fn read(&self) -> Result<Vec<u8>, DataError> {
        if self.length > MAX_MEMBER {
            let problem = format!("`{}` is {} bytes long: too long", self.name, self.length);
            return Err(DataError::file(&self.shard, problem));
        }
        match &self.packed {
            None => {}
            Some(Some(bytes)) => return Ok(bytes.to_vec()),
            Some(None) => {
                let problem =
                    "is packed, and pictures can't be found again in it: unpack it with gunzip";
                return Err(DataError::file(&self.shard, problem));
            }
        }
        let io = |error| DataError::io("read", &self.shard)(error);
        let mut file = File::open(&*self.shard).map_err(io)?;
        file.seek(SeekFrom::Start(self.start)).map_err(io)?;
        let mut bytes = Vec::new();
        file.take(self.length).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 != self.length {
            let problem = format!("is cut short in `{}`: get it anew", self.name);
            return Err(DataError::file(&self.shard, problem));
        }
        Ok(bytes)
    }

    /// The picture.
    ///
    /// # Errors
    /// Those of [`read`](Self::read), and of a picture that can't be decoded.
    pub fn picture(&self) -> Result<Picture, DataError> {
        decode_image(&self.read()?, &self.shown())
    }
}

/// The members of a shard that share a name up to the first point behind the last folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// What they share.
    pub key: String,
    /// The picture.
    pub picture: Option<Member>,
    /// `txt`, whose lines are captions.
    pub text: Option<Member>,
    /// `json`, with a caption under one of the usual keys.
    pub json: Option<Member>,
}

impl Sample {
    pub(super) fn new(key: &str) -> Self {
        Self { key: key.to_string(), picture: None, text: None, json: None }
    }

    /// Whether there is a picture, and something that may hold captions.
    pub fn is_whole(&self) -> bool {
        self.picture.is_some() && (self.text.is_some() || self.json.is_some())
    }

    /// Puts a member in its place; others are of no use here.
    ///
    /// # Errors
    /// A second picture or text.
    pub(super) fn add(&mut self, ending: &str, member: Member) -> Result<(), String> {
        let place = match ending {
            "txt" => &mut self.text,
            "json" => &mut self.json,
            ending if PICTURE_ENDINGS.contains(&ending) => &mut self.picture,
            _ => return Ok(()),
        };
        match place {
            None => *place = Some(member),
            Some(first) => {
                return Err(format!(
                    "sample `{}` has `{}` and `{}`",
                    self.key, first.name, member.name
                ));
            }
        }
        Ok(())
    }

    /// The captions: the lines of the text that are not blank, or where there is no text those of
    /// the JSON.
    ///
    /// # Errors
    /// [`DataError`] for members that can't be read or are no text.
    pub fn captions(&self, columns: &Columns) -> Result<Vec<CaptionText>, DataError> {
        let of = |member: &Member| -> Result<String, DataError> {
            let bytes = member.read()?;
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
            let wrong =
                |_| DataError::file(&member.shard, format!("`{}` is not UTF-8", member.name));
            Ok(std::str::from_utf8(bytes).map_err(wrong)?.to_string())
        };
        if let Some(member) = &self.text {
            let text = of(member)?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            return Ok(lines.map(CaptionText::new).collect());
        }
        let Some(member) = &self.json else { return Ok(Vec::new()) };
        captions_in_object(&of(member)?, columns).map_err(|problem| {
            DataError::file(&member.shard, format!("`{}`: {problem}", member.name))
        })
    }
}
