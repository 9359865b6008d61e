//! The tree against RFC 1034 §4.3.2 as it is written: a walk down from the
//! apex that looks at all records at each step.

use proptest::prelude::*;

use super::*;

/// The records of a zone, as a flat list.
struct Model<'a>(&'a [Record]);

impl Model<'_> {
    fn has(&self, name: &DomainName, rtype: RecordType) -> bool {
        self.0
            .iter()
            .any(|record| record.owner == *name && record.rtype == rtype)
    }

    fn exists(&self, name: &DomainName) -> bool {
        self.0.iter().any(|record| record.owner.is_within(name))
    }

    fn answer(&self, name: &DomainName, qtype: RecordType, by: &str) -> String {
        if self.has(name, qtype) {
            format!("found {name} {qtype} x1{by}")
        } else if self.has(name, RecordType::CNAME) {
            format!("alias {name} CNAME x1{by}")
        } else {
            "nodata".into()
        }
    }

    fn lookup(&self, qname: &DomainName, qtype: RecordType) -> String {
        let mut walk = vec![qname.clone()];
        while let Some(above) = walk.last().and_then(DomainName::parent)
            && above.is_within(&name("example."))
        {
            walk.push(above);
        }
        let mut encloser = name("example.");
        for step in walk.into_iter().rev() {
            if !self.exists(&step) {
                let wildcard = encloser.prepend(b"*").unwrap();
                return match self.exists(&wildcard) {
                    true => self.answer(&wildcard, qtype, " by wildcard"),
                    false => "nxdomain".into(),
                };
            }
            let at_cut = step != name("example.") && self.has(&step, RecordType::NS);
            if at_cut && !(step == *qname && qtype == RecordType::DS) {
                return format!("referral {step} NS x1");
            }
            if step != *qname && self.has(&step, RecordType::DNAME) {
                return format!("below {step} DNAME x1");
            }
            encloser = step;
        }
        self.answer(qname, qtype, "")
    }
}

fn any_name() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "*"]), 0..5).prop_map(|labels| {
        match labels.is_empty() {
            true => "@".into(),
            false => labels.join("."),
        }
    })
}

fn any_record() -> impl Strategy<Value = String> {
    let data = vec![
        "A 192.0.2.1",
        "A 192.0.2.1",
        "TXT x",
        "DS 1 8 2 ab",
        "NS x",
        "CNAME x",
        "DNAME x.",
    ];
    (any_name(), prop::sample::select(data)).prop_map(|(owner, data)| format!("{owner} {data}\n"))
}

proptest! {
    #[test]
    fn the_tree_answers_as_the_walk(
        lines in prop::collection::vec(any_record(), 1..12),
        questions in prop::collection::vec(any_name(), 1..20),
    ) {
        // Lines that would make no zone with those before are left out.
        let mut text = String::new();
        for line in lines {
            let longer = format!("{text}{line}");
            if whole(&longer).is_ok() {
                text = longer;
            }
        }
        let (zone, _) = whole(&text).unwrap();
        let records = records(&format!("@ SOA ns . 1 2 3 4 5\n{text}"));
        for question in questions {
            for qtype in ["A", "TXT", "NS", "DS", "CNAME", "DNAME"] {
                let (qname, qtype) = (name(&question), qtype.parse().unwrap());
                let answer = show(zone.lookup(qname.as_wire(), qtype));
                prop_assert_eq!(answer, Model(&records).lookup(&qname, qtype), "{} {}\n{}", qname, qtype, text);
            }
        }
    }
}
