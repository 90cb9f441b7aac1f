//! The exact judge: is a caption a sentence, and which of its claims are true?
//!
//! Captions are words in lower case with spaces between them, as models write them.
//!
//! ```text
//! sentence   = [opener] noun {join noun} ["on" "a" ground]     at most three nouns
//! opener     = "there is" | "this is" | "a picture of"
//! noun       = "a" [size] [colour] shape
//! join       = "left of" | "right of" | "above" | "below" | "and"
//! ground     = (texture [colour] | colour) "background"
//! ```
//!
//! Claims are read from any text, sentence or not: each noun claims its shape, and with it its
//! colour and size; two nouns with nothing but a relation (and an article) between them claim the
//! relation; a background claims its texture and its colour. An attribute that belongs to no noun
//! claims nothing. Claims that are made twice count twice.
//!
//! Up to three nouns are matched to different objects, in the way that makes most claims true.
//! Where there are more, each is matched to whatever object suits it best.

use serde::{Deserialize, Serialize};

use crate::scene::{MAX_OBJECTS, Scene};
use crate::text::OPENERS;
use crate::words::{Colour, Ground, Relation, Shape, Size, Texture};

/// One thing that a caption says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The words that say it.
    pub text: String,
    /// Whether it is so.
    pub is_true: bool,
}

/// What the judge says about one caption of one scene.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether it is a sentence.
    pub grammatical: bool,
    /// Everything it claims, in order.
    pub claims: Vec<Claim>,
}

impl Verdict {
    /// Number of claims that are true.
    pub fn true_claims(&self) -> usize {
        self.claims.iter().filter(|claim| claim.is_true).count()
    }
}

/// A noun as the caption describes it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Noun {
    size: Option<Size>,
    colour: Option<Colour>,
    shape: Shape,
}

#[derive(Debug, Clone, Copy)]
struct GroundPhrase {
    texture: Option<Texture>,
    ground: Option<Ground>,
}

