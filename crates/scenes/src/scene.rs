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

    fn kind(&self) -> (Shape, Colour, Size) {
        (self.shape, self.colour, self.size)
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
/// Objects don't overlap, differ in shape or colour, and of any two one is clearly to one side of
/// the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    /// What lies behind.
    pub background: Background,
    /// The objects, large ones first.
    pub objects: Vec<Object>,
}

/// Everything that a caption can say about a scene, whatever the order of its objects: scenes with
/// the same content are the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Content {
    background: Background,
    /// In order of their values.
    objects: Vec<(Shape, Colour, Size)>,
    /// Of every object to every later one in that order.
    relations: Vec<Relation>,
}

/// How far apart a pair must be along one axis, in distances along the other, so that its relation
/// is plain to see: neighbours in the list, whose relation the texts name, and the others.
const CLEAR: f32 = 2.0;
const CLEAR_OTHERS: f32 = 1.25;

/// How far objects of a near twin move, along each axis.
const TWIN_REACH: f32 = 0.1;

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
            if let Some(scene) = (Self { background, objects }).placed(1.0, rng) {
                return scene;
            }
        }
    }

    /// A near twin: the same scene with exactly one detail changed, which is the background's
    /// colour or texture, one object's shape, colour or size, or where objects are.
    pub(crate) fn twin(&self, rng: &mut impl Rng) -> Self {
        loop {
            let mut scene = self.clone();
            let object = rng.random_range(0..scene.objects.len());
            let mut reach = TWIN_REACH;
            match rng.random_range(0..6) {
                0 => scene.background.ground = any(Ground::ALL, rng),
                1 => scene.background.texture = any(Texture::ALL, rng),
                2 => scene.objects[object].shape = any(Shape::ALL, rng),
                3 => scene.objects[object].colour = any(Colour::ALL, rng),
                4 => scene.objects[object].size = any(Size::ALL, rng),
                _ => reach = 1.0,
            }
            // A stable sort: objects of one size keep their order.
            scene.objects.sort_by_key(|object| object.size == Size::Small);
            let before = scene.every_relation();
            if let Some(scene) = scene.placed(reach, rng)
                && (reach == 1.0 || scene.every_relation() == before)
                && scene.content() != self.content()
                && scene.description() != self.description()
            {
                return scene;
            }
        }
    }

    /// The scene with its objects moved by at most `reach` along each axis, if they fit and can be
    /// told apart.
    fn placed(&self, reach: f32, rng: &mut impl Rng) -> Option<Self> {
        let named = |i: usize| (self.objects[i].shape, self.objects[i].colour);
        let n = self.objects.len();
        if (0..n).any(|i| (0..i).any(|j| named(i) == named(j))) {
            return None;
        }
        let mut moved = self.clone();
        'attempt: for _ in 0..100 {
            for i in 0..n {
                let old = self.objects[i];
                let margin = old.radius() + 0.02;
                let mut near =
                    |v: f32| rng.random_range(margin.max(v - reach)..(1.0 - margin).min(v + reach));
                let object = Object { x: near(old.x), y: near(old.y), ..old };
                moved.objects[i] = object;
                for (j, other) in moved.objects[..i].iter().enumerate() {
                    let (dx, dy) = ((object.x - other.x).abs(), (object.y - other.y).abs());
                    let apart = dx.max(dy) > object.radius() + other.radius() + 0.02;
                    let clear = if j + 1 == i { CLEAR } else { CLEAR_OTHERS };
                    if !apart || dx.max(dy) <= clear * dx.min(dy) {
                        continue 'attempt;
                    }
                }
            }
            return Some(moved);
        }
        None
    }

    /// Relation of each object to the next one.
    pub fn relations(&self) -> Vec<Relation> {
        self.objects.windows(2).map(|pair| pair[0].relation_to(&pair[1])).collect()
    }

    /// Relation of each object to every later one.
    fn every_relation(&self) -> Vec<Relation> {
        let pairs = self.objects.iter().enumerate();
        pairs.flat_map(|(i, a)| self.objects[i + 1..].iter().map(|b| a.relation_to(b))).collect()
    }

    /// What a caption can say about it.
    pub fn content(&self) -> Content {
        let mut ordered = self.clone();
        ordered.objects.sort_by_key(Object::kind);
        Content {
            background: self.background,
            objects: ordered.objects.iter().map(Object::kind).collect(),
            relations: ordered.every_relation(),
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

    /// Many scenes, each with a twin.
    fn pairs() -> Vec<(Scene, Scene)> {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut pair = || {
            let scene = Scene::random(&mut rng);
            let twin = scene.twin(&mut rng);
            (scene, twin)
        };
        (0..1000).map(|_| pair()).collect()
    }

    #[test]
    fn objects_are_inside_apart_and_distinct() {
        for scene in pairs().into_iter().flat_map(|(scene, twin)| [scene, twin]) {
            assert!((1..=MAX_OBJECTS).contains(&scene.objects.len()));
            for (i, a) in scene.objects.iter().enumerate() {
                assert!(a.x >= a.radius() && a.x <= 1.0 - a.radius());
                assert!(a.y >= a.radius() && a.y <= 1.0 - a.radius());
                for b in &scene.objects[..i] {
                    assert!((a.shape, a.colour) != (b.shape, b.colour));
                    assert!(b.size == Size::Large || a.size == Size::Small);
                    assert_eq!(a.relation_to(b), b.relation_to(a).inverse());
                    let (dx, dy) = ((a.x - b.x).abs(), (a.y - b.y).abs());
                    assert!(dx.max(dy) > a.radius() + b.radius());
                    assert!(dx.max(dy) > CLEAR_OTHERS * dx.min(dy));
                }
            }
        }
    }

    #[test]
    fn twins_differ_in_exactly_one_detail() {
        let mut kinds = [0; 6];
        for (a, b) in pairs() {
            assert_eq!(a.objects.len(), b.objects.len());
            assert_ne!(a.description(), b.description());
            // Objects that stayed themselves, then those that changed: at most one of each.
            let order = |scene: &Scene, other: &Scene| {
                let mut scene = scene.clone();
                scene.objects.sort_by_key(|o| {
                    (!other.objects.iter().any(|p| p.kind() == o.kind()), o.kind())
                });
                scene
            };
            let (a, b) = (order(&a, &b), order(&b, &a));
            let mut changed = [
                a.background.ground != b.background.ground,
                a.background.texture != b.background.texture,
                false,
                false,
                false,
                a.every_relation() != b.every_relation(),
            ]
            .map(usize::from);
            for (a, b) in a.objects.iter().zip(&b.objects) {
                changed[2] += usize::from(a.shape != b.shape);
                changed[3] += usize::from(a.colour != b.colour);
                changed[4] += usize::from(a.size != b.size);
            }
            assert_eq!(changed.iter().sum::<usize>(), 1, "{a:?} {b:?}");
            for (kind, changed) in kinds.iter_mut().zip(changed) {
                *kind += changed;
            }
        }
        assert!(kinds.iter().all(|&count| count > 50), "{kinds:?}");
    }

    #[test]
    fn content_does_not_depend_on_the_order_of_objects() {
        for (scene, twin) in pairs() {
            let mut turned = scene.clone();
            turned.objects.reverse();
            assert_eq!(turned.content(), scene.content());
            assert_ne!(turned.content(), twin.content());
        }
    }
}
