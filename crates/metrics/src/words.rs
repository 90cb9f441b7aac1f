//! Words as numbers.

use std::collections::HashMap;

/// Gives every word a number, the same one each time.
#[derive(Debug, Clone, Default)]
pub struct WordIds {
    ids: HashMap<String, u32>,
}

impl WordIds {
    /// The number of a word; a new word gets the next free one.
    pub fn id(&mut self, word: &str) -> u32 {
        if let Some(&id) = self.ids.get(word) {
            return id;
        }
        let id = self.ids.len() as u32;
        self.ids.insert(word.to_string(), id);
        id
    }

    /// The numbers of the words of a caption, split at whitespace.
    pub fn caption(&mut self, caption: &str) -> Vec<u32> {
        caption.split_whitespace().map(|word| self.id(word)).collect()
    }
}
