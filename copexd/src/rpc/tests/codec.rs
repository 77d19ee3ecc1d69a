//! The framings alone: however the bytes arrive, the same frames come out.

use bytes::BytesMut;
use proptest::prelude::*;

use super::super::codec::{Decoder, Frame, Framing, encode};
use super::super::sniff::{Habit, habit};

const LIMIT: u32 = 64;

/// Feeds `bytes` in pieces of `sizes`, in turn, and collects what comes out.
fn decoded(framing: Framing, bytes: &[u8], sizes: &[usize]) -> Vec<Option<String>> {
    let mut decoder = Decoder::new(framing, LIMIT);
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    let mut rest = bytes;
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
        rest = after;
        buffer.extend_from_slice(piece);
        while let Some(frame) = decoder.next(&mut buffer) {
            frames.push(match frame {
                Frame::Message(bytes) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
                Frame::TooLarge => None,
                Frame::Broken(why) => panic!("{why}"),
            });
        }
    }
    frames
}

proptest! {
    #[test]
    fn pieces_do_not_matter(
        messages in proptest::collection::vec("[a-z{}:, ]{0,60}[a-z]|[a-z]{65,300}", 0..20),
        sizes in proptest::collection::vec(1_usize..100, 1..10),
    ) {
        for framing in [Framing::Lines, Framing::Headers] {
            let mut bytes = Vec::new();
            for message in &messages {
                encode(framing, message, &mut bytes);
            }
            let expected: Vec<_> = messages
                .iter()
                .map(|message| (message.len() <= LIMIT as usize).then(|| match framing {
                    Framing::Lines => message.trim().to_owned(),
                    Framing::Headers => message.clone(),
                }))
                .collect();
            prop_assert_eq!(decoded(framing, &bytes, &sizes), expected);
        }
    }

    #[test]
    fn nothing_a_client_sends_makes_the_decoder_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        for framing in [Framing::Lines, Framing::Headers] {
            let mut decoder = Decoder::new(framing, LIMIT);
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Some(frame) = decoder.next(&mut buffer) {
                if matches!(frame, Frame::Broken(_)) {
                    break;
                }
            }
            decoder.last(&mut buffer);
        }
    }
}

#[test]
fn the_first_bytes_tell_the_habit() {
    let lines = Some(Habit::Framed(Framing::Lines));
    let headers = Some(Habit::Framed(Framing::Headers));
    for (start, expected) in [
        ("{", lines),
        ("[", lines),
        ("\n", lines),
        ("Content-", headers),
        ("content-length: 5", headers),
        ("Conten", None),
        ("c", None),
        ("CONNECT / HTTP/1.1", Some(Habit::Http)),
        ("POST", Some(Habit::Http)),
        ("G", Some(Habit::Http)),
        ("cat", Some(Habit::Unknown)),
        ("\u{16}", Some(Habit::Unknown)),
        ("", None),
    ] {
        assert_eq!(habit(start.as_bytes()), expected, "{start:?}");
    }
}
