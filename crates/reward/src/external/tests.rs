use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
/// Scores every caption with the length of its line.
const GOOD: &str = r#"while read -r line; do id=${line#*\"id\":}; id=${id%%,*}; echo "{\"id\": $id, \"score\": ${#line}}"; done"#;

fn reward(endpoint: Endpoint, limit: Duration) -> ExternalReward {
    let image = |name: &str| ExternalImage {
        name: name.into(),
        path: Some(format!("pictures/{name}").into()),
        references: vec!["a \"dog\"".into()],
    };
    ExternalReward::new("theirs", endpoint, limit, vec![image("a.jpg"), image("b.jpg")]).unwrap()
}

fn shell(script: &str, limit: Duration) -> ExternalReward {
    reward(Endpoint::Command(["sh", "-c", script].map(String::from).to_vec()), limit)
}

fn score(reward: &mut ExternalReward, captions: &[&str]) -> Result<Vec<f32>, String> {
    let candidates: Vec<Candidate> =
        captions.iter().enumerate().map(|(i, text)| Candidate::new(i % 2, text)).collect();
    reward.score(&candidates).map_err(|error| error.to_string())
}

#[test]
#[cfg(unix)]
fn a_program_is_started_once_and_answers_batch_by_batch() {
    let mut good = shell(GOOD, 10 * SECOND);
    let question = |id: u64, image: &str, caption: &str| {
        format!(
            r#"{{"id":{id},"image":"{image}","path":"pictures/{image}","caption":"{caption}","references":["a \"dog\""]}}"#
        )
    };
    let expected =
        [question(0, "a.jpg", "a dog").len() as f32, question(1, "b.jpg", "x").len() as f32];
    assert_eq!(score(&mut good, &["a dog", "x"]).unwrap(), expected);
    assert_eq!(score(&mut good, &["a dog"]).unwrap(), expected[..1]);
    assert!(score(&mut good, &[]).unwrap().is_empty());
    // Far more than a pipe holds, in both directions.
    let long = "word ".repeat(4000);
    let many: Vec<&str> = vec![&long; 200];
    assert_eq!(score(&mut good, &many).unwrap().len(), 200);
    assert!(!good.restarted);
}

#[test]
#[cfg(unix)]
fn answers_may_come_in_any_order() {
    let mut reversed = shell(
        r#"read -r a; read -r b; echo '{"score": 2, "id": 1}'; echo; echo '{"id": 0, "score": 1.5}'; cat >/dev/null"#,
        10 * SECOND,
    );
    assert_eq!(score(&mut reversed, &["a", "b"]).unwrap(), [1.5, 2.0]);
}

#[test]
#[cfg(unix)]
fn a_program_that_fails_once_is_started_again_and_twice_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("mark");
    let once = format!("if [ ! -e {0} ]; then touch {0}; exit 3; fi; {GOOD}", mark.display());
    let mut once = shell(&once, 10 * SECOND);
    assert!(score(&mut once, &["a"]).is_ok());
    assert!(once.restarted);

    let error = score(&mut shell("echo 'no model' >&2; exit 3", 10 * SECOND), &["a"]).unwrap_err();
    assert!(
        error.contains("`theirs`") && error.contains("0 of 1") && error.contains("exit"),
        "{error}"
    );
    let slow = score(&mut shell("sleep 60", SECOND / 5), &["a dog"]).unwrap_err();
    assert!(slow.contains("0 of 1 scores within 0.2 s"), "{slow}");
    let gone = reward(Endpoint::Command(vec!["/no/such/program".into()]), SECOND);
    let gone = score(&mut { gone }, &["a"]).unwrap_err();
    assert!(gone.contains("/no/such/program") && gone.contains("started"), "{gone}");
    // A megabyte of complaints blocks nothing.
    let loud = format!(
        "i=0; while [ $i -lt 12000 ]; do echo 'a warning that nobody reads, again and again and again and again' >&2; i=$((i+1)); done; {GOOD}"
    );
    assert!(score(&mut shell(&loud, 30 * SECOND), &["a"]).is_ok());
}

#[test]
#[cfg(unix)]
fn a_score_that_is_none_is_an_error_with_the_caption() {
    for (answer, expected) in [
        (r#"{"id": 0, "score": null}"#, "\"a dog\""),
        (r#"{"id": 0, "score": "high"}"#, "\"a dog\""),
        (r#"{"id": 0}"#, "\"a dog\""),
        (r#"{"id": 0, "score": 1e99}"#, "\"a dog\""),
        (r#"{"id": 0, "score": NaN}"#, "\"a dog\" is \"NaN\""),
        (r#"{"id": 7, "score": 1}"#, "id 7"),
        ("hello", "hello"),
    ] {
        let script = format!("read -r line; echo '{answer}'; cat >/dev/null");
        let error = score(&mut shell(&script, 10 * SECOND), &["a dog"]).unwrap_err();
        assert!(error.contains(expected), "{answer}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
    let twice = r#"read -r a; read -r b; echo '{"id": 0, "score": 1}'; echo '{"id": 0, "score": 1}'; cat >/dev/null"#;
    let error = score(&mut shell(twice, 10 * SECOND), &["a dog", "b"]).unwrap_err();
    assert!(error.contains("twice") && error.contains("\"a dog\""), "{error}");
}

/// A service that answers each request with the next of `answers`.
fn serve(answers: &'static [&'static str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/score", listener.local_addr().unwrap());
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut block = [0; 4096];
            // The body of these tests ends with the array.
            while !request.ends_with(b"]") {
                let read = stream.read(&mut block).unwrap();
                request.extend_from_slice(&block[..read]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    url
}

#[test]
fn a_service_is_asked_over_http() {
    let good = "HTTP/1.1 200 OK\r\nContent-Length: 49\r\nConnection: close\r\n\r\n[{\"id\": 1, \"score\": 0.5}, {\"id\": 0, \"score\": 2}]\n";
    let mut service = reward(Endpoint::Url(serve(Box::leak(Box::new([good])))), 10 * SECOND);
    assert_eq!(score(&mut service, &["a", "b"]).unwrap(), [2.0, 0.5]);
    let busy = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let mut retried = reward(Endpoint::Url(serve(Box::leak(Box::new([busy, good])))), 10 * SECOND);
    assert_eq!(score(&mut retried, &["a", "b"]).unwrap(), [2.0, 0.5]);
    let mut failing = reward(Endpoint::Url(serve(Box::leak(Box::new([busy, busy])))), 10 * SECOND);
    let error = score(&mut failing, &["a"]).unwrap_err();
    assert!(error.contains("http://127.0.0.1") && error.contains("503"), "{error}");
    let odd = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    let mut odd = reward(Endpoint::Url(serve(Box::leak(Box::new([odd])))), 10 * SECOND);
    let error = score(&mut odd, &["a"]).unwrap_err();
    assert!(error.contains("\"hello\""), "{error}");
    let https = ExternalReward::new("x", Endpoint::Url("https://a/b".into()), SECOND, vec![]);
    assert!(https.err().unwrap().to_string().contains("https"));
}
