//! Writes a picture with the first scenes of a data set, prints their texts and what the data set
//! is like: `cargo run --release -p finecap-scenes --example contact_sheet -- sheet.png [seed]`.

use std::collections::BTreeSet;

use finecap_scenes::{ScenesConfig, generate};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

const COLUMNS: u32 = 8;
const ROWS: u32 = 5;
/// Every pixel of a scene becomes this many on each side.
const ZOOM: u32 = 3;
const GAP: u32 = 6;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "contact_sheet.png".into());
    let seed = arguments.next().map_or(Ok(1), |seed| seed.parse())?;
    let config = ScenesConfig { seed, ..ScenesConfig::default() };
    let records = generate(&config)?;

    let cell = config.image_size * ZOOM + GAP;
    let mut sheet = RgbImage::from_pixel(COLUMNS * cell, ROWS * cell, Rgb([255; 3]));
    for (i, record) in (0..COLUMNS * ROWS).zip(&records) {
        let side = config.image_size * ZOOM;
        let picture = record.scene.render(config.image_size);
        let picture = imageops::resize(&picture, side, side, FilterType::Nearest);
        let (x, y) = (i % COLUMNS * cell, i / COLUMNS * cell);
        imageops::replace(&mut sheet, &picture, x.into(), y.into());
        println!("{i:2} {}", record.scene.description());
        println!("     reference  {}", record.references.join(" | "));
        println!("     alt text   {}", record.alt_texts.join(" | "));
    }
    sheet.save(&path)?;

    let references: Vec<&String> = records.iter().flat_map(|r| &r.references).collect();
    let alt_texts: Vec<&String> = records.iter().flat_map(|r| &r.alt_texts).collect();
    let contents: BTreeSet<String> =
        records.iter().map(|r| format!("{:?}", r.scene.content())).collect();
    let words: BTreeSet<&str> =
        references.iter().chain(&alt_texts).flat_map(|text| text.split(' ')).collect();
    println!("scenes               {} ({} different)", records.len(), contents.len());
    for count in 1..=finecap_scenes::MAX_OBJECTS {
        let scenes = records.iter().filter(|r| r.scene.objects.len() == count).count();
        println!("  with {count} objects     {scenes}");
    }
    println!("different references {}", references.iter().collect::<BTreeSet<_>>().len());
    println!("words per reference  {:.2}", mean_words(&references));
    println!("words per alt text   {:.2}", mean_words(&alt_texts));
    println!("vocabulary           {} words", words.len());
    Ok(())
}

fn mean_words(texts: &[&String]) -> f64 {
    let words: usize = texts.iter().map(|text| text.split(' ').count()).sum();
    words as f64 / texts.len() as f64
}
