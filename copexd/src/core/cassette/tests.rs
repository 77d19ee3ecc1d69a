use serde_json::json;

use super::*;

/// A cassette of these requests, each answered with "ok".
pub(super) fn cassette(bodies: &[Value]) -> Cassette {
    let exchange = |body: &Value| Exchange {
        request: Request {
            at_ms: 5,
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            model: body["model"].as_str().map(str::to_owned),
            headers: Headers::new(),
            body: body.clone(),
        },
        response: Some(Response {
            status: 200,
            headers: Headers::from([("content-type".to_owned(), vec!["text/plain".to_owned()])]),
            at_ms: 7,
            chunks: vec![
                Chunk { at_ms: 8, data: Data::new(b"ok".to_vec()) },
                Chunk { at_ms: 9, data: Data::new(vec![0xc3]) },
            ],
        }),
        end: End { at_ms: 9, how: How::Whole },
    };
    Cassette {
        header: Header {
            copex_cassette: FORMAT,
            copex: "1.2.3".to_owned(),
            cli: Some("1.0.102".to_owned()),
            dialect: Dialect { kind: "github".to_owned(), wire_api: None },
            created_at: 1_790_000_000_000,
            run: "r".to_owned(),
        },
        exchanges: bodies.iter().map(exchange).collect(),
    }
}

fn written(cassette: &Cassette) -> Vec<u8> {
    let lines = cassette.exchanges.iter().map(line);
    [line(&cassette.header)].into_iter().chain(lines).collect::<Vec<_>>().concat()
}

fn wrong(bytes: &[u8]) -> (usize, String) {
    let wrong = Cassette::read(bytes).unwrap_err();
    (wrong.line, wrong.what)
}

#[test]
fn what_is_written_is_read_again() {
    let mut one = cassette(&[json!({"model": "m", "messages": []}), json!("not a document")]);
    let failed = How::Failed { class: FailureClass::Network, message: "broke off".to_owned() };
    one.exchanges[0].end.how = failed;
    one.exchanges[1].response = None;
    one.exchanges[1].end.how = How::Left;
    assert_eq!(Cassette::read(&written(&one)), Ok(one));
}

#[test]
fn the_form_on_the_disk_is_this() {
    let text = String::from_utf8(written(&cassette(&[json!({"model": "m"})]))).unwrap();
    assert_eq!(
        text,
        concat!(
            r#"{"copex_cassette":1,"copex":"1.2.3","cli":"1.0.102","dialect":{"kind":"github"},"#,
            r#""created_at":1790000000000,"run":"r"}"#,
            "\n",
            r#"{"request":{"at_ms":5,"method":"POST","path":"/v1/chat/completions","model":"m","#,
            r#""headers":{},"body":{"model":"m"}},"response":{"status":200,"#,
            r#""headers":{"content-type":["text/plain"]},"at_ms":7,"#,
            r#""chunks":[{"at_ms":8,"text":"ok"},{"at_ms":9,"base64":"ww=="}]},"#,
            r#""end":{"at_ms":9,"how":"whole"}}"#,
            "\n",
        )
    );
}

#[test]
fn broken_files_name_their_line() {
    let good = written(&cassette(&[json!({"model": "m"}), json!({"model": "m"})]));
    assert_eq!(wrong(b"").0, 1);
    assert_eq!(wrong(b"hello\n").0, 1);
    assert!(wrong(b"{}\n").1.contains("copex_cassette"));
    let (line, what) = wrong(&good[..good.len() - 10]);
    assert!(line == 3 && what.contains("cut off"), "{line} {what}");
    let lines: Vec<&[u8]> = good.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(wrong(lines[0]).0, 2);
    let (line, what) = wrong(&[lines[0], lines[1], b"{\"request\":3}\n", lines[2]].concat());
    assert!(line == 3 && what.contains("not a recorded request"), "{line} {what}");
    let odd = String::from_utf8(lines[1].to_vec()).unwrap();
    assert_eq!(wrong(&[lines[0], odd.replace("200", "20").as_bytes()].concat()).0, 2);
    assert_eq!(wrong(&[lines[0], odd.replace("ww==", "w").as_bytes()].concat()).0, 2);
}

#[test]
fn a_newer_format_is_refused_and_unknown_fields_are_not() {
    let text = String::from_utf8(written(&cassette(&[json!({"model": "m"})]))).unwrap();
    let (line, what) =
        wrong(text.replace("\"copex_cassette\":1", "\"copex_cassette\":2").as_bytes());
    assert!(line == 1 && what.contains("format 2") && what.contains("1.2.3"), "{what}");
    let more = text.replace("\"method\"", "\"later\":[1],\"method\"");
    assert!(Cassette::read(more.as_bytes()).is_ok());
}

#[test]
fn a_recording_of_github_is_played_in_the_dialect_it_used() {
    let mut one = cassette(&[json!({"model": "m"})]);
    let dialect = |path: &str, one: &mut Cassette| {
        path.clone_into(&mut one.exchanges[0].request.path);
        one.dialect()
    };
    assert_eq!(dialect("/chat/completions", &mut one).wire_api.as_deref(), Some("completions"));
    assert_eq!(dialect("/responses", &mut one).wire_api.as_deref(), Some("responses"));
    assert_eq!(dialect("/v1/messages", &mut one).kind, "anthropic");
    one.header.dialect = Dialect { kind: "azure".to_owned(), wire_api: None };
    assert_eq!(one.dialect(), one.header.dialect);
    assert_eq!(one.model(), Some("m"));
}
