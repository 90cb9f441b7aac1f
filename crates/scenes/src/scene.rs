//! One picture's content.

use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::words::{Colour, Ground, Relation, Shape, Size, Texture};

/// Most objects in a scene.
pub const MAX_OBJECTS: usize = 3;

/// What lies behind the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Background {
    /// Main colour.
    pub ground: Ground,
    /// Pattern.
    pub texture: Texture,
}

/// One object; positions count from the upper left corner, in parts of the picture's side.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Object {
    /// Outline.
    pub shape: Shape,
    /// Colour.
    pub colour: Colour,
    /// Size.
    pub size: Size,
    /// Centre, from left to right.
    pub x: f32,
    /// Centre, from top to bottom.
    pub y: f32,
}

impl Object {
    /// Half the width, in parts of the picture's side.
    pub fn radius(&self) -> f32 {
        match self.size {
            Size::Small => 0.11,
            Size::Large => 0.19,
        }
    }

    /// Where this object is, seen from `other`: along the axis on which they are further apart.
    pub fn relation_to(&self, other: &Self) -> Relation {
        let (dx, dy) = (self.x - other.x, self.y - other.y);
        match (dx.abs() > dy.abs(), dx < 0.0, dy < 0.0) {
            (true, true, _) => Relation::Left,
            (true, false, _) => Relation::Right,
            (false, _, true) => Relation::Above,
            (false, _, false) => Relation::Below,
        }
    }
}

/// A background and one to three objects, the most salient first.
///
/// Objects don't overlap, differ in shape or colour, and each is clearly to one side of the one
/// before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    /// What lies behind.
    pub background: Background,
    /// The objects, large ones first.
    pub objects: Vec<Object>,
}

/// Everything that a caption can say about a scene; scenes with the same content are the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Content {
    background: Background,
    objects: Vec<(Shape, Colour, Size)>,
    relations: Vec<Relation>,
}

impl Scene {
    /// A random scene.
    pub(crate) fn random(rng: &mut impl Rng) -> Self {
        let count = *[1, 2, 2, 3].choose(rng).unwrap_or(&1);
        loop {
            let background =
                Background { ground: any(Ground::ALL, rng), texture: any(Texture::ALL, rng) };
            let mut objects: Vec<Object> = (0..count)
                .map(|_| Object {
                    shape: any(Shape::ALL, rng),
                    colour: any(Colour::ALL, rng),
                    size: any(Size::ALL, rng),
                    x: 0.0,
                    y: 0.0,
                })
                .collect();
            objects.sort_by_key(|object| object.size == Size::Small);
            if let Some(scene) = (Self { background, objects }).placed(rng) {
                return scene;
            }
        }
    }

    /// A near twin: the same scene with one detail changed.
    pub(crate) fn twin(&self, rng: &mut impl Rng) -> Self {
        loop {
            let mut scene = self.clone();
            let object = rng.random_range(0..scene.objects.len());
            match rng.random_range(0..6) {
                0 => scene.background.ground = any(Ground::ALL, rng),
                1 => scene.background.texture = any(Texture::ALL, rng),
                2 => scene.objects[object].shape = any(Shape::ALL, rng),
                3 => scene.objects[object].colour = any(Colour::ALL, rng),
                4 => scene.objects[object].size = any(Size::ALL, rng),
                // New places, so other relations.
                _ => {}
            }
            scene.objects.sort_by_key(|object| object.size == Size::Small);
            if let Some(scene) = scene.placed(rng)
                && scene.content() != self.content()
            {
                return scene;
            }
        }
    }

    /// The scene with new places for its objects, if they fit and can be told apart.
    fn placed(mut self, rng: &mut impl Rng) -> Option<Self> {
        let named = |i: usize| (self.objects[i].shape, self.objects[i].colour);
        let n = self.objects.len();
        if (0..n).any(|i| (0..i).any(|j| named(i) == named(j))) {
            return None;
        }
        'attempt: for _ in 0..100 {
            for i in 0..n {
                let margin = self.objects[i].radius() + 0.02;
                self.objects[i].x = rng.random_range(margin..1.0 - margin);
                self.objects[i].y = rng.random_range(margin..1.0 - margin);
                let object = self.objects[i];
                for (j, other) in self.objects[..i].iter().enumerate() {
                    let (dx, dy) = ((object.x - other.x).abs(), (object.y - other.y).abs());
                    let apart = dx.max(dy) > object.radius() + other.radius() + 0.02;
                    let clear = dx.max(dy) > 2.0 * dx.min(dy);
                    if !apart || (j + 1 == i && !clear) {
                        continue 'attempt;
                    }
                }
            }
            return Some(self);
        }
        None
    }

    /// Relation of each object to the next one.
    pub fn relations(&self) -> Vec<Relation> {
        self.objects.windows(2).map(|pair| pair[0].relation_to(&pair[1])).collect()
    }

    /// What a caption can say about it.
    pub fn content(&self) -> Content {
        Content {
            background: self.background,
            objects: self.objects.iter().map(|o| (o.shape, o.colour, o.size)).collect(),
            relations: self.relations(),
        }
    }
}

/// One of the values, each as likely.
fn any<T: Copy>(values: &[T], rng: &mut impl Rng) -> T {
    values[rng.random_range(0..values.len())]
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn objects_are_inside_apart_and_distinct() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..500 {
            let scene = Scene::random(&mut rng);
            let twin = scene.twin(&mut rng);
            assert_ne!(scene.content(), twin.content());
            for scene in [scene, twin] {
                assert!((1..=MAX_OBJECTS).contains(&scene.objects.len()));
                for (i, a) in scene.objects.iter().enumerate() {
                    assert!(a.x >= a.radius() && a.x <= 1.0 - a.radius());
                    assert!(a.y >= a.radius() && a.y <= 1.0 - a.radius());
                    for b in &scene.objects[..i] {
                        assert!((a.shape, a.colour) != (b.shape, b.colour));
                        assert_eq!(a.relation_to(b), b.relation_to(a).inverse());
                    }
                }
            }
        }
    }
}
