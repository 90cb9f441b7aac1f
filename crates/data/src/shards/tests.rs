use proptest::prelude::*;

use super::*;
use crate::{CaptionFile, Columns, Format, ReadOptions};

/// A shard with these members.
fn shard(dir: &Path, name: &str, members: &[(String, Vec<u8>)]) -> PathBuf {
    let path = dir.join(name);
    let mut builder = tar::Builder::new(File::create(&path).unwrap());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, &content[..]).unwrap();
    }
    builder.finish().unwrap();
    path
}

fn png(level: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let image = image::RgbImage::from_pixel(3, 2, image::Rgb([level, 0, 0]));
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn samples(path: &Path) -> Result<Vec<Sample>, DataError> {
    let mut all = Vec::new();
    each_sample(path, |sample| {
        all.push(sample);
        Ok(())
    })?;
    Ok(all)
}

fn member(name: &str, content: &[u8]) -> (String, Vec<u8>) {
    (name.to_string(), content.to_vec())
}

#[test]
fn members_of_one_key_are_a_sample() {
    let dir = tempfile::tempdir().unwrap();
    let members = [
        member("000000001.jpg", &png(7)),
        member("000000001.txt", "\u{feff}a dog runs\r\n\r\na dog\n".as_bytes()),
        member("000000001.json", br#"{"caption": "not read", "url": "x", "width": 3}"#),
        member("b/2.v1.json", br#"{"caption": "key 2"}"#),
        member("b/2.PNG", &png(9)),
        member("b/2.json", br#"{"caption": "a cat", "similarity": NaN}"#),
        member("3.txt", b"no picture"),
        member("4.webp", b""),
        member("._5.txt", b"hidden"),
    ];
    let path = shard(dir.path(), "a.tar", &members);
    let all = samples(&path).unwrap();
    let keys: Vec<&str> = all.iter().map(|sample| &*sample.key).collect();
    assert_eq!(keys, ["000000001", "b/2", "3", "4"]);
    let whole: Vec<bool> = all.iter().map(Sample::is_whole).collect();
    assert_eq!(whole, [true, true, false, false]);
    let captions = |i: usize| -> Vec<String> {
        let found = all[i].captions(&Columns::default()).unwrap();
        found.into_iter().map(|caption| caption.raw).collect()
    };
    assert_eq!(captions(0), ["a dog runs", "a dog"]);
    assert_eq!(captions(1), ["a cat"]);
    let picture = all[0].picture.as_ref().unwrap().picture().unwrap();
    assert_eq!(picture.into_rgb().get_pixel(0, 0).0, [7, 0, 0]);

    let file = CaptionFile::read(&path, &ReadOptions::default()).unwrap();
    assert_eq!(file.format, Format::Shards);
    let names: Vec<&str> = file.records.iter().map(|record| &*record.name).collect();
    assert_eq!(names, ["000000001", "b/2", "3"]);
    assert!(file.records[0].picture.is_some() && file.records[2].picture.is_none());
    assert!(file.notes.iter().any(|note| note.contains("`4`")), "{:?}", file.notes);
}

#[test]
fn bad_shards_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let good = shard(dir.path(), "good.tar", &[member("1.png", &png(1)), member("1.txt", b"a")]);
    let bytes = std::fs::read(&good).unwrap();
    let said = |bytes: &[u8]| {
        let path = dir.path().join("bad.tar");
        std::fs::write(&path, bytes).unwrap();
        let error = CaptionFile::read(&path, &ReadOptions::default()).unwrap_err().to_string();
        assert!(error.contains("bad.tar"), "{error}");
        error
    };
    assert!(said(&bytes[..520]).contains("cut short"));
    assert!(said(b"hello, this is no archive at all").contains("no tar file"));
    assert!(said(b"\x1f\x8b\x08rest").contains("no tar file, or damaged"));
    assert!(said(b"").contains("no captions"));
    let two = shard(dir.path(), "two.tar", &[member("1.png", b""), member("1.jpg", b"")]);
    let error = samples(&two).unwrap_err().to_string();
    assert!(error.contains("`1.png` and `1.jpg`"), "{error}");
    let json = shard(dir.path(), "json.tar", &[member("1.png", b""), member("1.json", b"[1]")]);
    let error = CaptionFile::read(&json, &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("json.tar") && error.contains("1.json"), "{error}");
    let none = CaptionFile::read(&dir.path().join("{0..1}.tar"), &ReadOptions::default());
    assert!(none.unwrap_err().to_string().contains("0.tar"));
}

#[test]
fn captions_of_a_packed_shard_are_read_and_its_pictures_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = shard(
        dir.path(),
        "a.tar",
        &[
            member("1.png", &png(1)),
            member("1.txt", b"a dog"),
            member("2.json", br#"{"caption": "a cat"}"#),
            member("2.png", &png(2)),
        ],
    );
    let packed = dir.path().join("a.tar.gz");
    let mut encoder =
        flate2::write::GzEncoder::new(File::create(&packed).unwrap(), Default::default());
    std::io::Write::write_all(&mut encoder, &std::fs::read(&path).unwrap()).unwrap();
    encoder.finish().unwrap();
    let read = |path: &Path| CaptionFile::read(path, &ReadOptions::default()).unwrap();
    let captions = |file: &CaptionFile| -> Vec<String> {
        file.records.iter().flat_map(|record| &record.captions).map(|c| c.raw.clone()).collect()
    };
    assert_eq!(captions(&read(&packed)), captions(&read(&path)));
    let record = &read(&packed).records[1];
    let error = record.picture.as_ref().unwrap().picture().unwrap_err().to_string();
    assert!(error.contains("a.tar.gz") && error.contains("gunzip"), "{error}");
}

#[test]
fn one_key_in_two_shards_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["0.tar", "1.tar"] {
        shard(dir.path(), name, &[member("1.png", b""), member("1.txt", b"a")]);
    }
    let pattern = dir.path().join("{0..1}.tar");
    let error = CaptionFile::read(&pattern, &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("`1`") && error.contains("twice"), "{error}");
}

proptest! {
    #[test]
    fn every_caption_of_every_sample_is_found(
        captions in prop::collection::vec(prop::collection::vec("[a-zA-Z,\"' é]{0,20}x", 1..4), 1..20),
        as_json in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut members = Vec::new();
        for (i, captions) in captions.iter().enumerate() {
            members.push(member(&format!("d/{i:05}.jpeg"), &vec![0; i * 97]));
            let beside = match as_json {
                true => (format!("d/{i:05}.json"), serde_json::json!({"captions": captions}).to_string()),
                false => (format!("d/{i:05}.txt"), captions.join("\n")),
            };
            members.push((beside.0, beside.1.into_bytes()));
        }
        let path = shard(dir.path(), "a.tar", &members);
        let file = CaptionFile::read(&path, &ReadOptions::default()).unwrap();
        prop_assert_eq!(file.records.len(), captions.len());
        for (record, captions) in file.records.iter().zip(&captions) {
            let found: Vec<&str> = record.captions.iter().map(|caption| &*caption.raw).collect();
            let wanted: Vec<&str> =
                captions.iter().map(|c| if as_json { &**c } else { c.trim() }).collect();
            prop_assert_eq!(found, wanted);
        }
    }

    #[test]
    fn damaged_shards_never_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = shard(dir.path(), "a.tar", &[
            member("1.png", &png(1)),
            member("1.txt", b"a dog"),
            member(&"long/".repeat(40), b""),
            member(&format!("{}2.json", "deep/".repeat(40)), br#"{"caption": "x"}"#),
        ]);
        let mut bytes = std::fs::read(&path).unwrap();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        std::fs::write(&path, bytes).unwrap();
        let _ = CaptionFile::read(&path, &ReadOptions { lenient: true, ..Default::default() });
    }
}
