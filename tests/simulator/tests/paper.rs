//! The paper of every story is understood as what the story says it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use tillwatch_drivers::printer::escpos;
use tillwatch_drivers::printer::receipt::{FramerConfig, FramerEvent, PaperDocument, ReceiptTap};
use tillwatch_drivers::printer::transaction::{self, DocumentKind};
use tillwatch_simulator::receipt::{Document, amount};
use tillwatch_simulator::timeline::PrintJob;
use tillwatch_simulator::{JumpClock, Player, Recorder, Run, Story, What};

fn printed(story: &Story) -> Vec<PaperDocument> {
    let mut register = Recorder::default();
    let mut player = Player::new(Run::new("store_001", "reg_01", 42), JumpClock::default());
    player.play(&story.schedule(), &mut register);
    let mut tap = ReceiptTap::new(escpos::Config::default(), FramerConfig::default());
    let mut documents = Vec::new();
    tap.feed(&register.printed(), 0, &mut |event| {
        if let FramerEvent::Document(document) = event {
            documents.push(document);
        }
    });
    documents
}

#[test]
fn every_printed_document_is_understood_as_what_it_is() {
    for story in Story::all().unwrap() {
        let receipts = story
            .schedule()
            .into_iter()
            .filter_map(|(_, a)| match a.what {
                What::Print(PrintJob::Receipt { receipt, .. }) => Some(receipt),
                _ => None,
            });
        let receipts: Vec<_> = receipts.collect();
        let documents = printed(&story);
        assert_eq!(documents.len(), receipts.len(), "{}", story.name);
        for (document, receipt) in documents.iter().zip(receipts) {
            assert!(!document.damaged, "{}", story.name);
            let lines: Vec<&str> = document.lines.iter().map(|l| l.text.as_str()).collect();
            let read = transaction::read(&lines, 2);
            let (kind, total) = match receipt.document {
                Document::Sale => (DocumentKind::Sale, receipt.sum()),
                Document::Void => (DocumentKind::TransactionVoid, 0),
                Document::Refund => (DocumentKind::Return, -receipt.sum()),
                Document::Reprint => (DocumentKind::Reprint, receipt.sum()),
                Document::NoSale => (DocumentKind::NoSale, 0),
            };
            assert_eq!(read.kind, kind, "{}: {lines:#?}", story.name);
            // A no-sale slip has none.
            if receipt.document != Document::NoSale {
                let read_total = read.total.map(amount);
                assert_eq!(
                    read_total,
                    Some(amount(total)),
                    "{}: {lines:#?}",
                    story.name
                );
            }
            let number = read.number.unwrap_or_default();
            assert!(number.starts_with('T'), "{}: number {number:?}", story.name);
        }
    }
}
