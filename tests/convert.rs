//! `finecap convert`, and captions of what it wrote.

mod common;

use std::fs;

use common::{World, fail, finecap, succeed};

#[test]
fn the_references_captioner_is_converted_and_captions() {
    let checkpoint =
        std::env::var("CARGO_MANIFEST_DIR").unwrap() + "/fixtures/captioner/reference.ckpt";
    let checkpoint = checkpoint.as_str();
    let world = World::new();
    let convert = |input: &str, output: &str| {
        let mut command = finecap();
        command.current_dir(world.path("")).args(["convert", input, output]);
        command
    };
    let output = succeed(&mut convert(checkpoint, "model"));
    let reported = String::from_utf8(output.stdout).unwrap();
    assert!(reported.contains("model.generator.proj.bias\t[23]\toutput.bias"), "{reported}");
    assert!(reported.contains("\tvocab.json"), "{reported}");
    let again = fail(&mut convert(checkpoint, "model"));
    assert!(again.contains("name another folder"), "{again}");

    // The tiny CLIP sees what is as wide as this captioner reads.
    let set = ["--set", "clip.width=12", "--set", "clip.heads=2"];
    succeed(&mut world.train("clip", "run", &set));
    let mut caption = finecap();
    caption.current_dir(world.path("")).args(["caption", "data/images", "--model", "model"]);
    let unknown = fail(&mut caption);
    assert!(unknown.contains("--clip"), "{unknown}");
    caption.args(["--clip", "run/clip/model", "--beam", "5", "--no-unknown"]);
    let captions = String::from_utf8(succeed(&mut caption).stdout).unwrap();
    assert_eq!(captions.lines().count(), 20);
    assert!(!captions.contains("UNK"), "{captions}");

    for (name, content) in
        [("half.ckpt", &fs::read(checkpoint).unwrap()[..99_999]), ("a.txt", b"a")]
    {
        fs::write(world.path(name), content).unwrap();
        let message = fail(&mut convert(name, "other"));
        assert!(message.contains(name), "{message}");
    }
    let message = fail(&mut convert("none.ckpt", "other"));
    assert!(message.contains("none.ckpt"), "{message}");
    assert!(!world.path("other").exists(), "nothing half-written");
}
