use proptest::prelude::*;

use super::*;

fn fault(bytes: &[u8]) -> Fault {
    read(bytes).expect_err("must be refused")
}

#[test]
fn calls_become_names() {
    // os.system("echo"), as a malicious pickle has it.
    let bytes = b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00echo\x85R.";
    let pickle = read(bytes).unwrap();
    let Node::Object(object) = pickle.nodes.get(pickle.root) else { panic!("no object") };
    assert_eq!(&*object.class, "os.system");
    assert_eq!(pickle.length, bytes.len());
}

#[test]
fn containers_may_hold_themselves() {
    // A list, remembered, that is appended to itself.
    let pickle = read(b"\x80\x02]q\x00h\x00a.").unwrap();
    let Node::List(items) = pickle.nodes.get(pickle.root) else { panic!("no list") };
    assert_eq!(items[..], [pickle.root]);
}

#[test]
fn integers_have_any_length() {
    let int = |bytes: &[u8]| match long(bytes) {
        Node::Int(number) => Some(number),
        _ => None,
    };
    assert_eq!(int(&[]), Some(0));
    assert_eq!(int(&[0xff]), Some(-1));
    assert_eq!(int(&[0xff, 0]), Some(255));
    assert_eq!(int(&[0, 0, 0, 0, 0, 0, 0, 0x80]), Some(i64::MIN));
    assert_eq!(int(&[1; 9]), None);
}

#[test]
fn lengths_beyond_the_end_take_no_memory() {
    for bytes in [
        &b"\x80\x04B\xff\xff\xff\xff"[..],
        b"\x80\x04X\xff\xff\xff\x7f",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x80\x04\x8b\xff\xff\xff\xff",
        b"\x80\x02cno line",
        b"\x80\x02",
        b"",
    ] {
        assert!(matches!(fault(bytes), Fault::Damaged(_)), "{bytes:?}");
    }
}

#[test]
fn stack_faults_are_faults() {
    for bytes in
        [&b"."[..], b"0", b"2", b"(0.", b"t", b"(K\x01b.", b"h\x07", b"K\x01a", b"NNs", b"(Nd"]
    {
        fault(bytes);
    }
    // Nothing below a mark can be taken.
    fault(b"K\x01(\x85");
}

#[test]
fn depth_is_no_recursion() {
    let mut bytes = b"\x80\x02)".to_vec();
    bytes.extend([0x85; 1_000_000]);
    bytes.push(b'.');
    assert!(read(&bytes).is_ok());
}

#[test]
fn too_many_values_are_refused() {
    let bytes = vec![b'N'; 5_000_000];
    assert!(matches!(fault(&bytes), Fault::Refused(_)));
}

#[test]
fn copies_are_counted() {
    // One long text, encoded to bytes again and again.
    let text = "a".repeat(1000);
    let mut bytes = b"\x80\x02c_codecs\nencode\nq\x00X\xe8\x03\x00\x00".to_vec();
    bytes.extend(text.as_bytes());
    bytes.extend(b"X\x06\x00\x00\x00latin1\x86q\x01");
    for _ in 0..10 {
        bytes.extend(b"h\x00h\x01R");
    }
    bytes.push(b'.');
    assert!(matches!(fault(&bytes), Fault::Refused(_)));
}

proptest! {
    #[test]
    fn any_bytes_end_in_a_result(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
    }

    #[test]
    fn any_opcodes_end_in_a_result(
        ops in proptest::collection::vec(
            proptest::sample::select(&b"().0123JKMNQRT]}abcehqstu\x81\x85\x86\x87\x88\x8f\x90\x93\x94\x00\x01"[..]),
            0..200,
        )
    ) {
        let _ = read(&ops);
    }
}
