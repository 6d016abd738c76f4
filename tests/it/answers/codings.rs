//! In which coding uploads go out, and what becomes of one that is refused.

use std::time::Duration;

use meterit_sync::domain::{pass::PassReport, status::State};

use crate::helpers::{Plan, Site, answer, on_batch};

const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[actix::test]
async fn a_refused_encoding_falls_back_to_plain_under_the_same_key() {
    let mut site = Plan::default()
        .fault(on_batch(answer(415, "")).times(1))
        .start_settled(5)
        .await;
    assert_eq!(site.pass().await.delivered, 5);
    let batches = site.batches();
    assert_eq!(encodings(&site), [Some("gzip".to_owned()), None]);
    assert_eq!(batches[0].key, batches[1].key);
    assert_eq!(batches[1].stored, 5);
    let report = five_more_before_a_restart_and_after(&mut site).await;
    assert_eq!(report.requests, 1);
    assert_eq!(
        encodings(&site)[2..],
        [None, None],
        "remembered, over a restart as well"
    );
    site.finish().await;
}

/// Returns how the pass before it went.
async fn five_more_before_a_restart_and_after(site: &mut Site) -> PassReport {
    site.database.insert(5..10).await;
    let report = site.pass().await;
    site.stop_service().await;
    site.database.insert(10..15).await;
    site.start_service().await;
    site.drained().await;
    report
}

fn encodings(site: &Site) -> Vec<Option<String>> {
    let batches = site.batches();
    batches.into_iter().map(|batch| batch.encoding).collect()
}

fn named(encodings: &[&str]) -> Vec<Option<String>> {
    encodings
        .iter()
        .map(|name| Some((*name).to_owned()))
        .collect()
}

#[actix::test]
async fn a_refused_encoding_is_told_and_tried_again_after_a_day() {
    let site = Plan::default()
        .fault(on_batch(answer(415, "")).times(1))
        .start_settled(5)
        .await;
    assert_eq!(site.pass().await.delivered, 5);
    let status = site.status();
    assert_eq!(status.state, State::Ok);
    assert!(
        status.reason.contains("without compression") && status.reason.contains("2026-03-02T12:00"),
        "{}",
        status.reason
    );
    let sent = site.batches().len();
    site.clock.advance(A_DAY);
    site.settled().await;
    assert!(!site.status().reason.contains("without compression"));
    site.database.insert(5..10).await;
    assert_eq!(site.pass().await.delivered, 5);
    assert_eq!(encodings(&site)[sent..], named(&["gzip"]));
    site.finish().await;
}

#[actix::test]
async fn a_refusal_says_nothing_of_what_an_operator_wants_instead() {
    let mut site = Plan::default()
        .setting("upload_compression", "zstd")
        .fault(on_batch(answer(415, "")).times(2))
        .start_settled(5)
        .await;
    assert_eq!(site.pass().await.delivered, 5);
    let refused = [Some("zstd"), Some("gzip"), None].map(|name| name.map(str::to_owned));
    assert_eq!(encodings(&site), refused);
    site.stop_service().await;
    site.change_setting("upload_compression", "gzip-fast");
    site.database.insert(5..10).await;
    site.start_service().await;
    site.drained().await;
    assert_eq!(encodings(&site)[3..], named(&["gzip"]));
    site.finish().await;
}

#[actix::test]
async fn zstandard_is_used_where_the_server_offers_to_take_it() {
    let mut site = Plan::default()
        .client_system(|options| options.zstd = true)
        .start_settled(5)
        .await;
    assert_eq!(site.pass().await.delivered, 5);
    let report = five_more_before_a_restart_and_after(&mut site).await;
    assert_eq!(report.delivered, 5);
    assert_eq!(encodings(&site), named(&["gzip", "zstd", "zstd"]));
    assert_eq!(site.simulator.ledger().distinct_readings, 15);
    site.finish().await;
}

#[actix::test]
async fn zstandard_that_is_refused_becomes_gzip_under_the_same_key() {
    let mut site = Plan::default()
        .setting("upload_compression", "zstd")
        .start_settled(5)
        .await;
    assert_eq!(site.pass().await.delivered, 5);
    let batches = site.batches();
    assert_eq!(batches[0].key, batches[1].key);
    let report = five_more_before_a_restart_and_after(&mut site).await;
    assert_eq!(report.requests, 1);
    assert_eq!(encodings(&site), named(&["zstd", "gzip", "gzip", "gzip"]));
    assert_eq!(site.simulator.ledger().distinct_readings, 15);
    site.finish().await;
}

#[actix::test]
async fn every_way_to_compress_arrives() {
    for (setting, encoding) in [
        ("none", None),
        ("gzip", Some("gzip")),
        ("gzip-fast", Some("gzip")),
        ("zstd", Some("zstd")),
    ] {
        let site = Plan::default()
            .setting("upload_compression", setting)
            .client_system(|options| options.zstd = true)
            .start_settled(5)
            .await;
        assert_eq!(site.pass().await.delivered, 5);
        assert_eq!(encodings(&site), [encoding.map(str::to_owned)], "{setting}");
        site.finish().await;
    }
}
