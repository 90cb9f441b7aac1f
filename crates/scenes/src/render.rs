//! Drawing a scene: every pixel is the mean of a grid of samples, so edges are smooth.
//!
//! Only arithmetic that is exact by IEEE 754 is used, no function of the system's library, so that
//! pictures are the same on every machine.

use image::{Rgb, RgbImage};

use crate::scene::{Background, Object, Scene};
use crate::words::{Colour, Ground, Shape, Texture};

/// Samples along each side of a pixel.
const SAMPLES: u32 = 4;

type Rgb32 = [f32; 3];

impl Scene {
    /// The picture, `size` pixels wide and high.
    pub fn render(&self, size: u32) -> RgbImage {
        let step = 1.0 / (size * SAMPLES) as f32;
        RgbImage::from_fn(size, size, |x, y| {
            let mut sum = [0.0; 3];
            for i in 0..SAMPLES * SAMPLES {
                let (sx, sy) = (x * SAMPLES + i % SAMPLES, y * SAMPLES + i / SAMPLES);
                let colour = self.colour_at((sx as f32 + 0.5) * step, (sy as f32 + 0.5) * step);
                for (sum, value) in sum.iter_mut().zip(colour) {
                    *sum += value;
                }
            }
            Rgb(sum.map(|value| (value / (SAMPLES * SAMPLES) as f32).round() as u8))
        })
    }

    fn colour_at(&self, x: f32, y: f32) -> Rgb32 {
        match self.objects.iter().find(|object| object.covers(x, y)) {
            Some(object) => rgb(object.colour),
            None => self.background.colour_at(x, y),
        }
    }
}

impl Background {
    fn colour_at(&self, x: f32, y: f32) -> Rgb32 {
        let cell = |v: f32, n: f32| (v * n).floor() as i32;
        let second = match self.texture {
            Texture::Plain => false,
            Texture::Striped => cell(y, 10.0) % 2 == 1,
            Texture::Checkered => (cell(x, 8.0) + cell(y, 8.0)) % 2 == 1,
            Texture::Dotted => {
                let offset = |v: f32| (v * 7.0).fract() - 0.5;
                offset(x) * offset(x) + offset(y) * offset(y) < 0.28 * 0.28
            }
        };
        let (first, other) = tones(self.ground);
        if second { other } else { first }
    }
}

impl Object {
    /// Whether a point lies on the object.
    fn covers(&self, x: f32, y: f32) -> bool {
        let (u, v) = ((x - self.x) / self.radius(), (y - self.y) / self.radius());
        let (a, b) = (u.abs(), v.abs());
        match self.shape {
            Shape::Circle => u * u + v * v <= 0.9 * 0.9,
            Shape::Ring => (0.5 * 0.5..=0.95 * 0.95).contains(&(u * u + v * v)),
            Shape::Square => a.max(b) <= 0.8,
            Shape::Diamond => a * 1.25 + b <= 1.0,
            Shape::Cross => a.max(b) <= 0.95 && a.min(b) <= 0.28,
            Shape::Triangle => (-0.85..=0.75).contains(&v) && a <= (v + 0.85) / 1.6,
            Shape::Star => in_star(u, v),
            Shape::Heart => {
                // (x² + y² - 1)³ ≤ x² y³, the usual heart curve, scaled to the radius.
                let (x, y) = (u * 1.25, -v * 1.25 + 0.1);
                let disc = x * x + y * y - 1.0;
                disc * disc * disc <= x * x * y * y * y
            }
        }
    }
}

/// A five-pointed star with outer radius 1, one point up.
fn in_star(u: f32, v: f32) -> bool {
    // Sine and cosine of 36 and 72 degrees; the star is symmetric, so three points are enough.
    const SIN_36: f32 = 0.587_785_25;
    const COS_36: f32 = 0.809_017;
    const SIN_72: f32 = 0.951_056_5;
    const COS_72: f32 = 0.309_017;
    /// Distance of a notch from the centre.
    const NOTCH: f32 = 0.42;
    let (right, up) = (u.abs(), -v);
    // Along the axis from the centre to the nearest point, and to the side of it.
    let (along, aside) = [(0.0, 1.0), (SIN_72, COS_72), (SIN_36, -COS_36)]
        .map(|(x, y)| (right * x + up * y, (right * y - up * x).abs()))
        .into_iter()
        .fold((f32::NEG_INFINITY, 0.0), |best, point| if point.0 > best.0 { point } else { best });
    // Inside the straight edge from the point (1, 0) to the notch.
    let (x, y) = (NOTCH * COS_36, NOTCH * SIN_36);
    (x - 1.0) * aside - y * (along - 1.0) >= 0.0
}

