//! The words of captions that nobody has cut yet.

/// The words of an untokenised caption, in lower case, as every phase of training reads it: it is
/// split at what is not a letter, digit, apostrophe or hyphen.
///
/// ```
/// assert_eq!(finecap_data::caption_words("A man's T-shirt, red."), ["a", "man's", "t-shirt", "red"]);
/// ```
pub fn caption_words(caption: &str) -> Vec<String> {
    let inside = |c: char| c.is_alphanumeric() || c == '\'' || c == '-';
    let words = caption.split(|c| !inside(c));
    let words = words.filter(|word| word.contains(char::is_alphanumeric));
    words.map(str::to_lowercase).collect()
}
