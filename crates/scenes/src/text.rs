//! What people and the web say about a scene.

use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::scene::{Background, Object, Scene};
use crate::words::{Size, Texture};

/// Fine-grained phrases of a scene, as the evaluation sets of the field annotate them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phrases {
    /// "striped pink background"
    pub background: Vec<String>,
    /// "large white star"
    pub object: Vec<String>,
    /// "star above ring"
    pub relation: Vec<String>,
}

/// How likely each detail is to be mentioned.
struct Detail {
    colour: f64,
    size: f64,
    /// A further object, with its relation.
    next: f64,
    background: f64,
    texture: f64,
}

/// Annotators name what is salient.
const REFERENCE: Detail =
    Detail { colour: 0.5, size: 0.15, next: 0.35, background: 0.15, texture: 0.4 };

/// The web's alt texts leave little out.
const ALT_TEXT: Detail =
    Detail { colour: 0.9, size: 0.85, next: 0.9, background: 0.85, texture: 0.85 };

/// Everything.
const FULL: Detail = Detail { colour: 1.0, size: 1.0, next: 1.0, background: 1.0, texture: 1.0 };

/// How a sentence may begin.
pub(crate) const OPENERS: [&str; 3] = ["there is", "this is", "a picture of"];

impl Scene {
    /// `count` captions in the annotators' manner: grammatical, short, true.
    pub fn references(&self, count: usize, rng: &mut impl Rng) -> Vec<String> {
        (0..count).map(|_| self.sentence(&REFERENCE, rng)).collect()
    }

    /// `count` descriptions in the web's manner: detailed, true, mostly without grammar.
    pub fn alt_texts(&self, count: usize, rng: &mut impl Rng) -> Vec<String> {
        (0..count)
            .map(|_| {
                if rng.random_bool(0.25) {
                    self.sentence(&ALT_TEXT, rng)
                } else {
                    self.telegram(rng)
                }
            })
            .collect()
    }

    /// The sentence that says everything.
    pub fn description(&self) -> String {
        // Certain details need no randomness but the opener's, which is cut off here.
        let mut parts = Vec::new();
        self.objects_in_words(&FULL, &mut rand_chacha_zero(), &mut parts);
        parts.push(format!("on a {}", background(&self.background, true, true)));
        parts.join(" ")
    }

    /// What an annotator of fine details would write down.
    pub fn phrases(&self) -> Phrases {
        let relation = |(pair, relation): (&[Object], crate::Relation)| {
            format!("{} {} {}", pair[0].shape.word(), relation.word(), pair[1].shape.word())
        };
        Phrases {
            background: vec![background(&self.background, true, true)],
            object: self.objects.iter().map(|o| noun(o, true, true)).collect(),
            relation: self.objects.windows(2).zip(self.relations()).map(relation).collect(),
        }
    }

    fn sentence(&self, detail: &Detail, rng: &mut impl Rng) -> String {
        let mut parts = Vec::new();
        if rng.random_bool(0.4) {
            parts.extend(OPENERS.choose(rng).map(|opener| opener.to_string()));
        }
        self.objects_in_words(detail, rng, &mut parts);
        if rng.random_bool(detail.background) {
            let texture =
                self.background.texture != Texture::Plain && rng.random_bool(detail.texture);
            // A background is mentioned by its colour, its texture or both.
            let ground = !texture || rng.random_bool(0.8);
            parts.push(format!("on a {}", background(&self.background, texture, ground)));
        }
        parts.join(" ")
    }

    /// "a star above a red ring", with as many objects as chance lets in.
    fn objects_in_words(&self, detail: &Detail, rng: &mut impl Rng, parts: &mut Vec<String>) {
        for (i, object) in self.objects.iter().enumerate() {
            if i > 0 {
                if !rng.random_bool(detail.next) {
                    return;
                }
                parts.push(self.objects[i - 1].relation_to(object).word().to_string());
            }
            let (size, colour) = (rng.random_bool(detail.size), rng.random_bool(detail.colour));
            parts.push(format!("a {}", noun(object, size, colour)));
        }
    }

    /// Phrases in any order, without articles.
    fn telegram(&self, rng: &mut impl Rng) -> String {
        let detail = ALT_TEXT;
        let mut objects: Vec<&Object> = self.objects.iter().collect();
        if rng.random_bool(0.5) {
            objects.reverse();
        }
        let mut group = String::new();
        for (i, object) in objects.iter().enumerate() {
            if i > 0 {
                if !rng.random_bool(detail.next) {
                    break;
                }
                let relation = objects[i - 1].relation_to(object);
                group += &format!(" {} ", relation.word());
            }
            let (size, colour) = (rng.random_bool(detail.size), rng.random_bool(detail.colour));
            group += &noun(object, size, colour);
        }
        let mut parts = vec![group];
        if rng.random_bool(detail.background) {
            let texture = rng.random_bool(detail.texture);
            parts.push(background(&self.background, texture, !texture || rng.random_bool(0.9)));
        }
        parts.shuffle(rng);
        parts.join(" ")
    }
}

fn noun(object: &Object, size: bool, colour: bool) -> String {
    let mut words = Vec::new();
    words.extend(size.then_some(object.size).map(Size::word));
    words.extend(colour.then(|| object.colour.word()));
    words.push(object.shape.word());
    words.join(" ")
}

fn background(background: &Background, texture: bool, ground: bool) -> String {
    let mut words = Vec::new();
    words.extend(texture.then(|| background.texture.word()));
    words.extend(ground.then(|| background.ground.word()));
    words.push("background");
    words.join(" ")
}

/// A generator for choices whose outcome is certain.
fn rand_chacha_zero() -> rand_chacha::ChaCha8Rng {
    rand::SeedableRng::seed_from_u64(0)
}
