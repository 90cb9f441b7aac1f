//! One caption in a JSON list: a text, or an object with `raw` and `tokens`.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::CaptionText;
use super::entry::name_of;

pub(super) struct Sentence {
    pub caption: CaptionText,
    /// The image that it says it is about.
    pub image: Option<String>,
}

impl<'de> Deserialize<'de> for Sentence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SentenceVisitor)
    }
}

struct SentenceVisitor;

impl<'de> Visitor<'de> for SentenceVisitor {
    type Value = Sentence;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a caption")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Sentence, E> {
        Ok(Sentence { caption: CaptionText::new(text), image: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sentence, A::Error> {
        let (mut raw, mut tokens, mut image) = (None::<String>, None::<Tokens>, None);
        while let Some(key) = map.next_key::<Cow<str>>()? {
            match key.as_ref() {
                "raw" | "caption" => {
                    if let Some(text) = map.next_value::<Option<String>>()?
                        && raw.replace(text).is_some()
                    {
                        return Err(A::Error::custom("two texts in one caption"));
                    }
                }
                "tokens" => tokens = map.next_value()?,
                "image_id" => image = name_of(&map.next_value::<Value>()?.to_string()),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let tokens = tokens.map(|tokens| tokens.0);
        let raw = match (raw, &tokens) {
            (Some(raw), Some(tokens)) if raw.trim().is_empty() => tokens.clone(),
            (Some(raw), _) => raw,
            (None, Some(tokens)) => tokens.clone(),
            (None, None) => return Err(A::Error::custom("neither `raw` nor `tokens`")),
        };
        Ok(Sentence { caption: CaptionText { raw, tokens }, image })
    }
}

/// Words with single spaces between.
struct Tokens(String);

impl<'de> Deserialize<'de> for Tokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = Tokens;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a list of words")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tokens, A::Error> {
                let mut words = String::with_capacity(64);
                while let Some(token) = list.next_element::<Word>()? {
                    for word in token.0.split_whitespace() {
                        if !words.is_empty() {
                            words.push(' ');
                        }
                        words.push_str(word);
                    }
                }
                words.shrink_to_fit();
                Ok(Tokens(words))
            }
        }
        deserializer.deserialize_seq(Words)
    }
}

/// A text that is borrowed where it has no escapes.
#[derive(Deserialize)]
struct Word<'a>(#[serde(borrow)] Cow<'a, str>);
