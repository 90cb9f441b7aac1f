use std::fs;
use std::io::Write;

use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

fn options() -> ReadOptions {
    ReadOptions::default()
}

fn captions_only() -> ReadOptions {
    ReadOptions { captions_only: true, ..options() }
}

fn read(text: &str) -> CaptionFile {
    CaptionFile::parse(text, "file", &options()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Names and captions.
fn said(file: &CaptionFile) -> Vec<(&str, Vec<&str>)> {
    file.records
        .iter()
        .map(|record| (&*record.name, record.captions.iter().map(|c| &*c.raw).collect()))
        .collect()
}

fn error(bytes: impl Into<Vec<u8>>, options: &ReadOptions) -> String {
    let found = CaptionFile::parse(bytes, "file", options);
    let error = found.map(|file| format!("{file:?}")).unwrap_err().to_string();
    assert!(error.starts_with("file: ") && error.lines().count() == 1, "{error}");
    error
}

/// The same captions in every format, with what the format is taken for.
fn everywhere() -> Vec<(Format, String)> {
    let table = |delimiter: char| Format::Table { delimiter };
    vec![
        (Format::JsonList, r#"[{"image_id": 7, "caption": "a dog"}, {"image_id": 8, "caption": "a cat"}]"#.into()),
        (Format::JsonByName, r#"{"7": "a dog", "8": ["a cat"]}"#.into()),
        (Format::JsonByName, r#"{"7": [{"caption": "a dog", "image_id": 7}], "8": [{"raw": "a cat"}]}"#.into()),
        (Format::JsonLines, "{\"image_id\": 7.0, \"caption\": \"a dog\"}\n\n{\"image\": \"8\", \"captions\": [\"a cat\"]}".into()),
        (Format::CocoAnnotations, r#"{"annotations": [{"image_id": 7, "id": 3, "caption": "a dog"}, {"image_id": 8, "caption": "a cat"}], "info": {}}"#.into()),
        (Format::Karpathy, r#"{"dataset": "x", "images": [{"filename": "7", "sentences": [{"raw": "a dog"}]}, {"filename": "8", "sentences": [{"tokens": ["a", "cat"], "raw": null}]}]}"#.into()),
        (Format::Token, "7#0\ta dog\n8#0\ta cat\n".into()),
        (Format::Pairs, "7\ta dog\n8\ta cat".into()),
        (table(','), "image,caption\n7,a dog\n8,a cat\n".into()),
        (table(','), "\"id\",\"image\",\"comment\"\n1,7,\"a dog\"\n2,8,\"a cat\"\n".into()),
        (table('\t'), "filepath\ttitle\n7\ta dog\n8\ta cat\n".into()),
        (table('|'), "image_name| comment_number| comment\n7| 0| a dog\n8| 0| a cat\n".into()),
        (table(';'), "Image;Caption\n7;a dog\n8;a cat\n".into()),
        (table(','), "raw,split,filename,img_id\n\"[\"\"a dog\"\"]\",train,7,0\na cat,test,8,1\n".into()),
    ]
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Default::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_format_says_the_same_however_it_is_packed() {
    for (format, text) in everywhere() {
        let crlf = text.replace("\r\n", "\n").replace('\n', "\r\n");
        let marked = format!("\u{feff}{text}");
        for bytes in [
            text.clone().into_bytes(),
            crlf.into_bytes(),
            marked.clone().into_bytes(),
            zipped(text.as_bytes()),
            zipped(marked.as_bytes()),
        ] {
            let file = CaptionFile::parse(bytes, "file", &options());
            let file = file.unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(file.format, format, "{text}");
            assert_eq!(said(&file), [("7", vec!["a dog"]), ("8", vec!["a cat"])], "{text}");
        }
        // Grammar reads the same captions of the same images.
        let file = CaptionFile::parse(text.clone(), "file", &captions_only()).unwrap();
        assert_eq!(said(&file), said(&read(&text)), "{text}");
    }
}

#[test]
fn captions_without_images_are_read_where_they_will_do() {
    for (format, text) in [
        (Format::Lines, "a dog\n\nA cat, two men.\n"),
        (Format::JsonTexts, r#"["a dog", "A cat, two men."]"#),
        (Format::JsonLines, "{\"caption\": \"a dog\"}\n{\"caption\": \"A cat, two men.\"}"),
        (Format::JsonList, r#"[{"caption": "a dog"}, {"caption": "A cat, two men."}]"#),
        (Format::Table { delimiter: ',' }, "caption\na dog\n\"A cat, two men.\"\n"),
    ] {
        let file = CaptionFile::parse(text, "file", &captions_only()).unwrap();
        assert_eq!(file.format, format);
        let captions: Vec<&str> =
            said(&file).into_iter().flat_map(|(_, captions)| captions).collect();
        assert_eq!(captions, ["a dog", "A cat, two men."], "{text}");
        error(text, &options());
    }
}

#[test]
fn what_is_no_caption_is_never_learned_line_by_line() {
    for (text, expected) in [
        ("{\"annotations\": [\n{\"image_id\": 1,\n\"caption\": \"a dog\"", "cut off"),
        ("[\n\"a dog\",\n\"a cat\"", "cut off"),
        ("{'image_id': 1}", "json.dump"),
        ("1.jpg a dog\n2.jpg a cat\n", "names of pictures"),
        ("1.jpg,a dog\n2.jpg,a cat\n", "names of pictures"),
        ("1,a dog\n2,a cat\n", "a table without a header"),
        ("\"caption\": \"a dog\",\n\"caption\": \"a cat\"\n", "pieces of JSON"),
        ("image,label\n1.jpg,dog\n2.jpg,cat\n", "names of pictures"),
        ("<!DOCTYPE html>\n<p>a dog</p>", "web page"),
        ("version https://git-lfs.github.com/spec/v1\noid x", "git lfs pull"),
        ("", "is empty"),
        (" \n\n", "is empty"),
    ] {
        let message = error(text, &captions_only());
        assert!(message.contains(expected), "{message}");
    }
    for (bytes, expected) in [
        (&b"PK\x03\x04rest"[..], "zip"),
        (b"\x89PNG\r\n", "picture"),
        (b"a dog\0a cat", "zero bytes"),
        (b"\xff\xfea\0 \0", "UTF-16"),
        (b"[\0{\0", "zero bytes"),
        (b"a caf\xe9\n", "LATIN1"),
        (b"[{\"image_id\": 1, \"caption\": \"caf\xe9\"}]", "LATIN1"),
        (b"\x1f\x8b\x08\0\0", "cut off"),
        (b"a dog\ra cat\r", "carriage return"),
    ] {
        let message = error(bytes, &captions_only());
        assert!(message.contains(expected), "{message}");
    }
    let mut cut = zipped("a dog runs on the grass\n".repeat(9).as_bytes());
    cut.truncate(cut.len() - 9);
    assert!(error(cut, &captions_only()).contains("cut off"));
    let mut damaged = zipped(b"a dog\n");
    damaged[12] ^= 0xff;
    assert!(error(damaged, &captions_only()).contains("damaged"));
}

#[test]
fn what_is_wrong_is_named() {
    for (text, expected) in [
        ("  [] ", "holds no captions"),
        ("{}", "holds no captions"),
        ("7", "captions are read from"),
        ("a dog\na cat\n", "captions are read from"),
        ("[1, 2", "item 0 (line 1): must be an object"),
        (r#"[{"caption": "x"}]"#, "item 0 (line 1): no `image_id`"),
        (r#"[{"image_id": [], "caption": "x"}]"#, "`image_id` must be text or a number"),
        (r#"[{"image_id": NaN, "caption": "x"}]"#, "`image_id` must be text or a number"),
        (r#"[{"image_id": 3}]"#, "image `3`: `caption` is missing"),
        (r#"[{"image_id": 3, "caption": null}]"#, "image `3`: `caption` is missing or null"),
        (r#"[{"image_id": 3, "caption": NaN}]"#, "image `3`: captions must be text"),
        (r#"[{"image_id": 3, "caption": "x", "caption": "y"}]"#, "`caption` occurs twice"),
        (r#"[{"image_id": 3, "caption": "x", "references": ["y"]}]"#, "--columns"),
        (r#"[{"image_id": " ", "caption": "x"}]"#, "empty name"),
        (r#"[{"image_id": 1, "caption": "a"},]"#, "expected a value"),
        (r#"[{"image_id": 1, "caption": "a"} {}]"#, "expected `,` or `]`"),
        (r#"[{"image_id": 1, "caption": "a"}] x"#, "more text follows"),
        (r#"[{"image_id": 1, "caption": "a" "b"}]"#, "item 0 (line 1)"),
        (r#"["a dog"]"#, "a text without an image"),
        (r#"{"3": 4}"#, "image `3`: captions must be text"),
        (r#"{"3": ["x", 4]}"#, "image `3`: captions must be text"),
        (r#"{"3": "x", "3": "y"}"#, "image `3` occurs twice"),
        (r#"{"results": [{"image_id": 1, "caption": "x"}]}"#, "a caption of image `1`"),
        (r#"{"results": [{"image_id": 1, "caption": "x"}], "info": {}}"#, "image `results`"),
        (r#"{"images": [{"sentences": []}]}"#, "images[0]: no `image_id`"),
        (r#"{"images": [{"filename": "a"}]}"#, "images[0]: image `a` has no list of `sentences`"),
        (
            r#"{"images": [{"filename": "a", "sentences": [{"x": 1}]}]}"#,
            "neither `raw` nor `tokens`",
        ),
        (
            r#"{"images": [{"filename": "a", "sentences": ["x"]}, {"filename": "a", "sentences": ["y"]}]}"#,
            "images[1]: image `a` occurs twice",
        ),
        (r#"{"annotations": [{"id": 3, "caption": "x"}]}"#, "annotations[0]: no `image_id`"),
        (r#"{"annotations": [{"image_id": 3}]}"#, "annotations[0]: image `3`: `caption`"),
        ("{\"image_id\": 1, \"caption\": \"x\"}\noops", "line 2"),
        ("{\"image_id\": 1, \"caption\": \"x\"}\n\n[]", "line 3: must be an object"),
        ("{\"a\": 1}\n{\"b\": 2}", "line 1: no `image_id`"),
        ("a.jpg\tx\nb.jpg y", "line 2: no tab"),
        ("a.jpg\tx\tz\nb.jpg\ty\tz", "more than one tab"),
        ("\tx\nb.jpg\ty", "line 1: an image has an empty name"),
        ("a.jpg#0\tx\nb.jpg#1 y", "line 2"),
        ("a dog\thttp://x.org/1\na cat\t2.jpg\n", "image=2,caption=1"),
        ("image,caption\na.jpg,x, y\n", "line 2: has 3 cells and must have 2"),
        ("image,caption\na.jpg\n", "line 2: has 1 cells"),
        ("image,caption\n,x\n", "line 2: no `image_id`"),
        ("image,caption\na,\"['x', 'y']\"\n", "is none in JSON"),
        ("image,caption\na,\"x\nb,y\n", "never closed"),
        ("image,caption,references\na,x,y\n", "either of `caption` and `references`"),
        ("image,title,text\na,x,y\n", "--columns caption=title"),
        ("image,caption,caption\na,x,y\n", "two columns are called `caption`"),
        ("image,caption,split\na,x,train\na,y,val\n", "splits `train` and `val`"),
        ("image,caption\n", "holds no captions"),
    ] {
        let message = error(text, &options());
        assert!(message.contains(expected), "{text}: {message}");
    }
    let missing = CaptionFile::read(Path::new("no/such.json"), &options()).unwrap_err().to_string();
    assert!(missing.contains("cannot read no/such.json"), "{missing}");
}

#[test]
fn columns_may_be_said() {
    let said_with = |text: &str, columns: &str| {
        let options = ReadOptions { columns: columns.parse().unwrap(), ..options() };
        let file = CaptionFile::parse(text, "file", &options)?;
        Ok::<_, DataError>(
            said(&file)
                .iter()
                .map(|(name, captions)| format!("{name}: {}", captions.join("/")))
                .collect::<Vec<_>>()
                .join(", "),
        )
    };
    for (text, columns, expected) in [
        ("photo,caption,words\n1,x,a dog\n", "image=photo,caption=words", "1: a dog"),
        ("PHOTO\tWords\n1\ta dog\n", "image=photo,caption=words", "1: a dog"),
        ("a dog\thttp://x/1.jpg\n", "image=2,caption=1", "http://x/1.jpg: a dog"),
        ("1.jpg,a dog,train\n", "image=1,caption=2,split=3", "1.jpg: a dog"),
        (
            r#"[{"photo": 1, "caption": "x", "words": "a dog"}]"#,
            "image=photo,caption=words",
            "1: a dog",
        ),
        (
            r#"[{"image_id": 1, "caption": "x", "references": ["a dog"]}]"#,
            "caption=references",
            "1: a dog",
        ),
    ] {
        assert_eq!(said_with(text, columns).unwrap(), expected, "{text}");
    }
    for (text, columns, expected) in [
        ("photo,words\n1,x\n", "image=photo,caption=text", "no column `text`"),
        ("1.jpg a dog\n", "image=1,caption=2", "no column 2"),
        ("photo,words\n1,x\n", "image=photo", "no column holds captions"),
    ] {
        let message = said_with(text, columns).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn images_go_by_all_of_their_names() {
    let coco = r#"{"images": [{"id": 7, "file_name": "COCO_7.jpg"}, {"id": 9, "file_name": "x"}], "annotations": [
        {"image_id": 7, "id": 1, "caption": "a dog"}, {"image_id": 7, "caption": "one dog"}]}"#;
    let karpathy = r#"{"images": [{"filepath": "val", "filename": "COCO_7.jpg", "cocoid": 7, "split": "test",
        "sentences": [{"raw": "a dog"}, {"raw": "one dog"}]}]}"#;
    let blip = r#"[{"caption": ["a dog", "one dog"], "image": "val/COCO_7.jpg", "image_id": "7"}]"#;
    for text in [coco, karpathy, blip] {
        let file = read(text);
        let names = file.names();
        assert_eq!(file.records.len(), 1);
        for name in ["7", "COCO_7.jpg", "COCO_7", "somewhere/val/COCO_7.jpg"] {
            assert_eq!(names.find(name), Ok(Some(0)), "{name} in {text}");
        }
        assert_eq!(names.find("8"), Ok(None));
        assert_eq!(said(&file)[0].1, ["a dog", "one dog"]);
    }
    assert_eq!(read(coco).notes, ["1 of 2 images have no captions, as `9`: left out"]);
    assert_eq!(read(karpathy).records[0].name, "val/COCO_7.jpg");
    // Numbers are names as they are written, but for whole ones.
    let ids = r#"[{"image_id": 7.0, "caption": "a"}, {"image_id": -3, "caption": "b"}, {"image_id": 1.5, "caption": "c"},
        {"image_id": 123456789012345678901, "caption": "d"}, {"image_id": 123456789012345678902, "caption": "e"}, {"image_id": 1e3, "caption": "f"}]"#;
    let names: Vec<String> = read(ids).records.into_iter().map(|record| record.name).collect();
    assert_eq!(names, ["7", "-3", "1.5", "123456789012345678901", "123456789012345678902", "1000"]);
}

#[test]
fn karpathys_oddities_are_read() {
    let text = r#"{"images": [
        {"filename": "train2014/0.jpg", "filepath": null, "split": "restval", "sentences": [
            {"tokens": ["A", "dog\nruns"], "raw": "A dog runs."}, {"tokens": [], "raw": ""}, {"tokens": ["a", "cat"], "raw": null}]},
        {"filename": "1.jpg", "filepath": "", "split": "none", "sentences": [{"raw": "A man's dog."}], "alt_texts": ["x"]}]}"#;
    let file = read(text);
    let [first, second] = &file.records[..] else { panic!() };
    assert_eq!((&*first.name, &*second.name), ("train2014/0.jpg", "1.jpg"));
    let words: Vec<String> = first.captions.iter().map(CaptionText::words).collect();
    assert_eq!(words, ["a dog runs", "", "a cat"]);
    assert_eq!(first.captions[2].raw, "a cat");
    assert_eq!(second.captions[0].words(), "a man's dog");
    assert_eq!(second.alt_texts, ["x"]);
    assert!(first.is_of("train") && first.is_of("restval") && !first.is_of("val"));
    assert!(second.is_of("none") && !second.is_of("train"));
    let mut file = file;
    let message = file.clone().keep_split("test").unwrap_err().to_string();
    assert!(message.contains("`test`") && message.contains("restval, none"), "{message}");
    file.keep_split("train").unwrap();
    assert_eq!(file.records.len(), 1);
}

#[test]
fn empty_captions_are_captions() {
    for text in ["a.jpg\ta dog\nb.jpg\t\nc.jpg\t\n", "a.jpg,a dog\nb.jpg,\nc.jpg,\"\"\n"] {
        let text = if text.contains('\t') { text.into() } else { format!("image,caption\n{text}") };
        let expected = [("a.jpg", vec!["a dog"]), ("b.jpg", vec![""]), ("c.jpg", vec![""])];
        assert_eq!(said(&read(&text)), expected);
    }
    assert_eq!(said(&read("a.jpg\t\n")), [("a.jpg", vec![""])]);
    assert_eq!(said(&read(r#"{"a": "", "b": ["  "]}"#)), [("a", vec![""]), ("b", vec!["  "])]);
}

#[test]
fn what_python_writes_disturbs_nothing() {
    let rows = [
        "{\"image_id\": 1, \"caption\": \"NaN \\ud83d\\udc36\", \"perplexity\": NaN, \"x\": [Infinity]}",
        "{\"image_id\": 2, \"caption\": \"a \\ud83d bus\", \"entropy\": -Infinity}",
    ];
    for text in [rows.join("\n"), format!("[{}]", rows.join(", "))] {
        let file = read(&text);
        assert_eq!(said(&file), [("1", vec!["NaN 🐶"]), ("2", vec!["a \u{fffd} bus"])]);
        assert!(file.notes[0].contains("U+FFFD"), "{:?}", file.notes);
    }
    let one = read("{\"image\": \"1\", \"captions\": [\"a dog\"], \"decoding\": {\"beam\": 3}}\n");
    assert_eq!(said(&one), [("1", vec!["a dog"])]);
    assert_eq!(one.decoding, Some(serde_json::json!({"beam": 3})));
}

#[test]
fn broken_entries_are_passed_over_where_that_is_asked_for() {
    let text = "image_name| comment_number| comment\n1.jpg| 0| a dog\n1.jpg| 4   a dog runs\n2.jpg| 0| a cat\n";
    assert!(error(text, &options()).contains("line 3: has 2 cells"));
    let options = ReadOptions { lenient: true, ..options() };
    let file = CaptionFile::parse(text, "file", &options).unwrap();
    assert_eq!(said(&file), [("1.jpg", vec!["a dog"]), ("2.jpg", vec!["a cat"])]);
    assert!(file.notes[0].contains("passed over: line 3"), "{:?}", file.notes);
    let nulls = r#"[{"image_id": 1, "caption": null}, {"image_id": 2, "caption": null}]"#;
    assert!(error(nulls, &options).contains("(2 entries in all)"));
}

#[test]
fn a_folder_of_pictures_with_texts_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    fs::create_dir(dir.path().join("b")).unwrap();
    write("1.5.jpg", "");
    write("1.5.txt", "\u{feff}a dog\r\n\r\none dog");
    write("1.txt", "of no picture");
    write("b/2.webp", "");
    write("b/2.txt", "a cat");
    write("3.png", "");
    let file = CaptionFile::read(dir.path(), &options()).unwrap();
    assert_eq!(said(&file), [("1.5.jpg", vec!["a dog", "one dog"]), ("b/2.webp", vec!["a cat"])]);
    assert!(
        file.notes[0].contains("1 pictures have no .txt beside them, as 3.png"),
        "{:?}",
        file.notes
    );
    let empty = tempfile::tempdir().unwrap();
    assert!(
        CaptionFile::read(empty.path(), &options())
            .unwrap_err()
            .to_string()
            .contains("no captions")
    );
}

proptest! {
    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..99), captions_only: bool, lenient: bool) {
        let options = ReadOptions { captions_only, lenient, ..options() };
        let _ = CaptionFile::parse(bytes, "file", &options);
    }

    #[test]
    fn nothing_panics_on_pieces(parts in prop::collection::vec(prop_oneof![
        Just("{"), Just("}"), Just("["), Just("]"), Just(","), Just(":"), Just("\""), Just("\\ud83d"),
        Just("NaN"), Just("\"images\""), Just("\"annotations\""), Just("\"image_id\""),
        Just("\"caption\""), Just("\"sentences\""), Just("\"raw\""), Just("7"), Just("\n"), Just("\t"),
        Just("image,caption"), Just("1.jpg"), Just("#0"), Just("|"), Just("null"), Just("é"),
    ], 0..40), captions_only: bool, lenient: bool) {
        let options = ReadOptions { captions_only, lenient, ..options() };
        if let Ok(file) = CaptionFile::parse(parts.concat(), "file", &options) {
            prop_assert!(file.records.iter().all(|record| !record.name.trim().is_empty()));
            let _ = file.names().pair(&file.names());
        }
    }

    /// Whatever captions and names are, every writer's file gives them back.
    #[test]
    fn captions_survive_every_writer(
        names in prop::collection::hash_set("[a-z0-9.é ]{1,8}", 1..5),
        caption in "[ -~é🐶]{0,20}",
    ) {
        let names: Vec<String> = names.into_iter().map(|name| format!("x{}y", name.trim())).collect();
        prop_assume!(names.iter().collect::<std::collections::HashSet<_>>().len() == names.len());
        prop_assume!(!caption.trim().starts_with("[\"") && !caption.trim().starts_with("['"));
        let caption = caption.trim().to_string();
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(["image", "caption"]).unwrap();
        for name in &names {
            csv.write_record([name, &caption]).unwrap();
        }
        let json = |name: &String| serde_json::json!({"image_id": name, "caption": &caption}).to_string();
        let files = [
            csv.into_inner().unwrap(),
            names.iter().map(|name| json(name) + "\n").collect::<String>().into_bytes(),
            format!("[{}]", names.iter().map(json).collect::<Vec<_>>().join(",")).into_bytes(),
            names.iter().map(|name| format!("{name}\t{caption}\n")).collect::<String>().into_bytes(),
            names.iter().map(|name| format!("{name}#0\t{caption}\n")).collect::<String>().into_bytes(),
        ];
        for bytes in files {
            let file = CaptionFile::parse(bytes, "file", &options()).unwrap();
            let expected: Vec<_> = names.iter().map(|name| (&**name, vec![&*caption])).collect();
            prop_assert_eq!(said(&file), expected);
        }
    }
}