/// A position in a caption.
#[derive(Clone, Copy)]
struct Cursor<'a>(&'a [&'a str]);

impl<'a> Cursor<'a> {
    /// Goes on behind `phrase` if it stands here.
    fn eat(&mut self, phrase: &str) -> bool {
        let mut rest = self.0;
        for word in phrase.split(' ') {
            match rest.split_first() {
                Some((first, others)) if *first == word => rest = others,
                _ => return false,
            }
        }
        self.0 = rest;
        true
    }

    /// Goes on behind the next word if it has a meaning.
    fn word<T>(&mut self, meaning: impl Fn(&str) -> Option<T>) -> Option<T> {
        let (first, rest) = self.0.split_first()?;
        let value = meaning(first)?;
        self.0 = rest;
        Some(value)
    }

    fn relation(&mut self) -> Option<Relation> {
        Relation::ALL.iter().copied().find(|relation| self.eat(relation.word()))
    }

    /// `[size] [colour] shape`; stays where it is if that isn't here.
    fn noun(&mut self) -> Option<Noun> {
        let start = *self;
        let size = self.word(Size::from_word);
        let colour = self.word(Colour::from_word);
        match self.word(Shape::from_word) {
            Some(shape) => Some(Noun { size, colour, shape }),
            None => {
                *self = start;
                None
            }
        }
    }

    /// `[texture] [colour] background`; stays where it is if that isn't here.
    fn ground(&mut self) -> Option<GroundPhrase> {
        let start = *self;
        let texture = self.word(Texture::from_word);
        let ground = self.word(Ground::from_word);
        if self.eat("background") {
            return Some(GroundPhrase { texture, ground });
        }
        *self = start;
        None
    }

    fn is_at_noun(mut self) -> bool {
        self.noun().is_some()
    }

    fn skip(&mut self) {
        self.0 = self.0.get(1..).unwrap_or_default();
    }
}

/// Whether a caption is a sentence of the scene grammar.
pub fn is_grammatical(caption: &str) -> bool {
    let words: Vec<&str> = caption.split_whitespace().collect();
    let mut cursor = Cursor(&words);
    let _ = OPENERS.iter().any(|opener| cursor.eat(opener));
    for nouns in 1..=MAX_OBJECTS {
        if !cursor.eat("a") || cursor.noun().is_none() {
            return false;
        }
        let last = nouns == MAX_OBJECTS;
        if last || (cursor.relation().is_none() && !cursor.eat("and")) {
            break;
        }
    }
    if cursor.eat("on") {
        let phrase = if cursor.eat("a") { cursor.ground() } else { None };
        if phrase.is_none_or(|p| p.texture.is_none() && p.ground.is_none()) {
            return false;
        }
    }
    cursor.0.is_empty()
}

/// Judges a caption of a scene.
pub fn judge(caption: &str, scene: &Scene) -> Verdict {
    let words: Vec<&str> = caption.split_whitespace().collect();
    let said = read(&words);
    let matching = said.matching(scene);
    Verdict { grammatical: is_grammatical(caption), claims: said.claims(scene, &matching) }
}

/// What a text says, in order.
#[derive(Default)]
struct Said {
    nouns: Vec<Noun>,
    /// A noun's index, its relation to the noun after it.
    relations: Vec<(usize, Relation)>,
    grounds: Vec<GroundPhrase>,
}

fn read(words: &[&str]) -> Said {
    let mut said = Said::default();
    let mut cursor = Cursor(words);
    while !cursor.0.is_empty() {
        if let Some(noun) = cursor.noun() {
            said.nouns.push(noun);
            // Look ahead for "relation [a] noun"; the noun itself is read in the next round.
            let mut ahead = cursor;
            if let Some(relation) = ahead.relation() {
                ahead.eat("a");
                if ahead.is_at_noun() {
                    said.relations.push((said.nouns.len() - 1, relation));
                    cursor = ahead;
                }
            }
        } else if let Some(ground) = cursor.ground() {
            said.grounds.push(ground);
        } else {
            cursor.skip();
        }
    }
    said
}

impl Said {
    /// The object that each noun is taken to mean.
    fn matching(&self, scene: &Scene) -> Vec<Option<usize>> {
        let (nouns, objects) = (self.nouns.len(), scene.objects.len());
        let true_claims = |matching: &[Option<usize>]| {
            self.claims(scene, matching).iter().filter(|claim| claim.is_true).count()
        };
        if nouns > MAX_OBJECTS {
            let best = |noun: usize| {
                let alone = |object: usize| {
                    let said = Said { nouns: vec![self.nouns[noun]], ..Self::default() };
                    said.claims(scene, &[Some(object)]).iter().filter(|c| c.is_true).count()
                };
                // The first of equally good ones.
                (0..objects).rev().max_by_key(|&object| alone(object))
            };
            return (0..nouns).map(best).collect();
        }
        // Every choice of an object or of none for each noun, as digits of a number.
        let mut best = (0, vec![None; nouns]);
        for code in 0..(objects + 1).pow(nouns as u32) {
            let digit = |noun: usize| code / (objects + 1).pow(noun as u32) % (objects + 1);
            let matching: Vec<Option<usize>> =
                (0..nouns).map(|n| digit(n).checked_sub(1)).collect();
            let doubled = (0..nouns)
                .any(|a| matching[a].is_some() && (0..a).any(|b| matching[a] == matching[b]));
            if !doubled {
                let count = true_claims(&matching);
                if count > best.0 {
                    best = (count, matching);
                }
            }
        }
        best.1
    }

    fn claims(&self, scene: &Scene, matching: &[Option<usize>]) -> Vec<Claim> {
        let claim = |text: String, is_true: bool| Claim { text, is_true };
        let mut claims = Vec::new();
        for (noun, object) in self.nouns.iter().zip(matching) {
            // Of another shape it would be another object, and nothing said of it would be true.
            let object = object.map(|i| &scene.objects[i]).filter(|o| o.shape == noun.shape);
            let shape = noun.shape.word();
            claims.push(claim(shape.to_string(), object.is_some()));
            if let Some(colour) = noun.colour {
                let text = format!("{} {shape}", colour.word());
                claims.push(claim(text, object.is_some_and(|o| o.colour == colour)));
            }
            if let Some(size) = noun.size {
                let text = format!("{} {shape}", size.word());
                claims.push(claim(text, object.is_some_and(|o| o.size == size)));
            }
        }
        for &(first, relation) in &self.relations {
            let object = |noun: usize| {
                let object = matching.get(noun).copied().flatten();
                object.filter(|&i| scene.objects[i].shape == self.nouns[noun].shape)
            };
            let holds = match (object(first), object(first + 1)) {
                (Some(a), Some(b)) if a != b => {
                    scene.objects[a].relation_to(&scene.objects[b]) == relation
                }
                _ => false,
            };
            let [a, b] = [first, first + 1].map(|noun| self.nouns[noun].shape.word());
            claims.push(claim(format!("{a} {} {b}", relation.word()), holds));
        }
        for phrase in &self.grounds {
            if let Some(texture) = phrase.texture {
                let text = format!("{} background", texture.word());
                claims.push(claim(text, scene.background.texture == texture));
            }
            if let Some(ground) = phrase.ground {
                let text = format!("{} background", ground.word());
                claims.push(claim(text, scene.background.ground == ground));
            }
        }
        claims
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dataset::{ScenesConfig, generate};
    use crate::scene::{Background, Object};

    /// A large white star above a small red ring, on a striped pink background.
    fn scene() -> Scene {
        let object = |shape, colour, size, y| Object { shape, colour, size, x: 0.5, y };
        Scene {
            background: Background { ground: Ground::Pink, texture: Texture::Striped },
            objects: vec![
                object(Shape::Star, Colour::White, Size::Large, 0.25),
                object(Shape::Ring, Colour::Red, Size::Small, 0.75),
            ],
        }
    }

    /// (grammatical, claims, true claims)
    fn verdict(caption: &str) -> (bool, usize, usize) {
        let verdict = judge(caption, &scene());
        (verdict.grammatical, verdict.claims.len(), verdict.true_claims())
    }

    #[test]
    fn true_sentences() {
        assert_eq!(verdict("a star"), (true, 1, 1));
        assert_eq!(verdict("there is a large white star above a ring"), (true, 5, 5));
        assert_eq!(verdict("a ring and a star"), (true, 2, 2));
        assert_eq!(verdict("a red ring on a striped background"), (true, 3, 3));
        assert_eq!(verdict(&scene().description()), (true, 9, 9));
    }

    #[test]
    fn false_claims_are_found() {
        assert_eq!(verdict("a red star"), (true, 2, 1));
        assert_eq!(verdict("a star below a ring"), (true, 3, 2));
        assert_eq!(verdict("a small white star on a teal background"), (true, 4, 2));
        // A heart that isn't there has neither colour nor place.
        assert_eq!(verdict("a red heart above a ring"), (true, 4, 1));
        // One star cannot be two.
        assert_eq!(verdict("a white star above a white star"), (true, 5, 2));
    }

    #[test]
    fn word_salad_is_not_a_sentence_but_still_claims() {
        assert_eq!(verdict("star white a"), (false, 1, 1));
        assert_eq!(verdict("white star pink background"), (false, 3, 3));
        assert_eq!(
            verdict("a star on a pink background a pink background a teal background"),
            (false, 4, 3)
        );
        assert_eq!(verdict("pink pink pink"), (false, 0, 0));
        assert_eq!(verdict("a star star above star below star"), (false, 6, 4));
        assert_eq!(verdict(""), (false, 0, 0));
    }

    #[test]
    fn the_grammar_has_limits() {
        for caption in [
            "a star a ring",
            "star",
            "a white large star",
            "a star on a background",
            "a star on a pink background on a pink background",
            "a star and a ring and a cross and a heart",
            "there is there is a star",
            "a star above",
            "on a pink background",
        ] {
            assert!(!is_grammatical(caption), "{caption}");
        }
    }

    /// The first word that is another one.
    fn other(mut words: impl Iterator<Item = &'static str>, word: &'static str) -> &'static str {
        words.find(|other| *other != word).unwrap()
    }

    #[test]
    fn one_wrong_detail_makes_one_wrong_claim() {
        let config = ScenesConfig { train: 300, val: 0, test: 0, ..ScenesConfig::default() };
        for record in generate(&config).unwrap() {
            let scene = &record.scene;
            let caption = scene.description();
            let mut wrong = vec![
                caption.replace(
                    scene.background.ground.word(),
                    other(Ground::ALL.iter().map(|v| v.word()), scene.background.ground.word()),
                ),
                caption.replace(
                    scene.background.texture.word(),
                    other(Texture::ALL.iter().map(|v| v.word()), scene.background.texture.word()),
                ),
            ];
            if let [object] = scene.objects[..] {
                wrong.push(caption.replace(
                    object.colour.word(),
                    other(Colour::ALL.iter().map(|v| v.word()), object.colour.word()),
                ));
                wrong.push(caption.replace(
                    object.size.word(),
                    other(Size::ALL.iter().map(|v| v.word()), object.size.word()),
                ));
            }
            if let [relation] = scene.relations()[..] {
                let others = Relation::ALL.iter().filter(|other| **other != relation);
                wrong.extend(others.map(|other| caption.replace(relation.word(), other.word())));
            }
            let claims = judge(&caption, scene).claims.len();
            for caption in wrong {
                let verdict = judge(&caption, scene);
                assert!(verdict.grammatical, "{caption}");
                assert_eq!(verdict.claims.len(), claims, "{caption}");
                assert_eq!(verdict.true_claims(), claims - 1, "{caption} {scene:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_judged(caption in ".{0,80}") {
            judge(&caption, &scene());
        }

        #[test]
        fn any_words_can_be_judged(words in prop::collection::vec(prop::sample::select(vec![
            "a", "star", "ring", "heart", "white", "red", "large", "small", "left", "of", "above",
            "on", "pink", "striped", "background", "and", "there", "is",
        ]), 0..30)) {
            let verdict = judge(&words.join(" "), &scene());
            prop_assert!(verdict.true_claims() <= verdict.claims.len());
        }
    }
}