fn rgb(colour: Colour) -> Rgb32 {
    match colour {
        Colour::Red => [220.0, 30.0, 35.0],
        Colour::Green => [70.0, 210.0, 50.0],
        Colour::Blue => [45.0, 105.0, 250.0],
        Colour::Yellow => [250.0, 225.0, 40.0],
        Colour::Purple => [150.0, 45.0, 200.0],
        Colour::White => [255.0, 255.0, 255.0],
        Colour::Black => [0.0, 0.0, 0.0],
    }
}

/// The two tones of a background.
fn tones(ground: Ground) -> (Rgb32, Rgb32) {
    match ground {
        Ground::Pink => ([250.0, 165.0, 190.0], [225.0, 125.0, 155.0]),
        Ground::Teal => ([10.0, 100.0, 110.0], [50.0, 140.0, 148.0]),
        Ground::Grey => ([135.0, 135.0, 140.0], [170.0, 170.0, 175.0]),
        Ground::Brown => ([100.0, 62.0, 35.0], [148.0, 108.0, 75.0]),
        Ground::Navy => ([25.0, 35.0, 95.0], [60.0, 72.0, 135.0]),
        Ground::Beige => ([228.0, 202.0, 155.0], [192.0, 164.0, 115.0]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{ScenesConfig, generate};
    use crate::words::Size;

    fn alone(shape: Shape, size: Size) -> Scene {
        Scene {
            background: Background { ground: Ground::Teal, texture: Texture::Plain },
            objects: vec![Object { shape, colour: Colour::White, size, x: 0.5, y: 0.5 }],
        }
    }

    /// Sum of the absolute differences of all values.
    fn difference(a: &RgbImage, b: &RgbImage) -> u32 {
        a.iter().zip(b.iter()).map(|(a, b)| u32::from(a.abs_diff(*b))).sum()
    }

    #[test]
    fn objects_fill_their_place_and_no_more() {
        for &shape in Shape::ALL {
            for &size in Size::ALL {
                let scene = alone(shape, size);
                let radius = scene.objects[0].radius();
                let picture = scene.render(200);
                let ground = *picture.get_pixel(0, 0);
                let reach = picture
                    .enumerate_pixels()
                    .filter(|(_, _, pixel)| **pixel != ground)
                    .flat_map(|(x, y, _)| [x, y])
                    .map(|v| ((v as f32 + 0.5) / 200.0 - 0.5).abs())
                    .fold(0.0, f32::max);
                assert!(reach <= radius + 0.0025, "{shape:?} {size:?} {reach}");
                assert!(reach >= 0.75 * radius, "{shape:?} {size:?} {reach}");
            }
        }
    }

    #[test]
    fn shapes_and_sizes_differ_at_48_pixels() {
        let pictures: Vec<RgbImage> = Size::ALL
            .iter()
            .flat_map(|&size| Shape::ALL.iter().map(move |&shape| alone(shape, size).render(48)))
            .collect();
        for (i, a) in pictures.iter().enumerate() {
            for b in &pictures[..i] {
                // As much as eight pixels that turn from the background's colour to white.
                assert!(difference(a, b) > 8 * (235 + 130 + 130));
            }
        }
    }

    #[test]
    fn colours_are_far_from_each_other_and_from_backgrounds() {
        let distance = |a: Rgb32, b: Rgb32| {
            a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
        };
        let tones = |ground: &Ground| {
            let (first, second) = tones(*ground);
            [first, second]
        };
        for (i, &colour) in Colour::ALL.iter().enumerate() {
            for &other in &Colour::ALL[..i] {
                assert!(distance(rgb(colour), rgb(other)) > 120.0, "{colour:?} {other:?}");
            }
            for tone in Ground::ALL.iter().flat_map(tones) {
                assert!(distance(rgb(colour), tone) > 100.0, "{colour:?} {tone:?}");
            }
        }
        for ground in Ground::ALL {
            let [first, second] = tones(ground);
            assert!(distance(first, second) > 50.0, "{ground:?}");
        }
    }

    #[test]
    fn different_scenes_look_different() {
        let config = ScenesConfig { train: 200, val: 0, test: 0, ..ScenesConfig::default() };
        let records = generate(&config).unwrap();
        let pictures: Vec<RgbImage> = records.iter().map(|r| r.scene.render(48)).collect();
        for (i, a) in pictures.iter().enumerate() {
            for b in &pictures[..i] {
                assert!(difference(a, b) > 3000);
            }
        }
    }
}
