//! Server-sent events ([HTML] §9.2.6): octets in, events out.
//!
//! Pure. An event that is longer than its bound is an error, so that no server can
//! have a client keep without end.
//!
//! [HTML]: https://html.spec.whatwg.org/multipage/server-sent-events.html

/// One event.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Event {
    /// Its kind; empty when none was named.
    pub(super) kind: String,
    /// Its lines of data.
    pub(super) data: String,
    /// The id that came with it.
    pub(super) id: Option<String>,
}

/// An event has more octets than it may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an event has more than {0} octets")]
pub(super) struct TooLong(usize);

/// Reads events from octets that come in pieces.
#[derive(Debug)]
pub(super) struct Reader {
    /// Octets of lines that aren't read yet.
    pending: Vec<u8>,
    /// How many of them are known to hold no end of a line.
    looked_at: usize,
    event: Event,
    has_data: bool,
    most: usize,
}

impl Reader {
    /// A reader of events of at most `most` octets each.
    pub(super) fn new(most: usize) -> Self {
        Self {
            pending: Vec::new(),
            looked_at: 0,
            event: Event::default(),
            has_data: false,
            most,
        }
    }

    /// Takes further octets.
    pub(super) fn push(&mut self, octets: &[u8]) -> Result<(), TooLong> {
        if self.pending.len() + self.event.data.len() + octets.len() > self.most {
            return Err(TooLong(self.most));
        }
        self.pending.extend_from_slice(octets);
        Ok(())
    }

    /// The next event that is there whole.
    pub(super) fn next(&mut self) -> Option<Event> {
        let mut start = 0;
        let mut found = None;
        while found.is_none() {
            let from = start.max(self.looked_at);
            let Some(at) = self.pending[from..]
                .iter()
                .position(|octet| *octet == b'\n')
            else {
                self.looked_at = self.pending.len();
                break;
            };
            let line = self.pending[start..from + at].to_vec();
            start = from + at + 1;
            found = self.line(line.strip_suffix(b"\r").unwrap_or(&line));
        }
        self.pending.drain(..start);
        self.looked_at = self.looked_at.saturating_sub(start).min(self.pending.len());
        found
    }

    /// Takes a line; an empty one ends an event.
    fn line(&mut self, line: &[u8]) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let line = String::from_utf8_lossy(line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.event.kind = value.to_owned(),
            "id" => self.event.id = Some(value.to_owned()),
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.has_data = true;
            }
            // A comment, which begins with the colon, or what isn't known.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = ": alive\n\nid: 7\nevent: service\ndata: {\"a\":\ndata: 1}\n\nevent: x\n\n\
                        data:  two\r\nretry: 5\r\n\r\ndata: cut";

    fn events(pieces: &[&[u8]]) -> Vec<Event> {
        let mut reader = Reader::new(1000);
        let mut events = Vec::new();
        for piece in pieces {
            reader.push(piece).unwrap();
            while let Some(event) = reader.next() {
                events.push(event);
            }
        }
        events
    }

    #[test]
    fn events_are_read() {
        let event = |kind: &str, data: &str, id: Option<&str>| Event {
            kind: kind.to_owned(),
            data: data.to_owned(),
            id: id.map(str::to_owned),
        };
        assert_eq!(
            events(&[TEXT.as_bytes()]),
            [
                event("service", "{\"a\":\n1}", Some("7")),
                // One without data is none, and leaves nothing behind.
                event("", " two", None)
            ]
        );
    }

    #[test]
    fn none_is_longer_than_allowed() {
        let mut reader = Reader::new(10);
        assert_eq!(reader.push(b"data: 12345"), Err(TooLong(10)));
        assert_eq!(reader.push(b"data: 1\n"), Ok(()));
        assert_eq!(reader.next(), None);
        assert_eq!(reader.push(b"data: 12\n"), Ok(()));
        assert_eq!(reader.next(), None);
        assert_eq!(reader.push(b"data: 12"), Err(TooLong(10)));
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(cuts in prop::collection::vec(0..TEXT.len(), 0..8)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut start = 0;
            for cut in cuts {
                pieces.push(&TEXT.as_bytes()[start..cut]);
                start = cut;
            }
            pieces.push(&TEXT.as_bytes()[start..]);
            prop_assert_eq!(events(&pieces), events(&[TEXT.as_bytes()]));
        }
    }
}
